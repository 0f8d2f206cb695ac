//! Proves at the end that the run's history, folded again, gives the same decisions.

use nova_client::Client;
use nova_engine::run::{Memo, Run};
use nova_types::RunId;

use crate::failure::Failure;
use crate::flow::replay::{Values, fold_one, plan_of};

/// Folds the whole history of a run again and returns how many transitions it has.
///
/// # Errors
/// When it cannot be read, or a decision differs.
pub(crate) async fn replayed(client: &Client, run: &RunId) -> Result<u64, Failure> {
    let row = client.run_summary(run).await?;
    let plan = plan_of(client, &row.summary.workflow, &row.summary.version).await?;
    let (mut values, mut memo) = (Values::new(client.clone()), Memo::default());
    let mut folded = Run::new(run.clone());
    for recorded in client.run_history(run).await? {
        folded = fold_one(&mut values, &plan, &folded, &recorded.transition, &mut memo).await?;
    }
    Ok(folded.n())
}
