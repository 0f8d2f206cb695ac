//! Claims about what is wanted.

use super::*;

fn all(profile: Profile) -> Vec<Asset> {
    desired(&Catalogue::built_in(), Options { profile, now: UnixMillis(1_800_000_000_000) })
}

fn streams(assets: &[Asset]) -> impl Iterator<Item = &StreamSpec> {
    assets.iter().filter_map(|asset| match asset {
        Asset::Stream(spec) => Some(spec),
        Asset::Consumer(_) => None,
    })
}

fn consumers(assets: &[Asset]) -> impl Iterator<Item = &ConsumerSpec> {
    assets.iter().filter_map(|asset| match asset {
        Asset::Stream(_) => None,
        Asset::Consumer(spec) => Some(spec),
    })
}

#[test]
fn every_stream_has_a_byte_limit_a_short_window_and_an_owner() {
    for profile in Profile::ALL {
        let all = all(profile);
        for spec in streams(&all) {
            assert!(spec.max_bytes > 0, "{}", spec.name);
            assert_eq!(spec.duplicate_window, sizes::DUPLICATE_WINDOW, "{}", spec.name);
            assert_eq!(spec.replicas, profile.replicas(), "{}", spec.name);
            assert_eq!(spec.metadata.get(PROFILE_NOTE).map(String::as_str), Some(profile.as_str()));
            assert!(spec.description.starts_with("Nova: "), "{}", spec.description);
        }
    }
}

#[test]
fn a_small_fleet_fits_a_laptop() {
    let total: i64 = streams(&all(Profile::Fast)).map(|spec| spec.max_bytes).sum();
    assert!(total <= 6 << 30, "{total} bytes are reserved");
}

#[test]
fn a_queue_keeps_what_waits_and_has_three_consumers() {
    let all = all(Profile::Fast);
    let queue = streams(&all).find(|spec| spec.name == "NOVA_TASKS_echo").expect("a queue");
    assert_eq!(queue.subjects, ["nova.task.echo.high", "nova.task.echo", "nova.task.echo.low"]);
    assert_eq!((queue.discard, queue.max_age), (Discard::New, Duration::ZERO));
    assert_eq!(queue.metadata.get(HISTORY_SHARE_NOTE).map(String::as_str), Some("25"));
    let three: Vec<_> = consumers(&all).filter(|spec| spec.stream == queue.name).collect();
    let names: Vec<_> = three.iter().map(|spec| (spec.name.as_str(), spec.filter.as_str())).collect();
    let expect = [("high", "nova.task.echo.high"), ("normal", "nova.task.echo"), ("low", "nova.task.echo.low")];
    assert_eq!(names, expect);
    assert!(three.iter().all(|spec| spec.ack_wait == Duration::from_secs(10) && spec.max_ack_pending >= 20_000));
    assert!(three.iter().all(|spec| nova_wire::SkillPolicy::from_metadata(&spec.metadata).is_ok()));
}

#[test]
fn orders_for_runs_to_come_do_not_hold_up_the_others() {
    let all = all(Profile::Fast);
    let orders = consumers(&all).find(|spec| spec.name == assets::ORDER_CONSUMER).expect("the orders");
    assert_eq!((orders.stream.as_str(), orders.max_ack_pending), (assets::RUNS, 1_000_000));
}

#[test]
fn no_consumer_matches_a_schedule() {
    for spec in consumers(&all(Profile::Fast)).filter(|spec| spec.stream == assets::SCHEDULES) {
        assert!(spec.filter.starts_with("nova.due."), "{}", spec.filter);
    }
}

#[test]
fn no_two_streams_own_one_subject() {
    let all = all(Profile::Durable);
    let subjects: Vec<&String> = streams(&all).flat_map(|spec| &spec.subjects).collect();
    for (at, one) in subjects.iter().enumerate() {
        assert!(subjects[at + 1..].iter().all(|other| !overlap(one, other)), "{one}");
    }
}

fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            _ => return false,
        }
    }
}

#[test]
fn a_queue_made_again_begins_above_the_old_one() {
    let at = |seconds: i64| first_sequence(UnixMillis(seconds * 1000));
    let (old, new) = (at(1_800_000_000), at(1_800_000_060));
    assert!(old + 60 * 99_999 < new, "a minute at almost a hundred thousand tasks a second stays below");
    assert!(at(9_999_999_999) < 1_000_000_000_000_000, "a structured header carries it");
    assert_eq!(first_sequence(UnixMillis(-5)), 1);
}

#[test]
fn a_profile_reads_as_it_prints() {
    for profile in Profile::ALL {
        assert_eq!(profile.to_string().parse(), Ok(profile));
    }
    assert!("quick".parse::<Profile>().is_err());
}
