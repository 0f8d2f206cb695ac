//! A report as text for people: findings by severity, what was left out, how it went.

use std::fmt::Write as _;

use super::finding::Severity;
use super::report::{Found, Report};

/// How the text is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Look {
    /// The width of the terminal, when it is one.
    pub(crate) width: Option<usize>,
    /// Whether colours are wanted.
    pub(crate) is_coloured: bool,
    /// The most findings listed of each severity.
    pub(crate) most: Option<usize>,
}

/// Files that were left out are named up to so many; the rest is in `--json`.
const NAMED_SKIPS: usize = 8;

/// The whole text.
pub(crate) fn text(report: &Report, look: Look) -> String {
    let mut pen = Pen { text: String::new(), look };
    for severity in Severity::WORST_FIRST {
        pen.severity(report, severity);
    }
    pen.failed(report);
    pen.skipped(report);
    pen.numbers(report);
    pen.text
}

struct Pen {
    text: String,
    look: Look,
}

impl Pen {
    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// A line that may be cut at the terminal's edge.
    fn cut(&mut self, text: &str) {
        let clean = clean(text);
        let line = match self.look.width {
            Some(width) if clean.chars().count() > width => {
                clean.chars().take(width.saturating_sub(1)).chain(['…']).collect()
            }
            _ => clean,
        };
        self.line(&line);
    }

    fn title(&mut self, text: &str, colour: &str) {
        let (on, off) =
            if self.look.is_coloured { (format!("\u{1b}[{colour}m"), "\u{1b}[0m") } else { (String::new(), "") };
        self.line(&format!("{on}{text}{off}"));
    }

    fn severity(&mut self, report: &Report, severity: Severity) {
        let count = report.count(severity);
        if count == 0 {
            return;
        }
        let colour = match severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Info => "1;36",
        };
        self.title(&format!("{} {count}", severity.plural().to_uppercase()), colour);
        let most = self.look.most.unwrap_or(usize::MAX);
        let of_severity = report.findings.iter().filter(|found| found.finding.severity == severity);
        of_severity.take(most).for_each(|found| self.finding(found));
        if count > most {
            self.line(&format!("  ... and {} more", count - most));
        }
        self.line("");
    }

    fn finding(&mut self, found: &Found) {
        let finding = &found.finding;
        let place = format!("  {}:{}:{}", found.path, finding.line, finding.column);
        let message = format!("{} [{}]", finding.message, finding.rule);
        let whole = format!("{place}  {message}");
        match self.look.width {
            Some(width) if whole.chars().count() > width => {
                // A place is for clicking and copying: never cut.
                self.line(&clean(&place));
                self.cut(&format!("      {message}"));
            }
            _ => self.cut(&whole),
        }
    }

    fn failed(&mut self, report: &Report) {
        if report.failed.is_empty() {
            return;
        }
        self.title(&format!("NOT REVIEWED {}", report.failed.len()), "1;31");
        for failed in &report.failed {
            self.line(&clean(&format!("  {}  task {}", failed.path, failed.task)));
            self.cut(&format!("      {} [{}]", failed.message, failed.code));
        }
        self.line("");
    }

    fn skipped(&mut self, report: &Report) {
        // Pictures and prose are no news; whatever else was left out is.
        let news = report.skipped.iter().filter(|skipped| skipped.why != super::finding::Skip::UnsupportedLanguage);
        let news: Vec<_> = news.collect();
        if news.is_empty() {
            return;
        }
        self.title(&format!("SKIPPED {}", news.len()), "1");
        for skipped in news.iter().take(NAMED_SKIPS) {
            self.cut(&format!("  {}  ({})", skipped.path, skipped.why));
        }
        if news.len() > NAMED_SKIPS {
            self.line(&format!("  ... and {} more", news.len() - NAMED_SKIPS));
        }
        self.line("");
    }

    fn numbers(&mut self, report: &Report) {
        let mut skips = String::new();
        for (why, count) in report.skips() {
            write!(skips, "{}{count} {why}", if skips.is_empty() { ": " } else { ", " }).expect("into a String");
        }
        let reviewed = report.ended.saturating_sub(report.failed.len() as u64);
        self.field("files", &format!("{} tracked, {} skipped{skips}", report.files, report.skipped.len()));
        let cut = if report.cut == 0 { String::new() } else { format!(", {} more cut by the workers", report.cut) };
        let counts = Severity::WORST_FIRST.map(|severity| counted(report.count(severity), severity));
        self.field("findings", &format!("{}{cut}, in {} lines of {reviewed} files", counts.join(", "), report.lines));
        let known = |count: Option<u64>| count.map_or("unknown".to_owned(), |count| count.to_string());
        let attempts = format!(
            "{} in {} attempts; {} redelivered, {} retried, {} fenced",
            report.tasks,
            report.attempts,
            known(report.redeliveries),
            known(report.retried),
            known(report.fenced)
        );
        self.field("tasks", &attempts);
        if !report.by_worker.is_empty() {
            let workers: Vec<String> =
                report.by_worker.iter().map(|(worker, count)| format!("{worker} {count}")).collect();
            self.field("workers", &workers.join(", "));
        }
        let idle = report.idle.as_secs_f64();
        let idle = if idle == 0.0 { String::new() } else { format!(", of which {idle:.1} s waiting") };
        self.field(
            "speed",
            &format!("{:.0} tasks/s; {:.1} s in all{idle}", report.throughput(), report.took.as_secs_f64()),
        );
        if let Some(verified) = report.verified {
            let words = if verified.holds() {
                format!("exactly one for each of the {} tasks, read back from the broker", verified.once)
            } else {
                format!("WRONG: {} tasks have one, {} none, {} several", verified.once, verified.none, verified.more)
            };
            self.field("outcomes", &words);
        }
    }

    /// A name and its words, broken at the terminal's edge.
    fn field(&mut self, name: &str, words: &str) {
        let width = self.look.width.unwrap_or(usize::MAX).max(40);
        let mut line = format!("{name:<10}");
        for word in words.split(' ') {
            if line.chars().count() + 1 + word.chars().count() > width {
                let full = std::mem::replace(&mut line, " ".repeat(10));
                self.line(&clean(&full));
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&clean(&line));
    }
}

fn counted(count: usize, severity: Severity) -> String {
    let word = severity.plural();
    format!("{count} {}", if count == 1 { word.trim_end_matches('s') } else { word })
}

/// A line without what would break it or steer a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::super::verify::Verified;
    use super::*;

    #[test]
    fn findings_come_by_severity_with_their_place() {
        let report =
            Report { redeliveries: Some(2), verified: Some(Verified { once: 3, none: 0, more: 0 }), ..sample() };
        let expect = "\
ERRORS 1
  a.rs:1:2  about rust/unwrap [rust/unwrap]

WARNINGS 1
  b c.rs:7:2  about rust/unwrap [rust/unwrap]

INFOS 1
  b c.rs:3:2  about rust/todo [rust/todo]

NOT REVIEWED 1
  d.rs  task s.n
      too slow [timeout]

files      4 tracked, 1 skipped: 1 no supported language
findings   1 error, 1 warning, 1 info, 4 more cut by the workers, in 10 lines of 2 files
tasks      3 in 6 attempts; 2 redelivered, unknown retried, unknown fenced
workers    w1 3
speed      2 tasks/s; 2.0 s in all
outcomes   exactly one for each of the 3 tasks, read back from the broker
";
        assert_eq!(text(&report, Look::default()), expect);
    }

    #[test]
    fn nothing_is_wider_than_the_terminal_but_a_place() {
        let mut report = sample();
        report.findings[0].finding.message = "long ".repeat(40);
        report.findings[1].path = "d/".repeat(30);
        let shown = text(&report, Look { width: Some(40), is_coloured: false, most: None });
        for line in shown.lines().filter(|line| !line.contains("d/d/")) {
            assert!(line.chars().count() <= 40, "{line}");
        }
    }

    #[test]
    fn a_file_name_cannot_steer_the_terminal() {
        let mut report = sample();
        report.findings[0].path = "a\u{1b}[2J\nb".into();
        let shown = text(&report, Look::default());
        assert!(!shown.contains('\u{1b}') && shown.contains("a\u{fffd}[2J\u{fffd}b:1:2"), "{shown}");
        let coloured = text(&sample(), Look { is_coloured: true, ..Look::default() });
        assert!(coloured.starts_with("\u{1b}[1;31mERRORS 1\u{1b}[0m"));
    }

    #[test]
    fn long_lists_say_how_much_is_left_out() {
        let mut report = sample();
        report.findings = vec![report.findings[1].clone(); 5];
        let shown = text(&report, Look { most: Some(2), ..Look::default() });
        assert!(shown.contains("WARNINGS 5") && shown.contains("  ... and 3 more"), "{shown}");
    }
}
