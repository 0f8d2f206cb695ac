//! The rate of a fleet on a real server, each worker over a connection of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nova_broker::{BrokerRef, Expect, Message, jetstream};
use nova_provision::{ApplyOptions, Catalogue, Profile, desired};
use nova_runtime::{Clock as _, Metrics, Shutdown, SystemClock};
use nova_testkit::{NatsServer, wait_until};
use nova_types::{UnixMillis, WorkerId};
use nova_wire::assets;
use nova_worker::{Worker, WorkerOptions};
use serde_json::Value;

use crate::skills::does;

const TASKS: usize = 500;
const RATE: f64 = 200.0;
const BURST: f64 = 40.0;
/// What may lie between the token and the start on a busy machine.
const LATE: Duration = Duration::from_millis(250);

async fn connect(server: &NatsServer) -> BrokerRef {
    Arc::new(jetstream::connect(jetstream::Options::new(server.url(), "rate")).await.expect("it listens"))
}

fn options(id: usize, shutdown: &Shutdown) -> WorkerOptions {
    WorkerOptions {
        id: WorkerId::new(format!("w{id}")).expect("an id"),
        slots: 16,
        threads: 0,
        cancel_grace: Duration::from_secs(1),
        outcomes_kept: Duration::from_secs(24 * 3600),
        labels: BTreeMap::new(),
        http: None,
        clock: Arc::new(SystemClock::from_env()),
        metrics: Metrics::new(),
        shutdown: shutdown.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_workers_share_a_rate_on_a_server() {
    let server = NatsServer::start();
    let broker = connect(&server).await;
    let catalogue = Catalogue::parse("test", "a = { rate = \"200/s burst 40\" }").expect("a catalogue");
    let now: UnixMillis = SystemClock::from_env().now();
    let wanted = desired(&catalogue, nova_provision::Options { profile: Profile::Fast, now });
    let report = nova_provision::apply(&*broker, &wanted, ApplyOptions::default(), |_| {}).await;
    assert!(report.expect("assets can be made").is_complete());
    let submits = (0..TASKS).map(|_| broker.publish(Message::new("nova.task.a", "null"), Expect::Any));
    assert!(join_all(submits).await.iter().all(Result::is_ok));

    let (starts, shutdown) = (Arc::new(Mutex::new(Vec::new())), Shutdown::manual());
    let mut fleet = Vec::new();
    for id in 0..4 {
        let starts = Arc::clone(&starts);
        let skill = does("a", move |_, _| {
            starts.lock().expect("no holder panics").push(Instant::now());
            async { Ok(Value::Null) }
        });
        let worker = Worker::new().skill(skill).run(connect(&server).await, options(id, &shutdown));
        fleet.push(tokio::spawn(worker));
    }
    wait_until("every task to have ended", Duration::from_secs(60), async || {
        let outcomes = broker.stream(assets::OUTCOMES.into()).await.ok()??;
        (outcomes.messages == TASKS as u64).then_some(())
    })
    .await;
    shutdown.drain();
    for worker in fleet {
        worker.await.expect("no panic").expect("a clean end");
    }
    let mut starts = starts.lock().expect("no holder panics").clone();
    starts.sort_unstable();
    assert_eq!(starts.len(), TASKS, "each once: nothing was taken in vain");
    for (first, from) in starts.iter().enumerate() {
        for (nth, to) in starts[first..].iter().enumerate() {
            let allowed = BURST + RATE * (to.duration_since(*from) + LATE).as_secs_f64();
            assert!(nth as f64 + 1.0 <= allowed, "{} starts within {:?}", nth + 1, to.duration_since(*from));
        }
    }
    let took = starts[TASKS - 1].duration_since(starts[0]).as_secs_f64();
    let least = (TASKS as f64 - BURST) / RATE - LATE.as_secs_f64();
    assert!(took >= least && took < least * 3.0, "{TASKS} starts took {took} s");
}
