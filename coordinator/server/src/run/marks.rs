//! The line that tells which transitions are carried out: numbers and ranges, `4 6-9`.

use std::fmt::Write as _;

/// The longest range that is read: a run that is that far ahead of its mark does not exist.
const LONGEST: u64 = 100_000;
/// How many ranges are written: the rest is told with the next transition.
const RANGES: usize = 200;

/// The line for sorted numbers.
pub(crate) fn write<'a>(numbers: impl IntoIterator<Item = &'a u64>) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == *number => *to = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let mut line = String::new();
    for (from, to) in ranges.into_iter().take(RANGES) {
        let gap = if line.is_empty() { "" } else { " " };
        let written = if from == to { write!(line, "{gap}{from}") } else { write!(line, "{gap}{from}-{to}") };
        written.expect("writing to a String cannot fail");
    }
    line
}

/// The numbers of a line; what is malformed counts for nothing.
pub(crate) fn read(line: &str) -> impl Iterator<Item = u64> + '_ {
    line.split(' ').flat_map(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let range = from.parse::<u64>().ok().zip(to.parse::<u64>().ok());
        let (from, to) = range.filter(|(from, to)| to.saturating_sub(*from) < LONGEST).unwrap_or((1, 0));
        from..=to
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_it_was_written() {
        for (numbers, line) in [(vec![], ""), (vec![4], "4"), (vec![4, 6, 7, 8, 9, 11], "4 6-9 11")] {
            assert_eq!(write(&numbers), line);
            assert_eq!(read(line).collect::<Vec<_>>(), numbers);
        }
        assert_eq!(read("x 3 1-99999999999 5-2 7").collect::<Vec<_>>(), [3, 7]);
    }
}
