//! What becomes of a message that a schedule has fired.

use nova_types::{Code, Generation, Priority, Skill, TaskId, UnixMillis, codes};

/// Who a due task is recorded under when not even its subject names a skill.
const NOBODY: &str = "unknown";

/// When the schedule fires again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Never: it was a one-shot.
    Over,
    /// At this moment.
    At(UnixMillis),
    /// Again, but nobody said when.
    Unknown,
}

/// A fired message, as far as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// The skill and task of the schedule, `None` when it names none.
    pub schedule: Option<(Skill, TaskId)>,
    /// The queue it is for, `None` when its subject names none.
    pub target: Option<(Skill, Priority)>,
    /// The id it carries itself: `Some(None)` when that is malformed.
    pub given: Option<Option<TaskId>>,
    /// Whether the schedule fires again.
    pub next: Next,
    /// When the broker stored it.
    pub at: UnixMillis,
    /// Its stream sequence.
    pub sequence: u64,
}

/// What to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Publish it into this queue.
    Forward {
        /// The queue's skill.
        skill: Skill,
        /// The queue's priority.
        priority: Priority,
        /// The task's id.
        id: TaskId,
        /// The publish's own number.
        generation: Generation,
    },
    /// Publish a task for each moment it stands for.
    Recur {
        /// The queue's skill.
        skill: Skill,
        /// The queue's priority.
        priority: Priority,
        /// The schedule's own id.
        base: TaskId,
        /// When it fires again.
        next: UnixMillis,
    },
    /// End it unrun.
    Refuse {
        /// Whose record it goes into.
        skill: Skill,
        /// The id it is recorded under.
        id: TaskId,
        /// The code of the dead letter.
        code: Code,
        /// Why, for a person.
        why: String,
    },
}

/// Decides; whoever asks about the same message is told the same.
#[must_use]
pub fn decide(fired: &Fired) -> Due {
    let by_sequence = TaskId::from_sequence(fired.sequence);
    let refuse = |skill: Option<&Skill>, id: TaskId, code: &str, why: String| Due::Refuse {
        skill: skill.cloned().unwrap_or_else(|| Skill::new(NOBODY).expect("the word is a skill's name")),
        id,
        code: code.into(),
        why,
    };
    let target = fired.target.as_ref();
    let Some((owner, base)) = &fired.schedule else {
        let why = "no schedule says that it fired this".to_owned();
        return refuse(target.map(|(skill, _)| skill), by_sequence, codes::BAD_SUBJECT, why);
    };
    let id = match (&fired.given, fired.next) {
        (Some(None), Next::Over) => {
            let why = "the id it carries is malformed".to_owned();
            return refuse(Some(owner), base.clone(), codes::BAD_ID, why);
        }
        (Some(Some(given)), Next::Over) => given.clone(),
        (None, Next::Over) => base.clone(),
        // Each firing of a recurring schedule is a task of its own, whatever the schedule itself is called.
        (_, Next::At(_) | Next::Unknown) => base.of_moment(fired.at),
    };
    match (target, fired.next) {
        (Some((skill, priority)), Next::At(next)) if skill == owner => {
            Due::Recur { skill: skill.clone(), priority: *priority, base: base.clone(), next }
        }
        (Some((skill, priority)), _) if skill == owner => {
            Due::Forward { skill: skill.clone(), priority: *priority, id, generation: Generation::due(fired.sequence) }
        }
        (Some((skill, _)), _) => {
            let why = format!("a schedule of skill {owner} may not fire a task of skill {skill}");
            refuse(Some(owner), id, codes::BAD_SUBJECT, why)
        }
        (None, _) => refuse(Some(owner), id, codes::BAD_SUBJECT, "its subject names no queue".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired() -> Fired {
        let echo = Skill::new("echo").expect("a skill");
        Fired {
            schedule: Some((echo.clone(), "a.b".parse().expect("an id"))),
            target: Some((echo, Priority::Low)),
            given: None,
            next: Next::Over,
            at: UnixMillis(1_795_370_000_120),
            sequence: 7,
        }
    }

    #[track_caller]
    fn check(what: &str, change: impl FnOnce(&mut Fired), expect: &str) {
        let mut fired = fired();
        change(&mut fired);
        let got = match decide(&fired) {
            Due::Forward { skill, priority, id, generation } => format!("{skill}/{priority} {id}~{}", generation.0),
            Due::Recur { skill, priority, base, next } => format!("recur {skill}/{priority} {base} {}", next.0),
            Due::Refuse { skill, id, code, .. } => format!("refuse {skill} {id} {code}"),
        };
        assert_eq!(got, expect, "{what}");
    }

    #[test]
    fn a_one_shot_keeps_its_id() {
        check("plain", |_| {}, "echo/low a.b~14");
        check("with its own id", |f| f.given = Some("a.other".parse().ok()), "echo/low a.other~14");
    }

    #[test]
    fn a_recurring_one_stands_for_moments_of_its_schedule() {
        let next = Next::At(UnixMillis(1_795_370_060_000));
        check("on time", |f| f.next = next, "recur echo/low a.b 1795370060000");
        check(
            "its own id is the schedule's",
            |f| {
                f.next = next;
                f.given = Some("a.b".parse().ok());
            },
            "recur echo/low a.b 1795370060000",
        );
        check("nobody said when", |f| f.next = Next::Unknown, "echo/low a.b-1795370000~14");
    }

    #[test]
    fn what_is_not_a_schedules_own_is_refused() {
        let other = Skill::new("shell").expect("a skill");
        check(
            "another skill's queue",
            |f| f.target = Some((other.clone(), Priority::High)),
            "refuse echo a.b bad_subject",
        );
        check("no schedule", |f| f.schedule = None, "refuse echo _seq.7 bad_subject");
        check("no queue", |f| f.target = None, "refuse echo a.b bad_subject");
        check("nothing", |f| (f.target, f.schedule) = (None, None), "refuse unknown _seq.7 bad_subject");
        check("a malformed id", |f| f.given = Some(None), "refuse echo a.b bad_id");
    }
}
