//! A run as people look at it: where each step stands and what it waits for.

use std::collections::BTreeMap;

use nova_types::{RunId, RunStatus, StepId, UnixMillis, WorkflowName};
use nova_workflow::{Failure, Kind, Plan, RunEnd, Timer};
use serde::{Deserialize, Serialize};

use super::state::{Active, Answer, StepRun};
use super::{Run, StepStatus};

/// A run as people look at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Its id.
    pub run: RunId,
    /// The number of its last transition.
    pub n: u64,
    /// Where it stands.
    pub status: RunStatus,
    /// Its workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowName>,
    /// The hash of its definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<UnixMillis>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<UnixMillis>,
    /// When it must have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<UnixMillis>,
    /// How it ended; or, while finished steps are undone, how it will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<RunEnd>,
    /// How many tasks are under way.
    pub under_way: u32,
    /// How many signals no step has taken yet.
    pub signals: u32,
    /// Its steps by id.
    pub steps: BTreeMap<StepId, StepView>,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepView {
    /// The word for its kind.
    pub kind: String,
    /// Where it stands.
    pub status: StepStatus,
    /// How many of its tasks it is known to have, ended or not; of a map, of its items.
    pub total: u32,
    /// How many of them completed.
    pub done: u32,
    /// How many of them failed.
    pub failed: u32,
    /// How many of them are under way.
    pub running: u32,
    /// What it waits for, when that is not a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// How many attempts the task that made it fail had.
    #[serde(default)]
    pub attempts: u32,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<UnixMillis>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<UnixMillis>,
    /// Whether it was done by the run this one is a restart of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// Whether its undo is over: `Some(false)` when that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<bool>,
}

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WaitsFor {
    /// These steps.
    Steps(Vec<StepId>),
    /// Room among the tasks of the run.
    Room,
    /// A moment.
    Time(UnixMillis),
    /// A signal, no longer than until.
    Signal {
        /// Its name.
        name: String,
        /// The end of patience, when there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<UnixMillis>,
    },
    /// An approval, no longer than until.
    Approval {
        /// What the approver is asked.
        ask: String,
        /// The hash of what is to be approved; the approval names it.
        hash: String,
        /// The end of patience, when there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<UnixMillis>,
    },
}

impl Run {
    /// The run as people look at it.
    #[must_use]
    pub fn view(&self, plan: &Plan) -> View {
        let started = self.started();
        let steps = plan.order().iter().map(|id| (id.clone(), self.step_view(plan, id))).collect();
        View {
            run: self.id.clone(),
            n: self.n,
            status: self.status(),
            workflow: started.map(|started| started.workflow.clone()),
            definition: started.map(|started| started.definition.clone()),
            started: self.started_at(),
            ended: self.ended.as_ref().map(|last| last.at),
            deadline: self.deadline.map(|alarm| alarm.at),
            end: self.end().or(self.ending.as_ref().map(|ending| &ending.end)).cloned(),
            under_way: self.flying,
            signals: u32::try_from(self.signals.len()).unwrap_or(u32::MAX),
            steps,
        }
    }

    fn step_view(&self, plan: &Plan, id: &StepId) -> StepView {
        let kind = plan.kind(id);
        let mut view = StepView {
            kind: kind.as_str().to_owned(),
            status: StepStatus::Waiting,
            total: 0,
            done: 0,
            failed: 0,
            running: 0,
            waits_for: None,
            error: None,
            attempts: 0,
            started: None,
            ended: None,
            kept: false,
            undone: self.undone(id),
        };
        let Some(step) = self.steps.get(id) else {
            view.waits_for = self.not_begun(plan, id);
            return view;
        };
        view.started = Some(step.at);
        // Of a bundled map its items count, as they do among those that ended.
        let packed = step.map().map(|map| map.packs.under_way()).filter(|items| *items > 0);
        view.running = packed.unwrap_or_else(|| u32::try_from(step.parts().count()).unwrap_or(u32::MAX));
        view.status = StepStatus::Running;
        if let Some(ended) = &step.ended {
            view.status = ended.status;
            view.ended = Some(ended.at);
            view.error.clone_from(&ended.failure);
            view.attempts = ended.attempts;
            view.kept = ended.order.is_none() && ended.status == StepStatus::Completed;
        } else {
            view.waits_for = waits_for(self, plan, id, kind, step);
        }
        (view.total, view.done, view.failed) = counts(plan, id, step, &view);
        view
    }

    fn undone(&self, id: &StepId) -> Option<bool> {
        let end = self.end().or(self.ending.as_ref().map(|ending| &ending.end))?;
        let tried = self.ending.as_ref().is_some_and(|ending| ending.tried.contains(id));
        tried.then(|| !end.not_undone.contains(id))
    }

    fn not_begun(&self, plan: &Plan, id: &StepId) -> Option<WaitsFor> {
        if self.ended.is_some() || self.ending.is_some() {
            return None;
        }
        let open: Vec<_> = plan.needs(id).iter().filter(|need| self.ended_step(need).is_none()).cloned().collect();
        Some(if open.is_empty() { WaitsFor::Room } else { WaitsFor::Steps(open) })
    }
}

fn waits_for(run: &Run, plan: &Plan, id: &StepId, kind: Kind<'_>, step: &StepRun) -> Option<WaitsFor> {
    let until = step.timer.as_ref().map(|(_, alarm)| alarm.at);
    match (kind, &step.active) {
        (Kind::Join(join), _) => {
            let open = join.of.iter().filter(|of| run.ended_step(of).is_none());
            Some(WaitsFor::Steps(open.cloned().collect()))
        }
        (Kind::Wait(wait), Active::Wait(state)) => match (&wait.signal, &wait.approval, &state.hash) {
            (Some(name), _, _) => Some(WaitsFor::Signal { name: name.to_string(), until }),
            (_, Some(approval), Some(hash)) => {
                Some(WaitsFor::Approval { ask: approval.ask.clone(), hash: hash.clone(), until })
            }
            _ => until.map(WaitsFor::Time),
        },
        (Kind::Loop(_), _) if matches!(step.timer, Some((Timer::Round(..), _))) => until.map(WaitsFor::Time),
        _ if step.is_idle() && plan.workflow().steps.contains_key(id) => Some(WaitsFor::Room),
        _ => None,
    }
}

/// How many tasks a step has in all, and how many of them completed and failed.
fn counts(plan: &Plan, id: &StepId, step: &StepRun, view: &StepView) -> (u32, u32, u32) {
    let list = match (&step.ended, &step.active) {
        (Some(ended), _) => {
            if let Answer::List(list) = &ended.answer {
                Some(list)
            } else {
                None
            }
        }
        (None, Active::Map(map)) => Some(&map.list),
        _ => None,
    };
    if let Some(list) = list {
        return (list.count, list.done.len(), list.failed.len());
    }
    match (plan.kind(id), &step.active) {
        (Kind::Vote(vote), Active::Vote(state)) => {
            let done = state.cast.values().filter(|cast| matches!(cast, super::state::Cast::Result(_))).count();
            let done = u32::try_from(done).unwrap_or(u32::MAX);
            let cast = u32::try_from(state.cast.len()).unwrap_or(u32::MAX);
            (super::step::voters(vote), done, cast - done)
        }
        (Kind::Loop(_), Active::Loop(state)) => (state.next, state.next.saturating_sub(view.running), 0),
        (Kind::Task(_) | Kind::Run(_), _) => {
            (1, u32::from(view.status == StepStatus::Completed), u32::from(view.status == StepStatus::Failed))
        }
        _ => (0, 0, 0),
    }
}
