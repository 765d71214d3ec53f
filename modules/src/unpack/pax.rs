//! Extended (pax) headers: names are taken, times and owners are ignored, what changes the content is refused.

use tar::PaxExtensions;

use super::UnpackError;

/// What an extended header says that matters.
#[derive(Debug, Default)]
pub struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
}

pub fn read(text: &[u8]) -> Result<Pax, UnpackError> {
    let mut pax = Pax::default();
    for extension in PaxExtensions::new(text) {
        let extension = extension.map_err(|_| UnpackError::Header { reason: "malformed extended header" })?;
        let slot = match extension.key_bytes() {
            b"path" => &mut pax.path,
            b"linkpath" => &mut pax.link,
            key if key == b"size" || key.starts_with(b"GNU.sparse") => {
                let key = String::from_utf8_lossy(key).chars().take(60).collect();
                return Err(UnpackError::Extension { key });
            }
            _ => continue,
        };
        if slot.replace(extension.value_bytes().to_vec()).is_some() {
            return Err(UnpackError::Header { reason: "two long names for one entry" });
        }
    }
    Ok(pax)
}

/// A GNU long name ends at its first NUL.
pub fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    if let Some(end) = name.iter().position(|byte| *byte == 0) {
        name.truncate(end);
    }
    name
}
