//! `nova queue show`: one queue with its three priorities and the partitions of its keys.

use nova_client::LaneView;
use nova_types::Skill;
use serde::Serialize;

use super::ls::Line;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Row, rounded};

/// Show one queue, priority by priority, and partition by partition when it is keyed
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The queue's skill
    skill: Skill,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Lane(LaneView);

impl Row for Lane {
    const TITLES: &'static [&'static str] =
        &["lane", "waiting", "running", "redelivered", "idle pulls", "oldest", "last taken", "paused"];
    fn cells(&self, out: &Out) -> Vec<String> {
        let lane = &self.0;
        vec![
            lane.of.to_string(),
            lane.waiting.to_string(),
            lane.running.to_string(),
            lane.redelivered.to_string(),
            lane.idle_pulls.to_string(),
            out.moment_or_none(lane.oldest),
            out.moment_or_none(lane.last_taken),
            lane.paused_until.map(|until| format!("until {}", out.moment(until))).unwrap_or_default(),
        ]
    }
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let view = cx.client.queue(&args.skill).await?;
    if cx.out.is_json() {
        cx.out.json(&Line::of(view))?;
        return Ok(Exit::OK);
    }
    let limit = view.max_bytes.map_or_else(|| "no limit".to_owned(), rounded);
    cx.out.say(format!(
        "queue of {} in {}: {} of {limit} held, {} of it history",
        view.skill,
        view.stream,
        rounded(view.bytes),
        rounded(view.history_bytes())
    ));
    let lanes: Vec<Lane> = view.lanes.into_iter().map(Lane).collect();
    cx.out.list(&lanes, "it has no priorities: nova provision check")?;
    Ok(Exit::OK)
}
