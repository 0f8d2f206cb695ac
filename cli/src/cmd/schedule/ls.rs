//! `nova schedule ls`: what is to come.

use nova_client::ScheduleFilter;
use nova_types::{Priority, Skill, TaskId, UnixMillis};
use serde::Serialize;

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
    since: UnixMillis,
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["task", "skill", "priority", "when", "zone", "since"];
    fn cells(&self, out: &Out) -> Vec<String> {
        vec![
            self.task.to_string(),
            self.skill.to_string(),
            self.priority.to_string(),
            self.at.map_or_else(|| self.when.clone(), |at| out.moment(at)),
            self.time_zone.clone().unwrap_or_default(),
            out.moment(self.since),
        ]
    }
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let entries = cx.client.schedules(&ScheduleFilter { skill: args.skill, limit: args.limit }).await?;
    let lines: Vec<Line> = entries
        .into_iter()
        .map(|entry| Line {
            recurring: entry.is_recurring(),
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
