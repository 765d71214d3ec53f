//! Gaps of a draft, filled by somebody who has read the project's text: a model, mostly.
//!
//! Nothing is taken on its word. Each value comes with the words of the text that say so; they must stand there, what can
//! be compared with them is compared, and the module must still be valid. What does not hold is left out, with the reason.

use serde_yaml::{Mapping, Value};

use super::facts::{Confidence, Origin};
use super::fields::license;
use super::provenance::{Trace, Warning};
use crate::spec::ModuleSpec;
use crate::spec::health::Check;
use crate::spec::runtime::Runtime;

/// A field that a draft may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    Description,
    License,
    Homepage,
    Memory,
    Health,
}

/// What belongs into a gap, and the words of the text that say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    pub field: String,
    pub value: String,
    pub quote: String,
}

const MAX_DESCRIPTION: usize = 200;
const QUOTE: std::ops::RangeInclusive<usize> = 3..=600;

impl Gap {
    pub const ALL: [Gap; 5] = [Gap::Description, Gap::License, Gap::Homepage, Gap::Memory, Gap::Health];

    pub fn as_str(self) -> &'static str {
        match self {
            Gap::Description => "description",
            Gap::License => "license",
            Gap::Homepage => "homepage",
            Gap::Memory => "memory",
            Gap::Health => "health",
        }
    }

    /// What a value of it is, in words.
    pub fn about(self) -> &'static str {
        match self {
            Gap::Description => "what the program is for, in one short sentence of English",
            Gap::License => "the SPDX identifier of its licence",
            Gap::Homepage => "the address of its website, with https://",
            Gap::Memory => "the least memory it needs, in MiB, as a number",
            Gap::Health => "the path of an HTTP page that answers while it is healthy, such as /health",
        }
    }

    /// Whether a module lacks it.
    fn is_in(self, spec: &ModuleSpec) -> bool {
        match self {
            Gap::Description => spec.description.is_empty(),
            Gap::License => spec.license.is_none(),
            Gap::Homepage => spec.homepage.is_none(),
            Gap::Memory => spec.requires.memory.0 == 0,
            Gap::Health => {
                let is_plain =
                    spec.health.as_ref().is_none_or(|health| matches!(health.check, Check::Tcp(_)));
                is_plain && !spec.ports.is_empty() && !matches!(spec.runtime, Runtime::Compose(_))
            }
        }
    }
}

/// What a draft lacks and a text may tell.
pub fn gaps(spec: &ModuleSpec) -> Vec<Gap> {
    Gap::ALL.into_iter().filter(|gap| gap.is_in(spec)).collect()
}

/// Puts in what holds; where it is from, and what was left out.
pub fn fill(spec: &mut ModuleSpec, path: &str, text: &str, fills: &[Fill]) -> (Vec<Trace>, Vec<Warning>) {
    let (mut traces, mut warnings) = (Vec::new(), Vec::new());
    for fill in fills {
        let Some(gap) = gaps(spec).into_iter().find(|gap| gap.as_str() == fill.field) else { continue };
        match filled(spec, gap, text, fill) {
            Ok((new, value, line)) => {
                *spec = new;
                let origin = Origin { file: path.to_owned(), line };
                let confidence = Confidence::Filled;
                traces.push(Trace { field: gap.as_str().to_owned(), value, origin, confidence });
            }
            Err(why) => {
                warnings.push(Warning::new(gap.as_str(), format!("a model's answer was left out: {why}")))
            }
        }
    }
    (traces, warnings)
}

/// The module with the gap filled, the value as it is in there, and the line that says so.
fn filled(spec: &ModuleSpec, gap: Gap, text: &str, fill: &Fill) -> Result<(ModuleSpec, String, u32), String> {
    let quote = fill.quote.trim();
    let line = place(text, quote).ok_or("the words that it quotes do not stand in the text")?;
    let value = fill.value.trim();
    let mut root: Mapping = serde_yaml::from_str(&spec.to_yaml()).map_err(|error| error.to_string())?;
    let mut put = |key: &str, value: Value| drop(root.insert(key.into(), value));
    match gap {
        Gap::Description => {
            let is_fine = !value.is_empty()
                && value.chars().count() <= MAX_DESCRIPTION
                && !value.chars().any(char::is_control);
            is_fine.then_some(()).ok_or("it is no short sentence on one line")?;
            put("description", value.into());
        }
        Gap::License => {
            let told = license::spdx(quote).ok_or("the words that it quotes name no licence")?;
            let is_told = value.to_ascii_lowercase().starts_with(&told.to_ascii_lowercase());
            is_told.then_some(()).ok_or("the words that it quotes name another")?;
            put("license", told.into());
        }
        Gap::Homepage => {
            let is_address = value.starts_with("https://") || value.starts_with("http://");
            (is_address && says(quote, value.trim_end_matches('/'))).then_some(()).ok_or(SAYS_NOT)?;
            put("homepage", value.into());
        }
        Gap::Memory => {
            let told: u64 = value.parse().map_err(|_| "it is no number of MiB")?;
            let is_told = says(quote, value)
                || told.is_multiple_of(1024) && says(quote, &(told / 1024).to_string())
                || told == 512 && (says(quote, "0.5") || says(quote, ".5"));
            (is_told && (1..=1 << 20).contains(&told)).then_some(()).ok_or(SAYS_NOT)?;
            let mut requires = root.get("requires").and_then(Value::as_mapping).cloned().unwrap_or_default();
            requires.insert("memory".into(), format!("{told}MiB").into());
            root.insert("requires".into(), requires.into());
        }
        Gap::Health => {
            let is_path =
                value.starts_with('/') && value.len() > 1 && value.is_ascii() && !value.contains(' ');
            (is_path && says(quote, value)).then_some(()).ok_or(SAYS_NOT)?;
            let port = spec.ports.first().map(|port| port.name.to_string()).unwrap_or_default();
            let http: Mapping =
                [("port".into(), port.into()), ("path".into(), value.into())].into_iter().collect();
            let mut health = root.get("health").and_then(Value::as_mapping).cloned().unwrap_or_default();
            health.remove("tcp");
            health.insert("http".into(), http.into());
            root.insert("health".into(), health.into());
        }
    }
    let yaml = serde_yaml::to_string(&root).map_err(|error| error.to_string())?;
    let new = ModuleSpec::parse("MODULE.yaml", &yaml);
    let new = new.map_err(|errors| {
        errors.errors.first().map_or_else(|| "it is not valid".to_owned(), ToString::to_string)
    })?;
    Ok((new, value.to_owned(), line))
}

const SAYS_NOT: &str = "the words that it quotes do not say so";

/// Whether a quote says a value, and not just something that has it inside: `80` is not said by `8080`.
fn says(quote: &str, value: &str) -> bool {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let joins = |c: char| if is_number { c.is_ascii_digit() || c == '.' } else { c.is_alphanumeric() };
    quote.match_indices(value).any(|(at, _)| {
        let (before, after) = (&quote[..at], &quote[at + value.len()..]);
        let begins = value.starts_with(joins) && before.ends_with(joins);
        let goes_on = value.ends_with(joins) && after.starts_with(joins);
        !begins && !goes_on
    })
}

/// The line in which a quote begins; blanks and line ends count as the same.
fn place(text: &str, quote: &str) -> Option<u32> {
    let mut words = quote.split_whitespace();
    let first = words.next()?;
    if !QUOTE.contains(&quote.len()) {
        return None;
    }
    let rest: Vec<&str> = words.collect();
    let begins = text.match_indices(first).find(|(at, _)| {
        let mut left = &text[at + first.len()..];
        rest.iter().all(|word| {
            let trimmed = left.trim_start();
            let is_next = trimmed.len() < left.len() && trimmed.starts_with(word);
            left = trimmed.get(word.len()..).unwrap_or_default();
            is_next
        })
    });
    let (at, _) = begins?;
    u32::try_from(text[..at].matches('\n').count() + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAFT: &str = "name: lampd\nversion: 1.0.0\nports: [{name: web, port: auto, target: 80}]\n\
        runtime: {container: {image: example/lampd:1}}\n";
    const TEXT: &str = "# Lampd\n\nLampd switches the lamps\nof your house.\n\nIt wants 2 GB of memory, and port 8080.\n\
        `/healthz` answers while it is up.\nSee https://lampd.example.org/ for more.\nLicensed under the MIT License.\n";

    #[test]
    fn gaps_are_filled_by_what_the_text_says_and_with_its_line() {
        let mut spec = ModuleSpec::parse("MODULE.yaml", DRAFT).expect("valid");
        assert_eq!(gaps(&spec), Gap::ALL);
        let fills = [
            ("description", "Switches the lamps of a house", "switches the lamps of your house"),
            ("memory", "2048", "It wants 2 GB of memory"),
            ("health", "/healthz", "`/healthz` answers while it is up"),
            ("homepage", "https://lampd.example.org/", "See https://lampd.example.org/ for more"),
            ("license", "MIT", "Licensed under the MIT License"),
            ("name", "evil", "Lampd"),
        ];
        let (traces, warnings) = fill(&mut spec, "README.md", TEXT, &fills.map(of));
        assert_eq!(warnings, []);
        let lines: Vec<(&str, u32)> =
            traces.iter().map(|trace| (trace.field.as_str(), trace.origin.line)).collect();
        assert_eq!(
            lines,
            [("description", 3), ("memory", 6), ("health", 7), ("homepage", 8), ("license", 9)]
        );
        assert!(traces.iter().all(|trace| trace.confidence == Confidence::Filled));
        let yaml = spec.to_yaml();
        for part in ["name: lampd", "Switches the lamps", "memory: 2GiB", "path: /healthz", "license: MIT"] {
            assert!(yaml.contains(part), "{part}: {yaml}");
        }
        assert_eq!(gaps(&spec), []);
    }

    #[test]
    fn what_the_text_does_not_say_is_left_out_with_the_reason() {
        let cases = [
            ("description", "Mines coins", "mines coins for you", "do not stand in the text"),
            ("description", "two\nlines", "Lampd", "no short sentence"),
            ("memory", "808", "and port 8080", "do not say so"),
            ("memory", "lots", "It wants 2 GB of memory", "no number"),
            ("memory", "0", "It wants 2 GB of memory", "do not say so"),
            ("health", "/admin", "`/healthz` answers", "do not say so"),
            ("health", "healthz", "`/healthz` answers", "do not say so"),
            ("homepage", "https://evil.example.org", "See https://lampd.example.org/", "do not say so"),
            ("homepage", "javascript:alert(1)", "See https://lampd.example.org/", "do not say so"),
            ("license", "GPL-3.0", "Licensed under the MIT License", "name another"),
            ("license", "MIT", "See https://lampd.example.org/", "name no licence"),
            ("license", "MIT", "", "do not stand in the text"),
        ];
        for (field, value, quote, says) in cases {
            let mut spec = ModuleSpec::parse("MODULE.yaml", DRAFT).expect("valid");
            let (traces, warnings) = fill(&mut spec, "README.md", TEXT, &[of((field, value, quote))]);
            assert_eq!(traces, [], "{field} {value}");
            assert!(warnings.len() == 1 && warnings[0].text.contains(says), "{field} {value}: {warnings:?}");
            assert_eq!(spec, ModuleSpec::parse("MODULE.yaml", DRAFT).expect("valid"));
        }
    }

    fn of((field, value, quote): (&str, &str, &str)) -> Fill {
        Fill { field: field.to_owned(), value: value.to_owned(), quote: quote.to_owned() }
    }
}
