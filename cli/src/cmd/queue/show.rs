//! `nova queue show`: one queue with its three priorities and the partitions of its keys.

use nova_client::{KeyView, LaneView, QueueView};
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
    /// Show the keys that have tasks which have not ended, those with most first; of a keyed skill
    #[arg(long)]
    keys: bool,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Key(KeyView);

impl Row for Key {
    const TITLES: &'static [&'static str] = &["key", "partition", "tasks", "oldest"];
    fn cells(&self, out: &Out) -> Vec<String> {
        let key = &self.0;
        vec![key.key.clone(), format!("k{}", key.partition), key.tasks.to_string(), out.moment(key.oldest)]
    }
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
    if args.keys {
        return keys(&cx, &view).await;
    }
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

async fn keys(cx: &Cx, view: &QueueView) -> Result<Exit, Failure> {
    if view.policy.keyed.is_none() {
        let text = format!("skill `{}` is not keyed: its tasks have no keys", view.skill);
        return Err(Failure::new(Exit::REFUSED, "not_keyed", text));
    }
    let found = cx.client.keys(view).await?;
    let keys: Vec<Key> = found.keys.into_iter().map(Key).collect();
    cx.out.list(&keys, "no key has a task that has not ended")?;
    if found.is_cut {
        cx.out.say("there are more tasks than were looked at: 10,000");
    }
    Ok(Exit::OK)
}
