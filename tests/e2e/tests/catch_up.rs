//! Recurring schedules over a broker that was down, coordinators that are killed, and backfill: each moment once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nova_client::{Backfilled, Client, Filled, ScheduleOptions, Submit};
use nova_e2e::{Fleet, PATIENCE};
use nova_testkit::wait_until;
use nova_types::{CatchUp, OutcomeKind, Scope, Skill, TaskId, UnixMillis};
use nova_wire::{CronState, assets, format_rfc3339, name};

fn skill() -> Skill {
    Skill::new("echo").expect("a valid skill")
}

fn id(name: &str) -> TaskId {
    format!("s.{name}").parse().expect("a valid id")
}

fn client(fleet: &Fleet) -> Client {
    Client::new(fleet.broker.clone(), Scope::new("s").expect("a valid scope"))
}

async fn schedule(client: &Client, name: &str, when: &str, catch_up: CatchUp) {
    let submit = Submit::json(skill(), &name).expect("encodes").with_id(id(name));
    let options = ScheduleOptions { catch_up: Some(catch_up), ..ScheduleOptions::default() };
    client.schedule_with(submit, when.parse().expect("a schedule"), &options).await.expect("scheduled");
}

#[expect(clippy::disallowed_methods, reason = "what is due is compared with the wall clock the broker goes by")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("a small number")
}

/// The seconds one recurring schedule had tasks for, with how often each came into the queue.
async fn fired(fleet: &Fleet, name: &str) -> BTreeMap<i64, usize> {
    let scan = nova_broker::Scan::all("NOVA_TASKS_echo", "nova.task.echo", 10_000);
    let prefix = format!("s.{name}-");
    let mut seconds = BTreeMap::new();
    for stored in fleet.broker.scan(scan).await.expect("readable") {
        let Some(second) = stored.headers.get(name::ID).and_then(|id| id.strip_prefix(&prefix)) else { continue };
        let second: i64 = second.parse().expect("unix seconds");
        let told = format_rfc3339(UnixMillis(second * 1000));
        assert_eq!(stored.headers.get(name::NOMINAL), Some(told.as_str()), "a task says which moment it stands for");
        assert_eq!(stored.headers.get(name::CATCH_UP), None);
        *seconds.entry(second).or_insert(0) += 1;
    }
    seconds
}

async fn state(client: &Client, name: &str) -> CronState {
    let entry = client.schedule_entry(&skill(), &id(name)).await.expect("readable").expect("it stands");
    entry.state.expect("it has fired")
}

/// Every so many seconds from the first to the last, each once.
#[track_caller]
fn check_unbroken(name: &str, step: usize, seconds: &BTreeMap<i64, usize>) {
    let (first, last) = (seconds.keys().next().expect("fired"), seconds.keys().last().expect("fired"));
    let all: Vec<i64> = (*first..=*last).step_by(step).collect();
    assert_eq!(seconds.keys().copied().collect::<Vec<_>>(), all, "{name}");
    assert!(seconds.values().all(|count| *count == 1), "{name}: {seconds:?}");
}

/// Takes the broker down over three moments of a schedule that is due each six seconds, in the way that `stop` says.
async fn is_down_over_three_moments(stop: impl FnOnce(&mut Fleet)) {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    fleet.coordinator().await;
    fleet.coordinator().await;
    let client = client(&fleet);
    for policy in CatchUp::ALL {
        schedule(&client, policy.as_str(), "*/6 * * * * *", policy).await;
    }
    schedule(&client, "every", "@every 1s", CatchUp::All).await;
    for name in ["skip", "one", "all", "every"] {
        wait_until(format!("the first firing of {name}"), PATIENCE, || async {
            let is_noted = client.schedule_entry(&skill(), &id(name)).await.ok()??.state.is_some();
            (is_noted && !fired(&fleet, name).await.is_empty()).then_some(())
        })
        .await;
    }
    stop(&mut fleet);
    let killed = now();
    // The downtime is the fault itself. It ends in the later half of the way from the third missed moment to the fourth,
    // where a firing counts as late.
    let first_missed = (killed / 6000 + 1) * 6;
    let missed = [first_missed, first_missed + 6, first_missed + 12];
    let back = missed[2] * 1000 + 3300;
    tokio::time::sleep(Duration::from_millis(u64::try_from(back - killed).expect("to come"))).await;
    fleet.server.restart();

    for name in ["skip", "one", "all", "every"] {
        wait_until(format!("{name} to fire for a moment after the gap"), PATIENCE, || async {
            let last = fired(&fleet, name).await.keys().last().copied();
            last.is_some_and(|last| last > missed[2] + 3).then_some(())
        })
        .await;
    }
    let mut left_out = BTreeMap::new();
    for name in ["skip", "one", "all", "every"] {
        left_out.insert(name, state(&client, name).await.left_out);
        assert!(client.unschedule(&skill(), &id(name)).await.expect("withdrawn"));
    }
    fleet.drained("echo").await;
    for (name, earliest) in [("skip", missed[2] + 6), ("one", missed[2])] {
        let all = fired(&fleet, name).await;
        assert!(all.iter().all(|(second, count)| second % 6 == 0 && *count == 1), "{name}: {all:?}");
        // A broker that took its time to be back may have missed a fourth moment.
        let first = *all.keys().find(|second| **second >= missed[0]).expect("it went on");
        assert!(first >= earliest, "{name}: {all:?}");
        let left_out = left_out[name].expect("something was left out");
        assert_eq!((left_out.from.0 / 1000, left_out.until.0 / 1000), (missed[0], first - 6), "{name}");
    }
    assert_eq!((left_out["all"], left_out["every"]), (None, None));
    let all = fired(&fleet, "all").await;
    assert!(missed.iter().all(|second| all.contains_key(second)), "{all:?}");
    check_unbroken("all", 6, &all);
    let every = fired(&fleet, "every").await;
    check_unbroken("every", 1, &every);
    for second in every.keys() {
        let (outcome, _) = fleet.outcome("echo", &format!("s.every-{second}")).await;
        assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_brokers_missed_moments_are_made_up_for_as_the_policy_says() {
    is_down_over_three_moments(|fleet| fleet.server.kill9()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_brokers_missed_moments_are_made_up_for_as_the_policy_says() {
    is_down_over_three_moments(|fleet| fleet.server.term()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_missed_by_a_killed_broker_does_not_wait_for_the_next_one() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    fleet.coordinator().await;
    let client = client(&fleet);
    let due = now() / 1000 + 6;
    for policy in CatchUp::ALL {
        schedule(&client, policy.as_str(), &format!("{} * * * * *", due % 60), policy).await;
        assert_eq!(state(&client, policy.as_str()).await.next, UnixMillis(due * 1000), "noted before it fired");
    }
    fleet.server.kill9();
    let killed = now();
    assert!(killed < due * 1000, "it is down before the moment");
    // The downtime is the fault itself. It lasts until the moment is later than a firing may be and still be on time.
    let late = i64::try_from(nova_engine::recur::LATE.as_millis()).expect("a small number");
    let back = due * 1000 + late + 2000;
    tokio::time::sleep(Duration::from_millis(u64::try_from(back - killed).expect("to come"))).await;
    fleet.server.restart();
    for policy in ["one", "all"] {
        wait_until(format!("{policy} to be made up for"), 2 * PATIENCE, || async {
            fired(&fleet, policy).await.contains_key(&due).then_some(())
        })
        .await;
    }
    assert!(now() < (due + 60) * 1000, "before the next moment");
    let noted = wait_until("what was skipped to be noted", PATIENCE, || async {
        client.schedule_entry(&skill(), &id("skip")).await.ok()??.state?.left_out
    })
    .await;
    assert_eq!((noted.from, noted.until), (UnixMillis(due * 1000), UnixMillis(due * 1000)));
    assert!(fired(&fleet, "skip").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_at_a_firing_runs_each_moment_once() {
    for failpoint in ["due-forwarded=kill", "due-noted=kill"] {
        let mut fleet = Fleet::start().await;
        fleet.worker("echo", "w1", &[]).await;
        let victim = fleet.spawn("nova-coordinator", "", &[("NOVA_FAILPOINT", failpoint)]);
        fleet.process(victim).wait_stderr("coordinator ready", PATIENCE).await;
        let client = client(&fleet);
        for policy in CatchUp::ALL {
            schedule(&client, policy.as_str(), "@every 1s", policy).await;
        }
        assert!(!fleet.process(victim).wait_exit(PATIENCE).await.success(), "the victim was killed");
        // Meanwhile the broker goes on firing; nothing of it is missed, whatever the policy.
        let broker = fleet.broker.clone();
        let due = || broker.consumer(assets::SCHEDULES.to_owned(), assets::DUE_CONSUMER.to_owned());
        wait_until("more firings", PATIENCE, || async {
            let info = due().await.ok()??;
            (info.pending >= 9).then_some(())
        })
        .await;
        fleet.coordinator().await;
        wait_until("all firings to be dealt with", 2 * PATIENCE, || async {
            let info = due().await.ok()??;
            (info.deliveries > 10 && info.redelivered == 0 && info.ack_pending == 0).then_some(())
        })
        .await;
        for policy in CatchUp::ALL {
            assert!(client.unschedule(&skill(), &id(policy.as_str())).await.expect("withdrawn"));
        }
        fleet.drained("echo").await;
        let mut ids = BTreeSet::new();
        for policy in CatchUp::ALL {
            let seconds = fired(&fleet, policy.as_str()).await;
            let (first, last) = (seconds.keys().next().expect("fired"), seconds.keys().last().expect("fired"));
            let all: Vec<i64> = (*first..=*last).collect();
            assert_eq!(seconds.keys().copied().collect::<Vec<_>>(), all, "{failpoint} {policy}");
            ids.extend(all.into_iter().map(|second| format!("s.{policy}-{second}")));
        }
        // What was published again after the kill ran once.
        assert_eq!(fleet.count(assets::OUTCOMES, "nova.outcome.>").await, ids.len());
        for id in ids {
            let (outcome, _) = fleet.outcome("echo", &id).await;
            assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1), "{id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_runs_each_moment_of_a_range_once_however_often_it_is_asked_for() {
    let mut fleet = Fleet::start().await;
    fleet.coordinator().await;
    let client = client(&fleet);
    let submit = Submit::json(skill(), &"nightly").expect("encodes").with_id(id("nightly"));
    let options = ScheduleOptions { time_zone: Some("Europe/Berlin".into()), ..ScheduleOptions::default() };
    client.schedule_with(submit, "30 2 * * *".parse().expect("a line"), &options).await.expect("scheduled");
    let nightly = client.recurring(&skill(), &id("nightly")).await.expect("it recurs");
    let moment = |text: &str| nova_wire::parse_rfc3339(text).expect("a moment");
    // The last Sunday of March has no 02:30, the one of October two.
    let spring: Vec<UnixMillis> =
        nightly.moments(moment("2026-03-27T00:00:00+01:00"), moment("2026-04-01T00:00:00+02:00")).collect();
    let autumn: Vec<UnixMillis> =
        nightly.moments(moment("2026-10-23T00:00:00+02:00"), moment("2026-10-28T00:00:00+01:00")).collect();
    assert_eq!((spring.len(), autumn.len()), (4, 6));
    let moments = [spring, autumn].concat();
    let fill = async || {
        let mut told: Vec<Backfilled> = Vec::new();
        client.backfill(&nightly, moments.clone(), |one| told.push(one)).await.expect("the broker answers");
        assert_eq!(told.iter().map(|one| one.moment).collect::<Vec<_>>(), moments);
        told.iter().filter(|one| matches!(one.filled, Filled::Submitted)).count()
    };
    assert_eq!(fill().await, 10);
    // Not run yet, but on its way.
    assert_eq!(fill().await, 0);
    fleet.worker("echo", "w1", &[]).await;
    for moment in &moments {
        let (outcome, stored) = fleet.outcome("echo", &nightly.task(*moment).to_string()).await;
        assert_eq!((outcome.kind, outcome.attempt, &stored.body[..]), (OutcomeKind::Completed, 1, &b"\"nightly\""[..]));
    }
    // Run, and remembered.
    assert_eq!(fill().await, 0);
    fleet.drained("echo").await;
    let all = fired(&fleet, "nightly").await;
    assert_eq!((all.len(), all.values().sum::<usize>()), (10, 10), "{all:?}");
}
