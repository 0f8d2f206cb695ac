//! `nova queue ls`: all queues, one line each.

use nova_client::QueueView;
use nova_types::UnixMillis;
use serde::Serialize;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Row};

/// List the queues
#[derive(clap::Args)]
pub(crate) struct Args {}

/// A queue as one JSON object.
#[derive(Serialize)]
pub(super) struct Line {
    #[serde(flatten)]
    view: QueueView,
    waiting: u64,
    running: u64,
    oldest: Option<UnixMillis>,
    paused_until: Option<UnixMillis>,
}

impl Line {
    pub(super) fn of(view: QueueView) -> Self {
        Self {
            waiting: view.waiting(),
            running: view.running(),
            oldest: view.oldest(),
            paused_until: view.lanes.iter().filter_map(|lane| lane.paused_until).max(),
            view,
        }
    }
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["skill", "waiting", "running", "oldest", "held", "paused"];
    fn cells(&self, out: &Out) -> Vec<String> {
        vec![
            self.view.skill.to_string(),
            self.waiting.to_string(),
            self.running.to_string(),
            out.moment_or_none(self.oldest),
            out.size(self.view.bytes),
            self.paused_until.map(|until| format!("until {}", out.moment(until))).unwrap_or_default(),
        ]
    }
}

pub(super) async fn run(cx: Cx, _: Args) -> Result<Exit, Failure> {
    let lines: Vec<Line> = cx.client.queues().await?.into_iter().map(Line::of).collect();
    cx.out.list(&lines, "no queues: nova provision apply makes them")?;
    Ok(Exit::OK)
}
