//! Workflows built in Rust: what a file says, as calls.
//!
//! ```
//! use nova_workflow::definition::{Choice, Join, Map, Need, Param, ParamType, Tolerate, Wait};
//! use nova_workflow::{Plan, Step, Work, Workflow};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let review = Workflow::new("review")?
//!     .input("files", Param::of(ParamType::List))
//!     .step("check", Step::map(Map::over("input.files", Work::skill("code-review")?.input(json!({"file": "${item}"})))
//!         .parallel(8)
//!         .tolerate(Tolerate::Percent(10))))?
//!     .step("report", Step::task(Work::skill("report")?.input("${steps.check.result}")).undo(Work::skill("retract")?))?
//!     .step("ask", Step::wait(Wait::approval("${steps.report.result}").ask("Publish it?")))?
//!     .step("decide", Step::choice(Choice::new().case("steps.ask.result.approved", ["publish"])?.otherwise(["archive"])?))?
//!     .step("publish", Step::run(Work::workflow("publish")?).after(["report"])?)?
//!     .step("archive", Step::task(Work::skill("archive")?))?
//!     .step("end", Step::join(Join::of(["publish", "archive"])?.need(Need::Count(1))))?
//!     .result(json!({"report": "${steps.report.result}"}));
//! let plan = Plan::new(review).map_err(|problems| format!("{problems:?}"))?;
//! assert_eq!(plan.order().len(), 7);
//! # Ok(())
//! # }
//! ```

mod kinds;

use std::collections::BTreeMap;
use std::time::Duration;

use nova_types::{Backoff, DurationText, InvalidRunWord, InvalidSkill, Priority, Skill, StepId, WorkflowName};
use serde_json::Value;

use crate::definition::{
    Choice, Expr, Join, Loop, Map, Param, ParamType, RunFailure, Step, StepFailure, Template, Vote, Wait, Work,
    Workflow,
};

/// A name that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Of a workflow, step or signal.
    #[error(transparent)]
    Word(#[from] InvalidRunWord),
    /// Of a skill.
    #[error(transparent)]
    Skill(#[from] InvalidSkill),
}

impl From<&str> for Expr {
    fn from(code: &str) -> Self {
        Self(code.to_owned())
    }
}

impl From<String> for Expr {
    fn from(code: String) -> Self {
        Self(code)
    }
}

impl<V: Into<Value>> From<V> for Template {
    fn from(value: V) -> Self {
        Self(value.into())
    }
}

fn ids<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<StepId>, InvalidName> {
    names.into_iter().map(|name| Ok(StepId::new(name)?)).collect()
}

impl Workflow {
    /// A workflow without steps yet.
    ///
    /// # Errors
    /// When the name does not fit.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        Ok(Self {
            workflow: WorkflowName::new(name)?,
            about: String::new(),
            input: None,
            steps: BTreeMap::new(),
            result: None,
            parallel: None,
            runs: None,
            deadline: None,
            key: None,
            on_failure: RunFailure::default(),
        })
    }

    /// Says what it does.
    #[must_use]
    pub fn about(self, about: &str) -> Self {
        Self { about: about.to_owned(), ..self }
    }

    /// Declares an input; from the first one on, a run takes no others.
    #[must_use]
    pub fn input(mut self, name: &str, param: Param) -> Self {
        self.input.get_or_insert_default().insert(name.to_owned(), param);
        self
    }

    /// Adds a step.
    ///
    /// # Errors
    /// When the id does not fit.
    pub fn step(mut self, id: &str, step: Step) -> Result<Self, InvalidName> {
        self.steps.insert(StepId::new(id)?, step);
        Ok(self)
    }

    /// Says what a run results in.
    #[must_use]
    pub fn result(self, result: impl Into<Template>) -> Self {
        Self { result: Some(result.into()), ..self }
    }

    /// Bounds the tasks of one run under way at once.
    #[must_use]
    pub fn parallel(self, most: u32) -> Self {
        Self { parallel: Some(most), ..self }
    }

    /// Bounds the runs under way at once.
    #[must_use]
    pub fn runs(self, most: u32) -> Self {
        Self { runs: Some(most), ..self }
    }

    /// Bounds how long a run may take.
    #[must_use]
    pub fn deadline(self, most: Duration) -> Self {
        Self { deadline: Some(DurationText(most)), ..self }
    }

    /// Gives runs a word to be found by, over `input`.
    #[must_use]
    pub fn key(self, key: impl Into<Expr>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// Says what becomes of finished steps when a run fails.
    #[must_use]
    pub fn on_failure(self, on_failure: RunFailure) -> Self {
        Self { on_failure, ..self }
    }
}

impl Param {
    /// An input of a type, which must be given.
    #[must_use]
    pub fn of(kind: ParamType) -> Self {
        Self { kind, default: None, about: String::new() }
    }

    /// What it is when a run does not give it.
    #[must_use]
    pub fn or(self, default: impl Into<Value>) -> Self {
        Self { default: Some(default.into()), ..self }
    }

    /// Says what it is for.
    #[must_use]
    pub fn about(self, about: &str) -> Self {
        Self { about: about.to_owned(), ..self }
    }
}

impl Step {
    /// One task.
    #[must_use]
    pub fn task(work: Work) -> Self {
        Self { task: Some(work), ..Self::default() }
    }

    /// A run of another workflow.
    #[must_use]
    pub fn run(work: Work) -> Self {
        Self { run: Some(work), ..Self::default() }
    }

    /// One task for each item of a list.
    #[must_use]
    pub fn map(map: Map) -> Self {
        Self { map: Some(map), ..Self::default() }
    }

    /// Waits for other steps.
    #[must_use]
    pub fn join(join: Join) -> Self {
        Self { join: Some(join), ..Self::default() }
    }

    /// Asks several.
    #[must_use]
    pub fn vote(vote: Vote) -> Self {
        Self { vote: Some(vote), ..Self::default() }
    }

    /// Picks what comes next.
    #[must_use]
    pub fn choice(choice: Choice) -> Self {
        Self { choice: Some(choice), ..Self::default() }
    }

    /// One task again and again.
    #[must_use]
    pub fn repeat(repeat: Loop) -> Self {
        Self { repeat: Some(repeat), ..Self::default() }
    }

    /// Waits for time, a signal or an approval.
    #[must_use]
    pub fn wait(wait: Wait) -> Self {
        Self { wait: Some(wait), ..Self::default() }
    }

    /// Waits for these steps too.
    ///
    /// # Errors
    /// When an id does not fit.
    pub fn after<'a>(mut self, steps: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidName> {
        self.after.extend(ids(steps)?);
        Ok(self)
    }

    /// Skips it unless this is true.
    #[must_use]
    pub fn when(self, when: impl Into<Expr>) -> Self {
        Self { when: Some(when.into()), ..self }
    }

    /// Says what reverses it.
    #[must_use]
    pub fn undo(self, work: Work) -> Self {
        Self { undo: Some(work), ..self }
    }

    /// Says what its failure means for the run.
    #[must_use]
    pub fn on_failure(self, on_failure: StepFailure) -> Self {
        Self { on_failure, ..self }
    }

    /// Says what it does.
    #[must_use]
    pub fn about(self, about: &str) -> Self {
        Self { about: about.to_owned(), ..self }
    }
}

impl Work {
    /// A task of a skill.
    ///
    /// # Errors
    /// When the name does not fit.
    pub fn skill(name: &str) -> Result<Self, InvalidName> {
        Ok(Self { skill: Some(Skill::new(name)?), ..Self::default() })
    }

    /// A run of a workflow.
    ///
    /// # Errors
    /// When the name does not fit.
    pub fn workflow(name: &str) -> Result<Self, InvalidName> {
        Ok(Self { workflow: Some(WorkflowName::new(name)?), ..Self::default() })
    }

    /// Gives it an input; its texts may hold `${...}`.
    #[must_use]
    pub fn input(self, input: impl Into<Template>) -> Self {
        Self { input: input.into(), ..self }
    }

    /// Sets its priority.
    #[must_use]
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// Bounds one attempt.
    #[must_use]
    pub fn timeout(self, most: Duration) -> Self {
        Self { timeout: Some(DurationText(most)), ..self }
    }

    /// Bounds how many attempts may fail.
    #[must_use]
    pub fn max_attempts(self, most: u32) -> Self {
        Self { max_attempts: Some(most), ..self }
    }

    /// Sets the pause between attempts.
    #[must_use]
    pub fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff: Some(backoff), ..self }
    }

    /// Gives it the key of a keyed skill, text with `${...}`.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        Self { key: Some(key.into()), ..self }
    }
}
