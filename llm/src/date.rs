//! The two ways in which servers write a point in time, as milliseconds since 1970.

/// `Fri, 20 Nov 2026 21:48:27 GMT` (RFC 9110; the two obsolete forms are not read).
pub(crate) fn http(text: &str) -> Option<i64> {
    let (_, rest) = text.trim().split_once(", ")?;
    let mut words = rest.split(' ');
    let day = words.next()?.parse().ok()?;
    let month = month(words.next()?)?;
    let year = words.next()?.parse().ok()?;
    let clock = clock(words.next()?)?;
    (words.next() == Some("GMT")).then_some(())?;
    Some(days(year, month, day)? * 86_400_000 + clock)
}

/// `2026-11-20T21:48:57Z`, with or without a fraction, with any offset.
pub(crate) fn rfc3339(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.splitn(3, '-');
    let year = parts.next()?.parse().ok()?;
    let month = parts.next()?.parse().ok()?;
    let day = parts.next()?.parse().ok()?;
    let zone = rest.find(['Z', 'z', '+', '-'])?;
    let offset = offset(&rest[zone..])?;
    Some(days(year, month, day)? * 86_400_000 + clock(&rest[..zone])? - offset)
}

fn offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let minutes = within(hours, 23)? * 60 + within(minutes, 59)?;
    Some(minutes * 60_000 * if text.starts_with('-') { -1 } else { 1 })
}

/// `21:48:57` or `21:48:57.123`.
fn clock(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let hours = within(parts.next()?, 23)?;
    let minutes = within(parts.next()?, 59)?;
    let (seconds, fraction) = parts.next().map(|last| last.split_once('.').unwrap_or((last, "0")))?;
    let millis = format!("{fraction:0<3}").get(..3)?.parse::<u16>().ok()?;
    Some(((hours * 60 + minutes) * 60 + within(seconds, 60)?) * 1_000 + i64::from(millis))
}

fn within(text: &str, most: i64) -> Option<i64> {
    text.parse::<u8>().ok().map(i64::from).filter(|number| *number <= most)
}

fn month(name: &str) -> Option<i64> {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    NAMES.iter().position(|known| *known == name).map(|index| index as i64 + 1)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar (years begin in March, so that the leap day is last).
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

/// The year, month and day of the month of a day since 1970-01-01, in UTC.
#[cfg(feature = "coordinator")]
pub(crate) fn civil(day: i64) -> (i64, i64, i64) {
    let mut year = 1970 + day / 366;
    while days(year + 1, 1, 1).is_some_and(|next| next <= day) {
        year += 1;
    }
    let begun = |month: &i64| days(year, *month, 1).is_some_and(|first| first <= day);
    let month = (1..=12).rev().find(begun).unwrap_or(1);
    (year, month, day - days(year, month, 1).unwrap_or(day) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_give_the_same_point() {
        assert_eq!(http("Fri, 20 Nov 2026 21:48:27 GMT"), Some(1_795_211_307_000));
        assert_eq!(rfc3339("2026-11-20T21:48:27Z"), Some(1_795_211_307_000));
        assert_eq!(rfc3339("2026-11-20T23:18:27.5+01:30"), Some(1_795_211_307_500));
        assert_eq!(rfc3339("2024-02-29T00:00:00-00:30"), Some(1_709_166_600_000));
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "now",
            "2026-13-01T00:00:00Z",
            "2026-01-01T25:00:00Z",
            "2026-01-01T00:00:00",
            "20 Nov",
            "2026-01-01T00:00:00+é",
        ] {
            assert_eq!((rfc3339(text), http(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn months_are_found_again() {
        for (year, month) in [(1970, 1), (2000, 2), (2024, 2), (2026, 11), (2026, 12), (2100, 3)] {
            let first = days(year, month, 1).expect("a date");
            assert_eq!(civil(first), (year, month, 1));
            assert_eq!(civil(first + 27), (year, month, 28));
        }
    }
}
