//! A finding and how it is placed in the text.

use serde::Serialize;
use tree_sitter::Node;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Likely wrong or hard to keep right.
    Warning,
    /// Wrong.
    Error,
}

/// One place a rule speaks about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Id of the rule, such as `rust/unwrap`.
    pub rule: String,
    /// How much it matters here.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// First line, counted from 1.
    pub line: usize,
    /// First column, in characters counted from 1.
    pub column: usize,
    /// Last line.
    pub end_line: usize,
    /// Column after the last character.
    pub end_column: usize,
    /// The first line of the place, shortened.
    pub snippet: String,
    /// Stays the same when the place moves to other lines; tells findings of one file apart.
    pub fingerprint: String,
}

/// Enough to recognise the place, little enough for a thousand findings.
const SNIPPET_CHARS: usize = 160;

/// A stretch of text, in bytes and in zero-based rows and byte columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) start: (usize, usize, usize),
    pub(crate) end: (usize, usize, usize),
}

impl Place {
    pub(crate) fn of(node: &Node<'_>) -> Self {
        Self::between(node, node)
    }

    /// From the start of one node to the end of another.
    pub(crate) fn between(first: &Node<'_>, last: &Node<'_>) -> Self {
        let (start, end) = (first.start_position(), last.end_position());
        Self { start: (first.start_byte(), start.row, start.column), end: (last.end_byte(), end.row, end.column) }
    }
}

/// Builds a finding; its fingerprint is set by [`settle`].
pub(crate) fn finding(rule: &str, severity: Severity, message: String, place: Place, source: &str) -> Finding {
    let column = |(byte, _, column): (usize, usize, usize)| {
        source.get(byte.saturating_sub(column)..byte).map_or(column, |before| before.chars().count()) + 1
    };
    let text = source.get(place.start.0..place.end.0).unwrap_or_default();
    let snippet = text.lines().next().unwrap_or_default().trim_end().chars().take(SNIPPET_CHARS).collect();
    Finding {
        rule: rule.to_owned(),
        severity,
        message,
        line: place.start.1 + 1,
        column: column(place.start),
        end_line: place.end.1 + 1,
        end_column: column(place.end),
        snippet,
        fingerprint: String::new(),
    }
}

/// Sorts findings by place, drops repeats and gives each its fingerprint.
pub(crate) fn settle(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| (a.line, a.column, &a.rule, a.end_line).cmp(&(b.line, b.column, &b.rule, b.end_line)));
    findings.dedup_by(|a, b| (a.line, a.column, &a.rule) == (b.line, b.column, &b.rule));
    let mut seen = std::collections::HashMap::new();
    for finding in findings {
        let hash = fnv1a([finding.rule.as_bytes(), b"\0", finding.snippet.as_bytes()]);
        // The second place with the same text is told from the first by its number.
        let nth: &mut u32 = seen.entry(hash).or_default();
        finding.fingerprint = format!("{hash:016x}-{nth}");
        *nth += 1;
    }
}

fn fnv1a<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let bytes = parts.into_iter().flatten();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        let source = "x\nä = \"ö\"; f()\n";
        let start = source.find("f()").expect("is there");
        let place = Place { start: (start, 1, start - 2), end: (start + 3, 1, start + 1) };
        let finding = finding("r", Severity::Info, String::new(), place, source);
        assert_eq!((finding.line, finding.column, finding.end_column), (2, 10, 13));
        assert_eq!(finding.snippet, "f()");
    }

    #[test]
    fn fingerprints_survive_a_move_and_differ_within_a_file() {
        let at = |row: usize| {
            let place = Place { start: (0, row, 0), end: (3, row, 3) };
            finding("r", Severity::Info, String::new(), place, "f()")
        };
        let mut here = vec![at(5), at(1), at(1)];
        let mut moved = vec![at(7), at(9)];
        settle(&mut here);
        settle(&mut moved);
        let prints = |findings: &[Finding]| findings.iter().map(|f| f.fingerprint.clone()).collect::<Vec<_>>();
        assert_eq!(prints(&here), prints(&moved));
        assert_ne!(here[0].fingerprint, here[1].fingerprint);
    }
}
