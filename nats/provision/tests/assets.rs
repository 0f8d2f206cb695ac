//! Plan, apply and check against the memory adapter and a real nats-server: same claims for both.

use std::sync::Arc;
use std::time::Duration;

use nova_broker::jetstream::{self, JetStream};
use nova_broker::memory::MemoryBroker;
use nova_broker::{Broker, BrokerRef, ConsumerSpec, Expect, Message, PauseState, PullItem, PullRequest, Settle, Start};
use nova_provision::{ApplyOptions, Asset, Catalogue, Options, Profile, apply, check, current_profile, desired, plan};
use nova_testkit::NatsServer;
use nova_types::UnixMillis;

const QUEUE: &str = "NOVA_TASKS_echo";
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn wanted() -> Vec<Asset> {
    desired(&Catalogue::built_in(), Options { profile: Profile::Fast, now: NOW })
}

async fn connect(server: &NatsServer) -> JetStream {
    jetstream::connect(jetstream::Options::new(server.url(), "provision")).await.expect("connected")
}

/// Runs a claim against both adapters, each freshly provisioned.
macro_rules! on_both {
    ($($claim:ident)*) => {
        mod memory { $(
            #[tokio::test]
            async fn $claim() {
                let broker: super::BrokerRef = std::sync::Arc::new(super::MemoryBroker::new());
                super::fresh(&*broker).await;
                super::$claim(broker).await;
            }
        )* }
        mod server { $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                let server = super::NatsServer::start();
                let broker: super::BrokerRef = std::sync::Arc::new(super::connect(&server).await);
                super::fresh(&*broker).await;
                super::$claim(broker).await;
            }
        )* }
    };
}

on_both! {
    applying_twice_changes_nothing
    a_changed_lease_is_named_and_mended_and_a_pause_stays
    a_changed_limit_is_named_and_mended
    a_limit_below_what_is_held_is_lowered_only_on_a_yes
    a_deleted_consumer_starts_only_where_it_is_told
    what_is_not_novas_stays_until_it_is_pruned
    a_consumer_that_cannot_change_is_made_again_behind_its_acks
}

async fn fresh(broker: &dyn Broker) {
    assert_eq!(current_profile(broker).await.expect("looked"), None);
    let report = apply(broker, &wanted(), ApplyOptions::default(), |_| {}).await.expect("applied");
    assert_eq!((report.done.len(), report.held.len()), (wanted().len(), 0));
}

#[track_caller]
fn same(found: &str, expect: &str) {
    assert_eq!(found, expect, "\n{found}");
}

async fn shown(broker: &dyn Broker) -> String {
    plan(broker, &wanted()).await.expect("planned").to_text()
}

async fn high(broker: &dyn Broker) -> ConsumerSpec {
    broker.consumer(QUEUE.into(), "high".into()).await.expect("looked").expect("a consumer").spec
}

async fn submit(broker: &dyn Broker, count: usize) {
    for _ in 0..count {
        let message = Message::new("nova.task.echo.high", vec![b'x'; 1000]);
        broker.publish(message, Expect::Any).await.expect("stored");
    }
}

/// Takes and acks so many tasks of high priority.
async fn work(broker: &dyn Broker, count: usize) {
    use futures_util::StreamExt as _;
    let wait = Some(Duration::from_secs(10));
    let request = PullRequest { stream: QUEUE.into(), consumer: "high".into(), batch: count, wait };
    let mut pull = broker.pull(request).await.expect("asked");
    let mut done = 0;
    while done < count {
        let PullItem::Delivery(task) = pull.next().await.expect("more to come").expect("no refusal") else { continue };
        broker.settle(&task.token, Settle::Ack).await.expect("sent");
        done += 1;
    }
    nova_testkit::wait_until("the acks to arrive", Duration::from_secs(10), async || {
        let info = broker.consumer(QUEUE.into(), "high".into()).await.ok()??;
        (info.ack_pending == 0).then_some(())
    })
    .await;
}

async fn applying_twice_changes_nothing(broker: BrokerRef) {
    let mut steps = 0;
    let report = apply(&*broker, &wanted(), ApplyOptions::default(), |_| steps += 1).await.expect("applied");
    assert_eq!((report.done.len(), report.held.len(), steps), (0, 0, 0));
    assert_eq!(check(&*broker, &wanted()).await.expect("checked"), []);
    assert_eq!(current_profile(&*broker).await.expect("looked"), Some(Profile::Fast));
    // A later clock wants a higher first sequence, for new streams only.
    let later = desired(&Catalogue::built_in(), Options { profile: Profile::Fast, now: UnixMillis(NOW.0 + 60_000) });
    assert_eq!(check(&*broker, &later).await.expect("checked"), []);
    let receipt = broker.publish(Message::new("nova.task.echo", "{}"), Expect::Any).await.expect("stored");
    assert!(receipt.sequence >= 180_000_000_000_000, "{}", receipt.sequence);
}

async fn a_changed_lease_is_named_and_mended_and_a_pause_stays(broker: BrokerRef) {
    let spec = high(&*broker).await;
    broker.put_consumer(ConsumerSpec { ack_wait: Duration::from_secs(90), ..spec.clone() }).await.expect("changed");
    // By the broker's own clock: the memory adapter begins where it likes.
    let now = broker.consumer(QUEUE.into(), "high".into()).await.expect("looked").expect("a consumer").now;
    let pause = PauseState { until: Some(now.plus(Duration::from_secs(3600))) };
    broker.pause_consumer(QUEUE.into(), "high".into(), pause).await.expect("paused");
    same(&shown(&*broker).await, "~ consumer NOVA_TASKS_echo/high\n    ack_wait: 90s -> 10s\n");
    let report = apply(&*broker, &wanted(), ApplyOptions::default(), |_| {}).await.expect("applied");
    assert!(report.is_complete() && report.done.len() == 1);
    let after = broker.consumer(QUEUE.into(), "high".into()).await.expect("looked").expect("a consumer");
    assert_eq!((after.spec, after.pause), (spec, pause));
    same(&shown(&*broker).await, "");
}

async fn a_changed_limit_is_named_and_mended(broker: BrokerRef) {
    let mut spec = broker.stream(QUEUE.into()).await.expect("looked").expect("a queue").spec;
    spec.max_bytes = 1 << 30;
    spec.max_age = Duration::from_secs(3600);
    broker.put_stream(spec).await.expect("changed");
    let expect = "~ stream NOVA_TASKS_echo\n    max_bytes: 1GiB -> 512MiB\n    max_age: 1h -> none\n";
    same(&shown(&*broker).await, expect);
    assert!(apply(&*broker, &wanted(), ApplyOptions::default(), |_| {}).await.expect("applied").is_complete());
    same(&shown(&*broker).await, "");
}

async fn a_limit_below_what_is_held_is_lowered_only_on_a_yes(broker: BrokerRef) {
    submit(&*broker, 1100).await;
    let small = Catalogue::parse("mine.toml", "echo = { max_bytes = \"1MiB\" }").expect("well formed");
    let wanted = desired(&Catalogue::built_in().with(small), Options { profile: Profile::Fast, now: NOW });
    let report = apply(&*broker, &wanted, ApplyOptions::default(), |_| {}).await.expect("applied");
    let held: Vec<_> = report.held.iter().map(|held| (held.asset.to_string(), held.is_foreign)).collect();
    assert_eq!(held, [("stream NOVA_TASKS_echo".to_owned(), false)]);
    assert!(!report.is_complete() && report.held[0].why.contains("--yes"), "{:?}", report.held);
    let options = ApplyOptions { yes: true, ..ApplyOptions::default() };
    assert!(apply(&*broker, &wanted, options, |_| {}).await.expect("applied").is_complete());
    assert_eq!(check(&*broker, &wanted).await.expect("checked"), []);
}

async fn a_deleted_consumer_starts_only_where_it_is_told(broker: BrokerRef) {
    submit(&*broker, 3).await;
    work(&*broker, 2).await;
    for name in ["high", "low"] {
        broker.delete_consumer(QUEUE.into(), name.into()).await.expect("deleted");
    }
    // No task of low priority was ever there: its consumer can begin anywhere.
    let first = 180_000_000_000_000_u64;
    let expect = format!(
        "x consumer NOVA_TASKS_echo/high\n    it is missing over history (sequences {first} to {}), and what was done \
         already would run again: say --consumer-start first, new or a sequence\n+ consumer NOVA_TASKS_echo/low\n",
        first + 2
    );
    same(&shown(&*broker).await, &expect);
    let report = apply(&*broker, &wanted(), ApplyOptions::default(), |_| {}).await.expect("applied");
    assert_eq!((report.done.len(), report.held.len(), report.is_complete()), (1, 1, false));
    assert_eq!(broker.consumer(QUEUE.into(), "high".into()).await.expect("looked"), None);

    let start_consumers_at = Some(Start::Sequence(first + 2));
    let options = ApplyOptions { start_consumers_at, ..ApplyOptions::default() };
    assert!(apply(&*broker, &wanted(), options, |_| {}).await.expect("applied").is_complete());
    let info = broker.consumer(QUEUE.into(), "high".into()).await.expect("looked").expect("a consumer");
    assert_eq!((info.spec.start, info.pending), (Start::Sequence(first + 2), 1));
    same(&shown(&*broker).await, "");
}

async fn what_is_not_novas_stays_until_it_is_pruned(broker: BrokerRef) {
    let mine = ConsumerSpec { name: "mine".into(), ..high(&*broker).await };
    broker.put_consumer(mine).await.expect("made");
    let mut old = broker.stream(QUEUE.into()).await.expect("looked").expect("a queue").spec;
    old.name = "NOVA_TASKS_old".into();
    old.subjects = vec!["nova.task.old".into()];
    broker.put_stream(old).await.expect("made");
    let expect = "? consumer NOVA_TASKS_echo/mine\n    not a consumer of Nova's; it reads nova.task.echo.high; --prune --yes \
                  deletes it and its position, 0 messages undelivered\n? stream NOVA_TASKS_old\n    skill old is not in \
                  the catalogue; --prune --yes deletes it with 0 messages, 0B\n";
    same(&shown(&*broker).await, expect);
    for (yes, prune) in [(true, false), (false, true)] {
        let options = ApplyOptions { yes, prune, ..ApplyOptions::default() };
        let report = apply(&*broker, &wanted(), options, |_| {}).await.expect("applied");
        assert!(report.is_complete() && report.done.is_empty() && report.held.len() == 2);
    }
    let options = ApplyOptions { yes: true, prune: true, ..ApplyOptions::default() };
    apply(&*broker, &wanted(), options, |_| {}).await.expect("applied");
    same(&shown(&*broker).await, "");
    assert_eq!(broker.stream("NOVA_TASKS_old".into()).await.expect("looked"), None);
}

async fn a_consumer_that_cannot_change_is_made_again_behind_its_acks(broker: BrokerRef) {
    let other = ConsumerSpec { max_waiting: 512, ..high(&*broker).await };
    broker.delete_consumer(QUEUE.into(), "high".into()).await.expect("deleted");
    broker.put_consumer(other).await.expect("made");
    submit(&*broker, 3).await;
    work(&*broker, 2).await;
    let report = apply(&*broker, &wanted(), ApplyOptions::default(), |_| {}).await.expect("applied");
    assert!(report.held[0].why.contains("made again"), "{report:?}");
    let options = ApplyOptions { yes: true, ..ApplyOptions::default() };
    assert!(apply(&*broker, &wanted(), options, |_| {}).await.expect("applied").is_complete());
    let info = broker.consumer(QUEUE.into(), "high".into()).await.expect("looked").expect("a consumer");
    assert_eq!((info.spec.max_waiting, info.pending), (4096, 1));
    same(&shown(&*broker).await, "");
}

async fn api(broker: &dyn Broker, subject: &str, body: &str) -> serde_json::Value {
    let answer = broker.ask(Message::new(subject, body.to_owned()), Duration::from_secs(10)).await.expect("an answer");
    let value: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(value.get("error"), None, "{value}");
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_nova_does_not_know_are_drift() {
    let server = NatsServer::start();
    let broker = Arc::new(connect(&server).await);
    fresh(&*broker).await;
    let info = api(&*broker, &format!("$JS.API.STREAM.INFO.{QUEUE}"), "").await;
    let mut config = info["config"].clone();
    config["no_ack"] = true.into();
    config["max_msg_size"] = 10.into();
    api(&*broker, &format!("$JS.API.STREAM.UPDATE.{QUEUE}"), &config.to_string()).await;
    let info = api(&*broker, &format!("$JS.API.CONSUMER.INFO.{QUEUE}.low"), "").await;
    let mut config = info["config"].clone();
    config["max_deliver"] = 3.into();
    let body = serde_json::json!({ "stream_name": QUEUE, "config": config, "action": "update" }).to_string();
    api(&*broker, &format!("$JS.API.CONSUMER.CREATE.{QUEUE}.low.nova.task.echo.low"), &body).await;
    let expect = "~ stream NOVA_TASKS_echo\n    max_msg_size: 10 -> not set\n    no_ack: true -> not set\n\
                  ~ consumer NOVA_TASKS_echo/low\n    max_deliver: 3 -> not set\n";
    same(&shown(&*broker).await, expect);
    assert!(apply(&*broker, &wanted(), ApplyOptions::default(), |_| {}).await.expect("applied").is_complete());
    same(&shown(&*broker).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_the_wrong_kind_is_made_again_only_when_empty() {
    let server = NatsServer::start();
    let broker = Arc::new(connect(&server).await);
    let body = format!(
        r#"{{"name":"{QUEUE}","subjects":["nova.task.echo.>","nova.task.echo"],"storage":"memory","num_replicas":1}}"#
    );
    api(&*broker, &format!("$JS.API.STREAM.CREATE.{QUEUE}"), &body).await;
    submit(&*broker, 1).await;
    let options = ApplyOptions { yes: true, ..ApplyOptions::default() };
    let report = apply(&*broker, &wanted(), options, |_| {}).await.expect("applied");
    // It cannot be read back, so its consumers might begin over history: held, too.
    let held: Vec<_> = report.held.iter().map(|held| held.asset.to_string()).collect();
    let consumers = ["high", "normal", "low"].map(|name| format!("consumer {QUEUE}/{name}"));
    assert_eq!(held, [&[format!("stream {QUEUE}")][..], &consumers].concat());
    api(&*broker, &format!("$JS.API.STREAM.PURGE.{QUEUE}"), "").await;
    assert!(apply(&*broker, &wanted(), options, |_| {}).await.expect("applied").is_complete());
    same(&shown(&*broker).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_durable_profile_fits_a_test_server_and_is_seen() {
    let server = NatsServer::start();
    let broker = Arc::new(connect(&server).await);
    let wanted = desired(&Catalogue::built_in(), Options { profile: Profile::Durable, now: NOW });
    assert!(apply(&*broker, &wanted, ApplyOptions::default(), |_| {}).await.expect("applied").is_complete());
    assert_eq!(current_profile(&*broker).await.expect("looked"), Some(Profile::Durable));
    assert_eq!(check(&*broker, &wanted).await.expect("checked"), []);
}
