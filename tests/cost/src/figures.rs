//! Committed figures, and what was counted now beside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A figure for each path, by its name.
pub type Figures = BTreeMap<String, f64>;

/// How far a count may lie from its figure: compilers and maps differ a little from day to day.
pub const TOLERANCE: f64 = 0.05;

/// The file of figures of that kind.
#[must_use]
pub fn file(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{kind}.toml"))
}

/// Reads committed figures.
///
/// # Errors
/// When the file cannot be read or is no table of numbers.
pub fn read(path: &Path) -> anyhow::Result<Figures> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is no table of numbers", path.display()))
}

/// Writes what was counted as the figures to hold.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, about: &str, counted: &Figures) -> anyhow::Result<()> {
    let lines: String = counted.iter().map(|(name, count)| format!("{name} = {count:.1}\n")).collect();
    std::fs::write(path, format!("# {about}\n{lines}")).with_context(|| format!("could not write {}", path.display()))
}

/// What lies too far from its figure, or has none; one sentence each.
///
/// A path that has become cheaper complains, too: its figure would let it become dearer again.
#[must_use]
pub fn complaints(committed: &Figures, counted: &Figures) -> Vec<String> {
    let judge = |(name, now): (&String, &f64)| match committed.get(name) {
        None => Some(format!("{name}: {now:.1}, and no figure is committed")),
        Some(was) if *now > was * (1.0 + TOLERANCE) => Some(format!("{name}: {now:.1}, dearer than {was:.1}")),
        Some(was) if *now < was * (1.0 - TOLERANCE) => Some(format!("{name}: {now:.1}, cheaper than {was:.1}")),
        Some(_) => None,
    };
    let gone = committed.keys().filter(|name| !counted.contains_key(*name));
    counted.iter().filter_map(judge).chain(gone.map(|name| format!("{name}: a figure without a path"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_apart_is_told_in_both_directions() {
        let of = |figures: &[(&str, f64)]| figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect();
        let committed: Figures = of(&[("dear", 100.0), ("cheap", 100.0), ("near", 100.0), ("gone", 1.0)]);
        let told = complaints(&committed, &of(&[("dear", 106.0), ("cheap", 94.0), ("near", 104.0), ("new", 1.0)]));
        let expected = [
            "cheap: 94.0, cheaper than 100.0",
            "dear: 106.0, dearer than 100.0",
            "new: 1.0, and no figure is committed",
            "gone: a figure without a path",
        ];
        assert_eq!(told, expected);
    }
}
