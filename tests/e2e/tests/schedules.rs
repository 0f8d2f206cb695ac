//! Delayed and recurring tasks through the coordinators and the broker's own schedules: at their time, once, over faults.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use nova_client::{Client, ScheduleError, Submit};
use nova_e2e::{Fleet, PATIENCE};
use nova_testkit::{NatsServer, wait_until};
use nova_types::{OutcomeKind, Scope, Skill, TaskId, UnixMillis};
use nova_wire::{ScheduleSpec, assets, name, parse_outcome};

fn skill() -> Skill {
    Skill::new("echo").expect("a valid skill")
}

fn id(text: &str) -> TaskId {
    text.parse().expect("a valid id")
}

fn client(fleet: &Fleet) -> Client {
    Client::new(fleet.broker.clone(), Scope::new("s").expect("a valid scope"))
}

fn echo(name: &str) -> Submit {
    Submit::json(skill(), &name).expect("encodes").with_id(id(&format!("s.{name}")))
}

fn spec(text: &str) -> ScheduleSpec {
    text.parse().expect("a schedule")
}

#[expect(clippy::disallowed_methods, reason = "what is due is compared with the wall clock the broker goes by")]
fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    UnixMillis(i64::try_from(since.as_millis()).expect("a small number"))
}

/// A fleet with an echo worker and so many coordinators.
async fn fleet(coordinators: usize) -> Fleet {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    for _ in 0..coordinators {
        fleet.coordinator().await;
    }
    fleet
}

/// When the tasks of one recurring schedule were to run, by their ids, and when the broker had them in their queue.
async fn fired(fleet: &Fleet, name: &str) -> Vec<(i64, UnixMillis)> {
    let scan = nova_broker::Scan::all("NOVA_TASKS_echo", "nova.task.echo", 10_000);
    let stored = fleet.broker.scan(scan).await.expect("readable");
    let prefix = format!("s.{name}-");
    let seconds = stored.iter().filter_map(|stored| {
        let id = stored.headers.get(name::ID)?;
        Some((id.strip_prefix(&prefix)?.parse().expect("unix seconds"), stored.at))
    });
    seconds.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_task_runs_once_at_its_time_under_its_own_id() {
    let fleet = fleet(2).await;
    let client = client(&fleet);
    let at = now().plus(Duration::from_secs(3));
    client.schedule(echo("at"), ScheduleSpec::At(at), None).await.expect("scheduled");
    let asked = now();
    client.schedule(echo("in"), spec("@in 2s"), None).await.expect("scheduled");
    client.schedule(echo("past"), ScheduleSpec::At(UnixMillis(1_000_000_000_000)), None).await.expect("scheduled");

    for (name, due) in [("past", asked), ("in", asked.plus(Duration::from_secs(2))), ("at", at)] {
        let ended = client.wait(&skill(), &id(&format!("s.{name}")), PATIENCE).await.expect("it ends");
        assert_eq!((ended.outcome.kind, ended.outcome.attempt), (OutcomeKind::Completed, 1), "{name}");
        assert_eq!(ended.result::<String>().expect("a text").as_deref(), Some(name));
        let came = ended.outcome.submitted.expect("known");
        println!("{name}: {} ms after its time", came.0 - due.0);
        assert!(name == "past" || came >= due, "{name} came {came:?}, due {due:?}");
    }
    fleet.drained("echo").await;
    assert_eq!(fleet.count("NOVA_TASKS_echo", "nova.task.>").await, 3, "each was submitted once");
    assert_eq!(client.schedules(&Default::default()).await.expect("listed"), [], "what fired is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_of_an_id_stands_once_and_can_be_withdrawn() {
    let fleet = fleet(1).await;
    let client = client(&fleet);
    let at = ScheduleSpec::At(now().plus(Duration::from_secs(600)));
    let first = client.schedule(echo("t"), at.clone(), None).await.expect("scheduled");
    let again = client.schedule(echo("t"), at, None).await.expect("the very same asked for again");
    assert_eq!(again.sequence, first.sequence);
    let other = client.schedule(echo("t"), spec("@in 9m"), None).await.expect_err("another of that id");
    assert!(matches!(&other, ScheduleError::Refused { code, .. } if code == "409"), "{other}");
    let listed = client.schedules(&Default::default()).await.expect("listed");
    assert_eq!(listed.iter().map(|entry| entry.task.to_string()).collect::<Vec<_>>(), ["s.t"]);
    assert!(client.unschedule(&skill(), &id("s.t")).await.expect("withdrawn"));
    let ended = client.wait(&skill(), &id("s.t"), PATIENCE).await.expect("it ends");
    assert_eq!(ended.outcome.kind, OutcomeKind::Cancelled);
    assert!(!client.unschedule(&skill(), &id("s.t")).await.expect("nothing there"));
    // What cannot be scheduled is said at once.
    let bad = client.schedule(echo("zone"), spec("0 3 * * *"), Some("Mars/Olympus")).await.expect_err("no such zone");
    println!("unknown zone: {bad}");
    let bad = client.schedule(echo("cron"), spec("99 99 * * *"), None).await.expect_err("no such minute");
    println!("bad cron: {bad}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recurring_task_runs_once_each_time_with_two_coordinators() {
    let fleet = fleet(2).await;
    let client = client(&fleet);
    client.schedule(echo("every"), spec("@every 1s"), None).await.expect("scheduled");
    client.schedule(echo("cron"), spec("*/2 * * * * *"), Some("Europe/Berlin")).await.expect("scheduled");
    for (name, times) in [("every", 6), ("cron", 3)] {
        wait_until(format!("{name} to fire {times} times"), PATIENCE, || async {
            (fired(&fleet, name).await.len() >= times).then_some(())
        })
        .await;
        assert!(client.unschedule(&skill(), &id(&format!("s.{name}"))).await.expect("withdrawn"));
    }
    fleet.drained("echo").await;
    for name in ["every", "cron"] {
        let all = fired(&fleet, name).await;
        let seconds: BTreeSet<i64> = all.iter().map(|(second, _)| *second).collect();
        println!("{name}: {all:?}");
        assert_eq!(seconds.len(), all.len(), "{name}: each time once: {all:?}");
        for second in seconds {
            let (outcome, stored) = fleet.outcome("echo", &format!("s.{name}-{second}")).await;
            assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1));
            assert_eq!(&stored.body[..], format!("\"{name}\"").as_bytes());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_killed_between_forward_and_ack_fires_nothing_twice() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    let victim = fleet.spawn("nova-coordinator", "", &[("NOVA_FAILPOINT", "due-forwarded=kill")]);
    fleet.process(victim).wait_stderr("coordinator ready", PATIENCE).await;
    let client = client(&fleet);
    client.schedule(echo("t"), spec("@in 1s"), None).await.expect("scheduled");
    assert!(!fleet.process(victim).wait_exit(PATIENCE).await.success(), "the victim was killed");
    fleet.coordinator().await;
    let due = || fleet.broker.consumer(assets::SCHEDULES.to_owned(), assets::DUE_CONSUMER.to_owned());
    wait_until("the due task to be acked", 2 * PATIENCE, || async {
        let info = due().await.ok()??;
        (info.deliveries > 1 && info.ack_pending == 0).then_some(())
    })
    .await;
    let (outcome, _) = fleet.outcome("echo", "s.t").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1));
    fleet.drained("echo").await;
    assert_eq!(fleet.count(assets::OUTCOMES, "nova.outcome.>").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_overdue_after_a_crash_of_the_broker_fires_once() {
    let mut fleet = fleet(2).await;
    let client = client(&fleet);
    let due = now().plus(Duration::from_secs(3));
    client.schedule(echo("once"), ScheduleSpec::At(due), None).await.expect("scheduled");
    client.schedule(echo("far"), spec("@in 1h"), None).await.expect("scheduled");
    client.schedule(echo("every"), spec("@every 1s"), None).await.expect("scheduled");
    wait_until("the first firing", PATIENCE, || async { (!fired(&fleet, "every").await.is_empty()).then_some(()) })
        .await;
    fleet.server.kill9();
    let killed = now();
    // The downtime is the fault itself: it must cover the moment the task is due and several of the other's.
    tokio::time::sleep(Duration::from_secs(6)).await;
    fleet.server.restart();
    let back = now();

    let ended = client.wait(&skill(), &id("s.once"), PATIENCE).await.expect("it ends");
    assert_eq!((ended.outcome.kind, ended.outcome.attempt), (OutcomeKind::Completed, 1));
    let before = fired(&fleet, "every").await.len();
    wait_until("three more firings", PATIENCE, || async {
        (fired(&fleet, "every").await.len() >= before + 3).then_some(())
    })
    .await;
    client.unschedule(&skill(), &id("s.every")).await.expect("withdrawn");
    fleet.drained("echo").await;
    let all = fired(&fleet, "every").await;
    println!("down {killed:?}..{back:?}, overdue by {} ms, fired {all:?}", back.0 - due.0);
    // Times missed while it was down are not made up for one by one. The first firing stands for a second that had not ended
    // when it was back, and the one before it is made up for: nothing older than two seconds.
    let missed = all.iter().filter(|(second, _)| second * 1000 > killed.0 + 500 && second * 1000 < back.0 - 2000);
    assert_eq!(missed.count(), 0, "{all:?}");
    let seconds: BTreeSet<i64> = all.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds.len(), all.len(), "each time once: {all:?}");
    let scan = nova_broker::Scan::all(assets::OUTCOMES, "nova.outcome.echo.>", 1000);
    let once = fleet.broker.scan(scan).await.expect("readable");
    let once = once.iter().filter(|stored| {
        let outcome = parse_outcome(stored.headers.get(name::OUTCOME).expect("a header")).expect("an outcome");
        outcome.task == id("s.once")
    });
    assert_eq!(once.count(), 1);
    let listed = client.schedules(&Default::default()).await.expect("listed");
    assert_eq!(listed.iter().map(|entry| entry.task.to_string()).collect::<Vec<_>>(), ["s.far"]);
}

/// Writes a time zone (TZif, RFC 9636, version 1) that changes from one offset to another at a moment.
fn write_zone(folder: &Path, name: &str, change: i64, before: i32, after: i32) {
    let mut file = b"TZif\0".to_vec();
    file.extend([0; 15]);
    // UT and standard indicators, leap seconds: none; two changes, two kinds of local time, eight characters of names.
    for count in [0, 0, 0, 2, 2, 8] {
        file.extend(u32::to_be_bytes(count));
    }
    for moment in [0, i32::try_from(change).expect("before 2038")] {
        file.extend(moment.to_be_bytes());
    }
    file.extend([0, 1]);
    for (offset, name_at) in [(before, 0), (after, 4)] {
        file.extend(offset.to_be_bytes());
        file.extend([u8::from(offset > before.min(after)), name_at]);
    }
    file.extend(b"BEF\0AFT\0");
    std::fs::write(folder.join(name), file).expect("a file can be written");
}

/// The cron line of a moment in local time, every day.
fn daily(local: i64) -> String {
    let second = local.rem_euclid(86_400);
    format!("{} {} {} * * *", second % 60, second / 60 % 60, second / 3600)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_local_time_does_not_fire_and_a_repeated_one_fires_twice() {
    let zones = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::on(NatsServer::builder().env("ZONEINFO", zones.path().display().to_string()).start()).await;
    fleet.worker("echo", "w1", &[]).await;
    fleet.coordinator().await;
    fleet.coordinator().await;
    let client = client(&fleet);
    // Offsets are whole minutes everywhere, and changes come on the hour of local time: the moment and the offsets are
    // chosen so. It is the next full minute that leaves time to prepare.
    let change = (now().0 / 1000 + 25 + 59) / 60 * 60;
    let on_the_hour = -i32::try_from(change % 3600).expect("below an hour");
    let zone =
        |name: &str, before, after| write_zone(zones.path(), name, change, on_the_hour + before, on_the_hour + after);
    zone("Spring", 0, 3600);
    zone("Autumn", 3600, 0);
    // Half an hour, as on Lord Howe Island, and a minute, so that a test sees both passes of the repeated time.
    zone("HalfSpring", 0, 1800);
    zone("HalfAutumn", 0, -1800);
    zone("Short", 0, -60);
    let at = |seconds: i64, offset: i64| daily(change + i64::from(on_the_hour) + seconds + offset);
    let often = || "*/20 * * * * *".to_owned();
    let regular = vec![0, 20, 40];
    // Name, zone, line and the seconds after the change at which it fires.
    let plans = [
        ("spring-before", "Spring", at(-10, 0), vec![-10]),
        ("spring-skipped", "Spring", at(8, 0), vec![]),
        ("spring-after", "Spring", at(12, 3600), vec![12]),
        ("spring-hourly", "Spring", "6 0 * * * *".to_owned(), vec![6]),
        ("spring-often", "Spring", often(), regular.clone()),
        ("autumn-before", "Autumn", at(-10, 3600), vec![-10]),
        ("autumn-repeated", "Autumn", at(8, 0), vec![8]),
        ("autumn-after", "Autumn", at(8, 3600), vec![]),
        ("autumn-hourly", "Autumn", "6 0 * * * *".to_owned(), vec![6]),
        ("autumn-often", "Autumn", often(), regular.clone()),
        ("half-skipped", "HalfSpring", at(8, 0), vec![]),
        ("half-after", "HalfSpring", at(8, 1800), vec![8]),
        ("half-spring-often", "HalfSpring", often(), regular.clone()),
        ("half-repeated", "HalfAutumn", at(8, -1800), vec![8]),
        ("half-hourly", "HalfAutumn", "6 30 * * * *".to_owned(), vec![6]),
        ("half-autumn-often", "HalfAutumn", often(), regular.clone()),
        ("short-repeated", "Short", at(-10, 0), vec![-10, 50]),
        ("short-often", "Short", often(), regular),
    ];
    for (name, zone, line, _) in &plans {
        client.schedule(echo(name), spec(line), Some(zone)).await.expect("scheduled");
    }
    assert!(now().0 / 1000 < change - 12, "all stand before the first is due");
    wait_until("the second pass of the repeated time", 5 * PATIENCE, || async {
        (fired(&fleet, "short-repeated").await.len() > 1).then_some(())
    })
    .await;
    for (name, zone, line, expected) in &plans {
        let mut when: Vec<i64> = fired(&fleet, name).await.iter().map(|(second, _)| second - change).collect();
        println!("{zone:10} {name:17} {line:16} fired {when:?} seconds after the change");
        // The line that fires all the time did so before, and may have done so since.
        when.retain(|second| (-15..=55).contains(second));
        // A broker short of time is late; it is never early.
        let is_due = |(second, due): (&i64, &i64)| (0..=4).contains(&(second - due));
        let fires = when.len() == expected.len() && when.iter().zip(expected).all(is_due);
        assert!(fires, "{name} in {zone} by {line} fired {when:?}, not {expected:?}");
    }
}
