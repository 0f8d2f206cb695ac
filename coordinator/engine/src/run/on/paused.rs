//! Someone paused the run, or resumed it.

use crate::run::turn::Turn;

pub(super) fn fold(turn: &mut Turn<'_>, pauses: bool) {
    turn.run.paused = pauses;
}
