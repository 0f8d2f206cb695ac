//! Which tasks of a skill were cancelled: loaded once, then live.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use nova_broker::{BrokerError, BrokerRef, Scan};
use nova_types::{Skill, TaskId};
use nova_wire::{assets, subject};
use tokio_util::sync::CancellationToken;

/// How many cancels are read at a time.
const PAGE: usize = 1000;

/// The cancels of one skill; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Cancels(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    cancelled: HashSet<TaskId>,
    running: HashMap<TaskId, CancellationToken>,
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
        let heard = CancellationToken::new();
        let mut state = self.lock();
        if state.cancelled.contains(task) {
            heard.cancel();
        }
        state.running.insert(task.clone(), heard.clone());
        Listening { cancels: self.clone(), task: task.clone(), heard }
    }

    fn add(&self, task: TaskId) {
        let mut state = self.lock();
        if let Some(heard) = state.running.get(&task) {
            heard.cancel();
        }
        state.cancelled.insert(task);
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
        // First listen, then load: what comes between is heard.
        let mut live = broker.listen(subject::cancels_of(skill), None).await?;
        self.load(broker, skill).await?;
        let (cancels, broker, skill) = (self.clone(), Arc::clone(broker), skill.clone());
        Ok(async move {
            let mut connection = broker.connection();
            let mut epoch = connection.borrow().epoch;
            loop {
                tokio::select! {
                    message = live.next() => match message {
                        Some(message) => {
                            if let Some((_, task)) = subject::parse_cancel(&message.subject) {
                                cancels.add(task);
                            }
                        }
                        None => return,
                    },
                    changed = connection.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        let now = *connection.borrow_and_update();
                        // What was cancelled while the connection was down was not heard.
                        if now.is_up && now.epoch != epoch {
                            match cancels.load(&broker, &skill).await {
                                Ok(()) => epoch = now.epoch,
                                Err(error) => tracing::warn!(%skill, %error, "could not read cancels again"),
                            }
                        }
                    }
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
        state.running.remove(&self.task);
    }
}
