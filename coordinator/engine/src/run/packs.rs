//! The bundles of a map under way: which items each has, and which of them have not ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// Bundles under way, by their first item. Items are packed in their order, so that no two bundles reach into each other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Packs(BTreeMap<u32, Pack>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pack {
    /// All of its items: what its task was asked stays the same.
    items: Ranges,
    /// Those that have not ended.
    open: Ranges,
}

/// What became of an item that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// It was not under way.
    No,
    /// Others of its bundle are.
    Item,
    /// It was the last of its bundle, whose first item this is.
    Last(u32),
}

impl Packs {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a bundle that started.
    pub fn open(&mut self, items: Ranges) {
        let first = items.iter().next();
        if let Some(first) = first {
            self.0.insert(first, Pack { open: items.clone(), items });
        }
    }

    /// Takes an item that ended out of its bundle.
    pub fn close(&mut self, item: u32) -> Closed {
        let Some((first, pack)) = self.0.range_mut(..=item).next_back() else { return Closed::No };
        if !pack.open.remove(item) {
            return Closed::No;
        }
        let first = *first;
        if !pack.open.is_empty() {
            return Closed::Item;
        }
        self.0.remove(&first);
        Closed::Last(first)
    }

    /// All items of the bundle that begins with this one.
    pub fn items(&self, first: u32) -> Option<&Ranges> {
        self.0.get(&first).map(|pack| &pack.items)
    }

    /// How many items are under way.
    pub fn under_way(&self) -> u32 {
        self.0.values().map(|pack| pack.open.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_of_a_bundle_is_closed_once() {
        let mut packs = Packs::default();
        packs.open([1, 2, 5].into_iter().collect());
        packs.open([6, 7].into_iter().collect());
        assert_eq!((packs.close(0), packs.close(3), packs.close(8)), (Closed::No, Closed::No, Closed::No));
        assert_eq!((packs.close(1), packs.close(1)), (Closed::Item, Closed::No));
        assert_eq!(packs.items(1).expect("under way").iter().collect::<Vec<_>>(), [1, 2, 5]);
        assert_eq!((packs.close(5), packs.under_way()), (Closed::Item, 3));
        assert_eq!((packs.close(2), packs.close(2)), (Closed::Last(1), Closed::No));
        assert_eq!((packs.close(7), packs.close(6)), (Closed::Item, Closed::Last(6)));
        assert!(packs.is_empty());
    }
}
