//! How tools print the same secret.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Characters beside letters and digits that nobody percent-encodes, and those that some leave as they are, too.
const PLAIN: &str = "-_.~";
const PLAIN_IN_COMPONENTS: &str = "-_.~!*'()";

/// The secret in all spellings.
pub fn all(secret: &str) -> Vec<Vec<u8>> {
    let mut texts = BTreeSet::from([secret.to_owned()]);
    for is_upper in [false, true] {
        texts.insert(secret.bytes().map(|byte| hex(byte, is_upper)).collect());
        for plain in [PLAIN, PLAIN_IN_COMPONENTS] {
            let percent = percent(secret, plain, is_upper);
            texts.insert(percent.replace("%20", "+"));
            texts.insert(percent);
        }
    }
    texts.extend(json(secret));
    texts.into_iter().map(String::into_bytes).chain(encoded(secret.as_bytes())).collect()
}

fn hex(byte: u8, is_upper: bool) -> String {
    if is_upper { format!("{byte:02X}") } else { format!("{byte:02x}") }
}

fn percent(secret: &str, plain: &str, is_upper: bool) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || plain.contains(char::from(byte));
    let spell = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{}", hex(byte, is_upper)),
    };
    secret.bytes().map(spell).collect()
}

/// As the inside of a JSON text: writers differ in what they escape, and in how.
fn json(secret: &str) -> Vec<String> {
    let needs_none = |byte: u8| matches!(byte, b' '..=b'~') && !b"\"\\/<>&'".contains(&byte);
    if secret.bytes().all(needs_none) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for bits in 0_u8..64 {
        let has = |bit: u8| bits >> bit & 1 == 1;
        let style = Style {
            quotes: has(0),
            slash: if has(1) {
                Slash::Code
            } else if has(2) {
                Slash::Escaped
            } else {
                Slash::Plain
            },
            markup: has(3),
            beyond_ascii: has(4),
            is_upper: has(5),
        };
        all.push(style.write(secret));
    }
    all
}

/// What one writer of JSON escapes with `\\u00XX`.
struct Style {
    /// Quotes and backslashes, too.
    quotes: bool,
    slash: Slash,
    /// What means something in HTML.
    markup: bool,
    beyond_ascii: bool,
    is_upper: bool,
}

enum Slash {
    Plain,
    Escaped,
    Code,
}

impl Style {
    fn write(&self, secret: &str) -> String {
        let mut text = String::new();
        for letter in secret.chars() {
            match letter {
                '"' | '\\' if !self.quotes => text.extend(['\\', letter]),
                '"' | '\\' => self.code(letter, &mut text),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '/' => match self.slash {
                    Slash::Plain => text.push(letter),
                    Slash::Escaped => text.push_str("\\/"),
                    Slash::Code => self.code(letter, &mut text),
                },
                '<' | '>' | '&' | '\'' if self.markup => self.code(letter, &mut text),
                letter if letter.is_ascii_control() => self.code(letter, &mut text),
                letter if !letter.is_ascii() && self.beyond_ascii => self.code(letter, &mut text),
                letter => text.push(letter),
            }
        }
        text
    }

    fn code(&self, letter: char, text: &mut String) {
        for unit in letter.encode_utf16(&mut [0; 2]) {
            let written = match self.is_upper {
                true => write!(text, "\\u{unit:04X}"),
                false => write!(text, "\\u{unit:04x}"),
            };
            written.expect("a text takes all");
        }
    }
}

/// The secret may stand at any place of what is encoded: three alignments, without their unsure edges, in both alphabets.
fn encoded(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (pad, skip) in [(0, 0), (1, 2), (2, 3)] {
        let padded = [vec![0; pad], secret.to_vec()].concat();
        let sure = (padded.len() * 8) / 6;
        if sure > skip + 6 {
            let plain = base64(&padded)[skip..sure].to_vec();
            all.push(plain.iter().map(url_safe).collect());
            all.push(plain);
        }
    }
    all
}

fn url_safe(letter: &u8) -> u8 {
    match letter {
        b'+' => b'-',
        b'/' => b'_',
        letter => *letter,
    }
}

pub fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = Vec::new();
    for group in bytes.chunks(3) {
        let number = group.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        let letters = (0..=group.len()).map(|place| LETTERS[(number >> (18 - 6 * place)) as usize & 63]);
        encoded.extend(letters);
    }
    encoded
}

#[cfg(test)]
mod tests {
    use crate::redact::Redactor;

    #[test]
    fn a_secret_with_capitals_and_marks_goes_in_every_spelling() {
        const SECRET: &str = "Pa\"ss\\W/o<r>d&\u{e9}?~ 1'>";
        let redactor = Redactor::new(&[SECRET]);
        let spelled = [
            SECRET,
            r#"Pa\"ss\\W/o<r>d&é?~ 1'>"#,
            r#"Pa\"ss\\W\/o<r>d&é?~ 1'>"#,
            r#"Pa\"ss\\W/o\u003cr\u003ed\u0026é?~ 1\u0027\u003e"#,
            r#"Pa\"ss\\W\/o\u003Cr\u003Ed\u0026\u00E9?~ 1\u0027\u003E"#,
            r#"Pa\"ss\\W/o<r>d&\u00e9?~ 1'>"#,
            r#"Pa\u0022ss\u005cW\u002fo<r>d&é?~ 1'>"#,
            r#"Pa\u0022ss\u005CW\u002Fo<r>d&\u00E9?~ 1'>"#,
            "Pa%22ss%5CW%2Fo%3Cr%3Ed%26%C3%A9%3F~%201%27%3E",
            "Pa%22ss%5cW%2fo%3cr%3ed%26%c3%a9%3f~%201%27%3e",
            "Pa%22ss%5cW%2fo%3cr%3ed%26%c3%a9%3f~+1%27%3e",
            "Pa%22ss%5CW%2Fo%3Cr%3Ed%26%C3%A9%3F~%201'%3E",
            "5061227373\
             5c572f6f3c723e6426c3a93f7e2031273e",
        ];
        for text in spelled {
            assert_eq!(redactor.text(&format!("x {text} y")), "x *** y", "{text}");
        }
        assert!(serde_json::to_string(SECRET).is_ok_and(|text| redactor.text(&text) == "\"***\""));
        for pad in ["", "a", "ab"] {
            let plain = super::base64(format!("{pad}{SECRET}??>>").as_bytes());
            let safe: Vec<u8> = plain.iter().map(super::url_safe).collect();
            assert_ne!(plain, safe);
            for text in [plain, safe] {
                let text = String::from_utf8(text).expect("ASCII");
                assert!(redactor.text(&text).contains("***"), "{text}");
            }
        }
    }
}
