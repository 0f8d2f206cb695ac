//! Workflow runs for the cases: a coordinator, definitions put in place, runs started and awaited.

use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use nova_client::Submit;
use nova_testkit::Process;
use nova_types::{OutcomeKind, run_skill};
use nova_workflow::{Plan, Workflow};
use serde_json::{Value, json};

use crate::bed::{Bed, NOOP, PATIENCE, program};

/// How long a coordinator may take to say that it is ready.
const READY: Duration = Duration::from_secs(30);

/// Starts a coordinator and waits until it is ready.
///
/// # Errors
/// When the program is not built.
pub async fn coordinator(bed: &Bed) -> anyhow::Result<Process> {
    let mut command = Command::new(program("nova-coordinator")?);
    command.env("NOVA__NATS__URL", bed.server.url()).env("NOVA__SERVE__LISTEN", "");
    let process = Process::spawn("coordinator", command);
    process.wait_stderr("coordinator ready", READY).await;
    Ok(process)
}

/// Puts a definition in place, as `nova workflow put` does.
///
/// # Errors
/// When it is not sound or cannot be stored.
pub async fn put(bed: &Bed, definition: Value) -> anyhow::Result<()> {
    let workflow: Workflow = serde_json::from_value(definition)?;
    let plan = Plan::new(workflow).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    bed.client.put_workflow(&plan).await?;
    Ok(())
}

/// A run of a workflow.
pub fn run(workflow: &str, input: Value) -> Submit {
    Submit::json(run_skill(), &json!({"workflow": workflow, "input": input})).expect("plain data has a JSON form")
}

/// Starts a run and waits for its end.
///
/// # Errors
/// When it does not complete.
pub async fn complete(bed: &Bed, workflow: &str, input: Value) -> anyhow::Result<()> {
    let ended = bed.client.submit_and_wait(run(workflow, input), PATIENCE).await?;
    ensure!(ended.outcome.kind == OutcomeKind::Completed, "a run ended as {}", ended.outcome.kind.as_str());
    Ok(())
}

/// A chain of steps, each fed with the result of the one before.
pub fn chain(name: &str, length: usize) -> Value {
    let mut steps = serde_json::Map::new();
    for at in 0..length {
        let input = if at == 0 { json!("${input}") } else { json!(format!("${{steps.s{}.result}}", at - 1)) };
        steps.insert(format!("s{at}"), json!({"task": {"skill": NOOP, "input": input}}));
    }
    json!({"workflow": name, "steps": steps})
}
