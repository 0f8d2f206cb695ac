//! A run followed live: a tree redrawn on a terminal, lines or events elsewhere.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_client::Recorded;
use nova_engine::run::{Memo, Run, StepStatus, View};
use nova_types::{RunId, RunStatus};
use nova_workflow::Plan;
use serde_json::json;
use tokio::time::Instant;

use super::replay::{Values, fold_one, pinned, plan_of};
use super::{told, tree, words};
use crate::clock;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::out::Out;

/// How often the tree is drawn again though nothing happened: for the times in it.
const TICK: Duration = Duration::from_millis(500);
/// The shortest pause between two drawings.
const DRAW_EVERY: Duration = Duration::from_millis(80);

/// Where what is followed is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// A tree on stderr, redrawn.
    Tree,
    /// A line for each thing that happens, on stdout.
    Lines,
    /// The same on stderr: stdout is for the result.
    Talk,
    /// A JSON object for each transition, on stdout.
    Json,
}

/// Follows a run to its end, and says how it ended.
pub(crate) async fn follow(cx: &Cx, run: &RunId, show: Show) -> Result<RunStatus, Failure> {
    let mut feed = cx.client.follow_run(run).await?;
    let mut follower = Follower {
        cx,
        show,
        run: Some(Run::new(run.clone())),
        plan: None,
        memo: Memo::default(),
        values: Values::new(cx.client.clone()),
        screen: Screen::default(),
        is_stale: false,
    };
    let mut drawn = Instant::now();
    let mut last: Option<Recorded> = None;
    loop {
        let pause = if follower.is_stale { DRAW_EVERY } else { TICK };
        tokio::select! {
            biased;
            recorded = feed.next() => {
                let Some(recorded) = recorded.transpose()? else { break };
                follower.take(&recorded).await?;
                last = Some(recorded);
                if drawn.elapsed() >= DRAW_EVERY {
                    follower.draw();
                    drawn = Instant::now();
                }
            }
            () = tokio::time::sleep_until(drawn + pause) => {
                follower.draw();
                drawn = Instant::now();
            }
        }
    }
    follower.draw();
    let last =
        last.ok_or_else(|| Failure::new(crate::exit::Exit::FAILURE, "watch", "the watch ended before the run"))?;
    Ok(last.summary.status)
}

struct Follower<'a> {
    cx: &'a Cx,
    show: Show,
    /// The run as far as it is followed; `None` once its records are of a later version than this program.
    run: Option<Run>,
    plan: Option<Arc<Plan>>,
    memo: Memo,
    values: Values,
    screen: Screen,
    is_stale: bool,
}

impl Follower<'_> {
    async fn take(&mut self, recorded: &Recorded) -> Result<(), Failure> {
        let out = &self.cx.out;
        let (summary, transition) = (&recorded.summary, &recorded.transition);
        match self.show {
            Show::Json => out.json(&json!({
                "run": summary.run, "n": transition.n, "at": transition.at, "status": summary.status,
                "events": transition.events, "decisions": transition.decisions,
            }))?,
            Show::Lines => told::lines(transition)
                .iter()
                .try_for_each(|line| out.line(format!("{}\t{line}", out.moment(transition.at))))?,
            Show::Talk => told::lines(transition).iter().for_each(|line| out.say(line)),
            Show::Tree => self.fold(recorded).await?,
        }
        self.is_stale = true;
        Ok(())
    }

    async fn fold(&mut self, recorded: &Recorded) -> Result<(), Failure> {
        let Some(run) = &self.run else { return Ok(()) };
        if let Some((workflow, version)) = pinned(&recorded.transition) {
            self.plan = Some(plan_of(&self.cx.client, workflow, version).await?);
        }
        let Some(plan) = &self.plan else { return Ok(()) };
        match fold_one(&mut self.values, plan, run, &recorded.transition, &mut self.memo).await {
            Ok(run) => self.run = Some(run),
            Err(failure) if matches!(failure.code.as_str(), "parked" | "diverged") => {
                self.cx.out.fail(&failure);
                self.run = None;
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    fn draw(&mut self) {
        self.is_stale = false;
        if self.show != Show::Tree {
            return;
        }
        let lines = match (&self.run, &self.plan) {
            (Some(run), Some(plan)) => tree_lines(plan, &run.view(plan), &self.cx.out),
            _ => vec!["waiting for a coordinator to start the run".to_owned()],
        };
        self.screen.draw(&lines);
    }
}

fn tree_lines(plan: &Plan, view: &View, out: &Out) -> Vec<String> {
    let now = clock::now();
    let took = view.started.map(|from| words::span(view.ended.unwrap_or(now).0 - from.0)).unwrap_or_default();
    let ended = view.steps.values().filter(|step| step.ended.is_some()).count();
    let workflow = view.workflow.as_ref().map(ToString::to_string).unwrap_or_default();
    let head = format!("{workflow} {}, {ended} of {} steps, {took}  {}", view.status, view.steps.len(), view.run);
    let (rows, _) = size();
    let mut lines = tree::lines(plan, Some(view), now);
    // What does not fit: what is over or has not begun is least missed.
    let most = rows.saturating_sub(3).max(4);
    for dull in [Some(StepStatus::Skipped), Some(StepStatus::Completed), Some(StepStatus::Waiting)] {
        let mut surplus = lines.len().saturating_sub(most);
        lines.retain(|line| {
            let goes = surplus > 0 && line.status == dull;
            surplus -= usize::from(goes);
            !goes
        });
    }
    let hidden = view.steps.len() - lines.len().min(most);
    lines.truncate(most);
    let mut text = vec![head];
    text.extend(tree::text(&lines, out.ink()));
    if hidden > 0 {
        text.push(format!("… and {hidden} more steps"));
    }
    text
}

/// The terminal's rows and columns.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    let size = size.ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    size.map_or((24, 80), |size| (size.ws_row.into(), size.ws_col.into()))
}

/// Lines at the terminal's lower end that are drawn over.
#[derive(Default)]
struct Screen {
    drawn: usize,
}

impl Screen {
    fn draw(&mut self, lines: &[String]) {
        let (_, columns) = size();
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\u{1b}[{}A\r\u{1b}[J", self.drawn));
        }
        for line in lines {
            text.push_str(&clipped(line, columns));
            text.push('\n');
        }
        self.drawn = lines.len();
        let mut stderr = std::io::stderr().lock();
        // Without a terminal there is nobody to show it to.
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}

/// A line cut to the terminal's width; colours take no room, and are ended where the line is cut.
fn clipped(line: &str, columns: usize) -> String {
    let (mut out, mut used, mut is_code) = (String::new(), 0, false);
    for c in line.chars() {
        if c == '\u{1b}' {
            is_code = true;
        }
        if !is_code {
            if used + 1 >= columns {
                return format!("{out}\u{1b}[0m…");
            }
            used += 1;
        } else if c == 'm' {
            is_code = false;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_room() {
        assert_eq!(clipped("\u{1b}[32m✓\u{1b}[0m ab", 6), "\u{1b}[32m✓\u{1b}[0m ab");
        assert_eq!(clipped("\u{1b}[32m✓\u{1b}[0m abcdef", 5), "\u{1b}[32m✓\u{1b}[0m ab\u{1b}[0m…");
    }
}
