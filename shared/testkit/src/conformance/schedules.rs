//! The broker's own schedules.

use std::time::Duration;

use nova_broker::{BrokerRef, Expect, PublishError, Purge};
use nova_types::UnixMillis;
use nova_wire::{Headers, format_rfc3339, name, parse_rfc3339};

use super::ground::{Ground, SOON, bodies, text};
use crate::wait_until;

const SECOND: Duration = Duration::from_secs(1);
/// The broker's timers count whole milliseconds, and its clock is read at another moment than it fires.
const SLACK: Duration = Duration::from_millis(50);

async fn ground(broker: BrokerRef, name: &'static str) -> Ground {
    Ground::new(broker, name, |spec| (spec.allow_schedules, spec.allow_ttl) = (true, true)).await
}

impl Ground {
    /// The broker's clock.
    async fn now(&self) -> UnixMillis {
        self.put("clock", "").await;
        self.last("clock").await.expect("it was just put").at
    }

    fn orders(&self, when: &str) -> Headers {
        Headers::new().with(name::SCHEDULE, when).with(name::SCHEDULE_TARGET, self.subject("due.a"))
    }

    /// Schedules `body` on `schedule.<rest>` for `due.a`, `pause` from now.
    async fn schedule(&self, rest: &str, body: &str, pause: Duration) -> UnixMillis {
        let at = self.now().await.plus(pause);
        let orders = self.orders(&format!("@at {}", format_rfc3339(at)));
        self.put_with(&format!("schedule.{rest}"), body, orders).await;
        at
    }

    /// Waits until `count` messages have come due, and says their bodies.
    async fn due(&self, count: usize) -> Vec<String> {
        let all = wait_until("what is due", SOON, async || {
            let all = self.all("due.>").await;
            (all.len() >= count).then_some(all)
        });
        all.await.iter().map(|stored| text(&stored.body)).collect()
    }
}

pub(super) async fn a_schedule_fires_once_and_purges_itself(broker: BrokerRef) {
    let ground = ground(broker, "once").await;
    let at = ground.now().await.plus(SECOND);
    let orders = ground.orders(&format!("@at {}", format_rfc3339(at)));
    let headers = orders.with(name::MSG_ID, "id").with("Nova-Id", "x.y");
    ground.send("schedule.a", "body", headers, Expect::NOTHING).await.expect("it is taken");
    let is_there = ground.last("schedule.a").await.is_some();
    assert!(is_there || ground.now().await >= at, "it is gone before its time");
    let due = wait_until("it to fire", SOON, async || ground.last("due.a").await).await;
    assert!(due.at.plus(SLACK) >= at, "it fired {:?} early", at.since(due.at));
    assert_eq!(text(&due.body), "body");
    let header = |name| due.headers.get(name);
    assert_eq!((header(name::SCHEDULER), header(name::SCHEDULE_NEXT)), (Some("once.schedule.a"), Some("purge")));
    assert_eq!(header("Nova-Id"), Some("x.y"));
    for stripped in [name::SCHEDULE, name::SCHEDULE_TARGET, name::MSG_ID, name::EXPECTED_LAST_SUBJECT_SEQUENCE] {
        assert_eq!(header(stripped), None, "{stripped}");
    }
    ground.wait_empty("schedule.a").await;
    // Were it to fire again, it would before the next one.
    ground.schedule("b", "next", SECOND).await;
    assert_eq!(ground.due(2).await, ["body", "next"]);
}

pub(super) async fn a_schedule_in_the_past_fires_soon(broker: BrokerRef) {
    let ground = ground(broker, "past").await;
    let at = format_rfc3339(UnixMillis(ground.now().await.0 - 3_600_000));
    ground.put_with("schedule.a", "late", ground.orders(&format!("@at {at}"))).await;
    assert_eq!(ground.due(1).await, ["late"]);
    ground.wait_empty("schedule.a").await;
}

pub(super) async fn a_repeating_schedule_fires_again(broker: BrokerRef) {
    let ground = ground(broker, "every").await;
    ground.put_with("schedule.a", "tick", ground.orders("@every 1s")).await;
    ground.due(2).await;
    assert!(ground.last("schedule.a").await.is_some());
    let [one, two, ..] = &ground.all("due.a").await[..] else { panic!("two have fired") };
    let next = one.headers.get(name::SCHEDULE_NEXT).and_then(parse_rfc3339).expect("it names its next moment");
    assert!(next > one.at && two.at.plus(SLACK) >= next, "{one:?} {two:?}");
    ground.broker.purge(ground.stream.clone(), Purge::Subject("every.schedule.a".into())).await.expect("it is there");
    ground.wait_empty("schedule.a").await;
}

/// Schedules a message, undoes that by `undo`, and shows that a later one fires and this one does not.
///
/// On a machine that stood still until it was due the claim has not been tried; so it is again, with more time.
async fn check_undone(ground: &Ground, undo: impl AsyncFn(&str)) {
    for (round, pause) in [SECOND, 5 * SECOND, 20 * SECOND].into_iter().enumerate() {
        let (rest, undone) = (format!("undone{round}"), format!("undone{round}"));
        let at = ground.schedule(&rest, &undone, pause).await;
        undo(&rest).await;
        if ground.now().await >= at {
            continue;
        }
        ground.schedule("later", "later", pause + SECOND).await;
        let due = wait_until("the later one to fire", 2 * SOON, async || {
            let due: Vec<_> = ground.all("due.>").await.iter().map(|stored| text(&stored.body)).collect();
            due.contains(&"later".to_owned()).then_some(due)
        });
        let due = due.await;
        assert!(!due.contains(&undone), "{due:?}");
        return;
    }
    panic!("the machine was too slow to try it");
}

pub(super) async fn a_replaced_schedule_does_not_fire(broker: BrokerRef) {
    let ground = ground(broker, "replace").await;
    check_undone(&ground, async |rest| {
        ground.schedule(rest, "new", SECOND).await;
    })
    .await;
    assert!(ground.due(2).await.contains(&"new".to_owned()));
}

pub(super) async fn a_purged_schedule_does_not_fire(broker: BrokerRef) {
    let ground = ground(broker, "purged").await;
    check_undone(&ground, async |rest| {
        let purge = Purge::Subject(ground.subject(&format!("schedule.{rest}")));
        ground.broker.purge(ground.stream.clone(), purge).await.expect("the broker answers");
    })
    .await;
}

pub(super) async fn a_schedule_is_ended_by_whoever_names_it(broker: BrokerRef) {
    let ground = ground(broker, "ended").await;
    check_undone(&ground, async |rest| {
        let schedule = format!("schedule.{rest}");
        let headers =
            Headers::new().with(name::SCHEDULER, ground.subject(&schedule)).with(name::SCHEDULE_NEXT, "purge");
        ground.put_with("due.a", "at once", headers).await;
        ground.wait_empty(&schedule).await;
    })
    .await;
}

pub(super) async fn a_fired_message_wakes_a_waiting_pull(broker: BrokerRef) {
    let ground = ground(broker, "wakes").await;
    ground.consumer("c", "due.>", |_| {}).await;
    ground.schedule("a", "1", SECOND).await;
    assert_eq!(bodies(&[ground.next("c").await]), ["1"]);
}

pub(super) async fn a_crooked_schedule_is_refused(broker: BrokerRef) {
    let none = Ground::new(broker.clone(), "noschedule", |_| {}).await;
    let ground = ground(broker, "crooked").await;
    let refused = async |ground: &Ground, when: &str, target: &str| {
        let orders = Headers::new().with(name::SCHEDULE, when).with(name::SCHEDULE_TARGET, target);
        match ground.send("schedule.a", "", orders, Expect::Any).await {
            Err(PublishError::Refused { code, .. }) => code,
            other => panic!("{when} {target}: {other:?}"),
        }
    };
    assert_eq!(refused(&none, "@every 1s", "noschedule.due.a").await, 10188);
    for when in ["@at noon", "@every 100ms", "often"] {
        assert_eq!(refused(&ground, when, "crooked.due.a").await, 10189, "{when}");
    }
    for target in ["elsewhere.a", "crooked.schedule.a", "crooked.due.*"] {
        assert_eq!(refused(&ground, "@every 1s", target).await, 10190, "{target}");
    }
}
