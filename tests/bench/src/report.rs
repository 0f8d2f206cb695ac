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

/// The columns behind a row's name: figure, spread, ratio, bound.
pub fn columns(row: &Row) -> [String; 4] {
    let spread = row.spread.map(|spread| format!("{:.0} %", spread * 100.0));
    let ratio = row.ratio.map(|ratio| format!("{ratio:.2}"));
    let verdict = if row.missed_by().is_some() { " MISSED" } else { "" };
    let bound = bound(row).map(|bound| bound + verdict);
    [figure(row.value, row.unit), spread.unwrap_or_default(), ratio.unwrap_or_default(), bound.unwrap_or_default()]
}

/// What to know about rows, each with the row's name.
pub fn notes(rows: &[Row]) -> impl Iterator<Item = String> {
    rows.iter().filter_map(|row| Some(format!("{}: {}", row.name, row.note.as_ref()?)))
}

/// Rows for a terminal.
pub fn table(rows: &[Row]) -> String {
    let heads = ["", "median", "spread", "ratio", "bound"].map(str::to_owned);
    let mut lines = vec![heads];
    lines.extend(rows.iter().map(|row| {
        let [value, spread, ratio, bound] = columns(row);
        [row.name.clone(), value, spread, ratio, bound]
    }));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::new();
    for [name, value, spread, ratio, bound] in &lines {
        let line = format!(
            "  {name:<w0$}  {value:>w1$}  {spread:>w2$}  {ratio:>w3$}  {bound}",
            w0 = widths[0],
            w1 = widths[1],
            w2 = widths[2],
            w3 = widths[3],
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for note in notes(rows) {
        let _ = writeln!(text, "  * {note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
