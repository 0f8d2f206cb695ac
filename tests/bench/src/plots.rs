//! Which cases are drawn, and over what.

use std::path::Path;

use anyhow::Context as _;

use crate::plot::{Axis, Curve, Scale, draw};
use crate::row::Row;

/// The drawing of a case: its rows that have a place on a curve.
pub struct Drawing {
    /// The case, and the name of the file.
    pub case: &'static str,
    /// What it shows.
    pub title: &'static str,
    x: Axis,
    y: Axis,
}

const fn log(label: &'static str) -> Axis {
    Axis { label, scale: Scale::Log }
}

const RATE: Axis = Axis { label: "tasks per second", scale: Scale::Linear };

/// All of them.
pub const DRAWINGS: &[Drawing] = &[
    Drawing {
        case: "latency",
        title: "How long a whole task takes while so many are asked for",
        x: log("tasks asked for per second"),
        y: log("milliseconds"),
    },
    Drawing {
        case: "sizes",
        title: "Whole tasks, by the size of input and result",
        x: log("bytes"),
        y: log("tasks per second"),
    },
    Drawing { case: "skills", title: "Whole tasks, by the skills one worker serves", x: log("skills"), y: RATE },
    Drawing { case: "workers", title: "Whole tasks, by the number of workers", x: log("workers"), y: RATE },
];

/// The drawing of a case, when it has one and there is something to draw.
pub fn of_case(case: &str, rows: &[Row]) -> Option<&'static Drawing> {
    let is_measured = rows.iter().any(|row| row.case == case && row.point.is_some());
    DRAWINGS.iter().find(|drawing| drawing.case == case && is_measured)
}

/// Draws a run's curves into a folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write(rows: &[Row], folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
    for drawing in DRAWINGS.iter().filter_map(|drawing| of_case(drawing.case, rows)) {
        let path = folder.join(format!("{}.svg", drawing.case));
        let svg = draw(drawing.title, drawing.x, drawing.y, &curves(drawing.case, rows));
        std::fs::write(&path, svg).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

fn curves(case: &str, rows: &[Row]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for (row, point) in rows.iter().filter(|row| row.case == case).filter_map(|row| Some((row, row.point?))) {
        let at = (point.x, row.value);
        match curves.iter_mut().find(|(name, _)| name == point.curve) {
            Some((_, points)) => points.push(at),
            None => curves.push((point.curve.to_owned(), vec![at])),
        }
    }
    // A single curve is named by its axis.
    if let [(name, _)] = curves.as_mut_slice() {
        name.clear();
    }
    curves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_curve_become_its_points() {
        let row = |curve, x, value| Row::once("latency", "r", value, "ms").at(curve, x);
        let rows = [row("p50", 1.0, 2.0), row("p99", 1.0, 4.0), row("p50", 10.0, 3.0), Row::once("noop", "r", 1.0, "")];
        let expected = [("p50".to_owned(), vec![(1.0, 2.0), (10.0, 3.0)]), ("p99".to_owned(), vec![(1.0, 4.0)])];
        assert_eq!(curves("latency", &rows), expected);
        assert!(of_case("latency", &rows).is_some() && of_case("sizes", &rows).is_none());
        assert!(of_case("noop", &rows).is_none());
    }
}
