//! Bytes of a file as text: what other encodings there are, and what is no text at all.

/// The bytes as UTF-8: as they are, or from UTF-16 where a mark says so, or from Latin-1 where they are text otherwise.
/// `None` where they are no text.
pub fn decode(bytes: Vec<u8>) -> Option<(Vec<u8>, Option<&'static str>)> {
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return decode(rest.to_vec());
    }
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return utf16(rest, u16::from_le_bytes).map(|text| (text, Some("UTF-16")));
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return utf16(rest, u16::from_be_bytes).map(|text| (text, Some("UTF-16")));
    }
    if bytes.contains(&0) {
        return None;
    }
    match std::str::from_utf8(&bytes) {
        Ok(_) => Some((bytes, None)),
        Err(_) => latin1(&bytes).map(|text| (text, Some("Latin-1"))),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Vec<u8>> {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    String::from_utf16(&units).ok().filter(|text| !text.contains('\0')).map(String::into_bytes)
}

/// Text has few control characters, and mostly letters that every encoding shares.
fn latin1(bytes: &[u8]) -> Option<Vec<u8>> {
    let odd =
        bytes.iter().filter(|byte| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\r' | b'\t' | 0x0c));
    let foreign = bytes.iter().filter(|byte| !byte.is_ascii());
    let is_text = odd.count() * 100 <= bytes.len() && foreign.count() * 4 <= bytes.len();
    is_text.then(|| bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes())
}
