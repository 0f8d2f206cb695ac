//! The sizes, ages and limits of the broker's assets, each with its reason.
//!
//! The broker reserves `max_bytes` when a stream is made and refuses more than its disk has, so every stream says one and
//! together they stay modest: about 6 GiB for the built-in skills under `fast`, about 16 GiB otherwise.

use std::time::Duration;

use crate::Profile;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// How many bytes each asset may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// One skill's queue with its history.
    pub tasks: u64,
    /// All outcomes of a day.
    pub outcomes: u64,
    /// Failed attempts and checkpoints.
    pub attempts: u64,
    /// Schedules and what is due.
    pub schedules: u64,
    /// Cancels.
    pub control: u64,
    /// Dead letters.
    pub dead: u64,
    /// Workflow runs.
    pub runs: u64,
    /// Lifecycle facts.
    pub events: u64,
    /// One key-value bucket.
    pub bucket: u64,
    /// Idempotency keys and unique tasks.
    pub keys: u64,
    /// Large payloads.
    pub blobs: u64,
}

impl Sizes {
    /// What fits a laptop: a million small tasks per queue, and the server's default share (75 %) of 8 GiB free disk.
    pub const SMALL: Self = Self {
        tasks: 512 * MIB,
        outcomes: GIB,
        attempts: 128 * MIB,
        schedules: 128 * MIB,
        control: 32 * MIB,
        dead: 256 * MIB,
        runs: 256 * MIB,
        events: 128 * MIB,
        bucket: 16 * MIB,
        keys: 128 * MIB,
        blobs: GIB,
    };

    /// What a server of its own carries, and still no more than a disk of 20 GiB: a queue of 1 GiB holds 4 million small
    /// tasks, outcomes of 4 GiB a day of 120 small results per second; both grow with one number in the catalogue or here.
    pub const FULL: Self = Self {
        tasks: GIB,
        outcomes: 4 * GIB,
        attempts: 512 * MIB,
        schedules: 512 * MIB,
        control: 64 * MIB,
        dead: GIB,
        runs: GIB,
        events: 512 * MIB,
        bucket: 32 * MIB,
        keys: 512 * MIB,
        blobs: 2 * GIB,
    };

    /// The sizes of a profile.
    #[must_use]
    pub const fn of(profile: Profile) -> Self {
        match profile {
            Profile::Fast => Self::SMALL,
            Profile::Durable | Profile::Replicated => Self::FULL,
        }
    }
}

/// How much of a queue's bytes finished tasks may keep, in percent: three quarters stay for what waits.
pub const HISTORY_SHARE: u8 = 25;

/// How long a dedupe key is remembered. The broker's own 2 min cost 50-170 B for every task of two minutes; a client that
/// publishes again after a lost receipt does it within seconds.
pub const DUPLICATE_WINDOW: Duration = Duration::from_secs(10);

/// How long an outcome is kept: it is the fence, and a day covers any weekend deploy but not a forgotten stream.
pub const OUTCOMES_AGE: Duration = Duration::from_secs(24 * 3600);

/// How long an attempt is kept: the longest a task that keeps failing is remembered as having failed, and far above the
/// outcome's own day, so that `nova why` still has the causes.
pub const ATTEMPTS_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a cancel is kept: as long as the outcomes it competes with.
pub const CONTROL_AGE: Duration = Duration::from_secs(24 * 3600);

/// How long a dead letter waits for a person.
pub const DEAD_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long lifecycle facts are kept: a week back is what people look at after an incident.
pub const EVENTS_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long the mark of a key that expired stays, for watchers that were away: longer than any reconnect.
pub const DELETE_MARKER_AGE: Duration = Duration::from_secs(60);

/// The most deliveries out at once: what is delayed by a nak counts, too, and 10,000 failing tasks must not hold up the
/// healthy ones behind them.
pub const MAX_ACK_PENDING: i64 = 20_000;

/// The most orders out at once: one for a run that is still to come is put off for up to seven days, and whoever sends many
/// such must not hold up the orders of others behind them.
pub const MAX_ORDERS_PENDING: i64 = 1_000_000;

/// The most waiting pulls: two per worker for a fleet of 2,000. The broker's default of 512 ends in refused pulls that are
/// asked again at once.
pub const MAX_WAITING: i64 = 4096;

/// The lease of the coordinators' own consumers: a due task, a timer or an order is handled in milliseconds, what takes
/// longer is extended each second, and within seconds another coordinator takes over what one that died was holding.
pub const COORDINATOR_LEASE: Duration = Duration::from_secs(3);

/// The lease of the coordinators' consumers of run tasks' outcomes: a run goes on within seconds of its coordinator's
/// death, and an outcome is folded in milliseconds.
pub const RUN_LEASE: Duration = Duration::from_secs(3);

/// How many partitions runs are spread over: one consumer each, and four cost the broker nothing.
pub const RUN_PARTITIONS: u32 = 4;

/// Servers a replicated stream is kept on: one may fail.
pub const REPLICAS: usize = 3;

/// The broker's word for "no limit".
pub const UNLIMITED: i64 = -1;

/// How many sequences each second of the clock owns: a queue made again begins above what its forerunner gave unless that
/// took more tasks per second on average. The product keeps below 10^15, the largest integer a structured header carries.
pub const SEQUENCES_PER_SECOND: u64 = 100_000;
