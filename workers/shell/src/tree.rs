//! Finds all descendants of a process in `/proc` and adds up what they use.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// One process as `/proc/<pid>/stat` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's number.
    pub parent: i32,
    /// Its session's number.
    pub session: i32,
    /// Whether it has ended and only waits for its parent to notice.
    pub zombie: bool,
    /// Threads it has.
    pub threads: u32,
    /// When it started, in clock ticks after boot: with the number, this names a process for ever.
    pub started: u64,
    /// Processor time of its own, in clock ticks.
    pub own_ticks: u64,
    /// Processor time of the children it has waited for, in clock ticks.
    pub waited_ticks: u64,
    /// Resident memory in pages.
    pub rss_pages: u64,
}

/// Reads one line of `/proc/<pid>/stat`; the name in it may hold spaces, brackets and line ends.
pub fn parse_stat(text: &[u8]) -> Option<Process> {
    let open = text.iter().position(|b| *b == b'(')?;
    let close = text.iter().rposition(|b| *b == b')')?;
    let pid = std::str::from_utf8(&text[..open]).ok()?.trim().parse().ok()?;
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The first of these fields is number 3 of proc_pid_stat(5).
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X" | "x"),
        threads: u32::try_from(number(20)?).ok()?,
        started: number(22)?,
        own_ticks: number(14)? + number(15)?,
        waited_ticks: number(16)? + number(17)?,
        rss_pages: number(24).unwrap_or(0),
    })
}

/// Reads one process, `None` when it is gone.
pub fn read(pid: i32) -> Option<Process> {
    let mut buffer = Vec::with_capacity(512);
    fs::File::open(format!("/proc/{pid}/stat")).ok()?.read_to_end(&mut buffer).ok()?;
    parse_stat(&buffer)
}

/// Reads every process of the machine that can be seen.
pub fn scan() -> Vec<Process> {
    numbers().into_iter().filter_map(read).collect()
}

fn numbers() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Looks again and again at the descendants of this process, cheaply.
///
/// Most processes of a machine are none of ours and never will be: orphans go up to an ancestor, never sideways. So
/// strangers are remembered by number and not read again, for a while, since numbers are used again some day.
#[derive(Debug, Default)]
pub struct Lookout {
    strangers: HashSet<i32>,
    looks: u32,
}

impl Lookout {
    /// After this many looks, about a second, every process is read afresh.
    const REFRESH: u32 = 50;

    /// All descendants of this process now.
    pub fn look(&mut self) -> Vec<Process> {
        let me = std::process::id() as i32;
        self.looks += 1;
        if self.looks.is_multiple_of(Self::REFRESH) {
            self.strangers.clear();
        }
        let all: Vec<Process> =
            numbers().into_iter().filter(|pid| !self.strangers.contains(pid)).filter_map(read).collect();
        let found = descendants(&all, &[me]);
        // One whose parent is gone meanwhile may have been handed to us this moment: only a whole line of strangers, up
        // to one known or to the root, makes a stranger.
        let parents: HashMap<i32, i32> = all.iter().map(|p| (p.pid, p.parent)).collect();
        let ours: HashSet<i32> = found.iter().map(|p| p.pid).chain([me]).collect();
        let known = |mut pid: i32| {
            for _ in 0..parents.len() + 1 {
                match parents.get(&pid) {
                    _ if pid == 0 || self.strangers.contains(&pid) => return true,
                    Some(parent) => pid = *parent,
                    None => return false,
                }
            }
            false
        };
        let new: Vec<i32> = all.iter().map(|p| p.pid).filter(|pid| !ours.contains(pid) && known(*pid)).collect();
        self.strangers.extend(new);
        found
    }
}

/// Picks the descendants of `roots`, the roots themselves not included.
pub fn descendants(all: &[Process], roots: &[i32]) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut seen: HashSet<i32> = roots.iter().copied().collect();
    let mut open: Vec<i32> = roots.to_vec();
    let mut found = Vec::new();
    while let Some(pid) = open.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if seen.insert(child.pid) {
                found.push((*child).clone());
                open.push(child.pid);
            }
        }
    }
    found
}

/// Sends SIGKILL; a process that is gone already is fine.
pub fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid).filter(|pid| pid.as_raw_nonzero().get() > 1) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Gives killed processes a moment to go.
#[allow(
    clippy::disallowed_methods,
    reason = "only outside the reactor: in the supervisor, at start, on a blocking thread"
)]
pub fn moment() {
    std::thread::sleep(Duration::from_millis(1));
}

/// Processes and threads alive in a tree.
pub fn count(tree: &[Process]) -> u32 {
    tree.iter().filter(|p| !p.zombie).map(|p| p.threads.max(1)).sum()
}

/// Memory of a tree in bytes.
///
/// The sum of resident pages counts shared ones once per process, so it is never too low. Only when it passes `limit` are
/// the costlier proportional shares read, which count each page once; and twice, for they are read one after another, and
/// when one ends in between, the shares of those that are read after it are larger.
pub fn memory(tree: &[Process], limit: u64) -> u64 {
    let page = rustix::param::page_size() as u64;
    let resident = tree.iter().map(|p| p.rss_pages * page).sum();
    if resident <= limit {
        return resident;
    }
    let shares = || tree.iter().map(|p| share(p, page)).sum();
    let first: u64 = shares();
    if first <= limit { first } else { first.min(shares()) }
}

/// The proportional share of one process; all its pages where that may not be read, and nothing once it is gone.
fn share(process: &Process, page: u64) -> u64 {
    proportional(process.pid).unwrap_or_else(|| {
        let now = read(process.pid).filter(|now| now.started == process.started && !now.zombie);
        now.map_or(0, |now| now.rss_pages * page)
    })
}

fn proportional(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Adds up processor time over a tree whose members come and go.
///
/// The kernel adds an ended child's time to the parent that waits for it, and loses it when the parent ignores its
/// children; so the time last seen of each process is kept too, and the larger of the two sums counts.
#[derive(Debug, Default)]
pub struct CpuLedger {
    seen: HashMap<(i32, u64), u64>,
    gone: u64,
    most: u64,
}

impl CpuLedger {
    /// Takes in one look at the tree and what the supervisor itself has waited for; returns the total in ticks.
    pub fn observe(&mut self, tree: &[Process], supervisor_waited: u64) -> u64 {
        let now: HashMap<(i32, u64), u64> = tree.iter().map(|p| ((p.pid, p.started), p.own_ticks)).collect();
        self.gone += self.seen.iter().filter(|(key, _)| !now.contains_key(key)).map(|(_, ticks)| ticks).sum::<u64>();
        let observed = self.gone + now.values().sum::<u64>();
        let kernel = supervisor_waited + tree.iter().map(|p| p.own_ticks + p.waited_ticks).sum::<u64>();
        self.seen = now;
        self.most = self.most.max(observed).max(kernel);
        self.most
    }
}

/// Turns clock ticks into a duration.
pub fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / rustix::param::clock_ticks_per_second().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process {
            pid,
            parent,
            session: pid,
            zombie: false,
            threads: 1,
            started: 1,
            own_ticks: 0,
            waited_ticks: 0,
            rss_pages: 1,
        }
    }

    #[test]
    fn a_name_with_brackets_and_spaces_is_read() {
        let line =
            b"42 (a) R (b \n) S 7 42 40 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 3 0 999 8192 77 18446744073709551615";
        let found = parse_stat(line).expect("a full line");
        assert_eq!((found.pid, found.parent, found.session, found.threads), (42, 7, 40, 3));
        assert_eq!((found.own_ticks, found.waited_ticks, found.started, found.rss_pages), (30, 70, 999, 77));
        assert!(!found.zombie);
        assert_eq!(parse_stat(b"42 (cut"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn descendants_are_found_through_every_generation_and_nobody_else() {
        let all = [process(1, 0), process(10, 1), process(11, 10), process(12, 11), process(20, 1), process(9, 12)];
        let mut found: Vec<i32> = descendants(&all, &[10]).iter().map(|p| p.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [9, 11, 12]);
    }

    #[test]
    fn a_loop_of_parents_ends() {
        assert_eq!(descendants(&[process(2, 3), process(3, 2)], &[2]).len(), 1);
    }

    #[test]
    fn processor_time_of_ended_processes_is_kept_once() {
        let mut ledger = CpuLedger::default();
        let mut child = process(5, 1);
        child.own_ticks = 100;
        assert_eq!(ledger.observe(&[child.clone()], 0), 100);
        assert_eq!(ledger.observe(&[], 120), 120, "the supervisor waited for it and knows better");
        assert_eq!(ledger.observe(&[], 0), 120, "nobody waited for it: the last look counts, and it never falls");
        let mut reused = process(5, 1);
        reused.started = 2;
        reused.own_ticks = 50;
        assert_eq!(ledger.observe(&[reused], 0), 150, "a number used again is another process");
    }

    #[test]
    fn a_process_that_has_just_ended_holds_no_memory() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep starts");
        let mut seen = read(child.id() as i32).expect("it runs");
        seen.rss_pages = 1 << 20;
        child.kill().expect("it is ours");
        // First it waits to be noticed, then it is gone.
        while read(seen.pid).is_some_and(|now| !now.zombie) {
            moment();
        }
        assert_eq!(memory(std::slice::from_ref(&seen), 0), 0);
        child.wait().expect("it is ours");
        assert_eq!(memory(&[seen], 0), 0);
    }

    #[test]
    fn this_process_is_found() {
        let me = std::process::id() as i32;
        assert!(scan().iter().any(|p| p.pid == me && p.rss_pages > 0));
    }

    #[test]
    fn a_child_is_found_at_every_look() {
        let mut lookout = Lookout::default();
        lookout.look();
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep starts");
        for round in 0..Lookout::REFRESH * 2 {
            assert!(lookout.look().iter().any(|p| p.pid == child.id() as i32), "look {round}");
        }
        assert!(lookout.strangers.contains(&1) || std::process::id() == 1);
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }
}
