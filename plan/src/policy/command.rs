//! Judges a command: its shape, its environment, its program, what it wraps, its paths and addresses, and the rules.

use std::collections::BTreeMap;

use modules::effect::Effect;

use super::hazard::{self, Finding};
use super::look::{Look, Program};
use super::path::{self, Access};
use super::rule::{Called, base};
use super::verdict::{Decision, Verdict};
use super::{Policy, UNKNOWN_EFFECT, address, unit};

/// A command as it would run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Where it runs; a folder of its own if not said.
    pub dir: Option<String>,
}

const MAX_WORDS: usize = 256;
const MAX_WORD: usize = 16 << 10;
const MAX_BYTES: usize = 64 << 10;
/// Wrappers within wrappers.
const MAX_DEPTH: u32 = 4;
/// Variables by which a program is made to run, load or read something else. No policy lets them pass.
const NEVER_SET: [&str; 44] = [
    "PATH",
    "LD_*",
    "DYLD_*",
    "IFS",
    "ENV",
    "BASH_*",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "CDPATH",
    "HOME",
    "SHELL",
    "PYTHON*",
    "PERL*",
    "RUBY*",
    "NODE_*",
    "LUA_*",
    "PHP*",
    "JAVA_*",
    "GIT_*",
    "SSH_*",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "*_PAGER",
    "BROWSER",
    "LESS*",
    "MANPAGER",
    "TAR_OPTIONS",
    "GZIP",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "MALLOC_*",
    "LOCPATH",
    "NLSPATH",
    "HOSTALIASES",
    "RES_OPTIONS",
    "*_PROXY",
    "*_proxy",
    "APT_CONFIG",
    "DPKG_*",
    "XDG_*",
    "SYSTEMD_*",
];

/// What the policy says of a command.
pub fn judge(policy: &Policy, command: &Command, look: &Look<'_>) -> Verdict {
    let mut verdict = Verdict::allow();
    if let Some(why) = misshapen(&command.argv) {
        verdict.effect = UNKNOWN_EFFECT;
        verdict.add(Decision::Forbid, why);
        return verdict;
    }
    for (name, value) in &command.env {
        verdict.join(variable(policy, name, value));
    }
    verdict.join(words(policy, &command.argv, command.dir.as_deref(), look, 0));
    verdict
}

/// What makes words unfit to be looked at any further.
fn misshapen(argv: &[String]) -> Option<String> {
    let Some(program) = argv.first().filter(|program| !program.is_empty()) else {
        return Some("there is no program".to_owned());
    };
    let bytes: usize = argv.iter().map(String::len).sum();
    if argv.len() > MAX_WORDS || bytes > MAX_BYTES || argv.iter().any(|word| word.len() > MAX_WORD) {
        return Some(format!("{} words of {bytes} bytes are too many", argv.len()));
    }
    if !program.chars().all(|c| c.is_ascii_graphic()) {
        return Some(format!("the program {} has characters that only look plain", program.escape_unicode()));
    }
    argv.iter().find_map(|word| odd_character(word))
}

/// A character that a person cannot see, or takes for another one.
fn odd_character(word: &str) -> Option<String> {
    let is_unseen = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(
                c,
                '\u{ad}'
                    | '\u{34f}'
                    | '\u{61c}'
                    | '\u{115f}'
                    | '\u{1160}'
                    | '\u{17b4}'
                    | '\u{17b5}'
                    | '\u{180e}'
            )
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}')
            || matches!(c, '\u{e0000}'..='\u{e0fff}' | '\u{fe00}'..='\u{fe0f}')
    };
    if let Some(c) = word.chars().find(|c| is_unseen(*c)) {
        return Some(format!("a word has the character U+{:04X}, which nobody sees", u32::from(c)));
    }
    let is_like_a_mark = |c: char| {
        matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}')
            || matches!(
                c,
                '\u{2044}'
                    | '\u{2215}'
                    | '\u{29f8}'
                    | '\u{ff0f}'
                    | '\u{2024}'
                    | '\u{ff0e}'
                    | '\u{ff1d}'
                    | '\u{3002}'
            )
    };
    let c = word.chars().find(|c| is_like_a_mark(*c))?;
    Some(format!("a word has the character U+{:04X}, which looks like a plain one", u32::from(c)))
}

fn variable(policy: &Policy, name: &str, value: &str) -> Verdict {
    let mut verdict = Verdict::allow();
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !plain || value.contains('\0') || value.len() > MAX_WORD {
        verdict.add(Decision::Forbid, format!("{name:?} is no variable"));
    } else if let Some(pattern) = NEVER_SET.iter().find(|pattern| crate::glob::matches(pattern, name)) {
        verdict.add(
            Decision::Forbid,
            format!("the variable {name} ({pattern}) changes what a program runs or reads"),
        );
    } else if !policy.environment.contains(name) {
        verdict.add(Decision::Forbid, format!("the policy does not let the variable {name} be set"));
    }
    if let Some(why) = odd_character(value) {
        verdict.add(Decision::Forbid, why);
    }
    verdict
}

/// A program and its words, perhaps those that another one was to run.
fn words(policy: &Policy, argv: &[String], dir: Option<&str>, look: &Look<'_>, depth: u32) -> Verdict {
    let mut verdict = Verdict::allow();
    let Some((name, rest)) = argv.split_first() else {
        verdict.add(Decision::Forbid, "there is no program");
        return verdict;
    };
    if depth > MAX_DEPTH {
        verdict.add(Decision::Forbid, "programs that run programs that run programs");
        return verdict;
    }
    let program = match find(policy, name, look) {
        Ok(program) => program,
        Err(why) => {
            verdict.effect = UNKNOWN_EFFECT;
            verdict.add(Decision::Forbid, why);
            Program { found: name.clone(), real: name.clone() }
        }
    };
    let mut wraps = false;
    for name in names(&program) {
        for finding in hazard::find(name, rest) {
            match finding {
                Finding::Forbid(why) => verdict.add(Decision::Forbid, format!("{name}: {why}")),
                Finding::Ask(why) => verdict.add(Decision::Ask, format!("{name}: {why}")),
                Finding::Variable(name, value) => verdict.join(variable(policy, &name, &value)),
                Finding::Runs(inner) => {
                    wraps = true;
                    verdict.join(words(policy, &inner, dir, look, depth + 1));
                }
            }
        }
    }
    verdict.join(by_rules(policy, &program, rest, wraps));
    for name in names(&program) {
        verdict.join(unit::judge_words(policy, name, rest));
    }
    verdict.join(arguments(policy, rest, dir, look, verdict.effect));
    verdict
}

/// The paths and addresses in the words after a program.
fn arguments(
    policy: &Policy,
    words: &[String],
    dir: Option<&str>,
    look: &Look<'_>,
    effect: Effect,
) -> Verdict {
    let mut verdict = Verdict::allow();
    let access = if effect == Effect::Read { Access::Read } else { Access::Write };
    for word in words {
        let paths = match dir {
            Some(dir) => path::in_folder(word, dir),
            None => path::in_word(word, "/"),
        };
        for path in paths {
            verdict.join(path::judge(policy, &path, access, look));
        }
        if let Some(host) = hosts(word).into_iter().find(|host| is_metadata(host)) {
            verdict.add(Decision::Forbid, format!("{host} gives out credentials of the machine"));
        }
    }
    verdict
}

/// The names a program goes by: how it was called, and what it is.
fn names(program: &Program) -> Vec<&str> {
    let mut names = vec![base(&program.found), base(&program.real)];
    names.dedup();
    names
}

fn find(policy: &Policy, name: &str, look: &Look<'_>) -> Result<Program, String> {
    if name.split('/').any(|part| part == "..") || (name.contains('/') && !name.starts_with('/')) {
        return Err(format!("{name} is neither a name nor an absolute path"));
    }
    let program = (look.program)(name).ok_or_else(|| format!("there is no program {name}"))?;
    let folder = |path: &str| path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let found = folder(&program.found);
    if !policy.programs.contains(&found) {
        return Err(format!("{} is in {found}, from where the policy lets no program run", program.found));
    }
    let is_trusted = program.real.starts_with("/usr/") || policy.programs.contains(&folder(&program.real));
    if !is_trusted
        || program.real.starts_with("/usr/local/") && !policy.programs.contains(&folder(&program.real))
    {
        return Err(format!(
            "{} leads to {}, from where the policy lets no program run",
            program.found, program.real
        ));
    }
    Ok(program)
}

fn by_rules(policy: &Policy, program: &Program, rest: &[String], wraps: bool) -> Verdict {
    let mut verdict = Verdict::allow();
    let called = Called { found: &program.found, real: &program.real };
    let mut is_spoken_of = wraps;
    for rule in policy.rules.iter().filter(|rule| rule.speaks_of(called, rest)) {
        is_spoken_of = true;
        verdict.effect = verdict.effect.max(rule.effect);
        verdict.add(rule.decision, rule.why.clone());
    }
    if !is_spoken_of {
        verdict.effect = UNKNOWN_EFFECT;
        verdict
            .add(policy.otherwise, format!("no rule of the policy speaks of this use of {}", program.found));
    }
    let agreed = policy.remembered.iter().find(|rule| rule.speaks_of(called, rest));
    if let (Decision::Ask, Some(rule)) = (verdict.decision, agreed) {
        verdict.decision = Decision::Allow;
        verdict.effect = verdict.effect.max(rule.effect);
        verdict.add(Decision::Allow, rule.why.clone());
    }
    verdict
}

/// What in a word could be a host.
fn hosts(word: &str) -> Vec<&str> {
    let mut hosts = vec![word];
    for piece in word.split(['/', '=', '@', ',', ' ', '?', '#', '"', '\'', '\n']) {
        hosts.push(piece);
        hosts.extend(piece.rsplit_once(':').map(|(host, _)| host));
        hosts.extend(piece.split_once(']').map(|(host, _)| host));
        hosts.extend(piece.split_once(':').map(|(_, host)| host));
    }
    hosts
}

/// A bare word such as `metadata` may be a file; with a dot it is a host.
fn is_metadata(host: &str) -> bool {
    (host.contains(['.', ':']) || host.bytes().any(|byte| byte.is_ascii_digit()))
        && address::is_metadata(host)
}
