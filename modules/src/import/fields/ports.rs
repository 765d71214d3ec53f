//! The port that the project listens on, where no container says it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::import::Origin;
use crate::import::container::Container;
use crate::import::document::{Block, Kind, Rich};
use crate::import::facts::{Found, PortFact};
use crate::import::reading::{Reading, is_source};
use crate::import::words::{self, Topic};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is well-formed")
}

static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(?:(?:listen(?:s|ing)?|running|runs|available|served|serve|start(?:s|ed)?|binds?|default|control|access)[^.]{0,40}?\bport_?\b(?:\s+(?:is|number|at|to|on|of|by default))*|默认端口[为是]?|端口(?:号|为|是)?|ポート(?:番号)?|puerto|porta|порт[уе]?|포트|\bports?(?:\s+(?:is|number))?)\s*[:：=(（,]?\s*[`*\x22]*(?:(?:udp|tcp)/)?(\d{2,5})\b",
    )
});
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\]|<?[\[{<]?[a-z0-9_. -]*?(?:ip|host|server|address|addr|domain|pi|local)[a-z0-9_. -]*[\]}>]?|192\.168\.[0-9x]+\.[0-9x]+|\d+\.\d+\.\d+\.\d+|raspberrypi|homeassistant):(\d{2,5})",
    )
});
static LISTEN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?im)(?:listen|bind|addr|port)[a-z_-]*\W{1,12}(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\*)?:(\d{2,5})\b|default:? "?:(\d{2,5})|--(?:[a-z]+-)?port[= ](\d{2,5})\b|\bport\b[^\n]{0,60}[\[(]default:? ?"?(\d{2,5})|^ *-[^\n]{0,60}\blisten[^\n]{0,30}\bport \((\d{2,5})\)"#,
    )
});

/// "Address to listen on. Default is `:8080`."
static LISTENED: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)\blisten[^\n]{0,60}?(?:\n[^\n]{0,100}?)?\bdefault(?:s to| is)?:?\W{1,4}[\w.-]*:(\d{2,5})\b")
});

/// "It serves your folder on `127.0.0.1:8080` by default."
static SERVED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:serv|listen|start|runn|bind|bound|available)[^.\n]{0,60}?\b(?:127\.0\.0\.1|0\.0\.0\.0|localhost):(\d{2,5})\b|\bdefault\W{1,4}--port[= ](?:tcp:)?(\d{2,5})\b",
    )
});

/// An item on an option: "`-p`, `--port`: default is 8080", "`port, -p`: …, defaults to 8080".
static OPTION: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\W{0,3}(?:-p\b\W{1,4})?(?:--(?:http-|listen-|server-|web-)?port\b|port, -)[^\n]{0,80}?\bdefault(?:s to| is)?\W{1,5}(\d{2,5})\b",
    )
});

/// What a program says of its own option: "-p, --port int   Port of the server (default 8080)", over two lines at most.
static USAGE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?im)^[ \t]*(?:-p\b,?[ \t]+)?--(?:http-|listen-|server-|web-)?port\b[^\n]*?(?:\n[ \t]{2,}[^-\s][^\n]*?)?(?:default|falls? ?back)[^\n\d]{0,40}?(\d{2,5})\b",
    )
});

/// How much the plainest words count.
const OUTRIGHT: u8 = 7;
/// What a column of ports is headed.
const HEADERS: [&str; 7] = ["port", "ports", "container port", "port number", "端口", "ポート", "puerto"];
/// A block that names more than that is none that says which one it is.
const MAX_PORTS: usize = 1000;

/// The port in the words of the text: what is said outright before what an address shows.
pub fn find(reading: &Reading) -> Vec<Found<PortFact>> {
    let exposed = exposed(reading);
    if !exposed.is_empty() {
        return exposed;
    }
    let mut best = of_usage(reading);
    for block in &reading.document.blocks {
        // Nothing outranks what is said outright.
        if best.is_some_and(|(rank, _, _)| rank >= OUTRIGHT) {
            break;
        }
        if matches!(reading.topic_of(block), Topic::Elsewhere) || matches!(block.kind, Kind::Table(_)) {
            consider_table(block, &mut best);
            continue;
        }
        let is_development = reading.topic_of(block) == Topic::Development;
        consider(block, is_development, &mut best);
    }
    let Some((_, port, line)) = best else { return Vec::new() };
    let end = reading.document.blocks.partition_point(|block| block.line <= line);
    let said = reading.document.blocks[..end].last().map_or("", |block| block.rich.lower());
    let says = |words: String| words::has_word(said, &words);
    let is_udp =
        (says(format!("udp port {port}")) || says(format!("{port}/udp")) || says(format!("udp/{port}")))
            && !says(format!("{port}/tcp"))
            && !says(format!("tcp/{port}"));
    let fact = |other| {
        let fact = PortFact {
            port: other,
            is_udp: is_udp && other == port,
            host: None,
            address: None,
            description: String::new(),
        };
        Found::inferred(fact, reading.origin(line))
    };
    std::iter::once(port).chain(beside(reading, port, line)).map(fact).collect()
}

/// The port that the text of the program itself calls its default.
fn of_usage(reading: &Reading) -> Option<(u8, u16, u32)> {
    let mut best = None;
    let codes =
        reading.document.blocks.iter().filter(|block| block.is_code() && block.rich.text.contains("--"));
    for block in codes.filter(|block| reading.topic_of(block) != Topic::Elsewhere) {
        if block.rich.text.contains("port")
            && let Some(found) = USAGE.captures(&block.rich.text)
        {
            let at = found.get(0).map_or(0, |whole| whole.start());
            take(&mut best, OUTRIGHT, &found[1], || block.line_at(at));
            break;
        }
    }
    best
}

/// "The following ports are exposed", and a table with a column of them.
fn exposed(reading: &Reading) -> Vec<Found<PortFact>> {
    let mut found: Vec<Found<PortFact>> = Vec::new();
    for (index, block) in reading.document.blocks.iter().enumerate() {
        let Kind::Table(table) = &block.kind else { continue };
        let column = table.header.iter().position(|cell| HEADERS.contains(&cell.lower().trim()));
        let before = index.checked_sub(1).map(|before| reading.block(before));
        let is_said = before.is_some_and(|before| {
            before.rich.text.len() < 400
                && words::any(before.rich.lower(), &["expose", "ports", "端口", "ポート"])
        });
        let Some(column) = column.filter(|_| is_said) else { continue };
        if matches!(reading.topic_of(block), Topic::Development | Topic::Elsewhere) {
            continue;
        }
        for row in &table.rows {
            let text = row.cells.get(column).map_or("", |cell| cell.lower().trim());
            let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            let (Ok(port), true) = (number.parse(), matches!(protocol, "tcp" | "udp")) else { continue };
            let is_udp = protocol == "udp";
            if !found.iter().any(|known| known.value.port == port && known.value.is_udp == is_udp) {
                let fact = PortFact { port, is_udp, host: None, address: None, description: String::new() };
                found.push(Found::inferred(fact, reading.origin(row.line)));
            }
        }
    }
    found
}

/// A server of several ports tells them in one sentence: "starts on port 1025, and the pages are on port 8025".
fn beside(reading: &Reading, port: u16, line: u32) -> Vec<u16> {
    static EACH: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)\b(?:start|listen|run|serve|available)[^.]{0,60}?\bon (?:the )?(?:tcp )?port (\d{2,5})\b|\b0\.0\.0\.0:(\d{2,5})\b",
        )
    });
    /// "Ports 1025 (SMTP), 1143 (IMAP) and 8080 (CardDAV)".
    static LISTED: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(\d{2,5}) ?\([A-Za-z]"));
    let blocks = &reading.document.blocks;
    let end = blocks.partition_point(|block| block.line <= line);
    let Some(block) = blocks[..end].last().filter(|block| !block.is_code() && block.rich.text.len() < 1000)
    else {
        return Vec::new();
    };
    let told = |sentence: &&str| words::has_word(sentence, &port.to_string());
    let sentences = super::sentences::sentences(&block.rich.text);
    let Some(sentence) = sentences.into_iter().find(told) else { return Vec::new() };
    let listed: BTreeSet<u16> =
        LISTED.captures_iter(sentence).filter_map(|found| found[1].parse().ok()).take(MAX_PORTS).collect();
    if sentence.to_lowercase().contains("ports ") && listed.len() > 1 && listed.contains(&port) {
        return listed.into_iter().filter(|other| *other != port).collect();
    }
    let numbers = EACH.captures_iter(sentence).filter_map(|found| found.get(1).or_else(|| found.get(2)));
    let ports: Vec<u16> = numbers.filter_map(|number| number.as_str().parse().ok()).collect();
    // "Or on port …", "instead": one of them is enough.
    let is_choice =
        ["or", "instead", "change", "example", "e.g"].iter().any(|word| words::has_word(sentence, word));
    if is_choice || !ports.contains(&port) {
        return Vec::new();
    }
    ports.into_iter().filter(|other| *other != port).collect()
}

fn consider(block: &Block, is_development: bool, best: &mut Option<(u8, u16, u32)>) {
    let text = &block.rich.text;
    let penalty = if is_development { 4 } else { 0 };
    if !block.is_code() {
        for found in WORDS.captures_iter(text).take(MAX_PORTS) {
            if is_example(text, found.get(0).map_or(0, |whole| whole.start())) {
                continue;
            }
            let whole = found.get(0).map_or(0..0, |whole| whole.range());
            let lower = text[whole.clone()].to_lowercase();
            let rank = if lower.starts_with("port") { 5 } else { OUTRIGHT };
            take(best, rank - penalty.min(rank), &found[1], || block.line_at(whole.start));
        }
    }
    if !block.is_code()
        && text.len() < 1000
        && block.rich.lower().contains("listen")
        && let Some(found) = LISTENED.captures(text)
    {
        let at = found.get(0).map_or(0, |whole| whole.start());
        take(best, 6 - penalty, &found[1], || block.line_at(at));
    }
    if !block.is_code()
        && text.len() < 1000
        && let Some(found) = SERVED.captures(text)
    {
        let at = found.get(0).map_or(0, |whole| whole.start());
        let number = found.get(1).or_else(|| found.get(2)).map_or("", |number| number.as_str());
        take(best, 6 - penalty, number, || block.line_at(at));
    }
    if matches!(block.kind, Kind::Item)
        && let Some(found) = OPTION.captures(text)
    {
        take(best, 6 - penalty, &found[1], || block.line);
    }
    if let Kind::Code(language) = &block.kind
        && is_source(language)
    {
        return;
    }
    // `:900{1,2,3}` and `:80xx` are no ports.
    let is_whole = |found: &Captures<'_>| {
        let end = found.get(0).map_or(0, |whole| whole.end());
        !text[end..].starts_with(|c: char| c.is_ascii_alphanumeric() || "{[".contains(c))
    };
    if let Some(found) = ADDRESS.captures_iter(text).take(MAX_PORTS).find(is_whole) {
        let at = found.get(0).map_or(0, |whole| whole.start());
        let rank = if block.is_code() { 5 } else { 6 + u8::from(says_of_pages(&text[..at])) };
        take(best, rank - penalty, &found[1], || block.line_at(at));
    }
    if block.is_code()
        && !is_of_web_server(text)
        && let Some(found) = LISTEN.captures(text)
    {
        let number = (1..6).find_map(|group| found.get(group)).map_or("", |number| number.as_str());
        let at = found.get(0).map_or(0, |whole| whole.start());
        // What the option is by default comes before the address that an example shows.
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let mut words = text[line..at + found[0].len()].split([' ', ',', '=']);
        let is_option = found.get(5).is_some()
            || found.get(4).is_some() && words.any(|word| matches!(word, "--port" | "-port"));
        take(best, if is_option { 6 } else { 5 } - penalty, number, || block.line_at(at));
    }
}

/// "The web UI listens by default on", before an address.
fn says_of_pages(before: &str) -> bool {
    let sentence = before.rsplit(". ").next().unwrap_or_default().to_lowercase();
    sentence.len() < 80
        && sentence.contains("listen")
        && words::any(&sentence, &["web ui", "webui", "web interface", "web server", "dashboard"])
}

/// Whether a block is the configuration of a web server that stands before the project or serves its files.
fn is_of_web_server(text: &str) -> bool {
    let is_set = |name: &str| text.lines().any(|line| line.trim_start().starts_with(name));
    is_set("server {") && ["server_name ", "proxy_pass ", "root ", "location "].into_iter().any(is_set)
        || is_set("<VirtualHost ")
}

/// The port that a container is told to listen on: `--port 8080` behind its image.
pub fn told_to(container: &Container, file: &str) -> Option<Found<PortFact>> {
    let words = &container.command;
    let value = |at: usize| match words[at].split_once('=') {
        Some(("--port" | "-port", value)) => Some(value),
        _ if matches!(words[at].as_str(), "--port" | "-port") => words.get(at + 1).map(String::as_str),
        _ => None,
    };
    let port = (0..words.len()).find_map(value)?.parse().ok().filter(|port| *port > 0)?;
    let fact = PortFact { port, is_udp: false, host: None, address: None, description: String::new() };
    Some(Found::inferred(fact, Origin { file: file.to_owned(), line: container.line }))
}

/// Whether the sentence at a place explains by an example: `-p 8080:80` "would expose port 80".
fn is_example(text: &str, at: usize) -> bool {
    if text.len() > 2000 {
        return false;
    }
    let start = text[..at].rfind(". ").map_or(0, |dot| dot + 2);
    let sentence = text[start..].split(". ").next().unwrap_or_default().to_lowercase();
    sentence.starts_with("for example") && sentence.contains("would")
        || sentence.contains("-p ") && sentence.contains("would expose")
        || sentence.contains("you can override")
        || sentence.contains("(example)")
        || sentence.starts_with("example:")
}

/// A row of options: `--port … 8080`.
fn consider_table(block: &Block, best: &mut Option<(u8, u16, u32)>) {
    let Kind::Table(table) = &block.kind else { return };
    for row in &table.rows {
        let Some(first) = row.cells.first() else { continue };
        let is_port = first
            .text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word.eq_ignore_ascii_case("port"));
        let is_option = first.text.contains(['-', '_']) || first.code().next().is_some();
        let is_udp = row.cells.iter().any(|cell| words::has_word(cell.lower(), "udp"));
        if let Some(port) = listened(&row.cells).filter(|_| !is_udp) {
            take(best, OUTRIGHT, port, || row.line);
            continue;
        }
        if !is_port || !is_option || is_udp || first.text.chars().count() > 60 {
            continue;
        }
        for cell in row.cells.iter().skip(1) {
            let number = cell.text.trim().trim_matches(['`', '"']);
            take(best, OUTRIGHT, number, || row.line);
        }
    }
}

/// The port of a row such as `--listen-addr`, "default 0.0.0.0:8080".
fn listened(cells: &[Rich]) -> Option<&str> {
    static DEFAULT: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?i)\bdefault(?:s to| is)?\W{1,5}(?:[\w.]*|\[::\]):(\d{2,5})\b"));
    let name = cells.first()?.lower();
    let is_address = words::any(name, &["listen", "bind"]) && words::any(name, &["addr", "http", "host"]);
    let told =
        |cell: &Rich| DEFAULT.captures(&cell.text).and_then(|found| found.get(1).map(|port| port.range()));
    let mut cells = cells.iter().skip(1).filter(|_| is_address);
    cells.find_map(|cell| told(cell).map(|range| &cell.text[range]))
}

fn take(best: &mut Option<(u8, u16, u32)>, rank: u8, number: &str, line: impl Fn() -> u32) {
    let Some(port) = number.parse::<u16>().ok().filter(|port| *port >= 21 && !(1990..=2035).contains(port))
    else {
        return;
    };
    if best.is_none_or(|(known, _, _)| rank > known) && rank > 0 {
        *best = Some((rank, port, line()));
    }
}
