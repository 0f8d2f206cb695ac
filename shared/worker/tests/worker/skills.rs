//! Skills by closure, and what skill authors rely on: shared state, blocking, middleware, checkpoints.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use nova_types::OutcomeKind;
use nova_worker::{Blocking, BlockingSkill, Context, Middleware, Next, Payload, Skill, Verdict, Worker};
use serde_json::{Value, json};

use crate::bed::Bed;

type Act = dyn Fn(Value, Context) -> BoxFuture<'static, Result<Value, Verdict>> + Send + Sync;

/// A skill of any name that does what a closure says.
pub struct Does {
    name: &'static str,
    act: Box<Act>,
}

/// A skill that does `act`.
pub fn does<F, R>(name: &'static str, act: F) -> Does
where
    F: Fn(Value, Context) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Value, Verdict>> + Send + 'static,
{
    Does { name, act: Box::new(move |input, cx| Box::pin(act(input, cx))) }
}

impl Skill for Does {
    type Input = Value;
    type Output = Value;
    fn name(&self) -> &str {
        self.name
    }
    async fn run(&self, input: Value, cx: Context) -> Result<Value, Verdict> {
        (self.act)(input, cx).await
    }
}

#[tokio::test(start_paused = true)]
async fn skills_of_one_worker_share_what_they_hold() {
    let bed = Bed::new("a = {}\nb = {}").await;
    let pool = Arc::new(AtomicU32::new(0));
    let counts = |name| {
        let pool = Arc::clone(&pool);
        does(name, move |_, _| {
            let n = pool.fetch_add(1, Ordering::SeqCst);
            async move { Ok(json!(n)) }
        })
    };
    let worker = bed.start("w", 4, Worker::new().skill(counts("a")).skill(counts("b")));
    bed.submit("a", "x", &[], "null").await;
    bed.outcome("a", "x").await;
    bed.submit("b", "x", &[], "null").await;
    let (_, stored) = bed.outcome("b", "x").await;
    assert_eq!(&stored.body[..], b"1");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_blocking_skill_runs_off_the_reactor() {
    struct Sums;
    impl BlockingSkill for Sums {
        type Input = Vec<i64>;
        type Output = i64;
        fn name(&self) -> &str {
            "sums"
        }
        fn run(&self, input: Vec<i64>, _: &Context) -> Result<i64, Verdict> {
            assert!(!input.is_empty(), "nothing to sum");
            Ok(input.iter().sum())
        }
    }
    let bed = Bed::new("sums = { max_attempts = 1 }").await;
    let worker = bed.start("w", 4, Worker::new().skill(Blocking::new(Sums)));
    bed.submit("sums", "three", &[], "[1,2]").await;
    assert_eq!(&bed.outcome("sums", "three").await.1.body[..], b"3");
    bed.submit("sums", "none", &[], "[]").await;
    let (outcome, stored) = bed.outcome("sums", "none").await;
    assert_eq!(outcome.kind, OutcomeKind::Dead);
    let error = Bed::error(&stored);
    assert_eq!((error.code.as_str(), error.message.as_str()), ("panic", "the skill panicked: nothing to sum"));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn middleware_wraps_every_attempt_outermost_first() {
    struct Notes(&'static str, Arc<Mutex<Vec<String>>>);
    impl Middleware for Notes {
        fn handle<'a>(
            &'a self,
            input: Payload,
            cx: Context,
            next: Next<'a>,
        ) -> BoxFuture<'a, Result<Payload, Verdict>> {
            Box::pin(async move {
                self.1.lock().unwrap().push(format!("{} before", self.0));
                let result = next.run(input, cx).await;
                self.1.lock().unwrap().push(format!("{} after", self.0));
                result
            })
        }
    }
    let bed = Bed::new("a = {}").await;
    let notes = Arc::new(Mutex::new(Vec::new()));
    let skill = does("a", |input, _| async move { Ok(input) });
    let wrapped = Worker::new().skill(skill).wrap(Notes("outer", notes.clone())).wrap(Notes("inner", notes.clone()));
    let worker = bed.start("w", 1, wrapped);
    bed.submit("a", "x", &[], "1").await;
    bed.outcome("a", "x").await;
    assert_eq!(*notes.lock().unwrap(), ["outer before", "inner before", "inner after", "outer after"]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_reaches_the_next_attempt() {
    let bed = Bed::new("a = {}").await;
    let skill = does("a", |_, cx: Context| async move {
        match cx.checkpoint() {
            None => {
                cx.save_checkpoint("half").await?;
                Err(Verdict::retry("tired", "later"))
            }
            Some(left) => Ok(json!([cx.attempt(), String::from_utf8_lossy(&left)])),
        }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "null").await;
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 2));
    assert_eq!(&stored.body[..], br#"[2,"half"]"#);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn high_runs_before_normal_before_low() {
    let bed = Bed::new("a = {}").await;
    for n in 0..5 {
        bed.submit("a.low", &format!("l{n}"), &[], r#""low""#).await;
        bed.submit("a", &format!("n{n}"), &[], r#""normal""#).await;
        bed.submit("a.high", &format!("h{n}"), &[], r#""high""#).await;
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&order);
    let skill = does("a", move |input, _| {
        noted.lock().unwrap().push(input.as_str().unwrap_or_default().to_owned());
        async { Ok(Value::Null) }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.drained("a").await;
    let order = order.lock().unwrap().clone();
    assert_eq!(order.len(), 15);
    assert_eq!(order[..5], ["high"; 5], "{order:?}");
    assert_eq!(order[5..10], ["normal"; 5], "{order:?}");
    worker.stop().await;
}
