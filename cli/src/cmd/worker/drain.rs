//! `nova worker drain`: a worker finishes what it runs, takes no more and stops.

use nova_types::WorkerId;
use serde_json::json;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;

/// Ask workers to finish what they run, take no more and stop
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The workers' names
    #[arg(value_name = "WORKER", required = true)]
    workers: Vec<WorkerId>,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    for worker in &args.workers {
        cx.client.drain_worker(worker).await?;
        if cx.out.is_json() {
            cx.out.json(&json!({ "worker": worker, "asked": true }))?;
        } else {
            cx.out.line(worker.to_string())?;
        }
    }
    cx.out.say("asked to drain; who is still there: nova worker ls");
    Ok(Exit::OK)
}
