//! In which order streams are packed and made again; pure.
//!
//! Streams are packed one after the other while workers work. What moves from one stream to another is written there
//! before it is acked here, so where it comes from is packed first: it may then be in both packs, and the fence of the
//! outcomes sees to it that it is not done again, but it is never in neither.
//!
//! - keys and configuration before queues: what a key or a schedule's progress says was submitted must be in the queue;
//! - queues before dead letters, attempts, schedules and outcomes: an ack comes after all of them;
//! - dead letters before outcomes: a letter without a dead outcome would be of a task that runs again and may complete;
//! - runs and workflows between queues and outcomes, with the coordinators' mailboxes shut meanwhile (see `freeze`): runs
//!   take from outcomes and schedules and give to queues and schedules, and no order is right for a circle;
//! - attempts last of the records: an attempt claimed while the backup was taken is known as begun, and a costly one never
//!   begun again;
//! - payloads behind everything that names them.
//!
//! An empty broker is filled the other way round, queues last: a worker that finds its queue finds all that fences it.

use nova_broker::StreamInfo;
use nova_wire::assets;

/// When a stream is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// What says that something was submitted.
    Notes,
    /// What waits.
    Queues,
    /// What was asked of the coordinators, and what ended badly.
    Letters,
    /// What coordinators move.
    Runs,
    /// The fence. With it, the mailboxes may be opened again.
    Fence,
    /// What depends on nobody's ack, and what Nova of this version does not know.
    Rest,
    /// Not packed: it says who is there, and nobody of the old fleet is. Made empty.
    Presence,
}

impl Turn {
    /// The turn of a stream.
    pub(super) fn of(stream: &str) -> Self {
        let is_bucket = |bucket: &str| stream == assets::bucket_stream(bucket);
        match stream {
            assets::CONTROL | assets::DEAD => Self::Letters,
            assets::RUNS | assets::SCHEDULES => Self::Runs,
            assets::OUTCOMES => Self::Fence,
            _ if stream.starts_with(assets::TASKS_PREFIX) => Self::Queues,
            _ if is_bucket(assets::CONFIG_BUCKET) || is_bucket(assets::KEYS_BUCKET) => Self::Notes,
            _ if is_bucket(assets::WORKFLOWS_BUCKET) => Self::Runs,
            _ if is_bucket(assets::WORKERS_BUCKET) => Self::Presence,
            _ => Self::Rest,
        }
    }

    /// Whether the coordinators' mailboxes are shut while it is packed.
    pub(super) fn is_frozen(self) -> bool {
        self <= Self::Fence
    }
}

/// The streams in the order in which they are packed.
pub(super) fn to_pack(mut streams: Vec<StreamInfo>) -> Vec<StreamInfo> {
    streams.sort_by_key(|info| {
        let name = &info.spec.name;
        // Payloads may be large and are named by everything: behind the rest of their turn.
        (Turn::of(name), *name == assets::object_stream(assets::BLOBS_BUCKET), name.clone())
    });
    streams
}

/// How late a stream is made again: what starts work comes last.
pub(super) fn restore_rank(stream: &str) -> u8 {
    match Turn::of(stream) {
        Turn::Queues => 2,
        _ if stream == assets::SCHEDULES => 1,
        _ => 0,
    }
}

/// Whether something may go while its stream is packed and come again behind the pack's end, so that it is in the pack
/// neither as it was nor as it is: a key that is written anew, a schedule that fires. Then what came meanwhile is kept
/// beside the pack.
pub(super) fn has_tail(info: &StreamInfo) -> bool {
    let is_rewritten = info.spec.max_messages_per_subject == 1 || info.spec.name == assets::SCHEDULES;
    is_rewritten && Turn::of(&info.spec.name) != Turn::Presence
}

#[cfg(test)]
mod tests {
    use nova_types::UnixMillis;

    use super::*;
    use crate::{Asset, Catalogue, Options, Profile, desired};

    /// The streams of a fleet with the built-in skills.
    fn all() -> Vec<StreamInfo> {
        let options = Options { profile: Profile::Fast, now: UnixMillis(0) };
        let specs = desired(&Catalogue::built_in(), options).into_iter().filter_map(|asset| match asset {
            Asset::Stream(spec) => Some(spec),
            Asset::Consumer(_) => None,
        });
        let info = |spec| StreamInfo {
            spec,
            created: UnixMillis(0),
            messages: 0,
            bytes: 0,
            first_sequence: 1,
            last_sequence: 0,
            deleted: 0,
            subjects: 0,
            foreign: vec![],
        };
        specs.map(info).collect()
    }

    #[track_caller]
    fn check(order: &[String], first: &str, then: &[&str]) {
        let at =
            |name: &str| order.iter().position(|one| one == name).unwrap_or_else(|| panic!("no {name}: {order:?}"));
        for later in then {
            assert!(at(first) < at(later), "{first} belongs before {later}: {order:?}");
        }
    }

    #[test]
    fn what_is_written_before_an_ack_is_packed_after_it() {
        let order: Vec<String> = to_pack(all()).into_iter().map(|info| info.spec.name).collect();
        for queue in ["NOVA_TASKS_echo", "NOVA_TASKS_nova-run"] {
            let later = ["NOVA_DEAD", "NOVA_OUTCOMES", "NOVA_ATTEMPTS", "NOVA_SCHEDULES", "NOVA_RUNS"];
            check(&order, queue, &later);
            for note in ["KV_nova-keys", "KV_nova-config"] {
                check(&order, note, &[queue]);
            }
        }
        check(&order, "NOVA_DEAD", &["NOVA_OUTCOMES"]);
        check(&order, "NOVA_CONTROL", &["NOVA_OUTCOMES"]);
        check(&order, "NOVA_OUTCOMES", &["NOVA_ATTEMPTS", "OBJ_nova-blobs"]);
        check(&order, "NOVA_RUNS", &["OBJ_nova-blobs"]);
        check(&order, "NOVA_ATTEMPTS", &["OBJ_nova-blobs"]);
    }

    #[test]
    fn what_coordinators_move_is_packed_while_they_stand_still() {
        for info in all() {
            let name = info.spec.name;
            let is_free = ["NOVA_ATTEMPTS", "NOVA_EVENTS", "OBJ_nova-blobs", "KV_nova-workers"].contains(&&*name);
            assert_eq!(Turn::of(&name).is_frozen(), !is_free, "{name}");
        }
    }

    #[test]
    fn queues_are_made_last_and_schedules_just_before() {
        let mut all: Vec<String> = all().into_iter().map(|info| info.spec.name).collect();
        all.sort_by_key(|name| restore_rank(name));
        let first_queue = all.iter().position(|name| name.starts_with("NOVA_TASKS_")).expect("there are queues");
        assert!(all[first_queue..].iter().all(|name| name.starts_with("NOVA_TASKS_")), "{all:?}");
        assert_eq!(all[first_queue - 1], "NOVA_SCHEDULES");
    }

    #[test]
    fn buckets_cancels_and_schedules_have_tails() {
        let tailed: Vec<String> = all().into_iter().filter(has_tail).map(|info| info.spec.name).collect();
        assert_eq!(tailed, ["NOVA_SCHEDULES", "NOVA_CONTROL", "KV_nova-config", "KV_nova-keys", "KV_nova-workflows"]);
    }
}
