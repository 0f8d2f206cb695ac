//! Claims about plans: data in, data out, no broker.

use std::time::Duration;

use nova_broker::{ConsumerInfo, Discard, PauseState, Start, StreamInfo};
use nova_types::{Skill, UnixMillis};

use super::*;
use crate::{Catalogue, Options, Profile, SkillEntry, desired};

const QUEUE: &str = "NOVA_TASKS_echo";

fn wanted() -> Vec<Asset> {
    let echo = (Skill::new("echo").expect("a skill"), SkillEntry::default());
    desired(
        &[echo].into_iter().collect::<Catalogue>(),
        Options { profile: Profile::Fast, now: UnixMillis(1_800_000_000_000) },
    )
}

fn stream_info(spec: &StreamSpec) -> StreamInfo {
    StreamInfo {
        spec: spec.clone(),
        created: UnixMillis(0),
        messages: 5,
        bytes: 5 << 20,
        first_sequence: 1,
        last_sequence: 9,
        deleted: 0,
        subjects: 2,
        foreign: vec![],
    }
}

fn consumer_info(spec: &ConsumerSpec) -> ConsumerInfo {
    ConsumerInfo {
        spec: spec.clone(),
        ack_floor: 3,
        delivered: 5,
        deliveries: 5,
        last_delivered: None,
        ack_pending: 2,
        redelivered: 0,
        pending: 4,
        waiting: 0,
        pause: PauseState::default(),
        now: UnixMillis(0),
        foreign: vec![],
    }
}

/// A broker that is as wanted, with five messages in every stream.
fn observed() -> Observed {
    let mut seen = Observed::default();
    for asset in wanted() {
        match &asset {
            Asset::Stream(spec) => _ = seen.streams.insert(spec.name.clone(), stream_info(spec)),
            Asset::Consumer(spec) => _ = seen.consumers.insert(asset.id(), consumer_info(spec)),
        }
    }
    seen
}

#[track_caller]
fn check(change: impl FnOnce(&mut Observed), expect: &str) -> Plan {
    let mut seen = observed();
    change(&mut seen);
    let plan = Plan::of(&wanted(), &seen);
    assert_eq!(plan.to_text(), expect);
    plan
}

fn queue(seen: &mut Observed) -> &mut StreamInfo {
    seen.streams.get_mut(QUEUE).expect("a queue")
}

fn high(seen: &mut Observed) -> &mut ConsumerInfo {
    seen.consumers.get_mut(&AssetId::consumer(QUEUE, "high")).expect("a consumer")
}

#[test]
fn an_empty_broker_gets_everything_streams_first() {
    let plan = Plan::of(&wanted(), &Observed::default());
    assert_eq!(plan.steps.len(), wanted().len());
    assert!(plan.steps.iter().all(|step| matches!(step.act, Act::Create(_)) && step.harm().is_none()));
    assert!(plan.to_text().starts_with("+ stream NOVA_OUTCOMES\n+ stream NOVA_ATTEMPTS\n"), "{}", plan.to_text());
    assert!(!plan.is_clean());
}

#[test]
fn what_is_as_wanted_needs_nothing() {
    assert!(check(|_| {}, "").is_clean());
}

#[test]
fn state_is_no_drift() {
    let change = |seen: &mut Observed| {
        high(seen).pause.until = Some(UnixMillis(9_000_000_000_000));
        high(seen).spec.start = Start::Sequence(7);
        queue(seen).spec.first_sequence = Some(12);
        queue(seen).spec.subjects.reverse();
        queue(seen).spec.metadata.insert("_nats.level".into(), "1".into());
    };
    check(change, "");
}

#[test]
fn a_lease_changed_by_hand_is_mended_and_keeps_its_start() {
    let change = |seen: &mut Observed| {
        high(seen).spec.ack_wait = Duration::from_secs(90);
        high(seen).spec.metadata.insert("nova-lease".into(), "90s".into());
        high(seen).spec.start = Start::New;
    };
    let text = "~ consumer NOVA_TASKS_echo/high\n    ack_wait: 90s -> 10s\n    metadata.nova-lease: 90s -> 10s\n";
    let plan = check(change, text);
    let Act::Change { to: Asset::Consumer(to), .. } = &plan.steps[0].act else { panic!("{plan:?}") };
    assert_eq!(to.start, Start::New);
}

#[test]
fn a_limit_below_what_is_held_needs_a_yes() {
    let raise = |seen: &mut Observed| queue(seen).spec.max_bytes = 1 << 20;
    check(raise, "~ stream NOVA_TASKS_echo\n    max_bytes: 1MiB -> 512MiB\n");
    let lower = |seen: &mut Observed| {
        queue(seen).spec.max_bytes = 4 << 30;
        queue(seen).bytes = 600 << 20;
    };
    let text = "! stream NOVA_TASKS_echo\n    max_bytes: 4GiB -> 512MiB   needs --yes: it holds 600MiB now, more than 512MiB\n";
    check(lower, text);
    let lower_in_time = |seen: &mut Observed| queue(seen).spec.max_bytes = 4 << 30;
    check(lower_in_time, "~ stream NOVA_TASKS_echo\n    max_bytes: 4GiB -> 512MiB\n");
}

#[test]
fn an_age_on_a_queue_is_taken_off_and_one_put_on_needs_a_yes() {
    let aged = |seen: &mut Observed| queue(seen).spec.max_age = Duration::from_secs(3600);
    check(aged, "~ stream NOVA_TASKS_echo\n    max_age: 1h -> none\n");
    let ageless =
        |seen: &mut Observed| seen.streams.get_mut("NOVA_EVENTS").expect("events").spec.max_age = Duration::ZERO;
    check(ageless, "! stream NOVA_EVENTS\n    max_age: none -> 7d   needs --yes: messages older than 7d go\n");
}

#[test]
fn a_foreign_setting_is_drift() {
    let change = |seen: &mut Observed| {
        queue(seen).foreign = vec!["no_ack=true".into(), "retention=\"workqueue\"".into()];
        queue(seen).spec.discard = Discard::Old;
    };
    let text = "! stream NOVA_TASKS_echo\n    discard: old -> new\n    no_ack: true -> not set\n    \
                retention: workqueue -> not set   needs --yes: what was acked is gone already\n";
    check(change, text);
}

#[test]
fn what_the_broker_cannot_change_is_refused_unless_empty() {
    let memory = |seen: &mut Observed| queue(seen).foreign = vec!["storage=\"memory\"".into()];
    let plan = check(
        memory,
        "x stream NOVA_TASKS_echo\n    storage: memory -> not set\n    refused: the broker cannot change this in place and \
         the stream holds 5 messages: save what is needed, `nats stream rm NOVA_TASKS_echo`, apply again\n",
    );
    assert_eq!(plan.rows()[0].action, "refuse");
    let empty = |seen: &mut Observed| {
        memory(seen);
        queue(seen).messages = 0;
    };
    let plan = check(
        empty,
        "! stream NOVA_TASKS_echo\n    storage: memory -> not set\n    needs --yes: it is deleted and made again, with its \
         consumers; it is empty\n+ consumer NOVA_TASKS_echo/high\n+ consumer NOVA_TASKS_echo/normal\n+ consumer \
         NOVA_TASKS_echo/low\n",
    );
    assert_eq!(plan.rows()[0].action, "recreate");
}

#[test]
fn a_consumer_the_broker_cannot_change_goes_on_behind_its_acks() {
    let plan = check(
        |seen| high(seen).spec.max_waiting = 512,
        "! consumer NOVA_TASKS_echo/high\n    max_waiting: 512 -> 4096\n    needs --yes: it is deleted and made again from \
         sequence 4; 2 deliveries that are out, and what was acked beyond them, come again\n",
    );
    let Act::Recreate { to: Asset::Consumer(to), .. } = &plan.steps[0].act else { panic!("{plan:?}") };
    assert_eq!(to.start, Start::Sequence(4));
}

#[test]
fn a_missing_consumer_over_history_waits_to_be_told_where_to_start() {
    let id = AssetId::consumer(QUEUE, "high");
    let plan = check(
        |seen| {
            seen.consumers.remove(&id);
            seen.history.insert(id.clone(), 4);
        },
        "x consumer NOVA_TASKS_echo/high\n    it is missing over history (sequences 4 to 9), and what was done already \
         would run again: say --consumer-start first, new or a sequence\n",
    );
    assert_eq!(plan.rows()[0].action, "start");
    check(|seen| _ = seen.consumers.remove(&id), "+ consumer NOVA_TASKS_echo/high\n");
}

#[test]
fn what_nova_does_not_use_is_listed_and_is_no_drift() {
    let plan = check(
        |seen| {
            let mut old = queue(seen).clone();
            old.spec.name = "NOVA_TASKS_old".into();
            seen.streams.insert(old.spec.name.clone(), old);
            let mut mine = high(seen).clone();
            mine.spec.name = "mine".into();
            seen.consumers.insert(AssetId::consumer(QUEUE, "mine"), mine.clone());
            mine.spec.stream = "NOVA_TASKS_old".into();
            seen.consumers.insert(AssetId::consumer("NOVA_TASKS_old", "mine"), mine);
        },
        "? consumer NOVA_TASKS_echo/mine\n    not a consumer of Nova's; it reads nova.task.echo.high; --prune --yes deletes \
         it and its position, 4 messages undelivered\n? stream NOVA_TASKS_old\n    skill old is not in the catalogue; --prune \
         --yes deletes it with 5 messages, 5MiB\n",
    );
    assert!(plan.is_clean());
    assert!(plan.rows().iter().all(|row| !row.is_drift()));
}

#[test]
fn partitions_change_only_while_nothing_is_held() {
    let of = |partitions| {
        let text = format!("echo = {{ keyed = true, partitions = {partitions} }}");
        let catalogue = Catalogue::parse("mine.toml", &text).expect("well formed");
        desired(&catalogue, Options { profile: Profile::Fast, now: UnixMillis(1_800_000_000_000) })
    };
    let mut seen = Observed::default();
    for asset in of(2) {
        match &asset {
            Asset::Stream(spec) => _ = seen.streams.insert(spec.name.clone(), stream_info(spec)),
            Asset::Consumer(spec) => _ = seen.consumers.insert(asset.id(), consumer_info(spec)),
        }
    }
    assert!(Plan::of(&of(2), &seen).is_clean());
    let plan = Plan::of(&of(3), &seen);
    let text = plan.to_text();
    assert_eq!(plan.steps.len(), 1, "{text}");
    assert!(text.starts_with("x stream NOVA_TASKS_echo\n    transform: nova.task.echo.*.* to "), "{text}");
    let why = "refused: tasks of one key would lie in two partitions, out of order, and it holds 5 messages: let its \
               tasks be done, `nats stream purge NOVA_TASKS_echo`, apply again";
    assert!(text.contains(why), "{text}");
    queue(&mut seen).messages = 0;
    let plan = Plan::of(&of(3), &seen);
    assert!(matches!(plan.steps[0].act, Act::Change { .. }), "{}", plan.to_text());
    assert!(plan.to_text().contains("+ consumer NOVA_TASKS_echo/k2"), "{}", plan.to_text());
}

#[test]
fn a_row_is_flat_json() {
    let plan = check(
        |seen| queue(seen).spec.replicas = 3,
        "! stream NOVA_TASKS_echo\n    replicas: 3 -> 1   needs --yes: fewer servers keep it\n",
    );
    let json = serde_json::to_string(&plan.rows()[0]).expect("a row encodes");
    let expect = r#"{"asset":"stream","stream":"NOVA_TASKS_echo","action":"change","field":"replicas","from":"3","to":"1","harm":"fewer servers keep it"}"#;
    assert_eq!(json, expect);
}
