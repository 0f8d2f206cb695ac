//! Live progress of a review on stderr: a bar on a terminal, a line now and then elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use nova_client::Client;
use nova_types::Skill;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::course::Course;
use crate::out::Out;

/// How often the workers are counted; they tell of themselves every three seconds.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// Without a terminal progress is told at each of so many parts.
const PARTS: u64 = 4;

/// The progress of one review; gone when dropped.
pub(crate) struct Live {
    out: Out,
    bar: Option<ProgressBar>,
    began: Instant,
    expected: u64,
    told: u64,
    workers: Arc<AtomicUsize>,
    counter: JoinHandle<()>,
}

impl Live {
    /// Begins; `expected` tasks are likely.
    pub(crate) fn begin(out: &Out, client: &Client, skill: &Skill, expected: u64) -> Self {
        let bar = out.shows_progress().then(|| {
            let style = ProgressStyle::with_template("{bar:24.cyan} {pos}/{len}  {wide_msg}");
            let style = style.expect("the template is a constant").progress_chars("━━─");
            let bar = ProgressBar::new(expected).with_style(style);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let workers = Arc::new(AtomicUsize::new(usize::MAX));
        let counter = tokio::spawn(count(client.clone(), skill.clone(), Arc::clone(&workers)));
        Self { out: out.clone(), bar, began: Instant::now(), expected, told: 0, workers, counter }
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, course: &Course, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(self.expected.max(course.tasks));
            bar.set_position(course.ended);
            bar.set_message(if note.is_empty() { self.message(course) } else { note.to_owned() });
            return;
        }
        let part = course.ended * PARTS / self.expected.max(course.tasks).max(1);
        if part > self.told && part < PARTS {
            self.told = part;
            self.out.say(format!("{} of {} files reviewed", course.ended, self.expected.max(course.tasks)));
        }
    }

    /// The workers present, when they were counted.
    pub(crate) fn workers(&self) -> Option<usize> {
        Some(self.workers.load(Ordering::Relaxed)).filter(|count| *count != usize::MAX)
    }

    /// Says something that stays.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.out.say(text)),
            None => self.out.say(text),
        }
    }

    fn message(&self, course: &Course) -> String {
        let rate = course.ended as f64 / self.began.elapsed().as_secs_f64().max(0.1);
        let workers = match self.workers() {
            None => String::new(),
            Some(1) => ", 1 worker".to_owned(),
            Some(count) => format!(", {count} workers"),
        };
        match course.tasks {
            0 => format!("the files are listed{workers}"),
            _ if course.ended == 0 => format!("the files are given out{workers}"),
            tasks if tasks == course.ended => "the report is made".to_owned(),
            _ => format!("{rate:.0}/s{workers}"),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.counter.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

async fn count(client: Client, skill: Skill, workers: Arc<AtomicUsize>) {
    loop {
        // A submitter may not be allowed to see them; then their number is not shown.
        if let Ok(rows) = client.workers().await {
            let offers = |row: &&nova_wire::WorkerRow| row.skills.iter().any(|offered| offered.name == skill);
            workers.store(rows.iter().filter(offers).count(), Ordering::Relaxed);
        }
        tokio::time::sleep(COUNT_EVERY).await;
    }
}
