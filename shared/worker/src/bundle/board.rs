//! Which items of a bundle wait, run and have run, as its lanes and whoever watches them see it.

use std::collections::{BTreeMap, VecDeque};

use nova_types::Usage;
use tokio::time::Instant;

use super::fold::ItemFate;
use crate::judge::Ended;

/// Why the items of a bundle are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Someone cancelled the task.
    Cancelled,
    /// The lease ended.
    LeaseLost,
    /// The process stops, or the bundle is given up for now.
    HandedBack,
}

impl Stop {
    /// What it means for an item that runs.
    pub(super) fn ended(self) -> Ended {
        match self {
            Self::Cancelled => Ended::Cancelled,
            Self::LeaseLost => Ended::LeaseLost,
            Self::HandedBack => Ended::HandedBack,
        }
    }
}

/// An item that runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    pub(super) item: u32,
    /// When it has to have ended.
    pub(super) until: Instant,
}

/// The state of an attempt on a bundle.
#[derive(Debug, Default)]
pub(super) struct Board {
    waiting: VecDeque<u32>,
    /// By lane.
    running: BTreeMap<usize, Running>,
    fates: BTreeMap<u32, ItemFate>,
    pub(super) stop: Option<Stop>,
    pub(super) usage: Usage,
}

impl Board {
    pub(super) fn new(items: impl IntoIterator<Item = u32>) -> Self {
        Self { waiting: items.into_iter().collect(), ..Self::default() }
    }

    /// The next item for a lane, which has until then; none when nothing is to be begun.
    pub(super) fn take(&mut self, lane: usize, until: Instant) -> Option<u32> {
        if self.stop.is_some() {
            return None;
        }
        let item = self.waiting.pop_front()?;
        self.running.insert(lane, Running { item, until });
        Some(item)
    }

    /// Notes what became of a lane's item; not of one that was given up.
    pub(super) fn put(&mut self, lane: usize, fate: ItemFate, usage: Usage) {
        let Some(running) = self.running.remove(&lane) else { return };
        self.fates.insert(running.item, fate);
        self.usage = sum(self.usage, usage);
    }

    /// Takes an item out of a lane that does not come to an end.
    pub(super) fn give_up(&mut self, lane: usize) -> Option<Running> {
        self.running.remove(&lane)
    }

    /// Notes the fate of an item that no lane has any more.
    pub(super) fn settle(&mut self, item: u32, fate: ItemFate) {
        self.fates.insert(item, fate);
    }

    /// How many items have not begun.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What a lane runs.
    pub(super) fn running(&self, lane: usize) -> Option<Running> {
        self.running.get(&lane).copied()
    }

    /// What became of items so far.
    pub(super) fn fates(&self) -> &BTreeMap<u32, ItemFate> {
        &self.fates
    }

    /// What became of each item; those that have not run are left.
    pub(super) fn finish(&mut self) -> Vec<(u32, ItemFate)> {
        let running = std::mem::take(&mut self.running);
        let left = std::mem::take(&mut self.waiting).into_iter().chain(running.into_values().map(|one| one.item));
        for item in left {
            self.fates.insert(item, ItemFate::Left);
        }
        std::mem::take(&mut self.fates).into_iter().collect()
    }
}

/// What attempts used together: their processor time, and the largest memory of any.
fn sum(one: Usage, other: Usage) -> Usage {
    let cpu = match (one.cpu, other.cpu) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    };
    Usage { cpu, rss_bytes: one.rss_bytes.max(other.rss_bytes) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_item_is_taken_once_and_has_one_fate() {
        let (now, none) = (Instant::now(), Usage::default());
        let mut board = Board::new([2, 5, 7, 9]);
        assert_eq!((board.take(0, now), board.take(1, now)), (Some(2), Some(5)));
        board.put(0, ItemFate::Snoozed { pause: Duration::ZERO }, none);
        assert_eq!(board.take(0, now), Some(7));
        let stuck = board.give_up(1).expect("it runs").item;
        board.settle(stuck, ItemFate::Snoozed { pause: Duration::ZERO });
        board.put(1, ItemFate::Left, none);
        board.stop = Some(Stop::HandedBack);
        assert_eq!(board.take(1, now), None, "nothing begins once it stops");
        let fates = board.finish();
        let items: Vec<u32> = fates.iter().map(|(item, _)| *item).collect();
        assert_eq!(items, [2, 5, 7, 9]);
        assert!(
            matches!(fates[1].1, ItemFate::Snoozed { .. }),
            "a late word of a lane that was given up counts for nothing"
        );
        assert_eq!((&fates[2].1, &fates[3].1), (&ItemFate::Left, &ItemFate::Left));
    }

    #[test]
    fn what_items_used_is_added_up() {
        let usage = |cpu: u64, rss| Usage { cpu: Some(Duration::from_millis(cpu)), rss_bytes: Some(rss) };
        assert_eq!(sum(usage(2, 10), usage(3, 7)), usage(5, 10));
        assert_eq!(sum(Usage::default(), usage(3, 7)), usage(3, 7));
    }
}
