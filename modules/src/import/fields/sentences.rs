//! Sentences of a text, with their places.

const ABBREVIATIONS: [&str; 12] =
    ["e.g.", "i.e.", "etc.", "vs.", "z.b.", "p.ej.", "st.", "no.", "dr.", "inc.", "ver.", "approx."];

/// The sentences of a text.
pub fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        let is_end = match c {
            '。' | '！' | '？' => true,
            '.' | '!' | '?' => {
                let next = chars.peek().map(|(_, next)| *next);
                next.is_none_or(char::is_whitespace) && !is_short(&text[start..end])
            }
            _ => false,
        };
        if is_end {
            found.push(text[start..end].trim());
            start = end;
        }
    }
    found.push(text[start..].trim());
    found.retain(|sentence| !sentence.is_empty());
    found
}

/// Where one of the sentences of a text begins in it.
pub fn place(text: &str, sentence: &str) -> usize {
    (sentence.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len())
}

/// Whether a text ends with an abbreviation or an initial.
fn is_short(text: &str) -> bool {
    let word = text.rsplit(char::is_whitespace).next().unwrap_or_default();
    if word.len() > 24 {
        return false;
    }
    let word = word.to_lowercase();
    word.len() == 2 || word.matches('.').count() > 1 || ABBREVIATIONS.contains(&word.trim_start_matches('('))
}
