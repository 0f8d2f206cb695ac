//! Schedules: asked of a coordinator, listed and ended.

use crate::bed::Fleet;

fn plant(fleet: &Fleet, id: &str, when: &str) {
    let broker = fleet.broker();
    let headers = nova_wire::Headers::new()
        .with("Nats-Schedule", when)
        .with("Nats-Schedule-Target", "nova.due.echo.low")
        .with("Nova-Id", format!("_.{id}"));
    let message = nova_broker::Message::new(format!("nova.schedule.echo._.{id}"), "1").with_headers(headers);
    fleet.block_on(async { broker.publish(message, nova_broker::Expect::NOTHING).await.expect("stored") });
}

#[test]
fn a_schedule_is_listed_shown_and_ended() {
    let fleet = Fleet::start();
    plant(&fleet, "nightly", "0 30 2 * * *");
    plant(&fleet, "once", "@at 2099-01-01T00:00:00Z");
    let rows = fleet.run(&["schedule", "ls", "--json"]).exits(0).rows();
    let told: Vec<_> = rows.iter().map(|row| (row["task"].as_str(), row["recurring"].as_bool())).collect();
    assert_eq!(told, [(Some("_.nightly"), Some(true)), (Some("_.once"), Some(false))]);
    assert_eq!(fleet.run(&["show", "once", "--json"]).exits(0).row()["state"], "scheduled");
    assert!(fleet.run(&["why", "once"]).exits(0).stdout.contains("its time has not come"));
    fleet.run(&["schedule", "rm", "once"]).exits(5).says("--yes");
    fleet.run(&["schedule", "rm", "once", "--yes"]).exits(0);
    fleet.run(&["schedule", "rm", "once", "--yes", "--skill", "echo"]).exits(4).says("has no schedule");
    assert_eq!(fleet.run(&["schedule", "ls", "--skill", "echo", "--json"]).exits(0).rows().len(), 1);
}

#[test]
fn without_a_coordinator_nothing_is_scheduled_and_a_bad_time_is_usage() {
    let fleet = Fleet::start();
    fleet.run(&["submit", "echo", "1", "--delay", "1h"]).exits(1).says("error[no_coordinator]");
    fleet.run(&["submit", "echo", "1", "--cron", "every day"]).exits(2).says("cron line");
    fleet.run(&["submit", "echo", "1", "--every", "1ms"]).exits(2).says("once a second");
    fleet.run(&["submit", "echo", "1", "--at", "noon"]).exits(2).says("not a moment");
    fleet.run(&["submit", "echo", "1", "--every", "1h", "--wait"]).exits(2);
}

#[test]
fn a_recurring_schedule_is_shown_with_its_moments_and_backfilled_once() {
    let fleet = Fleet::start();
    plant(&fleet, "nightly", "0 30 2 * * *");
    plant(&fleet, "once", "@at 2099-01-01T00:00:00Z");
    let shown = fleet.run(&["schedule", "show", "nightly", "--next", "2", "--json"]).exits(0).row();
    assert_eq!((shown["catch_up"].as_str(), shown["next"].as_array().map(Vec::len)), (Some("one"), Some(2)));
    let row = &fleet.run(&["schedule", "ls", "--json"]).exits(0).rows()[0];
    assert_eq!((row["catch_up"].as_str(), &row["next"]), (Some("one"), &shown["next"][0]));
    let range = ["schedule", "backfill", "nightly", "--from", "2026-03-01T00:00:00Z", "--to", "2026-03-04T00:00:00Z"];
    let with = |more: &[&'static str]| -> Vec<&str> { [&range[..], more].concat() };
    let states = |args: &[&str]| -> Vec<(String, String)> {
        let rows = fleet.run(args).exits(0).rows();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        rows.iter().map(|row| (text(&row["task"]), text(&row["state"]))).collect()
    };
    let all = |state: &str| -> Vec<(String, String)> {
        let seconds = [1_772_332_200, 1_772_418_600, 1_772_505_000];
        seconds.iter().map(|second| (format!("_.nightly-{second}"), state.to_owned())).collect()
    };
    assert_eq!(states(&with(&["--dry-run", "--json"])), all("planned"));
    fleet.run(&with(&[])).exits(5).says("--yes");
    fleet.run(&with(&["--limit", "2"])).exits(2).says("more than 2");
    assert_eq!(states(&with(&["--yes", "--json"])), all("submitted"));
    assert_eq!(states(&with(&["--yes", "--json"])), all("existing"));
    fleet.run(&["schedule", "backfill", "once", "--from", "1d", "--yes"]).exits(2).says("fires once");
    fleet.run(&["schedule", "backfill", "none", "--skill", "echo", "--from", "1d"]).exits(4).says("has no schedule");
    fleet.run(&["submit", "echo", "1", "--delay", "1h", "--catch-up", "all"]).exits(2).says("recurring");
}
