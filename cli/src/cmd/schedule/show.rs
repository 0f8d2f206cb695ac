//! `nova schedule show`: one schedule, what it did and what is to come.

use nova_types::{CatchUp, Priority, Skill, TaskId, UnixMillis};
use nova_wire::{LeftOut, format_rfc3339};
use serde::Serialize;

use super::one;
use crate::clock;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::task_arg::TaskArg;

/// Show a schedule: its policy, its last moment, its next ones
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    task: TaskArg,
    /// How many of the moments to come are shown
    #[arg(long, value_name = "N", default_value = "5")]
    next: usize,
}

#[derive(Serialize)]
struct Shown {
    task: TaskId,
    skill: Skill,
    priority: Priority,
    when: String,
    time_zone: Option<String>,
    recurring: bool,
    catch_up: Option<CatchUp>,
    since: UnixMillis,
    last: Option<UnixMillis>,
    left_out: Option<LeftOut>,
    next: Vec<UnixMillis>,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let (skill, task) = args.task.find(&cx).await?;
    let entry = one(&cx, &skill, &task).await?;
    let shown = Shown {
        recurring: entry.is_recurring(),
        catch_up: entry.is_recurring().then_some(entry.catch_up),
        last: entry.state.and_then(|state| state.last),
        left_out: entry.state.and_then(|state| state.left_out),
        next: entry.upcoming(clock::now(), args.next),
        task: entry.task,
        skill: entry.skill,
        priority: entry.priority,
        when: entry.when,
        time_zone: entry.time_zone,
        since: entry.since,
    };
    let moments: Vec<String> = shown.next.iter().map(|at| format_rfc3339(*at)).collect();
    let left_out = shown.left_out.map(|out| format!("{} to {}", format_rfc3339(out.from), format_rfc3339(out.until)));
    let fields = [
        ("task", shown.task.to_string()),
        ("skill", shown.skill.to_string()),
        ("priority", shown.priority.to_string()),
        ("when", shown.when.clone()),
        ("zone", shown.time_zone.clone().unwrap_or_default()),
        ("catch-up", shown.catch_up.map(|policy| policy.to_string()).unwrap_or_default()),
        ("since", format_rfc3339(shown.since)),
        ("last", shown.last.map(format_rfc3339).unwrap_or_default()),
        ("left out", left_out.unwrap_or_default()),
        ("next", moments.join("\n")),
    ];
    cx.out.record(&shown, &fields)?;
    Ok(Exit::OK)
}
