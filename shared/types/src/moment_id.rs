//! The id of what a recurring schedule fires: the schedule's own, and the second it stands for.

use crate::{Fnv1a, Generation, Name, TaskId, UnixMillis};

/// The longest name of a task.
const NAME_LEN: usize = 64;

impl TaskId {
    /// The task that a recurring schedule of this id stands for at a moment: `<name>-<Unix seconds>`.
    ///
    /// A name too long for that is cut and told apart by its hash.
    #[must_use]
    pub fn of_moment(&self, moment: UnixMillis) -> Self {
        let tail = format!("-{}", moment.0.div_euclid(1000));
        let name = self.name().as_str();
        let made = if name.len() + tail.len() <= NAME_LEN {
            format!("{name}{tail}")
        } else {
            let tail = format!("-{:016x}{tail}", Fnv1a::of(name.as_bytes()).value());
            // Names are ASCII, so any cut is at a character's border.
            format!("{}{tail}", &name[..NAME_LEN.saturating_sub(tail.len()).min(name.len())])
        };
        match Name::new(made) {
            Ok(name) => Self::new(self.scope().clone(), name),
            // Only a second with more than 40 digits could make it too long.
            Err(_) => self.clone(),
        }
    }
}

impl Generation {
    /// Of a task that stands for a moment of a recurring schedule: whoever publishes it, on time, late or by backfill,
    /// gives it the same number, so that two of them at once are one.
    #[must_use]
    pub fn of_moment(moment: UnixMillis) -> Self {
        Self::due(u64::try_from(moment.0.div_euclid(1000)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: UnixMillis = UnixMillis(1_795_370_000_120);

    #[test]
    fn a_moments_task_is_called_after_its_second() {
        let id: TaskId = "a.b".parse().expect("an id");
        assert_eq!(id.of_moment(MOMENT).to_string(), "a.b-1795370000");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = |last: char| -> TaskId { format!("a.{}{last}", "x".repeat(63)).parse().expect("an id") };
        let (one, two) = (long('1').of_moment(MOMENT), long('2').of_moment(MOMENT));
        assert_ne!(one, two);
        assert_eq!(one.name().as_str().len(), 64);
        assert!(one.name().as_str().ends_with("-1795370000"), "{one}");
    }
}
