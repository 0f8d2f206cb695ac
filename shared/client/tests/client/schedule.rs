//! Schedules, with a coordinator that answers by hand.

use futures_util::StreamExt as _;
use nova_broker::{Expect, Message};
use nova_client::{ScheduleError, ScheduleFilter, ScheduleReceipt};
use nova_types::{Priority, TaskState};
use nova_wire::{Headers, ScheduleSpec, Task, name, subject};

use crate::support::{Fleet, echo, far_future, id, on_both, task};

on_both!(
    without_a_coordinator_nothing_is_scheduled,
    a_schedule_is_made_listed_shown_and_removed,
    a_bad_time_is_refused_before_anyone_is_asked,
);

/// Answers every request to schedule, as a coordinator does; refuses an id that is scheduled already.
async fn coordinate(fleet: &Fleet) -> tokio::task::JoinHandle<()> {
    let broker = fleet.broker.clone();
    let mut asked = broker.listen(subject::ALL_LATER.to_owned(), Some("coordinators".into())).await.expect("listens");
    tokio::spawn(async move {
        while let Some(request) = asked.next().await {
            let (skill, id) = subject::parse_later(&request.subject).expect("of the contract");
            let spec: ScheduleSpec = request.headers.get(name::WHEN).expect("a time").parse().expect("a good time");
            let priority: Priority = request.headers.get(name::PRIORITY).expect("given").parse().expect("a priority");
            let mut headers = Task::republished_headers(&request.headers, &id, Default::default());
            headers.remove(name::MSG_ID);
            headers.set(name::SCHEDULE, spec.to_broker(far_future()));
            headers.set(name::SCHEDULE_TARGET, subject::due(&skill, priority));
            if let Some(zone) = request.headers.get(name::TIME_ZONE) {
                headers.set(name::SCHEDULE_TIME_ZONE, zone);
            }
            let message = Message::new(subject::schedule(&skill, &id), request.body.clone()).with_headers(headers);
            let reply = request.reply.expect("someone asks");
            let answer = match broker.publish(message, Expect::NOTHING).await {
                Ok(receipt) => {
                    let body = serde_json::json!({"stream": receipt.stream, "seq": receipt.sequence});
                    Message::new(reply, body.to_string())
                }
                Err(error) => {
                    let headers = Headers::new()
                        .with("Nats-Service-Error-Code", "409")
                        .with("Nats-Service-Error", error.to_string().replace('\n', " "));
                    Message::new(reply, "").with_headers(headers)
                }
            };
            broker.tell(answer).await.expect("sent");
        }
    })
}

async fn without_a_coordinator_nothing_is_scheduled(fleet: Fleet) {
    let when = "@in 1h".parse().expect("a time");
    let error = fleet.client.schedule(task("a", &1), when, None).await.expect_err("nobody is there");
    assert_eq!(error.code(), "no_coordinator");
}

async fn a_schedule_is_made_listed_shown_and_removed(fleet: Fleet) {
    let coordinator = coordinate(&fleet).await;
    let client = &fleet.client;
    let when = ScheduleSpec::At(far_future());
    let asked = task("once", &1).with_priority(Priority::Low);
    let receipt = client.schedule(asked.clone(), when.clone(), None).await.expect("scheduled");
    let expect = ScheduleReceipt { task: id("cli.once"), skill: echo(), stream: "NOVA_SCHEDULES".into(), sequence: 1 };
    assert_eq!(receipt, expect);
    let twice = client.schedule(asked, when, None).await.expect_err("it exists");
    assert!(matches!(&twice, ScheduleError::Refused { code, .. } if code == "409"), "{twice:?}");
    // The memory broker keeps no calendar.
    let (when, zone) = if fleet.memory.is_some() { ("@every 1d", None) } else { ("30 2 * * *", Some("Europe/Berlin")) };
    client.schedule(task("daily", &1), when.parse().expect("a time"), zone).await.expect("scheduled");
    let listed = client.schedules(&ScheduleFilter::default()).await.expect("read");
    let rows: Vec<_> = listed.iter().map(|e| (e.task.name().as_str(), e.priority, e.is_recurring())).collect();
    assert_eq!(rows, [("daily", Priority::Normal, true), ("once", Priority::Low, false)]);
    assert_eq!((listed[0].time_zone.as_deref(), listed[1].at), (zone, Some(far_future())));
    assert_eq!(client.find_skill(&id("cli.once")).await.expect("by its schedule"), echo());
    let (view, why) = client.why(&echo(), &id("cli.once")).await.expect("there");
    assert_eq!((view.state, why.len()), (TaskState::Scheduled, 1));
    assert!(client.unschedule(&echo(), &id("cli.once")).await.expect("removed"));
    assert!(!client.unschedule(&echo(), &id("cli.once")).await.expect("gone already"));
    assert_eq!(client.schedules(&ScheduleFilter { limit: Some(9), skill: Some(echo()) }).await.expect("read").len(), 1);
    let cancel = fleet.broker.last("NOVA_CONTROL".into(), subject::cancel(&echo(), &id("cli.once"))).await;
    assert!(cancel.expect("read").is_some(), "a one-shot task keeps its one outcome");
    coordinator.abort();
}

async fn a_bad_time_is_refused_before_anyone_is_asked(fleet: Fleet) {
    let when = ScheduleSpec::At(far_future());
    let error = fleet.client.schedule(task("a", &1), when, Some("Europe/Berlin")).await.expect_err("no cron line");
    assert_eq!(error.code(), "bad_schedule");
}
