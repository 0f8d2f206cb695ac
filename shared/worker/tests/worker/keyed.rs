//! Keyed skills: order and concurrency by key, retries that hold up their own key only, fairness, owners that change.

mod lost;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nova_types::OutcomeKind;
use nova_wire::assets;
use nova_worker::{Context, Verdict, Worker};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::skills::{Does, does};

/// What was seen of each key: the order of starts, and how many ran at once at most.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<HashMap<String, Key>>>);

#[derive(Default, Clone)]
struct Key {
    starts: Vec<u64>,
    ends: Vec<u64>,
    running: usize,
    most: usize,
}

impl Seen {
    fn begin(&self, key: &str, n: u64) {
        let mut all = self.0.lock().expect("no panic");
        let key = all.entry(key.to_owned()).or_default();
        key.starts.push(n);
        key.running += 1;
        key.most = key.most.max(key.running);
    }

    fn end(&self, key: &str, n: u64) {
        let mut all = self.0.lock().expect("no panic");
        let key = all.entry(key.to_owned()).or_default();
        key.ends.push(n);
        key.running -= 1;
    }

    fn of(&self, key: &str) -> Key {
        self.0.lock().expect("no panic").get(key).cloned().unwrap_or_default()
    }

    fn keys(&self) -> BTreeMap<String, Key> {
        self.0.lock().expect("no panic").clone().into_iter().collect()
    }
}

/// Notes what it is told, `{"key", "n", "ms"}`, and takes so long; cut off, it notes its end all the same.
fn noting(seen: &Seen) -> Does {
    let seen = seen.clone();
    does("a", move |input: Value, _| {
        let seen = seen.clone();
        async move {
            struct Open(Seen, String, u64);
            impl Drop for Open {
                fn drop(&mut self) {
                    self.0.end(&self.1, self.2);
                }
            }
            let (key, n) = (input["key"].as_str().unwrap_or_default().to_owned(), input["n"].as_u64().unwrap_or(0));
            seen.begin(&key, n);
            let open = Open(seen, key, n);
            tokio::time::sleep(Duration::from_millis(input["ms"].as_u64().unwrap_or(0))).await;
            drop(open);
            Ok(json!(n))
        }
    })
}

async fn submit(bed: &Bed, key: &str, n: u64, ms: u64) {
    let body = json!({ "key": key, "n": n, "ms": ms }).to_string();
    bed.submit(&format!("a.normal.{key}"), &format!("{key}-{n}"), &[], &body).await;
}

fn up_to(count: u64) -> Vec<u64> {
    (0..count).collect()
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_key_run_in_order_and_one_at_a_time() {
    let bed = Bed::new("a = { keyed = true, partitions = 4 }").await;
    let seen = Seen::default();
    for n in 0..20 {
        for key in ["x", "y", "z"] {
            submit(&bed, key, n, 50).await;
        }
    }
    let worker = bed.start("w", 16, Worker::new().skill(noting(&seen)));
    bed.drained("a").await;
    for (name, key) in seen.keys() {
        assert_eq!((key.starts, key.most), (up_to(20), 1), "{name}");
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_may_run_as_many_at_once_as_its_skill_says() {
    let bed = Bed::new("a = { keyed = true, partitions = 2, key_concurrency = 3 }").await;
    let seen = Seen::default();
    for n in 0..30 {
        submit(&bed, "x", n, 100).await;
    }
    let worker = bed.start("w", 16, Worker::new().skill(noting(&seen)));
    bed.drained("a").await;
    let key = seen.of("x");
    assert_eq!((key.starts, key.most), (up_to(30), 3));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_fails_holds_up_itself_alone() {
    let bed = Bed::new("a = { keyed = true, partitions = 1, backoff = \"20s..20s\" }").await;
    let seen = Seen::default();
    let notes = seen.clone();
    let skill = does("a", move |input: Value, cx: Context| {
        let seen = notes.clone();
        async move {
            let (key, n) = (input["key"].as_str().unwrap_or_default().to_owned(), input["n"].as_u64().unwrap_or(0));
            if key == "bad" && n == 1 && cx.attempt() < 3 {
                return Err(Verdict::retry("down", "x"));
            }
            seen.begin(&key, n);
            seen.end(&key, n);
            Ok(json!(n))
        }
    });
    let worker = bed.start("w", 4, Worker::new().skill(skill));
    let began = bed.memory.now();
    for n in 0..5 {
        submit(&bed, "bad", n, 0).await;
        submit(&bed, "good", n, 0).await;
    }
    let (outcome, _) = bed.outcome("a", "good-4").await;
    assert!(outcome.finished.since(began) < Duration::from_secs(10), "the other key waits for nobody");
    assert_eq!(seen.of("bad").starts, [0], "nothing passes the one that is tried again");
    let (outcome, _) = bed.outcome("a", "bad-1").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 3));
    bed.drained("a").await;
    assert_eq!(seen.of("bad").starts, up_to(5));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_on_behind_a_dead_task() {
    let bed = Bed::new("a = { keyed = true, partitions = 1, max_attempts = 2, backoff = \"1s..1s\" }").await;
    let skill = does("a", |input: Value, _| async move {
        if input["n"] == 0 { Err(Verdict::retry("down", "x")) } else { Ok(input) }
    });
    let worker = bed.start("w", 4, Worker::new().skill(skill));
    for n in 0..2 {
        submit(&bed, "x", n, 0).await;
    }
    let (first, _) = bed.outcome("a", "x-0").await;
    let (second, _) = bed.outcome("a", "x-1").await;
    assert_eq!((first.kind, second.kind), (OutcomeKind::Dead, OutcomeKind::Completed));
    assert!(second.finished >= first.finished);
    let letter = bed.broker.last(assets::DEAD.into(), "nova.dead.a._.x-0".into()).await.expect("readable");
    assert_eq!(letter.expect("it has a letter").headers.get("Nova-Key"), Some("x"), "a redrive needs its key");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_pause_keeps_its_place() {
    let bed = Bed::new("a = { keyed = true, partitions = 1 }").await;
    let seen = Seen::default();
    let notes = seen.clone();
    let skill = does("a", move |input: Value, _| {
        let seen = notes.clone();
        async move {
            let n = input["n"].as_u64().unwrap_or(0);
            let is_first = !seen.of("x").starts.contains(&n);
            seen.begin("x", n);
            seen.end("x", n);
            if n == 0 && is_first { Err(Verdict::snooze(Duration::from_secs(600))) } else { Ok(json!(n)) }
        }
    });
    let worker = bed.start("w", 4, Worker::new().skill(skill));
    for n in 0..3 {
        submit(&bed, "x", n, 0).await;
    }
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(seen.of("x").starts, [0]);
    assert_eq!(bed.count(assets::SCHEDULES, "nova.schedule.>").await, 0, "it stays in its queue");
    bed.drained("a").await;
    assert_eq!(seen.of("x").starts, [0, 0, 1, 2]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_with_a_long_line_leaves_room_for_others() {
    let bed = Bed::new("a = { keyed = true, partitions = 1 }").await;
    let seen = Seen::default();
    for n in 0..5000 {
        submit(&bed, "hot", n, 100).await;
    }
    for n in 0..10 {
        for key in 0..10 {
            submit(&bed, &format!("cold{key}"), n, 100).await;
        }
    }
    let worker = bed.start("w", 8, Worker::new().skill(noting(&seen)));
    for key in 0..10 {
        bed.outcome("a", &format!("cold{key}-9")).await;
    }
    let hot = seen.of("hot").ends.len();
    assert!(hot < 100, "the others had to wait for {hot} of the long line");
    bed.drained("a").await;
    for (name, key) in seen.keys() {
        assert_eq!((&key.starts, key.most), (&up_to(key.starts.len() as u64), 1), "{name}");
    }
    assert_eq!(seen.of("hot").starts.len(), 5000);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn workers_share_the_partitions_and_hand_them_over() {
    let bed = Bed::new("a = { keyed = true, partitions = 8 }").await;
    let seen = Seen::default();
    let owners = async || {
        let mut owners: BTreeMap<String, usize> = BTreeMap::new();
        for partition in 0..8 {
            let key = format!("$KV.nova-config.keyed.a.p.{partition}");
            let stored = bed.broker.last("KV_nova-config".into(), key).await.expect("readable");
            let holder = stored.map(|stored| String::from_utf8_lossy(&stored.body).into_owned()).unwrap_or_default();
            *owners.entry(holder).or_default() += 1;
        }
        owners
    };
    let (first, _) = bed.start_apart("w1", 4, Worker::new().skill(noting(&seen)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(owners().await.into_values().collect::<Vec<_>>(), [8]);
    let (second, _) = bed.start_apart("w2", 4, Worker::new().skill(noting(&seen)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(owners().await.into_values().collect::<Vec<_>>(), [4, 4]);
    let (third, _) = bed.start_apart("w3", 4, Worker::new().skill(noting(&seen)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut shares: Vec<usize> = owners().await.into_values().collect();
    shares.sort_unstable();
    assert_eq!(shares, [2, 3, 3]);
    first.stop().await;
    second.stop().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let left = owners().await;
    assert_eq!(left.into_values().collect::<Vec<_>>(), [8], "what a draining worker gives up is taken at once");
    third.stop().await;
}

#[tokio::test(start_paused = true)]
async fn order_holds_while_workers_come_and_go() {
    let bed = Bed::new("a = { keyed = true, partitions = 4 }").await;
    let seen = Seen::default();
    for n in 0..100 {
        for key in 0..10 {
            submit(&bed, &format!("k{key}"), n, 200).await;
        }
    }
    let mut workers = Vec::new();
    for n in 0..12 {
        workers.push(bed.start_apart(&format!("w{n}"), 4, Worker::new().skill(noting(&seen))).0);
        tokio::time::sleep(Duration::from_millis(1700)).await;
        if n % 3 == 2 {
            workers.remove(0).stop().await;
        }
    }
    bed.drained("a").await;
    for (name, key) in seen.keys() {
        assert_eq!((&key.starts, key.most), (&up_to(100), 1), "{name}");
    }
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn high_goes_first_between_keys_and_order_rules_within_one() {
    let bed = Bed::new("a = { keyed = true, partitions = 1 }").await;
    let seen = Seen::default();
    let put = async |priority: &str, key: &str, n: u64| {
        let body = json!({ "key": format!("{key}{n}"), "n": n, "ms": 100 }).to_string();
        bed.submit(&format!("a.{priority}.{key}"), &format!("{key}-{n}"), &[], &body).await;
    };
    // The one slot is taken when the others are seen.
    put("normal", "busy", 0).await;
    put("low", "l", 0).await;
    put("normal", "n", 0).await;
    put("high", "h", 0).await;
    put("high", "l", 1).await;
    let worker = bed.start("w", 1, Worker::new().skill(noting(&seen)));
    bed.drained("a").await;
    let mut ends = Vec::new();
    for id in ["h-0", "n-0", "l-0", "l-1"] {
        ends.push(bed.outcome("a", id).await.0.finished);
    }
    assert!(ends.is_sorted(), "{ends:?}");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_without_its_key_in_the_subject_is_refused() {
    let bed = Bed::new("a = { keyed = true }\nb = {}").await;
    let echo = |name| does(name, |input: Value, _| async move { Ok(input) });
    let worker = bed.start("w", 1, Worker::new().skill(echo("a")).skill(echo("b")));
    bed.submit("a", "none", &[], "1").await;
    bed.submit("a.high", "header", &[("Nova-Key", "x")], "1").await;
    bed.submit("a.normal.x", "other", &[("Nova-Key", "y")], "1").await;
    bed.submit("a.normal.%zz", "token", &[], "1").await;
    bed.submit("a.normal.x", "fine", &[("Nova-Key", "x")], "1").await;
    bed.submit("b", "unkeyed", &[("Nova-Key", "x")], "1").await;
    for (skill, id, code) in [
        ("a", "none", Some("bad_key")),
        ("a", "header", Some("unsupported")),
        ("a", "other", Some("bad_key")),
        ("a", "token", Some("bad_key")),
        ("a", "fine", None),
        ("b", "unkeyed", Some("unsupported")),
    ] {
        let (outcome, _) = bed.outcome(skill, id).await;
        assert_eq!(outcome.code.as_ref().map(|code| code.as_str()), code, "{id}");
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_starts_no_more_often_than_its_rate_and_others_go_on() {
    let bed = Bed::new("a = { keyed = true, partitions = 1, key_rate = \"2/s\" }").await;
    let seen = Seen::default();
    for n in 0..10 {
        for key in ["x", "y", "z"] {
            submit(&bed, key, n, 0).await;
        }
    }
    let worker = bed.start("w", 4, Worker::new().skill(noting(&seen)));
    let began = bed.memory.now();
    bed.drained("a").await;
    let took = bed.memory.now().since(began);
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(10), "ten of each key took {took:?}");
    for (name, key) in seen.keys() {
        assert_eq!(key.starts, up_to(10), "{name}");
    }
    worker.stop().await;
}
