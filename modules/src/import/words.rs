//! The words that READMEs structure themselves with, in the languages they are written in.

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;

mod mentions;
mod settings;

pub use mentions::Mentions;
pub use settings::{ENVIRONMENT, OPTIONAL, REQUIRED, speaks_of_environment};

/// Words in lower case that are looked for in a text all at once.
#[derive(Debug)]
pub struct WordList {
    words: &'static [&'static str],
    finder: OnceLock<AhoCorasick>,
}

impl WordList {
    pub const fn new(words: &'static [&'static str]) -> Self {
        Self { words, finder: OnceLock::new() }
    }

    /// Whether one of them is in a text of lower case.
    pub fn is_in(&self, text: &str) -> bool {
        self.finder().is_match(text)
    }

    /// Where the first of them begins.
    pub fn find(&self, text: &str) -> Option<usize> {
        self.finder().find(text).map(|found| found.start())
    }

    fn finder(&self) -> &AhoCorasick {
        self.finder.get_or_init(|| AhoCorasick::new(self.words).expect("the lists are short"))
    }
}

/// What a section is about, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Install,
    /// For those who work on the project.
    Development,
    /// Of an installation that exists: upgrade, removal, migration, trouble.
    Upkeep,
    /// Other projects, thanks, sponsors.
    Elsewhere,
    Kubernetes,
    Other,
}

static INSTALL: WordList = WordList::new(&[
    "install",
    "quick start",
    "quickstart",
    "getting started",
    "get started",
    "setup",
    "set up",
    "deploy",
    "usage",
    "running",
    "run ",
    "docker",
    "container",
    "podman",
    "compose",
    "how to use",
    "self-host",
    "hosting",
    "start",
    "安装",
    "部署",
    "快速开始",
    "快速上手",
    "使用",
    "运行",
    "启动",
    "開始",
    "安裝",
    "インストール",
    "導入",
    "使い方",
    "起動",
    "セットアップ",
    "クイックスタート",
    "einrichtung",
    "verwendung",
    "schnellstart",
    "utilisation",
    "démarrage",
    "instalación",
    "uso",
    "inicio",
    "instalação",
    "início",
    "установк",
    "запуск",
    "использован",
    "быстрый старт",
    "설치",
    "사용",
    "시작",
    "실행",
]);

static DEVELOPMENT: WordList = WordList::new(&[
    "develop",
    "contribut",
    "from source",
    "building",
    "build ",
    "compil",
    "hacking",
    "testing",
    "unit test",
    "tests",
    "running test",
    "release process",
    "publishing",
    "making a release",
    "for maintainers",
    "translat",
    "开发",
    "贡献",
    "编译",
    "源码",
    "构建",
    "二次开发",
    "開發",
    "編譯",
    "開発",
    "ビルド",
    "貢献",
    "entwickl",
    "mitwirken",
    "beitragen",
    "bauen",
    "développement",
    "contribuer",
    "desarroll",
    "contribuir",
    "compilar",
    "desenvolv",
    "разработ",
    "сборка",
    "вклад",
    "собрать",
    "개발",
    "빌드",
    "기여",
    "architecture overview",
    "project structure",
    "项目结构",
    "目录结构",
    "benchmark",
    "dev environment",
    "dev setup",
    "devcontainer",
    "customize the image",
    "custom image",
]);

static UPKEEP: WordList = WordList::new(&[
    "upgrad",
    "updat",
    "uninstall",
    "remov",
    "migrat",
    "backup",
    "back up",
    "restor",
    "troubleshoot",
    "faq",
    "frequently asked",
    "known issue",
    "changelog",
    "release notes",
    "what's new",
    "versions",
    "support info",
    "升级",
    "卸载",
    "迁移",
    "备份",
    "常见问题",
    "更新日志",
    "アップデート",
    "アップグレード",
    "アンインストール",
    "移行",
    "更新",
    "よくある質問",
    "aktualisier",
    "deinstall",
    "mise à jour",
    "désinstall",
    "actualiza",
    "desinstal",
    "atualiza",
    "обновлен",
    "удален",
    "업데이트",
    "제거",
    "업그레이드",
    "pre-release",
    "prerelease",
    "debugging",
    "monitoring your",
    "shell access",
]);

static ELSEWHERE: WordList = WordList::new(&[
    "alternatives",
    "alternative project",
    "alternative software",
    "alternative tool",
    "alternative to",
    "alternativen",
    "alternativas",
    "альтернатив",
    "similar",
    "related",
    "see also",
    "credit",
    "thanks",
    "acknowledg",
    "sponsor",
    "donat",
    "support the",
    "who uses",
    "inspired",
    "comparison",
    "other projects",
    "community",
    "相关项目",
    "相关",
    "致谢",
    "感谢",
    "赞助",
    "友情链接",
    "謝辞",
    "関連",
    "danksagung",
    "remerciement",
    "agradecimient",
    "agradecimento",
    "благодарност",
    "감사",
    "star history",
    "roadmap",
    "todo",
]);

static KUBERNETES: WordList = WordList::new(&["kubernetes", "helm", "k8s", "k3s", "openshift"]);

/// What a heading says about its section.
pub fn topic(title: &str) -> Topic {
    // A sentence set as a heading is about anything.
    if title.split_whitespace().count() > 12 {
        return Topic::Other;
    }
    let title = format!("{} ", title.to_lowercase());
    // What a project is, whatever word its name has in it.
    let is_about = ["what is ", "what's ", "about ", "why "].iter().any(|start| title.starts_with(start));
    if is_about && !title.contains("new") {
        return Topic::Other;
    }
    let has = |words: &[&str]| any(&title, words);
    let is_development =
        DEVELOPMENT.is_in(&title) && !has(&["image build", "docker build", "contributors", "built"]);
    // How to build it and how to run it, in one: what is below is as much for those who run it.
    let is_both = title.contains("build")
        && ["and", "&", "und", "et", "y"].iter().any(|and| {
            ["run", "install", "us"].iter().any(|verb| {
                title.contains(&format!("building {and} {verb}"))
                    || title.contains(&format!("build {and} {verb}"))
            })
        });
    let is_got = ["download", "get", "install"].iter().any(|verb| title.starts_with(verb));
    let is_both = is_both || is_got && has(&["and compil", "& compil", "and build", "& build"]);
    match () {
        () if is_both && !has(&["develop", "contribut", "test"]) => Topic::Other,
        () if has(&["uninstall", "upgrade", "desinstal", "désinstall", "卸载", "アンインストール"]) => {
            Topic::Upkeep
        }
        () if is_development => Topic::Development,
        () if has(&["third-party us", "third party us", "projects using", "who is using"])
            || title.starts_with("used by") =>
        {
            Topic::Elsewhere
        }
        () if KUBERNETES.is_in(&title) => Topic::Kubernetes,
        () if INSTALL.is_in(&title) && !has(&["update", "updating"]) => Topic::Install,
        () if UPKEEP.is_in(&title) => Topic::Upkeep,
        // "A free alternative to …" says what the project is.
        () if title.contains(" alternative to") => Topic::Other,
        () if ELSEWHERE.is_in(&title) || is_list_of_users(&title) => Topic::Elsewhere,
        () => Topic::Other,
    }
}

/// "Users", "Some known users", not "Adding users" or "Registration of new users".
fn is_list_of_users(title: &str) -> bool {
    const VERBS: [&str; 14] = [
        "manag", "add", "creat", "regist", "remov", "delet", "disabl", "invit", "default", "multiple", "new",
        "set", "for ", " of ",
    ];
    title.trim_end().ends_with("users") && title.split_whitespace().count() < 4 && !any(title, &VERBS)
}

/// A text between blanks, so that words at its ends are found like those within.
pub fn padded(text: &str) -> String {
    [" ", text, " "].concat()
}

/// Whether one of the words is in a text of lower case.
pub fn any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// Whether a word stands in the text by itself; signs of Chinese and Japanese need no blank before a Latin word.
pub fn has_word(text: &str, word: &str) -> bool {
    let is_latin = word.is_ascii();
    let joins = |c: char| c.is_alphanumeric() && !(is_latin && c as u32 > 0x2e80);
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(joins) && !after.is_some_and(joins)
    })
}
