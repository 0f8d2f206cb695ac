//! A report as text for people: findings by severity, what was left out, how it went.

use std::fmt::Write as _;

use nova_review::{Found, Severity};

use super::course::Reviewed;

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
pub(crate) fn text(reviewed: &Reviewed, look: Look) -> String {
    let mut pen = Pen { text: String::new(), look };
    for severity in Severity::WORST_FIRST {
        pen.severity(reviewed, severity);
    }
    pen.failed(reviewed);
    pen.skipped(reviewed);
    pen.numbers(reviewed);
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

    fn severity(&mut self, reviewed: &Reviewed, severity: Severity) {
        let count = reviewed.count(severity);
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
        let of_severity = reviewed.report.findings.iter().filter(|found| found.finding.severity == severity);
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

    fn failed(&mut self, reviewed: &Reviewed) {
        let all = &reviewed.course.failed;
        if all.is_empty() {
            return;
        }
        self.title(&format!("NOT REVIEWED {}", all.len()), "1;31");
        for failed in all {
            self.line(&clean(&format!("  {}  task {}", failed.path, failed.task)));
            self.cut(&format!("      {} [{}]", failed.message, failed.code));
        }
        self.line("");
    }

    fn skipped(&mut self, reviewed: &Reviewed) {
        // Pictures and prose are no news; whatever else was left out is.
        let news: Vec<_> = reviewed.report.news().collect();
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

    fn numbers(&mut self, reviewed: &Reviewed) {
        let Reviewed { report, course } = reviewed;
        let mut skips = String::new();
        for (why, count) in report.skips() {
            write!(skips, "{}{count} {why}", if skips.is_empty() { ": " } else { ", " }).expect("into a String");
        }
        self.field("files", &format!("{} tracked, {} skipped{skips}", report.files, report.skipped.len()));
        let cut = match report.findings_cut {
            0 => String::new(),
            cut => format!(", {cut} more cut by the workers"),
        };
        let counts = report.counts.words();
        self.field("findings", &format!("{counts}{cut}, in {} lines of {} files", report.lines, report.reviewed));
        let known = |count: Option<u64>| count.map_or("unknown".to_owned(), |count| count.to_string());
        let attempts = format!(
            "{} in {} attempts; {} redelivered, {} retried, {} fenced",
            course.tasks,
            course.attempts,
            known(course.redeliveries),
            known(course.retried),
            known(course.fenced)
        );
        self.field("tasks", &attempts);
        if !course.by_worker.is_empty() {
            let workers: Vec<String> =
                course.by_worker.iter().map(|(worker, count)| format!("{worker} {count}")).collect();
            self.field("workers", &workers.join(", "));
        }
        let idle = course.idle.as_secs_f64();
        let idle = if idle == 0.0 { String::new() } else { format!(", of which {idle:.1} s waiting") };
        self.field(
            "speed",
            &format!("{:.0} tasks/s; {:.1} s in all{idle}", course.throughput(), course.took.as_secs_f64()),
        );
        if let Some(verified) = course.verified {
            let words = if verified.holds() {
                format!("exactly one for each of the {} tasks, read back from the broker", verified.once)
            } else {
                format!("WRONG: {} tasks have one, {} none, {} several", verified.once, verified.none, verified.more)
            };
            self.field("outcomes", &words);
        }
        if let Some(transitions) = course.replayed {
            let words = format!("{}: {transitions} transitions, folded again to the same decisions", course.run_word());
            self.field("run", &words);
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

/// A line without what would break it or steer a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::course::tests::sample;
    use super::super::verify::Verified;
    use super::*;

    #[test]
    fn findings_come_by_severity_with_their_place() {
        let mut reviewed = sample();
        reviewed.course.redeliveries = Some(2);
        reviewed.course.verified = Some(Verified { once: 3, none: 0, more: 0 });
        reviewed.course.replayed = Some(9);
        let expect = "\
ERRORS 1
  a.rs:1:2  about rust/unwrap [rust/unwrap]

WARNINGS 1
  b c.rs:7:2  about rust/unwrap [rust/unwrap]

INFOS 1
  b c.rs:3:2  about rust/todo [rust/todo]

NOT REVIEWED 1
  d.rs  task s.n2
      too slow [timeout]

files      4 tracked, 1 skipped: 1 no supported language
findings   1 error, 1 warning, 1 info, 4 more cut by the workers, in 10 lines of 2 files
tasks      3 in 6 attempts; 2 redelivered, unknown retried, unknown fenced
workers    w1 3
speed      2 tasks/s; 2.0 s in all
outcomes   exactly one for each of the 3 tasks, read back from the broker
run        r1: 9 transitions, folded again to the same decisions
";
        assert_eq!(text(&reviewed, Look::default()), expect);
    }

    #[test]
    fn nothing_is_wider_than_the_terminal_but_a_place() {
        let mut reviewed = sample();
        reviewed.report.findings[0].finding.message = "long ".repeat(40);
        reviewed.report.findings[1].path = "d/".repeat(30);
        let shown = text(&reviewed, Look { width: Some(40), is_coloured: false, most: None });
        for line in shown.lines().filter(|line| !line.contains("d/d/")) {
            assert!(line.chars().count() <= 40, "{line}");
        }
    }

    #[test]
    fn a_file_name_cannot_steer_the_terminal() {
        let mut reviewed = sample();
        reviewed.report.findings[0].path = "a\u{1b}[2J\nb".into();
        let shown = text(&reviewed, Look::default());
        assert!(!shown.contains('\u{1b}') && shown.contains("a\u{fffd}[2J\u{fffd}b:1:2"), "{shown}");
        let coloured = text(&sample(), Look { is_coloured: true, ..Look::default() });
        assert!(coloured.starts_with("\u{1b}[1;31mERRORS 1\u{1b}[0m"));
    }

    #[test]
    fn long_lists_say_how_much_is_left_out() {
        let mut reviewed = sample();
        reviewed.report.findings = vec![reviewed.report.findings[1].clone(); 5];
        reviewed.report.counts.warnings = 5;
        let shown = text(&reviewed, Look { most: Some(2), ..Look::default() });
        assert!(shown.contains("WARNINGS 5") && shown.contains("  ... and 3 more"), "{shown}");
    }
}
