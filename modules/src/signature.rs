//! Signatures of packages: ed25519, in the files of minisign, so that its tool verifies ours and we verify its.
//!
//! A signature is over the BLAKE2b hash of the signed bytes; its trusted comment is signed too. Older signatures over
//! the bytes themselves are accepted as well.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::{Blake2b512, Digest as _};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

mod secret;
#[cfg(test)]
mod tests;
mod trusted;

pub use secret::SecretKey;
pub use trusted::TrustedKeys;

/// Over the bytes themselves.
const LEGACY: [u8; 2] = *b"Ed";
/// Over their BLAKE2b hash.
const HASHED: [u8; 2] = *b"ED";
/// The most that is read of a key or a signature; real ones have some 300 bytes.
const MAX_BYTES: usize = 16 << 10;
const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";

/// Names a key, in a signature and in a list of keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As minisign prints it: a number, little end first.
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why something is not signed, or not by anybody trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("{what} is larger than {MAX_BYTES} bytes")]
    TooLong { what: &'static str },
    #[error("line {line} of {what}: expected {expected}")]
    Malformed { what: &'static str, line: usize, expected: &'static str },
    #[error("the secret key is protected by a password")]
    Protected,
    #[error("the secret key is damaged: its checksum does not fit")]
    Checksum,
    #[error("the key {id} is not trusted; trusted are {known}")]
    NotTrusted { id: KeyId, known: String },
    #[error("no key is trusted")]
    NoKeys,
    #[error("the signature of {id} does not fit: what was signed is not what is here")]
    Mismatch { id: KeyId },
    #[error("the trusted comment of the signature of {id} was changed")]
    Comment { id: KeyId },
    #[error("the trusted comment has a line break or a control character")]
    CommentCharacter,
    #[error("the system gives no random numbers")]
    Random,
}

impl SignatureError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            SignatureError::Protected => Some("make one without a password: minisign -G -W"),
            SignatureError::NotTrusted { .. } | SignatureError::NoKeys => {
                Some("if you trust the signer, add their public key to the trusted keys")
            }
            SignatureError::Mismatch { .. } | SignatureError::Comment { .. } => {
                Some("get both again from where they come from; do not use this file")
            }
            SignatureError::TooLong { .. }
            | SignatureError::Malformed { .. }
            | SignatureError::Checksum
            | SignatureError::CommentCharacter
            | SignatureError::Random => None,
        }
    }
}

/// A key to verify with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub id: KeyId,
    pub(crate) bytes: [u8; 32],
    /// Whose it is, as far as whoever wrote the file says.
    pub comment: String,
}

impl PublicKey {
    /// Reads a minisign public key: the file, or its second line alone.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let what = "the public key";
        let mut lines = Lines::new(what, text)?;
        let comment = lines.comment_if_any(UNTRUSTED);
        let [algorithm, id, bytes] = lines.parts::<42, 3>([2, 8, 32], "the base64 of a public key")?;
        lines.end()?;
        if algorithm != LEGACY {
            return Err(lines.wrong("a key for ed25519"));
        }
        let id = KeyId(id.try_into().expect("eight bytes"));
        Ok(Self { id, bytes: bytes.try_into().expect("32 bytes"), comment })
    }

    /// The key on one line, for lists of trusted keys.
    pub fn to_line(&self) -> String {
        BASE64.encode([&LEGACY[..], &self.id.0, &self.bytes].concat())
    }

    /// A file that `minisign -p` takes.
    pub fn to_text(&self) -> String {
        let comment = match self.comment.as_str() {
            "" => format!("minisign public key {}", self.id),
            comment => comment.to_owned(),
        };
        format!("{UNTRUSTED}{comment}\n{}\n", self.to_line())
    }
}

/// A signature, as in a `.minisig` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub id: KeyId,
    is_hashed: bool,
    bytes: [u8; 64],
    /// Signed together with the signature.
    pub trusted_comment: String,
    comment: String,
    global: [u8; 64],
}

impl Signature {
    /// Reads a `.minisig` file. This says nothing about whether it holds.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let what = "the signature";
        let mut lines = Lines::new(what, text)?;
        let comment = lines.comment(UNTRUSTED, "\"untrusted comment: …\"")?;
        let [algorithm, id, bytes] = lines.parts::<74, 3>([2, 8, 64], "the base64 of a signature")?;
        let is_hashed = match [algorithm[0], algorithm[1]] {
            HASHED => true,
            LEGACY => false,
            _ => return Err(lines.wrong("a signature by ed25519")),
        };
        let trusted_comment = lines.comment(TRUSTED, "\"trusted comment: …\"")?;
        let [global] = lines.parts::<64, 1>([64], "the base64 of the comment's signature")?;
        lines.end()?;
        Ok(Self {
            id: KeyId(id.try_into().expect("eight bytes")),
            is_hashed,
            bytes: bytes.try_into().expect("64 bytes"),
            trusted_comment,
            comment,
            global: global.try_into().expect("64 bytes"),
        })
    }

    /// Whether `key` signed `bytes`.
    ///
    /// # Errors
    /// When it did not, or the comment is not what it signed.
    pub fn verify(&self, key: &PublicKey, bytes: &[u8]) -> Result<(), SignatureError> {
        if key.id != self.id {
            return Err(SignatureError::NotTrusted { id: self.id, known: key.id.to_string() });
        }
        let verifier = UnparsedPublicKey::new(&ED25519, &key.bytes);
        let signed = if self.is_hashed { hash(bytes) } else { bytes.to_vec() };
        verifier.verify(&signed, &self.bytes).map_err(|_| SignatureError::Mismatch { id: self.id })?;
        let comment = [&self.bytes[..], self.trusted_comment.as_bytes()].concat();
        verifier.verify(&comment, &self.global).map_err(|_| SignatureError::Comment { id: self.id })
    }

    /// The text of a `.minisig` file.
    pub fn to_text(&self) -> String {
        let algorithm = if self.is_hashed { HASHED } else { LEGACY };
        let signature = BASE64.encode([&algorithm[..], &self.id.0, &self.bytes].concat());
        let global = BASE64.encode(self.global);
        format!("{UNTRUSTED}{}\n{signature}\n{TRUSTED}{}\n{global}\n", self.comment, self.trusted_comment)
    }
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    Blake2b512::digest(bytes).to_vec()
}

/// The lines of a key or a signature.
struct Lines<'t> {
    what: &'static str,
    lines: std::iter::Peekable<std::str::Lines<'t>>,
    line: usize,
}

impl<'t> Lines<'t> {
    fn new(what: &'static str, text: &'t str) -> Result<Self, SignatureError> {
        if text.len() > MAX_BYTES {
            return Err(SignatureError::TooLong { what });
        }
        Ok(Self { what, lines: text.lines().peekable(), line: 0 })
    }

    fn next(&mut self) -> &'t str {
        self.line += 1;
        self.lines.next().unwrap_or_default().trim_end_matches('\r')
    }

    fn wrong(&self, expected: &'static str) -> SignatureError {
        SignatureError::Malformed { what: self.what, line: self.line.max(1), expected }
    }

    fn comment(&mut self, prefix: &str, expected: &'static str) -> Result<String, SignatureError> {
        let line = self.next();
        line.strip_prefix(prefix).map(str::to_owned).ok_or_else(|| self.wrong(expected))
    }

    fn comment_if_any(&mut self, prefix: &str) -> String {
        match self.lines.peek().and_then(|line| line.strip_prefix(prefix)) {
            Some(comment) => {
                self.next();
                comment.trim_end().to_owned()
            }
            None => String::new(),
        }
    }

    /// The bytes of a line of base64, which has exactly `SIZE` of them, cut into pieces.
    fn parts<const SIZE: usize, const COUNT: usize>(
        &mut self,
        sizes: [usize; COUNT],
        expected: &'static str,
    ) -> Result<[Vec<u8>; COUNT], SignatureError> {
        let line = self.next().trim();
        let bytes = BASE64.decode(line).ok().filter(|bytes| bytes.len() == SIZE);
        let mut rest = bytes.ok_or_else(|| self.wrong(expected))?;
        Ok(sizes.map(|size| {
            let after = rest.split_off(size.min(rest.len()));
            std::mem::replace(&mut rest, after)
        }))
    }

    /// Nothing but empty lines is left.
    fn end(&mut self) -> Result<(), SignatureError> {
        while self.lines.peek().is_some() {
            if !self.next().trim().is_empty() {
                return Err(self.wrong("the end"));
            }
        }
        Ok(())
    }
}
