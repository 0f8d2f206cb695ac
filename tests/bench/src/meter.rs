//! What a process uses: CPU time and memory, as the kernel counts them.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// The kernel counts CPU time for others in hundredths of a second, whatever its own tick.
const TICKS_PER_SECOND: u64 = 100;

/// The CPU time the threads of a process have used; where the kernel does not count each exactly, in its coarser count.
///
/// # Errors
/// When the process is gone.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    exact(pid).map_or_else(|| coarse(pid), Ok)
}

/// To the nanosecond; what threads used that have ended is not in it, and the programs here keep theirs.
fn exact(pid: u32) -> Option<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // A thread that ended meanwhile is none any more.
        let Ok(text) = std::fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        nanos += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

fn coarse(pid: u32) -> anyhow::Result<Duration> {
    let text =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    let ticks = ticks(&text).with_context(|| format!("the kernel's line about process {pid} is unreadable"))?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// Reads user and system time; the name before them may hold anything, so the fields count from its end.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// The memory a process holds now, in MiB.
///
/// # Errors
/// When the process is gone.
pub fn rss_mib(pid: u32) -> anyhow::Result<f64> {
    let text =
        std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    let kib: f64 = kib.with_context(|| format!("process {pid} holds no memory"))?;
    Ok(kib / 1024.0)
}

/// What some work took.
#[derive(Debug, Clone)]
pub struct Cost<const N: usize> {
    /// On the clock.
    pub wall: Duration,
    /// In each process.
    pub cpu: [Duration; N],
}

impl<const N: usize> Cost<N> {
    /// How many of `count` were done per second.
    pub fn rate(&self, count: usize) -> f64 {
        count as f64 / self.wall.as_secs_f64()
    }

    /// CPU time of a process for each of `count`, in microseconds.
    pub fn cpu_us(&self, process: usize, count: usize) -> f64 {
        self.cpu[process].as_secs_f64() * 1e6 / count as f64
    }
}

/// One process, or several that count as one.
pub trait Pids {
    /// Which.
    fn pids(&self) -> &[u32];
}

impl Pids for u32 {
    fn pids(&self) -> &[u32] {
        std::slice::from_ref(self)
    }
}

impl Pids for Vec<u32> {
    fn pids(&self) -> &[u32] {
        self
    }
}

/// Does some work and tells what it took in these processes.
///
/// # Errors
/// The work's own, and when a process ended meanwhile.
pub async fn measure<const N: usize, P: Pids>(
    processes: [P; N],
    work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) -> anyhow::Result<Cost<N>> {
    Ok(measured(processes, work).await?.1)
}

/// The same of work that has a result.
///
/// # Errors
/// As [`measure`].
pub async fn measured<const N: usize, P: Pids, T: Send + 'static>(
    processes: [P; N],
    work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<(T, Cost<N>)> {
    // On the runtime's own threads, as a program's work is; ended with this future.
    let working = async {
        let mut working = tokio::task::JoinSet::new();
        working.spawn(work);
        working.join_next().await.expect("one was spawned")?
    };
    measured_here(processes, working).await
}

/// The same for work that other processes do.
///
/// # Errors
/// As [`measure`].
pub async fn measured_here<const N: usize, P: Pids, T>(
    processes: [P; N],
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, Cost<N>)> {
    let used = || {
        let mut used = [Duration::ZERO; N];
        for (used, group) in used.iter_mut().zip(&processes) {
            for pid in group.pids() {
                *used += cpu(*pid)?;
            }
        }
        anyhow::Ok(used)
    };
    let before = used()?;
    let began = Instant::now();
    let result = work.await?;
    let wall = began.elapsed();
    let mut cpu = used()?;
    for (used, before) in cpu.iter_mut().zip(before) {
        *used = used.saturating_sub(before);
    }
    Ok((result, Cost { wall, cpu }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (x) S 1"), None);
    }

    #[test]
    fn this_process_holds_memory() {
        let own = std::process::id();
        assert!(rss_mib(own).expect("it runs") > 0.1);
        assert!(cpu(own).is_ok() && coarse(own).is_ok());
        assert!(cpu(u32::MAX).is_err());
    }
}
