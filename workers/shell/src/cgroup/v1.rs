//! The memory files of cgroup v1.

use std::fs;
use std::io;
use std::path::Path;

use super::{GroupReading, keyed, number};

/// Limits memory, and memory with swap where the kernel counts that.
pub fn limit_memory(dir: &Path, bytes: u64) -> io::Result<()> {
    fs::write(dir.join("memory.limit_in_bytes"), bytes.to_string())?;
    // Without swap accounting this file is missing; then at least nothing is swapped out eagerly.
    let _ = fs::write(dir.join("memory.memsw.limit_in_bytes"), bytes.to_string());
    let _ = fs::write(dir.join("memory.swappiness"), "0");
    Ok(())
}

pub fn read_memory(dir: &Path, now: &mut GroupReading) {
    let stat = dir.join("memory.stat");
    let shared = keyed(&stat, "total_shmem").unwrap_or(0);
    now.memory_bytes = keyed(&stat, "total_rss").map(|rss| rss + shared);
    let cache = keyed(&stat, "total_cache").unwrap_or(0).saturating_sub(shared);
    now.memory_peak = number(&dir.join("memory.max_usage_in_bytes")).map(|peak| peak.saturating_sub(cache));
    // A group above ours may have run out instead: only when ours was full, but for the last batch of pages, it was ours.
    // The kernel's own count of refusals would say, but stays at zero on newer ones (seen on 6.18).
    const LAST_BATCH: u64 = 1 << 20;
    let limit = number(&dir.join("memory.limit_in_bytes")).unwrap_or(u64::MAX);
    let full = |file: &&str| number(&dir.join(file)).is_some_and(|peak| peak.saturating_add(LAST_BATCH) >= limit);
    let was_full = ["memory.max_usage_in_bytes", "memory.memsw.max_usage_in_bytes"].iter().any(full);
    now.oom_killed = was_full && keyed(&dir.join("memory.oom_control"), "oom_kill").is_some_and(|n| n > 0);
}
