//! Commands that other languages start: the texts that Python, Perl and their kin hand to a shell or a program.

use super::flow::Lines;
use super::{Findings, Severity, script};

/// The language of a file, if it is one that is looked into.
pub fn language(interpreter: Option<&str>, name: &str) -> Option<&'static str> {
    let by_interpreter =
        interpreter.map(|name| name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'));
    match by_interpreter {
        Some("python") => return Some("python"),
        Some("perl") => return Some("perl"),
        Some("ruby") => return Some("ruby"),
        Some("node" | "nodejs") => return Some("node"),
        Some("php") => return Some("php"),
        Some(_) | None => {}
    }
    let endings = [
        (".py", "python"),
        (".pl", "perl"),
        (".rb", "ruby"),
        (".js", "node"),
        (".mjs", "node"),
        (".php", "php"),
    ];
    endings.into_iter().find(|(end, _)| name.ends_with(end)).map(|(_, language)| language)
}

/// A piece of code: names with what follows them.
enum Token {
    Name(String),
    /// What is between quotes, and its lines.
    Text(String, Lines),
    Other(char),
}

/// Functions whose first text is a command for the shell.
const SHELL_CALLS: [&str; 14] = [
    "system",
    "popen",
    "run",
    "call",
    "check_call",
    "check_output",
    "Popen",
    "exec",
    "execSync",
    "spawn",
    "spawnSync",
    "shell_exec",
    "passthru",
    "getoutput",
];

/// Looks into code.
pub fn check(text: &str, language: &str, file: &str, lines: Lines, findings: &mut Findings) {
    let outer = findings.enter(lines);
    look(text, language, file, lines.first(), findings);
    findings.leave(outer);
}

fn look(text: &str, language: &str, file: &str, line: usize, findings: &mut Findings) {
    let language = language.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let tokens = tokens(text, language, line);
    let has = |names: &[&str]| {
        tokens.iter().find(|(_, token)| matches!(token, Token::Name(name) if names.contains(&name.as_str())))
    };
    let opens_socket = has(&["socket", "Socket", "TCPSocket", "fsockopen", "createConnection"]);
    let hands_over =
        has(&["dup2", "spawn", "pty", "exec", "execl", "execve", "subprocess", "reopen", "proc_open"]);
    let names_shell = tokens.iter().find(|(_, token)| {
        matches!(token, Token::Text(text, _) if matches!(super::programs::base_name(text.split(' ').next().unwrap_or_default()), "sh" | "bash" | "cmd.exe" | "zsh" | "dash"))
    });
    if let (Some(_), Some(_), Some((line, _))) = (opens_socket, hands_over, names_shell) {
        let text = "gives a shell on the node to whoever is at the other end of a connection";
        findings.add(Severity::High, "suspicious-command:reverse-shell", (file, *line), text, None);
    }
    let evaluates = tokens.iter().enumerate().find(|(at, (_, token))| {
        matches!(token, Token::Name(name) if matches!(name.as_str(), "exec" | "eval"))
            && matches!(tokens.get(at + 1), Some((_, Token::Other('('))))
    });
    if let Some((_, (line, _))) = evaluates {
        let place = (file, *line);
        if has(&["urlopen", "requests", "urlretrieve", "LWP", "file_get_contents", "fetch"]).is_some() {
            let text = "executes code as it comes from the network: whoever can change it there has the node";
            findings.add(Severity::High, "curl-pipe-shell", place, text, None);
        }
        if has(&["b64decode", "base64_decode", "unhexlify", "gzinflate", "decode_base64", "atob"]).is_some() {
            let text = "executes code that is encoded, so that nobody sees what it is";
            findings.add(Severity::High, "suspicious-command:encoded", place, text, None);
        }
    }
    for (at, (line, token)) in tokens.iter().enumerate() {
        let Token::Name(name) = token else { continue };
        if !SHELL_CALLS.contains(&name.as_str()) {
            continue;
        }
        called(&tokens[at + 1..], file, *line, findings);
    }
}

/// The arguments of a call: one text, or a list of them.
fn called(tokens: &[(usize, Token)], file: &str, line: usize, findings: &mut Findings) {
    let mut words: Vec<(&str, Lines)> = Vec::new();
    let mut is_list = false;
    for (_, token) in tokens.iter().take(40) {
        match token {
            Token::Text(text, lines) => words.push((text, *lines)),
            Token::Other('[') if words.is_empty() => is_list = true,
            Token::Other('(' | ',') if words.is_empty() || is_list || matches!(token, Token::Other(',')) => {
                if !is_list && !words.is_empty() {
                    break;
                }
            }
            Token::Name(prefix) if words.is_empty() && matches!(prefix.as_str(), "f" | "r" | "b" | "u") => {}
            Token::Other(_) | Token::Name(_) => break,
        }
    }
    match words.as_slice() {
        [] => {}
        words if is_list => {
            let argv: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            script::check_argv(&argv, file, line, findings);
        }
        [(command, lines), ..] => script::check(command, file, *lines, findings),
    }
}

/// Names, texts and signs; comments are left out.
fn tokens(text: &str, language: &str, line: usize) -> Vec<(usize, Token)> {
    let characters: Vec<char> = text.chars().collect();
    let (mut found, mut at, mut line) = (Vec::new(), 0, line);
    let has_slashes = matches!(language, "node" | "php");
    // The text is no longer than is looked at of a file.
    while at < characters.len() {
        let c = characters[at];
        let next = characters.get(at + 1).copied();
        match c {
            '\n' => {
                line += 1;
                at += 1;
            }
            c if c.is_whitespace() => at += 1,
            '#' if language != "node" => {
                while characters.get(at).is_some_and(|c| *c != '\n') {
                    at += 1;
                }
            }
            '/' if has_slashes && next == Some('/') => {
                while characters.get(at).is_some_and(|c| *c != '\n') {
                    at += 1;
                }
            }
            '/' if has_slashes && next == Some('*') => {
                while at < characters.len()
                    && !(characters[at] == '*' && characters.get(at + 1) == Some(&'/'))
                {
                    line += usize::from(characters[at] == '\n');
                    at += 1;
                }
                at += 2;
            }
            '"' | '\'' | '`' => {
                let (text, end) = quoted(&characters, at);
                let end = end.min(characters.len());
                let line_ends = characters[at..end].iter().filter(|c| **c == '\n').count();
                let stands_so = text.matches('\n').count() == line_ends;
                let lines = if stands_so { Lines::From(line) } else { Lines::In(line) };
                found.push((line, Token::Text(text, lines)));
                line += line_ends;
                at = end;
            }
            c if c.is_alphabetic() || c == '_' => {
                let start = at;
                while characters.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
                    at += 1;
                }
                found.push((line, Token::Name(characters[start..at].iter().collect())));
            }
            c => {
                found.push((line, Token::Other(c)));
                at += 1;
            }
        }
    }
    found
}

/// The text in quotes, triple ones too, and where it ends.
fn quoted(characters: &[char], start: usize) -> (String, usize) {
    let quote = characters[start];
    let is_triple = quote != '`'
        && characters.get(start + 1) == Some(&quote)
        && characters.get(start + 2) == Some(&quote);
    let width = if is_triple { 3 } else { 1 };
    let (mut text, mut at) = (String::new(), start + width);
    while let Some(c) = characters.get(at) {
        if *c == '\\' {
            match characters.get(at + 1) {
                Some('n') => text.push('\n'),
                Some(next) => text.push(*next),
                None => {}
            }
            at += 2;
        } else if (0..width).all(|offset| characters.get(at + offset) == Some(&quote)) {
            return (text, at + width);
        } else {
            text.push(*c);
            at += 1;
        }
    }
    (text, at)
}
