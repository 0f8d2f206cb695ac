//! Picks which steps come next; its result is `{case, picked}`.

use nova_types::StepId;
use nova_workflow::definition::Choice;
use serde_json::json;

use crate::run::Stuck;
use crate::run::scope::Scope;
use crate::run::state::Answer;
use crate::run::turn::{Turn, own};

pub(in crate::run) fn begin(turn: &mut Turn<'_>, id: &StepId, choice: &Choice) -> Result<(), Stuck> {
    let (mut case, mut picked) = (None, &choice.otherwise);
    for (index, one) in choice.cases.iter().enumerate() {
        match own(turn.plan.holds(&one.when, &Scope::of(turn)))? {
            Ok(true) => {
                (case, picked) = (Some(index), &one.then);
                break;
            }
            Ok(false) => {}
            Err(failure) => {
                turn.fail(id, failure, 0);
                return Ok(());
            }
        }
    }
    turn.complete(id, Answer::Value(json!({"case": case, "picked": picked}).into()));
    Ok(())
}

/// Whether the choice picked this step; one that was skipped or failed picked none.
pub(in crate::run) fn has_picked(turn: &Turn<'_>, choice: &StepId, id: &StepId) -> bool {
    let answer = turn.run.ended_step(choice).map(|ended| &ended.answer);
    let Some(Answer::Value(nova_workflow::Datum::Inline(result))) = answer else { return false };
    result["picked"].as_array().is_some_and(|picked| picked.iter().any(|one| one.as_str() == Some(id.as_str())))
}
