//! `nova provision apply`: the broker made as it is wanted.

use nova_provision::{ApplyOptions, Plan};
use serde_json::json;

use super::{Line, StartArg, Wanted};
use crate::confirm::confirm;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;

/// Make the broker's assets as the catalogue wants them
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova provision apply
  nova provision apply --skills ./skills.toml --profile durable
  nova provision apply --consumer-start first

Doing it twice is the same as doing it once. What would lose something is held back unless --yes is
given; then the exit code is 5. A consumer that is missing over history is made only where
--consumer-start says it begins.")]
pub(crate) struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// Also do what loses something
    #[arg(long, short)]
    yes: bool,
    /// Also delete what is not in the catalogue, such as the queue of a removed skill
    #[arg(long)]
    prune: bool,
    /// Where consumers begin that are missing over history: first, new or a sequence
    #[arg(long, value_name = "WHERE")]
    consumer_start: Option<StartArg>,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let broker = cx.client.broker().clone();
    let (wanted, profile) = args.wanted.assets(&cx).await?;
    let plan = nova_provision::plan(&*broker, &wanted).await?;
    let yes = args.yes || agrees(&cx, &plan, args.prune).await?;
    let options = ApplyOptions { yes, prune: args.prune, start_consumers_at: args.consumer_start.map(|start| start.0) };
    let progress = Progress::bar(&cx.out, plan.steps.len() as u64, "provisioning");
    let report = plan.apply(&*broker, options, |step| progress.at(step.step as u64)).await?;
    drop(progress);
    if cx.out.is_json() {
        for row in &report.done {
            cx.out.json(&Line(row.clone()))?;
        }
        for held in &report.held {
            cx.out.json(&json!({
                "asset": held.asset.kind(), "stream": held.asset.stream, "consumer": held.asset.consumer,
                "action": "held", "harm": held.why, "foreign": held.is_foreign,
            }))?;
        }
    } else {
        for row in &report.done {
            let name =
                row.consumer.as_ref().map_or_else(|| row.stream.clone(), |name| format!("{}/{name}", row.stream));
            let field = row.field.as_ref().map(|field| format!(" {field}")).unwrap_or_default();
            cx.out.line(format!("{} {} {name}{field}", row.action, row.asset))?;
        }
        for held in &report.held {
            cx.out.say(format!("held back: {}: {}", held.asset, held.why));
        }
    }
    if !report.is_complete() {
        let message = "the broker is not as it is wanted: some changes were held back";
        return Err(Failure::new(Exit::REFUSED, "held_back", message).help("see what and why: nova provision plan"));
    }
    cx.out.say(format!("profile {profile}: the broker is as it is wanted"));
    Ok(Exit::OK)
}

/// Asks a person about what would lose something; without one it is held back and said so.
async fn agrees(cx: &Cx, plan: &Plan, prune: bool) -> Result<bool, Failure> {
    use nova_provision::Row;
    let rows = plan.rows();
    let loses = |row: &Row| match row.action {
        "foreign" => prune,
        "change" | "recreate" => row.harm.is_some(),
        _ => false,
    };
    let harmful = rows.iter().filter(|row| loses(row)).count();
    if harmful == 0 {
        return Ok(false);
    }
    cx.out.say(plan.to_text());
    match confirm(false, &format!("{harmful} changes lose something. Do them, too?")).await {
        Ok(()) => Ok(true),
        Err(failure) if failure.exit == Exit::REFUSED => Ok(false),
        Err(failure) => Err(failure),
    }
}
