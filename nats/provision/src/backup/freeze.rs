//! Shuts the coordinators' mailboxes for the time of a backup: tasks go on, runs and due tasks stand still.
//!
//! A run takes from outcomes and schedules, and gives to queues and schedules: packed one after the other while it moves,
//! something would be in no pack. A pause ends by itself, so that a backup that is killed holds up nobody for long.

use std::time::Duration;

use nova_broker::{Broker, BrokerError, ConsumerInfo, PauseState};
use nova_types::run_skill;
use nova_wire::assets;
use tokio::time::Instant;

use super::error::BackupError;
use crate::AssetId;

/// How long a pause lasts that nobody renews.
const PAUSE: Duration = Duration::from_secs(120);
/// How often it is renewed: four times before it would end.
const RENEW: Duration = Duration::from_secs(30);
/// How long coordinators may take to come to rest: many times the lease of what they hold.
const REST: Duration = Duration::from_secs(60);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(200);

/// A mailbox, and where it stood when nothing moved any more.
#[derive(Debug, Clone)]
struct Mailbox {
    id: AssetId,
    /// Whether this backup paused it; one that a person paused stays so.
    is_ours: bool,
    /// How many deliveries it made, and how many are out.
    stood: (u64, u64),
    /// When it was first seen so.
    since: Instant,
    /// How long a delivery is leased: what has not been acked for longer is in nobody's hands.
    lease: Duration,
}

/// The mailboxes, shut.
pub(super) struct Freeze<'a> {
    broker: &'a dyn Broker,
    mailboxes: Vec<Mailbox>,
    renewed: Instant,
}

fn failed(consumer: &AssetId) -> impl FnOnce(BrokerError) -> BackupError {
    let consumer = consumer.clone();
    move |source| BackupError::Pause { consumer, source }
}

/// The consumers of a stream that move what coordinators move.
fn is_mailbox(stream: &str, consumer: &str) -> bool {
    match stream {
        assets::SCHEDULES => consumer == assets::DUE_CONSUMER,
        assets::CONTROL => consumer == assets::CANCEL_CONSUMER,
        assets::RUNS => consumer == assets::ORDER_CONSUMER,
        // One for each partition of runs.
        assets::OUTCOMES => consumer.strip_prefix("run-").is_some_and(|rest| rest.parse::<u32>().is_ok()),
        _ => stream == assets::tasks_stream(&run_skill()),
    }
}

impl<'a> Freeze<'a> {
    /// Pauses them and waits until nothing moves any more.
    ///
    /// When it fails those that were paused are resumed.
    pub(super) async fn begin(broker: &'a dyn Broker) -> Result<Self, BackupError> {
        let mut freeze = Self { broker, mailboxes: Vec::new(), renewed: Instant::now() };
        let frozen = match freeze.pause_all().await {
            Ok(()) => freeze.rest().await,
            Err(error) => Err(error),
        };
        match frozen {
            Ok(()) => Ok(freeze),
            Err(error) => {
                freeze.end().await;
                Err(error)
            }
        }
    }

    async fn pause_all(&mut self) -> Result<(), BackupError> {
        let queue = assets::tasks_stream(&run_skill());
        for stream in [assets::SCHEDULES, assets::CONTROL, assets::RUNS, assets::OUTCOMES, &*queue] {
            let consumers = self.broker.consumers(stream.to_owned()).await;
            for info in consumers.map_err(failed(&AssetId::stream(stream)))? {
                if !is_mailbox(stream, &info.spec.name) {
                    continue;
                }
                let until = info.now.plus(PAUSE);
                // A longer pause is somebody's wish; a shorter one may be left by a backup that was killed.
                let is_ours = info.pause.until.is_none_or(|paused| paused <= until);
                let mailbox = Mailbox {
                    id: AssetId::consumer(stream, &info.spec.name),
                    is_ours,
                    stood: position(&info),
                    since: Instant::now(),
                    lease: info.spec.ack_wait,
                };
                if is_ours {
                    self.pause(&mailbox.id, PauseState { until: Some(until) }).await.map_err(failed(&mailbox.id))?;
                }
                self.mailboxes.push(mailbox);
            }
        }
        self.renewed = Instant::now();
        Ok(())
    }

    async fn pause(&self, id: &AssetId, state: PauseState) -> Result<(), BrokerError> {
        let name = id.consumer.clone().unwrap_or_default();
        self.broker.pause_consumer(id.stream.clone(), name, state).await
    }

    async fn look(&self, id: &AssetId) -> Result<Option<ConsumerInfo>, BackupError> {
        let name = id.consumer.clone().unwrap_or_default();
        self.broker.consumer(id.stream.clone(), name).await.map_err(failed(id))
    }

    /// Waits until every delivery that is out is acked, or has not moved for longer than anybody holds one: such as a due
    /// task whose queue is full, which would otherwise keep a backup from ever being taken.
    async fn rest(&mut self) -> Result<(), BackupError> {
        let until = Instant::now() + REST;
        for at in 0..self.mailboxes.len() {
            loop {
                let id = self.mailboxes[at].id.clone();
                let Some(info) = self.look(&id).await? else { return Err(BackupError::Moved { consumer: id }) };
                let mailbox = &mut self.mailboxes[at];
                if position(&info) != mailbox.stood {
                    (mailbox.stood, mailbox.since) = (position(&info), Instant::now());
                }
                if info.ack_pending == 0 || mailbox.since.elapsed() > mailbox.lease + LOOK {
                    break;
                }
                if Instant::now() > until {
                    return Err(BackupError::Restless { consumer: id, waited_secs: REST.as_secs() });
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Makes the pause longer when it is time.
    pub(super) async fn renew(&mut self) -> Result<(), BackupError> {
        if self.renewed.elapsed() < RENEW {
            return Ok(());
        }
        for mailbox in self.mailboxes.iter().filter(|mailbox| mailbox.is_ours) {
            let info = self.look(&mailbox.id).await?;
            let now = info.ok_or_else(|| BackupError::Moved { consumer: mailbox.id.clone() })?.now;
            let state = PauseState { until: Some(now.plus(PAUSE)) };
            self.pause(&mailbox.id, state).await.map_err(failed(&mailbox.id))?;
        }
        self.renewed = Instant::now();
        Ok(())
    }

    /// Whether all stand where they stood: one that took or acked something meanwhile moved it between two packs.
    pub(super) async fn verify(&self) -> Result<(), BackupError> {
        for mailbox in &self.mailboxes {
            let info = self.look(&mailbox.id).await?;
            if info.is_none_or(|info| position(&info) != mailbox.stood) {
                return Err(BackupError::Moved { consumer: mailbox.id.clone() });
            }
        }
        Ok(())
    }

    /// Those that this backup paused.
    pub(super) fn paused(&self) -> Vec<AssetId> {
        self.mailboxes.iter().filter(|mailbox| mailbox.is_ours).map(|mailbox| mailbox.id.clone()).collect()
    }

    /// Opens the mailboxes again; one that cannot be told opens by itself.
    pub(super) async fn end(self) {
        for mailbox in self.mailboxes.iter().filter(|mailbox| mailbox.is_ours) {
            let _ = self.pause(&mailbox.id, PauseState::default()).await;
        }
    }
}

/// What an ack or a delivery changes.
fn position(info: &ConsumerInfo) -> (u64, u64) {
    (info.deliveries, info.ack_pending)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use nova_broker::memory::MemoryBroker;
    use nova_broker::{AckToken, Expect, Message, PullItem, PullRequest, Settle};
    use nova_types::UnixMillis;

    use super::*;
    use crate::{ApplyOptions, Catalogue, Options, Profile, apply, desired};

    #[test]
    fn only_what_moves_runs_and_due_tasks_is_paused() {
        for (stream, consumer, verdict) in [
            ("NOVA_SCHEDULES", "coordinator-due", true),
            ("NOVA_CONTROL", "coordinator-cancel", true),
            ("NOVA_RUNS", "coordinator-orders", true),
            ("NOVA_OUTCOMES", "run-3", true),
            ("NOVA_OUTCOMES", "run-by-hand", false),
            ("NOVA_TASKS_nova-run", "normal", true),
            ("NOVA_TASKS_echo", "normal", false),
            ("NOVA_DEAD", "mine", false),
        ] {
            assert_eq!(is_mailbox(stream, consumer), verdict, "{stream}/{consumer}");
        }
    }

    /// A provisioned broker with one due task handed out and not acked, and its ack.
    async fn ground() -> (MemoryBroker, AckToken) {
        let broker = MemoryBroker::new();
        let options = Options { profile: Profile::Fast, now: UnixMillis(1_800_000_000_000) };
        let wanted = desired(&Catalogue::built_in(), options);
        apply(&broker, &wanted, ApplyOptions::default(), |_| {}).await.expect("applied");
        let due = Message::new("nova.due.echo.normal", "1");
        broker.publish(due, Expect::Any).await.expect("stored");
        let (stream, consumer) = (assets::SCHEDULES.to_owned(), assets::DUE_CONSUMER.to_owned());
        let pull = broker.pull(PullRequest { stream, consumer, batch: 1, wait: None }).await.expect("asked");
        let taken: Vec<_> = pull.collect().await;
        let Some(Ok(PullItem::Delivery(delivery))) = taken.into_iter().next() else { panic!("nothing came") };
        (broker, delivery.token)
    }

    async fn pause_of(broker: &MemoryBroker, stream: &str, name: &str) -> Option<UnixMillis> {
        let info = broker.consumer(stream.to_owned(), name.to_owned()).await.expect("read");
        info.expect("it is there").pause.until
    }

    #[tokio::test]
    async fn mailboxes_are_shut_for_a_while_and_opened_again_but_for_those_a_person_shut() {
        let (broker, _held) = ground().await;
        let queue = "NOVA_TASKS_nova-run";
        let wish = PauseState { until: Some(UnixMillis(9_000_000_000_000)) };
        broker.pause_consumer(queue.to_owned(), "high".to_owned(), wish).await.expect("paused");
        // A due task that nobody acks, such as one whose queue is full, does not keep a backup from being taken.
        let freeze = Freeze::begin(&broker).await.expect("at rest");
        assert!(pause_of(&broker, assets::SCHEDULES, assets::DUE_CONSUMER).await.is_some());
        assert!(pause_of(&broker, queue, "normal").await.is_some());
        assert_eq!(pause_of(&broker, "NOVA_TASKS_echo", "normal").await, None, "tasks go on");
        freeze.verify().await.expect("nothing moved");
        freeze.end().await;
        assert_eq!(pause_of(&broker, assets::SCHEDULES, assets::DUE_CONSUMER).await, None);
        assert_eq!(pause_of(&broker, queue, "high").await, wish.until);
    }

    #[tokio::test]
    async fn an_ack_between_two_packs_is_noticed() {
        let (broker, held) = ground().await;
        let freeze = Freeze::begin(&broker).await.expect("at rest");
        broker.settle(&held, Settle::Ack).await.expect("told");
        let moved = freeze.verify().await.expect_err("it moved");
        assert!(moved.to_string().contains("NOVA_SCHEDULES/coordinator-due moved"), "{moved}");
    }
}
