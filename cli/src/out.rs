//! Where words go: data to stdout as JSON, table or plain text, talk to stderr.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use nova_types::UnixMillis;
use nova_wire::format_rfc3339;
use serde::Serialize;

use crate::clock;
use crate::failure::Failure;
use crate::flow::tree::Ink;

/// How data is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One object per line.
    Json,
    /// For people: tables, pretty JSON, ages.
    Table,
    /// For pipes: tab-separated, raw bodies, RFC 3339.
    Plain,
}

/// One line of a list.
pub(crate) trait Row: Serialize {
    /// The columns' titles.
    const TITLES: &'static [&'static str];
    /// The columns, as many as there are titles.
    fn cells(&self, out: &Out) -> Vec<String>;
}

/// The process's two outputs.
#[derive(Debug, Clone)]
pub(crate) struct Out {
    shape: Shape,
    is_quiet: bool,
    is_coloured: bool,
}

impl Out {
    /// As the process was started: what is a terminal, and whether colours are wanted.
    pub(crate) fn of_process(is_json: bool, is_quiet: bool) -> Self {
        let shape = match (is_json, io::stdout().is_terminal()) {
            (true, _) => Shape::Json,
            (false, true) => Shape::Table,
            (false, false) => Shape::Plain,
        };
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_coloured = io::stderr().is_terminal() && !no_colour;
        Self { shape, is_quiet, is_coloured }
    }

    /// How data is shown.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether data is shown as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.shape == Shape::Json
    }

    /// Whether progress is shown: to a person, on stderr.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.is_quiet && io::stderr().is_terminal()
    }

    /// How a drawing is coloured.
    pub(crate) fn ink(&self) -> Ink {
        if self.is_coloured { Ink::Ansi } else { Ink::None }
    }

    /// Writes one line of text.
    pub(crate) fn line(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.raw(format!("{}\n", text.as_ref()).as_bytes())
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        Ok(())
    }

    /// Writes one JSON object as one line.
    pub(crate) fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Failure> {
        self.line(serde_json::to_string(value).expect("records with text keys always encode"))
    }

    /// Writes a list in the shape that is wanted; says so when it is empty.
    pub(crate) fn list<R: Row>(&self, rows: &[R], none: &str) -> Result<(), Failure> {
        match self.shape {
            Shape::Json => rows.iter().try_for_each(|row| self.json(row)),
            Shape::Plain => {
                let lines: String = rows
                    .iter()
                    .map(|row| row.cells(self).iter().map(|c| one_line(c)).collect::<Vec<_>>().join("\t") + "\n")
                    .collect();
                self.raw(lines.as_bytes())
            }
            Shape::Table if rows.is_empty() => {
                self.say(none);
                Ok(())
            }
            Shape::Table => {
                let mut table = Table::new();
                table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
                table.set_header(R::TITLES.iter().map(|title| title.to_uppercase()));
                for row in rows {
                    table.add_row(row.cells(self).iter().map(|cell| one_line(cell)));
                }
                self.line(table.trim_fmt())
            }
        }
    }

    /// Writes one thing: an object, or one line per field; fields without a value are left out.
    pub(crate) fn record<T: Serialize>(&self, value: &T, fields: &[(&str, String)]) -> Result<(), Failure> {
        if self.is_json() {
            return self.json(value);
        }
        let wide = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
        let mut text = String::new();
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            match self.shape {
                Shape::Plain => text.push_str(&format!("{name}\t{}\n", one_line(value))),
                _ => text.push_str(&format!("{name:<wide$}{}\n", value.replace('\n', &format!("\n{:wide$}", "")))),
            }
        }
        self.raw(text.as_bytes())
    }

    /// A moment: its age for people, RFC 3339 for pipes.
    pub(crate) fn moment(&self, at: UnixMillis) -> String {
        match self.shape {
            Shape::Table => age(at, clock::now()),
            _ => format_rfc3339(at),
        }
    }

    /// The same of a moment that may not be known.
    pub(crate) fn moment_or_none(&self, at: Option<UnixMillis>) -> String {
        at.map(|at| self.moment(at)).unwrap_or_default()
    }

    /// A size: rounded for people, in bytes for pipes.
    pub(crate) fn size(&self, bytes: u64) -> String {
        if self.shape == Shape::Table { rounded(bytes) } else { bytes.to_string() }
    }

    /// Says something beside the data.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if !self.is_quiet {
            self.tell(text.as_ref());
        }
    }

    /// Says what went wrong while the command goes on.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        self.tell(text.as_ref());
    }

    /// Says why a command failed.
    pub(crate) fn fail(&self, failure: &Failure) {
        if failure.is_silent {
            return;
        }
        let mut lines = failure.lines().into_iter();
        let what = lines.next().unwrap_or_default();
        let (red, plain) = if self.is_coloured { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
        self.tell(&format!("{red}error[{}]{plain}: {what}", failure.code));
        lines.for_each(|line| self.tell(&format!("  because: {line}")));
        failure.help.iter().for_each(|line| self.tell(&format!("  help: {line}")));
    }

    fn tell(&self, text: &str) {
        // Without a stderr there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// A cell without what would break the line or steer a terminal.
fn one_line(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A size in the largest unit of which there is at least one.
pub(crate) fn rounded(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut unit, mut tenths) = ("B", u128::from(bytes) * 10);
    for next in units {
        if tenths < 10_240 {
            break;
        }
        (unit, tenths) = (next, tenths / 1024);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

/// How long ago, or in how long, in its largest unit.
fn age(at: UnixMillis, now: UnixMillis) -> String {
    let millis = now.0.saturating_sub(at.0);
    let span = millis.unsigned_abs();
    let text = match span {
        0..1_000 => format!("{span}ms"),
        1_000..120_000 => format!("{}s", span / 1_000),
        120_000..7_200_000 => format!("{}m", span / 60_000),
        7_200_000..172_800_000 => format!("{}h", span / 3_600_000),
        _ => format!("{}d", span / 86_400_000),
    };
    if millis < 0 { format!("in {text}") } else { format!("{text} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        let now = UnixMillis(1_000_000_000);
        for (back, text) in [(5, "5ms ago"), (119_000, "119s ago"), (7_000_000, "116m ago"), (-90_000, "in 90s")] {
            assert_eq!(age(UnixMillis(now.0 - back), now), text);
        }
    }

    #[test]
    fn sizes_are_rounded_for_people() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB")] {
            assert_eq!(rounded(bytes), text);
        }
    }

    #[test]
    fn a_cell_stays_on_its_line() {
        assert_eq!(one_line("a\n\u{1b}[2Jb\t"), "a  [2Jb ");
    }
}
