//! A whole task over the broker in memory: client, worker and broker on one thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nova_broker::BrokerRef;
use nova_broker::memory::MemoryBroker;
use nova_client::{Client, Submit};
use nova_provision::{ApplyOptions, Catalogue, Profile, desired};
use nova_runtime::{Metrics, Shutdown, SystemClock};
use nova_types::{Scope, WorkerId};
use nova_wire::Payload;
use nova_worker::{Context, Raw, Skill, Verdict, Worker, WorkerOptions};

struct Noop;

impl Skill for Noop {
    type Input = Raw;
    type Output = Raw;

    fn name(&self) -> &str {
        "noop"
    }

    async fn run(&self, input: Raw, _: Context) -> Result<Raw, Verdict> {
        Ok(input)
    }
}

/// Submits tasks one after another, and waits for each.
pub fn tasks(times: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(all(times));
}

async fn all(times: u64) {
    let memory = MemoryBroker::new();
    let broker: BrokerRef = Arc::new(memory.clone());
    let catalogue = Catalogue::parse("cost", "noop = {}").expect("a catalogue");
    let options = nova_provision::Options { profile: Profile::Fast, now: memory.now() };
    let made = nova_provision::apply(&*broker, &desired(&catalogue, options), ApplyOptions::default(), |_| {}).await;
    assert!(made.expect("assets can be made").is_complete());
    let shutdown = Shutdown::manual();
    let options = WorkerOptions {
        id: WorkerId::new("cost").expect("an id"),
        slots: 4,
        threads: 0,
        cancel_grace: Duration::from_secs(1),
        outcomes_kept: Duration::from_secs(3600),
        labels: BTreeMap::new(),
        http: None,
        clock: Arc::new(SystemClock::from_env()),
        metrics: Metrics::new(),
        shutdown: shutdown.clone(),
    };
    let worker = tokio::spawn(Worker::new().skill(Noop).run(Arc::clone(&broker), options));
    let client = Client::new(broker, Scope::new("cost").expect("a scope"));
    let task = || Submit::new("noop".parse().expect("a skill"), Payload::json(r#"{"n":1}"#));
    for _ in 0..times {
        client.submit_and_wait(task(), Duration::from_secs(60)).await.expect("it ends");
    }
    shutdown.drain();
    worker.await.expect("it does not panic").expect("it ends as it should");
}
