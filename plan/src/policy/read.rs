//! Policies as YAML, with places in errors. Examples in a rule are tried when it is read.

use std::collections::BTreeSet;

use modules::effect::Effect;
use modules::spec::error::{Report, SpecErrors};
use modules::spec::read::Spot;
use modules::spec::yaml::{self, Value as Yaml};

use super::rule::{Called, Rule, Token, base};
use super::verdict::Decision;
use super::{PathRule, Policy};
use crate::tool::Tool;

/// The policy that is shipped, as it is written.
pub const DEFAULT: &str = include_str!("default.yaml");

impl Policy {
    /// The policy that is shipped.
    pub fn standard() -> Self {
        Self::parse("default.yaml", DEFAULT.as_bytes()).expect("the shipped policy is read by a test")
    }

    /// Reads a policy; `file` is its name in errors.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place; also examples that do not come out as they say.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, SpecErrors> {
        let mut report = Report::new(file);
        let node = yaml::text(bytes, &mut report).and_then(|text| yaml::parse(text, &mut report));
        let policy = node.and_then(|node| read(&mut report, &Spot { node: &node, path: String::new() }));
        match policy {
            Some(policy) => report.finish(policy),
            None => Err(report.finish(()).expect_err("what cannot be read was reported")),
        }
    }

    /// Both policies at once: what either forbids is forbidden, what either asks is asked.
    pub fn join(mut self, other: Policy) -> Policy {
        self.otherwise = self.otherwise.max(other.otherwise);
        self.programs = self.programs.intersection(&other.programs).cloned().collect();
        self.environment = self.environment.intersection(&other.environment).cloned().collect();
        self.private = self.private.intersection(&other.private).cloned().collect();
        for (tool, decision) in other.tools {
            let own = self.tools.entry(tool).or_insert(Decision::Allow);
            *own = decision.max(*own);
        }
        for (name, decision) in other.services {
            let own = self.services.entry(name).or_insert(Decision::Allow);
            *own = decision.max(*own);
        }
        self.paths.extend(other.paths);
        // What only one of them allows is for the other one not spoken of, so only rules that narrow are taken.
        self.rules.extend(other.rules.into_iter().filter(|rule| rule.decision != Decision::Allow));
        self
    }
}

fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Policy> {
    let mut fields = report.fields(spot, "a policy: otherwise and rules")?;
    let otherwise = fields.get(report, "otherwise").and_then(|spot| report.choice(&spot, &Decision::NAMED));
    let programs = fields.get(report, "programs").and_then(|spot| report.list(&spot, folder));
    let environment = fields.get(report, "environment").and_then(|spot| report.words(&spot));
    let private = fields.get(report, "private").and_then(|spot| report.words(&spot));
    let tools = fields.get(report, "tools");
    let tools = tools.and_then(|spot| {
        report.map(&spot, |key| Tool::parse(key).map_err(|_| "a tool".to_owned()), decision)
    });
    let services = fields.get(report, "services");
    let services =
        services.and_then(|spot| report.map(&spot, |key| Ok::<_, String>(key.to_owned()), decision));
    let paths = fields.get(report, "paths").and_then(|spot| report.list(&spot, path_rule));
    let rules = fields.get(report, "rules").and_then(|spot| report.list(&spot, rule));
    fields.finish(report);
    Some(Policy {
        otherwise: otherwise.unwrap_or(Decision::Ask),
        programs: set(programs),
        environment: set(environment),
        tools: tools.unwrap_or_default(),
        paths: paths.unwrap_or_default(),
        services: services.unwrap_or_default(),
        private: set(private),
        rules: rules.unwrap_or_default(),
        remembered: Vec::new(),
    })
}

fn set(list: Option<Vec<String>>) -> BTreeSet<String> {
    list.unwrap_or_default().into_iter().collect()
}

fn decision(report: &mut Report, spot: &Spot<'_>) -> Option<Decision> {
    report.choice(spot, &Decision::NAMED)
}

fn folder(report: &mut Report, spot: &Spot<'_>) -> Option<String> {
    let parse = |text: &str| {
        let fits = text.starts_with('/') && text.len() > 1 && super::path::plain(text, "/") == text;
        fits.then(|| text.to_owned()).ok_or("it begins with / and has no .., no . and no / at its end")
    };
    report.parsed(spot, "a folder", parse)
}

fn path_rule(report: &mut Report, spot: &Spot<'_>) -> Option<PathRule> {
    let mut fields = report.fields(spot, "a path, such as {path: /etc/, write: ask}")?;
    let path = fields.required(report, "path").and_then(|spot| {
        let parse =
            |text: &str| text.starts_with(['/', '*']).then(|| text.to_owned()).ok_or("it begins with /");
        report.parsed(&spot, "a path", parse)
    });
    let read = fields.get(report, "read").and_then(|spot| decision(report, &spot));
    let write = fields.get(report, "write").and_then(|spot| decision(report, &spot));
    fields.finish(report);
    Some(PathRule {
        path: path?,
        read: read.unwrap_or(Decision::Allow),
        write: write.unwrap_or(Decision::Allow),
    })
}

fn rule(report: &mut Report, spot: &Spot<'_>) -> Option<Rule> {
    let mut fields =
        report.fields(spot, "a rule, such as {argv: [/usr/bin/df, <words>], decision: allow}")?;
    let argv = fields.required(report, "argv").and_then(|spot| report.list(&spot, token));
    let decision = fields.required(report, "decision").and_then(|spot| decision(report, &spot));
    let effect = fields.required(report, "effect").and_then(|spot| report.choice(&spot, &Effect::NAMED));
    let options = fields.get(report, "options").and_then(|spot| report.list(&spot, option));
    let why = fields.required(report, "why").and_then(|spot| report.short_text(&spot, 400));
    let matches = fields.required(report, "match").and_then(|spot| report.list(&spot, example));
    let not = fields.required(report, "not").and_then(|spot| report.list(&spot, example));
    fields.finish(report);
    let rule = Rule {
        argv: argv?,
        decision: decision?,
        effect: effect?,
        options: options.unwrap_or_default(),
        why: why?,
        matches: matches?,
        not: not?,
    };
    check(report, spot, &rule);
    Some(rule)
}

fn token(report: &mut Report, spot: &Spot<'_>) -> Option<Token> {
    match &spot.node.value {
        Yaml::List(_) => report.words(spot).map(Token::Words),
        _ => report.short_text(spot, 200).map(|text| Token::parse(&text)),
    }
}

fn option(report: &mut Report, spot: &Spot<'_>) -> Option<Vec<Token>> {
    match &spot.node.value {
        Yaml::List(_) => report.list(spot, token),
        _ => token(report, spot).map(|token| vec![token]),
    }
}

/// A command as a list, or as words with spaces between them.
fn example(report: &mut Report, spot: &Spot<'_>) -> Option<Vec<String>> {
    match &spot.node.value {
        Yaml::List(_) => report.command(spot),
        _ => Some(report.short_text(spot, 1000)?.split_whitespace().map(str::to_owned).collect()),
    }
}

fn check(report: &mut Report, spot: &Spot<'_>, rule: &Rule) {
    let at = |name: &str| format!("{}.{name}", spot.path);
    let Some(Token::Words(programs)) = rule.argv.first() else {
        report.at(&at("argv"), "no program", "the program first", None);
        return;
    };
    if rule.decision == Decision::Allow && programs.iter().any(|program| !program.starts_with('/')) {
        report.at(&at("argv[0]"), "a bare name", "an absolute path: an allow is bound to one program", None);
    }
    let rest = &rule.argv[1..];
    if rest.iter().rev().skip(1).any(|token| matches!(token, Token::Rest | Token::Any)) {
        report.at(&at("argv"), "<words> or <any> before the end", "them last", None);
    }
    if rule.matches.is_empty() || rule.not.is_empty() {
        report.at(&at("match"), "no example", "a command in match and one in not", None);
    }
    for (name, examples, expected) in [("match", &rule.matches, true), ("not", &rule.not, false)] {
        for (index, argv) in examples.iter().enumerate() {
            if speaks_of(rule, programs, argv) != expected {
                let says = if expected {
                    "a command that the rule speaks of"
                } else {
                    "one that it does not speak of"
                };
                report.at(&at(&format!("{name}[{index}]")), argv.join(" "), says, None);
            }
        }
    }
}

/// A bare name in an example is the program of the rule that has this name, or is in `/usr/bin`.
fn speaks_of(rule: &Rule, programs: &[String], argv: &[String]) -> bool {
    let Some((name, words)) = argv.split_first() else { return false };
    let known = programs.iter().find(|program| program.starts_with('/') && base(program) == name);
    let path = match (name.starts_with('/'), known) {
        (true, _) => name.clone(),
        (false, Some(program)) => program.clone(),
        (false, None) => format!("/usr/bin/{name}"),
    };
    rule.speaks_of(Called { found: &path, real: &path }, words)
}
