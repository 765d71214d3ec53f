//! The words that READMEs structure themselves with, in the languages they are written in.

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

const INSTALL: &[&str] = &[
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
];

const DEVELOPMENT: &[&str] = &[
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
];

const UPKEEP: &[&str] = &[
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
];

const ELSEWHERE: &[&str] = &[
    "alternativ",
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
    "users",
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
];

const KUBERNETES: &[&str] = &["kubernetes", "helm", "k8s", "k3s", "openshift"];

/// What a heading says about its section.
pub fn topic(title: &str) -> Topic {
    let title = format!("{} ", title.to_lowercase());
    let has = |words: &[&str]| words.iter().any(|word| title.contains(word));
    let is_development = has(DEVELOPMENT) && !has(&["image build", "docker build", "contributors", "built"]);
    match () {
        () if has(&["uninstall", "upgrade", "desinstal", "désinstall", "卸载", "アンインストール"]) => {
            Topic::Upkeep
        }
        () if is_development => Topic::Development,
        () if has(KUBERNETES) => Topic::Kubernetes,
        () if has(INSTALL) && !has(&["update", "updating"]) => Topic::Install,
        () if has(UPKEEP) => Topic::Upkeep,
        () if has(ELSEWHERE) => Topic::Elsewhere,
        () => Topic::Other,
    }
}

/// Whether one of the words is in a text of lower case.
pub fn any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// Whether a word stands in the text by itself.
pub fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

pub const ENVIRONMENT: &[&str] = &[
    "environment var", "environmental var", "environment-var", "environment setting", "environment option", "environment config",
    "environment file", "environment key", "environment value", "environment parameter", "environment `", "environment:", "as environment", "via environment", "by environment",
    "from environment", "the environment ", "env var", "env-var", "envvar", "envs", " env ", "(env)", " env:", "环境变量", "環境變數", "環境変数", "umgebungsvariable",
    "variables d'environnement", "variable d'environnement", "variables d’environnement", "variables de entorno", "variable de entorno",
    "variáveis de ambiente", "variável de ambiente", "переменн", "환경 변수", "환경변수", ".env",
];

pub const REQUIRED: &[&str] = &[
    "required",
    "mandatory",
    "must be set",
    "obligator",
    "必须",
    "必需",
    "必填",
    "必須",
    "erforderlich",
    "pflicht",
    "requis",
    "obligatoire",
    "requerid",
    "obligatorio",
    "obrigatóri",
    "обязательн",
    "필수",
];

pub const OPTIONAL: &[&str] = &[
    "optional",
    "not required",
    "可选",
    "选填",
    "任意",
    "省略可",
    "facultatif",
    "optionnel",
    "opcional",
    "необязательн",
    "опционально",
    "선택",
];
