//! Subjects, built and parsed nowhere else.

use nova_types::{Priority, Scope, Skill, TaskId};

mod keyed;
mod runs;

pub use keyed::{
    key_in_partition, keyed_leases, keyed_member, keyed_space, keyed_stored, keyed_task, partition, partition_lease,
    partition_of, task_for, task_of,
};
pub use runs::{
    ALL_ORDERS, ALL_RUNS, RUN_SPACES, order, orders_of, outcomes_of_partition, parse_order, parse_run, run, run_event,
    run_of_any_partition, snapshot,
};

/// Every due task, for the coordinators.
pub const ALL_DUE: &str = "nova.due.>";
/// Every accepted cancel, for the coordinators.
pub const ALL_CANCELS: &str = "nova.control.cancel.>";
/// The subjects of the streams that are not per skill.
pub const OUTCOME_SPACE: &str = "nova.outcome.*.*.*";
/// See [`OUTCOME_SPACE`].
pub const ATTEMPT_SPACE: &str = "nova.attempt.*.*.*";
/// See [`OUTCOME_SPACE`].
pub const DEAD_SPACE: &str = "nova.dead.*.*.*";
/// See [`OUTCOME_SPACE`].
pub const SCHEDULE_SPACE: &str = "nova.schedule.*.*.*";
/// See [`OUTCOME_SPACE`].
pub const DUE_SPACE: &str = "nova.due.*.*";
/// See [`OUTCOME_SPACE`].
pub const CANCEL_SPACE: &str = "nova.control.cancel.*.*.*";
/// See [`OUTCOME_SPACE`].
pub const EVENT_SPACE: &str = "nova.event.>";

/// Where a task waits for its skill.
#[must_use]
pub fn task(skill: &Skill, priority: Priority) -> String {
    match priority {
        Priority::Normal => format!("nova.task.{skill}"),
        other => format!("nova.task.{skill}.{other}"),
    }
}

/// A task's subject, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPlace<'a> {
    /// The skill.
    pub skill: Skill,
    /// The priority.
    pub priority: Priority,
    /// The token of its key, where it has one.
    pub token: Option<&'a str>,
}

/// Takes a task's subject apart: as clients publish it, or as the stream of a keyed skill stores it.
#[must_use]
pub fn parse_place(subject: &str) -> Option<TaskPlace<'_>> {
    let parts: Vec<&str> = subject.strip_prefix("nova.task.")?.split('.').collect();
    let (skill, priority, token) = match *parts.as_slice() {
        [skill] => (skill, "normal", None),
        [skill, priority] => (skill, priority, None),
        [skill, priority, token] => (skill, priority, Some(token)),
        [skill, priority, partition, token] if number::<u16>(partition).is_some() => (skill, priority, Some(token)),
        _ => return None,
    };
    if token.is_some_and(str::is_empty) {
        return None;
    }
    Some(TaskPlace { skill: Skill::new(skill).ok()?, priority: priority.parse().ok()?, token })
}

/// The skill and priority of a task's subject.
#[must_use]
pub fn parse_task(subject: &str) -> Option<(Skill, Priority)> {
    parse_place(subject).map(|place| (place.skill, place.priority))
}

/// The part of a subject that tells its stream, where many publish to that stream at once and in no order of their own:
/// outcomes, and tasks without a key.
#[must_use]
pub fn commit_group(subject: &str) -> Option<&str> {
    if subject.starts_with("nova.outcome.") {
        return Some("nova.outcome");
    }
    let place = subject.strip_prefix("nova.task.")?;
    let end = place.find('.').unwrap_or(place.len());
    matches!(&place[end..], "" | ".high" | ".low").then(|| &subject[.."nova.task.".len() + end])
}

macro_rules! by_task {
    ($(#[$doc:meta])* $build:ident, $parse:ident, $prefix:literal) => {
        $(#[$doc])*
        #[must_use]
        pub fn $build(skill: &Skill, id: &TaskId) -> String {
            // Several of them for each task: put together, not formatted.
            [$prefix, skill.as_str(), ".", id.scope().as_str(), ".", id.name().as_str()].concat()
        }

        /// The skill and task of such a subject.
        #[must_use]
        pub fn $parse(subject: &str) -> Option<(Skill, TaskId)> {
            parse_skill_and_task(subject.strip_prefix($prefix)?)
        }
    };
}

by_task!(
    /// The terminal record of a task.
    outcome, parse_outcome, "nova.outcome."
);
by_task!(
    /// The attempts of a task.
    attempt, parse_attempt, "nova.attempt."
);
by_task!(
    /// The dead letter of a task.
    dead, parse_dead, "nova.dead."
);
by_task!(
    /// The schedule of a task.
    schedule, parse_schedule, "nova.schedule."
);
by_task!(
    /// The cancel of a task.
    cancel, parse_cancel, "nova.control.cancel."
);
by_task!(
    /// Where waiters hear that a task ended.
    done, parse_done, "nova.done."
);
by_task!(
    /// Where a coordinator is asked to schedule a task.
    later, parse_later, "nova.later."
);

/// A number as it stands in a subject: one with a sign or a zero in front would be another subject of the same thing.
fn number<N: std::str::FromStr>(token: &str) -> Option<N> {
    let is_plain = token == "0" || token.starts_with(|c: char| matches!(c, '1'..='9'));
    token.parse().ok().filter(|_| is_plain)
}

fn parse_skill_and_task(rest: &str) -> Option<(Skill, TaskId)> {
    let (skill, id) = rest.split_once('.')?;
    // Three tokens exactly: a plain id never stands in a subject.
    if id.matches('.').count() != 1 {
        return None;
    }
    Some((Skill::new(skill).ok()?, id.parse().ok()?))
}

/// Where a schedule publishes when its time has come.
#[must_use]
pub fn due(skill: &Skill, priority: Priority) -> String {
    format!("nova.due.{skill}.{priority}")
}

/// The skill and priority of a due task.
#[must_use]
pub fn parse_due(subject: &str) -> Option<(Skill, Priority)> {
    let (skill, priority) = subject.strip_prefix("nova.due.")?.split_once('.')?;
    Some((Skill::new(skill).ok()?, priority.parse().ok()?))
}

/// One lifecycle fact of a task.
#[must_use]
pub fn task_event(kind: &str, skill: &Skill, id: &TaskId) -> String {
    format!("nova.event.task.{kind}.{skill}.{id}")
}

/// Where a skill is asked and waited for.
#[must_use]
pub fn call(skill: &Skill) -> String {
    format!("nova.call.{skill}")
}

/// The skill that is asked for.
#[must_use]
pub fn parse_call(subject: &str) -> Option<Skill> {
    Skill::new(subject.strip_prefix("nova.call.")?).ok()
}

/// Every call, for the coordinators' service.
pub const ALL_CALLS: &str = "nova.call.*";
/// Every request to schedule, for the coordinators' service.
pub const ALL_LATER: &str = "nova.later.*.*.*";

/// Where a submitter of this scope hears the end of its tasks.
#[must_use]
pub fn done_of_scope(scope: &Scope) -> String {
    format!("nova.done.*.{scope}.*")
}

/// Every end of a task.
pub const ALL_DONE: &str = "nova.done.*.*.*";
/// Every lifecycle fact of a task.
pub const ALL_TASK_EVENTS: &str = "nova.event.task.>";

/// The cancels of one skill.
#[must_use]
pub fn cancels_of(skill: &Skill) -> String {
    format!("nova.control.cancel.{skill}.>")
}

/// The outcomes of one skill.
#[must_use]
pub fn outcomes_of(skill: &Skill) -> String {
    format!("nova.outcome.{skill}.>")
}

/// The outcomes of one skill whose tasks are named in one scope.
#[must_use]
pub fn outcomes_of_scope(skill: &Skill, scope: &Scope) -> String {
    format!("nova.outcome.{skill}.{scope}.*")
}

/// The dead letters of one skill.
#[must_use]
pub fn dead_of(skill: &Skill) -> String {
    format!("nova.dead.{skill}.>")
}

/// The schedules of one skill.
#[must_use]
pub fn schedules_of(skill: &Skill) -> String {
    format!("nova.schedule.{skill}.>")
}

/// The record of a task whose skill is not known: every skill's subject of that id.
#[must_use]
pub fn outcome_of_any_skill(id: &TaskId) -> String {
    format!("nova.outcome.*.{id}")
}

/// The dead letter of a task whose skill is not known.
#[must_use]
pub fn dead_of_any_skill(id: &TaskId) -> String {
    format!("nova.dead.*.{id}")
}

/// The attempts of a task whose skill is not known.
#[must_use]
pub fn attempt_of_any_skill(id: &TaskId) -> String {
    format!("nova.attempt.*.{id}")
}

/// The schedule of a task whose skill is not known.
#[must_use]
pub fn schedule_of_any_skill(id: &TaskId) -> String {
    format!("nova.schedule.*.{id}")
}

/// The presence of one worker in its bucket.
#[must_use]
pub fn presence(worker: &nova_types::WorkerId) -> String {
    format!("$KV.{}.{worker}", crate::assets::WORKERS_BUCKET)
}

/// One key of a key-value bucket; `>` for all of them.
#[must_use]
pub fn bucket_key(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}

/// What is known of a recurring schedule's moments, in the bucket of fleet-wide state.
#[must_use]
pub fn cron_state(skill: &Skill, id: &TaskId) -> String {
    bucket_key(crate::assets::CONFIG_BUCKET, &format!("cron.{skill}.{id}"))
}

/// The same of every recurring schedule.
#[must_use]
pub fn all_cron_states() -> String {
    bucket_key(crate::assets::CONFIG_BUCKET, "cron.>")
}

/// The skill and id of a recurring schedule whose moments these are.
#[must_use]
pub fn parse_cron_state(subject: &str) -> Option<(Skill, TaskId)> {
    parse_skill_and_task(subject.strip_prefix(&bucket_key(crate::assets::CONFIG_BUCKET, "cron."))?)
}

/// Where one reply is told, and its scope.
#[must_use]
pub fn parse_reply(subject: &str) -> Option<(Scope, &str)> {
    let (scope, token) = subject.strip_prefix("nova.reply.")?.split_once('.')?;
    let scope = Scope::new(scope).ok()?;
    nova_types::Name::new(token).ok()?;
    Some((scope, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skill() -> Skill {
        Skill::new("echo").expect("a skill")
    }

    #[test]
    fn subjects_parse_to_what_they_were_built_from() {
        let id: TaskId = "s.n".parse().expect("an id");
        assert_eq!(parse_outcome(&outcome(&skill(), &id)), Some((skill(), id.clone())));
        assert_eq!(parse_cancel(&cancel(&skill(), &id)), Some((skill(), id.clone())));
        assert_eq!(parse_cron_state(&cron_state(&skill(), &id)), Some((skill(), id.clone())));
        assert_eq!(parse_schedule(&schedule(&skill(), &id)), Some((skill(), id)));
        for priority in Priority::ALL {
            assert_eq!(parse_task(&task(&skill(), priority)), Some((skill(), priority)));
            assert_eq!(parse_due(&due(&skill(), priority)), Some((skill(), priority)));
        }
        assert_eq!(task(&skill(), Priority::Normal), "nova.task.echo");
    }

    #[test]
    fn what_goes_to_one_stream_is_told_by_its_subject() {
        for (subject, group) in [
            ("nova.outcome.echo.a.b", Some("nova.outcome")),
            ("nova.task.echo", Some("nova.task.echo")),
            ("nova.task.echo.high", Some("nova.task.echo")),
            ("nova.task.echo.normal.key", None),
            ("nova.run.0.x", None),
        ] {
            assert_eq!(commit_group(subject), group, "{subject}");
        }
    }

    #[test]
    fn foreign_subjects_parse_to_nothing() {
        for bad in
            ["nova.task.", "nova.task.Echo", "nova.task.echo.urgent", "nova.task.echo.high.x.k", "x", "nova.task.echo."]
        {
            assert_eq!(parse_task(bad), None, "{bad}");
        }
        for bad in ["nova.outcome.echo.n", "nova.outcome.echo.a.b.c", "nova.outcome.echo.a.", "nova.outcome..a.b"] {
            assert_eq!(parse_outcome(bad), None, "{bad}");
        }
        assert_eq!(parse_reply("nova.reply.cli.tok").map(|(s, t)| (s.to_string(), t)), Some(("cli".into(), "tok")));
        for bad in ["_INBOX.x", "nova.reply.cli", "nova.reply.cli.a.b", "nova.reply.*.x", "nova.reply.>"] {
            assert_eq!(parse_reply(bad), None, "{bad}");
        }
    }
}
