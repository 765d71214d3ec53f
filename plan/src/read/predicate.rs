//! Reads a claim: a map with one key that names it.

use modules::spec::error::Report;
use modules::spec::read::{Fields, Spot};
use modules::spec::yaml::Value as Yaml;

use super::value;
use crate::decimal::Decimal;
use crate::fault::did_you_mean;
use crate::predicate::{Comparison, Predicate, Subject};

const NAMES: [&str; 10] =
    ["exit", "contains", "lacks", "matches", "number", "count", "equals", "present", "file", "service"];
const MAX_WORDS: usize = 4096;

pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Predicate> {
    let Yaml::Map(entries) = &spot.node.value else {
        report.not(spot, "a predicate such as {exit: 0}", None);
        return None;
    };
    let [entry] = entries.as_slice() else {
        let hint = Some("write one list item for each".to_owned());
        report.wrong(spot.node.place, &spot.path, format!("{} keys", entries.len()), "one predicate", hint);
        return None;
    };
    let path = modules::spec::yaml::join(&spot.path, &entry.key);
    report.visit(&path, entry.value.place);
    let inner = Spot { node: &entry.value, path };
    match entry.key.as_str() {
        "exit" => {
            report.number(&inner, 0..=255).and_then(|status| i32::try_from(status).ok()).map(Predicate::Exit)
        }
        "contains" => words(report, &inner, "text").map(|(of, text)| Predicate::Contains { of, text }),
        "lacks" => words(report, &inner, "text").map(|(of, text)| Predicate::Lacks { of, text }),
        "matches" => words(report, &inner, "pattern").map(|(of, pattern)| Predicate::Matches { of, pattern }),
        "number" => compared(report, &inner).map(|(of, is, to)| Predicate::Number { of, is, to }),
        "count" => compared(report, &inner).map(|(of, is, to)| Predicate::Count { of, is, to }),
        "equals" => equals(report, &inner),
        "present" => subject(report, &inner).map(|of| Predicate::Present { of }),
        "file" => {
            probe(report, &inner, "path", "exists").map(|(path, exists)| Predicate::File { path, exists })
        }
        "service" => {
            probe(report, &inner, "name", "active").map(|(name, active)| Predicate::Service { name, active })
        }
        other => {
            let found = format!("the unknown predicate {:?}", other.chars().take(60).collect::<String>());
            let expected = format!("one of {}", NAMES.join(", "));
            report.wrong(entry.place, &inner.path, found, expected, did_you_mean(other, NAMES));
            None
        }
    }
}

fn subject(report: &mut Report, spot: &Spot<'_>) -> Option<Subject> {
    report.parsed(spot, "a path such as out.stdout or disk.out.used_percent", Subject::parse)
}

fn of(report: &mut Report, fields: &mut Fields<'_>) -> Option<Subject> {
    fields.required(report, "of").and_then(|spot| subject(report, &spot))
}

/// `contains: words` is short for `contains: {of: out.stdout, text: words}`.
fn words(report: &mut Report, spot: &Spot<'_>, name: &'static str) -> Option<(Subject, String)> {
    if matches!(spot.node.value, Yaml::Plain(_) | Yaml::Quoted(_)) {
        let stdout = Subject { step: None, path: vec!["stdout".to_owned()] };
        return report.short_text(spot, MAX_WORDS).map(|text| (stdout, text));
    }
    let mut fields = report.fields(spot, "a text and what it is of")?;
    let of = of(report, &mut fields);
    let text = fields.required(report, name).and_then(|spot| report.short_text(&spot, MAX_WORDS));
    fields.finish(report);
    Some((of?, text?))
}

fn compared(report: &mut Report, spot: &Spot<'_>) -> Option<(Subject, Comparison, Decimal)> {
    let mut fields = report.fields(spot, "a comparison, such as {of: disk.out.used_percent, above: 85}")?;
    let of = of(report, &mut fields);
    let mut found = Vec::new();
    for (name, is) in Comparison::NAMED {
        let Some(spot) = fields.get(report, name) else { continue };
        found.push((is, report.parsed(&spot, "a number", Decimal::parse)));
    }
    if found.len() != 1 {
        let says = format!("{} comparisons", found.len());
        report.wrong(
            spot.node.place,
            &spot.path,
            says,
            "one of below, above, at_most, at_least, equal",
            None,
        );
    }
    fields.finish(report);
    match found.as_slice() {
        [(is, to)] => Some((of?, *is, (*to)?)),
        _ => None,
    }
}

fn equals(report: &mut Report, spot: &Spot<'_>) -> Option<Predicate> {
    let mut fields = report.fields(spot, "a path and a value, such as {of: out.state, value: healthy}")?;
    let of = of(report, &mut fields);
    let value = fields.required(report, "value").and_then(|spot| value::any(report, &spot));
    fields.finish(report);
    Some(Predicate::Equals { of: of?, value: value? })
}

fn probe(
    report: &mut Report,
    spot: &Spot<'_>,
    name: &'static str,
    flag: &'static str,
) -> Option<(String, bool)> {
    let mut fields = report.fields(spot, "what to look at")?;
    let text = fields.required(report, name).and_then(|spot| report.short_text(&spot, MAX_WORDS));
    let holds = match fields.get(report, flag) {
        Some(spot) => report.flag(&spot),
        None => Some(true),
    };
    fields.finish(report);
    Some((text?, holds?))
}
