//! What the facts of a fleet mean: a decision without a broker.

use nova_client::QueueView;
use nova_wire::WorkerRow;

use super::Limits;
use super::report::{Item, Perf, Report, Status};

#[expect(clippy::cast_precision_loss, reason = "a count above 2^52 is as alarming when it is rounded")]
fn number(value: u64) -> f64 {
    value as f64
}

/// Judges one queue: how much waits, for how long, how full it is, and whether anyone takes from it.
pub(super) fn queue(queue: &QueueView, workers: &[WorkerRow], limits: &Limits, report: &mut Report) {
    let skill = queue.skill.as_str();
    let waiting = queue.waiting();
    let perf = |name, value, warning, critical, unit| Perf {
        name,
        skill: Some(skill.to_owned()),
        value,
        warning,
        critical,
        unit,
    };
    let counted = perf("waiting", number(waiting), number(limits.waiting_warning), number(limits.waiting_critical), "");
    report.measure(Item::Queue, counted, || format!("{skill}: {waiting} tasks wait"));
    report.perf.push(perf("running", number(queue.running()), 0.0, 0.0, ""));
    let oldest = queue.oldest().map_or(0, |at| u64::try_from(queue.now.0.saturating_sub(at.0)).unwrap_or(0));
    let aged = perf(
        "oldest",
        number(oldest) / 1000.0,
        limits.oldest_warning.0.as_secs_f64(),
        limits.oldest_critical.0.as_secs_f64(),
        "s",
    );
    report.measure(Item::Queue, aged, || format!("{skill}: the oldest task waits for {} s", oldest / 1000));
    if let Some(most) = queue.max_bytes.filter(|most| *most > 0) {
        let share = queue.bytes.saturating_mul(100) / most;
        let full = perf("full", number(share), number(limits.full_warning), number(limits.full_critical), "%");
        report.measure(Item::Queue, full, || format!("{skill}: {share} % of the queue's bytes are used"));
    }
    if queue.lanes.iter().any(|lane| lane.paused_until.is_some()) {
        report.add(Status::Warning, Item::Queue, format!("{skill}: paused"));
    }
    let able = workers.iter().filter(|row| row.skills.iter().any(|has| has.name == queue.skill));
    let taking = able.filter(|row| !row.draining).count();
    if taking == 0 && waiting > 0 {
        report.add(Status::Critical, Item::Queue, format!("{skill}: {waiting} tasks wait and no worker takes them"));
    }
}

/// Judges the workers: someone must be there.
pub(super) fn workers(workers: &[WorkerRow], report: &mut Report) {
    let draining = workers.iter().filter(|row| row.draining).count();
    let perf = |name, value| Perf { name, skill: None, value, warning: 0.0, critical: 0.0, unit: "" };
    report.perf.push(perf("workers", number(workers.len() as u64)));
    report.perf.push(perf("slots", number(workers.iter().map(|row| u64::from(row.slots)).sum())));
    report.perf.push(perf("busy", number(workers.iter().map(|row| u64::from(row.running)).sum())));
    match workers.len() - draining {
        0 => report.add(Status::Critical, Item::Worker, format!("no worker takes tasks ({draining} draining)")),
        taking => report.add(Status::Ok, Item::Worker, format!("{taking} present")),
    }
}

/// Judges how many dead letters there are.
pub(super) fn dead(count: u64, limits: &Limits, report: &mut Report) {
    let (warning, critical) = (number(limits.dead_warning), number(limits.dead_critical));
    let perf = Perf { name: "dead", skill: None, value: number(count), warning, critical, unit: "" };
    report.measure(Item::Dead, perf, || format!("{count} dead letters: nova dead ls"));
    report.settle(Item::Dead, format!("{count} dead letters"));
}

/// Judges drift: what is missing stops work, what differs does not.
pub(super) fn provision(rows: &[nova_provision::Row], report: &mut Report) {
    let drift: Vec<&nova_provision::Row> = rows.iter().filter(|row| row.is_drift()).collect();
    let Some(first) = drift.first() else {
        report.add(Status::Ok, Item::Provision, "as it is wanted");
        return;
    };
    let is_missing = drift.iter().any(|row| matches!(row.action, "create" | "start"));
    let status = if is_missing { Status::Critical } else { Status::Warning };
    let name = first.consumer.as_ref().map_or_else(|| first.stream.clone(), |name| format!("{}/{name}", first.stream));
    let text =
        format!("{} differences, the first: {} {} {name}; nova provision plan", drift.len(), first.action, first.asset);
    report.add(status, Item::Provision, text);
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use nova_client::LaneView;
    use nova_types::{Priority, Skill, UnixMillis};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        limits: Limits,
    }

    fn limits(args: &[&str]) -> Limits {
        Line::parse_from(["x"].iter().chain(args)).limits
    }

    fn view(waiting: u64, age_ms: i64, is_paused: bool) -> QueueView {
        let now = UnixMillis(1_000_000_000);
        let lane = LaneView {
            of: nova_client::LaneOf::Priority(Priority::Normal),
            waiting,
            running: 0,
            redelivered: 0,
            idle_pulls: 0,
            most_running: 10,
            oldest: (waiting > 0).then_some(UnixMillis(now.0 - age_ms)),
            paused_until: is_paused.then_some(now),
            last_taken: None,
            delivered: 0,
            ack_floor: 0,
        };
        QueueView {
            skill: Skill::new("echo").expect("a skill"),
            stream: "NOVA_TASKS_echo".into(),
            lanes: vec![lane],
            messages: waiting,
            bytes: 85,
            max_bytes: Some(100),
            max_messages: None,
            first_sequence: 1,
            last_sequence: waiting,
            now,
            policy: nova_wire::SkillPolicy::default(),
        }
    }

    #[track_caller]
    fn check(view: &QueueView, args: &[&str], expect: &[&str]) {
        let mut report = Report::default();
        queue(view, &[], &limits(args), &mut report);
        let told: Vec<String> =
            report.findings.iter().map(|found| format!("{} {}", found.status.as_str(), found.text)).collect();
        assert_eq!(told, expect);
    }

    #[test]
    fn a_queue_is_judged_by_age_count_fill_and_takers() {
        let off = &["--full-warning", "0"];
        check(&view(0, 0, false), off, &[]);
        check(&view(0, 0, true), off, &["WARNING echo: paused"]);
        check(&view(0, 0, false), &[], &["WARNING echo: 85 % of the queue's bytes are used"]);
        check(
            &view(7, 400_000, false),
            &["--full-warning", "0", "--waiting-critical", "7"],
            &[
                "CRITICAL echo: 7 tasks wait",
                "WARNING echo: the oldest task waits for 400 s",
                "CRITICAL echo: 7 tasks wait and no worker takes them",
            ],
        );
    }

    #[test]
    fn the_worst_finding_is_the_status() {
        let mut report = Report::default();
        assert_eq!(report.status(), Status::Unknown);
        dead(0, &limits(&[]), &mut report);
        assert_eq!(report.status(), Status::Ok);
        dead(3, &limits(&[]), &mut report);
        report.add(Status::Unknown, Item::Worker, "?");
        assert_eq!(report.status(), Status::Unknown);
        workers(&[], &mut report);
        assert_eq!((report.status(), report.status_of(Item::Dead)), (Status::Critical, Some(Status::Warning)));
    }
}
