//! The public keys that a person trusts.

use super::{PublicKey, Signature, SignatureError, UNTRUSTED};

/// Keys whose signatures count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedKeys {
    pub keys: Vec<PublicKey>,
}

impl TrustedKeys {
    /// Reads a list of keys: one on each line, with an optional comment behind it; `#` begins a comment. Whole
    /// minisign files one after the other are such a list too.
    ///
    /// # Errors
    /// When a line is neither a key nor a comment.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let mut keys: Vec<PublicKey> = Vec::new();
        let mut comment = String::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(untrusted) = line.strip_prefix(UNTRUSTED) {
                comment = untrusted.trim().to_owned();
                continue;
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, behind) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let what = "the list of trusted keys";
            let wrong = |_| SignatureError::Malformed { what, line: index + 1, expected: "a public key" };
            let mut key = PublicKey::parse(key).map_err(wrong)?;
            let behind = behind.trim().trim_start_matches('#').trim();
            let before = std::mem::take(&mut comment);
            key.comment = if behind.is_empty() { before } else { behind.to_owned() };
            if !keys.iter().any(|known| known.to_line() == key.to_line()) {
                keys.push(key);
            }
        }
        Ok(Self { keys })
    }

    /// A list that [`TrustedKeys::parse`] reads.
    pub fn to_text(&self) -> String {
        let line =
            |key: &PublicKey| format!("{} {}", key.to_line(), key.comment).trim_end().to_owned() + "\n";
        self.keys.iter().map(line).collect()
    }

    /// The key that signed `bytes`, if it is one of these.
    ///
    /// # Errors
    /// When it is not, or the signature does not fit.
    pub fn verify(&self, signature: &Signature, bytes: &[u8]) -> Result<&PublicKey, SignatureError> {
        if self.keys.is_empty() {
            return Err(SignatureError::NoKeys);
        }
        // Two keys may have one id by chance, or by malice.
        let mut failure = None;
        for key in self.keys.iter().filter(|key| key.id == signature.id) {
            match signature.verify(key, bytes) {
                Ok(()) => return Ok(key),
                Err(error) => failure = Some(error),
            }
        }
        let known = self.keys.iter().map(|key| key.id.to_string()).collect::<Vec<_>>().join(", ");
        Err(failure.unwrap_or(SignatureError::NotTrusted { id: signature.id, known }))
    }
}
