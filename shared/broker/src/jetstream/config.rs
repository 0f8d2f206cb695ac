//! Streams and consumers between the specs and the broker's JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use nova_types::UnixMillis;
use serde_json::{Map, Value, json};

use crate::{ConsumerInfo, ConsumerSpec, Discard, PauseState, Start, StreamInfo, StreamSpec, Transform};

/// What the server writes into every asset of its own accord.
const SERVER_NOTE: &str = "_nats.";

/// Stream settings Nova sets, or that say nothing at their broker default.
fn expected_stream(key: &str, value: &Value) -> bool {
    const OURS: [&str; 19] = [
        "name",
        "description",
        "subjects",
        "discard",
        "max_bytes",
        "max_msgs",
        "max_msgs_per_subject",
        "max_age",
        "duplicate_window",
        "num_replicas",
        "allow_msg_ttl",
        "allow_msg_schedules",
        "allow_rollup_hdrs",
        "allow_atomic",
        "subject_delete_marker_ttl",
        "first_seq",
        "subject_transform",
        "metadata",
        "deny_delete",
    ];
    OURS.contains(&key)
        || is_nothing(value)
        || matches!(
            (key, value.as_str()),
            ("retention", Some("limits"))
                | ("storage", Some("file"))
                | ("compression", Some("none"))
                | ("persist_mode", Some("default"))
        )
        || (key == "allow_direct" && value == &Value::Bool(true))
}

/// Consumer settings Nova sets, or that say nothing at their broker default.
fn expected_consumer(key: &str, value: &Value) -> bool {
    const OURS: [&str; 14] = [
        "name",
        "durable_name",
        "description",
        "filter_subject",
        "ack_wait",
        "max_ack_pending",
        "max_waiting",
        "deliver_policy",
        "opt_start_seq",
        "metadata",
        "num_replicas",
        "pause_until",
        "priority_timeout",
        "priority_groups",
    ];
    OURS.contains(&key)
        || is_nothing(value)
        || matches!(
            (key, value.as_str()),
            ("ack_policy", Some("explicit")) | ("replay_policy", Some("instant")) | ("priority_policy", Some("none"))
        )
}

/// Whether a value is the absence of a setting: null, false, 0, -1, an empty text, list or map.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => matches!(number.as_i64(), Some(0 | -1)),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_nothing),
    }
}

fn foreign(config: &Value, expected: fn(&str, &Value) -> bool) -> Vec<String> {
    let Some(map) = config.as_object() else { return Vec::new() };
    map.iter().filter(|(key, value)| !expected(key, value)).map(|(key, value)| format!("{key}={value}")).collect()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The configuration the broker is sent for a stream.
pub(super) fn stream_json(spec: &StreamSpec) -> Value {
    let mut out = json!({
        "name": spec.name,
        "description": spec.description,
        "subjects": spec.subjects,
        "retention": "limits",
        "storage": "file",
        "allow_direct": true,
        "discard": match spec.discard { Discard::Old => "old", Discard::New => "new" },
        "max_bytes": spec.max_bytes,
        "max_msgs": spec.max_messages,
        "max_msgs_per_subject": spec.max_messages_per_subject,
        "max_consumers": -1,
        "max_age": nanos(spec.max_age),
        "duplicate_window": nanos(spec.duplicate_window),
        "num_replicas": spec.replicas,
        "allow_msg_ttl": spec.allow_ttl,
        "allow_rollup_hdrs": spec.allow_rollup,
        "metadata": spec.metadata,
    });
    // As the key-value buckets of every NATS client: a key goes by a mark, never without a trace.
    if spec.name.starts_with("KV_") {
        out["deny_delete"] = true.into();
    }
    if spec.allow_batches {
        out["allow_atomic"] = true.into();
    }
    if spec.allow_schedules {
        out["allow_msg_schedules"] = true.into();
    }
    if !spec.delete_marker_ttl.is_zero() {
        out["subject_delete_marker_ttl"] = nanos(spec.delete_marker_ttl).into();
    }
    if let Some(transform) = &spec.transform {
        out["subject_transform"] = json!({ "src": transform.from, "dest": transform.to });
    }
    if let Some(first) = spec.first_sequence {
        out["first_seq"] = first.into();
    }
    out
}

/// The configuration the broker is sent for a consumer.
pub(super) fn consumer_json(spec: &ConsumerSpec, start: Start) -> Value {
    let mut out = json!({
        "name": spec.name,
        "durable_name": spec.name,
        "description": spec.description,
        "filter_subject": spec.filter,
        "ack_policy": "explicit",
        "ack_wait": nanos(spec.ack_wait),
        // The broker's own limit would leave messages behind that nobody sees.
        "max_deliver": -1,
        "max_ack_pending": spec.max_ack_pending,
        "max_waiting": spec.max_waiting,
        "replay_policy": "instant",
        "metadata": spec.metadata,
    });
    match start {
        Start::First => out["deliver_policy"] = "all".into(),
        Start::New => out["deliver_policy"] = "new".into(),
        Start::Sequence(sequence) => {
            out["deliver_policy"] = "by_start_sequence".into();
            out["opt_start_seq"] = sequence.into();
        }
    }
    out
}

struct Reader<'a>(&'a Value);

impl Reader<'_> {
    fn text(&self, key: &str) -> String {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn signed(&self, key: &str, default: i64) -> i64 {
        self.0.get(key).and_then(Value::as_i64).unwrap_or(default)
    }

    fn count(&self, key: &str) -> u64 {
        self.0.get(key).and_then(Value::as_u64).unwrap_or(0)
    }

    fn flag(&self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn duration(&self, key: &str) -> Duration {
        Duration::from_nanos(self.count(key))
    }

    fn moment(&self, key: &str) -> Option<UnixMillis> {
        // An absent Go time is year 1.
        self.0.get(key).and_then(Value::as_str).and_then(nova_wire::parse_rfc3339).filter(|at| at.0 > 0)
    }

    fn notes(&self) -> BTreeMap<String, String> {
        let empty = Map::new();
        let map = self.0.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
        map.iter()
            .filter(|(key, _)| !key.starts_with(SERVER_NOTE))
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect()
    }
}

/// A limit that the broker shows as 0 or -1 when there is none.
fn limit(value: i64) -> i64 {
    if value == 0 { -1 } else { value }
}

/// A stream from the broker's info.
pub(super) fn stream_info(info: &Value) -> StreamInfo {
    let empty = Value::Null;
    let config = Reader(info.get("config").unwrap_or(&empty));
    let state = Reader(info.get("state").unwrap_or(&empty));
    let subjects = config.0.get("subjects").and_then(Value::as_array);
    StreamInfo {
        spec: StreamSpec {
            name: config.text("name"),
            description: config.text("description"),
            subjects: subjects.into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
            discard: if config.text("discard") == "new" { Discard::New } else { Discard::Old },
            max_bytes: limit(config.signed("max_bytes", -1)),
            max_messages: limit(config.signed("max_msgs", -1)),
            max_messages_per_subject: limit(config.signed("max_msgs_per_subject", -1)),
            max_age: config.duration("max_age"),
            duplicate_window: config.duration("duplicate_window"),
            replicas: usize::try_from(config.count("num_replicas")).unwrap_or(1),
            allow_ttl: config.flag("allow_msg_ttl"),
            allow_schedules: config.flag("allow_msg_schedules"),
            allow_rollup: config.flag("allow_rollup_hdrs"),
            allow_batches: config.flag("allow_atomic"),
            delete_marker_ttl: config.duration("subject_delete_marker_ttl"),
            first_sequence: Some(config.count("first_seq")).filter(|first| *first > 0),
            transform: config.0.get("subject_transform").map(Reader).and_then(|transform| {
                let (from, to) = (transform.text("src"), transform.text("dest"));
                (!from.is_empty() || !to.is_empty()).then_some(Transform { from, to })
            }),
            metadata: config.notes(),
        },
        created: Reader(info).moment("created").unwrap_or_default(),
        messages: state.count("messages"),
        bytes: state.count("bytes"),
        first_sequence: state.count("first_seq"),
        last_sequence: state.count("last_seq"),
        deleted: state.count("num_deleted"),
        subjects: state.count("num_subjects"),
        foreign: foreign_stream(&config),
    }
}

fn foreign_stream(config: &Reader<'_>) -> Vec<String> {
    let mut settings = foreign(config.0, expected_stream);
    // Off is how a stream made by hand begins, and nothing of it can be read back then.
    if !config.flag("allow_direct") {
        settings.push("allow_direct=false".to_owned());
    }
    settings
}

/// A consumer from the broker's info.
pub(super) fn consumer_info(stream: &str, info: &Value) -> ConsumerInfo {
    let empty = Value::Null;
    let config = Reader(info.get("config").unwrap_or(&empty));
    let part = |key: &str| Reader(info.get(key).unwrap_or(&empty));
    let whole = Reader(info);
    let paused_until = config.moment("pause_until");
    let now = whole.moment("ts").unwrap_or_default();
    ConsumerInfo {
        spec: ConsumerSpec {
            stream: stream.to_owned(),
            name: config.text("name"),
            description: config.text("description"),
            filter: config.text("filter_subject"),
            ack_wait: config.duration("ack_wait"),
            max_ack_pending: config.signed("max_ack_pending", -1),
            max_waiting: config.signed("max_waiting", 0),
            start: match config.text("deliver_policy").as_str() {
                "new" => Start::New,
                "by_start_sequence" => Start::Sequence(config.count("opt_start_seq")),
                _ => Start::First,
            },
            metadata: config.notes(),
        },
        ack_floor: part("ack_floor").count("stream_seq"),
        delivered: part("delivered").count("stream_seq"),
        deliveries: part("delivered").count("consumer_seq"),
        last_delivered: part("delivered").moment("last_active"),
        ack_pending: whole.count("num_ack_pending"),
        redelivered: whole.count("num_redelivered"),
        pending: whole.count("num_pending"),
        waiting: whole.count("num_waiting"),
        pause: PauseState { until: paused_until.filter(|until| *until > now) },
        now,
        foreign: foreign(config.0, expected_consumer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_made_by_hand_is_seen() {
        let info = json!({"config": {"name": "S", "retention": "workqueue", "storage": "file", "no_ack": true, "sealed": false, "allow_direct": true,
            "max_msgs": 0, "metadata": {"_nats.level": "2", "mine": "x"}}, "state": {"messages": 3}});
        let read = stream_info(&info);
        assert_eq!(read.foreign, ["no_ack=true", "retention=\"workqueue\""]);
        assert_eq!(read.spec.metadata.keys().collect::<Vec<_>>(), ["mine"]);
        assert_eq!((read.messages, read.spec.max_messages), (3, -1));
    }

    #[test]
    fn a_consumer_without_a_last_delivery_has_none() {
        let info = json!({"config": {"name": "c", "ack_policy": "explicit", "max_deliver": -1}, "ts": "2026-11-22T18:00:00Z",
            "delivered": {"stream_seq": 4}, "created": "0001-01-01T00:00:00Z"});
        let read = consumer_info("S", &info);
        assert_eq!((read.delivered, read.last_delivered), (4, None));
        assert!(read.foreign.is_empty(), "{:?}", read.foreign);
    }
}
