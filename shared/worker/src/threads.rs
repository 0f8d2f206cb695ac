//! Where skills run: on threads of their own, so that one which holds its thread holds no lease with it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// The threads of a worker's skills; they end when this is dropped.
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    /// Starts so many; with none, skills run where the worker runs and on its clock, as tests want it.
    ///
    /// # Errors
    /// When the machine refuses them.
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        if count == 0 {
            return Ok(Self(None));
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name("skill")
            // Blocking threads of a burst give their memory back soon.
            .thread_keep_alive(Duration::from_secs(2))
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Where a skill runs that is to run on them.
    pub(crate) fn floor(&self) -> Floor {
        Floor { threads: self.0.as_ref().map(|runtime| runtime.handle().clone()), streak: Arc::default() }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Not waited for: a skill that ignores its cancel ends with the process.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// How long a skill that answers at once may take for it: a few times what a change of threads costs.
const AT_ONCE: Duration = Duration::from_micros(50);
/// So many attempts in a row are answered at once before the next one is not taken to another thread.
const SHOWN: u32 = 16;

/// Where one skill runs: on the threads for it, or, once it has shown that it answers at once, where it was asked.
///
/// Should it take its time after all, it holds up the worker for the first step of one attempt.
pub(crate) struct Floor {
    threads: Option<Handle>,
    /// How many attempts in a row were answered at once.
    streak: Arc<AtomicU32>,
}

/// How an attempt began.
pub(crate) enum Begun<T> {
    /// It has returned or panicked already.
    Done(std::thread::Result<T>),
    /// It goes on.
    Running(JoinHandle<T>),
}

impl Floor {
    /// Runs it on the threads for skills: it can be dropped where it stands.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        match &self.threads {
            Some(threads) => threads.spawn(work),
            None => tokio::spawn(work),
        }
    }

    /// Begins an attempt: its panics are caught, and it can be dropped where it stands.
    pub(crate) async fn begin<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Begun<T> {
        let Some(threads) = &self.threads else { return Begun::Running(tokio::spawn(work)) };
        let mut work = Box::pin(work);
        if self.streak.load(Ordering::Relaxed) >= SHOWN {
            let caught = poll_fn(|cx| {
                // What it starts on its way, timers and tasks, belongs to its threads here, too.
                let _home = threads.enter();
                let mut first = |work: Pin<&mut _>| first_step(&self.streak, work, cx);
                Poll::Ready(catch_unwind(AssertUnwindSafe(|| first(work.as_mut()))))
            });
            match caught.await {
                Ok(Poll::Ready(done)) => return Begun::Done(Ok(done)),
                Ok(Poll::Pending) => {}
                Err(panic) => return Begun::Done(Err(panic)),
            }
        }
        let streak = Arc::clone(&self.streak);
        Begun::Running(threads.spawn(async move {
            match poll_fn(|cx| Poll::Ready(first_step(&streak, work.as_mut(), cx))).await {
                Poll::Ready(done) => done,
                Poll::Pending => work.await,
            }
        }))
    }
}

/// Polls for the first time, and counts whether that was all there was to do.
fn first_step<F: Future>(streak: &AtomicU32, work: Pin<&mut F>, cx: &mut std::task::Context<'_>) -> Poll<F::Output> {
    let began = Instant::now();
    let polled = work.poll(cx);
    // Two that count at the same time may count as one.
    let longer = streak.load(Ordering::Relaxed).saturating_add(1);
    let is_at_once = polled.is_ready() && began.elapsed() < AT_ONCE;
    streak.store(if is_at_once { longer } else { 0 }, Ordering::Relaxed);
    polled
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether an attempt ran in the very step that began it.
    async fn is_here<T: Send + 'static>(floor: &Floor, work: impl Future<Output = T> + Send + 'static) -> bool {
        match floor.begin(work).await {
            Begun::Done(done) => done.is_ok(),
            Begun::Running(running) => {
                running.await.expect("it does not panic");
                false
            }
        }
    }

    async fn prove(floor: &Floor) {
        // A machine with much else to do may stop the thread in a step that is short.
        while floor.streak.load(Ordering::Relaxed) < SHOWN {
            is_here(floor, async {}).await;
        }
    }

    #[tokio::test]
    async fn a_skill_is_kept_apart_until_it_has_shown_to_be_quick_and_from_when_it_is_slow() {
        let threads = Threads::start(1).expect("a thread");
        let floor = threads.floor();
        assert!(!is_here(&floor, async {}).await, "nothing is known of it yet");
        prove(&floor).await;
        let own = std::thread::current().id();
        assert!(is_here(&floor, async move { assert_eq!(std::thread::current().id(), own) }).await);
        prove(&floor).await;
        // It waits: what follows is on the threads, timers included.
        let after = async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_ne!(std::thread::current().id(), own);
        };
        assert!(!is_here(&floor, after).await);
        assert!(!is_here(&floor, async {}).await, "one that waited must show it anew");
        prove(&floor).await;
        let hold = async {
            let began = Instant::now();
            while began.elapsed() < AT_ONCE {}
        };
        is_here(&floor, hold).await;
        assert!(!is_here(&floor, async {}).await, "as one that holds its thread");
    }

    #[tokio::test]
    async fn a_panic_is_caught_wherever_it_happens() {
        let threads = Threads::start(1).expect("a thread");
        let floor = threads.floor();
        prove(&floor).await;
        let Begun::Done(Err(_)) = floor.begin(async { panic!("here") }).await else { panic!("it panicked at once") };
        floor.streak.store(0, Ordering::Relaxed);
        let Begun::Running(running) = floor.begin(async { panic!("there") }).await else { panic!("it must be apart") };
        assert!(running.await.is_err_and(|error| error.is_panic()));
    }

    #[tokio::test]
    async fn without_threads_it_runs_where_it_was_asked() {
        let floor = Threads::start(0).expect("none are needed").floor();
        let own = std::thread::current().id();
        is_here(&floor, async move { assert_eq!(std::thread::current().id(), own) }).await;
    }
}
