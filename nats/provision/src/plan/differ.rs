//! Compares one stream or consumer, field by field, and says what each change would do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nova_broker::{ConsumerInfo, ConsumerSpec, Discard, StreamInfo, StreamSpec};
use nova_types::DurationText;

use crate::ByteText;
use crate::sizes::UNLIMITED;

/// What a change does to what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Harm {
    /// Nothing bad.
    None,
    /// It loses or may lose something: the words say what.
    Loses(String),
    /// The broker does not allow it in place: the words say why.
    Impossible(String),
}

impl Harm {
    /// What it does, when it is bad.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Loses(words) | Self::Impossible(words) => Some(words),
        }
    }
}

/// One field that is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The field.
    pub field: String,
    /// What it is.
    pub from: String,
    /// What is wanted.
    pub to: String,
    /// What the change does.
    pub harm: Harm,
}

/// Settings of a stream that the broker never changes in place.
const FIXED_STREAM_SETTINGS: [&str; 5] = ["storage", "mirror", "persist_mode", "sealed", "deny_purge"];

/// Settings of a consumer that the broker never changes in place.
const FIXED_CONSUMER_SETTINGS: [&str; 8] = [
    "ack_policy",
    "replay_policy",
    "deliver_policy",
    "deliver_subject",
    "flow_control",
    "idle_heartbeat",
    "priority_policy",
    "opt_start_time",
];

/// The field that says how a keyed skill's keys are divided.
pub(super) const TRANSFORM: &str = "transform";

/// What a setting becomes that Nova does not use.
const NOT_SET: &str = "not set";

/// Notes that the broker adds by itself begin like this.
const BROKER_NOTE: &str = "_nats.";

pub(super) fn stream_changes(want: &StreamSpec, have: &StreamInfo) -> Vec<FieldChange> {
    let mut out = Changes::default();
    let now = &have.spec;
    let holds = |limit: u64| format!("it holds {} now, more than {}", ByteText(have.bytes), ByteText(limit));
    out.compare("description", &now.description, &want.description, || Harm::None);
    let (old, new) = (joined(&now.subjects), joined(&want.subjects));
    out.compare("subjects", &old, &new, || {
        let gone: Vec<&str> =
            now.subjects.iter().filter(|one| !want.subjects.contains(one)).map(String::as_str).collect();
        if gone.is_empty() {
            return Harm::None;
        }
        Harm::Loses(format!("publishes to {} find no stream afterwards", gone.join(", ")))
    });
    out.compare("discard", &word(now.discard), &word(want.discard), || match want.discard {
        Discard::New => Harm::None,
        Discard::Old => Harm::Loses("a full stream then drops its oldest messages".to_owned()),
    });
    out.compare("max_bytes", &bytes(now.max_bytes), &bytes(want.max_bytes), || match u64::try_from(want.max_bytes) {
        Ok(limit) if have.bytes > limit => Harm::Loses(holds(limit)),
        _ => Harm::None,
    });
    out.compare("max_messages", &count(now.max_messages), &count(want.max_messages), || {
        match u64::try_from(want.max_messages) {
            Ok(limit) if have.messages > limit => {
                Harm::Loses(format!("it holds {} messages now, more than {limit}", have.messages))
            }
            _ => Harm::None,
        }
    });
    let (old, new) = (now.max_messages_per_subject, want.max_messages_per_subject);
    out.compare("max_messages_per_subject", &count(old), &count(new), || {
        // How many each subject holds is not known: fewer messages than subjects times the limit may still be too many.
        if lowers(old, new) && have.messages > have.subjects {
            return Harm::Loses(format!("only the last {new} of each subject stay"));
        }
        Harm::None
    });
    out.compare("max_age", &age(now.max_age), &age(want.max_age), || {
        let is_shorter = !want.max_age.is_zero() && (now.max_age.is_zero() || want.max_age < now.max_age);
        if is_shorter && have.messages > 0 {
            return Harm::Loses(format!("messages older than {} go", age(want.max_age)));
        }
        Harm::None
    });
    out.compare("duplicate_window", &age(now.duplicate_window), &age(want.duplicate_window), || Harm::None);
    out.compare("replicas", &now.replicas.to_string(), &want.replicas.to_string(), || {
        if want.replicas < now.replicas {
            return Harm::Loses("fewer servers keep it".to_owned());
        }
        Harm::None
    });
    let cannot_stop = |is_wanted: bool| move || if is_wanted { Harm::None } else { impossible() };
    out.compare("allow_ttl", &flag(now.allow_ttl), &flag(want.allow_ttl), cannot_stop(want.allow_ttl));
    let schedules = cannot_stop(want.allow_schedules);
    out.compare("allow_schedules", &flag(now.allow_schedules), &flag(want.allow_schedules), schedules);
    out.compare("allow_rollup", &flag(now.allow_rollup), &flag(want.allow_rollup), || Harm::None);
    out.compare("allow_batches", &flag(now.allow_batches), &flag(want.allow_batches), || Harm::None);
    out.compare("delete_marker_ttl", &age(now.delete_marker_ttl), &age(want.delete_marker_ttl), || Harm::None);
    out.compare(TRANSFORM, &transform(now), &transform(want), || match have.messages {
        0 => Harm::None,
        _ => Harm::Impossible("tasks of one key would lie in two partitions, out of order".to_owned()),
    });
    out.notes(&now.metadata, &want.metadata);
    out.foreign(&have.foreign, &FIXED_STREAM_SETTINGS);
    out.0
}

pub(super) fn consumer_changes(want: &ConsumerSpec, have: &ConsumerInfo) -> Vec<FieldChange> {
    let mut out = Changes::default();
    let now = &have.spec;
    out.compare("description", &now.description, &want.description, || Harm::None);
    out.compare("filter", &now.filter, &want.filter, || {
        Harm::Loses("what it has not delivered of the old subject is passed over".to_owned())
    });
    out.compare("ack_wait", &age(now.ack_wait), &age(want.ack_wait), || Harm::None);
    out.compare("max_ack_pending", &count(now.max_ack_pending), &count(want.max_ack_pending), || Harm::None);
    out.compare("max_waiting", &count(now.max_waiting), &count(want.max_waiting), impossible);
    out.notes(&now.metadata, &want.metadata);
    out.foreign(&have.foreign, &FIXED_CONSUMER_SETTINGS);
    out.0
}

#[derive(Default)]
struct Changes(Vec<FieldChange>);

impl Changes {
    fn compare(&mut self, field: &str, from: &str, to: &str, harm: impl FnOnce() -> Harm) {
        if from != to {
            self.0.push(FieldChange {
                field: field.to_owned(),
                from: from.to_owned(),
                to: to.to_owned(),
                harm: harm(),
            });
        }
    }

    fn notes(&mut self, from: &BTreeMap<String, String>, to: &BTreeMap<String, String>) {
        let keys: BTreeSet<&String> =
            from.keys().filter(|key| !key.starts_with(BROKER_NOTE)).chain(to.keys()).collect();
        for key in keys {
            let value = |notes: &BTreeMap<String, String>| notes.get(key).cloned().unwrap_or_else(|| "none".to_owned());
            self.compare(&format!("metadata.{key}"), &value(from), &value(to), || Harm::None);
        }
    }

    fn foreign(&mut self, settings: &[String], fixed: &[&str]) {
        for setting in settings {
            let (field, value) = setting.split_once('=').unwrap_or((setting, "set"));
            let wanted = if value == "false" { "true" } else { NOT_SET };
            self.compare(field, value.trim_matches('"'), wanted, || match field {
                _ if fixed.contains(&field) => impossible(),
                "retention" => Harm::Loses("what was acked is gone already".to_owned()),
                _ => Harm::None,
            });
        }
    }
}

fn impossible() -> Harm {
    Harm::Impossible("the broker does not change this in place".to_owned())
}

fn lowers(from: i64, to: i64) -> bool {
    to >= 0 && (from < 0 || to < from)
}

fn joined(subjects: &[String]) -> String {
    // The broker keeps the order of subjects, and it means nothing.
    let sorted: BTreeSet<&str> = subjects.iter().map(String::as_str).collect();
    sorted.into_iter().collect::<Vec<_>>().join(" ")
}

fn transform(spec: &StreamSpec) -> String {
    spec.transform.as_ref().map_or_else(|| "none".to_owned(), |made| format!("{} to {}", made.from, made.to))
}

fn word(discard: Discard) -> String {
    match discard {
        Discard::Old => "old",
        Discard::New => "new",
    }
    .to_owned()
}

fn flag(value: bool) -> String {
    value.to_string()
}

fn count(value: i64) -> String {
    if value <= UNLIMITED { "unlimited".to_owned() } else { value.to_string() }
}

fn bytes(value: i64) -> String {
    u64::try_from(value).map_or_else(|_| "unlimited".to_owned(), |bytes| ByteText(bytes).to_string())
}

fn age(value: Duration) -> String {
    if value.is_zero() { "none".to_owned() } else { DurationText(value).to_string() }
}
