//! A set of item numbers held as ranges: a map of a million items costs as much as the gaps in it.

use serde::{Deserialize, Serialize};

/// A set of numbers, as sorted ranges `from..to` that neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// All numbers below `end`.
    pub fn below(end: u32) -> Self {
        if end == 0 { Self::default() } else { Self(vec![(0, end)]) }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers it holds.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }

    /// Adds a number; says whether it was missing.
    pub fn insert(&mut self, number: u32) -> bool {
        let at = self.0.partition_point(|(from, _)| *from <= number);
        if at > 0 && number < self.0[at - 1].1 {
            return false;
        }
        let joins_left = at > 0 && self.0[at - 1].1 == number;
        let joins_right = at < self.0.len() && self.0[at].0 == number + 1;
        match (joins_left, joins_right) {
            (true, true) => {
                self.0[at - 1].1 = self.0[at].1;
                self.0.remove(at);
            }
            (true, false) => self.0[at - 1].1 += 1,
            (false, true) => self.0[at].0 -= 1,
            (false, false) => self.0.insert(at, (number, number + 1)),
        }
        true
    }

    /// Removes a number; says whether it was there.
    pub fn remove(&mut self, number: u32) -> bool {
        let at = self.0.partition_point(|(from, _)| *from <= number);
        if at == 0 || number >= self.0[at - 1].1 {
            return false;
        }
        let (from, to) = self.0[at - 1];
        let pieces = [(from, number), (number + 1, to)];
        self.0.splice(at - 1..at, pieces.into_iter().filter(|(from, to)| from < to));
        true
    }

    /// Takes out the lowest number.
    pub fn pop(&mut self) -> Option<u32> {
        let first = self.0.first_mut()?;
        let number = first.0;
        first.0 += 1;
        if first.0 == first.1 {
            self.0.remove(0);
        }
        Some(number)
    }

    /// The ranges themselves.
    pub fn pieces(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// Every number, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|(from, to)| *from..*to)
    }
}

impl FromIterator<u32> for Ranges {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut set = Self::default();
        for number in numbers {
            set.insert(number);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_what_a_set_holds(moves in prop::collection::vec((0_u32..40, 0_u8..5), 0..200)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (number, what) in moves {
                match what {
                    0 => prop_assert_eq!(ranges.remove(number), set.remove(&number)),
                    1 => prop_assert_eq!(ranges.pop(), set.pop_first()),
                    _ => prop_assert_eq!(ranges.insert(number), set.insert(number)),
                }
                prop_assert!(ranges.pieces().windows(2).all(|two| two[0].1 < two[1].0), "{:?}", ranges);
                prop_assert_eq!(ranges.iter().collect::<BTreeSet<_>>(), set.clone());
                prop_assert_eq!(ranges.len() as usize, set.len());
            }
        }
    }

    #[test]
    fn a_full_set_is_one_range() {
        let numbers = (0..1000).step_by(2).chain((1..1000).step_by(2));
        assert_eq!(numbers.collect::<Ranges>(), Ranges::below(1000));
        assert!(Ranges::below(0).is_empty());
    }
}
