//! A fleet backed up while it works and restored into an empty broker: what was acknowledged is there, ends once, and what
//! had ended never runs again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::jetstream::{self, JetStream, Options, SnapshotHead};
use nova_broker::{BrokerRef, Expect, Message, PullRequest, Scan, Stored};
use nova_client::{Client, Submit};
use nova_e2e::command::{nova, text};
use nova_e2e::{Fleet, PATIENCE, provision};
use nova_testkit::{NatsServer, wait_until};
use nova_types::{OutcomeKind, Skill, TaskId, run_skill};
use nova_wire::{Headers, ScheduleSpec, assets, name};
use nova_workflow::{Plan, Workflow};
use serde_json::{Value, json};

fn skill(name: &str) -> Skill {
    Skill::new(name).expect("a valid skill")
}

fn id(text: &str) -> TaskId {
    text.parse().expect("a valid id")
}

/// A task that leaves a line wherever it runs.
fn mark(name: &str, file: &Path, before: &str) -> Submit {
    let script = format!("{before} echo {name} >> {}", file.display());
    Submit::json(skill("shell"), &json!({"argv": ["sh", "-c", script]}))
        .expect("encodes")
        .with_id(id(&format!("b.{name}")))
}

/// How often each task left its line.
fn marks(file: &Path) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for line in std::fs::read_to_string(file).unwrap_or_default().lines() {
        *all.entry(line.to_owned()).or_default() += 1;
    }
    all
}

fn client(fleet: &Fleet) -> Client {
    Client::new(fleet.broker.clone(), "b".parse().expect("a scope"))
}

async fn all_of(broker: &BrokerRef, stream: &str, subject: &str) -> Vec<Stored> {
    broker.scan(Scan::all(stream, subject, 100_000)).await.expect("a stream can be read")
}

/// Every byte of a message that was stored, with its sequence and time; its headers in one order, for a client keeps none.
fn bytes_of(stored: &Stored) -> String {
    let mut headers: Vec<(&str, &str)> = stored.headers.iter().collect();
    headers.sort_unstable();
    format!("{} {} {:?} {headers:?} {:?}", stored.sequence, stored.subject, stored.at, stored.body)
}

/// Whether the first messages of a stream are these.
#[track_caller]
fn begins_with(stream: &[Stored], these: &[Stored]) {
    assert!(stream.len() >= these.len(), "{} are not {}", stream.len(), these.len());
    for (found, wanted) in stream.iter().zip(these) {
        assert_eq!(bytes_of(found), bytes_of(wanted));
    }
}

/// A fleet on a server that holds its assets already.
async fn fleet_on(server: NatsServer) -> Fleet {
    let broker: BrokerRef = Arc::new(connect(&server).await);
    Fleet::over(server, broker)
}

async fn connect(server: &NatsServer) -> JetStream {
    jetstream::connect(Options::new(server.url(), "e2e")).await.expect("the test's own server is up")
}

fn workflow() -> Plan {
    let definition = json!({"workflow": "slow", "steps": {
        "a": {"task": {"skill": "echo", "input": {"n": "${input.n}"}}},
        "pause": {"after": ["a"], "wait": {"for": "25s"}},
        "b": {"after": ["pause"], "task": {"skill": "echo", "input": {"n": "${steps.a.result.n + 1}"}}},
        "each": {"after": ["b"], "map": {"over": "[1, 2, 3]", "do": {"skill": "echo", "input": "${item * 2}"}}}},
        "result": "${{'n': steps.b.result.n, 'each': steps.each.result}}"});
    let workflow: Workflow = serde_json::from_value(definition).expect("a definition");
    Plan::new(workflow).expect("a sound definition")
}

fn brisk() -> Plan {
    let definition = json!({"workflow": "brisk", "steps": {
        "a": {"task": {"skill": "echo", "input": {"n": "${input.n}"}}},
        "b": {"task": {"skill": "echo", "input": {"n": "${steps.a.result.n + 1}"}}},
        "c": {"task": {"skill": "echo", "input": {"n": "${steps.b.result.n + 1}"}}}},
        "result": "${steps.c.result.n}"});
    let workflow: Workflow = serde_json::from_value(definition).expect("a definition");
    Plan::new(workflow).expect("a sound definition")
}

async fn start_run(fleet: &Fleet, name: &str, workflow: &str, n: usize) {
    let body = json!({"workflow": workflow, "input": {"n": n}}).to_string();
    fleet.request(&format!("nova.task.{}", run_skill()), &[("Nats-Msg-Id", &format!("b.{name}"))], body).await;
}

/// Submits tasks and starts runs until told to stop; each that was acknowledged is noted.
async fn flow(broker: BrokerRef, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (subject, name, body) = match n % 20 {
            0 => (
                format!("nova.task.{}", run_skill()),
                format!("flow-run{n}"),
                json!({"workflow": "brisk", "input": {"n": n}}),
            ),
            _ => ("nova.task.echo".to_owned(), format!("flow{n}"), json!(n)),
        };
        let headers = Headers::new().with(name::MSG_ID, format!("b.{name}"));
        let message = Message::new(subject, body.to_string()).with_headers(headers);
        if broker.publish(message, Expect::Any).await.is_ok() {
            acknowledged.push(name);
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_at_work_is_restored_into_an_empty_broker() {
    let home = tempfile::tempdir().expect("a folder");
    let (folder, done) = (home.path().join("backup"), home.path().join("done"));
    let shell = [("NOVA__SHELL__ALLOW_ALL", "true"), ("NOVA__WORKER__SLOTS", "4")];
    let mut old = Fleet::start().await;
    old.worker("echo", "w1", &[]).await;
    old.worker("shell", "w2", &shell).await;
    old.coordinator().await;
    let boss = client(&old);
    boss.put_workflow(&workflow()).await.expect("stored");
    boss.put_workflow(&brisk()).await.expect("stored");

    // Ended: with a mark each, with a payload in the object store, dead, and once for a key.
    for n in 0..100 {
        boss.submit(mark(&format!("ended{n}"), &done, "")).await.expect("submitted");
    }
    let large = "x".repeat(400_000);
    let task = Submit::json(skill("echo"), &large).expect("encodes").with_id(id("b.large"));
    boss.submit_and_wait(task, PATIENCE).await.expect("it ends");
    for n in 0..5 {
        old.request("nova.task.echo", &[("Nats-Msg-Id", &format!("b.dead{n}"))], "{oops").await;
    }
    let keyed = nova(&old.server.url(), &["submit", "echo", "1", "--once", "order-7", "--wait"], &[]).await.exits(0);
    old.drained("shell").await;
    old.drained("echo").await;
    assert_eq!(marks(&done).len(), 100);
    wait_until("the letters to be written", PATIENCE, || async {
        (old.count(assets::DEAD, ">").await == 5).then_some(())
    })
    .await;

    // Under way: four that run for long, more behind them, some with a payload in the object store; and what is to come.
    for n in 0..4 {
        boss.submit(mark(&format!("running{n}"), &done, "sleep 12;")).await.expect("submitted");
    }
    for n in 0..20 {
        boss.submit(mark(&format!("waiting{n}"), &done, "")).await.expect("submitted");
    }
    let script = format!("wc -c >> {0}", done.display());
    let stdin = json!({"argv": ["sh", "-c", script], "stdin": "y".repeat(300_000)});
    boss.submit(Submit::json(skill("shell"), &stdin).expect("encodes").with_id(id("b.heavy")))
        .await
        .expect("submitted");
    let later = Submit::json(skill("echo"), &7).expect("encodes").with_id(id("b.later"));
    boss.schedule(later, ScheduleSpec::In(Duration::from_secs(20)), None).await.expect("scheduled");
    let every = Submit::json(skill("echo"), &8).expect("encodes").with_id(id("b.every"));
    boss.schedule(every, "@every 2s".parse().expect("a schedule"), None).await.expect("scheduled");
    for n in 0..10 {
        start_run(&old, &format!("slow{n}"), "slow", n).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let flowing = tokio::spawn(flow(old.broker.clone(), Arc::clone(&stop)));
    wait_until("work to flow and runs to wait", PATIENCE, || async {
        let waits = old.broker.scan(Scan::all(assets::SCHEDULES, "nova.schedule.nova-run.>", 100)).await.ok()?.len();
        let outcomes = old.broker.stream(assets::OUTCOMES.to_owned()).await.ok()??.messages;
        (waits >= 10 && outcomes > 500).then_some(())
    })
    .await;

    let outcomes = all_of(&old.broker, assets::OUTCOMES, "nova.outcome.>").await;
    let letters = all_of(&old.broker, assets::DEAD, ">").await;
    let before = old.broker.stream("NOVA_TASKS_echo".to_owned()).await.expect("read").expect("a queue").last_sequence;
    let before_runs =
        old.broker.stream("NOVA_TASKS_nova-run".to_owned()).await.expect("read").expect("there").last_sequence;
    let taken = nova(&old.server.url(), &["backup", text(&folder), "--json"], &[]).await.exits(0);
    assert_eq!(taken.rows().len(), old.broker.streams(String::new()).await.expect("listed").len());
    stop.store(true, Ordering::Relaxed);
    let acknowledged = flowing.await.expect("the flow ends");
    println!("{} outcomes before, {} acknowledged by the end\n{}", outcomes.len(), acknowledged.len(), taken.stderr);
    // The old fleet moves again: nothing stays paused.
    for (stream, consumer) in [(assets::SCHEDULES, assets::DUE_CONSUMER), (assets::RUNS, assets::ORDER_CONSUMER)] {
        let info = old.broker.consumer(stream.to_owned(), consumer.to_owned()).await.expect("read").expect("there");
        assert_eq!(info.pause.until, None);
    }
    // What was in the queues before the command began was acknowledged before it.
    let mut promised: BTreeSet<(String, String)> = BTreeSet::new();
    for (stream, last) in [("NOVA_TASKS_echo", before), ("NOVA_TASKS_nova-run", before_runs)] {
        let of = stream.strip_prefix("NOVA_TASKS_").expect("it begins so");
        let all = all_of(&old.broker, stream, ">").await.into_iter().filter(|stored| stored.sequence <= last);
        promised.extend(all.filter_map(|stored| Some((of.to_owned(), stored.headers.get("Nats-Msg-Id")?.to_owned()))));
    }
    // Ids of the ends of other generations are those of their tasks.
    promised.retain(|(_, id)| id.starts_with("b.") && !id.contains('~'));
    promised.extend((0..100).map(|n| ("shell".to_owned(), format!("b.ended{n}"))));
    promised.extend((0..20).map(|n| ("shell".to_owned(), format!("b.waiting{n}"))));
    promised.extend((0..4).map(|n| ("shell".to_owned(), format!("b.running{n}"))));
    promised.insert(("shell".to_owned(), "b.heavy".to_owned()));
    drop(old);
    let already = marks(&done);

    let server = NatsServer::start();
    let restored = nova(&server.url(), &["restore", text(&folder), "--json"], &[]).await.exits(0);
    println!("{}", restored.stderr);
    assert!(restored.stderr.contains("the broker is as it is wanted"), "{restored:?}");
    let mut new = fleet_on(server).await;
    let kept = all_of(&new.broker, assets::OUTCOMES, "nova.outcome.>").await;
    begins_with(&kept, &outcomes);
    begins_with(&all_of(&new.broker, assets::DEAD, ">").await, &letters);

    new.worker("echo", "w1", &[]).await;
    new.worker("shell", "w2", &shell).await;
    new.coordinator().await;
    for (of, task) in &promised {
        let (outcome, _) = new.outcome(of, task).await;
        let expect = if task.starts_with("b.dead") { OutcomeKind::Dead } else { OutcomeKind::Completed };
        assert_eq!(outcome.kind, expect, "{of} {task}");
    }
    println!("{} promised tasks have ended", promised.len());
    // The runs come to the ends they would have come to.
    for n in 0..10 {
        let (_, stored) = new.outcome(run_skill().as_str(), &format!("b.slow{n}")).await;
        let result: Value = serde_json::from_slice(&stored.body).expect("JSON");
        assert_eq!(result, json!({"n": n + 1, "each": [2, 4, 6]}), "run {n}");
    }
    for (_, task) in promised.iter().filter(|(of, task)| of == "nova-run" && task.starts_with("b.flow-run")) {
        let n: i64 = task.strip_prefix("b.flow-run").and_then(|n| n.parse().ok()).expect("a number");
        let (_, stored) = new.outcome("nova-run", task).await;
        assert_eq!(stored.body, (n + 2).to_string(), "{task}");
    }
    // One-shots fire, and recurring schedules go on.
    let (later, _) = new.outcome("echo", "b.later").await;
    assert_eq!(later.kind, OutcomeKind::Completed);
    let fired = new.count(assets::OUTCOMES, "nova.outcome.echo.b.*").await;
    wait_until("the recurring schedule to fire again", PATIENCE, || async {
        (new.count(assets::OUTCOMES, "nova.outcome.echo.b.*").await > fired + 1).then_some(())
    })
    .await;

    // Who had ended has not run again, whoever had not did so once more at most, and nothing has two outcomes.
    new.drained("shell").await;
    let marks = marks(&done);
    for n in 0..100 {
        assert_eq!(marks[&format!("ended{n}")], 1, "{marks:?}");
    }
    for n in 0..20 {
        let name = format!("waiting{n}");
        let had_ended = kept.iter().any(|stored| stored.subject == format!("nova.outcome.shell.b.{name}"));
        let before = already.get(&name).copied().unwrap_or(0);
        assert_eq!(marks[&name], before + usize::from(!had_ended), "{name}: {already:?} {marks:?}");
    }
    assert!(marks.contains_key("300000"), "the payload was read: {marks:?}");
    let ended = all_of(&new.broker, assets::OUTCOMES, "nova.outcome.>").await;
    let subjects: BTreeSet<&str> = ended.iter().map(|stored| &*stored.subject).collect();
    assert_eq!(subjects.len(), ended.len(), "one outcome each");
    let read = client(&new).result(&skill("echo"), &id("b.large")).await.expect("readable").expect("it ended");
    assert_eq!(read.result::<String>().expect("a text"), Some(large));
    let again = nova(&new.server.url(), &["submit", "echo", "1", "--once", "order-7", "--wait"], &[]).await.exits(0);
    assert_eq!(again.stdout, keyed.stdout);
    nova(&new.server.url(), &["run", "verify", "--all"], &[]).await.exits(0);
}

/// A snapshot of one stream, held here.
async fn packed(broker: &JetStream, stream: &str) -> (SnapshotHead, Vec<bytes::Bytes>) {
    let (head, mut pieces) = broker.snapshots().expect("a new server").take(stream).await.expect("it is there");
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        all.push(piece.expect("the server sends on"));
    }
    (head, all)
}

async fn unpack(broker: &JetStream, (head, pieces): (SnapshotHead, Vec<bytes::Bytes>)) {
    let snapshots = broker.snapshots().expect("a new server");
    let mut restoring = snapshots.restore(&head).await.expect("there is no such stream");
    for piece in pieces {
        restoring.send(piece).await.expect("it is taken");
    }
    assert_eq!(restoring.finish().await.expect("it is whole").last_sequence, head.info().last_sequence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_outcome_is_restored_and_whose_ack_is_not_never_runs_again() {
    let home = tempfile::tempdir().expect("a folder");
    let done = home.path().join("done");
    let shell = [("NOVA__SHELL__ALLOW_ALL", "true")];
    let mut old = Fleet::start().await;
    let broker = connect(&old.server).await;
    client(&old).submit(mark("one", &done, "")).await.expect("submitted");
    // Not even delivered yet, so that the restored broker counts its first delivery.
    let queue = packed(&broker, "NOVA_TASKS_shell").await;
    old.worker("shell", "w1", &shell).await;
    let (_, ended) = old.outcome("shell", "b.one").await;
    let outcomes = packed(&broker, assets::OUTCOMES).await;
    drop(old);

    let server = NatsServer::start();
    let broker = connect(&server).await;
    unpack(&broker, outcomes).await;
    unpack(&broker, queue).await;
    let new: BrokerRef = Arc::new(broker);
    provision(&new).await;
    let waiting = new.consumer("NOVA_TASKS_shell".into(), "normal".into()).await.expect("read").expect("there");
    assert_eq!((waiting.pending, waiting.deliveries), (1, 0), "it looks as if it had never run");
    let mut new = Fleet::over(server, new);
    new.worker("shell", "w1", &shell).await;
    new.drained("shell").await;
    assert_eq!(marks(&done), [("one".to_owned(), 1)].into());
    begins_with(&[new.outcome("shell", "b.one").await.1], &[ended]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_older_than_its_outcomes_runs_nothing_again() {
    let home = tempfile::tempdir().expect("a folder");
    let (folder, done) = (home.path().join("backup"), home.path().join("done"));
    let old = Fleet::start().await;
    // Outcomes that are kept for seconds, so that the backup is older soon.
    let mut spec = old.broker.stream(assets::OUTCOMES.to_owned()).await.expect("read").expect("it is there").spec;
    (spec.max_age, spec.duplicate_window) = (Duration::from_secs(5), Duration::from_secs(1));
    old.broker.put_stream(spec.clone()).await.expect("changed");
    // One has ended and was not acked yet when its worker died; one was on its way and has not ended.
    let boss = client(&old);
    for name in ["ended", "open"] {
        boss.submit(mark(name, &done, "")).await.expect("submitted");
    }
    let request = PullRequest { stream: "NOVA_TASKS_shell".into(), consumer: "normal".into(), batch: 2, wait: None };
    let taken: Vec<_> = old.broker.pull(request).await.expect("asked").collect().await;
    assert_eq!(taken.len(), 2, "{taken:?}");
    let header = "completed;task=\"b.ended\";skill=\"shell\";attempt=1;finished=5";
    let outcome =
        Message::new("nova.outcome.shell.b.ended", "1").with_headers(Headers::new().with(name::OUTCOME, header));
    old.broker.publish(outcome, Expect::NOTHING).await.expect("stored");
    nova(&old.server.url(), &["backup", text(&folder)], &[]).await.exits(0);
    wait_until("the outcome to expire", PATIENCE, || async {
        (old.broker.stream(assets::OUTCOMES.to_owned()).await.ok()??.messages == 0).then_some(())
    })
    .await;
    drop(old);

    let server = NatsServer::start();
    let restored = nova(&server.url(), &["restore", text(&folder)], &[]).await.exits(0);
    restored.says("1 tasks that had ended were taken out");
    let mut new = fleet_on(server).await;
    let kept = new.broker.stream(assets::OUTCOMES.to_owned()).await.expect("read").expect("it is there").spec;
    assert_eq!(kept.max_age, spec.max_age, "outcomes age again");
    new.worker("shell", "w1", &[("NOVA__SHELL__ALLOW_ALL", "true")]).await;
    new.drained("shell").await;
    assert_eq!(marks(&done), [("open".to_owned(), 1)].into());
}
