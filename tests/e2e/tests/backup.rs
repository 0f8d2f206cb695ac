//! A fleet backed up while it works and restored into an empty broker: what was acknowledged is there, ends once, and what
//! had ended never runs again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::jetstream::{self, JetStream, Options, SnapshotHead};
use nova_broker::{Broker, BrokerRef, Expect, Message, Scan, Stored};
use nova_client::{Client, Submit};
use nova_e2e::{Fleet, PATIENCE, binary, provision};
use nova_testkit::{NatsCluster, NatsServer, wait_until};
use nova_types::{OutcomeKind, Skill, TaskId, run_skill};
use nova_wire::{Headers, ScheduleSpec, assets, name};
use nova_workflow::{Plan, Workflow};
use serde_json::{Value, json};

/// How a command ended.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    #[track_caller]
    fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "no `{words}` in {self:?}");
        self
    }

    fn rows(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON object per line")).collect()
    }
}

/// Runs `nova` against a server, beside what else this test does.
async fn nova(url: &str, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(binary("nova"));
    command.args(args).env_clear().env("NATS_URL", url).env("PATH", "/usr/bin:/bin").envs(env.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it is joined").expect("it runs");
    Ran {
        code: output.status.code().expect("no signal ended it"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

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
        "pause": {"after": ["a"], "wait": {"for": "6s"}},
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
        (waits >= 10 && outcomes > 1_000).then_some(())
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
        assert_eq!(marks[&name], 1 + already.get(&name).copied().unwrap_or(0).min(1), "{name}: {already:?} {marks:?}");
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

/// A small backup in a folder of `home`, and a copy of it under a name.
async fn small_backup(home: &Path) -> PathBuf {
    let fleet = Fleet::start().await;
    for n in 0..10 {
        fleet.request("nova.task.echo", &[("Nats-Msg-Id", &format!("b.t{n}"))], "1").await;
    }
    let folder = home.join("whole");
    nova(&fleet.server.url(), &["backup", text(&folder)], &[]).await.exits(0);
    nova(&fleet.server.url(), &["backup", text(&folder)], &[]).await.exits(2).says("is not empty");
    folder
}

fn copy(whole: &Path, name: &str) -> PathBuf {
    let to = whole.with_file_name(name);
    std::fs::create_dir(&to).expect("made");
    for entry in std::fs::read_dir(whole).expect("listed") {
        let entry = entry.expect("listed");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_backup_is_refused_and_leaves_no_trace() {
    let home = tempfile::tempdir().expect("a folder");
    let whole = small_backup(home.path()).await;
    let server = NatsServer::start();
    let broker = connect(&server).await;
    let file = "NOVA_OUTCOMES.snapshot";
    let spoil = |name: &str, how: &dyn Fn(&Path)| {
        let folder = copy(&whole, name);
        how(&folder);
        folder
    };
    let write = |folder: &Path, name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("written");
    let read = |folder: &Path, name: &str| std::fs::read(folder.join(name)).expect("read");
    let cases = [
        (
            spoil("damaged", &|folder| {
                let mut bytes = read(folder, file);
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                write(folder, file, &bytes);
            }),
            5,
            "NOVA_OUTCOMES.snapshot is damaged",
        ),
        (
            spoil("cut", &|folder| {
                let bytes = read(folder, file);
                write(folder, file, &bytes[..bytes.len() - 1]);
            }),
            5,
            "and not",
        ),
        (
            spoil("missing", &|folder| std::fs::remove_file(folder.join(file)).expect("removed")),
            5,
            "NOVA_OUTCOMES.snapshot is missing",
        ),
        (
            spoil("unfinished", &|folder| std::fs::remove_file(folder.join("manifest.json")).expect("removed")),
            4,
            "holds no whole backup",
        ),
        (
            spoil("newer", &|folder| {
                let manifest = String::from_utf8(read(folder, "manifest.json")).expect("text");
                write(folder, "manifest.json", manifest.replace("\"format\": 1", "\"format\": 2").as_bytes());
            }),
            5,
            "it has format 2, and this version of nova reads up to 1",
        ),
        (
            spoil("altered", &|folder| {
                let manifest = String::from_utf8(read(folder, "manifest.json")).expect("text");
                write(
                    folder,
                    "manifest.json",
                    manifest.replace("\"discard\": \"new\"", "\"discard\": \"old\"").as_bytes(),
                );
            }),
            5,
            "it is not as it was written",
        ),
        (home.path().join("nothing"), 4, "holds no whole backup"),
    ];
    for (folder, code, words) in cases {
        nova(&server.url(), &["restore", text(&folder)], &[]).await.exits(code).says(words);
        assert_eq!(broker.streams(String::new()).await.expect("listed"), [], "{words}");
    }
    nova("nats://127.0.0.1:1", &["restore", text(&whole), "--verify"], &[])
        .await
        .exits(0)
        .says("are as they were written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_holds_a_fleet_is_not_written_to() {
    let home = tempfile::tempdir().expect("a folder");
    let whole = small_backup(home.path()).await;
    let fleet = Fleet::start().await;
    let before = fleet.snapshot().await;
    let refused = nova(&fleet.server.url(), &["restore", text(&whole)], &[]).await.exits(5);
    refused.says("the broker is not empty: it has NOVA_ATTEMPTS, NOVA_CONTROL");
    assert_eq!(fleet.snapshot().await, before);
    let empty = NatsServer::start();
    let folder = home.path().join("of-nothing");
    nova(&empty.url(), &["backup", text(&folder)], &[]).await.exits(4).says("there is nothing to back up");
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_back_up_and_restore_and_a_viewer_may_not() {
    let home = tempfile::tempdir().expect("a folder");
    let (folder, denied) = (home.path().join("backup"), home.path().join("denied"));
    let fleet = Fleet::with_users().await;
    let boss = [("NATS_USER", "boss"), ("NATS_PASSWORD", "secret-of-boss")];
    let taken = nova(&fleet.server.url(), &["backup", text(&folder)], &boss).await.exits(0);
    assert!(!taken.stderr.contains("the server says"), "{taken:?}");
    let before = fleet.snapshot().await;
    let viewer = [("NATS_USER", "v1"), ("NATS_PASSWORD", "secret-of-v1")];
    let refused = nova(&fleet.server.url(), &["backup", text(&denied)], &viewer).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(!denied.join("manifest.json").exists());
    assert_eq!(fleet.snapshot().await, before);
    for stream in fleet.broker.streams(String::new()).await.expect("listed") {
        fleet.broker.delete_stream(stream.spec.name).await.expect("deleted");
    }
    let restored = nova(&fleet.server.url(), &["restore", text(&folder)], &boss).await.exits(0);
    assert!(!restored.stderr.contains("the server says"), "{restored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_three_servers_goes_into_one() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("backup");
    let cluster = NatsCluster::try_start(3).expect("three servers");
    let url = cluster.url();
    // That they have found one another takes a moment, in which streams are refused.
    wait_until("a cluster that takes streams", PATIENCE, || async {
        let applied = nova(&url, &["provision", "apply", "--profile", "replicated"], &[]).await;
        (applied.code == 0).then_some(())
    })
    .await;
    for n in 0..20 {
        nova(&url, &["submit", "echo", &n.to_string(), "--id", &format!("b.t{n}")], &[]).await.exits(0);
    }
    nova(&url, &["backup", text(&folder)], &[]).await.exits(0);
    drop(cluster);
    let server = NatsServer::start();
    let refused = nova(&server.url(), &["restore", text(&folder)], &[]).await.exits(5);
    refused.says("--profile durable");
    let broker = connect(&server).await;
    assert_eq!(broker.streams(String::new()).await.expect("listed"), []);
    nova(&server.url(), &["restore", text(&folder), "--profile", "durable"], &[]).await.exits(0);
    nova(&server.url(), &["provision", "apply"], &[]).await.exits(0);
    nova(&server.url(), &["provision", "check"], &[]).await.exits(0).says("profile durable");
    let mut new = fleet_on(server).await;
    new.worker("echo", "w1", &[]).await;
    for n in 0..20 {
        let (outcome, _) = new.outcome("echo", &format!("b.t{n}")).await;
        assert_eq!(outcome.kind, OutcomeKind::Completed);
    }
}
