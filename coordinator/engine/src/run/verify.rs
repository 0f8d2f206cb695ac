//! Proves that a recorded run is what the engine decides.

use nova_types::RunId;
use nova_workflow::{Event, Plan, Transition};

use super::{Data, Divergence, Memo, Run, Stuck, apply};

/// A recorded run that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// How many transitions were folded.
    pub transitions: u64,
    /// How many decisions were compared.
    pub decisions: u64,
    /// What they come to.
    pub run: Run,
}

/// Why a recorded run does not hold, or cannot be told to.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unverified {
    /// Its record differs from what the engine decides.
    #[error(transparent)]
    Diverged(Box<Divergence>),
    /// It cannot be folded.
    #[error(transparent)]
    Stuck(Stuck),
}

/// Folds a run's recorded transitions through the engine, and compares each decision.
///
/// # Errors
/// [`Unverified::Diverged`] names the first difference; [`Unverified::Stuck`] when objects are missing or versions unknown.
pub fn verify(plan: &Plan, transitions: &[Transition], data: &dyn Data) -> Result<Verified, Unverified> {
    let (mut run, mut memo, mut decisions) = (Run::new(id_of(transitions)?), Memo::default(), 0);
    for transition in transitions {
        run = apply(&run, plan, transition, data, &mut memo).map_err(|stuck| match stuck {
            Stuck::Diverged(divergence) => Unverified::Diverged(divergence),
            stuck => Unverified::Stuck(stuck),
        })?;
        decisions += transition.decisions.len() as u64;
    }
    Ok(Verified { transitions: run.n(), decisions, run })
}

/// The id of a recorded run: it follows from its task.
pub(super) fn id_of(transitions: &[Transition]) -> Result<RunId, Unverified> {
    let events = transitions.iter().flat_map(|transition| &transition.events);
    let mut started = events.filter_map(|event| if let Event::Started(started) = event { Some(started) } else { None });
    let id = started.next().map(|started| RunId::of(&started.task));
    id.ok_or_else(|| Unverified::Stuck(Stuck::Parked("its record does not begin with its start".into())))
}
