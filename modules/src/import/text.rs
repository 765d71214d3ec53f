//! Bytes as text, whatever editor wrote them.

/// A README above this is none; nobody reads so much.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Why bytes are no text to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("it has {} MiB; at most {} MiB are read", bytes / 1_048_576, MAX_BYTES / 1_048_576)]
    TooLarge { bytes: usize },
    #[error("it is binary: byte 0 at offset {offset}")]
    Binary { offset: usize },
}

/// UTF-8, with or without a mark; UTF-16 with one; else Latin-1.
pub fn decode(bytes: &[u8]) -> Result<String, TextError> {
    if bytes.len() > MAX_BYTES {
        return Err(TextError::TooLarge { bytes: bytes.len() });
    }
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        bytes => narrow(bytes)?,
    };
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text })
}

/// A text without a beginning, however often it is there.
pub fn without<'t>(text: &'t str, beginning: &str) -> &'t str {
    let mut rest = text;
    while let Some(shorter) = rest.strip_prefix(beginning) {
        rest = shorter;
    }
    rest
}

fn wide(bytes: &[u8], read: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn narrow(bytes: &[u8]) -> Result<String, TextError> {
    // Almost no text has one, and to look for it at all is faster than to look for its place.
    if bytes.contains(&0)
        && let Some(offset) = bytes.iter().position(|byte| *byte == 0)
    {
        return Err(TextError::Binary { offset });
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}
