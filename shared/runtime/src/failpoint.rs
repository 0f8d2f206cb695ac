//! Failpoints: named places where a test can kill, stop or break a debug build at an exact moment.
//!
//! `NOVA_FAILPOINT="name=action[@n],..."` with the actions `kill` (SIGKILL), `stop` (SIGSTOP), `abort`, `panic` and
//! `sleep:<ms>`. `@n` acts on the n-th hit only; `stop` acts on the first unless told, so that a continued process goes
//! on; the others act on every hit. With `NOVA_FAILPOINT_MARK=dir` the file `dir/<name>.<pid>` appears right before.
//! A release build has none of this.

/// Does what `NOVA_FAILPOINT` wants at the place `name`: nothing, unless a test set it.
#[cfg(debug_assertions)]
pub fn hit(name: &str) {
    armed::hit(name);
}

/// Does nothing in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn hit(_name: &str) {}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use rustix::process::Signal;

    static POINTS: OnceLock<Vec<Point>> = OnceLock::new();

    #[derive(Debug)]
    pub(super) struct Point {
        name: String,
        action: Action,
        only_hit: Option<u32>,
        hits: AtomicU32,
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Action {
        Kill,
        Stop,
        Abort,
        Panic,
        Sleep(Duration),
    }

    pub(super) fn hit(name: &str) {
        let points = POINTS.get_or_init(|| {
            let text = std::env::var("NOVA_FAILPOINT").unwrap_or_default();
            // A mistyped failpoint that is passed over would make a test prove nothing.
            parse(&text).unwrap_or_else(|wrong| panic!("NOVA_FAILPOINT has a wrong entry `{wrong}`"))
        });
        for point in points.iter().filter(|point| point.name == name) {
            let hits = point.hits.fetch_add(1, Ordering::SeqCst) + 1;
            if point.only_hit.is_none_or(|only| only == hits) {
                mark(name);
                act(&point.action, name);
            }
        }
    }

    /// Reads the whole variable, or says which entry is wrong.
    pub(super) fn parse(text: &str) -> Result<Vec<Point>, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| parse_entry(entry).ok_or_else(|| entry.to_owned())).collect()
    }

    fn parse_entry(entry: &str) -> Option<Point> {
        let (name, rest) = entry.split_once('=')?;
        let (action, only_hit) = match rest.split_once('@') {
            Some((action, count)) => (action, Some(count.parse().ok().filter(|&count| count > 0)?)),
            None => (rest, None),
        };
        let action = match action {
            "kill" => Action::Kill,
            "stop" => Action::Stop,
            "abort" => Action::Abort,
            "panic" => Action::Panic,
            other => Action::Sleep(Duration::from_millis(other.strip_prefix("sleep:")?.parse().ok()?)),
        };
        let only_hit = only_hit.or((action == Action::Stop).then_some(1));
        (!name.is_empty()).then(|| Point { name: name.to_owned(), action, only_hit, hits: AtomicU32::new(0) })
    }

    fn mark(name: &str) {
        if let Some(dir) = std::env::var_os("NOVA_FAILPOINT_MARK") {
            let path = std::path::Path::new(&dir).join(format!("{name}.{}", std::process::id()));
            std::fs::write(&path, "")
                .unwrap_or_else(|error| panic!("could not mark failpoint {}: {error}", path.display()));
        }
    }

    fn act(action: &Action, name: &str) {
        match action {
            Action::Kill => {
                signal_self(Signal::KILL);
                loop {
                    std::thread::park();
                }
            }
            Action::Stop => {
                signal_self(Signal::STOP);
                // The signal may reach another thread first: this one must not run on before all are stopped.
                block(Duration::from_millis(100));
            }
            Action::Abort => std::process::abort(),
            Action::Panic => panic!("failpoint {name}"),
            Action::Sleep(time) => block(*time),
        }
    }

    fn signal_self(signal: Signal) {
        rustix::process::kill_process(rustix::process::getpid(), signal).expect("a process may signal itself");
    }

    #[expect(clippy::disallowed_methods, reason = "a failpoint exists to hold up the thread it is hit on")]
    fn block(time: Duration) {
        std::thread::sleep(time);
    }
}

#[cfg(debug_assertions)]
#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};

    /// Runs `scene` of this test binary in a process of its own.
    fn spawn(failpoint: &str, mark: &std::path::Path) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "failpoint::tests::scene", "--nocapture"])
            .env("NOVA_FAILPOINT", failpoint)
            .env("NOVA_FAILPOINT_MARK", mark)
            .env("NOVA_TEST_SCENE", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Hits two points when run by [`spawn`], and nothing in the usual run of the tests.
    #[test]
    fn scene() {
        if std::env::var_os("NOVA_TEST_SCENE").is_some() {
            for _ in 0..3 {
                super::hit("first");
            }
            println!("passed first");
            super::hit("second");
            println!("passed second");
        }
    }

    fn check(failpoint: &str, signal: Option<i32>, success: bool, last: &str) {
        let dir = tempfile::tempdir().unwrap();
        let mut child = spawn(failpoint, dir.path());
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.signal(), status.success()), (signal, success), "{failpoint}: {said}");
        assert_eq!(said.contains("passed first"), last != "first", "{failpoint}: {said}");
        assert_eq!(said.contains("passed second"), last == "none", "{failpoint}: {said}");
        let marked = dir.path().join(format!("{last}.{}", child.id())).exists();
        assert_eq!(marked, last != "none", "{failpoint}");
    }

    #[test]
    fn actions_end_the_process_at_their_point() {
        check("", None, true, "none");
        check("third=kill", None, true, "none");
        check("first=kill@4", None, true, "none");
        check("first=kill@3", Some(9), false, "first");
        check("second=kill", Some(9), false, "second");
        check("first=sleep:1,second=abort", Some(6), false, "second");
        check("first=panic", None, false, "first");
    }

    #[test]
    fn mistyped_failpoint_ends_the_process() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!spawn("first=kil", dir.path()).wait().unwrap().success());
    }

    #[test]
    fn stopped_process_goes_on_when_continued() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = spawn("first=stop", dir.path());
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_stopped(child.id()) {
            assert!(Instant::now() < deadline, "was not stopped");
            std::thread::yield_now();
        }
        assert!(dir.path().join(format!("first.{}", child.id())).exists());
        kill_process(pid, Signal::CONT).unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn is_stopped(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    }

    #[test]
    fn wrong_entries_are_named() {
        for wrong in ["a", "a=", "=kill", "a=kill@0", "a=kill@x", "a=sleep", "a=sleep:x"] {
            assert_eq!(super::armed::parse(&format!("b=kill, {wrong}")).unwrap_err(), wrong);
        }
        assert_eq!(super::armed::parse("b=stop,,c=panic@2").unwrap().len(), 2);
    }
}
