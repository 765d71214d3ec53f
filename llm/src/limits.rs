//! What the headers of an answer tell about limits.
//!
//! OpenAI and those who follow it: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, resets as `6m0s`, `20ms`
//! or seconds. Anthropic: `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`,
//! resets as RFC 3339. OpenRouter: `x-ratelimit-{limit,remaining,reset}`, resets as Unix milliseconds. All:
//! `retry-after` as seconds or an HTTP date, some `retry-after-ms`. Points in time are taken against the answer's own
//! `date`, so that a wrong clock here does no harm.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::date;

/// No wait of more than this is believed; a provider that means more will say so again.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// One limit: so many in a window, so many left, the window is full again after so long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub limit: Option<u64>,
    pub remaining: Option<u64>,
    pub reset_after: Option<Duration>,
    /// Whether all comes back at once then (a window of fixed length), rather than bit by bit until then.
    #[serde(default)]
    pub at_once: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub requests: Window,
    /// Input and output tokens together; of a provider that counts them apart, the tighter of the two.
    pub tokens: Window,
    pub retry_after: Option<Duration>,
}

impl Limits {
    /// Reads what `header` (asked by lower-case names) has; what cannot be read is as if it were not there.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Limits {
        let date = header("date").and_then(date::http);
        let requests = [
            window(&header, "x-ratelimit-", "-requests", date),
            anthropic(&header, "requests", date),
            Window { at_once: true, ..window(&header, "x-ratelimit-", "", date) },
        ];
        let tokens = [
            window(&header, "x-ratelimit-", "-tokens", date),
            anthropic(&header, "tokens", date),
            tighter(anthropic(&header, "input-tokens", date), anthropic(&header, "output-tokens", date)),
        ];
        Limits { requests: first(requests), tokens: first(tokens), retry_after: retry_after(&header, date) }
    }
}

fn first(windows: [Window; 3]) -> Window {
    let is_told =
        |window: &Window| window.limit.or(window.remaining).is_some() || window.reset_after.is_some();
    windows.into_iter().find(is_told).unwrap_or_default()
}

fn tighter(a: Window, b: Window) -> Window {
    match (a.remaining, b.remaining) {
        (Some(left), Some(right)) if right < left => b,
        (None, Some(_)) => b,
        (Some(_), Some(_) | None) | (None, None) => a,
    }
}

fn window<'a>(
    header: &impl Fn(&str) -> Option<&'a str>,
    prefix: &str,
    suffix: &str,
    date: Option<i64>,
) -> Window {
    let value = |what: &str| header(&format!("{prefix}{what}{suffix}"));
    Window {
        limit: value("limit").and_then(count),
        remaining: value("remaining").and_then(count),
        reset_after: value("reset").and_then(|text| wait(text, date)),
        at_once: false,
    }
}

fn anthropic<'a>(header: &impl Fn(&str) -> Option<&'a str>, what: &str, date: Option<i64>) -> Window {
    let value = |last: &str| header(&format!("anthropic-ratelimit-{what}-{last}"));
    Window {
        limit: value("limit").and_then(count),
        remaining: value("remaining").and_then(count),
        reset_after: value("reset").and_then(|text| wait(text, date)),
        at_once: false,
    }
}

fn retry_after<'a>(header: &impl Fn(&str) -> Option<&'a str>, date: Option<i64>) -> Option<Duration> {
    let exact = header("retry-after-ms").and_then(|text| text.trim().parse().ok()).map(Duration::from_millis);
    exact.or_else(|| header("retry-after").and_then(|text| wait(text, date))).map(|wait| wait.min(LONGEST))
}

/// A count; some servers write `150000.0`, and what is below nothing is nothing.
fn count(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some(below) = text.strip_prefix('-') {
        return below.parse::<f64>().ok().map(|_| 0);
    }
    text.split('.').next().and_then(|whole| whole.parse().ok())
}

/// A wait in any of the forms in use.
fn wait(text: &str, date: Option<i64>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return plain(seconds, date);
    }
    let point = date::rfc3339(text).or_else(|| date::http(text));
    match point {
        Some(point) => until(point, date),
        None => units(text),
    }
}

/// A plain number: seconds to wait, unless it can only be a point in time (seconds or milliseconds since 1970).
fn plain(number: f64, date: Option<i64>) -> Option<Duration> {
    if !number.is_finite() {
        return None;
    }
    if number >= 1e11 {
        return until(number as i64, date);
    }
    if number >= 1e9 {
        return until((number * 1000.0) as i64, date);
    }
    Some(Duration::from_secs_f64(number.max(0.0)).min(LONGEST))
}

fn until(point: i64, date: Option<i64>) -> Option<Duration> {
    let left = point.saturating_sub(date?);
    Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(LONGEST))
}

/// `1h2m3.5s`, `6m0s`, `20ms`.
fn units(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..end] {
                "d" => 86_400.0,
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                "us" | "µs" => 0.000_001,
                "ns" => 0.000_000_001,
                _ => return None,
            };
        rest = &rest[end..];
    }
    (!text.is_empty()).then(|| Duration::from_secs_f64(f64::min(total, LONGEST.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_headers_of_openai_are_read() {
        let limits = read(&[
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        assert_eq!(limits.requests, told(60, 59, 1_000));
        assert_eq!(limits.tokens, told(150_000, 149_984, 360_000));
        assert_eq!(limits.retry_after, None);
    }

    #[test]
    fn the_headers_of_anthropic_are_read_against_the_date_of_the_answer() {
        let limits = read(&[
            ("date", "Fri, 20 Nov 2026 21:48:27 GMT"),
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-11-20T21:48:57Z"),
            ("anthropic-ratelimit-input-tokens-limit", "40000"),
            ("anthropic-ratelimit-input-tokens-remaining", "39000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-20T22:48:28+01:00"),
            ("anthropic-ratelimit-output-tokens-limit", "8000"),
            ("anthropic-ratelimit-output-tokens-remaining", "100"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-20T21:48:20Z"),
            ("retry-after", "Fri, 20 Nov 2026 21:49:27 GMT"),
        ]);
        assert_eq!(limits.requests, told(50, 0, 30_000));
        assert_eq!(limits.tokens, told(8_000, 100, 0));
        assert_eq!(limits.retry_after, Some(Duration::from_secs(60)));
    }

    #[test]
    fn the_headers_of_openrouter_are_read() {
        let limits = read(&[
            ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("x-ratelimit-limit", "20"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1767225660000"),
        ]);
        assert_eq!(limits.requests, Window { at_once: true, ..told(20, 0, 60_000) });
    }

    #[test]
    fn waits_are_read_in_every_form_and_nonsense_is_none() {
        let forms = [
            ("20ms", Some(20)),
            ("7.66s", Some(7_660)),
            ("1h2m3s", Some(3_723_000)),
            ("59.7", Some(59_700)),
            ("-5", Some(0)),
            ("1e300", None),
            ("999999999h", Some(86_400_000)),
            ("soon", None),
            ("12", Some(12_000)),
            ("5x", None),
            ("NaN", None),
            ("", None),
            ("..s", None),
        ];
        for (text, expected) in forms {
            assert_eq!(wait(text, None), expected.map(Duration::from_millis), "{text}");
        }
        assert_eq!(
            read(&[("retry-after-ms", "250"), ("retry-after", "1")]).retry_after,
            Some(Duration::from_millis(250))
        );
        assert_eq!(count("-3"), Some(0));
        assert_eq!(count("150000.0"), Some(150_000));
    }

    fn read(headers: &[(&'static str, &'static str)]) -> Limits {
        let headers: BTreeMap<_, _> = headers.iter().copied().collect();
        Limits::read(|name| headers.get(name).copied())
    }

    fn told(limit: u64, remaining: u64, millis: u64) -> Window {
        Window {
            limit: Some(limit),
            remaining: Some(remaining),
            reset_after: Some(Duration::from_millis(millis)),
            at_once: false,
        }
    }
}
