//! Which tasks of a skill were cancelled: loaded once, then live.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{BrokerError, BrokerRef, Scan};
use nova_types::{Skill, TaskId};
use nova_wire::{assets, subject};
use tokio_util::sync::CancellationToken;

/// How many cancels are read at a time.
const PAGE: usize = 1000;
/// How many cancels are remembered, about 200 bytes each. By then the coordinators have recorded the end of the older
/// ones, so that a task that was forgotten here starts in vain at worst.
const KEPT: usize = 100_000;
/// The pause before cancels are read again that could not be.
const PAUSE: Duration = Duration::from_secs(1);

/// The cancels of one skill; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Cancels(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    cancelled: HashSet<TaskId>,
    /// In the order they came: beyond [`KEPT`] the oldest are forgotten.
    order: VecDeque<TaskId>,
    /// Who hears, and how many of them: a zombie and its successor may run in one process.
    running: HashMap<TaskId, (CancellationToken, usize)>,
}

/// Stands for a running attempt that hears cancels; dropping it ends that.
pub(crate) struct Listening {
    cancels: Cancels,
    task: TaskId,
    heard: CancellationToken,
}

impl Cancels {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this task was cancelled.
    pub(crate) fn contains(&self, task: &TaskId) -> bool {
        self.lock().cancelled.contains(task)
    }

    /// Lets a running attempt hear its cancel, also one that came a moment ago.
    pub(crate) fn listen(&self, task: &TaskId) -> Listening {
        let mut state = self.lock();
        let (heard, listeners) = state.running.entry(task.clone()).or_default();
        *listeners += 1;
        let heard = heard.clone();
        if state.cancelled.contains(task) {
            heard.cancel();
        }
        Listening { cancels: self.clone(), task: task.clone(), heard }
    }

    fn add(&self, task: TaskId) {
        let mut state = self.lock();
        if let Some((heard, _)) = state.running.get(&task) {
            heard.cancel();
        }
        if state.cancelled.insert(task.clone()) {
            state.order.push_back(task);
        }
        if state.order.len() > KEPT
            && let Some(oldest) = state.order.pop_front()
        {
            state.cancelled.remove(&oldest);
        }
    }

    /// Reads the cancels that are stored and follows new ones until dropped, over reconnects.
    ///
    /// # Errors
    /// When the first reading fails.
    pub(crate) async fn follow(
        &self,
        broker: &BrokerRef,
        skill: &Skill,
    ) -> Result<impl Future<Output = ()> + use<>, BrokerError> {
        // Taken first: should the connection change while this reads, it is read again.
        let epoch = broker.connection().borrow().epoch;
        // First listen, then load: what comes between is heard.
        let mut live = broker.listen(subject::cancels_of(skill), None).await?;
        self.load(broker, skill).await?;
        let (cancels, broker, skill) = (self.clone(), Arc::clone(broker), skill.clone());
        Ok(async move {
            let mut connection = broker.connection();
            let mut read_at = epoch;
            loop {
                let now = *connection.borrow_and_update();
                // What was cancelled while the connection was down was not heard.
                if now.is_up && now.epoch != read_at {
                    match cancels.load(&broker, &skill).await {
                        Ok(()) => read_at = now.epoch,
                        Err(error) => {
                            tracing::warn!(%skill, %error, "could not read cancels again");
                            tokio::time::sleep(PAUSE).await;
                            continue;
                        }
                    }
                }
                tokio::select! {
                    biased;
                    changed = connection.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                    message = live.next() => match message {
                        Some(message) => {
                            if let Some((_, task)) = subject::parse_cancel(&message.subject) {
                                cancels.add(task);
                            }
                        }
                        None => return,
                    },
                }
            }
        })
    }

    async fn load(&self, broker: &BrokerRef, skill: &Skill) -> Result<(), BrokerError> {
        let mut from = 1;
        loop {
            let scan = Scan::all(assets::CONTROL, subject::cancels_of(skill), PAGE).from(from);
            let page = broker.scan(scan).await?;
            let Some(last) = page.last() else { return Ok(()) };
            from = last.sequence + 1;
            let is_end = page.len() < PAGE;
            for stored in page {
                if let Some((_, task)) = subject::parse_cancel(&stored.subject) {
                    self.add(task);
                }
            }
            if is_end {
                return Ok(());
            }
        }
    }
}

impl Listening {
    /// Resolves when the task is cancelled.
    pub(crate) async fn heard(&self) {
        self.heard.cancelled().await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut state = self.cancels.lock();
        if let Some((_, listeners)) = state.running.get_mut(&self.task) {
            *listeners -= 1;
            if *listeners == 0 {
                state.running.remove(&self.task);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(n: usize) -> TaskId {
        format!("a.{n}").parse().expect("an id")
    }

    #[test]
    fn two_attempts_of_one_task_both_hear_its_cancel() {
        let cancels = Cancels::default();
        let (zombie, heir, another) = (cancels.listen(&task(1)), cancels.listen(&task(1)), cancels.listen(&task(2)));
        drop(zombie);
        cancels.add(task(1));
        assert!(heir.heard.is_cancelled() && !another.heard.is_cancelled());
        drop(heir);
        assert_eq!(cancels.lock().running.len(), 1);
    }

    #[test]
    fn only_so_many_cancels_are_remembered() {
        let cancels = Cancels::default();
        for n in 0..KEPT + 5 {
            cancels.add(task(n));
            cancels.add(task(n));
        }
        assert!(!cancels.contains(&task(4)) && cancels.contains(&task(5)) && cancels.contains(&task(KEPT + 4)));
        assert_eq!(cancels.lock().order.len(), KEPT);
    }
}
