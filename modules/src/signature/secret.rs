//! Keys to sign with.

use super::{
    BASE64, Ed25519KeyPair, Engine, KeyId, KeyPair, LEGACY, Lines, PublicKey, SecureRandom, Signature,
    SignatureError, SystemRandom, UNTRUSTED, hash,
};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};

const NO_PASSWORD: [u8; 2] = [0, 0];
const CHECKSUM: [u8; 2] = *b"B2";

/// A key to sign with. Its `Debug` prints no more than its id.
pub struct SecretKey {
    id: KeyId,
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretKey").field("id", &self.id).field("seed", &"***").finish()
    }
}

impl SecretKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn generate() -> Result<Self, SignatureError> {
        let random = SystemRandom::new();
        let (mut id, mut seed) = ([0; 8], [0; 32]);
        random.fill(&mut id).map_err(|_| SignatureError::Random)?;
        random.fill(&mut seed).map_err(|_| SignatureError::Random)?;
        Ok(Self::from_seed(KeyId(id), seed))
    }

    fn from_seed(id: KeyId, seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed");
        Self { id, seed, pair }
    }

    /// Reads a minisign secret key that has no password.
    ///
    /// # Errors
    /// When it is none, has a password, or is damaged.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let mut lines = Lines::new("the secret key", text)?;
        lines.comment(UNTRUSTED, "\"untrusted comment: …\"")?;
        let sizes = [2, 2, 2, 32, 16, 8, 32, 32, 32];
        let [algorithm, password, checksum, _salt, _limits, id, seed, public, sum] =
            lines.parts::<158, 9>(sizes, "the base64 of a secret key")?;
        lines.end()?;
        if algorithm != LEGACY || checksum != CHECKSUM {
            return Err(lines.wrong("a key for ed25519"));
        }
        if password != NO_PASSWORD {
            return Err(SignatureError::Protected);
        }
        // The tool writes no checksum into keys without a password.
        if sum != [0; 32] && sum != checksum_of(&id, &seed, &public) {
            return Err(SignatureError::Checksum);
        }
        let id = KeyId(id.try_into().expect("eight bytes"));
        let key = Self::from_seed(id, seed.try_into().expect("32 bytes"));
        // minisign signs with both halves, so they have to belong together.
        if key.pair.public_key().as_ref() == public { Ok(key) } else { Err(SignatureError::Checksum) }
    }

    /// A file that `minisign -s` takes, without a password; only its owner may read it.
    pub fn to_text(&self) -> String {
        let public = self.pair.public_key();
        let sum = checksum_of(&self.id.0, &self.seed, public.as_ref());
        let parts: [&[u8]; 9] = [
            &LEGACY,
            &NO_PASSWORD,
            &CHECKSUM,
            &[0; 32],
            &[0; 16],
            &self.id.0,
            &self.seed,
            public.as_ref(),
            &sum,
        ];
        format!("{UNTRUSTED}minisign secret key\n{}\n", BASE64.encode(parts.concat()))
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    pub fn public(&self) -> PublicKey {
        let bytes = self.pair.public_key().as_ref().try_into().expect("a public key has 32 bytes");
        PublicKey { id: self.id, bytes, comment: String::new() }
    }

    /// Signs `bytes` together with a comment, such as `mosquitto@2.0.18 sha256:…`.
    ///
    /// # Errors
    /// When the comment is more than one line of text.
    pub fn sign(&self, bytes: &[u8], trusted_comment: &str) -> Result<Signature, SignatureError> {
        if trusted_comment.contains(char::is_control) {
            return Err(SignatureError::CommentCharacter);
        }
        let sign = |bytes: &[u8]| -> [u8; 64] {
            self.pair.sign(bytes).as_ref().try_into().expect("a signature has 64 bytes")
        };
        let signature = sign(&hash(bytes));
        let global = sign(&[&signature[..], trusted_comment.as_bytes()].concat());
        Ok(Signature {
            id: self.id,
            is_hashed: true,
            bytes: signature,
            trusted_comment: trusted_comment.to_owned(),
            comment: format!("signature of the key {}", self.id),
            global,
        })
    }
}

fn checksum_of(id: &[u8], seed: &[u8], public: &[u8]) -> Vec<u8> {
    let mut hasher = Blake2b::<U32>::new();
    for part in [&LEGACY[..], id, seed, public] {
        hasher.update(part);
    }
    hasher.finalize().to_vec()
}
