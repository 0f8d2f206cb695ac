//! Positions of items in a bundle, as one line of numbers and ranges: `4 6-9`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Positions, lowest first, none twice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Positions(Vec<u32>);

/// A line that is none of positions below the limit, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("positions are not numbers and ranges below {}, lowest first", limits::BUNDLE_ITEMS)]
pub struct InvalidPositions;

impl Positions {
    /// The positions themselves.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// Whether all of the others are among them.
    #[must_use]
    pub fn hold(&self, others: &Self) -> bool {
        others.iter().all(|position| self.0.binary_search(&position).is_ok())
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<u32> for Positions {
    fn from_iter<I: IntoIterator<Item = u32>>(positions: I) -> Self {
        let mut sorted: Vec<u32> = positions.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self(sorted)
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = self.0.chunk_by(|one, next| one + 1 == *next);
        for (at, range) in ranges.enumerate() {
            let gap = if at > 0 { " " } else { "" };
            match range {
                [one] => write!(f, "{gap}{one}")?,
                [first, .., last] => write!(f, "{gap}{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

impl FromStr for Positions {
    type Err = InvalidPositions;
    fn from_str(line: &str) -> Result<Self, InvalidPositions> {
        let mut positions: Vec<u32> = Vec::new();
        for range in line.split(' ').filter(|range| !range.is_empty()) {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            let from: u32 = from.parse().map_err(|_| InvalidPositions)?;
            let to: u32 = to.parse().map_err(|_| InvalidPositions)?;
            let follows = positions.last().is_none_or(|last| *last < from);
            if !follows || to < from || to >= limits::BUNDLE_ITEMS {
                return Err(InvalidPositions);
            }
            positions.extend(from..=to);
        }
        Ok(Self(positions))
    }
}

impl TryFrom<String> for Positions {
    type Error = InvalidPositions;
    fn try_from(line: String) -> Result<Self, InvalidPositions> {
        line.parse()
    }
}

impl From<Positions> for String {
    fn from(positions: Positions) -> String {
        positions.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_it_was_written() {
        for (positions, line) in [(vec![], ""), (vec![4], "4"), (vec![4, 6, 7, 8, 9, 11], "4 6-9 11")] {
            let made: Positions = positions.iter().copied().rev().collect();
            assert_eq!(made.to_string(), line);
            assert_eq!(line.parse(), Ok(made));
        }
        for bad in ["x", "3-2", "4 4", "4 2", "1000", "0-4294967295", "-1"] {
            assert_eq!(bad.parse::<Positions>(), Err(InvalidPositions), "{bad}");
        }
    }

    #[test]
    fn positions_hold_those_among_them() {
        let (some, few): (Positions, Positions) = ((2..9).collect(), [2, 8].into_iter().collect());
        assert!(some.hold(&few) && some.hold(&some) && few.hold(&Positions::default()));
        assert!(!few.hold(&some));
    }

    #[test]
    fn the_longest_line_fits_a_header() {
        let every_other: Positions = (0..limits::BUNDLE_ITEMS).step_by(2).collect();
        assert!(every_other.to_string().len() < limits::HEADER_BYTES);
    }
}
