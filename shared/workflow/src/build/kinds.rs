//! The kinds of steps, built in Rust.

use std::time::Duration;

use nova_types::{DurationText, StepId};

use super::{InvalidName, ids};
use crate::definition::{
    Approval, Case, Choice, Expr, Failures, Join, Loop, Map, Need, Rest, Rule, Template, Tolerate, Undecided, Vote,
    Voter, Wait, Work,
};

impl Map {
    /// This work for each item of that list.
    #[must_use]
    pub fn over(over: impl Into<Expr>, work: Work) -> Self {
        Self { over: over.into(), work, parallel: None, bundle: None, tolerate: Tolerate::default() }
    }

    /// Bounds its tasks under way at once.
    #[must_use]
    pub fn parallel(self, most: u32) -> Self {
        Self { parallel: Some(most), ..self }
    }

    /// Packs that many items into each task.
    #[must_use]
    pub fn bundle(self, items: u32) -> Self {
        Self { bundle: Some(items), ..self }
    }

    /// Says how many items may fail.
    #[must_use]
    pub fn tolerate(self, tolerate: Tolerate) -> Self {
        Self { tolerate, ..self }
    }
}

impl Join {
    /// All of these steps.
    ///
    /// # Errors
    /// When an id does not fit.
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidName> {
        Ok(Self { of: ids(steps)?, need: Need::default(), failures: Failures::default(), rest: Rest::default() })
    }

    /// Says how many must complete.
    #[must_use]
    pub fn need(self, need: Need) -> Self {
        Self { need, ..self }
    }

    /// Says how failed steps count.
    #[must_use]
    pub fn failures(self, failures: Failures) -> Self {
        Self { failures, ..self }
    }

    /// Says what becomes of the others.
    #[must_use]
    pub fn rest(self, rest: Rest) -> Self {
        Self { rest, ..self }
    }
}

impl Vote {
    /// One work done so many times.
    #[must_use]
    pub fn times(times: u32, work: Work) -> Self {
        Self { work: Some(work), times: Some(times), ..Self::by([]) }
    }

    /// Different voters.
    #[must_use]
    pub fn by(voters: impl IntoIterator<Item = Voter>) -> Self {
        Self {
            work: None,
            times: None,
            by: voters.into_iter().collect(),
            ballot: None,
            rule: Rule::default(),
            quorum: None,
            undecided: Undecided::default(),
            judge: None,
        }
    }

    /// Says where in a voter's `result` its ballot is.
    #[must_use]
    pub fn ballot(self, ballot: impl Into<Expr>) -> Self {
        Self { ballot: Some(ballot.into()), ..self }
    }

    /// Says what a winner needs.
    #[must_use]
    pub fn rule(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }

    /// Says how many ballots must be cast.
    #[must_use]
    pub fn quorum(self, quorum: u32) -> Self {
        Self { quorum: Some(quorum), ..self }
    }

    /// Lets the step complete without a winner.
    #[must_use]
    pub fn or_continue(self) -> Self {
        Self { undecided: Undecided::Continue, ..self }
    }

    /// Lets this work decide when there is no winner.
    #[must_use]
    pub fn or_judge(self, judge: Work) -> Self {
        Self { undecided: Undecided::Judge, judge: Some(judge), ..self }
    }
}

impl Voter {
    /// A voter whose ballot counts once.
    #[must_use]
    pub fn new(work: Work) -> Self {
        Self { work, weight: None }
    }

    /// Says how much its ballot counts.
    #[must_use]
    pub fn weight(self, weight: u32) -> Self {
        Self { weight: Some(weight), ..self }
    }
}

impl Choice {
    /// A choice without cases yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a choice without cases is none")]
    pub fn new() -> Self {
        Self { cases: Vec::new(), otherwise: Vec::new() }
    }

    /// Adds a case: these steps come next when that is true.
    ///
    /// # Errors
    /// When an id does not fit.
    pub fn case<'a>(
        mut self,
        when: impl Into<Expr>,
        then: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidName> {
        self.cases.push(Case { when: when.into(), then: ids(then)? });
        Ok(self)
    }

    /// Says which steps come next when no case holds.
    ///
    /// # Errors
    /// When an id does not fit.
    pub fn otherwise<'a>(self, steps: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidName> {
        Ok(Self { otherwise: ids(steps)?, ..self })
    }
}

impl Loop {
    /// This work until that is true, at most so many times.
    #[must_use]
    pub fn new(work: Work, until: impl Into<Expr>, max: u32) -> Self {
        Self { work, until: until.into(), max, pause: None }
    }

    /// Sets the pause between rounds.
    #[must_use]
    pub fn pause(self, pause: Duration) -> Self {
        Self { pause: Some(DurationText(pause)), ..self }
    }
}

impl Wait {
    /// Waits so long.
    #[must_use]
    pub fn time(time: Duration) -> Self {
        Self { duration: Some(DurationText(time)), ..Self::default() }
    }

    /// Waits until a moment.
    #[must_use]
    pub fn until(moment: impl Into<Expr>) -> Self {
        Self { until: Some(moment.into()), ..Self::default() }
    }

    /// Waits for a signal.
    ///
    /// # Errors
    /// When the name does not fit.
    pub fn signal(name: &str) -> Result<Self, InvalidName> {
        Ok(Self { signal: Some(StepId::new(name)?), ..Self::default() })
    }

    /// Waits until someone approves of exactly this.
    #[must_use]
    pub fn approval(of: impl Into<Template>) -> Self {
        Self { approval: Some(Approval { of: of.into(), ask: String::new() }), ..Self::default() }
    }

    /// Says what the approver is asked.
    #[must_use]
    pub fn ask(mut self, ask: &str) -> Self {
        if let Some(approval) = &mut self.approval {
            ask.clone_into(&mut approval.ask);
        }
        self
    }

    /// Bounds how long it waits for a signal or an approval.
    #[must_use]
    pub fn timeout(self, most: Duration) -> Self {
        Self { timeout: Some(DurationText(most)), ..self }
    }
}
