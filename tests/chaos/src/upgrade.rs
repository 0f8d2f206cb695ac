//! A rolling upgrade from the last release: a fleet of that release becomes one of this tree while it works.
//!
//! [`release`] builds the old programs, [`route`] says which step comes when, [`fleet`] does it. Submitters of both sides
//! go on all the while, and the verdict is that of every chaos run, over the histories of both sides.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use nova_client::Client;
use nova_types::{OutcomeKind, Skill};
use tokio::task::JoinSet;

use crate::check::{Copy, Seen, Verdict, Violation, judge};
use crate::field::{self, Role};
use crate::history::{Fact, Journal, What, read_all};
use crate::load::{Submitter, keyed};
use crate::order::Answer;
use crate::recovery::recoveries;
use crate::run::{Asked, Report, everything_ends};
use crate::tail::Tail;
use crate::truth;
use crate::worker::SKILL;

pub mod capture;
pub mod fleet;
pub mod release;
pub mod route;

use fleet::{Fleet, SUBMITTER};
use release::Release;
use route::{Step, route};

/// The name of the journal of what was done to the fleet.
const OPERATOR: &str = "operator";
/// Of how many outcomes both sides' reading is compared, at most.
const COMPARED: usize = 2_000;

/// Runs it; each step has an equal part of the time. What the released side alone has written by then can be kept.
///
/// # Errors
/// When the fleet cannot be set up or read, or a step cannot be taken; what Nova does wrong is in the report.
pub async fn run(asked: &Asked, keep: Option<&Path>, mut progress: impl FnMut(&str)) -> anyhow::Result<Report> {
    let release = Release::of_this_tree()?;
    progress(&format!("building {}, which takes minutes the first time", release.version));
    let released = tokio::task::block_in_place(|| release.build())?;
    let mut fleet = Fleet::start(asked.profile, released).await.context("could not set the fleet up")?;
    let mut load = Load::start(&fleet, asked.seed).await?;
    let operator = Journal::open(&fleet.history(), OPERATOR)?;
    let mut violations = Vec::new();
    let (steps, began) = (route(asked.seed), Instant::now());
    let part = asked.length / u32::try_from(steps.len() + 1)?;
    let mut stints = Stints::default();
    stints.note("all of the released side");
    tokio::time::sleep(part).await;
    if let Some(path) = keep {
        capture::write(&fleet.control, path).await?;
    }
    for step in steps {
        violations.extend(fallen(&mut fleet));
        let what = told(step);
        progress(&what);
        stints.note(&what);
        operator.note(What::Fault { fault: what.clone(), target: "the fleet".to_owned() });
        match *step {
            Step::Provision => fleet.provision_anew().await?,
            Step::Replace(role, n, side) => fleet.replace(role, n, side).await?,
            Step::Begin => load.begin_anew(&mut fleet).await?,
        }
        operator.note(What::Healed { faults: vec![what] });
        tokio::time::sleep(part).await;
    }
    violations.extend(fallen(&mut fleet));
    let faulty_secs = began.elapsed().as_secs_f64();

    let rested = Instant::now();
    fleet.stop_submitting().await?;
    load.stop().await;
    for fact in read_all(&fleet.history())?.iter().filter(|fact| fact.by == SUBMITTER) {
        if let What::Acked { skill, task } = &fact.what {
            load.tail.acked(skill, task);
        }
    }
    let has_ended = everything_ends(&fleet.control, &load.tail).await;
    let ended_secs = rested.elapsed().as_secs_f64();
    load.follower.abort();

    let mut seen = Seen { history: read_all(&fleet.history())?, copies: Vec::new() };
    for server in &fleet.servers {
        let broker = field::connect(&server.url(), "upgrade-reader").await?;
        seen.copies.push(truth::read(&broker, &server.url()).await.context("could not read a server")?);
    }
    let Verdict { violations: found, counts } = judge(&seen);
    violations.extend(found);
    violations.extend(stints.idle(&seen.history));
    violations.extend(readable(&fleet, &seen.copies[0]).await?);
    if has_ended && ended_secs > asked.ends_within.as_secs_f64() {
        let what = format!("{ended_secs:.1} s after the last step, not {} s", asked.ends_within.as_secs());
        violations.push(Violation { invariant: "I24 everything ends in time", of: "the run".to_owned(), what });
    }
    let faults = recoveries(&seen.history);
    let kept = if violations.is_empty() { None } else { Some(fleet.keep()?) };
    Ok(Report {
        seed: asked.seed,
        profile: asked.profile.as_str().to_owned(),
        violations,
        counts,
        ended_secs,
        faulty_secs,
        reconnects: 0,
        leader_changes: 0,
        boundaries: 0,
        hung: 0,
        // Nothing dies in an upgrade; what it costs is in how long the work stood still.
        bounds: Vec::new(),
        faults,
        kept,
    })
}

fn told(step: &Step) -> String {
    match step {
        Step::Provision => "provision apply".to_owned(),
        Step::Begin => "runs and keys".to_owned(),
        Step::Replace(role, _, side) => format!("{} -> {}", word(*role), side.as_str()),
    }
}

const fn word(role: Role) -> &'static str {
    match role {
        Role::Worker => "worker",
        Role::Coordinator => "coordinator",
        Role::Submitter => "submitter",
    }
}

fn fallen(fleet: &mut Fleet) -> Vec<Violation> {
    let fallen = fleet.fallen().into_iter();
    fallen.map(|(of, what)| Violation { invariant: "U1 everyone stays", of, what }).collect()
}

/// The submitters of the present release.
struct Load {
    tail: Arc<Tail>,
    stop: Arc<AtomicBool>,
    has_runs: Arc<AtomicBool>,
    all: JoinSet<()>,
    follower: tokio::task::JoinHandle<()>,
}

impl Load {
    async fn start(fleet: &Fleet, seed: u64) -> anyhow::Result<Self> {
        let (tail, stop, mut all) = (Arc::new(Tail::default()), Arc::new(AtomicBool::new(false)), JoinSet::new());
        let has_runs = Arc::new(AtomicBool::new(false));
        for n in 0..2 {
            let (client, journal) = submitter(fleet, &format!("s{n}")).await?;
            let submitter = Submitter::new(client, journal, Arc::clone(&tail), Arc::clone(&stop), seed, n);
            all.spawn(submitter.with_runs_once(Arc::clone(&has_runs)).run());
        }
        let follower = tokio::spawn({
            let (tail, broker) = (Arc::clone(&tail), Arc::clone(&fleet.control));
            async move { tail.follow(broker).await }
        });
        Ok(Self { tail, stop, has_runs, all, follower })
    }

    /// From now on there are runs, and tasks with keys.
    async fn begin_anew(&mut self, fleet: &mut Fleet) -> anyhow::Result<()> {
        fleet.add_skill().await?;
        field::put_workflow(&fleet.control).await?;
        self.has_runs.store(true, Ordering::Relaxed);
        let (client, journal) = submitter(fleet, "sk").await?;
        self.all.spawn(keyed(client, journal, Arc::clone(&self.tail), Arc::clone(&self.stop)));
        Ok(())
    }

    async fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while self.all.join_next().await.is_some() {}
    }
}

async fn submitter(fleet: &Fleet, name: &str) -> anyhow::Result<(Client, Arc<Journal>)> {
    let url: Vec<String> = fleet.servers.iter().map(nova_testkit::NatsServer::url).collect();
    let broker = field::connect(&url.join(","), name).await?;
    let client = Client::new(broker, name.parse().context("a submitter's name is a scope")?);
    Ok((client, Arc::new(Journal::open(&fleet.history(), name)?)))
}

/// When each step was taken: between any two, every worker and every submitter must have done something.
#[derive(Default)]
struct Stints(Vec<(String, u64)>);

impl Stints {
    fn note(&mut self, step: &str) {
        self.0.push((step.to_owned(), crate::history::now()));
    }

    fn idle(&self, history: &[Fact]) -> Vec<Violation> {
        let mut all = Vec::new();
        for (at, (step, from)) in self.0.iter().enumerate() {
            let until = self.0.get(at + 1).map_or(u64::MAX, |(_, until)| *until);
            let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
            for fact in history.iter().filter(|fact| (*from..until).contains(&fact.at)) {
                if matches!(fact.what, What::Started { .. } | What::Acked { .. }) {
                    *seen.entry(&fact.by).or_default() += 1;
                }
            }
            let wanted = (0..route::WORKERS).map(|n| format!("w{n}")).chain([SUBMITTER.to_owned(), "s0".to_owned()]);
            all.extend(wanted.filter(|by| !seen.contains_key(&**by)).map(|of| {
                let what = format!("started or submitted nothing after `{step}`");
                Violation { invariant: "U2 everyone works", of, what }
            }));
        }
        all
    }
}

/// Both sides read the same of every outcome, and its result.
async fn readable(fleet: &Fleet, truth: &Copy) -> anyhow::Result<Vec<Violation>> {
    let skill = Skill::new(SKILL).context("a skill")?;
    let (client, _) = submitter(fleet, "reader").await?;
    let of_skill: Vec<_> = truth.outcomes.iter().filter(|record| record.outcome.skill == skill).collect();
    let every = of_skill.len().div_ceil(COMPARED).max(1);
    let (mut tasks, mut present) = (String::new(), String::new());
    for record in of_skill.into_iter().step_by(every) {
        let task = &record.outcome.task;
        tasks += &format!("{task}\n");
        let found = client.result(&skill, task).await?.context("an outcome that was there")?;
        let answer = if found.outcome.kind == OutcomeKind::Completed { found.result::<Answer>()? } else { None };
        let answer = answer.map_or("-".to_owned(), |answer| answer.n.to_string());
        present += &format!("{task} {} {answer}\n", found.outcome.kind);
    }
    let released = fleet.read_by_released(&tasks).await?;
    let differing = present.lines().zip(released.lines()).filter(|(here, there)| here != there);
    let mut all: Vec<Violation> = differing
        .map(|(here, there)| Violation {
            invariant: "U3 both sides read the same",
            of: here.to_owned(),
            what: format!("the released side reads `{there}`"),
        })
        .collect();
    if present.lines().count() != released.lines().count() {
        let what = format!("{} outcomes and {}", present.lines().count(), released.lines().count());
        all.push(Violation { invariant: "U3 both sides read the same", of: "all".to_owned(), what });
    }
    Ok(all)
}
