//! Kills a worker once a third of the tasks has ended, and a coordinator with it, and tells what becomes of both.

use std::time::Duration;

use nova_client::Client;
use rustix::process::{Signal, kill_process};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::dev::fleet::Fleet;
use crate::dev::unit::{Death, to_pid};
use crate::review::course::Course;
use crate::review::run::skill;

/// When nothing has ended for so long after the kill, what is left was held by the killed worker.
const QUIET: Duration = Duration::from_millis(1500);

/// How often the queue is looked at: often enough to meet the third of a short review.
const LOOK: Duration = Duration::from_millis(25);

/// The queue as the broker sees it; our own count lags behind while answers are read.
#[derive(Debug, Clone, Copy, Default)]
struct Queue {
    waiting: u64,
    running: u64,
    done: u64,
}

/// The one that was killed.
struct Victim {
    name: String,
    pid: u32,
    died: Instant,
}

/// The course of the demonstration.
pub(crate) struct Drama<'a> {
    fleet: &'a Fleet,
    deaths: broadcast::Receiver<Death>,
    queue: watch::Receiver<Queue>,
    looker: JoinHandle<()>,
    expected: u64,
    victim: Option<Victim>,
    coordinator: Option<Victim>,
    /// Those of the two that run again.
    returned: Vec<String>,
    /// How many tasks had ended by the run's own count when something was last seen to end.
    counted: u64,
    /// Since when nothing has ended, and how much was open then.
    last_end: Instant,
    held: Option<u64>,
    came_back: bool,
    note: String,
}

impl<'a> Drama<'a> {
    /// Before anything happens; `expected` tasks are likely.
    pub(crate) fn new(fleet: &'a Fleet, expected: u64) -> Self {
        let (told, queue) = watch::channel(Queue::default());
        let looker = tokio::spawn(look(fleet.client().clone(), told));
        Self {
            fleet,
            deaths: fleet.deaths(),
            queue,
            looker,
            expected,
            victim: None,
            coordinator: None,
            returned: Vec::new(),
            counted: 0,
            last_end: Instant::now(),
            held: None,
            came_back: false,
            note: String::new(),
        }
    }

    /// What the progress bar is to say instead of its own words; empty for these.
    pub(crate) fn note(&self) -> &str {
        &self.note
    }

    /// Takes the next step; returns what is to be told.
    pub(crate) fn go_on(&mut self, course: &Course) -> Vec<String> {
        let mut told = Vec::new();
        if course.ended > self.counted {
            self.counted = course.ended;
            told.extend(self.back_at_work());
            self.last_end = Instant::now();
        }
        while let Ok(death) = self.deaths.try_recv() {
            told.push(format!("died      {} {}", death.name, death.how));
        }
        told.extend(self.returned());
        told.extend(self.wait_for_lease(course));
        if self.victim.is_none() && self.is_time(course) {
            told.extend(self.strike(course));
        }
        told
    }

    /// A third is done and tasks wait: then every worker has all it can take. Where the queue is never that long, half.
    fn is_time(&self, course: &Course) -> bool {
        let queue = *self.queue.borrow();
        (queue.done * 3 >= self.expected && queue.waiting > 0) || course.ended * 2 >= self.expected
    }

    /// Kills the first worker, and the first coordinator while there is another.
    fn strike(&mut self, course: &Course) -> Vec<String> {
        let (done, all) = (self.queue.borrow().done.max(course.ended), self.expected.max(course.tasks));
        let worker = self.fleet.workers().into_iter().find(|view| view.skill == skill());
        self.victim = worker.and_then(|view| kill(view.worker, view.pid));
        let coordinators = self.fleet.coordinators();
        if coordinators.iter().filter(|(_, pid)| pid.is_some()).count() > 1 {
            self.coordinator = coordinators.into_iter().next().and_then(|(name, pid)| kill(name, pid));
        }
        let line = |victim: &Victim| {
            format!("kill -9   {} (process {}), after {done} of {all} tasks", victim.name, victim.pid)
        };
        self.victim.iter().chain(&self.coordinator).map(line).collect()
    }

    fn returned(&mut self) -> Vec<String> {
        let workers = self.fleet.workers().into_iter().map(|view| (view.worker, view.pid));
        let all: Vec<(String, Option<u32>)> = workers.chain(self.fleet.coordinators()).collect();
        let mut told = Vec::new();
        for victim in self.victim.iter().chain(&self.coordinator) {
            let pid = all.iter().find(|(name, _)| *name == victim.name).and_then(|(_, pid)| *pid);
            if let Some(pid) = pid.filter(|pid| *pid != victim.pid)
                && !self.returned.contains(&victim.name)
            {
                self.returned.push(victim.name.clone());
                told.push(format!("restart   {} runs again as process {pid}", victim.name));
            }
        }
        told
    }

    fn wait_for_lease(&mut self, course: &Course) -> Option<String> {
        let victim = self.victim.as_ref()?;
        let queue = *self.queue.borrow();
        // What the worker had finished but not acknowledged comes back, too, and is then only acknowledged.
        let (open, left) = (queue.running, course.tasks - course.ended);
        let is_all_there_is = queue.waiting == 0 && 0 < left && left <= open;
        if !is_all_there_is || self.last_end.elapsed() < QUIET {
            return None;
        }
        self.note = format!("waiting for the lease of {open} tasks to end ({} s)", victim.died.elapsed().as_secs());
        if self.held.is_some() {
            return None;
        }
        self.held = Some(open);
        Some(format!("lease     {open} tasks were in its hands; they come back when its 10 s lease ends"))
    }

    fn back_at_work(&mut self) -> Option<String> {
        let victim = self.victim.as_ref()?;
        if self.held.is_none() || self.came_back {
            return None;
        }
        self.came_back = true;
        self.note.clear();
        Some(format!(
            "again     they came back {:.1} s after the kill and run again",
            victim.died.elapsed().as_secs_f64()
        ))
    }

    /// The last words.
    pub(crate) fn curtain(&self, course: &Course) -> Option<String> {
        match (&self.victim, course.redeliveries) {
            (None, _) => Some("note      too few tasks to kill a worker in the middle".to_owned()),
            (Some(_), Some(count @ 1..)) if self.held.is_none() => {
                Some(format!("again     {count} tasks came back when its lease of 10 s ended, and ran again"))
            }
            (Some(victim), Some(0)) => Some(format!("note      nothing of {} had to be delivered again", victim.name)),
            _ => None,
        }
    }
}

/// Kills a process, as far as there is one.
fn kill(name: String, pid: Option<u32>) -> Option<Victim> {
    let pid = pid?;
    kill_process(to_pid(pid)?, Signal::KILL).ok()?;
    Some(Victim { name, pid, died: Instant::now() })
}

impl Drop for Drama<'_> {
    fn drop(&mut self) {
        self.looker.abort();
    }
}

async fn look(client: Client, told: watch::Sender<Queue>) {
    let mut first = None;
    loop {
        if let Ok(queue) = client.queue(&skill()).await {
            // The fleet is new, so all its tasks lie above the first sequence it had.
            let first = *first.get_or_insert(queue.first_sequence);
            let all = (queue.last_sequence + 1).saturating_sub(first);
            let (waiting, running) = (queue.waiting(), queue.running());
            told.send_replace(Queue { waiting, running, done: all.saturating_sub(waiting + running) });
        }
        tokio::time::sleep(LOOK).await;
    }
}
