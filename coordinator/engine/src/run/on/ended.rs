//! Tasks of steps ended.

use nova_workflow::{End, Role};

use crate::run::turn::Turn;
use crate::run::{Stuck, ending, step};

pub(super) fn fold(turn: &mut Turn<'_>, ends: &[End]) -> Result<(), Stuck> {
    for end in ends {
        let part = &end.part;
        if part.role == Role::Undo {
            ending::undone(turn, end);
        } else if turn.close(&part.step, part.role, part.index) {
            if turn.run.is_active(&part.step) {
                step::ended(turn, end)?;
            } else {
                step::late(turn, end)?;
            }
        }
    }
    Ok(())
}
