//! The little of X.509 and PEM that the agent needs itself: when a certificate is valid, and base64.

/// Since and until when a certificate is valid, in seconds since 1970; none when it is not a certificate.
pub fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&0xa0) {
        rest = element(rest)?.2;
    }
    for _serial_algorithm_issuer in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, after) = element(validity)?;
    Some((time(validity)?, time(after)?))
}

/// The time that `bytes` begin with.
fn time(bytes: &[u8]) -> Option<i64> {
    let (tag, text, _) = element(bytes)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    match tag {
        0x17 => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            unix(if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        0x18 => unix(text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => None,
    }
}

/// One DER element: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (digits, tail) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        length = digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit));
        rest = tail;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `rest` is MMDDhhmmss. Days are counted as in Howard Hinnant's `days_from_civil`.
fn unix(year: i64, rest: &str) -> Option<i64> {
    let part = |from: usize| rest.get(from..from + 2)?.parse::<i64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(days * 86_400 + part(4)? * 3600 + part(6)? * 60 + part(8)?)
}

/// Standard base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for at in 0..4 {
            let digit = (bits >> (18 - 6 * at)) & 63;
            text.push(if at <= chunk.len() { char::from(ALPHABET[digit as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_validity_of_a_certificate_is_read_from_its_bytes() {
        for (year, month, day, expected) in
            [(2031, 2, 28, 1_930_003_200), (2055, 1, 1, 2_682_374_400), (2000, 2, 29, 951_782_400)]
        {
            let mut params = rcgen::CertificateParams::new(vec!["a".into()]).expect("params");
            params.not_before = rcgen::date_time_ymd(1999, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, month, day);
            let key = rcgen::KeyPair::generate().expect("key");
            let certificate = params.self_signed(&key).expect("certificate");
            assert_eq!(validity(certificate.der()), Some((915_148_800, expected)), "{year}");
        }
        assert_eq!(validity(b"\x30\x82\xff\xff"), None);
    }

    #[test]
    fn base64_pads() {
        let got = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(got, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }
}
