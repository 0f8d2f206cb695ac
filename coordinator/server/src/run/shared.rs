//! What all runs of one coordinator work with.

use std::sync::Mutex;
use std::time::Duration;

use nova_runtime::Metric;
use tokio_util::sync::CancellationToken;

use super::definitions::Definitions;
use super::early::Early;
use super::place::Place;
use super::slots::Slots;
use crate::Parts;

/// How runs are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many runs are held in memory at once. Default 10,000: beyond it what arrives for others waits.
    pub live: usize,
    /// How long a run must be quiet before what it has carried out is noted. Default 300 ms.
    pub quiet: Duration,
    /// How long a run must be quiet before it leaves memory. Default 3 s.
    pub idle: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { live: 10_000, quiet: Duration::from_millis(300), idle: Duration::from_secs(3) }
    }
}

/// The broker, the definitions and the room, for every run.
pub(crate) struct Shared {
    pub(crate) parts: Parts,
    pub(crate) options: Options,
    pub(crate) definitions: Definitions,
    pub(crate) slots: Slots,
    pub(crate) early: Mutex<Early>,
    pub(crate) partitions: u32,
    /// The process drains: what waits for the broker to have room is left to others.
    pub(crate) stop: CancellationToken,
}

impl Shared {
    pub(crate) fn new(parts: Parts, options: Options, partitions: u32, stop: CancellationToken) -> Self {
        let definitions = Definitions::new(&parts);
        let slots = Slots::new(&parts);
        Self { parts, options, definitions, slots, early: Mutex::default(), partitions, stop }
    }

    pub(crate) fn place(&self, run: nova_types::RunId) -> Place {
        Place::new(run, self.partitions)
    }

    pub(crate) fn count(&self, metric: Metric) {
        self.parts.metrics.inc(metric, &[]);
    }
}
