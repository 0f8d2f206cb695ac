//! Bundles: items of one task, each with its own attempts and its own end.

mod broken;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nova_broker::{Expect, Message, Stored};
use nova_types::{ItemCount, OutcomeKind};
use nova_wire::{ContentType, DeadLetter, Headers, ItemEnd, Payload, assets, name, read_ends, split_bundle};
use nova_worker::{Batch, BatchItem, BatchSkill, Context, Verdict, Worker};
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::skills::{Does, does};

/// Which items ran, in which attempt.
type Runs = Arc<Mutex<Vec<(u32, u32)>>>;

/// A skill that does to each item what the item says, and notes it: a number is doubled, else
/// `{"fails": n}` fails n times, `{"snoozes": n}` snoozes n seconds once, `{"takes": n}` takes n seconds, and a word is a verdict.
fn skill(runs: &Runs) -> Does {
    let runs = Arc::clone(runs);
    does("a", move |input, cx| {
        runs.lock().expect("no holder panics").push((cx.item().unwrap_or(99), cx.attempt()));
        act(input, cx)
    })
}

async fn act(input: Value, cx: Context) -> Result<Value, Verdict> {
    let number = |key: &str| input.get(key).and_then(Value::as_u64);
    if let Some(times) = number("fails") {
        return match u64::from(cx.attempt()) > times {
            true => Ok(json!("at last")),
            false => Err(Verdict::retry_after(Duration::from_secs(1), "exit", "not yet")),
        };
    }
    if let Some(secs) = number("snoozes") {
        return match cx.checkpoint() {
            Some(_) => Ok(json!("awake")),
            None => {
                cx.save_checkpoint("seen").await?;
                Err(Verdict::snooze(Duration::from_secs(secs)))
            }
        };
    }
    if let Some(secs) = number("takes") {
        tokio::time::sleep(Duration::from_secs(secs)).await;
        return Ok(json!("slow"));
    }
    match input.as_str() {
        Some("reject") => Err(Verdict::reject("bad", "never")),
        Some("cancel") => Err(Verdict::cancel()),
        Some("panic") => panic!("not this one"),
        Some("key") => Ok(json!(cx.idempotency_key())),
        Some("huge") => Ok(json!("x".repeat(25 << 20))),
        Some("deep") => Ok((0..99).fold(json!(1), |inner, _| json!([inner]))),
        Some(_) => Ok(input),
        None => Ok(json!(input.as_i64().unwrap_or(0) * 2)),
    }
}

async fn submit(bed: &Bed, id: &str, items: &Value, headers: &[(&str, &str)]) {
    let count = items.as_array().expect("a list").len().to_string();
    let headers: Vec<_> = headers.iter().copied().chain([(name::BUNDLE, count.as_str())]).collect();
    bed.submit("a", id, &headers, &items.to_string()).await;
}

fn ends(stored: &Stored) -> Vec<ItemEnd> {
    let content_type = stored.headers.get(name::CONTENT_TYPE).and_then(ContentType::from_media_type);
    let body = Payload { content_type: content_type.unwrap_or_default(), bytes: stored.body.clone() };
    read_ends(&body).expect("the ends of items")
}

/// The ends in short: a result as JSON, an error's code, each with its attempt.
fn told(stored: &Stored) -> Vec<String> {
    let one = |end: &ItemEnd| match end.error() {
        None => format!("{}@{}", end.body.to_json().expect("a value"), end.attempt),
        Some(error) => format!("{} {}@{}", end.kind, error.code, end.attempt),
    };
    ends(stored).iter().map(one).collect()
}

async fn letter(bed: &Bed, id: &str) -> DeadLetter {
    let subject = format!("nova.dead.a._.{id}");
    let stored = bed.broker.last(assets::DEAD.into(), subject).await.expect("readable").expect("a letter");
    DeadLetter::parse(&stored.headers, stored.body).expect("well formed")
}

fn times(runs: &Runs, item: u32) -> usize {
    runs.lock().expect("no holder panics").iter().filter(|(of, _)| *of == item).count()
}

#[tokio::test(start_paused = true)]
async fn each_item_has_its_own_end_in_the_order_of_the_items() {
    let bed = Bed::new("a = {}").await;
    let runs = Runs::default();
    let worker = bed.start("w", 2, Worker::new().skill(skill(&runs)));
    submit(&bed, "x", &json!([1, "reject", "key", "cancel", null, "deep"]), &[]).await;
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1));
    assert_eq!(outcome.items, Some(ItemCount { items: 6, failed: 2, cancelled: 1 }));
    let expect = ["2@1", "dead bad@1", "\"_.x/2\"@1", "cancelled cancelled@1", "0@1", "dead bad_result@1"];
    assert_eq!(told(&stored), expect);
    bed.drained("a").await;
    assert_eq!(runs.lock().unwrap().len(), 6);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_what_failed_is_tried_again() {
    let bed = Bed::new("a = {}").await;
    let runs = Runs::default();
    let worker = bed.start("w", 2, Worker::new().skill(skill(&runs)));
    submit(&bed, "x", &json!([1, { "fails": 2 }, { "fails": 1 }, 4]), &[]).await;
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!((outcome.attempt, outcome.items.expect("counted").failed), (3, 0));
    assert_eq!(told(&stored), ["2@1", "\"at last\"@3", "\"at last\"@2", "8@1"]);
    assert_eq!(*runs.lock().unwrap(), [(0, 1), (1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (1, 3)]);
    let record = bed.attempts("a", "x").await;
    assert_eq!(record.failed, 2);
    assert_eq!(record.failures[0].message, "2 of 4 items failed: item 1: exit: not yet; item 2: exit: not yet");
    assert_eq!(record.bundle.expect("what was settled").ended.to_string(), "0 2-3");
    assert_eq!(bed.count(assets::DEAD, "nova.dead.>").await, 0);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn items_out_of_attempts_end_with_their_last_cause_and_leave_a_smaller_bundle() {
    let bed = Bed::new("a = { max_attempts = 2 }").await;
    let runs = Runs::default();
    let worker = bed.start("w", 2, Worker::new().skill(skill(&runs)));
    submit(&bed, "x", &json!([1, { "fails": 9 }, "reject", { "fails": 8 }]), &[("X-Mine", "kept")]).await;
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 2));
    assert_eq!(told(&stored), ["2@1", "dead exit@2", "dead bad@1", "dead exit@2"]);
    bed.drained("a").await;
    let letter = letter(&bed, "x").await;
    assert_eq!((letter.code.as_str(), letter.attempts), ("items_failed", 2));
    assert_eq!(letter.headers.get(name::ITEMS), Some("1-3"));
    assert_eq!(letter.headers.get(name::BUNDLE), Some("3"));
    assert_eq!(letter.headers.get("X-Mine"), Some("kept"));
    assert_eq!(&letter.body[..], br#"[{"fails":9},"reject",{"fails":8}]"#);
    let attempts = letter.attempts_listed().failures;
    assert_eq!(attempts.len(), 2);
    assert!(attempts[1].message.starts_with("3 of 4 items failed: item 1: exit: not yet; item 2: bad: never"));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_timeout_are_of_one_item() {
    let bed = Bed::new("a = { max_attempts = 1, timeout = \"2s\" }").await;
    let runs = Runs::default();
    let worker = bed.start("w", 1, Worker::new().skill(skill(&runs)));
    submit(&bed, "x", &json!(["panic", { "takes": 9 }, { "takes": 1 }, 3]), &[]).await;
    let (_, stored) = bed.outcome("a", "x").await;
    assert_eq!(told(&stored), ["dead panic@1", "dead timeout@1", "\"slow\"@1", "6@1"]);
    assert!(ends(&stored)[0].error().expect("why").message.contains("not this one"));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_bundle_is_a_dead_letter() {
    let bed = Bed::new("a = {}").await;
    let runs = Runs::default();
    let worker = bed.start("w", 1, Worker::new().skill(skill(&runs)));
    let cases =
        [("2", "[1]", "bad_bundle"), ("1", "{}", "bad_bundle"), ("2", "[1,", "bad_input"), ("0", "[]", "bad_header")];
    for (at, (count, body, code)) in cases.into_iter().enumerate() {
        let id = format!("t{at}");
        bed.submit("a", &id, &[(name::BUNDLE, count)], body).await;
        let (outcome, _) = bed.outcome("a", &id).await;
        assert_eq!((outcome.kind, outcome.attempt, outcome.items), (OutcomeKind::Dead, 0, None));
        assert_eq!(outcome.code.expect("a code").as_str(), code, "{body}");
        bed.drained("a").await;
        assert_eq!(&letter(&bed, &id).await.body[..], body.as_bytes());
    }
    assert!(runs.lock().unwrap().is_empty());
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn skills_whose_promise_is_for_single_tasks_take_no_bundles() {
    let bed = Bed::new("a = { costly = true }\nk = { keyed = true }").await;
    let keyed = does("k", |input, _| async move { Ok(input) });
    let worker = bed.start("w", 1, Worker::new().skill(skill(&Runs::default())).skill(keyed));
    submit(&bed, "x", &json!([1]), &[]).await;
    assert_eq!(bed.outcome("a", "x").await.0.code.expect("a code").as_str(), "unsupported");
    bed.submit("k.normal.c1", "y", &[(name::BUNDLE, "1")], "[1]").await;
    assert_eq!(bed.outcome("k", "y").await.0.code.expect("a code").as_str(), "unsupported");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_stops_the_items_that_run_and_those_that_wait() {
    let bed = Bed::new("a = {}").await;
    let runs = Runs::default();
    let worker = bed.start("w", 1, Worker::new().skill(skill(&runs)));
    submit(&bed, "x", &json!([1, { "takes": 30 }, 3]), &[]).await;
    while runs.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bed.cancel("a", "x").await;
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.items), (OutcomeKind::Cancelled, None));
    assert_eq!(Bed::error(&stored).message, "cancelled while it ran; 1 of 3 items had ended");
    assert_eq!(times(&runs, 2), 0);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn items_run_beside_each_other_in_free_slots_only() {
    let bed = Bed::new("a = {}").await;
    let (now, most) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let (running, highest) = (Arc::clone(&now), Arc::clone(&most));
    let slow = does("a", move |_, _| {
        let (running, highest) = (Arc::clone(&running), Arc::clone(&highest));
        async move {
            {
                let mut running = running.lock().unwrap();
                *running += 1;
                let mut highest = highest.lock().unwrap();
                *highest = (*highest).max(*running);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            *running.lock().unwrap() -= 1;
            Ok(json!("done"))
        }
    });
    let worker = bed.start("w", 4, Worker::new().skill(slow));
    let began = bed.memory.now();
    submit(&bed, "x", &json!(vec![0; 20]), &[]).await;
    bed.submit("a", "single", &[], "null").await;
    // It waits for one item, not for the bundle.
    bed.outcome("a", "single").await;
    assert!(bed.memory.now().since(began) < Duration::from_millis(3500));
    bed.outcome("a", "x").await;
    assert!(bed.memory.now().since(began) < Duration::from_secs(8), "twenty seconds of work in four slots");
    assert_eq!(*most.lock().unwrap(), 4);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_item_snoozes_and_keeps_its_checkpoint() {
    let bed = Bed::new("a = {}").await;
    let runs = Runs::default();
    let worker = bed.start("w", 1, Worker::new().skill(skill(&runs)));
    submit(&bed, "x", &json!([{ "snoozes": 20 }, 2]), &[]).await;
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!((outcome.attempt, told(&stored)), (1, vec!["\"awake\"@1".to_owned(), "4@1".to_owned()]));
    submit(&bed, "y", &json!([{ "snoozes": 20 }, { "fails": 1 }]), &[]).await;
    let (outcome, stored) = bed.outcome("a", "y").await;
    assert_eq!(outcome.attempt, 2);
    assert_eq!(told(&stored), ["\"awake\"@1", "\"at last\"@2"], "the snooze was no attempt of its item");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_has_no_room_beside_the_others_fails_alone() {
    let bed = Bed::new("a = {}").await;
    let worker = bed.start("w", 1, Worker::new().skill(skill(&Runs::default())));
    submit(&bed, "x", &json!(["huge", "huge", 3]), &[]).await;
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.items.expect("counted").failed), (OutcomeKind::Completed, 1));
    let blob = nova_wire::BlobRef::parse(stored.headers.get(name::BLOB).expect("it is large")).expect("well formed");
    let body = nova_broker::Blobs::new(bed.broker.clone()).get(&blob).await.expect("all of it");
    let ends = read_ends(&Payload::json(body)).expect("ends");
    assert_eq!(ends[0].body.bytes.len(), (25 << 20) + 2);
    assert_eq!(ends[1].error().expect("why").code.as_str(), "bad_result");
    assert_eq!(ends[2].body.to_json().expect("a value"), json!(6));
    bed.drained("a").await;
    assert_eq!(letter(&bed, "x").await.headers.get(name::ITEMS), Some("1"));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bundle_is_answered_in_the_content_type_it_came_in() {
    let bed = Bed::new("a = {}").await;
    let worker = bed.start("w", 1, Worker::new().skill(skill(&Runs::default())));
    let body = Payload::encode(ContentType::MsgPack, &json!([1, "reject"])).expect("encodes").bytes;
    let headers =
        Headers::new().with(name::MSG_ID, "x").with(name::CONTENT_TYPE, "application/msgpack").with(name::BUNDLE, "2");
    let message = Message::new("nova.task.a", body).with_headers(headers);
    bed.broker.publish(message, Expect::Any).await.expect("the queue takes it");
    let (_, stored) = bed.outcome("a", "x").await;
    assert_eq!(stored.headers.get(name::CONTENT_TYPE), Some("application/msgpack"));
    assert_eq!(told(&stored), ["2@1", "dead bad@1"]);
    bed.drained("a").await;
    let letter = letter(&bed, "x").await;
    let body = Payload { content_type: ContentType::MsgPack, bytes: letter.body };
    assert_eq!(split_bundle(&body, 1).expect("a bundle")[0].to_json().expect("a value"), json!("reject"));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_item_takes_a_token_of_the_rate() {
    let bed = Bed::new("a = { rate = \"10/s\" }").await;
    let runs = Runs::default();
    let worker = bed.start("w", 8, Worker::new().skill(skill(&runs)));
    let began = bed.memory.now();
    submit(&bed, "x", &json!(vec![1; 100]), &[]).await;
    let (outcome, _) = bed.outcome("a", "x").await;
    let took = bed.memory.now().since(began);
    assert_eq!(outcome.items.expect("counted").failed, 0);
    assert!(took >= Duration::from_millis(8_900), "100 items at 10/s with a burst of 10 took {took:?}");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_skill_gets_several_items_in_a_call() {
    struct Sums(Arc<Mutex<Vec<usize>>>);
    impl BatchSkill for Sums {
        type Input = i64;
        type Output = i64;
        fn name(&self) -> &str {
            "a"
        }
        async fn run(&self, inputs: Vec<BatchItem<i64>>) -> Vec<Result<i64, Verdict>> {
            self.0.lock().expect("no holder panics").push(inputs.len());
            inputs.into_iter().map(|item| Ok(item.input * 2)).collect()
        }
    }
    let bed = Bed::new("a = {}").await;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let batch = Batch::new(Sums(Arc::clone(&calls))).size(8).linger(Duration::from_millis(50));
    let worker = bed.start("w", 9, Worker::new().skill(batch));
    submit(&bed, "x", &json!((0..32).collect::<Vec<i64>>()), &[]).await;
    let (_, stored) = bed.outcome("a", "x").await;
    assert_eq!(told(&stored)[31], "62@1");
    assert!(calls.lock().unwrap().len() <= 6, "{:?}", calls.lock().unwrap());
    worker.stop().await;
}
