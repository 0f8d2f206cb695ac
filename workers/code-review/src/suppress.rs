//! `nova-ignore` comments: the author's word that a finding is known.

use std::collections::HashMap;

use crate::finding::Finding;
use crate::survey::Comment;

/// A comment beginning with this silences the line it trails, or the next one.
const MARK: &str = "nova-ignore";

/// Drops the findings that a comment silences.
///
/// `nova-ignore` alone silences every rule, `nova-ignore: rust/unwrap, todo` the rules it lists.
pub(crate) fn apply(findings: &mut Vec<Finding>, comments: &[Comment], source: &str) {
    let mut silenced: HashMap<usize, Vec<&str>> = HashMap::new();
    for comment in comments {
        let text = source.get(comment.bytes.clone()).unwrap_or_default();
        let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
        let Some(rest) = text.strip_prefix(MARK) else { continue };
        let line = if comment.trailing { comment.row + 1 } else { comment.end_row + 2 };
        let rules = silenced.entry(line).or_default();
        match rest.strip_prefix(':') {
            Some(list) => {
                rules.extend(list.lines().next().unwrap_or_default().split([',', ' ']).filter(|id| !id.is_empty()));
            }
            None => rules.push("*"),
        }
    }
    findings.retain(|finding| {
        let rules = silenced.get(&finding.line);
        !rules.is_some_and(|rules| rules.iter().any(|&rule| rule == "*" || rule == finding.rule))
    });
}
