//! What becomes of a message that a schedule has fired.

use nova_types::{Code, Generation, Name, Priority, Skill, TaskId, UnixMillis, codes};

/// The longest name of a task.
const NAME_LEN: usize = 64;

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
        (_, next) => recurring_id(base, nominal_second(fired.at, next)),
    };
    match target {
        Some((skill, priority)) if skill == owner => {
            Due::Forward { skill: skill.clone(), priority: *priority, id, generation: Generation::due(fired.sequence) }
        }
        Some((skill, _)) => {
            let why = format!("a schedule of skill {owner} may not fire a task of skill {skill}");
            refuse(Some(owner), id, codes::BAD_SUBJECT, why)
        }
        None => refuse(Some(owner), id, codes::BAD_SUBJECT, "its subject names no queue".to_owned()),
    }
}

/// The second a firing stands for: the nearest to when it fired, but always before the next one's.
///
/// Both moments are the broker's own, so every coordinator names the same second; and because the next firing's second is
/// never below `next`, no two firings of one schedule share a second, however late the broker was.
fn nominal_second(at: UnixMillis, next: Next) -> i64 {
    let nearest = at.0.saturating_add(500).div_euclid(1000);
    match next {
        Next::At(next) => nearest.min(next.0.div_euclid(1000) - 1),
        Next::Over | Next::Unknown => at.0.div_euclid(1000),
    }
}

/// `<name>-<seconds>`; a name too long for that is cut and told apart by its hash.
fn recurring_id(base: &TaskId, second: i64) -> TaskId {
    let tail = format!("-{second}");
    let name = base.name().as_str();
    let made = if name.len() + tail.len() <= NAME_LEN {
        format!("{name}{tail}")
    } else {
        let tail = format!("-{:016x}{tail}", fnv1a(name.as_bytes()));
        // Names are ASCII, so any cut is at a character's border.
        format!("{}{tail}", &name[..NAME_LEN.saturating_sub(tail.len()).min(name.len())])
    };
    match Name::new(made) {
        Ok(name) => TaskId::new(base.scope().clone(), name),
        // Only a second with more than 40 digits could make it too long.
        Err(_) => base.clone(),
    }
}

/// FNV-1a with 64 bits: enough to tell cut names apart, and the same in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn a_recurring_one_is_called_after_its_second() {
        let next = |ms| Next::At(UnixMillis(ms));
        check("on time", |f| f.next = next(1_795_370_060_000), "echo/low a.b-1795370000~14");
        check(
            "early by a hair",
            |f| {
                f.next = next(1_795_370_060_000);
                f.at = UnixMillis(1_795_369_999_998);
            },
            "echo/low a.b-1795370000~14",
        );
        check(
            "late",
            |f| {
                f.next = next(1_795_370_001_000);
                f.at = UnixMillis(1_795_370_000_900);
            },
            "echo/low a.b-1795370000~14",
        );
        check(
            "its own id is the schedule's",
            |f| {
                f.next = next(1_795_370_060_000);
                f.given = Some("a.b".parse().ok());
            },
            "echo/low a.b-1795370000~14",
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

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = |last: char| -> TaskId { format!("a.{}{last}", "x".repeat(63)).parse().expect("an id") };
        let (one, two) = (recurring_id(&long('1'), 1_795_370_000), recurring_id(&long('2'), 1_795_370_000));
        assert_ne!(one, two);
        assert_eq!(one.name().as_str().len(), 64);
        assert!(one.name().as_str().ends_with("-1795370000"), "{one}");
    }

    proptest! {
        /// A schedule that fires each second or more seldom, with timers that are early by 3 ms at most and late by any time.
        #[test]
        fn no_two_firings_share_an_id(start in 0_i64..5_000, every in 1_000_i64..5_000, late in proptest::collection::vec(-3_i64..4_000, 2..20)) {
            let mut nominal = 1_795_370_000_000 + start;
            let mut last = None;
            for late in late {
                let at = nominal + late;
                // The broker counts the next one from the first nominal moment behind the firing.
                let mut next = nominal + every;
                while next <= at {
                    next += every;
                }
                let second = nominal_second(UnixMillis(at), Next::At(UnixMillis(next)));
                prop_assert!(last.is_none_or(|last| second > last), "{last:?} {second}");
                (last, nominal) = (Some(second), next);
            }
        }
    }
}
