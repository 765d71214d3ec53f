//! Takes secrets out of output before it is stored, shown or sent, also where a secret is cut over two pieces.
//!
//! Known secrets go in every spelling that tools print: plain, base64, hex, percent-encoded, escaped for JSON. Besides, what looks like a
//! private key or a bearer token goes, whoever it belongs to.

mod spell;

const STARS: &[u8] = b"***";
/// A secret shorter than this would take ordinary words with it.
const SHORTEST: usize = 4;
const LONGEST: usize = 16 << 10;
const KEY_BEGIN: &[u8] = b"-----BEGIN ";
const KEY_END: &[u8] = b"-----END ";
const PRIVATE: &[u8] = b"PRIVATE KEY-----";
/// Words after which a token follows, up to white space or a quote.
const MARKERS: [&[u8]; 6] = [b"Bearer ", b"bearer ", b"sk-", b"ghp_", b"AKIA", b"xoxb-"];
/// Characters a token has at least; less is an ordinary word.
const TOKEN: usize = 16;

/// Takes secrets out of a stream of bytes.
#[derive(Clone)]
pub struct Redactor {
    /// Longest first.
    secrets: Vec<Vec<u8>>,
    /// Bytes that a secret or anything like one begins with; all others are passed on as they are.
    begins: Vec<bool>,
    held: Vec<u8>,
    in_key: bool,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

impl Redactor {
    pub fn new(secrets: &[&str]) -> Self {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for secret in secrets.iter().map(|secret| secret.trim()).filter(|secret| secret.len() >= SHORTEST) {
            all.extend(spell::all(cut(secret)));
            // A key of several lines is also printed line by line.
            let lines = secret.lines().map(str::trim).filter(|line| line.len() >= TOKEN);
            all.extend(lines.map(|line| line.as_bytes().to_vec()));
        }
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        all.dedup();
        let mut begins = vec![false; 256];
        let first = all.iter().map(Vec::as_slice).chain(MARKERS).chain([KEY_BEGIN]).filter_map(<[u8]>::first);
        first.for_each(|byte| begins[usize::from(*byte)] = true);
        Self { secrets: all, begins, held: Vec::new(), in_key: false }
    }

    /// A whole text without its secrets.
    pub fn text(&self, text: &str) -> String {
        let mut own = Self { held: Vec::new(), in_key: false, ..self.clone() };
        let mut clean = own.push(text.as_bytes());
        clean.extend(own.finish());
        String::from_utf8_lossy(&clean).into_owned()
    }

    /// Takes a piece and gives what is clean by now; what may be the beginning of a secret is held back.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend(bytes);
        self.take(false)
    }

    /// Gives what was held back.
    pub fn finish(&mut self) -> Vec<u8> {
        self.take(true)
    }

    fn take(&mut self, is_last: bool) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let mut clean = Vec::with_capacity(held.len());
        let mut at = 0;
        while at < held.len() {
            let mut rest = &held[at..];
            if !self.in_key {
                let plain = rest.iter().take_while(|byte| !self.begins[usize::from(**byte)]).count();
                clean.extend(&rest[..plain]);
                at += plain;
                rest = &rest[plain..];
            }
            if rest.is_empty() {
                break;
            }
            match self.step(rest, is_last) {
                Step::Keep => {
                    clean.push(rest[0]);
                    at += 1;
                }
                Step::Drop(count) => at += count,
                Step::Replace(count) => {
                    clean.extend(STARS);
                    at += count;
                }
                Step::Wait => break,
            }
        }
        self.held = held[at..].to_vec();
        clean
    }

    fn step(&mut self, rest: &[u8], is_last: bool) -> Step {
        if self.in_key {
            return self.leave_key(rest, is_last);
        }
        let is_begun = |whole: &[u8]| whole.len() > rest.len() && whole.starts_with(rest);
        // Asked first: of two secrets the longer may begin as the shorter one ends.
        if !is_last && self.secrets.iter().any(|secret| is_begun(secret)) {
            return Step::Wait;
        }
        if let Some(secret) = self.secrets.iter().find(|secret| rest.starts_with(secret)) {
            return Step::Replace(secret.len());
        }
        if rest[0] == b'-' {
            return self.enter_key(rest, is_last);
        }
        for marker in MARKERS {
            if rest.starts_with(marker) {
                let token = token_length(&rest[marker.len()..]);
                let is_open = marker.len() + token == rest.len() && token < LONGEST;
                return match (is_open && !is_last, token >= TOKEN) {
                    (true, _) => Step::Wait,
                    (false, true) => Step::Replace(marker.len() + token),
                    (false, false) => Step::Keep,
                };
            }
            if !is_last && is_begun(marker) {
                return Step::Wait;
            }
        }
        Step::Keep
    }

    fn enter_key(&mut self, rest: &[u8], is_last: bool) -> Step {
        if !rest.starts_with(KEY_BEGIN) {
            return if !is_last && KEY_BEGIN.starts_with(rest) { Step::Wait } else { Step::Keep };
        }
        let line = &rest[..rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()).min(100)];
        let Some(end) = line.windows(PRIVATE.len()).position(|window| window == PRIVATE) else {
            return if !is_last && line.len() == rest.len() && line.len() < 100 {
                Step::Wait
            } else {
                Step::Keep
            };
        };
        self.in_key = true;
        Step::Replace(end + PRIVATE.len())
    }

    fn leave_key(&mut self, rest: &[u8], is_last: bool) -> Step {
        let Some(end) = rest.windows(KEY_END.len()).position(|window| window == KEY_END) else {
            // Enough is held to find the end when it is cut in two.
            let kept = if is_last { 0 } else { rest.len().min(KEY_END.len() - 1) };
            return if rest.len() > kept { Step::Drop(rest.len() - kept) } else { Step::Wait };
        };
        let after = &rest[end + KEY_END.len()..];
        match after.windows(5).position(|window| window == b"-----") {
            Some(dashes) => {
                self.in_key = false;
                Step::Drop(end + KEY_END.len() + dashes + 5)
            }
            None if is_last || after.len() > 100 => Step::Drop(rest.len()),
            None => Step::Wait,
        }
    }
}

/// The beginning of a secret that is too long to be looked for as a whole.
fn cut(secret: &str) -> &str {
    let end = (0..=secret.len().min(LONGEST)).rev().find(|end| secret.is_char_boundary(*end));
    &secret[..end.unwrap_or(0)]
}

enum Step {
    Keep,
    Drop(usize),
    Replace(usize),
    /// More must come before it can be told.
    Wait,
}

/// How long the token is that the bytes begin with. It does not reach into the frame of a key that follows at once.
fn token_length(bytes: &[u8]) -> usize {
    let length = bytes.iter().take_while(|byte| is_token(**byte)).count();
    bytes[..length].windows(5).position(|window| window == b"-----").unwrap_or(length)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_goes_in_every_spelling() {
        let redactor = Redactor::new(&["hunter2!", "abc"]);
        let cases = [
            ("pass=hunter2! end", "pass=*** end"),
            ("68756e7465723221", "***"),
            ("68756E7465723221", "***"),
            ("x?p=hunter2%21&y", "x?p=***&y"),
            ("abc is too short to be taken", "abc is too short to be taken"),
            ("Authorization: Bearer abcdefghijklmnopqrstuvwxyz\r\nx", "Authorization: ***\r\nx"),
            ("bearer token", "bearer token"),
            ("a sk-abcdefghijklmnopqrst, b", "a ***, b"),
            ("a-b --c -----", "a-b --c -----"),
            ("1\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\n2", "1\n***\n2"),
            (
                "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
                "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
            ),
            ("-----BEGIN PRIVATE KEY-----\ncut off", "***"),
        ];
        for (text, expected) in cases {
            assert_eq!(redactor.text(text), expected, "{text}");
        }
        for before in ["", "a", "ab", "abc"] {
            let encoded =
                String::from_utf8(spell::base64(format!("{before}hunter2!xyz").as_bytes())).expect("ASCII");
            let clean = redactor.text(&encoded);
            assert!(clean.contains("***"), "{before}: {encoded} became {clean}");
        }
        assert!(!format!("{redactor:?}").contains("hunter"));
    }

    #[test]
    fn a_key_right_behind_a_token_and_a_secret_that_begins_like_another_go_in_whole() {
        let cases = [
            ("sk-s3cr3t-value-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----.", "sk-******."),
            ("a s3cr3t-value-and-more b s3cr3t-value c", "a *** b *** c"),
        ];
        for (text, expected) in cases {
            for size in 1..text.len() {
                let mut redactor = Redactor::new(&["s3cr3t-value", "s3cr3t-value-and-more"]);
                let mut clean: Vec<u8> =
                    text.as_bytes().chunks(size).flat_map(|piece| redactor.push(piece)).collect();
                clean.extend(redactor.finish());
                assert_eq!(String::from_utf8_lossy(&clean), expected, "in pieces of {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_secret_is_found_however_the_stream_is_cut(before in "[a-z-]{0,20}", after in "[a-z -]{0,20}", cuts in prop::collection::vec(1_usize..6, 1..40)) {
            let text = format!("{before}s3cr3t-value{after}-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----Bearer 0123456789abcdefgh {after}");
            let whole = Redactor::new(&["s3cr3t-value"]).text(&text);
            let mut redactor = Redactor::new(&["s3cr3t-value"]);
            let (mut clean, mut rest) = (Vec::new(), text.as_bytes());
            for cut in cuts.iter().cycle() {
                let (piece, left) = rest.split_at((*cut).min(rest.len()));
                clean.extend(redactor.push(piece));
                rest = left;
                if rest.is_empty() { break; }
            }
            clean.extend(redactor.finish());
            let clean = String::from_utf8(clean).expect("UTF-8");
            prop_assert!(!clean.contains("s3cr3t") && !clean.contains("QUJD") && !clean.contains("01234"), "{}", clean);
            prop_assert_eq!(clean, whole);
        }
    }
}
