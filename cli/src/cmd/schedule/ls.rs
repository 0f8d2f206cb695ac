//! `nova schedule ls`: what is to come.

use nova_client::ScheduleFilter;
use nova_types::{CatchUp, Priority, Skill, TaskId, UnixMillis};
use serde::Serialize;

use crate::clock;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Row};

/// List the schedules
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only of this skill
    #[arg(long, value_name = "SKILL")]
    skill: Option<Skill>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Also the timers of runs
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Line {
    task: TaskId,
    skill: Skill,
    priority: Priority,
    when: String,
    time_zone: Option<String>,
    at: Option<UnixMillis>,
    recurring: bool,
    catch_up: Option<CatchUp>,
    last: Option<UnixMillis>,
    next: Option<UnixMillis>,
    since: UnixMillis,
}

impl Row for Line {
    const TITLES: &'static [&'static str] =
        &["task", "skill", "priority", "when", "zone", "catch-up", "last", "next", "since"];
    fn cells(&self, out: &Out) -> Vec<String> {
        vec![
            self.task.to_string(),
            self.skill.to_string(),
            self.priority.to_string(),
            self.at.map_or_else(|| self.when.clone(), |at| out.moment(at)),
            self.time_zone.clone().unwrap_or_default(),
            self.catch_up.map(|policy| policy.to_string()).unwrap_or_default(),
            out.moment_or_none(self.last),
            out.moment_or_none(self.next),
            out.moment(self.since),
        ]
    }
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let entries =
        cx.client.schedules(&ScheduleFilter { skill: args.skill, limit: args.limit.filter(|_| args.all) }).await?;
    let now = clock::now();
    let lines: Vec<Line> = entries
        .into_iter()
        .filter(|entry| args.all || !entry.is_timer())
        .take(args.limit.unwrap_or(usize::MAX))
        .map(|entry| Line {
            recurring: entry.is_recurring(),
            catch_up: entry.is_recurring().then_some(entry.catch_up),
            last: entry.state.and_then(|state| state.last),
            next: entry.upcoming(now, 1).first().copied(),
            task: entry.task,
            skill: entry.skill,
            priority: entry.priority,
            when: entry.when,
            time_zone: entry.time_zone,
            at: entry.at,
            since: entry.since,
        })
        .collect();
    cx.out.list(&lines, "no schedules")?;
    Ok(Exit::OK)
}
