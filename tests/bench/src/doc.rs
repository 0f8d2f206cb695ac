//! The page of results.

use std::fmt::Write as _;

use crate::cases::CASES;
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
";

/// Writes the page of a run.
pub fn page(report: &Report) -> String {
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "\nMeasured on: {}.", report.machine);
    for case in CASES {
        let _ = writeln!(text, "\n## {}\n\n{}.\n", case.name, capital(case.about));
        let _ = writeln!(text, "{}\n", case.note);
        if report.rows.iter().all(|row| row.case != case.name) {
            let _ = writeln!(text, "Not measured in this run: it takes `FULL=1`.");
            continue;
        }
        let _ = writeln!(text, "| | median | spread | ratio | bound |\n|---|---:|---:|---:|---|");
        for row in report.rows.iter().filter(|row| row.case == case.name) {
            let [value, spread, ratio, bound] = columns(row);
            let _ = writeln!(text, "| {} | {value} | {spread} | {ratio} | {bound} |", row.name);
        }
        let of_case: Vec<Row> = report.rows.iter().filter(|row| row.case == case.name).cloned().collect();
        for (index, note) in notes(&of_case).enumerate() {
            let _ = writeln!(text, "{}- {note}", if index == 0 { "\n" } else { "" });
        }
    }
    text
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
        let rows = vec![Row::once("noop", "nova", 1234.0, "tasks/s")];
        let page = page(&Report { machine, rows, failures: Vec::new() });
        assert!(page.contains("| nova | 1,234 tasks/s |  |  |  |"));
        assert!(page.contains("it takes `FULL=1`"));
        assert!(CASES.iter().all(|case| page.contains(&format!("\n## {}\n", case.name))));
    }
}
