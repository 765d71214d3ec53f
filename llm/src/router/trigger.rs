//! The trigger words of modules in a request.

/// A module and the words that route to it (`triggers` of MODULE.yaml, and its name).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    pub module: String,
    pub words: Vec<String>,
}

/// A module whose words were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub module: String,
    pub words: Vec<String>,
    /// Whether hardly anything else is asked for.
    pub is_all: bool,
}

/// What one says around the name of a thing one wants: all of it means "install it".
const AROUND: &[&str] = &[
    "a", "an", "the", "i", "we", "me", "my", "our", "us", "please", "want", "need", "would", "like", "to",
    "have", "can", "could", "you", "deploy", "install", "run", "start", "set", "up", "add", "get", "give",
    "create", "host", "on", "for", "with", "server", "service", "some", "new", "broker", "instance", "here",
    "and", "it", "is", "there", "do", "use",
];
const AROUND_SIGNS: &[&str] = &[
    "请", "帮我", "我", "想", "要", "需要", "安装", "部署", "一个", "个", "装", "启动", "运行", "服务", "吧",
];

/// The modules whose words are in the request; those with the longest words first. A word counts as a whole word only,
/// except in writing that has no spaces.
pub fn find(request: &str, triggers: &[Trigger]) -> Vec<Match> {
    let text = normalised(request);
    let mut found: Vec<Match> = triggers.iter().filter_map(|trigger| match_of(&text, trigger)).collect();
    let weight =
        |found: &Match| std::cmp::Reverse(found.words.iter().map(|word| word.chars().count()).sum::<usize>());
    found.sort_by(|a, b| weight(a).cmp(&weight(b)).then_with(|| a.module.cmp(&b.module)));
    // A word of one module inside of a longer one of another says nothing for the first: "mqtt" in "mqtt explorer".
    let longest: Vec<String> = found.iter().flat_map(|found| found.words.clone()).collect();
    found.retain(|found| {
        !found.words.iter().all(|word| longest.iter().any(|other| other != word && contains(other, word)))
    });
    found
}

fn match_of(text: &str, trigger: &Trigger) -> Option<Match> {
    let named = std::iter::once(&trigger.module).chain(&trigger.words);
    let mut words: Vec<String> =
        named.map(|word| normalised(word)).filter(|word| !word.is_empty() && contains(text, word)).collect();
    words.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    words.dedup();
    if words.is_empty() {
        return None;
    }
    let is_all = leftover(text, &words).is_empty();
    Some(Match { module: trigger.module.clone(), words, is_all })
}

/// Lower case; everything that is no letter or digit becomes one space.
fn normalised(text: &str) -> String {
    let spaced: String =
        text.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn contains(text: &str, word: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && !is_sign(c));
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let open = word.chars().next().is_some_and(is_sign) || !is_letter(before);
        let close = word.chars().next_back().is_some_and(is_sign) || !is_letter(after);
        open && close
    })
}

/// Chinese, Japanese and Korean, which put no spaces between words.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

/// What is left of a request without the words found and those that say nothing.
fn leftover(text: &str, words: &[String]) -> Vec<String> {
    let mut rest = format!(" {text} ");
    for word in words.iter().map(String::as_str).chain(AROUND_SIGNS.iter().copied()) {
        let is_signs = word.chars().all(is_sign);
        rest = if is_signs { rest.replace(word, " ") } else { rest.replace(&format!(" {word} "), "  ") };
    }
    rest.split_whitespace().filter(|word| !AROUND.contains(word)).map(str::to_owned).collect()
}
