//! What happens in a world: what is asked, and what goes wrong.

mod parts;

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// How long things go wrong; then all that is dead is started again, and nothing more is lost.
pub const STORM: Duration = Duration::from_secs(60);

/// What one attempt of a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// It returns a result at once.
    Done,
    /// It returns one after so many milliseconds.
    Slow(u64),
    /// It fails.
    Fail,
    /// It fails, and asks for a pause so long that it becomes a schedule.
    FailForLong,
    /// It panics.
    Panic,
    /// It wants no other attempt.
    Reject,
    /// It ends the task by its own word.
    Cancel,
    /// It asks to be called later.
    Snooze,
}

/// Which part of the product a task is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Nothing but a task.
    Plain,
    /// One of a keyed skill, and its key.
    Keyed(u32),
    /// A bundle: what each of its items does; `acts` are of no meaning.
    Bundle(Vec<Vec<Act>>),
    /// One of several that are submitted under one key for once, by the number of the key.
    Once(u32),
    /// One of a skill with a rate.
    Limited,
}

/// A skill of the simulation; which of them a world has follows from its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkillKind {
    /// Tasks as they come, the items of bundles, and what runs ask for.
    Work,
    /// The same in the order of their keys.
    Keyed,
    /// The same, so many in a time.
    Limited,
}

/// A task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its name, in the scope of the client.
    pub name: String,
    /// What it is for.
    pub part: Part,
    /// What its attempts do; the last stands for all behind it.
    pub acts: Vec<Act>,
    /// How many may fail.
    pub max_attempts: u32,
    /// When it is submitted.
    pub at: Duration,
    /// Whether it is submitted a second time under the same id, after the broker has forgotten the first.
    pub is_repeated: bool,
    /// How long it is to wait in the schedules first.
    pub delay: Option<Duration>,
    /// When it is cancelled.
    pub cancelled_at: Option<Duration>,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// A process dies; another of its kind is started after a while.
    Kill(usize),
    /// A process stands still for so long: it is a zombie when it goes on.
    Freeze(usize, Duration),
    /// The broker is killed: all connections break, and so many acks are forgotten.
    Forget(usize),
    /// The connection of a process breaks, and is made again after so long.
    Cut(usize, Duration),
}

/// How often calls go wrong, in thousandths, and how long they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// Publishes that never arrive.
    pub lost_calls: u64,
    /// Publishes whose receipt never arrives.
    pub lost_receipts: u64,
    /// Acks and the like that never arrive.
    pub lost_settles: u64,
    /// The longest that a call is under way, each way, in milliseconds.
    pub latency_ms: u64,
}

/// A schedule that fires again and again until it is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurring {
    /// Its name, in the scope of the client.
    pub name: String,
    /// When it is made.
    pub at: Duration,
    /// How often it fires.
    pub every: Duration,
    /// When it is deleted.
    pub until: Duration,
}

/// A process is killed at its call of that number: before it is made, or behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    /// Which process.
    pub process: usize,
    /// Its call, from 1.
    pub call: u64,
    /// Whether the call was carried out.
    pub is_behind: bool,
}

/// A rule of the protocol that is taken away under the product, to see that it is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Outcomes are written whatever stands there.
    NoFence,
    /// The broker takes each delivery for acked.
    AckAtDelivery,
    /// Dead letters are told to be stored, and are not.
    LettersLost,
    /// The records of attempts are not kept.
    AttemptsLost,
    /// What a coordinator appends to a history counts whatever stands there.
    HistoryWithoutFence,
}

/// How many processes work; the first of them are workers, the rest coordinators.
pub const WORKERS: usize = 2;
/// See [`WORKERS`].
pub const PROCESSES: usize = WORKERS + 2;

/// A world to be.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What chance inside begins with.
    pub seed: u64,
    /// The tasks.
    pub tasks: Vec<Task>,
    /// How many runs of the workflow are started, and when.
    pub runs: Vec<Duration>,
    /// Whether the map of a run packs its items.
    pub is_packed: bool,
    /// The schedules that recur.
    pub recurring: Vec<Recurring>,
    /// What goes wrong with calls.
    pub weather: Weather,
    /// What else goes wrong, and when.
    pub blows: Vec<(Duration, Blow)>,
    /// Where a process is killed to the call.
    pub strike: Option<Strike>,
    /// Which rule is taken away.
    pub sabotage: Option<Sabotage>,
}

impl Scenario {
    /// One task or run in good weather, for a single strike.
    #[must_use]
    pub fn calm(seed: u64) -> Self {
        Self {
            seed,
            tasks: Vec::new(),
            runs: Vec::new(),
            is_packed: false,
            recurring: Vec::new(),
            weather: Weather::default(),
            blows: Vec::new(),
            strike: None,
            sabotage: None,
        }
    }

    /// The world of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut scenario = Self::plain_of_seed(seed);
        parts::draw(&mut scenario);
        scenario
    }

    /// The skills it needs.
    #[must_use]
    pub fn skills(&self) -> BTreeSet<SkillKind> {
        let first = [SkillKind::Work];
        first.into_iter().chain(self.tasks.iter().map(Task::skill)).collect()
    }

    /// The world of a seed with tasks and runs alone.
    #[must_use]
    pub fn plain_of_seed(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let tasks = (0..rng.usize(1..8)).map(|n| task(&mut rng, n)).collect();
        let runs = (0..rng.usize(0..3)).map(|_| moment(&mut rng)).collect();
        // One in four is quiet but for the blows, one in four only rough.
        let is_rough = rng.u32(0..4) > 0;
        let weather = Weather {
            lost_calls: if is_rough { rng.u64(0..60) } else { 0 },
            lost_receipts: if is_rough { rng.u64(0..60) } else { 0 },
            lost_settles: if is_rough { rng.u64(0..150) } else { 0 },
            latency_ms: rng.u64(0..40),
        };
        let count = if is_rough && rng.u32(0..4) == 0 { 0 } else { rng.usize(1..7) };
        let mut blows: Vec<_> = (0..count).map(|_| (moment(&mut rng), blow(&mut rng))).collect();
        blows.sort_by_key(|(at, _)| *at);
        Self { tasks, runs, weather, blows, ..Self::calm(seed) }
    }
}

impl Task {
    /// The skill that is asked for it.
    #[must_use]
    pub fn skill(&self) -> SkillKind {
        match self.part {
            Part::Plain | Part::Bundle(_) | Part::Once(_) => SkillKind::Work,
            Part::Keyed(_) => SkillKind::Keyed,
            Part::Limited => SkillKind::Limited,
        }
    }
}

/// A moment of the storm, rather at its beginning: what comes after the last task does little.
fn moment(rng: &mut Rng) -> Duration {
    let most = if rng.bool() { 10_000 } else { 50_000 };
    Duration::from_millis(rng.u64(0..most))
}

/// A task as it is usually: done at once.
#[must_use]
pub fn plain(name: &str, acts: &[Act]) -> Task {
    Task {
        name: name.to_owned(),
        part: Part::Plain,
        acts: acts.to_vec(),
        max_attempts: 3,
        at: Duration::ZERO,
        is_repeated: false,
        delay: None,
        cancelled_at: None,
    }
}

fn task(rng: &mut Rng, n: usize) -> Task {
    let acts = (0..rng.usize(1..4)).map(|_| act(rng)).collect();
    let at = moment(rng);
    Task {
        name: format!("t{n}"),
        part: Part::Plain,
        acts,
        max_attempts: rng.u32(1..4),
        at,
        is_repeated: rng.u32(0..5) == 0,
        delay: (rng.u32(0..5) == 0).then(|| Duration::from_millis(rng.u64(500..20_000))),
        cancelled_at: (rng.u32(0..5) == 0).then(|| at + Duration::from_millis(rng.u64(0..20_000))),
    }
}

fn act(rng: &mut Rng) -> Act {
    match rng.u32(0..16) {
        0..5 => Act::Done,
        5..8 => Act::Slow(rng.u64(0..30_000)),
        8..11 => Act::Fail,
        11 => Act::FailForLong,
        12 => Act::Panic,
        13 => Act::Reject,
        14 => Act::Cancel,
        _ => Act::Snooze,
    }
}

fn blow(rng: &mut Rng) -> Blow {
    let process = rng.usize(0..PROCESSES);
    match rng.u32(0..8) {
        0..4 => Blow::Kill(process),
        4..6 => Blow::Freeze(process, Duration::from_millis(rng.u64(1_000..30_000))),
        6 => Blow::Forget(rng.usize(0..6)),
        _ => Blow::Cut(process, Duration::from_millis(rng.u64(100..15_000))),
    }
}
