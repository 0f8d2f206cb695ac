//! A world: set up, played through a storm, healed, and looked at once it is quiet.

pub mod client;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use nova_broker::memory::MemoryBroker;
use nova_broker::{Broker as _, BrokerRef, Bucket, Expect, Scan};
use nova_provision::{ApplyOptions, Catalogue, Profile, desired};
use nova_types::{Fnv1a, run_skill};
use nova_wire::{assets, subject};
use nova_workflow::{Plan, canonical};
use serde_json::json;
use tokio::time::Instant;

use crate::books::Books;
use crate::judge;
use crate::process::{Ground, Place};
use crate::scenario::{Blow, PROCESSES, STORM, Scenario, SkillKind, Weather};

/// What became of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The promises that were broken.
    pub broken: Vec<String>,
    /// What all streams hold at the end, as one number.
    pub digest: u64,
    /// How often each fault really happened.
    pub faults: BTreeMap<&'static str, u64>,
    /// How many calls the first process of each place has made.
    pub calls: Vec<u64>,
    /// How long it took on the world's own clock.
    pub took: Duration,
}

/// A queue: leases are short beside the storm, so that much is delivered again.
fn catalogue_line(kind: SkillKind) -> String {
    let more = match kind {
        SkillKind::Work => "",
        SkillKind::Keyed => ", keyed = true, partitions = 2",
        SkillKind::Limited => ", rate = \"2/s burst 3\"",
    };
    let all = "lease = \"6s\", timeout = \"40s\", max_attempts = 3, backoff = \"200ms..4s\", max_bytes = \"1MiB\"";
    format!("{} = {{ {all}{more} }}", kind.name())
}

/// How long after the storm everything may take to come to its end: the longest pause of a task, its longest attempt a few
/// times over, and leases in between.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// Plays a scenario.
///
/// # Panics
/// When the world cannot be set up.
#[must_use]
pub fn play(scenario: &Scenario) -> Report {
    fastrand::seed(scenario.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime of one thread").block_on(World::play(scenario))
}

struct World {
    ground: Arc<Ground>,
    places: Vec<Arc<Place>>,
    plan: Plan,
}

impl World {
    async fn play(scenario: &Scenario) -> Report {
        let began = Instant::now();
        let mut rng = Rng::with_seed(scenario.seed.wrapping_add(1));
        let books = Arc::new(Books::default());
        let memory = MemoryBroker::new();
        let plan = set_up(&memory, scenario).await;
        let ground = Ground::new(memory, Arc::clone(&books), scenario);
        let place = |number| Place::open(&ground, number, rng.fork(), scenario.strike);
        let places: Vec<_> = (0..PROCESSES).map(place).collect();
        let first: Vec<_> = places.iter().map(|place| place.wire()).collect();
        let world = Self { ground, places, plan };
        let asked = client::ask(&world.ground, scenario, rng.u64(..));
        world.storm(scenario).await;
        world.heal();
        let is_quiet = tokio::time::timeout(PATIENCE, world.quiet(asked)).await.is_ok();
        let mut broken = books.open().broken.clone();
        if !is_quiet {
            broken.push("I24: not all has ended long after the last fault".to_owned());
        }
        broken.extend(judge::judge(&world.ground, scenario, &world.plan).await);
        let (digest, faults) = (world.digest().await, books.open().faults.clone());
        let calls = first.iter().map(|wire| wire.calls()).collect();
        Report { broken, digest, faults, calls, took: began.elapsed() }
    }

    async fn storm(&self, scenario: &Scenario) {
        let began = Instant::now();
        for (at, blow) in &scenario.blows {
            tokio::time::sleep_until(began + *at).await;
            self.strike(*blow);
        }
        // Nothing is to be waited for where nothing goes wrong.
        let is_calm = scenario.blows.is_empty() && scenario.weather == Weather::default();
        if !is_calm {
            tokio::time::sleep_until(began + STORM).await;
        }
    }

    fn strike(&self, blow: Blow) {
        let wire = |place: usize| self.places[place].wire();
        let books = &self.ground.books;
        match blow {
            Blow::Kill(place) => wire(place).kill(),
            Blow::Freeze(place, time) => {
                books.count("processes frozen");
                wire(place).freeze(Instant::now() + time);
            }
            Blow::Cut(place, time) => {
                books.count("connections cut");
                let wire = wire(place);
                wire.cut();
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    wire.mend();
                });
            }
            Blow::Forget(acks) => {
                books.count("brokers killed");
                self.ground.memory.faults().forget_consumer_state(acks);
                for place in &self.places {
                    let wire = place.wire();
                    wire.cut();
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(300)).await;
                        wire.mend();
                    });
                }
            }
        }
    }

    fn heal(&self) {
        *self.ground.weather.lock().unwrap_or_else(PoisonError::into_inner) = Weather::default();
        for place in &self.places {
            let wire = place.wire();
            wire.clear_up();
            wire.mend();
        }
    }

    /// Waits until everything that was asked for has ended, and nothing is left in the queues.
    async fn quiet(&self, mut asked: tokio::task::JoinSet<()>) {
        while let Some(done) = asked.join_next().await {
            done.expect("the client does not panic");
        }
        while !self.is_quiet().await {
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    }

    async fn is_quiet(&self) -> bool {
        let memory = &self.ground.memory;
        let accepted: Vec<_> = self.ground.books.open().accepted.keys().cloned().collect();
        for task in &accepted {
            let skill = client::skill_of(task);
            let outcome = memory.last(assets::OUTCOMES.to_owned(), subject::outcome(&skill, task)).await;
            if !matches!(outcome, Ok(Some(_))) {
                return false;
            }
        }
        let skills = self.ground.skills.iter().map(|kind| client::skill(*kind)).chain([run_skill()]);
        let streams: Vec<_> = skills.map(|skill| assets::tasks_stream(&skill)).collect();
        let more = [assets::OUTCOMES, assets::SCHEDULES, assets::CONTROL, assets::RUNS].map(str::to_owned);
        for stream in streams.into_iter().chain(more) {
            for consumer in memory.consumers(stream).await.unwrap_or_default() {
                if consumer.pending + consumer.ack_pending > 0 {
                    return false;
                }
            }
        }
        true
    }

    /// All that is stored, as one number.
    async fn digest(&self) -> u64 {
        let memory = &self.ground.memory;
        let mut digest = Fnv1a::of(b"");
        for stream in memory.streams(String::new()).await.unwrap_or_default() {
            let name = stream.spec.name;
            // What the processes say of themselves has the machine's name in it.
            if name == assets::bucket_stream(assets::WORKERS_BUCKET) {
                continue;
            }
            for stored in memory.scan(Scan::all(name, ">", usize::MAX)).await.unwrap_or_default() {
                digest = digest.and(stored.subject.as_bytes()).and(&stored.sequence.to_le_bytes());
                digest = digest.and(&stored.at.0.to_le_bytes()).and(&stored.body);
                for (name, value) in stored.headers.iter() {
                    digest = digest.and(name.as_bytes()).and(value.as_bytes());
                }
            }
        }
        digest.value()
    }
}

/// Provisions the broker and puts the workflow.
async fn set_up(memory: &MemoryBroker, scenario: &Scenario) -> Plan {
    let lines: Vec<_> = scenario.skills().into_iter().map(catalogue_line).collect();
    let catalogue = Catalogue::parse("simulation", &lines.join("\n")).expect("a catalogue");
    let options = nova_provision::Options { profile: Profile::Fast, now: memory.now() };
    let made = nova_provision::apply(memory, &desired(&catalogue, options), ApplyOptions::default(), |_| {}).await;
    assert!(made.expect("assets can be made").is_complete());
    let workflow: nova_workflow::Workflow =
        serde_json::from_value(client::workflow(scenario.is_packed)).expect("a workflow");
    let (name, text) = (workflow.workflow.clone(), canonical(&workflow));
    let plan = Plan::new(workflow).expect("a sound workflow");
    let broker: BrokerRef = Arc::new(memory.clone());
    let bucket = Bucket::new(broker, assets::WORKFLOWS_BUCKET);
    let hash = plan.hash().to_owned();
    bucket.put(&format!("def.{hash}"), text, None, Expect::Any).await.expect("stored");
    let present = json!({"hash": hash, "at": 0, "versions": [{"hash": hash, "at": 0}]});
    bucket.put(&format!("name.{name}"), present.to_string(), None, Expect::Any).await.expect("stored");
    plan
}
