//! Rules over commands: a program and the words that follow it.
//!
//! An `allow` is narrow: its program is an absolute path, and every word of the command must be spoken of. An `ask` or a
//! `forbid` is wide: it applies wherever its words occur in this order, whatever stands between them; its program may
//! be a bare name with `*`.

use modules::effect::Effect;
use serde::{Deserialize, Serialize};

use super::verdict::Decision;
use crate::glob;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The program, then its words.
    pub argv: Vec<Token>,
    pub decision: Decision,
    /// What such a command changes at most.
    pub effect: Effect,
    /// Options that an `allow` lets pass anywhere; each with the words that belong to it.
    pub options: Vec<Vec<Token>>,
    pub why: String,
    /// Commands it must speak of, and commands it must not; checked when it is read.
    pub matches: Vec<Vec<String>>,
    pub not: Vec<Vec<String>>,
}

/// What one word must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Token {
    /// One of these, exactly.
    Words(Vec<String>),
    /// `<word>`: any word that is no option.
    Word,
    /// `<number>`: digits, perhaps with a unit such as `7d` or `100M`.
    Number,
    /// `<words>`: any number of words that are no options; only last.
    Rest,
    /// `<any>`: whatever follows; only last.
    Any,
}

impl Token {
    pub fn parse(text: &str) -> Self {
        match text {
            "<word>" => Token::Word,
            "<number>" => Token::Number,
            "<words>" => Token::Rest,
            "<any>" => Token::Any,
            text => Token::Words(vec![text.to_owned()]),
        }
    }

    fn fits(&self, word: &str) -> bool {
        match self {
            Token::Words(words) => words.iter().any(|known| known == word),
            Token::Word => !word.starts_with('-') && !word.is_empty(),
            Token::Number => {
                let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                !digits.is_empty()
                    && word.len() - digits.len() <= 5
                    && digits.bytes().all(|b| b.is_ascii_digit())
            }
            Token::Rest | Token::Any => true,
        }
    }
}

/// The paths and names under which a program was called.
#[derive(Debug, Clone, Copy)]
pub struct Called<'c> {
    /// Where it was found: an absolute path.
    pub found: &'c str,
    /// Where that leads, all links followed.
    pub real: &'c str,
}

impl Rule {
    /// Whether it speaks of this command; `words` are those after the program.
    pub fn speaks_of(&self, called: Called<'_>, words: &[String]) -> bool {
        let Some((program, pattern)) = self.argv.split_first() else { return false };
        let words = split(words);
        match self.decision {
            Decision::Allow => is_bound(program, called) && self.fits(pattern, &words),
            Decision::Ask | Decision::Forbid => is_named(program, called) && occurs(pattern, &words),
        }
    }

    /// Every word is one that the pattern or an option speaks of.
    fn fits(&self, pattern: &[Token], words: &[String]) -> bool {
        let Some(word) = words.first() else {
            return pattern.iter().all(|token| matches!(token, Token::Rest | Token::Any));
        };
        if matches!(pattern.first(), Some(Token::Any)) {
            return true;
        }
        let option = self.options.iter().find(|option| {
            option.len() <= words.len() && option.iter().zip(words).all(|(token, word)| token.fits(word))
        });
        if let Some(option) = option
            && self.fits(pattern, &words[option.len().max(1)..])
        {
            return true;
        }
        match pattern.first() {
            None => false,
            Some(Token::Rest) => Token::Word.fits(word) && self.fits(pattern, &words[1..]),
            Some(token) => token.fits(word) && self.fits(&pattern[1..], &words[1..]),
        }
    }
}

/// `--option=value` and `--option value` are the same.
pub fn split(words: &[String]) -> Vec<String> {
    let mut split = Vec::with_capacity(words.len());
    for word in words {
        match word.split_once('=').filter(|(name, _)| name.starts_with("--") && name.len() > 2) {
            Some((name, value)) => split.extend([name.to_owned(), value.to_owned()]),
            None => split.push(word.clone()),
        }
    }
    split
}

fn is_bound(token: &Token, called: Called<'_>) -> bool {
    let Token::Words(paths) = token else { return false };
    paths.iter().any(|path| merged(path) == merged(called.found))
}

/// `/bin` and `/usr/bin` are one folder on Debian.
fn merged(path: &str) -> String {
    match path
        .strip_prefix("/bin/")
        .map(|name| ("bin", name))
        .or(path.strip_prefix("/sbin/").map(|name| ("sbin", name)))
    {
        Some((folder, name)) => format!("/usr/{folder}/{name}"),
        None => path.to_owned(),
    }
}

fn is_named(token: &Token, called: Called<'_>) -> bool {
    let Token::Words(names) = token else { return true };
    let given = [called.found, called.real];
    names.iter().any(|name| match name.starts_with('/') {
        true => given.iter().any(|path| merged(path) == merged(name)),
        false => given.iter().any(|path| glob::matches(name, base(path))),
    })
}

/// The file name of a path.
pub fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn occurs(pattern: &[Token], words: &[String]) -> bool {
    let mut words = words.iter();
    pattern.iter().all(|token| match token {
        Token::Rest | Token::Any => true,
        token => words.any(|word| token.fits(word)),
    })
}
