//! Finds where this process may make cgroups: always below its own, so that outer limits keep holding.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Place, Places, Version, v2};

/// One cgroup mount as `/proc/self/mountinfo` shows it.
#[derive(Debug, PartialEq)]
struct Mount {
    version: Version,
    /// The part of the hierarchy that is mounted.
    root: PathBuf,
    /// Where.
    point: PathBuf,
    /// The controllers of a version 1 hierarchy.
    options: String,
}

pub fn detect(delegated: Option<&Path>) -> Places {
    let mounts = parse_mounts(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let unified = delegated.map(Path::to_path_buf).or_else(|| own_folder(&mounts, &own, None));
    let mut places = Places::default();
    // A process that has moved itself into its leaf before makes its groups beside it, not below.
    let unified = unified.map(|dir| match dir.file_name().and_then(|name| name.to_str()) {
        Some(name) if name.starts_with(v2::LEAF) => dir.parent().unwrap_or(&dir).to_path_buf(),
        _ => dir,
    });
    if let Some(parent) = unified {
        let handed = v2::hand_down(&parent);
        let place = Place { version: Version::V2, parent };
        if handed && probe(&place, &["memory.max", "memory.stat", "memory.events"]) {
            places.memory = Some(place.clone());
        }
        if handed && probe(&place, &["pids.max", "pids.events"]) {
            places.processes = Some(place.clone());
        }
        if probe(&place, &["cpu.stat", "cgroup.kill"]) {
            places.cpu = Some(place);
        }
    }
    let first = |controller: &str, files: &[&str]| {
        let parent = own_folder(&mounts, &own, Some(controller))?;
        Some(Place { version: Version::V1, parent }).filter(|place| probe(place, files))
    };
    places.memory = places.memory.or_else(|| first("memory", &["memory.limit_in_bytes", "memory.oom_control"]));
    places.processes = places.processes.or_else(|| first("pids", &["pids.max", "pids.events"]));
    places.cpu = places.cpu.or_else(|| first("cpuacct", &["cpuacct.usage"]));
    places
}

fn parse_mounts(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            let version = match *right.first()? {
                "cgroup" => Version::V1,
                "cgroup2" => Version::V2,
                _ => return None,
            };
            let options = (*right.get(2)?).to_owned();
            Some(Mount { version, root: left.get(3)?.into(), point: left.get(4)?.into(), options })
        })
        .collect()
}

/// The folder of this process in the hierarchy of a version 1 controller, or in the unified one.
fn own_folder(mounts: &[Mount], own: &str, controller: Option<&str>) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next()?, parts.next()?);
        let wanted = match controller {
            Some(name) => names.split(',').any(|n| n == name),
            None => names.is_empty(),
        };
        wanted.then_some(path)
    })?;
    let mount = mounts.iter().find(|mount| match controller {
        Some(name) => mount.version == Version::V1 && mount.options.split(',').any(|n| n == name),
        None => mount.version == Version::V2,
    })?;
    let inside = Path::new(path).strip_prefix(&mount.root).ok()?;
    Some(mount.point.join(inside))
}

/// Makes a group, looks for the files and removes it.
fn probe(place: &Place, files: &[&str]) -> bool {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let dir = place.parent.join(format!("nova-probe-{}-{number}", std::process::id()));
    if fs::create_dir(&dir).is_err() {
        return false;
    }
    let found = files.iter().all(|file| dir.join(file).exists());
    fs::remove_dir(&dir).is_ok() && found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 25 0:26 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory
31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
32 25 0:28 / /sys/fs/cgroup/unified rw shared:11 - cgroup2 cgroup2 rw,nsdelegate
33 25 8:1 / / rw - ext4 /dev/sda1 rw";

    #[test]
    fn the_own_folder_is_found_in_every_hierarchy() {
        let mounts = parse_mounts(HYBRID);
        let own = "4:memory:/a/b\n3:cpu,cpuacct:/\n0::/user.slice";
        let find = |controller| own_folder(&mounts, own, controller);
        assert_eq!(find(Some("memory")), Some("/sys/fs/cgroup/memory/a/b".into()));
        assert_eq!(find(Some("cpuacct")), Some("/sys/fs/cgroup/cpu,cpuacct/".into()));
        assert_eq!(find(Some("pids")), None);
        assert_eq!(find(None), Some("/sys/fs/cgroup/unified/user.slice".into()));
    }

    #[test]
    fn a_container_that_sees_only_its_part_stays_in_it() {
        let mounts = parse_mounts("30 25 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory");
        let find = |own| own_folder(&mounts, own, Some("memory"));
        assert_eq!(find("4:memory:/docker/abc/x"), Some("/sys/fs/cgroup/memory/x".into()));
        assert_eq!(find("4:memory:/elsewhere"), None);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_none() {
        let place = Place { version: Version::V2, parent: "/proc".into() };
        assert!(!probe(&place, &[]));
    }
}
