//! All figures of a run: as a table, as JSON, as complaints.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::machine::Machine;
use crate::row::{Bound, Row};

/// A run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// What was measured.
    pub rows: Vec<Row>,
    /// What could not be measured, and why.
    pub failures: Vec<String>,
}

impl Report {
    /// An empty one.
    pub fn new(machine: Machine) -> Self {
        Self { machine, rows: Vec::new(), failures: Vec::new() }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
    }

    /// What was missed, and by how much.
    pub fn complaints(&self) -> Vec<String> {
        let missed = self.rows.iter().filter_map(|row| {
            let by = row.missed_by()?;
            let value = figure(row.value, row.unit);
            let limit = bound(row)?;
            Some(format!("missed: {} {} is {value}, the bound is {limit}: {:.0} % off", row.case, row.name, by * 100.0))
        });
        missed.chain(self.failures.iter().map(|failure| format!("not measured: {failure}"))).collect()
    }
}

/// `target/bench/results.json`, beside the program's own folder.
///
/// # Errors
/// When the program does not know where it is.
pub fn results_path() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("the program does not know where it is")?;
    let target = program.parent().and_then(Path::parent).context("the program is not in a target folder")?;
    Ok(target.join("bench").join("results.json"))
}

/// A figure with its unit, in as many digits as mean something.
pub fn figure(value: f64, unit: &str) -> String {
    if value.is_nan() {
        return "none".into();
    }
    let digits = match value.abs() {
        v if v >= 1000.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    // Thousands apart, so that rates can be read.
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut spaced = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && digit.is_ascii_digit() {
            spaced.push(',');
        }
        spaced.push(digit);
    }
    if let Some(rest) = rest {
        spaced = format!("{spaced}.{rest}");
    }
    format!("{spaced} {unit}").trim_end().to_owned()
}

/// A row's bound, with the unit of the row.
pub fn bound(row: &Row) -> Option<String> {
    Some(match row.bound? {
        Bound::Below(limit) => format!("< {limit} {}", row.unit),
        Bound::AtLeast(limit) => format!(">= {limit} {}", row.unit),
    })
}

/// What a row shows, in the order of [`HEADS`].
fn cells(row: &Row) -> [String; HEADS.len()] {
    let spread = row.spread.map(|spread| format!("{:.0} %", spread * 100.0));
    // A ratio that is a row of its own has said so already.
    let ratio = row.ratio.filter(|_| !row.is_ratio()).map(|ratio| format!("{ratio:.2}"));
    let verdict = if row.missed_by().is_some() { " MISSED" } else { "" };
    let bound = bound(row).map(|bound| bound + verdict);
    let [broker, own] = row.cpu.map_or([const { None }; 2], |cpu| [cpu.broker_us, cpu.own_us].map(Some));
    let cpu = |cpu: Option<f64>| cpu.map(|us| figure(us, "µs")).unwrap_or_default();
    [
        row.name.clone(),
        figure(row.value, row.unit),
        spread.unwrap_or_default(),
        cpu(broker),
        cpu(own),
        ratio.unwrap_or_default(),
        bound.unwrap_or_default(),
    ]
}

/// What the columns show.
const HEADS: [&str; 7] = ["", "median", "spread", "broker CPU", "own CPU", "ratio", "bound"];

/// Heads and rows, without the columns in which there is nothing.
pub fn columns(rows: &[Row]) -> Vec<Vec<String>> {
    let rows: Vec<_> = rows.iter().map(cells).collect();
    let used = |column: usize| column < 2 || rows.iter().any(|row| !row[column].is_empty());
    let kept: Vec<usize> = (0..HEADS.len()).filter(|column| used(*column)).collect();
    let heads = kept.iter().map(|column| HEADS[*column].to_owned()).collect();
    let lines = rows.iter().map(|row| kept.iter().map(|column| row[*column].clone()).collect());
    std::iter::once(heads).chain(lines).collect()
}

/// What to know about rows, each with the row's name.
pub fn notes(rows: &[Row]) -> impl Iterator<Item = String> {
    rows.iter().filter_map(|row| Some(format!("{}: {}", row.name, row.note.as_ref()?)))
}

/// Rows for a terminal.
pub fn table(rows: &[Row]) -> String {
    let lines = columns(rows);
    let count = lines[0].len();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            // Words to the left, figures to the right, and bounds, which come last, to the left again.
            let _ = match column {
                0 => write!(shown, "  {cell:<width$}"),
                _ if lines[0][column] == "bound" => write!(shown, "  {cell}"),
                _ => write!(shown, "  {cell:>width$}"),
            };
        }
        let _ = writeln!(text, "{}", shown.trim_end());
    }
    for note in notes(rows) {
        let _ = writeln!(text, "  * {note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Cpu;
    use crate::sample::Rounds;

    #[test]
    fn figures_are_readable() {
        assert_eq!(figure(1_234_567.8, "tasks/s"), "1,234,568 tasks/s");
        assert_eq!(figure(999.94, "ms"), "999.9 ms");
        assert_eq!(figure(0.1234, "ms"), "0.123 ms");
        assert_eq!(figure(-12.0, ""), "-12.0");
        assert_eq!(figure(f64::NAN, "ms"), "none");
    }

    #[test]
    fn a_missed_bound_is_a_complaint_with_its_size() {
        let machine = Machine { cores: 2, processor: "p".into(), nats_server: "2".into(), build: "dev" };
        let rows = vec![
            Row::once("a", "slow", 30.0, "ms").within(Bound::Below(20.0)),
            Row::once("a", "fine", 10.0, "ms").within(Bound::Below(20.0)).noted("warm"),
        ];
        let report = Report { machine, rows, failures: vec!["b: no".into()] };
        let expected = ["missed: a slow is 30.0 ms, the bound is < 20 ms: 50 % off", "not measured: b: no"];
        assert_eq!(report.complaints(), expected);
        assert!(table(&report.rows).contains("< 20 ms MISSED"));
        assert!(table(&report.rows).ends_with("\n  * fine: warm\n"));
    }

    #[test]
    fn columns_without_anything_are_left_out() {
        let rounds: Rounds = [0.5, 0.7].into_iter().collect();
        let rows = [Row::ratio("a", "a/b", &rounds), Row::once("a", "x", 3.0, "ms")];
        let expected = [vec!["", "median", "spread"], vec!["a/b", "0.600 x", "33 %"], vec!["x", "3.00 ms", ""]];
        assert_eq!(columns(&rows), expected);
        let cpu = Cpu { broker_us: 60.0, own_us: 90.0 };
        let shown = columns(&[Row::once("a", "x", 3.0, "ms").costing(cpu)]);
        assert_eq!(shown[0], ["", "median", "broker CPU", "own CPU"]);
        assert_eq!(shown[1], ["x", "3.00 ms", "60.0 µs", "90.0 µs"]);
    }
}
