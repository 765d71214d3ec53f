//! The defaults of environment variables, in cells and in words.

use std::sync::LazyLock;

use regex::Regex;

use crate::import::container::EnvEntry;
use crate::import::document::Rich;
use crate::import::words::WordList;

static DEFAULT: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?i)(?:(?:\bdefault(?:s|ed)?(?:\s+if\s+(?:left\s+)?(?:unset|empty|blank|not\s+set))?(?:\s+value)?(?:\s+is)?(?:\s+(?:to|is|are|at|set to))?|\bdefault(?:\s+[a-z]+){1,3}\s+is|\bby default,?\s+(?:this|it|that)\s+is(?:\s+set)?(?:\s+to)?|\bstandardwert(?:\s+ist)?|\bstandardmäßig(?:\s+(?:ist|auf))?|[(]standard:?|\bstandard:|\bvorgabe(?:wert)?(?:\s+ist)?|默认值?(?:为|是)?|預設(?:值)?(?:為)?|デフォルト(?:値)?(?:は)?|初期値(?:は)?|по умолчанию|défaut|por defecto|padrão|기본값(?:은|는)?)\s*[:：=]?\s*(?:\*\*)?(?:`([^`\n]*)`|"([^"\n]*)"|'([^'\n]*)'|“([^”]*)”)|(?:\bdefault(?:s|ed)?(?:\s+if\s+(?:left\s+)?(?:unset|empty|blank|not\s+set))?(?:\s+value)?(?:\s+(?:to|is|are|set to)|\s*[:=])|[(\[]default(?::|\s)(?:\s*(?:is|to|are)\s)?|默认值?(?:为|是|[:：])|預設(?:值)?(?:為|[:：])|デフォルト(?:値)?(?:は|[:：])|初期値[:：]|\bstandard(?:wert)?:|\bvorgabe(?:wert)?:|по умолчанию[:—-]?|défaut\s*[:=]|por defecto\s*[:=]|padrão\s*[:=]|기본값[:：]?)\s*([A-Za-z0-9/.$-][A-Za-z0-9/._:@+-]*))"#;
    Regex::new(pattern).expect("the pattern is well-formed")
});

/// The default that a compose file gives away: `${NAME:-default}`, or a comment that calls the value the default.
pub fn of_entry(entry: &EnvEntry) -> Option<String> {
    let text = entry.value.as_deref().unwrap_or_default();
    let comment = entry.comment.to_lowercase();
    let lower = text.to_lowercase();
    let is_called = !lower.is_empty()
        && entry.is_commented
        && (comment.starts_with("default ")
            || comment.contains(&format!("{lower}(default)"))
            || comment.contains(&format!("{lower} (default)")));
    // "默认50" behind the value 50 itself.
    let is_said = !lower.is_empty() && {
        let rest = comment.split_once("默认").map_or("", |(_, rest)| rest);
        rest.strip_prefix(lower.as_str())
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    let is_called = is_called || is_said;
    let told = || if entry.is_commented { default_in(&entry.comment) } else { None };
    interpolated_default(text).or_else(|| value(text).filter(|_| is_called)).or_else(told)
}

/// `${NAME:-default}` as a whole value.
fn interpolated_default(value: &str) -> Option<String> {
    let inner = value.trim().strip_prefix("${")?.strip_suffix('}')?;
    let (name, default) = inner.split_once(":-").or_else(|| inner.split_once('-'))?;
    (name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !default.is_empty()
        && !default.contains("${"))
    .then(|| default.to_owned())
}

const NOTHING: [&str; 30] = [
    "~",
    "n/a",
    "na",
    "none",
    "null",
    "nil",
    "empty",
    "unset",
    "not set",
    "undefined",
    "无",
    "空",
    "なし",
    "нет",
    "no default",
    "(none)",
    "(empty)",
    "\"\"",
    "''",
    "<empty>",
    "<none>",
    "(unset)",
    "required",
    "optional",
    "*none*",
    "blank",
    "(not set)",
    "없음",
    "未设置",
    "必填",
];

/// What a cell of a column for defaults says.
pub fn default_of_cell(cell: &Rich) -> Option<String> {
    let mut codes = cell.code();
    let text = match (codes.next(), codes.next()) {
        (Some((at, code)), _) if cell.text[..at].trim().len() < 4 => code,
        _ => cell.text.trim(),
    };
    value(explained(text).unwrap_or(text))
}

/// "60 (1 minute)": what stands before brackets that explain it.
fn explained(text: &str) -> Option<&str> {
    let (word, rest) = text.split_once(" (")?;
    (!word.is_empty() && !word.contains(char::is_whitespace) && rest.ends_with(')')).then_some(word)
}

pub fn value(text: &str) -> Option<String> {
    let text = text.trim().trim_matches(['`', '"', '\'']).trim();
    let is_line = text.chars().all(|c| matches!(c, '-' | '–' | '—'));
    let is_nothing = is_line || NOTHING.contains(&text.to_lowercase().as_str());
    // "0 15 2 * * *": when something is done.
    let is_schedule = text.split([' ', ',']).all(|field| {
        field.chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '/' | '-' | '?' | 'L' | '#'))
    });
    let is_sentence = text.split_whitespace().count() > 5 && !is_schedule || text.chars().count() > 120;
    (!is_nothing && !is_sentence).then(|| text.to_owned())
}

pub static DEFAULT_WORDS: WordList = WordList::new(&[
    "default",
    "默认",
    "預設",
    "デフォルト",
    "初期値",
    "standard",
    "по умолчанию",
    "défaut",
    "defecto",
    "padrão",
    "기본값",
    "vorgabe",
]);

/// A number after the word, where the word alone would take any word that follows.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)(?:\b(?:por defecto|par défaut|padrão|standardmäßig)\s+(?:(?:es|est|é|ist|auf)\s+)?|[,;(–—-]\s*(?:by )?default\s+|[，,；（]\s*默认\s*)(\d[0-9A-Za-z.:/-]*)";
    Regex::new(pattern).expect("the pattern is well-formed")
});

/// Whether a text of lower case has a word for defaults.
pub fn speaks_of_default(text: &str) -> bool {
    DEFAULT_WORDS.is_in(text)
}

/// The value before the word.
static CALLED: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)`([^`\n]{1,60})`(?: ?(?:[-–:] )?[(（](?:the |is )?(?:default|默认|預設|デフォルト|standard|par défaut|por defecto|по умолчанию)[)）]| (?:par défaut|por defecto|по умолчанию|ist (?:der )?standard|als standard)\b|がデフォルト)";
    Regex::new(pattern).expect("the pattern is well-formed")
});

/// A default that is stated in words.
pub fn default_in_words(cell: &Rich) -> Option<String> {
    if cell.has(&DEFAULT_WORDS) { told(&marked(cell)) } else { None }
}

pub fn default_in(text: &str) -> Option<String> {
    if DEFAULT_WORDS.is_in(&text.to_lowercase()) { told(text) } else { None }
}

/// The default in a text that has a word for it.
fn told(text: &str) -> Option<String> {
    if text.contains('`')
        && let Some(called) = CALLED.captures(text)
    {
        return value(&called[1]);
    }
    let Some(found) = DEFAULT.captures(text) else {
        return NUMBER.captures(text).and_then(|found| value(found[1].trim_end_matches(['.', ','])));
    };
    let start = found.get(0)?.start();
    if text[..start].to_lowercase().trim_end().ends_with("by") && found.get(5).is_some() {
        return None;
    }
    if let Some(bare) = found.get(5) {
        let word = bare.as_str().trim_end_matches(['.', ',', ';', ')']);
        let is_filler = [
            "the",
            "a",
            "an",
            "to",
            "is",
            "value",
            "is",
            "if",
            "of",
            "when",
            "in",
            "for",
            "by",
            "and",
            "or",
            "used",
            "all",
            "behavior",
            "behaviour",
            "will",
            "it",
            "this",
            "your",
            "not",
            "with",
            "that",
            "no",
        ]
        .contains(&word.to_lowercase().as_str());
        return if is_filler { None } else { value(word) };
    }
    let quoted = (1..5).find_map(|group| found.get(group))?;
    value(quoted.as_str())
}

/// The text with its code between backticks.
pub fn marked(rich: &Rich) -> String {
    let mut codes: Vec<(usize, &str)> = rich.code().collect();
    let mut text = String::with_capacity(rich.text.len() + 2 * codes.len());
    let mut at = 0;
    codes.sort_unstable();
    for (start, code) in codes {
        if start < at {
            continue;
        }
        text.push_str(&rich.text[at..start]);
        text.push('`');
        text.push_str(code);
        text.push('`');
        at = start + code.len();
    }
    text.push_str(&rich.text[at..]);
    text
}
