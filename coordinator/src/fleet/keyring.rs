//! The master key: it seals what the store must not show, such as the fleet's CA key. It never leaves this machine.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use proto::code::Code;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::fault;

const KEY_LEN: usize = 32;
const FILE: &str = "master.key";

/// Names the variable that holds the key as 64 hex digits, instead of the file.
pub const VARIABLE: &str = "ORCHESTRATOR_MASTER_KEY";

/// Bytes that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What only the holder of the master key can open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Which master key sealed it; tells a wrong key from damage.
    key_id: String,
    nonce: String,
    bytes: String,
}

#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("could not {operation} the master key {}", path.display())]
    File {
        operation: &'static str,
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the master key in {place} is not {KEY_LEN} bytes in hex")]
    Malformed { place: String },
    #[error("{name} was sealed with another master key ({sealed_by}) than ours ({ours})")]
    OtherKey { name: String, sealed_by: String, ours: String },
    #[error("{name} is damaged: it does not open with our master key")]
    Damaged { name: String },
    #[error("the system has no randomness")]
    NoRandomness,
}

impl KeyringError {
    pub fn code(&self) -> Code {
        match self {
            KeyringError::OtherKey { .. } => Code::Denied,
            KeyringError::Malformed { .. } => Code::InvalidInput,
            KeyringError::File { .. } | KeyringError::Damaged { .. } => Code::Failed,
            KeyringError::NoRandomness => Code::Internal,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            KeyringError::OtherKey { .. } => Some(format!(
                "copy {FILE} from the data folder of a coordinator that uses this store, or set {VARIABLE}"
            )),
            KeyringError::Malformed { .. } => Some("make one with `openssl rand -hex 32`".to_owned()),
            KeyringError::File { .. } | KeyringError::Damaged { .. } | KeyringError::NoRandomness => None,
        }
    }
}

/// Seals and opens with the master key.
pub struct Keyring {
    key: LessSafeKey,
    id: String,
    random: SystemRandom,
}

impl Keyring {
    /// Reads the key from the environment or the data folder; makes it on first use.
    pub fn open(data_dir: &Path) -> Result<Self, KeyringError> {
        match std::env::var(VARIABLE) {
            Ok(text) => Self::from_hex(&text, &format!("${VARIABLE}")),
            Err(_) => Self::from_file(&data_dir.join(FILE)),
        }
    }

    /// The key in this file, which is made where there is none.
    pub fn from_file(path: &Path) -> Result<Self, KeyringError> {
        let failed = |operation| move |cause| KeyringError::File { operation, path: path.to_owned(), cause };
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_key_file(path)?;
                fs::read_to_string(path).map_err(failed("read"))?
            }
            read => read.map_err(failed("read"))?,
        };
        Self::from_hex(text.trim(), &path.display().to_string())
    }

    fn from_hex(text: &str, place: &str) -> Result<Self, KeyringError> {
        let malformed = || KeyringError::Malformed { place: place.to_owned() };
        let bytes = decode_hex(text).ok_or_else(malformed)?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| malformed())?;
        let id =
            encode_hex(&digest(&SHA256, &[b"orchestrator master key", &bytes[..]].concat()).as_ref()[..4]);
        Ok(Self { key: LessSafeKey::new(key), id, random: SystemRandom::new() })
    }

    /// Seals `secret` so that it opens only under the same name.
    pub fn seal(&self, name: &str, secret: &Secret) -> Result<Sealed, KeyringError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| KeyringError::NoRandomness)?;
        let mut bytes = secret.expose().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name), &mut bytes)
            .map_err(|_| KeyringError::NoRandomness)?;
        Ok(Sealed { key_id: self.id.clone(), nonce: encode_hex(&nonce), bytes: encode_hex(&bytes) })
    }

    pub fn unseal(&self, name: &str, sealed: &Sealed) -> Result<Secret, KeyringError> {
        if sealed.key_id != self.id {
            let (sealed_by, ours) = (sealed.key_id.clone(), self.id.clone());
            return Err(KeyringError::OtherKey { name: name.to_owned(), sealed_by, ours });
        }
        let damaged = || KeyringError::Damaged { name: name.to_owned() };
        let nonce = decode_hex(&sealed.nonce).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| damaged())?;
        let mut bytes = decode_hex(&sealed.bytes).ok_or_else(damaged)?;
        let opened = self.key.open_in_place(nonce, Aad::from(name), &mut bytes).map_err(|_| damaged())?;
        Ok(Secret(opened.to_vec()))
    }
}

/// Two processes may do this at once: the file appears whole, and the first one stays. What a killed one left is
/// overwritten by the next.
fn make_key_file(path: &Path) -> Result<(), KeyringError> {
    let mut bytes = [0; KEY_LEN];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyringError::NoRandomness)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let make = || {
        fs::create_dir_all(dir)?;
        let folder = fs::File::open(dir)?;
        folder.lock()?;
        if path.exists() {
            return Ok(());
        }
        let new = path.with_extension("key.new");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        writeln!(file, "{}", encode_hex(&bytes))?;
        file.sync_all()?;
        fault::point("key.written");
        fs::rename(&new, path)?;
        folder.sync_all()
    };
    make().map_err(|cause| KeyringError::File { operation: "make", path: path.to_owned(), cause })
}

pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok());
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn keyring(dir: &Path) -> Keyring {
        Keyring::from_file(&dir.join(FILE)).expect("opens")
    }

    #[test]
    fn a_secret_opens_under_its_name_with_its_key_only() {
        let (ours, theirs) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let secret = Secret::new("hunter2");
        let sealed = keyring(ours.path()).seal("/a", &secret).expect("seals");
        assert!(!format!("{sealed:?} {secret:?}").contains("hunter2"));
        // Opened by the next process, which reads the key from the file.
        assert_eq!(keyring(ours.path()).unseal("/a", &sealed).expect("opens"), secret);
        let moved = keyring(ours.path()).unseal("/b", &sealed).expect_err("refused");
        assert!(matches!(moved, KeyringError::Damaged { .. }), "{moved:?}");
        let foreign = keyring(theirs.path()).unseal("/a", &sealed).expect_err("refused");
        assert!(matches!(foreign, KeyringError::OtherKey { .. }), "{foreign:?}");
        assert!(foreign.hint().is_some_and(|hint| hint.contains("master.key")));
    }

    #[test]
    fn the_key_file_is_private_and_made_once() {
        let dir = tempfile::tempdir().expect("dir");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let made: Vec<_> = (0..8).map(|_| scope.spawn(|| keyring(dir.path()).id)).collect();
            made.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let mode = fs::metadata(dir.path().join(FILE)).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 1, "no temp file stays");
    }
}
