//! One run: a field, a load and a plan; then everything heals, ends, is read and judged.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nova_broker::BrokerRef;
use nova_provision::Profile;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::bounds::{Sample, exceeded, measure};
use crate::check::{Counts, Seen, Verdict, Violation, judge};
use crate::evidence::{Sightings, missing};
use crate::field::{Field, Terrain};
use crate::history::{Journal, read_all};
use crate::load::once::{Twin, once};
use crate::load::{Submitter, keyed};
use crate::nemesis::Nemesis;
use crate::plan::{Fault, Period, plan};
use crate::recovery::{Recovery, recoveries};
use crate::sabotage::Sabotage;
use crate::tail::Tail;
use crate::truth;

/// How long is waited while nothing more ends, so that the verdict can say what never did.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the load runs before the first fault.
const WARM_UP: Duration = Duration::from_secs(1);

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Decides load and faults.
    pub seed: u64,
    /// How long faults are injected.
    pub length: Duration,
    /// How the broker keeps what it acknowledges.
    pub profile: Profile,
    /// Which faults there may be.
    pub faults: Vec<Fault>,
    /// Whether servers have disks of their own.
    pub has_power: bool,
    /// How long all may take to end once the last fault is healed.
    pub ends_within: Duration,
    /// How much longer than promised the work may take to go on after a fault.
    pub slack: Duration,
    /// Which rule the workers break.
    pub broken: Option<Sabotage>,
}

/// What it came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The profile.
    pub profile: String,
    /// All that is wrong; empty is a pass.
    pub violations: Vec<Violation>,
    /// What happened.
    pub counts: Counts,
    /// From the last heal until everything had ended, in seconds.
    pub ended_secs: f64,
    /// How long faults were injected, in seconds.
    pub faulty_secs: f64,
    /// What was seen beside.
    pub reconnects: u64,
    /// New leaders.
    pub leader_changes: u64,
    /// Boundaries at which a process died.
    pub boundaries: u64,
    /// Servers that could not be stopped politely behind a full disk.
    pub hung: u64,
    /// Each kind of fault.
    pub faults: BTreeMap<String, Recovery>,
    /// How soon work went on after each of them.
    pub bounds: Vec<Sample>,
    /// Where everything was kept, when something is wrong.
    pub kept: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// When the field cannot be set up or read; what Nova does wrong is in the report.
pub async fn run(asked: &Asked, progress: impl FnMut(usize, &Period)) -> anyhow::Result<Report> {
    let terrain = Terrain {
        profile: asked.profile,
        has_power: asked.has_power,
        broken: asked.broken,
        workers: 3,
        coordinators: 2,
        submitters: 2,
    };
    let mut field = Field::start(terrain).await.context("could not set the field up")?;
    let tail = Arc::new(Tail::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    let mut connections = Vec::new();
    for n in 0..terrain.submitters {
        let name = format!("s{n}");
        let (client, broker) = field.client(n, &name).await?;
        connections.push(broker);
        let journal = Arc::new(Journal::open(&field.history(), &name)?);
        let submitter = Submitter::new(client, journal, Arc::clone(&tail), Arc::clone(&stop), asked.seed, n);
        load.spawn(submitter.run());
    }
    let (client, _) = field.client(0, "sk").await?;
    let journal = Arc::new(Journal::open(&field.history(), "sk")?);
    load.spawn(keyed(client, journal, Arc::clone(&tail), Arc::clone(&stop)));
    let mut twins = Vec::new();
    for n in 0..2 {
        let name = format!("s{n}-once");
        let (client, _) = field.client(n, &name).await?;
        twins.push(Twin::new(client, Arc::new(Journal::open(&field.history(), &name)?), Arc::clone(&tail)));
    }
    if let (Some(one), Some(other)) = (twins.pop(), twins.pop()) {
        load.spawn(once(one, other, Arc::clone(&stop), asked.seed));
    }
    let follower = tokio::spawn({
        let (tail, broker) = (Arc::clone(&tail), Arc::clone(&field.control));
        async move { tail.follow(broker).await }
    });

    tokio::time::sleep(WARM_UP).await;
    let periods = plan(asked.seed, asked.length, field.shape, &asked.faults);
    let nemesis = Journal::open(&field.history(), "nemesis")?;
    let began = Instant::now();
    let mut hand = Nemesis::new(&mut field, &nemesis);
    hand.run(&periods, progress).await.context("could not carry the faults out")?;
    let met = hand.met();
    let faulty_secs = began.elapsed().as_secs_f64();

    let healed = Instant::now();
    stop.store(true, Ordering::Relaxed);
    // What is under way is told first: a submit that nobody answers takes its time.
    while load.join_next().await.is_some() {}
    let has_ended = everything_ends(&field.control, &tail).await;
    let ended_secs = healed.elapsed().as_secs_f64();
    follower.abort();

    let mut seen = Seen { history: read_all(&field.history())?, copies: Vec::new() };
    for server in 0..field.servers.len() {
        let broker = field.alone(server).await?;
        let copy = truth::read(&broker, &format!("server{server}")).await;
        seen.copies.push(copy.with_context(|| format!("could not read server {server}"))?);
    }
    let Verdict { mut violations, counts } = judge(&seen);
    let sightings = Sightings {
        reconnects: connections.iter().map(|broker| broker.connection().borrow().epoch.saturating_sub(1)).sum(),
        leader_changes: field.leader_changes(),
        boundaries: std::fs::read_dir(field.marks())?.count() as u64,
        full: met.full,
        missed: met.missed,
        purged: met.purged,
    };
    let mut times = BTreeMap::new();
    periods.iter().flat_map(|period| &period.acts).for_each(|act| *times.entry(act.fault).or_insert(0) += 1);
    violations.extend(missing(&times, &counts, sightings));
    if has_ended && ended_secs > asked.ends_within.as_secs_f64() {
        let what = format!("{ended_secs:.1} s after the last fault was healed, not {} s", asked.ends_within.as_secs());
        violations.push(Violation { invariant: "I24 everything ends in time", of: "the run".to_owned(), what });
    }
    let bounds = measure(&seen.history);
    violations.extend(exceeded(&bounds, asked.slack));
    let faults = recoveries(&seen.history);
    let kept = if violations.is_empty() { None } else { Some(field.keep()?) };
    Ok(Report {
        seed: asked.seed,
        profile: asked.profile.as_str().to_owned(),
        violations,
        counts,
        ended_secs,
        faulty_secs,
        reconnects: sightings.reconnects,
        leader_changes: sightings.leader_changes,
        boundaries: sightings.boundaries,
        hung: met.hung,
        faults,
        bounds,
        kept,
    })
}

/// Waits until every acknowledged task has its outcome and every queue is empty; says whether that came about.
pub(crate) async fn everything_ends(control: &BrokerRef, tail: &Tail) -> bool {
    let (mut left, mut since) = (u64::MAX, Instant::now());
    while since.elapsed() < PATIENCE {
        let waiting: Option<u64> = match truth::lanes(control).await {
            Ok(lanes) => Some(lanes.iter().map(|lane| lane.pending + lane.ack_pending).sum()),
            Err(_) => None,
        };
        let now = waiting.map(|waiting| waiting + tail.open() as u64);
        match now {
            Some(0) => return true,
            Some(now) if now < left => (left, since) = (now, Instant::now()),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}
