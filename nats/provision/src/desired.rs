//! What a fleet needs on its broker: a pure function of catalogue, profile and clock.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use nova_broker::{ConsumerSpec, Discard, Start, StreamSpec, Transform};
use nova_types::{Priority, Skill, UnixMillis, run_skill};
use nova_wire::{BlobMeta, assets, subject};
use serde::{Deserialize, Serialize};

use crate::sizes::{self, Sizes};
use crate::{AssetId, Catalogue, SkillEntry};

/// The note on every stream that names the profile it was made for.
pub const PROFILE_NOTE: &str = "nova-profile";

/// The note on a task stream that says how many percent of its `max_bytes` finished tasks may keep; the coordinators'
/// trimmer reads it.
pub const HISTORY_SHARE_NOTE: &str = "nova-history-share";

/// What a fleet's broker promises; named and shown everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// One server, default sync: survives kill -9, loses the last minutes on a power cut.
    #[default]
    Fast,
    /// One server, every write synced: loses nothing.
    Durable,
    /// Three servers, every write synced: loses nothing, and is fast again.
    Replicated,
}

/// A word that names no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("profile `{0}` is none of fast, durable, replicated")]
pub struct UnknownProfile(String);

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Durable, Self::Replicated];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Durable => "durable",
            Self::Replicated => "replicated",
        }
    }

    /// On how many servers its streams are kept.
    #[must_use]
    pub const fn replicas(self) -> usize {
        match self {
            Self::Fast | Self::Durable => 1,
            Self::Replicated => sizes::REPLICAS,
        }
    }

    /// Whether many publish at once to streams that sync each message by itself: then batches are worth their while. A
    /// replicated stream syncs whatever has come meanwhile anyway, and one that does not sync takes single messages faster.
    #[must_use]
    pub const fn takes_batches(self) -> bool {
        matches!(self, Self::Durable)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;
    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        let found = Self::ALL.into_iter().find(|profile| profile.as_str() == text);
        found.ok_or_else(|| UnknownProfile(text.chars().take(32).flat_map(char::escape_default).collect()))
    }
}

/// What the assets depend on beside the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What the broker promises. Default `fast`.
    pub profile: Profile,
    /// The present time: a new task stream begins at a sequence that no earlier stream of its name can have given.
    pub now: UnixMillis,
}

/// One thing on the broker as Nova wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asset {
    /// A stream, a key-value bucket or an object store.
    Stream(StreamSpec),
    /// A consumer.
    Consumer(ConsumerSpec),
}

impl Asset {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> AssetId {
        match self {
            Self::Stream(spec) => AssetId::stream(&spec.name),
            Self::Consumer(spec) => AssetId::consumer(&spec.stream, &spec.name),
        }
    }
}

/// Everything a fleet needs, each stream before its consumers.
#[must_use]
pub fn desired(catalogue: &Catalogue, options: Options) -> Vec<Asset> {
    let maker = Maker { options, sizes: Sizes::of(options.profile) };
    let mut all = maker.shared();
    // Runs are tasks of a skill of Nova's own, which no catalogue names.
    all.extend(maker.queue(&run_skill(), &runs_entry()));
    for (skill, entry) in catalogue.iter() {
        all.extend(maker.queue(skill, entry));
    }
    all
}

/// The first sequence of a task stream made at `now`.
///
/// A task without an id is called after its sequence, so a stream made again under the same name must not give one again:
/// a worker that still runs the old `_seq.5` would write the outcome of the new one. What was given is not known once the
/// stream is gone, so each second of the clock owns a hundred thousand; unless a queue took more tasks than that per
/// second on average since it was made, the next one begins above it.
fn first_sequence(now: UnixMillis) -> u64 {
    let seconds = u64::try_from(now.0 / 1000).unwrap_or(0);
    (seconds * sizes::SEQUENCES_PER_SECOND).max(1)
}

/// The queue of runs: the coordinators take a start within milliseconds, and what takes long is not the start.
fn runs_entry() -> SkillEntry {
    let about = "starts workflow runs, worked by the coordinators".to_owned();
    let mut entry = SkillEntry { about, ..SkillEntry::default() };
    // A start is handed over in milliseconds, and another coordinator takes over what one that died was holding.
    entry.policy.lease = sizes::RUN_LEASE;
    entry
}

struct Maker {
    options: Options,
    sizes: Sizes,
}

impl Maker {
    /// A stream that refuses what does not fit, keeps everything and does nothing special.
    fn stream(&self, name: &str, description: &str, subjects: &[&str], max_bytes: u64) -> StreamSpec {
        StreamSpec {
            name: name.to_owned(),
            description: description.to_owned(),
            subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
            discard: Discard::New,
            max_bytes: i64::try_from(max_bytes).unwrap_or(i64::MAX),
            max_messages: sizes::UNLIMITED,
            max_messages_per_subject: sizes::UNLIMITED,
            max_age: Duration::ZERO,
            duplicate_window: sizes::DUPLICATE_WINDOW,
            replicas: self.options.profile.replicas(),
            allow_ttl: false,
            allow_schedules: false,
            allow_rollup: false,
            allow_batches: false,
            delete_marker_ttl: Duration::ZERO,
            first_sequence: None,
            transform: None,
            metadata: note(PROFILE_NOTE, self.options.profile.as_str()),
        }
    }

    fn shared(&self) -> Vec<Asset> {
        let sizes = &self.sizes;
        // Full means stop: an outcome, an attempt or a letter that is pushed out by newer ones is a broken promise.
        let outcomes = StreamSpec {
            max_age: sizes::OUTCOMES_AGE,
            allow_ttl: true,
            allow_batches: self.options.profile.takes_batches(),
            ..self.stream(
                assets::OUTCOMES,
                "Nova: the terminal record of every task, the fence",
                &[subject::OUTCOME_SPACE],
                sizes.outcomes,
            )
        };
        let attempts = StreamSpec {
            max_age: sizes::ATTEMPTS_AGE,
            ..self.stream(
                assets::ATTEMPTS,
                "Nova: failed attempts, claims and checkpoints",
                &[subject::ATTEMPT_SPACE],
                sizes.attempts,
            )
        };
        // A stream with schedules cannot refuse when it is full (error 10052) and always allows rollups.
        let schedules = StreamSpec {
            discard: Discard::Old,
            allow_schedules: true,
            allow_ttl: true,
            allow_rollup: true,
            ..self.stream(
                assets::SCHEDULES,
                "Nova: delayed and recurring tasks, and what is due",
                &[subject::SCHEDULE_SPACE, subject::DUE_SPACE],
                sizes.schedules,
            )
        };
        // One cancel per task is enough; a second one replaces the first and is seen as new.
        let control = StreamSpec {
            max_age: sizes::CONTROL_AGE,
            max_messages_per_subject: 1,
            ..self.stream(assets::CONTROL, "Nova: accepted cancels", &[subject::CANCEL_SPACE], sizes.control)
        };
        let dead = StreamSpec {
            max_age: sizes::DEAD_AGE,
            ..self.stream(
                assets::DEAD,
                "Nova: dead letters, original bytes and cause",
                &[subject::DEAD_SPACE],
                sizes.dead,
            )
        };
        let mut runs = self.stream(
            assets::RUNS,
            "Nova: workflow runs, one message per transition, and orders to them",
            &subject::RUN_SPACES,
            sizes.runs,
        );
        runs.metadata.extend(note(assets::PARTITIONS_NOTE, &sizes::RUN_PARTITIONS.to_string()));
        let orders = ConsumerSpec {
            max_ack_pending: sizes::MAX_ORDERS_PENDING,
            ..coordinator(assets::RUNS, assets::ORDER_CONSUMER, "orders to workflow runs", subject::ALL_ORDERS)
        };
        let ends = (0..sizes::RUN_PARTITIONS).map(|partition| ConsumerSpec {
            ack_wait: sizes::RUN_LEASE,
            ..coordinator(
                assets::OUTCOMES,
                &assets::run_consumer(partition),
                &format!("the outcomes of run tasks, partition {partition}"),
                &subject::outcomes_of_partition(partition),
            )
        });
        let ends: Vec<Asset> = ends.map(Asset::Consumer).collect();
        // Facts for people: the newest matter most.
        let events = StreamSpec {
            discard: Discard::Old,
            max_age: sizes::EVENTS_AGE,
            ..self.stream(assets::EVENTS, "Nova: lifecycle facts", &[subject::EVENT_SPACE], sizes.events)
        };
        let due = coordinator(
            assets::SCHEDULES,
            assets::DUE_CONSUMER,
            "due tasks on their way to their queues",
            subject::ALL_DUE,
        );
        let cancel =
            coordinator(assets::CONTROL, assets::CANCEL_CONSUMER, "cancels of waiting tasks", subject::ALL_CANCELS);
        let mut all = vec![
            Asset::Stream(outcomes),
            Asset::Stream(attempts),
            Asset::Stream(schedules),
            Asset::Consumer(due),
            Asset::Stream(control),
            Asset::Consumer(cancel),
            Asset::Stream(dead),
            Asset::Stream(runs),
            Asset::Consumer(orders),
            Asset::Stream(events),
            Asset::Stream(self.bucket(assets::WORKERS_BUCKET, "Nova: presence of workers")),
            Asset::Stream(closed(self.bucket(assets::CONFIG_BUCKET, "Nova: fleet-wide state"))),
            Asset::Stream(StreamSpec {
                max_bytes: i64::try_from(sizes.keys).unwrap_or(i64::MAX),
                ..closed(self.bucket(assets::KEYS_BUCKET, "Nova: idempotency keys and unique tasks"))
            }),
            Asset::Stream(self.bucket(assets::WORKFLOWS_BUCKET, "Nova: workflow definitions, and room for their runs")),
            Asset::Stream(self.blobs()),
        ];
        all.extend(ends);
        all
    }

    /// A NATS key-value bucket: one value per key, deletes leave marks, and so do keys that expire.
    fn bucket(&self, name: &str, description: &str) -> StreamSpec {
        StreamSpec {
            max_messages_per_subject: 1,
            allow_rollup: true,
            allow_ttl: true,
            delete_marker_ttl: sizes::DELETE_MARKER_AGE,
            ..self.stream(
                &assets::bucket_stream(name),
                description,
                &[&subject::bucket_key(name, ">")],
                self.sizes.bucket,
            )
        }
    }

    /// A NATS object store.
    fn blobs(&self) -> StreamSpec {
        let [chunks, records] = BlobMeta::space();
        StreamSpec {
            allow_rollup: true,
            ..self.stream(
                &assets::object_stream(assets::BLOBS_BUCKET),
                "Nova: payloads too large for a message",
                &[&chunks, &records],
                self.sizes.blobs,
            )
        }
    }

    /// One skill's queue: no age, because it would eat waiting tasks.
    fn queue(&self, skill: &Skill, entry: &SkillEntry) -> Vec<Asset> {
        let mut subjects: Vec<String> = Priority::ALL.map(|priority| subject::task(skill, priority)).into();
        subjects.extend(entry.policy.keyed.map(|_| subject::keyed_space(skill)));
        let about = if entry.about.is_empty() { String::new() } else { format!(" ({})", entry.about) };
        let mut stream = self.stream(
            &assets::tasks_stream(skill),
            &format!("Nova: the queue of {skill}{about}"),
            &subjects.iter().map(String::as_str).collect::<Vec<_>>(),
            entry.max_bytes.unwrap_or(self.sizes.tasks),
        );
        stream.first_sequence = Some(first_sequence(self.options.now));
        stream.allow_batches = self.options.profile.takes_batches();
        let share = entry.history_share.unwrap_or(sizes::HISTORY_SHARE);
        stream.metadata.extend(note(HISTORY_SHARE_NOTE, &share.to_string()));
        let consumer = |name: String, what: String, filter: String| {
            Asset::Consumer(ConsumerSpec {
                stream: assets::tasks_stream(skill),
                name,
                description: format!("Nova: {skill} tasks of {what}"),
                filter,
                ack_wait: entry.policy.lease,
                max_ack_pending: sizes::MAX_ACK_PENDING,
                max_waiting: sizes::MAX_WAITING,
                start: Start::First,
                metadata: entry.policy.to_metadata(),
            })
        };
        let mut all: Vec<Asset> = Priority::ALL
            .map(|priority| {
                let name = assets::consumer(priority).to_owned();
                consumer(name, format!("{priority} priority"), subject::task(skill, priority))
            })
            .into();
        if let Some(keyed) = entry.policy.keyed {
            stream.transform = Some(Transform {
                from: subject::keyed_space(skill),
                to: subject::keyed_stored(skill, keyed.partitions),
            });
            all.extend((0..keyed.partitions).map(|partition| {
                let name = assets::partition_consumer(partition);
                consumer(name, format!("key partition {partition}"), subject::partition(skill, partition))
            }));
        }
        all.insert(0, Asset::Stream(stream));
        all
    }
}

/// A bucket into which workers or submitters write: with rollups one header would empty it, and marks of what expired
/// need them.
fn closed(bucket: StreamSpec) -> StreamSpec {
    StreamSpec { allow_rollup: false, delete_marker_ttl: Duration::ZERO, ..bucket }
}

fn coordinator(stream: &str, name: &str, what: &str, filter: &str) -> ConsumerSpec {
    ConsumerSpec {
        stream: stream.to_owned(),
        name: name.to_owned(),
        description: format!("Nova: the coordinators' shared position in {what}"),
        filter: filter.to_owned(),
        ack_wait: sizes::COORDINATOR_LEASE,
        max_ack_pending: sizes::MAX_ACK_PENDING,
        max_waiting: sizes::MAX_WAITING,
        start: Start::First,
        metadata: BTreeMap::new(),
    }
}

fn note(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

#[cfg(test)]
mod tests;
