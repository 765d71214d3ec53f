//! What a person says they need, taken apart: the single needs, and what they say of the machine they are for.
//! Plain rules over words; what they do not know stays part of a need, and is searched for.

mod machine;
#[cfg(test)]
mod tests;

use crate::arch::Arch;
use crate::search::words;
use crate::units::ByteSize;

/// What is known of the fleet, so that its names are recognised.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'k> {
    pub nodes: &'k [&'k str],
    /// Keys and values.
    pub labels: &'k [(&'k str, &'k str)],
}

/// What was understood.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Needs {
    /// Each in the person's words, in their order.
    pub needs: Vec<String>,
    pub machine: Machine,
    /// Nodes that were named.
    pub nodes: Vec<String>,
    /// Labels that were named: `room=attic`, or `in the attic`.
    pub labels: Vec<(String, String)>,
}

/// What is said of the machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Machine {
    pub arch: Option<Arch>,
    pub memory: Option<ByteSize>,
    pub disk: Option<ByteSize>,
    pub cores: Option<f64>,
    /// `gpu`, `camera`, `gpio`.
    pub capabilities: Vec<String>,
    /// As it was called: `Raspberry Pi 4`.
    pub model: Option<String>,
}

impl Machine {
    pub fn is_unsaid(&self) -> bool {
        *self == Self::default()
    }
}

/// What separates needs, in the languages that people write.
const BETWEEN: &[&str] = &[
    ",",
    ";",
    "，",
    "；",
    "、",
    "\n",
    " & ",
    " + ",
    " and ",
    " plus ",
    " also ",
    " as well as ",
    " und ",
    " sowie ",
    " et ",
    " y ",
    "和",
    "与",
    "以及",
    "还有",
    "并且",
    "と",
    "および",
];

/// Where a need ends, though the sentence goes on: for whom it is.
const AFTER: &[&str] = &[" for my ", " for our ", " for the ", " at home", " für mein", " für unser"];

const LONGEST: usize = 4096;

/// Takes a sentence apart.
pub fn read(text: &str, known: &Known<'_>) -> Needs {
    let text: String = text.chars().take(LONGEST).collect();
    let mut found = Needs::default();
    let mut rest = format!(" {} ", spaced(&text).split_whitespace().collect::<Vec<_>>().join(" "));
    machine::take(&mut rest, &mut found.machine);
    take_places(&mut rest, known, &mut found);
    let mut parts = vec![rest];
    for between in BETWEEN {
        parts = parts.iter().flat_map(|part| split(part, between)).collect();
    }
    let needs = parts.iter().map(|part| trimmed(part)).filter(|need| says_something(need));
    for need in needs {
        if !found.needs.contains(&need) {
            found.needs.push(need);
        }
    }
    found
}

/// Commas as words of their own, but not those within numbers.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 16);
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_in_number = before.is_ascii_digit() && rest.peek().is_some_and(char::is_ascii_digit);
        match c {
            ',' | ';' if !is_in_number => spaced.push_str(&format!(" {c} ")),
            '.' | '!' | '?' if rest.peek().is_none_or(|next| next.is_whitespace()) => spaced.push_str(" , "),
            c => spaced.push(c),
        }
        before = c;
    }
    spaced
}

/// Splits without regard to case.
fn split(text: &str, between: &str) -> Vec<String> {
    let lower = text.to_ascii_lowercase();
    let mut parts = Vec::new();
    let mut start = 0;
    while let Some(at) = lower[start..].find(between) {
        parts.push(format!("{} ", &text[start..start + at]));
        // A space at the end may be the one that the next separator begins with.
        start += at + between.trim_end().len();
    }
    parts.push(text[start..].to_owned());
    parts
}

/// A need without what leads to it and what follows it.
fn trimmed(part: &str) -> String {
    let lower = part.to_ascii_lowercase();
    let end = AFTER.iter().filter_map(|after| lower.find(after)).min().unwrap_or(part.len());
    let kept: Vec<&str> = part[..end].split_whitespace().collect();
    let is_filler = |word: &&&str| {
        let plain = words::fold(word.trim_matches(|c: char| !c.is_alphanumeric()));
        plain.is_empty() || words::is_stop_word(&plain)
    };
    let from = kept.iter().take_while(is_filler).count();
    let until = kept.len() - kept.iter().rev().take_while(is_filler).count();
    let need = kept.get(from..until).unwrap_or_default().join(" ");
    need.trim_matches(|c: char| !c.is_alphanumeric() && c != ')' && c != '+').to_owned()
}

fn says_something(need: &str) -> bool {
    words::of_query(need).iter().any(|word| !words::is_stop_word(&word.text))
}

/// Nodes and labels of the fleet that are named.
fn take_places(rest: &mut String, known: &Known<'_>, found: &mut Needs) {
    for (key, value) in known.labels {
        let written = format!("{key}={value}");
        let spoken = [format!(" in the {value} "), format!(" in {value} "), format!(" on {value} ")];
        let at =
            machine::remove_word(rest, &written) || spoken.iter().any(|spoken| machine::remove(rest, spoken));
        if at {
            found.labels.push(((*key).to_owned(), (*value).to_owned()));
        }
    }
    for node in known.nodes {
        let spoken = [
            format!(" on the {node} "),
            format!(" on node {node} "),
            format!(" on {node} "),
            format!(" auf {node} "),
        ];
        if spoken.iter().any(|spoken| machine::remove(rest, spoken)) {
            found.nodes.push((*node).to_owned());
        }
    }
}
