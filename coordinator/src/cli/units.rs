//! Times and sizes as people write and read them.

use std::time::Duration;

use crate::clock::UnixMillis;

/// Reads `90s`, `2m`, `1h30m`, `500ms`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = modules::units::parse_duration(text).map_err(|error| error.to_string())?;
    // The wire counts milliseconds in 32 bits, and 0 means "the default" there.
    match u32::try_from(duration.as_millis()) {
        Ok(1..) => Ok(duration),
        Ok(0) => Err("it is no time at all".into()),
        Err(_) => Err("it is longer than 49 days".into()),
    }
}

/// For the wire, which counts in 32 bits; `parse_duration` lets nothing longer through.
pub fn to_millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// `3m ago`.
pub fn ago(then: UnixMillis, now: UnixMillis) -> String {
    if then <= 0 { String::new() } else { format!("{} ago", span((now - then).max(0) / 1_000)) }
}

/// `59s`, `3m`, `5h`, `12d`: the largest unit is enough to judge by.
pub fn span(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `0.2 s`, `1m 12s`: how long a command took.
pub fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    }
}

/// `2024-02-29T12:00:00.250Z`. `None` for the wire's "never".
pub fn rfc3339(at: UnixMillis) -> Option<String> {
    if at <= 0 {
        return None;
    }
    let (days, millis) = (at / 86_400_000, at % 86_400_000);
    let (year, month, day) = date(days);
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"))
}

/// `11-14 22:13:20Z`, for lists of what happened lately.
pub fn clock_time(at: UnixMillis) -> Option<String> {
    let text = rfc3339(at)?;
    Some(format!("{} {}Z", &text[5..10], &text[11..19]))
}

/// Days since 1970-01-01 as a date of the Gregorian calendar. Years are counted from March, so that
/// the leap day is the last of its year; 146,097 days are one turn of 400 years.
fn date(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// `640 B`, `5.0 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_written() {
        for (text, millis) in
            [("90s", 90_000), ("2m", 120_000), ("1h30m", 5_400_000), ("500ms", 500), ("1m5s", 65_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "90", "s", "-1s", "1w", "0s", "99999999999999999999s", "100d", "1mm"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_follow_the_calendar() {
        for (at, text) in [
            (1, "1970-01-01T00:00:00.001Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_208_000_250, "2024-02-29T12:00:00.250Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(at).as_deref(), Some(text));
        }
        assert_eq!(rfc3339(0), None);
    }

    #[test]
    fn spans_and_sizes_are_short() {
        assert_eq!(ago(1_000, 59_000), "58s ago");
        assert_eq!(ago(1_000, 181_000), "3m ago");
        assert_eq!(ago(5_000, 1_000), "0s ago", "a node's clock may be ahead");
        assert_eq!(ago(0, 1_000), "");
        assert_eq!(elapsed(Duration::from_millis(249)), "0.2 s");
        assert_eq!(elapsed(Duration::from_secs(72)), "1m 12s");
        assert_eq!(bytes(640), "640 B");
        assert_eq!(bytes(5 << 20), "5.0 MiB");
        assert_eq!(bytes((1 << 20) - 1), "1.0 MiB");
    }
}
