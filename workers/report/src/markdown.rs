//! A report as Markdown, for a pull request or an issue.

use std::fmt::Write as _;

use nova_review::{Report, Severity};

/// Findings of one severity that are listed; hosts cut longer texts, and the report has them all.
const MOST_LISTED: usize = 100;

/// The whole text.
pub(crate) fn text(report: &Report) -> String {
    let mut text = format!("# Review of {}\n\n", code(&report.root));
    let commit = report.commit.as_ref().map(|id| format!(" at `{}`", id.get(..12).unwrap_or(id))).unwrap_or_default();
    let cut = if report.findings_cut == 0 { String::new() } else { format!(", {} more cut", report.findings_cut) };
    line(
        &mut text,
        &format!("{}{cut}, in {} lines of {} files{commit}.", report.counts.words(), report.lines, report.reviewed),
    );
    for severity in Severity::WORST_FIRST {
        section(&mut text, report, severity);
    }
    if !report.failed.is_empty() {
        line(&mut text, "\n## Not reviewed\n");
        for failed in &report.failed {
            line(&mut text, &format!("- {}: {} ({})", code(&failed.path), plain(&failed.message), plain(&failed.code)));
        }
    }
    let skips: Vec<String> = report.skips().iter().map(|(why, count)| format!("{count} {why}")).collect();
    if !skips.is_empty() {
        line(&mut text, &format!("\nSkipped: {}.", skips.join(", ")));
    }
    text
}

fn section(text: &mut String, report: &Report, severity: Severity) {
    let count = report.counts.of(severity);
    if count == 0 {
        return;
    }
    line(text, &format!("\n## {}\n\n| place | rule | |\n|---|---|---|", severity.counted(count)));
    let of_severity = report.findings.iter().filter(|found| found.finding.severity == severity);
    for found in of_severity.take(MOST_LISTED) {
        let (place, finding) = (format!("{}:{}", found.path, found.finding.line), &found.finding);
        line(text, &format!("| {} | {} | {} |", code(&place), code(&finding.rule), plain(&finding.message)));
    }
    if count > MOST_LISTED as u64 {
        line(text, &format!("\n... and {} more.", count - MOST_LISTED as u64));
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("into a String");
}

/// Text as it stands: what would end its quotes, its cell or its line is replaced.
fn code(text: &str) -> String {
    format!("`{}`", text.replace(['`', '|'], "'").replace(char::is_control, "\u{fffd}"))
}

/// Words in which nothing is markup: a message may quote the code that was reviewed.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '*' | '_' | '[' | ']' | '<' | '>' | '!' | '#' | '~' | '@' => plain.extend(['\\', c]),
            c if c.is_control() => plain.push('\u{fffd}'),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gather::{gather, tests::sample};

    #[test]
    fn findings_come_by_severity_with_their_place() {
        let expect = "\
# Review of `/r`

1 error, 1 warning, 1 info, 4 more cut, in 10 lines of 2 files.

## 1 error

| place | rule | |
|---|---|---|
| `a.rs:1` | `rust/unwrap` | about rust/unwrap |

## 1 warning

| place | rule | |
|---|---|---|
| `b c.rs:7` | `rust/unwrap` | about rust/unwrap |

## 1 info

| place | rule | |
|---|---|---|
| `b c.rs:3` | `rust/todo` | about rust/todo |

## Not reviewed

- `d.rs`: its review did not complete (failed)

Skipped: 1 no supported language.
";
        assert_eq!(text(&gather(sample()).unwrap()), expect);
    }

    #[test]
    fn a_name_or_message_cannot_become_markup() {
        let mut report = gather(sample()).unwrap();
        report.findings[0].path = "a`|\n<b>.rs".into();
        report.findings[0].finding.message = "![x](http://evil) | <script>".into();
        let text = text(&report);
        assert!(text.contains("| `a''\u{fffd}<b>.rs:1` |"), "{text}");
        assert!(text.contains(r"\!\[x\](http://evil) \| \<script\>"), "{text}");
    }

    #[test]
    fn long_lists_say_how_much_is_left_out() {
        let mut report = gather(sample()).unwrap();
        report.findings = vec![report.findings[1].clone(); 150];
        report.counts = nova_review::Counts { warnings: 150, ..Default::default() };
        assert!(text(&report).contains("\n... and 50 more."));
    }
}
