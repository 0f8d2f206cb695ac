//! The memory files of cgroup v2, and how controllers are handed down.

use std::fs;
use std::io;
use std::path::Path;

use super::{GroupReading, keyed, number};

/// Limits memory, forbids swap and asks the kernel to kill the group as a whole.
pub fn limit_memory(dir: &Path, bytes: u64) -> io::Result<()> {
    fs::write(dir.join("memory.max"), bytes.to_string())?;
    // Missing without swap accounting and before 4.19 respectively; the supervisor kills the rest itself then.
    let _ = fs::write(dir.join("memory.swap.max"), "0");
    let _ = fs::write(dir.join("memory.oom.group"), "1");
    Ok(())
}

pub fn read_memory(dir: &Path, now: &mut GroupReading) {
    let stat = dir.join("memory.stat");
    let shared = keyed(&stat, "shmem").unwrap_or(0);
    now.memory_bytes = keyed(&stat, "anon").map(|anon| anon + shared);
    let cache = keyed(&stat, "file").unwrap_or(0).saturating_sub(shared);
    now.memory_peak = number(&dir.join("memory.peak")).map(|peak| peak.saturating_sub(cache));
    let events = dir.join("memory.events");
    // A group above ours may have run out instead: only with refusals of our own it was this limit.
    let above_zero = |key| keyed(&events, key).is_some_and(|n| n > 0);
    now.oom_killed = above_zero("oom_kill") && (above_zero("max") || above_zero("oom"));
}

/// What the leaf of a worker that moved itself is called, before its number.
pub const LEAF: &str = "nova-worker-";

/// Hands memory and pids down to the children of `dir`; answers whether both are.
///
/// The kernel allows it only when no process sits in `dir` itself. When this process is alone there it moves itself into
/// a leaf; when others share the folder it leaves everything as it is.
pub fn hand_down(dir: &Path) -> bool {
    let listed = |file: &str, name: &str| {
        fs::read_to_string(dir.join(file)).is_ok_and(|text| text.split_ascii_whitespace().any(|word| word == name))
    };
    let done = || ["memory", "pids"].iter().all(|name| listed("cgroup.subtree_control", name));
    if done() {
        return true;
    }
    if !["memory", "pids"].iter().all(|name| listed("cgroup.controllers", name)) {
        return false;
    }
    let enable = || fs::write(dir.join("cgroup.subtree_control"), "+memory +pids").is_ok() && done();
    if enable() {
        return true;
    }
    let me = std::process::id().to_string();
    let members = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    if members.trim() != me {
        return false;
    }
    let leaf = dir.join(format!("{LEAF}{me}"));
    if fs::create_dir(&leaf).is_err() || fs::write(leaf.join("cgroup.procs"), &me).is_err() {
        let _ = fs::remove_dir(&leaf);
        return false;
    }
    enable()
}
