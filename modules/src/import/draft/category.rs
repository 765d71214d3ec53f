//! A guess at the category, by words of the description. It is always marked as a guess.

const WORDS: [(&str, &[&str]); 14] = [
    (
        "home-automation",
        &[
            "home automation",
            "smart home",
            "zigbee",
            "z-wave",
            "mqtt",
            "homekit",
            "esphome",
            "智能家居",
            "iot",
        ],
    ),
    ("dns", &["dns", "ad block", "adblock", "ad-block", "blocklist", "广告"]),
    (
        "media",
        &[
            "media",
            "music",
            "video",
            "movie",
            "photo",
            "audiobook",
            "podcast",
            "youtube",
            "streaming",
            "torrent",
            "usenet",
            "subtitle",
            "影音",
            "音乐",
            "录画",
            "録画",
            "ebook",
            "comic",
            "manga",
        ],
    ),
    ("files", &["file", "sync", "storage", "webdav", "s3", "cloud", "document", "网盘", "文件"]),
    (
        "monitoring",
        &["monitor", "metrics", "uptime", "dashboard", "logs", "alert", "observability", "exporter", "监控"],
    ),
    ("backup", &["backup", "snapshot", "restic", "备份"]),
    ("database", &["database", "sql", "key-value", "time series", "数据库"]),
    ("messaging", &["chat", "messag", "broker", "notification", "push", "mail", "matrix", "消息"]),
    (
        "network",
        &[
            "vpn",
            "proxy",
            "tunnel",
            "firewall",
            "router",
            "wireguard",
            "reverse proxy",
            "nat ",
            "代理",
            "内网穿透",
        ],
    ),
    ("security", &["password", "auth", "secret", "sso", "vault", "2fa", "密码"]),
    (
        "productivity",
        &[
            "note",
            "wiki",
            "task",
            "todo",
            "calendar",
            "bookmark",
            "recipe",
            "inventory",
            "budget",
            "finance",
            "rss",
            "paste",
            "笔记",
            "知识库",
        ],
    ),
    ("ai", &["llm", "language model", "machine learning", " ai ", "ollama", "gpt", "大模型"]),
    ("development", &["git", "ci/cd", "code", "registry", "ide", "developer", "http server"]),
    ("web", &["cms", "blog", "website", "web server", "static site", "建站", "博客"]),
];

/// A category and tags.
pub fn guess(description: &str, name: &str) -> Option<(&'static str, Vec<String>)> {
    let text = format!("{} {}", name.to_lowercase(), description.to_lowercase());
    let count = |words: &[&str]| words.iter().filter(|word| speaks_of(&text, word)).count();
    let (category, words) = WORDS.iter().rev().max_by_key(|(_, words)| count(words))?;
    let tags: Vec<String> = words
        .iter()
        .filter(|word| speaks_of(&text, word))
        .take(6)
        .map(|word| word.trim().replace(' ', "-"))
        .collect();
    (!tags.is_empty()).then_some((*category, tags))
}

/// Words of the description that one may ask for.
pub fn triggers(description: &str) -> Vec<String> {
    let text = description.to_lowercase();
    let found = WORDS.iter().flat_map(|(_, words)| words.iter()).filter(|word| speaks_of(&text, word));
    found.take(8).map(|word| word.trim().to_owned()).collect()
}

/// Whether a word is in the text: a short one by itself, a longer one as the beginning of one.
fn speaks_of(text: &str, word: &str) -> bool {
    let word = word.trim();
    if !word.is_ascii() {
        return text.contains(word);
    }
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let rest = &text[at + word.len()..];
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        let is_whole = !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
        !before.is_some_and(|c| c.is_ascii_alphanumeric()) && (word.len() > 4 || is_whole)
    })
}
