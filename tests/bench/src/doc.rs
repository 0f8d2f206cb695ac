//! The page of results.

use std::fmt::Write as _;

use crate::cases::CASES;
use crate::plots;
use crate::report::{Report, columns, notes};
use crate::row::Row;

const HEAD: &str = "\
# Benchmarks

Every figure comes from one run on one machine. What is compared is measured in turn, round by round, and given as a
ratio: that holds on other machines, the figures themselves do not. *Spread* is the distance of the slowest from the
fastest round, in percent of the median. A figure with a *bound* makes the run fail when it misses it.

```sh
make bench                # ten minutes at most
make bench CASE=noop      # one case
FULL=1 make bench         # all there is, an hour at most
cargo run --release -p nova-bench -- --full --write-doc docs/benchmarks.md    # the same, and this page
```

The figures of a run are in `target/bench/results.json`, too.

*Broker CPU* and *own CPU* are processor time for each task, in the middle of the rounds: of the broker, and of workers and
submitter together.
";

const RATIOS: &str = "What was measured against what, each in its case below.";

/// Writes the page of a run, whose drawings lie in a folder beside it.
pub fn page(report: &Report, folder: &str) -> String {
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "\nMeasured on: {}.", report.machine);
    let ratios: Vec<Row> = report.rows.iter().filter(|row| row.is_ratio()).cloned().collect();
    let _ = writeln!(text, "\n## Ratios\n\n{RATIOS}\n");
    table(&mut text, &ratios);
    for case in CASES {
        let _ = writeln!(text, "\n## {}\n\n{}.\n", case.name, capital(case.about));
        let _ = writeln!(text, "{}\n", case.note);
        let rows: Vec<Row> = report.rows.iter().filter(|row| row.case == case.name).cloned().collect();
        if rows.is_empty() {
            let _ = writeln!(text, "Not measured in this run: it takes `FULL=1`.");
            continue;
        }
        if let Some(drawing) = plots::of_case(case.name, &rows) {
            let _ = writeln!(text, "![{}]({folder}/{}.svg)\n", drawing.title, case.name);
        }
        table(&mut text, &rows);
        for (index, note) in notes(&rows).enumerate() {
            let _ = writeln!(text, "{}- {note}", if index == 0 { "\n" } else { "" });
        }
    }
    text
}

fn table(text: &mut String, rows: &[Row]) {
    for (index, line) in columns(rows).iter().enumerate() {
        let _ = writeln!(text, "| {} |", line.join(" | "));
        if index == 0 {
            let rule = |head: &String| if head.is_empty() || head == "bound" { "---" } else { "---:" };
            let _ = writeln!(text, "|{}|", line.iter().map(rule).collect::<Vec<_>>().join("|"));
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn every_case_has_its_table() {
        let machine = Machine { cores: 2, processor: "p".into(), nats_server: "2".into(), build: "dev" };
        let ratio = Row::ratio("noop", "noop/raw", &[0.8, 0.9].into_iter().collect());
        let point = Row::once("latency", "p50", 2.0, "ms").at("p50", 100.0);
        let rows = vec![Row::once("noop", "nova", 1234.0, "tasks/s"), ratio, point];
        let page = page(&Report { machine, rows, failures: Vec::new() }, "drawn");
        assert!(page.contains("| nova | 1,234 tasks/s |  |\n"));
        assert_eq!(page.matches("| noop/raw | 0.850 x | 12 % |\n").count(), 2, "in its case and on top");
        assert!(page.contains("(drawn/latency.svg)"));
        assert!(page.contains("it takes `FULL=1`"));
        assert!(CASES.iter().all(|case| page.contains(&format!("\n## {}\n", case.name))));
    }
}
