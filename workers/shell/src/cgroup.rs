//! One cgroup per attempt, where the machine lets us make one: per limit, whatever controller is there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::tree;

mod detect;
mod v1;
mod v2;

/// Which of the two cgroup interfaces a folder speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// The older one, a hierarchy per controller.
    V1,
    /// The unified one.
    V2,
}

impl Version {
    /// The name shown as `enforced_by`.
    pub fn label(self) -> &'static str {
        match self {
            Self::V1 => "cgroup-v1",
            Self::V2 => "cgroup-v2",
        }
    }
}

/// A folder in which groups can be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The interface it speaks.
    pub version: Version,
    /// The folder.
    pub parent: PathBuf,
}

/// Where groups can be made, per limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// For the memory limit.
    pub memory: Option<Place>,
    /// For the number of processes.
    pub processes: Option<Place>,
    /// For processor time, and for killing all at once.
    pub cpu: Option<Place>,
}

/// What one group has used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupReading {
    /// Processor time, when the group counts it.
    pub cpu: Option<Duration>,
    /// Memory held now without file cache, when the group counts it.
    pub memory_bytes: Option<u64>,
    /// Most memory held at once without the file cache still there.
    pub memory_peak: Option<u64>,
    /// Processes and threads now, when the group counts them.
    pub processes: Option<u32>,
    /// Most processes and threads at once.
    pub processes_peak: Option<u32>,
    /// Whether the group's own memory limit made the kernel kill.
    pub oom_killed: bool,
    /// Whether the kernel refused a process.
    pub fork_refused: bool,
}

impl Places {
    /// Finds out what this machine allows this process, by making and removing a group of each kind.
    ///
    /// `delegated` names a cgroup v2 folder handed to this worker; it then comes first.
    pub fn detect(delegated: Option<&Path>) -> Self {
        detect::detect(delegated)
    }

    /// Whether memory, processes and processor time can all be enforced by cgroup.
    pub fn is_complete(&self) -> bool {
        self.memory.is_some() && self.processes.is_some() && self.cpu.is_some()
    }

    fn each(&self) -> impl Iterator<Item = &Place> {
        [&self.memory, &self.processes, &self.cpu].into_iter().flatten()
    }

    /// Kills and removes the groups of workers that no longer live; answers how many it removed.
    pub fn remove_stale(&self) -> usize {
        let mut removed = 0;
        for place in self.each() {
            let Ok(entries) = fs::read_dir(&place.parent) else { continue };
            for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
                let Some((pid, started)) = owner(&name) else { continue };
                if tree::read(pid).is_some_and(|process| process.started == started && !process.zombie) {
                    continue;
                }
                let group = Group::open(self, &name);
                group.kill();
                group.remove(Duration::from_secs(1));
                removed += 1;
            }
        }
        removed
    }
}

const PREFIX: &str = "nova-shell-";

/// Names the group of one attempt after the worker process that owns it, so that a later worker knows a stale one.
pub fn group_name(worker: &tree::Process, number: u64) -> String {
    format!("{PREFIX}{}-{}-{number}", worker.pid, worker.started)
}

fn owner(name: &str) -> Option<(i32, u64)> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

type Member = Option<(Version, PathBuf)>;

/// The cgroup folders of one attempt.
#[derive(Debug, Default)]
pub struct Group {
    memory: Member,
    processes: Member,
    cpu: Member,
}

impl Group {
    /// Names the folders of a group without making them.
    pub fn open(places: &Places, name: &str) -> Self {
        let member = |place: &Option<Place>| place.as_ref().map(|p| (p.version, p.parent.join(name)));
        Self { memory: member(&places.memory), processes: member(&places.processes), cpu: member(&places.cpu) }
    }

    /// Makes the folders of a group and writes its limits.
    ///
    /// # Errors
    /// The file system's, when a folder cannot be made or a limit not written; nothing is left behind then.
    pub fn create(places: &Places, name: &str, limits: &Limits) -> io::Result<Self> {
        let group = Self::open(places, name);
        match group.build(limits) {
            Ok(()) => Ok(group),
            Err(error) => {
                group.remove(Duration::ZERO);
                Err(error)
            }
        }
    }

    fn build(&self, limits: &Limits) -> io::Result<()> {
        for dir in self.dirs() {
            fs::create_dir(dir)?;
        }
        match &self.memory {
            Some((Version::V1, dir)) => v1::limit_memory(dir, limits.memory_bytes)?,
            Some((Version::V2, dir)) => v2::limit_memory(dir, limits.memory_bytes)?,
            None => {}
        }
        if let Some((_, dir)) = &self.processes {
            fs::write(dir.join("pids.max"), limits.processes.to_string())?;
        }
        Ok(())
    }

    fn dirs(&self) -> Vec<&Path> {
        let mut dirs: Vec<&Path> =
            [&self.memory, &self.processes, &self.cpu].into_iter().flatten().map(|(_, dir)| dir.as_path()).collect();
        dirs.sort_unstable();
        dirs.dedup();
        dirs
    }

    /// Which interface enforces memory, processes and processor time, in this order.
    pub fn levels(&self) -> [Option<Version>; 3] {
        [&self.memory, &self.processes, &self.cpu].map(|member| member.as_ref().map(|(version, _)| *version))
    }

    /// Opens the files a process writes `0` to, to join.
    ///
    /// # Errors
    /// The file system's.
    pub fn doors(&self) -> io::Result<Vec<File>> {
        self.dirs().iter().map(|dir| File::options().write(true).open(dir.join("cgroup.procs"))).collect()
    }

    /// Reads what the group uses.
    pub fn read(&self) -> GroupReading {
        let mut now = GroupReading::default();
        if let Some((version, dir)) = &self.memory {
            match version {
                Version::V1 => v1::read_memory(dir, &mut now),
                Version::V2 => v2::read_memory(dir, &mut now),
            }
        }
        if let Some((_, dir)) = &self.processes {
            now.processes = number(&dir.join("pids.current")).map(|n| n as u32);
            now.processes_peak = number(&dir.join("pids.peak")).map(|n| n as u32);
            now.fork_refused = keyed(&dir.join("pids.events"), "max").is_some_and(|n| n > 0);
        }
        if let Some((version, dir)) = &self.cpu {
            now.cpu = match version {
                Version::V1 => number(&dir.join("cpuacct.usage")).map(Duration::from_nanos),
                Version::V2 => keyed(&dir.join("cpu.stat"), "usage_usec").map(Duration::from_micros),
            };
        }
        now
    }

    /// Sends SIGKILL to every member once, after forbidding them further children where that is possible.
    pub fn kill(&self) {
        if let Some((_, dir)) = &self.processes {
            let _ = fs::write(dir.join("pids.max"), "0");
        }
        for dir in self.dirs() {
            if fs::write(dir.join("cgroup.kill"), "1").is_ok() {
                continue;
            }
            self.members_of(dir).into_iter().for_each(tree::kill);
        }
    }

    fn members_of(&self, dir: &Path) -> Vec<i32> {
        let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Removes the folders, killing what is still in them for at most `patience`; answers whether all are gone.
    pub fn remove(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let gone = self.dirs().iter().filter(|dir| remove_dir(dir)).count();
            if gone == self.dirs().len() || Instant::now() >= deadline {
                return gone == self.dirs().len();
            }
            self.kill();
            tree::moment();
        }
    }
}

/// Removes a group and the groups its members may have made inside it.
fn remove_dir(dir: &Path) -> bool {
    match fs::remove_dir(dir) {
        Ok(()) => return true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
        Err(_) => {}
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let text = fs::read_to_string(entry.path().join("cgroup.procs")).unwrap_or_default();
            text.lines().filter_map(|line| line.parse().ok()).for_each(tree::kill);
            remove_dir(&entry.path());
        }
    }
    fs::remove_dir(dir).is_ok()
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Reads one `key value` line of a file.
fn keyed(file: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, started: u64) -> tree::Process {
        let mut me = tree::read(std::process::id() as i32).expect("this process lives");
        (me.pid, me.started) = (pid, started);
        me
    }

    #[test]
    fn a_group_names_its_owner() {
        assert_eq!(owner(&group_name(&process(12, 345), 6)), Some((12, 345)));
        assert_eq!(owner("nova-shell-x"), None);
        assert_eq!(owner("system.slice"), None);
    }

    /// The kernel's files stood in for by plain ones: what is read and written, not what the kernel makes of it.
    #[test]
    fn version_2_files_are_read_and_written() {
        let root = tempfile::tempdir().expect("a folder");
        let place = Some(Place { version: Version::V2, parent: root.path().into() });
        let places = Places { memory: place.clone(), processes: place.clone(), cpu: place };
        let limits = Limits { memory_bytes: 8192, processes: 7, ..Limits::default() };
        let group = Group::create(&places, "nova-shell-1-2-3", &limits).expect("plain folders");
        let dir = root.path().join("nova-shell-1-2-3");
        let put = |name: &str, text: &str| fs::write(dir.join(name), text).expect("a plain file");
        put("memory.peak", "9000\n");
        put("memory.stat", "anon 4000\nfile 1500\nshmem 500\n");
        put("memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 0\n");
        put("pids.current", "3\n");
        put("pids.peak", "5\n");
        put("pids.events", "max 0\n");
        put("cpu.stat", "usage_usec 1500\nuser_usec 1000\n");
        let now = group.read();
        assert_eq!(now.cpu, Some(Duration::from_micros(1500)));
        assert_eq!((now.memory_bytes, now.memory_peak), (Some(4500), Some(8000)));
        assert_eq!((now.processes, now.processes_peak), (Some(3), Some(5)));
        assert!(now.oom_killed && !now.fork_refused);
    }
}
