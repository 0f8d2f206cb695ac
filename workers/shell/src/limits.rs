//! The limits of one attempt: their defaults, how a task may lower them, and when a reading breaches them. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one attempt may use, all processes of its tree taken together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Time from start to end.
    pub wall: Duration,
    /// Processor time, user and system, of every process of the tree.
    pub cpu: Duration,
    /// Memory of every process of the tree.
    pub memory_bytes: u64,
    /// Processes and threads alive at one moment: the kernel counts both as tasks, so both levels do.
    pub processes: u32,
    /// Bytes kept of standard output, and as many again of standard error.
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(60),
            cpu: Duration::from_secs(60),
            memory_bytes: 512 << 20,
            processes: 64,
            output_bytes: 1 << 20,
        }
    }
}

/// Limits as a task or a deployment writes them: what is absent stays as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSpec {
    /// Wall time in seconds, fractions allowed.
    pub wall_secs: Option<f64>,
    /// Processor time in seconds, fractions allowed.
    pub cpu_secs: Option<f64>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Number of processes and threads.
    pub processes: Option<u32>,
    /// Output in bytes, per stream.
    pub output_bytes: Option<u64>,
}

/// A limit that cannot be meant.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum LimitsError {
    /// Zero, negative, infinite or beyond any use.
    #[error("limit `{name}` must be above zero and below {most}")]
    OutOfRange {
        /// The key as written.
        name: &'static str,
        /// The first value that is too much.
        most: &'static str,
    },
}

/// Thirty days: anything longer is a mistake, and stays far from overflowing an instant.
const LONGEST_SECS: f64 = 30.0 * 86_400.0;

impl LimitsSpec {
    /// Returns `base` with every given field in its place.
    ///
    /// # Errors
    /// [`LimitsError::OutOfRange`] when a field is zero, negative, not finite or absurdly large.
    pub fn over(&self, base: &Limits) -> Result<Limits, LimitsError> {
        Ok(Limits {
            wall: self.wall_secs.map_or(Ok(base.wall), |secs| duration("wall_secs", secs))?,
            cpu: self.cpu_secs.map_or(Ok(base.cpu), |secs| duration("cpu_secs", secs))?,
            memory_bytes: self.memory_bytes.map_or(Ok(base.memory_bytes), |n| above_zero("memory_bytes", n))?,
            processes: self.processes.map_or(Ok(base.processes), |n| above_zero("processes", n.into()).map(|_| n))?,
            output_bytes: self.output_bytes.map_or(Ok(base.output_bytes), |n| above_zero("output_bytes", n))?,
        })
    }
}

impl Limits {
    /// Returns the lower of the two in every field: a task may lower a deployment's maximum, never raise it.
    pub fn at_most(&self, maximum: &Limits) -> Limits {
        Limits {
            wall: self.wall.min(maximum.wall),
            cpu: self.cpu.min(maximum.cpu),
            memory_bytes: self.memory_bytes.min(maximum.memory_bytes),
            processes: self.processes.min(maximum.processes),
            output_bytes: self.output_bytes.min(maximum.output_bytes),
        }
    }
}

fn duration(name: &'static str, secs: f64) -> Result<Duration, LimitsError> {
    if secs.is_finite() && secs > 0.0 && secs <= LONGEST_SECS {
        Ok(Duration::from_secs_f64(secs).max(Duration::from_millis(1)))
    } else {
        Err(LimitsError::OutOfRange { name, most: "30 days" })
    }
}

fn above_zero(name: &'static str, value: u64) -> Result<u64, LimitsError> {
    if value > 0 && value < 1 << 62 { Ok(value) } else { Err(LimitsError::OutOfRange { name, most: "2^62" }) }
}

/// What a tree has used so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Time since the start.
    pub wall: Duration,
    /// Processor time of all processes, the ended ones included.
    pub cpu: Duration,
    /// Memory in use now.
    pub memory_bytes: u64,
    /// Processes and threads alive now.
    pub processes: u32,
    /// Bytes read from standard output.
    pub stdout_bytes: u64,
    /// Bytes read from standard error.
    pub stderr_bytes: u64,
    /// Whether the kernel has killed a process of the tree for its memory.
    pub oom_killed: bool,
    /// Whether the kernel has refused the tree a process.
    pub fork_refused: bool,
}

/// Which limit was breached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// Wall time.
    Wall,
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Number of processes.
    Processes,
    /// Bytes of output.
    Output,
}

impl Breach {
    /// The error code of the outcome.
    pub fn code(self) -> &'static str {
        match self {
            Self::Wall => "limit_wall",
            Self::Cpu => "limit_cpu",
            Self::Memory => "limit_memory",
            Self::Processes => "limit_processes",
            Self::Output => "limit_output",
        }
    }
}

/// Names the limit a reading breaches, the most telling one first when there are several.
pub fn breach(limits: &Limits, now: &Reading) -> Option<Breach> {
    if now.oom_killed || now.memory_bytes > limits.memory_bytes {
        Some(Breach::Memory)
    } else if now.fork_refused || now.processes > limits.processes {
        Some(Breach::Processes)
    } else if now.stdout_bytes.max(now.stderr_bytes) > limits.output_bytes {
        Some(Breach::Output)
    } else if now.cpu > limits.cpu {
        Some(Breach::Cpu)
    } else if now.wall >= limits.wall {
        Some(Breach::Wall)
    } else {
        None
    }
}

/// What one look at the tree costs, and how seldom looks may be.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Processors that can work for the tree at once.
    pub cpus: u32,
    /// How long the last look took.
    pub look_cost: Duration,
    /// The longest time between two looks.
    pub ceiling: Duration,
}

/// Says how long the supervisor may look away, from the last two looks.
///
/// Processor time cannot run out sooner than all processors together use it up; memory and processes are taken to go on
/// growing as they did, and are looked at again half way to their limit. Looking takes at most a tenth of a processor.
pub fn next_look(limits: &Limits, before: &Reading, now: &Reading, pace: Pace) -> Duration {
    /// Below this a look would find little new: processor time is counted in steps of 10 ms.
    const FLOOR: Duration = Duration::from_millis(4);
    let between = now.wall.saturating_sub(before.wall);
    let half_way = |was: u64, is: u64, limit: u64| match is.saturating_sub(was) {
        0 => pace.ceiling,
        grown => between.mul_f64((limit.saturating_sub(is) as f64 / grown as f64 / 2.0).min(1e6)),
    };
    let cpu = limits.cpu.saturating_sub(now.cpu) / pace.cpus.max(1);
    let memory = half_way(before.memory_bytes, now.memory_bytes, limits.memory_bytes);
    let processes = half_way(before.processes.into(), now.processes.into(), limits.processes.into());
    cpu.min(memory).min(processes).clamp(FLOOR, pace.ceiling).max(pace.look_cost * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(change: impl FnOnce(&mut Reading)) -> Option<Breach> {
        let mut now = Reading { wall: Duration::from_secs(1), processes: 1, ..Reading::default() };
        change(&mut now);
        breach(&Limits::default(), &now)
    }

    #[test]
    fn each_limit_is_breached_by_its_own_excess_only() {
        assert_eq!(reading(|_| ()), None);
        assert_eq!(reading(|r| r.wall = Duration::from_secs(60)), Some(Breach::Wall));
        assert_eq!(reading(|r| r.cpu = Duration::from_secs(60)), None);
        assert_eq!(reading(|r| r.cpu = Duration::from_millis(60_001)), Some(Breach::Cpu));
        assert_eq!(reading(|r| r.memory_bytes = 512 << 20), None);
        assert_eq!(reading(|r| r.memory_bytes = (512 << 20) + 1), Some(Breach::Memory));
        assert_eq!(reading(|r| r.oom_killed = true), Some(Breach::Memory));
        assert_eq!(reading(|r| r.processes = 64), None);
        assert_eq!(reading(|r| r.processes = 65), Some(Breach::Processes));
        assert_eq!(reading(|r| r.fork_refused = true), Some(Breach::Processes));
        assert_eq!(reading(|r| r.stdout_bytes = 1 << 20), None);
        assert_eq!(reading(|r| r.stderr_bytes = (1 << 20) + 1), Some(Breach::Output));
    }

    #[test]
    fn a_task_lowers_a_limit_but_never_raises_it() {
        let maximum = Limits::default();
        let asked = LimitsSpec { wall_secs: Some(0.5), processes: Some(1000), ..LimitsSpec::default() };
        let merged = asked.over(&maximum).expect("in range").at_most(&maximum);
        assert_eq!(merged, Limits { wall: Duration::from_millis(500), ..maximum });
    }

    #[test]
    fn senseless_limits_are_refused() {
        for secs in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e18] {
            let asked = LimitsSpec { wall_secs: Some(secs), ..LimitsSpec::default() };
            assert!(asked.over(&Limits::default()).is_err(), "{secs} was taken");
        }
        let asked = LimitsSpec { memory_bytes: Some(0), ..LimitsSpec::default() };
        assert!(asked.over(&Limits::default()).is_err());
    }

    #[test]
    fn looks_get_denser_as_a_limit_comes_near() {
        let ceiling = Duration::from_millis(50);
        let look = |cost_ms, change: fn(&mut Reading)| {
            let before = Reading { processes: 1, ..Reading::default() };
            let mut now = Reading { wall: Duration::from_millis(10), ..before.clone() };
            change(&mut now);
            let pace = Pace { cpus: 2, look_cost: Duration::from_millis(cost_ms), ceiling };
            next_look(&Limits::default(), &before, &now, pace).as_millis()
        };
        assert_eq!(look(0, |_| ()), 50);
        assert_eq!(look(0, |now| now.cpu = Duration::from_millis(59_980)), 10);
        assert_eq!(look(0, |now| now.cpu = Duration::from_secs(60)), 4);
        assert_eq!(look(0, |now| now.memory_bytes = 128 << 20), 15, "384 MiB left at 12.8 MiB/ms, half of it");
        assert_eq!(look(0, |now| now.memory_bytes = 500 << 20), 4);
        assert_eq!(look(0, |now| now.processes = 33), 4);
        assert_eq!(look(20, |_| ()), 200, "a costly look is taken less often");
    }
}
