//! A guard for a child process of an end-to-end test: its output line by line, its signals, its end.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::Signal;

use crate::spawn::{signal, signal_group, spawn_guarded};
use crate::wait::{poll, poll_blocking, wait_until};

/// Lines kept per stream: enough for any test's log, small enough for one that logs in a loop.
const KEPT_LINES: usize = 20_000;

/// How long to wait for the last output of an ended process; a descendant that keeps the pipe open may write for ever.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

type Lines = Arc<Mutex<VecDeque<String>>>;

/// A running child process; dropping it kills its whole process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    exited: Option<ExitStatus>,
    stdout: Lines,
    stderr: Lines,
    collectors: [JoinHandle<()>; 2],
}

impl Process {
    /// Starts `command` with stdin closed and both outputs captured; `name` is used in panic messages.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[track_caller]
    pub fn spawn(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = command.get_program().to_os_string();
        let mut child = match spawn_guarded(command) {
            Ok(child) => child,
            Err(e) => panic!("could not start {name} ({}): {e}", program.display()),
        };
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let collectors =
            [collect(child.stdout.take(), Arc::clone(&stdout)), collect(child.stderr.take(), Arc::clone(&stderr))];
        Self { name: name.into(), child, exited: None, stdout, stderr, collectors }
    }

    /// Starts a program by path and arguments.
    ///
    /// # Panics
    /// When the program cannot be started.
    #[track_caller]
    pub fn start<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = A>) -> Self {
        let name = program.as_ref().to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.args(args);
        Self::spawn(&name, command)
    }

    /// The process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process at once (SIGKILL); its children stay as they are.
    pub fn kill9(&mut self) {
        self.signal(Signal::KILL);
    }

    /// Asks the process to end (SIGTERM).
    pub fn term(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Interrupts the process as Ctrl-C does (SIGINT).
    pub fn interrupt(&mut self) {
        self.signal(Signal::INT);
    }

    /// Freezes the process (SIGSTOP).
    pub fn stop(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn cont(&mut self) {
        self.signal(Signal::CONT);
    }

    fn signal(&mut self, what: Signal) {
        // A reaped process's id may belong to another one by now.
        if self.try_exit().is_none() {
            signal(self.pid(), what).expect("a process may signal its own child");
        }
    }

    /// The exit status when the process has ended, without waiting.
    pub fn try_exit(&mut self) -> Option<ExitStatus> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait().expect("a child is waited for here only");
        }
        self.exited
    }

    /// Waits for the process to end and for its last lines of output.
    ///
    /// # Panics
    /// When it has not ended by the deadline; the message shows the end of its stderr.
    pub async fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let status = poll(deadline, || self.try_exit()).await.unwrap_or_else(|| self.still_running(deadline));
        poll(LAST_OUTPUT, || self.collected()).await;
        status
    }

    /// Waits for the process to end, for tests without a runtime.
    ///
    /// # Panics
    /// When it has not ended by the deadline.
    pub fn wait_exit_blocking(&mut self, deadline: Duration) -> ExitStatus {
        let status = poll_blocking(deadline, || self.try_exit()).unwrap_or_else(|| self.still_running(deadline));
        poll_blocking(LAST_OUTPUT, || self.collected());
        status
    }

    fn still_running(&self, deadline: Duration) -> ! {
        panic!("{} did not end in {deadline:?}{}", self.name, self.tail())
    }

    fn collected(&self) -> Option<()> {
        self.collectors.iter().all(JoinHandle::is_finished).then_some(())
    }

    /// Everything written to stdout so far, by line.
    pub fn stdout(&self) -> Vec<String> {
        copy(&self.stdout)
    }

    /// Everything written to stderr so far, by line.
    pub fn stderr(&self) -> Vec<String> {
        copy(&self.stderr)
    }

    /// Waits for a line on stdout that contains `needle` and returns it.
    ///
    /// # Panics
    /// When none came by the deadline.
    pub async fn wait_stdout(&self, needle: &str, deadline: Duration) -> String {
        self.wait_line("stdout", &self.stdout, needle, deadline).await
    }

    /// Waits for a line on stderr that contains `needle` and returns it.
    ///
    /// # Panics
    /// When none came by the deadline.
    pub async fn wait_stderr(&self, needle: &str, deadline: Duration) -> String {
        self.wait_line("stderr", &self.stderr, needle, deadline).await
    }

    async fn wait_line(&self, stream: &str, lines: &Lines, needle: &str, deadline: Duration) -> String {
        let what = format!("`{needle}` on {stream} of {}", self.name);
        wait_until(what, deadline, async || locked(lines).iter().find(|line| line.contains(needle)).cloned()).await
    }

    fn tail(&self) -> String {
        let lines = self.stderr();
        lines[lines.len().saturating_sub(20)..].iter().fold(String::new(), |text, line| text + "\n  " + line)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Descendants in the group may outlive the leader; the group's id stays taken as long as one of them lives.
        let _ = signal_group(self.child.id(), Signal::KILL);
        if self.exited.is_none() {
            let _ = self.child.wait();
        }
    }
}

/// Copies a stream into `lines` until it ends; one thread per stream, so a full pipe never blocks the child.
fn collect(stream: Option<impl Read + Send + 'static>, lines: Lines) -> JoinHandle<()> {
    let stream = stream.expect("the stream was asked to be piped");
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(1..) = read_line(&mut reader, &mut line) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            let mut lines = locked(&lines);
            if lines.len() == KEPT_LINES {
                lines.pop_front();
            }
            lines.push_back(text);
        }
    })
}

fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    reader.read_until(b'\n', line)
}

fn copy(lines: &Lines) -> Vec<String> {
    locked(lines).iter().cloned().collect()
}

fn locked(lines: &Lines) -> std::sync::MutexGuard<'_, VecDeque<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn sh(script: &str) -> Process {
        Process::start("/bin/sh", ["-c", script])
    }

    fn alive(pid: u32) -> bool {
        // A zombie has an entry in /proc but no longer runs.
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with(['Z', 'X']))
    }

    #[tokio::test]
    async fn both_outputs_and_the_exit_status_are_seen() {
        let mut process = sh("echo out; echo err >&2; exit 7");
        assert_eq!(process.wait_stdout("ou", SOON).await, "out");
        assert_eq!(process.wait_stderr("er", SOON).await, "err");
        assert_eq!(process.wait_exit(SOON).await.code(), Some(7));
    }

    #[tokio::test]
    async fn signals_reach_the_process_by_its_id() {
        let mut process = sh("trap 'echo got term; exit 3' TERM; echo ready; while :; do sleep 0.01; done");
        process.wait_stdout("ready", SOON).await;
        process.stop();
        let pid = process.pid();
        wait_until("the process to stop", SOON, async || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.contains(") T ").then_some(())
        })
        .await;
        process.term();
        process.cont();
        assert_eq!(process.wait_exit(SOON).await.code(), Some(3));
        assert!(process.stdout().contains(&"got term".to_owned()));
    }

    #[tokio::test]
    async fn the_last_words_are_there_after_the_end() {
        let mut process = sh("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done");
        process.wait_exit(SOON).await;
        assert_eq!(process.stdout().last().map(String::as_str), Some("line 1999"));
    }

    #[tokio::test]
    async fn kill9_ends_a_process_that_ignores_term() {
        let mut process = sh("trap '' TERM; echo ready; while :; do sleep 0.05; done");
        process.wait_stdout("ready", SOON).await;
        process.term();
        process.kill9();
        assert_eq!(process.wait_exit_blocking(SOON).signal(), Some(9));
    }

    #[tokio::test]
    async fn dropping_the_guard_kills_grandchildren_too() {
        let process = sh("sleep 1000 & echo pid $!; wait");
        let line = process.wait_stdout("pid", SOON).await;
        let grandchild: u32 = line.trim_start_matches("pid ").parse().unwrap();
        assert!(alive(grandchild));
        drop(process);
        wait_until("the grandchild to die", SOON, async || (!alive(grandchild)).then_some(())).await;
    }

    #[tokio::test]
    async fn a_child_survives_the_thread_that_asked_for_it() {
        let process = std::thread::spawn(|| sh("echo up; sleep 1000")).join().unwrap();
        process.wait_stdout("up", SOON).await;
        assert!(alive(process.pid()));
    }
}
