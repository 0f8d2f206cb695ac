//! Takes the readings of one attempt, from its cgroup where it has one and from `/proc` for the rest.

use std::time::{Duration, Instant};

use crate::cgroup::{Group, GroupReading, Version};
use crate::job::{EnforcedBy, Identity};
use crate::limits::{self, Limits, Pace, Reading};
use crate::tree::{self, CpuLedger, Lookout, Process};

/// The longest time between two looks when the kernel enforces: only processor time and usage wait for a look then.
const RELAXED: Duration = Duration::from_millis(50);
/// The longest time between two looks when only looking enforces.
const WATCHFUL: Duration = Duration::from_millis(10);

pub struct Meter {
    limits: Limits,
    cpus: u32,
    /// Who enforces memory, processes and processor time; `None` is sampling.
    levels: [Option<Version>; 3],
    ledger: CpuLedger,
    lookout: Lookout,
    started: Instant,
    last: Reading,
    peak_memory: u64,
    peak_processes: u32,
    members: Vec<Identity>,
    told: Vec<Identity>,
}

/// All descendants of the supervisor.
pub fn descendants_of_this_process() -> Vec<Process> {
    tree::descendants(&tree::scan(), &[std::process::id() as i32])
}

/// Processor time this process has used: a look on a busy machine takes long, but costs no more for that.
fn own_cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

impl Meter {
    pub fn new(child: i32, limits: &Limits, group: Option<&Group>) -> Self {
        Self {
            limits: limits.clone(),
            cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
            levels: group.map_or([None; 3], Group::levels),
            ledger: CpuLedger::default(),
            lookout: Lookout::default(),
            started: Instant::now(),
            last: Reading::default(),
            peak_memory: 0,
            peak_processes: 1,
            members: tree::read(child).map(|p| (child, p.started)).into_iter().collect(),
            told: Vec::new(),
        }
    }

    /// Looks once; answers how long to wait before the next look.
    pub fn look(&mut self, group: Option<&Group>) -> Duration {
        let begun = own_cpu();
        let before = self.last.clone();
        self.last.wall = self.started.elapsed();
        if let Some(group) = group {
            self.take_group(&group.read());
        }
        let samples = self.levels.contains(&None);
        if samples {
            let tree = self.lookout.look();
            self.take_tree(&tree);
        }
        let ceiling = if samples { WATCHFUL } else { RELAXED };
        let pace = Pace { cpus: self.cpus, look_cost: own_cpu().saturating_sub(begun), ceiling };
        limits::next_look(&self.limits, &before, &self.last, pace)
    }

    fn take_group(&mut self, now: &GroupReading) {
        self.last.oom_killed |= now.oom_killed;
        self.last.fork_refused |= now.fork_refused;
        if self.levels[0].is_some() {
            // The kernel holds this limit itself: what is read is for the usage, and no breach by a hair of rounding.
            self.last.memory_bytes = now.memory_bytes.unwrap_or(0).min(self.limits.memory_bytes);
            self.peak_memory = self.peak_memory.max(self.last.memory_bytes);
        }
        if self.levels[1].is_some() {
            self.last.processes = now.processes.unwrap_or(0).min(self.limits.processes);
            let peak = now.processes_peak.unwrap_or(0).max(self.last.processes);
            self.peak_processes = self.peak_processes.max(peak.min(self.limits.processes));
        }
        if self.levels[2].is_some() {
            self.last.cpu = self.last.cpu.max(now.cpu.unwrap_or_default());
        }
    }

    fn take_tree(&mut self, tree: &[Process]) {
        if self.levels[0].is_none() {
            self.last.memory_bytes = tree::memory(tree, self.limits.memory_bytes);
            self.peak_memory = self.peak_memory.max(self.last.memory_bytes);
        }
        if self.levels[1].is_none() {
            self.last.processes = tree::count(tree);
            self.peak_processes = self.peak_processes.max(self.last.processes);
        }
        if self.levels[2].is_none() {
            let waited = tree::read(std::process::id() as i32).map_or(0, |me| me.waited_ticks);
            self.last.cpu = tree::ticks(self.ledger.observe(tree, waited));
        }
        self.members = tree.iter().map(|p| (p.pid, p.started)).collect();
        self.members.sort_unstable();
    }

    /// The last look, once the tree is gone: what it had used in all.
    pub fn close(&mut self, group: Option<&Group>) {
        let was = (self.last.memory_bytes, self.last.processes);
        if let Some(now) = group.map(Group::read) {
            self.take_group(&now);
            if self.levels[0].is_some() {
                let peak = now.memory_peak.unwrap_or(0).min(self.limits.memory_bytes);
                self.peak_memory = self.peak_memory.max(peak);
            }
        }
        if self.levels.contains(&None) {
            self.take_tree(&[]);
        }
        // Nothing is held any more, but a breach is judged by what was.
        (self.last.memory_bytes, self.last.processes) = was;
    }

    /// The members of the tree when they have changed since they were last told.
    pub fn news(&mut self) -> Option<Vec<Identity>> {
        (self.members != self.told).then(|| {
            self.told.clone_from(&self.members);
            self.members.clone()
        })
    }

    pub fn last(&self) -> &Reading {
        &self.last
    }

    pub fn peak_memory(&self) -> u64 {
        self.peak_memory
    }

    pub fn peak_processes(&self) -> u32 {
        self.peak_processes
    }

    pub fn enforced_by(&self) -> EnforcedBy {
        let [memory, processes, cpu] = self.levels.map(|level| level.map_or("sampling", Version::label).to_owned());
        EnforcedBy { wall: "supervisor".into(), cpu, memory, processes, output: "supervisor".into() }
    }
}
