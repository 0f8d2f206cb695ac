//! Moments as RFC 3339 text.

use nova_types::UnixMillis;

/// Reads an RFC 3339 moment with an offset.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<UnixMillis> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(UnixMillis(moment.as_millisecond()))
}

/// Writes a moment as RFC 3339 in UTC with milliseconds; a moment outside years -9999 to 9999 is held at their border.
#[must_use]
pub fn format_rfc3339(moment: UnixMillis) -> String {
    let border = if moment.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let moment = jiff::Timestamp::from_millisecond(moment.0).unwrap_or(border);
    format!("{moment:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let moment = UnixMillis(1_795_370_000_123);
        assert_eq!(format_rfc3339(moment), "2026-11-22T17:53:20.123Z");
        assert_eq!(parse_rfc3339(&format_rfc3339(moment)), Some(moment));
        assert_eq!(parse_rfc3339("2026-11-22T18:53:20.123+01:00"), Some(moment));
        assert_eq!(parse_rfc3339("2026-11-22 17:53"), None);
    }
}
