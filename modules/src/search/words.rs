//! Text as words that compare well: folded to one spelling, Latin words cut to their stem, and scripts without
//! spaces as pairs of characters.

use std::borrow::Cow;

/// A word of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it was written, folded.
    pub text: String,
    /// As the index has it.
    pub term: String,
}

/// Words that say nothing of what is wanted.
const STOP_WORDS: &[&str] = &[
    "a",
    "all",
    "also",
    "an",
    "and",
    "any",
    "app",
    "are",
    "as",
    "at",
    "be",
    "by",
    "can",
    "could",
    "do",
    "for",
    "from",
    "get",
    "give",
    "good",
    "have",
    "help",
    "i",
    "if",
    "in",
    "install",
    "into",
    "is",
    "it",
    "its",
    "just",
    "like",
    "make",
    "me",
    "my",
    "need",
    "needs",
    "of",
    "on",
    "onto",
    "or",
    "our",
    "please",
    "run",
    "set",
    "setup",
    "should",
    "simple",
    "so",
    "some",
    "something",
    "that",
    "the",
    "their",
    "them",
    "there",
    "this",
    "to",
    "up",
    "use",
    "using",
    "want",
    "we",
    "what",
    "which",
    "with",
    "would",
    "you",
    "your",
    "der",
    "die",
    "das",
    "ein",
    "eine",
    "und",
    "mit",
    "fuer",
    "ich",
    "brauche",
    "le",
    "la",
    "les",
    "un",
    "une",
    "et",
    "pour",
    "de",
    "el",
    "los",
    "para",
    "con",
    "y",
];

pub fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word)
}

/// The words of a query that say what is wanted; if none does, all of them.
pub fn of_query(query: &str) -> Vec<Word> {
    let mut all: Vec<Word> = Vec::new();
    for_each_run(&fold(query), |run| match run {
        Run::Latin(text) => all.push(Word { text: text.to_owned(), term: stem(text).into_owned() }),
        Run::Dense(chars) if chars.len() == 1 => all.push(dense(chars)),
        Run::Dense(chars) => all.extend(chars.windows(2).map(dense)),
    });
    let telling: Vec<Word> = all.iter().filter(|word| !is_stop_word(&word.text)).cloned().collect();
    let mut words = if telling.is_empty() { all } else { telling };
    words.truncate(MAX_WORDS);
    words
}

/// A query is a sentence, not a book.
const MAX_WORDS: usize = 64;

fn dense(chars: &[char]) -> Word {
    let text: String = chars.iter().collect();
    Word { text: text.clone(), term: text }
}

/// Every term that a text is found by.
pub fn terms(text: &str, mut tell: impl FnMut(&str)) {
    for_each_run(&fold(text), |run| match run {
        Run::Latin(word) => {
            tell(&stem(word));
            parts(word, &mut tell);
        }
        Run::Dense(chars) => {
            let mut term = String::new();
            for pair in chars.windows(2).chain(chars.chunks(1)) {
                term.clear();
                term.extend(pair);
                tell(&term);
            }
        }
    });
}

/// `zigbee2mqtt` is also found by `mqtt`.
fn parts(word: &str, tell: &mut impl FnMut(&str)) {
    if !word.bytes().any(|byte| byte.is_ascii_digit()) {
        return;
    }
    for part in word.split(|c: char| c.is_ascii_digit()).filter(|part| part.chars().count() > 2) {
        tell(&stem(part));
    }
}

/// Letters and digits only: `Home Assistant`, `home-assistant` and `homeassistant` are the same.
pub fn squeezed(text: &str) -> String {
    fold(text).chars().filter(|c| c.is_alphanumeric()).collect()
}

enum Run<'r> {
    /// A word of a script with spaces.
    Latin(&'r str),
    /// Characters of a script without.
    Dense(&'r [char]),
}

fn for_each_run(text: &str, mut tell: impl FnMut(Run<'_>)) {
    let mut dense: Vec<char> = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let is_word = c.is_alphanumeric() && !is_dense(c);
        if let (Some(from), false) = (start, is_word) {
            tell(Run::Latin(&text[from..at]));
            start = None;
        }
        if is_dense(c) {
            dense.push(c);
        } else if !dense.is_empty() {
            tell(Run::Dense(&dense));
            dense.clear();
        }
        if is_word && start.is_none() {
            start = Some(at);
        }
    }
}

/// Chinese, Japanese, Korean and Thai: no spaces where words end, or endings that stick to words.
fn is_dense(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0e7f}' | '\u{1100}'..='\u{11ff}' | '\u{3005}' | '\u{3041}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// One spelling: lower case, no accents, plain width, one kana.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        let c = match c {
            '\u{ff01}'..='\u{ff5e}' => narrow(c, 0xfee0),
            '\u{30a1}'..='\u{30f6}' => narrow(c, 0x60),
            other => other,
        };
        for c in c.to_lowercase() {
            match unaccented(c) {
                Some(plain) => folded.push_str(plain),
                None => folded.push(c),
            }
        }
    }
    folded
}

fn narrow(c: char, by: u32) -> char {
    char::from_u32(c as u32 - by).unwrap_or(c)
}

fn unaccented(c: char) -> Option<&'static str> {
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ō' | 'ő' => "o",
        'ö' | 'ø' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' => "s",
        'ß' => "ss",
        'ť' => "t",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        '\u{300}'..='\u{36f}' => "",
        _ => return None,
    })
}

/// Cuts the usual English endings, so that `blocking`, `blocker` and `blocks` are one word.
pub fn stem(word: &str) -> Cow<'_, str> {
    if !word.is_ascii() || word.len() < 4 || word.bytes().any(|byte| byte.is_ascii_digit()) {
        return Cow::Borrowed(word);
    }
    let singular = singular(word);
    let base = ["ing", "er", "ed"].iter().find_map(|ending| {
        let base = singular.strip_suffix(ending)?;
        (base.len() > 3).then(|| undoubled(base).to_owned())
    });
    let base = base.map_or(singular, Cow::Owned);
    match base.strip_suffix('e') {
        Some(short) if base.len() > 4 => Cow::Owned(short.to_owned()),
        _ => base,
    }
}

fn singular(word: &str) -> Cow<'_, str> {
    if let Some(base) = word.strip_suffix("ies").filter(|base| base.len() > 2) {
        return Cow::Owned(format!("{base}y"));
    }
    let sibilant = ["ses", "xes", "ches", "shes", "zes"].iter().any(|ending| word.ends_with(ending));
    match word.strip_suffix('s') {
        Some(base) if sibilant => Cow::Borrowed(base.strip_suffix('e').unwrap_or(base)),
        Some(base) if !base.ends_with(['s', 'u', 'i']) => Cow::Borrowed(base),
        _ => Cow::Borrowed(word),
    }
}

fn undoubled(base: &str) -> &str {
    let bytes = base.as_bytes();
    match bytes {
        [.., first, second] if first == second && !matches!(second, b'l' | b's' | b'z' | b'e' | b'o') => {
            &base[..base.len() - 1]
        }
        _ => base,
    }
}
