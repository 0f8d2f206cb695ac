//! Skills that take many tasks in one call.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use nova_types::codes;
use tokio::sync::oneshot;

use crate::blocking::join_text;
use crate::{Context, FromPayload, IntoPayload, Skill, Verdict};

/// The code of tasks whose call did not answer for each of them.
const WRONG_COUNT: &str = "batch_count";

/// A skill that does many tasks at once better than one by one: a bulk insert, a model's forward pass, one paid request.
///
/// To the fleet each of them stays a task of its own: it has its own lease, attempt, timeout and cancel, goes through
/// the middleware alone, and ends by its own result or verdict. Only the call is shared.
///
/// ```
/// use std::time::Duration;
///
/// use nova_worker::{Batch, BatchItem, BatchSkill, Verdict, Worker};
///
/// /// Looks many words up with one question.
/// struct LookUp;
///
/// impl BatchSkill for LookUp {
///     type Input = String;
///     type Output = usize;
///     fn name(&self) -> &str {
///         "look-up"
///     }
///     async fn run(&self, inputs: Vec<BatchItem<String>>) -> Vec<Result<usize, Verdict>> {
///         inputs.into_iter().map(|item| Ok(item.input.len())).collect()
///     }
/// }
///
/// let worker = Worker::new().slots(64).skill(Batch::new(LookUp).size(64).linger(Duration::from_millis(20)));
/// ```
pub trait BatchSkill: Send + Sync + 'static {
    /// What one task asks.
    type Input: FromPayload;
    /// What one task is answered.
    type Output: IntoPayload;

    /// Its name in the catalogue, `[a-z0-9-]{1,48}`.
    fn name(&self) -> &str;

    /// Its version, shown in presence and discovery.
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    /// Runs one attempt of each task; the answers stand in the order of the inputs, one for each.
    ///
    /// Where their number differs nobody can tell which answer is whose, and all of them are tried again. An item whose
    /// [`cancelled`](Context::cancelled) resolves needs no answer any more, though it keeps its place; once that holds
    /// for all of them the call is dropped where it stands.
    fn run(
        &self,
        inputs: Vec<BatchItem<Self::Input>>,
    ) -> impl Future<Output = Vec<Result<Self::Output, Verdict>>> + Send;
}

/// One task of a batch.
pub struct BatchItem<I> {
    /// What it asks.
    pub input: I,
    /// Its attempt.
    pub context: Context,
}

/// Makes a [`BatchSkill`] a [`Skill`].
pub struct Batch<S: BatchSkill> {
    shared: Arc<Shared<S>>,
    size: NonZeroUsize,
    linger: Duration,
}

struct Shared<S: BatchSkill> {
    skill: S,
    gathering: Mutex<Gathering<S>>,
}

/// The tasks of the next call.
struct Gathering<S: BatchSkill> {
    /// Tells one call's tasks from the next one's.
    call: u64,
    waiting: Vec<Waiting<S>>,
}

struct Waiting<S: BatchSkill> {
    item: BatchItem<S::Input>,
    answer: oneshot::Sender<Result<S::Output, Verdict>>,
}

impl<S: BatchSkill> Batch<S> {
    /// Wraps the skill: up to 16 tasks a call, gathered for 10 ms at most.
    #[must_use]
    pub fn new(skill: S) -> Self {
        let gathering = Mutex::new(Gathering { call: 0, waiting: Vec::new() });
        let size = NonZeroUsize::new(16).expect("it is not zero");
        Self { shared: Arc::new(Shared { skill, gathering }), size, linger: Duration::from_millis(10) }
    }

    /// How many tasks one call takes at most. A worker runs no more attempts at once than it has slots: give it as many
    /// by [`Worker::slots`](crate::Worker::slots), or a call waits its whole linger for tasks that cannot come.
    #[must_use]
    pub fn size(mut self, size: usize) -> Self {
        self.size = NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// How long the first task of a call waits for others.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }
}

impl<S: BatchSkill> Skill for Batch<S> {
    type Input = S::Input;
    type Output = S::Output;

    fn name(&self) -> &str {
        self.shared.skill.name()
    }

    fn version(&self) -> &str {
        self.shared.skill.version()
    }

    async fn run(&self, input: S::Input, context: Context) -> Result<S::Output, Verdict> {
        let (answer, answered) = oneshot::channel();
        self.gather(Waiting { item: BatchItem { input, context }, answer });
        match answered.await {
            Ok(result) => result,
            Err(_) => Err(Verdict::retry(codes::PANIC, "the call of its batch was dropped")),
        }
    }
}

impl<S: BatchSkill> Batch<S> {
    /// Adds a task to the next call, and starts that when it is complete.
    fn gather(&self, waiting: Waiting<S>) {
        let mut gathering = self.shared.lock();
        gathering.waiting.push(waiting);
        if gathering.waiting.len() >= self.size.get() {
            let call = gathering.take();
            drop(gathering);
            tokio::spawn(Arc::clone(&self.shared).call(call));
        } else if gathering.waiting.len() == 1 {
            let (number, linger) = (gathering.call, self.linger);
            drop(gathering);
            tokio::spawn(Arc::clone(&self.shared).call_after(number, linger));
        }
    }
}

impl<S: BatchSkill> Gathering<S> {
    fn take(&mut self) -> Vec<Waiting<S>> {
        self.call += 1;
        std::mem::take(&mut self.waiting)
    }
}

impl<S: BatchSkill> Shared<S> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Gathering<S>> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a call that did not become complete in time.
    async fn call_after(self: Arc<Self>, number: u64, linger: Duration) {
        tokio::time::sleep(linger).await;
        let call = {
            let mut gathering = self.lock();
            if gathering.call != number {
                return;
            }
            gathering.take()
        };
        self.call(call).await;
    }

    async fn call(self: Arc<Self>, waiting: Vec<Waiting<S>>) {
        // Whose attempt was given up while it waited starts no work.
        let wanted =
            waiting.into_iter().filter(|waiting| !waiting.answer.is_closed() && !waiting.item.context.is_cancelled());
        let (items, mut answers): (Vec<_>, Vec<_>) = wanted.map(|waiting| (waiting.item, waiting.answer)).unzip();
        if items.is_empty() {
            return;
        }
        // A task of its own: its panics are caught, and it can be dropped where it stands.
        let mut running = tokio::spawn({
            let shared = Arc::clone(&self);
            async move { shared.skill.run(items).await }
        });
        let given_up = join_all(answers.iter_mut().map(oneshot::Sender::closed));
        let ended = tokio::select! {
            biased;
            ended = &mut running => ended,
            _ = given_up => return running.abort(),
        };
        let count = answers.len();
        for (answer, result) in answers.into_iter().zip(one_for_each(ended, count)) {
            // One that was given up meanwhile needs none.
            let _ = answer.send(result);
        }
    }
}

/// What each of `count` tasks is answered.
fn one_for_each<T>(
    ended: Result<Vec<Result<T, Verdict>>, tokio::task::JoinError>,
    count: usize,
) -> Vec<Result<T, Verdict>> {
    let all = |verdict: Verdict| (0..count).map(|_| Err(verdict.clone())).collect();
    match ended {
        Ok(results) if results.len() == count => results,
        Ok(results) => {
            let message = format!("its batch of {count} was answered {} times", results.len());
            all(Verdict::retry(WRONG_COUNT, message))
        }
        Err(error) => all(Verdict::retry(codes::PANIC, join_text(error))),
    }
}
