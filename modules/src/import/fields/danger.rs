//! What installing or running the project asks of its machine that one should know before.

use std::sync::LazyLock;

use regex::Regex;

use crate::import::container::Container;
use crate::import::document::{Block, Kind, Row};
use crate::import::facts::{EnvFact, Found};
use crate::import::names::squeeze;
use crate::import::reading::{Placed, Reading};
use crate::import::routes::Route;
use crate::import::shell::Command;
use crate::import::words::{self, WordList};
use crate::import::{Origin, routes};

static DEFAULT_LOGIN: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)(?:default\s+(?:admin(?:istrator)?\s+)?(?:log-?in|user(?:\s?name)?|password|credentials?|account)s?\b[^.\n]{0,40}?(?:\bis\b|\bare\b|[:=/])\s*[`*_\x22']*\w+|(?:user(?:\s?name)?|log-?in|email)(?:\s+is)?[^\w,]{1,6}(?:admin|root|user|test)\b[^\n]{0,60}?\bpass(?:word)?[^\w,]{1,6}\w+|\badmin\s*[/:|]\s*(?:admin|password|changeme|123456)\b|\badmin\W{1,4}with (?:an )?empty password|默认(?:用户名|账号|账户|密码|管理员)[^。\n]{0,20}[:：为是`]|初始(?:密码|账号|用户名)[^。\n]{0,12}[:：为是`]|初期(?:パスワード|ユーザ)|デフォルト(?:の)?(?:パスワード|ユーザ)|standard(?:passwort|benutzer)|기본\s*(?:계정|비밀번호|아이디)(?:은|는|:)|(?:mot de passe|identifiants?|utilisateur) par défaut|(?:contraseña|usuario) por defecto|(?:логин|пароль) по умолчанию)";
    Regex::new(pattern).expect("the pattern is well-formed")
});

pub fn find(
    reading: &Reading,
    containers: &[(&Container, &str)],
    routes: &[Route],
    env: &[Found<EnvFact>],
) -> Vec<Found<String>> {
    let mut found: Vec<Found<String>> = Vec::new();
    for (container, file) in containers {
        of_container(container, file, &mut found);
    }
    let scripts: Vec<&Route> = routes.iter().filter(|route| route.method == routes::Method::Script).collect();
    let is_route = |placed: &&Placed<Command>| scripts.iter().any(|route| route.origin == placed.origin);
    for placed in reading.commands.iter().filter(is_route) {
        if let Some(script) = routes::script(&placed.value) {
            push(&mut found, script.shell, placed.origin.clone());
        }
    }
    for known in env.iter().filter(|known| is_secret(&known.value.name) && !known.value.is_commented) {
        let values = [known.value.default.as_deref(), known.value.example.as_deref()];
        if values.into_iter().flatten().any(|value| WEAK.contains(&value.to_lowercase().as_str())) {
            push(&mut found, "default credentials".to_owned(), known.origin.clone());
        }
        let stated = known.value.default.as_deref().unwrap_or_default();
        if is_password(&known.value.name) && is_ready(stated) && !is_named_after(&known.value.name, stated) {
            push(&mut found, "default credentials".to_owned(), known.origin.clone());
        }
    }
    credentials(reading, &mut found);
    found
}

/// Passwords that everyone tries first.
const WEAK: [&str; 10] =
    ["admin", "password", "changeme", "123456", "12345678", "root", "secret", "test", "passw0rd", "admin123"];

fn push(found: &mut Vec<Found<String>>, value: String, origin: Origin) {
    if !found.iter().any(|known| known.value == value) {
        found.push(Found::read(value, origin));
    }
}

fn of_container(container: &Container, file: &str, found: &mut Vec<Found<String>>) {
    let origin = |line| Origin { file: file.to_owned(), line };
    let mut add = |text: String, line: u32| push(found, text, origin(line));
    let line = container.line;
    if container.is_privileged {
        add("--privileged".to_owned(), line);
    }
    if container.network.as_deref() == Some("host") {
        add("network host".to_owned(), line);
    }
    if container.pid.as_deref() == Some("host") {
        add("pid host".to_owned(), line);
    }
    for cap in &container.cap_add {
        add(format!("cap_add {}", cap.trim_start_matches("CAP_")), line);
    }
    if !container.devices.is_empty() {
        add("--device".to_owned(), line);
    }
    if !container.sysctls.is_empty() {
        add("sysctls".to_owned(), line);
    }
    for mount in container.mounts.iter().filter(|mount| !mount.is_commented) {
        let source = mount.source.as_deref().unwrap_or_default();
        if source.ends_with("docker.sock")
            || mount.target.ends_with("docker.sock")
            || source.ends_with("podman.sock")
        {
            add("docker.sock mount".to_owned(), mount.line);
        }
        if source == "/" {
            add("host root mount".to_owned(), mount.line);
        }
    }
    for entry in container.env.iter().filter(|entry| !entry.is_commented) {
        let value = entry.value.as_deref().unwrap_or_default();
        if is_secret(&entry.name) && is_ready(value) && !is_named_after(&entry.name, value) {
            add("default credentials".to_owned(), entry.line);
        }
    }
}

fn is_password(name: &str) -> bool {
    name.to_ascii_uppercase().split('_').any(|part| matches!(part, "PASSWORD" | "PASSWD" | "PASS"))
}

/// Whether a variable's name says that its value is secret.
pub fn is_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let parts: Vec<&str> = upper.split(['_', '-', '.']).collect();
    let has = |word: &str| parts.contains(&word);
    let is_about = has("PASSWORD")
        || has("PASSWD")
        || has("PASS")
        || has("SECRET")
        || has("TOKEN")
        || has("PEPPER")
        || has("SALT")
        || upper.ends_with("PASSWORD")
        || upper.ends_with("SECRET")
        || has("KEY")
            && (has("API")
                || has("SECRET")
                || has("PRIVATE")
                || has("ENCRYPTION")
                || has("ACCESS")
                || has("AUTH")
                || has("JWT")
                || has("LICENSE")
                || has("MASTER")
                || parts.len() == 1)
        || has("APIKEY")
        || has("CREDENTIALS")
        || has("CREDENTIAL");
    let is_setting = [
        "FILE",
        "LENGTH",
        "EXPIRY",
        "EXPIRATION",
        "TTL",
        "ENABLED",
        "ENABLE",
        "DISABLE",
        "PATH",
        "URL",
        "MIN",
        "MAX",
        "LIFETIME",
        "POLICY",
        "RESET",
        "HINT",
        "HINTS",
        "ITERATIONS",
        "ALLOW",
        "ALLOWED",
        "REQUIRE",
        "NAME",
        "ID",
        "HASHING",
        "TYPE",
        "COST",
        "TIMEOUT",
        "HEADER",
        "DAYS",
        "HOURS",
        "MINUTES",
        "SECONDS",
        "TIME",
        "DURATION",
        "EXPIRES",
        "EXPIRE",
        "INTERVAL",
        "LIMIT",
        "SIZE",
        "COUNT",
    ]
    .iter()
    .any(|word| has(word));
    is_about && !is_setting
}

/// `TOKEN=token`, `API_KEY=apikey`: the value only says what to put there.
fn is_named_after(name: &str, value: &str) -> bool {
    let name = squeeze(name);
    let value = squeeze(value);
    !name.contains("pass") && value.len() > 2 && name.ends_with(&value)
}

/// Whether a value works if it is left as it is.
pub fn is_ready(value: &str) -> bool {
    let value = value.trim().trim_matches(['"', '\'']);
    let lower = value.to_lowercase();
    let is_gap = value.contains(['<', '$', '{', '[', '`', '…'])
        || value.contains("...")
        || lower.contains("xxx")
        || value.starts_with('*')
        || value.contains(' ');
    let asks = [
        "your",
        "change",
        "replace",
        "insert",
        "here",
        "todo",
        "enter_",
        "put_",
        "generate",
        "placeholder",
        "example",
        "random",
        "must",
    ];
    let is_flag = matches!(lower.as_str(), "true" | "false" | "yes" | "no" | "0" | "1" | "none" | "null");
    !value.is_empty()
        && value.is_ascii()
        && !is_gap
        && !words::any(&lower, &asks)
        && !is_flag
        && !value.starts_with('/')
}

pub static LOGIN: WordList = WordList::new(&[
    "pass",
    "login",
    "log in",
    "credential",
    "密码",
    "账号",
    "パスワード",
    "ログイン",
    "passwort",
    "contraseña",
    "mot de passe",
    "par défaut",
    "비밀번호",
    "계정",
    "парол",
]);

/// A login that the text tells for a new installation.
fn credentials(reading: &Reading, found: &mut Vec<Found<String>>) {
    for block in reading.prose() {
        let text = block.rich.text.as_str();
        if text.len() > 1500 || matches!(block.kind, Kind::Table(_)) || !block.rich.has(&LOGIN) {
            continue;
        }
        let lower = block.rich.lower();
        let title = reading.section(block).lower.as_str();
        let about_demo = words::any(title, &["demo", "体验", "演示", "try it", "デモ", "online"]);
        // "See there what the default password is" tells none.
        let is_asked = words::any(lower, &["what the default", "which default"]);
        if !about_demo
            && !is_asked
            && !words::any(lower, &["demo", "演示", "体验"])
            && DEFAULT_LOGIN.is_match(text)
        {
            push(found, "default credentials".to_owned(), reading.origin(block.line));
            break;
        }
    }
    listed_credentials(reading, found);
}

pub static INITIAL: WordList = WordList::new(&["default", "initial", "默认", "初期", "standard"]);

/// What words on a first login are about.
static ACCOUNT: WordList = WordList::new(&[
    "credential",
    "login",
    "log-in",
    "account",
    "user",
    "账号",
    "账户",
    "用户",
    "密码",
    "パスワード",
    "ユーザ",
    "zugang",
]);

/// "Default credentials", and below it user name and password in lines of their own.
fn listed_credentials(reading: &Reading, found: &mut Vec<Found<String>>) {
    static TITLE: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"(?i)\b(?:default|initial)\s+(?:admin\w*\s+)?(?:credentials?|log-?in|account|user)\b|默认(?:账号|账户|用户|密码)|初期(?:パスワード|ユーザ)|standard-?zugang";
        Regex::new(pattern).expect("the pattern is well-formed")
    });
    static PASSWORD: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"(?i)\b(?:pass(?:word|wort)?|密码|パスワード)\W{0,4}[:：=]\W{0,4}[\w@#!$.-]{3,}";
        Regex::new(pattern).expect("the pattern is well-formed")
    });
    let blocks: Vec<&Block> = reading.prose().collect();
    for (index, block) in blocks.iter().enumerate() {
        let text = block.rich.text.trim();
        if text.len() > 80 {
            continue;
        }
        let is_titled = || {
            let lower = block.rich.lower();
            ACCOUNT.is_in(lower) && !lower.contains("demo") && TITLE.is_match(text)
        };
        if !block.rich.has(&INITIAL) || !is_titled() {
            continue;
        }
        if let Some(line) = blocks.get(index + 1).and_then(|next| tabled_password(next)) {
            return push(found, "default credentials".to_owned(), reading.origin(line));
        }
        let near = blocks.iter().skip(index + 1).take(3).filter(|near| near.rich.text.len() < 80);
        let mut near = near.filter(|near| PASSWORD.is_match(&near.rich.text));
        if let Some(near) = near.next() {
            return push(found, "default credentials".to_owned(), reading.origin(near.line));
        }
    }
}

/// The row of a table that gives a password.
fn tabled_password(block: &Block) -> Option<u32> {
    let Kind::Table(table) = &block.kind else { return None };
    let is_given = |row: &&Row| match row.cells.as_slice() {
        [name, value, ..] => name.lower().trim_start().starts_with("pass") && is_ready(&value.text),
        _ => false,
    };
    table.rows.iter().find(is_given).map(|row| row.line)
}
