//! Someone approved or refused.

use nova_workflow::Approved;

use crate::run::step::wait;
use crate::run::turn::Turn;

pub(super) fn fold(turn: &mut Turn<'_>, answer: &Approved) {
    wait::approved(turn, answer);
}
