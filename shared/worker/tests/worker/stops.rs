//! Cancels, drains, and two workers over one task.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use nova_types::OutcomeKind;
use nova_wire::assets;
use nova_worker::{Blocking, BlockingSkill, Context, Verdict, Worker};
use serde_json::json;
use tokio::sync::Notify;

use crate::bed::Bed;
use crate::skills::{Does, does};

/// A skill that tells when it runs and then waits for its cancel.
fn waits(started: &Arc<Notify>) -> Does {
    let started = Arc::clone(started);
    does("a", move |_, cx: Context| {
        started.notify_one();
        async move {
            cx.cancelled().await;
            Ok(json!("stopped"))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_cancel_stops_what_runs() {
    let bed = Bed::new("a = {}").await;
    let started = Arc::new(Notify::new());
    let worker = bed.start("w", 1, Worker::new().skill(waits(&started)));
    bed.submit("a", "x", &[], "null").await;
    started.notified().await;
    bed.cancel("a", "x").await;
    let (outcome, _) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Cancelled, 1));
    bed.drained("a").await;
    assert_eq!(bed.count(assets::DEAD, "nova.dead.>").await, 0, "a cancelled task leaves no letter");
    worker.stop().await;
}

/// On a thread of its own, where no cancel reaches it: `hold` ends when the test says so, `after` tells whether it had.
struct Holds {
    started: Arc<Notify>,
    release: Mutex<mpsc::Receiver<()>>,
    is_released: AtomicBool,
}

impl BlockingSkill for Holds {
    type Input = String;
    type Output = bool;

    fn name(&self) -> &str {
        "a"
    }

    fn run(&self, input: String, _: &Context) -> Result<bool, Verdict> {
        if input == "hold" {
            self.started.notify_one();
            let _ = self.release.lock().expect("nobody panicked").recv();
            self.is_released.store(true, Ordering::SeqCst);
        }
        Ok(self.is_released.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_thread_that_does_not_stop_keeps_its_slot() {
    let bed = Bed::new("a = {}").await;
    let (release, released) = mpsc::sync_channel(1);
    let started = Arc::new(Notify::new());
    let holds = Holds { started: Arc::clone(&started), release: Mutex::new(released), is_released: false.into() };
    let worker = bed.start("w", 1, Worker::new().skill(Blocking::new(holds)));
    bed.submit("a", "x", &[], "\"hold\"").await;
    started.notified().await;
    bed.cancel("a", "x").await;
    assert_eq!(bed.outcome("a", "x").await.0.kind, OutcomeKind::Cancelled);
    bed.submit("a", "y", &[], "\"after\"").await;
    // Time enough to start what must not start.
    tokio::time::sleep(Duration::from_millis(200)).await;
    release.send(()).expect("it waits for it");
    assert_eq!(&bed.outcome("a", "y").await.1.body[..], b"true");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_came_first_is_never_started() {
    let bed = Bed::new("a = {}").await;
    bed.cancel("a", "x").await;
    bed.submit("a", "x", &[], "null").await;
    let started = Arc::new(Notify::new());
    let worker = bed.start("w", 1, Worker::new().skill(waits(&started)));
    let (outcome, _) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Cancelled, 0));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_what_runs_end() {
    let bed = Bed::new("a = {}").await;
    let started = Arc::new(Notify::new());
    let told = Arc::clone(&started);
    let skill = does("a", move |_, _| {
        told.notify_one();
        async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(json!("done"))
        }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "null").await;
    started.notified().await;
    worker.stop().await;
    assert_eq!(bed.outcome("a", "x").await.0.kind, OutcomeKind::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_hard_stop_hands_back_and_uses_up_no_attempt() {
    let bed = Bed::new("a = { max_attempts = 1 }").await;
    let started = Arc::new(Notify::new());
    let told = Arc::clone(&started);
    let skill = does("a", move |_, _| {
        told.notify_one();
        std::future::pending()
    });
    let worker = bed.start("first", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "null").await;
    started.notified().await;
    worker.shutdown.stop_hard();
    worker.worker.await.expect("no panic").expect("a clean end");

    let second = bed.start("second", 1, Worker::new().skill(does("a", |input, _| async move { Ok(input) })));
    let (outcome, _) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1));
    assert_eq!(outcome.worker.unwrap().as_str(), "second");
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_task_keeps_its_lease() {
    let bed = Bed::new("a = { timeout = \"10m\" }").await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let skill = move || {
        let counted = Arc::clone(&counted);
        does("a", move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::time::sleep(Duration::from_secs(120)).await;
                Ok(json!("long"))
            }
        })
    };
    let one = bed.start("one", 1, Worker::new().skill(skill()));
    let two = bed.start("two", 1, Worker::new().skill(skill()));
    bed.submit("a", "x", &[], "null").await;
    bed.outcome("a", "x").await;
    assert_eq!(runs.load(Ordering::SeqCst), 1, "twelve leases long, run once");
    one.stop().await;
    two.stop().await;
}
