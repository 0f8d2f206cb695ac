//! Batches: one call for many tasks, each of which stays one of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nova_types::OutcomeKind;
use nova_worker::{Batch, BatchItem, BatchSkill, Verdict, Worker};

use crate::bed::Bed;

type Calls = Arc<Mutex<Vec<Vec<i64>>>>;

/// Notes its calls and does to each number what the number says.
#[derive(Clone, Default)]
struct Numbers {
    calls: Calls,
}

impl BatchSkill for Numbers {
    type Input = i64;
    type Output = i64;
    fn name(&self) -> &str {
        "a"
    }
    async fn run(&self, inputs: Vec<BatchItem<i64>>) -> Vec<Result<i64, Verdict>> {
        let numbers: Vec<i64> = inputs.iter().map(|item| item.input).collect();
        self.calls.lock().expect("no holder panics").push(numbers.clone());
        if numbers.contains(&666) {
            panic!("not that number");
        }
        if numbers.contains(&99) && inputs.iter().any(|item| item.context.attempt() == 1) {
            return vec![Ok(0)];
        }
        if numbers.contains(&1000) {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        let answer = |n: i64| match n {
            404 => Err(Verdict::reject("missing", "no such number")),
            503 => Err(Verdict::retry_after(Duration::from_secs(1), "busy", "try later")),
            n => Ok(n * 2),
        };
        numbers.into_iter().map(answer).collect()
    }
}

fn batch(calls: &Calls, size: usize, linger: Duration) -> Worker {
    Worker::new().skill(Batch::new(Numbers { calls: calls.clone() }).size(size).linger(linger))
}

async fn submit(bed: &Bed, numbers: &[i64]) {
    for n in numbers {
        bed.submit("a", &n.to_string(), &[], &n.to_string()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_wait_share_a_call_and_each_gets_its_own_answer() {
    let bed = Bed::new("a = {}").await;
    submit(&bed, &[1, 2, 3, 4, 5, 6, 7]).await;
    let calls = Calls::default();
    let worker = bed.start("w", 16, batch(&calls, 3, Duration::from_millis(20)));
    for n in 1..=7_i64 {
        let (outcome, stored) = bed.outcome("a", &n.to_string()).await;
        assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1));
        assert_eq!(&stored.body[..], (n * 2).to_string().as_bytes());
    }
    let sizes: Vec<usize> = calls.lock().expect("no holder panics").iter().map(Vec::len).collect();
    assert_eq!(sizes, [3, 3, 1], "the last did not wait longer than its linger");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_task_of_a_call_has_its_own_verdict() {
    let bed = Bed::new("a = { max_attempts = 2 }").await;
    submit(&bed, &[1, 404, 503]).await;
    let worker = bed.start("w", 16, batch(&Calls::default(), 3, Duration::from_secs(1)));
    let (fine, _) = bed.outcome("a", "1").await;
    let (missing, stored) = bed.outcome("a", "404").await;
    let (busy, _) = bed.outcome("a", "503").await;
    assert_eq!((fine.kind, missing.kind, busy.kind), (OutcomeKind::Completed, OutcomeKind::Dead, OutcomeKind::Dead));
    assert_eq!((missing.attempt, busy.attempt), (1, 2));
    assert_eq!(Bed::error(&stored).code.as_str(), "missing");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_number_of_answers_is_tried_again_for_all() {
    let bed = Bed::new("a = { max_attempts = 3 }").await;
    submit(&bed, &[1, 2, 99]).await;
    let worker = bed.start("w", 16, batch(&Calls::default(), 3, Duration::from_secs(1)));
    for n in ["1", "2", "99"] {
        let (outcome, _) = bed.outcome("a", n).await;
        assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 2), "{n}");
        assert_eq!(bed.attempts("a", &format!("_.{n}")).await.failures[0].code.as_str(), "batch_count");
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_fails_every_task_of_it() {
    let bed = Bed::new("a = { max_attempts = 1 }").await;
    submit(&bed, &[1, 666]).await;
    let worker = bed.start("w", 16, batch(&Calls::default(), 2, Duration::from_secs(1)));
    for n in ["1", "666"] {
        let (outcome, stored) = bed.outcome("a", n).await;
        assert_eq!((outcome.kind, Bed::error(&stored).code.as_str()), (OutcomeKind::Dead, "panic"), "{n}");
    }
    // The next call is not hurt by it.
    submit(&bed, &[5]).await;
    assert_eq!(bed.outcome("a", "5").await.0.kind, OutcomeKind::Completed);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_input_is_refused_before_the_call() {
    let bed = Bed::new("a = {}").await;
    let calls = Calls::default();
    bed.submit("a", "bad", &[], "\"x\"").await;
    submit(&bed, &[1]).await;
    let worker = bed.start("w", 16, batch(&calls, 2, Duration::from_millis(50)));
    assert_eq!(bed.outcome("a", "bad").await.0.kind, OutcomeKind::Dead);
    assert_eq!(bed.outcome("a", "1").await.0.kind, OutcomeKind::Completed);
    assert_eq!(*calls.lock().expect("no holder panics"), [vec![1]]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_task_is_cancelled_and_the_others_of_its_call_go_on() {
    let bed = Bed::new("a = { timeout = \"10h\" }").await;
    let calls = Calls::default();
    submit(&bed, &[1, 1000]).await;
    let worker = bed.start("w", 16, batch(&calls, 2, Duration::from_secs(1)));
    tokio::time::sleep(Duration::from_secs(60)).await;
    bed.cancel("a", "1").await;
    assert_eq!(bed.outcome("a", "1").await.0.kind, OutcomeKind::Cancelled);
    let (other, _) = bed.outcome("a", "1000").await;
    assert_eq!((other.kind, other.attempt), (OutcomeKind::Completed, 1));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_any_more_is_dropped() {
    let bed = Bed::new("a = { timeout = \"5s\", max_attempts = 1 }").await;
    let calls = Calls::default();
    submit(&bed, &[1, 1000]).await;
    let worker = bed.start("w", 16, batch(&calls, 2, Duration::from_secs(1)));
    for n in ["1", "1000"] {
        let (outcome, stored) = bed.outcome("a", n).await;
        assert_eq!((outcome.kind, Bed::error(&stored).code.as_str()), (OutcomeKind::Dead, "timeout"), "{n}");
    }
    worker.stop().await;
    assert_eq!(calls.lock().expect("no holder panics").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_draining_worker_finishes_its_calls() {
    let bed = Bed::new("a = {}").await;
    let calls = Calls::default();
    submit(&bed, &[1, 2, 3]).await;
    // Its linger is not over when it drains.
    let worker = bed.start("w", 16, batch(&calls, 100, Duration::from_secs(2)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    worker.stop().await;
    for n in ["1", "2", "3"] {
        assert_eq!(bed.outcome("a", n).await.0.kind, OutcomeKind::Completed);
    }
    assert_eq!(*calls.lock().expect("no holder panics"), [vec![1, 2, 3]]);
}
