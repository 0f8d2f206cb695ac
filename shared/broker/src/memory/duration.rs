//! Durations as the broker reads them: Go's text, which knows hours but no days.

use std::time::Duration;

use super::log::Lives;
use super::refusal::Refusal;

/// Units with their nanoseconds, longer names first.
const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];

/// Reads `1h30m`, `1.5s`, `250ms` and the like; nothing negative.
pub(super) fn parse_go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, factor) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters])?;
        nanos += number * factor;
        rest = &rest[letters..];
    }
    // Go's durations end at 292 years.
    (nanos <= 9.2e18).then(|| Duration::from_nanos(nanos as u64))
}

/// Reads a `Nats-TTL` header: seconds, a duration of a second at least, or `never`.
pub(super) fn parse_ttl(text: &str) -> Result<Lives, Refusal> {
    if text.eq_ignore_ascii_case("never") {
        return Ok(Lives::Always);
    }
    let read = text.parse().map(Duration::from_secs).ok().or_else(|| parse_go_duration(text));
    match read {
        // Zero is the same as no header.
        Some(ttl) if ttl.is_zero() => Ok(Lives::AsStream),
        Some(ttl) if ttl >= Duration::from_secs(1) => Ok(Lives::AtMost(Duration::from_secs(ttl.as_secs()))),
        _ => Err(Refusal::new(10165, "invalid per-message TTL")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in
            [("1h30m", Some(5_400_000)), ("1.5s", Some(1500)), ("250ms", Some(250)), ("2m0s", Some(120_000))]
        {
            assert_eq!(parse_go_duration(text).map(|d| d.as_millis()), millis, "{text}");
        }
        for bad in ["", "2d", "1", "s", "-1s", "1 s", "1s1"] {
            assert_eq!(parse_go_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_time_to_live_is_a_second_at_least() {
        assert_eq!(parse_ttl("5").ok(), Some(Lives::AtMost(Duration::from_secs(5))));
        assert_eq!(parse_ttl("1m").ok(), Some(Lives::AtMost(Duration::from_secs(60))));
        assert_eq!(parse_ttl("never").ok(), Some(Lives::Always));
        for bad in ["500ms", "2d", "soon"] {
            assert!(parse_ttl(bad).is_err(), "{bad}");
        }
    }
}
