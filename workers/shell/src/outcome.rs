//! What an attempt's report means for its task: the result, or why it failed and whether another try makes sense. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::job::{EnforcedBy, Report, Usage};
use crate::limits::Limits;

/// The result of a shell task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShellResult {
    /// The exit status, when the command ended by itself.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// `utf8`, or `base64` when the bytes are not UTF-8.
    pub stdout_encoding: &'static str,
    /// Whether more was written than is kept.
    pub stdout_truncated: bool,
    /// Standard error.
    pub stderr: String,
    /// As for standard output.
    pub stderr_encoding: &'static str,
    /// As for standard output.
    pub stderr_truncated: bool,
    /// What the whole tree used.
    pub usage: Usage,
    /// The limits it ran under, and what enforced each.
    pub limits: LimitsResult,
}

/// The limits of a result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitsResult {
    /// Wall time in seconds.
    pub wall_secs: LimitResult<f64>,
    /// Processor time in seconds.
    pub cpu_secs: LimitResult<f64>,
    /// Memory in bytes.
    pub memory_bytes: LimitResult<u64>,
    /// Processes and threads.
    pub processes: LimitResult<u32>,
    /// Bytes kept of each stream.
    pub output_bytes: LimitResult<u64>,
}

/// One limit of a result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitResult<T> {
    /// The value in force.
    pub limit: T,
    /// `cgroup-v1`, `cgroup-v2`, `sampling` or `supervisor`.
    pub enforced_by: String,
}

/// How an attempt that gave a report is judged.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// The command succeeded.
    Done(ShellResult),
    /// It failed, and may succeed another time.
    Failed {
        /// The error code.
        code: &'static str,
        /// For people.
        message: String,
        /// What there is of a result.
        result: ShellResult,
    },
    /// It breached a limit, and would again.
    Breached {
        /// The error code.
        code: &'static str,
        /// For people.
        message: String,
        /// The result so far.
        result: ShellResult,
    },
}

/// How much of each stream a failed attempt's details keep: its last part, for that is where the reason stands.
///
/// Details travel inside the attempt's record and the dead letter's outcome; even with every byte escaped, twice this
/// stays well below what a broker takes in one message.
const DETAILS_BYTES: usize = 32 << 10;

/// Judges a report.
pub fn judge(mut report: Report, limits: &Limits) -> Judgement {
    if report.breach.is_some() || report.cancelled || report.exit != Some(0) {
        keep_tail(&mut report.stdout);
        keep_tail(&mut report.stderr);
    }
    let (exit, signal, breach, cancelled) = (report.exit, report.signal, report.breach, report.cancelled);
    let result = ShellResult::new(report, limits);
    match (breach, exit, signal) {
        (Some(breach), _, _) => {
            let message = format!("the command breached its limit `{}`", &breach.code()["limit_".len()..]);
            Judgement::Breached { code: breach.code(), message, result }
        }
        // Ending well in the grace of a cancel is no success: the command was told to stop and may have stopped early.
        _ if cancelled => {
            Judgement::Failed { code: "interrupted", message: "the attempt was stopped".to_owned(), result }
        }
        (None, Some(0), _) => Judgement::Done(result),
        (None, Some(status), _) => {
            Judgement::Failed { code: "exit", message: format!("the command exited with status {status}"), result }
        }
        (None, None, Some(signal)) => {
            Judgement::Failed { code: "signal", message: format!("the command was ended by signal {signal}"), result }
        }
        (None, None, None) => {
            Judgement::Failed { code: "signal", message: "the command could not be ended".to_owned(), result }
        }
    }
}

impl ShellResult {
    fn new(report: Report, limits: &Limits) -> Self {
        let Report { exit, signal, stdout, stderr, usage, enforced_by, .. } = report;
        let stdout_truncated = usage.stdout_bytes > stdout.len() as u64;
        let stderr_truncated = usage.stderr_bytes > stderr.len() as u64;
        let (stdout, stdout_encoding) = text(stdout, stdout_truncated);
        let (stderr, stderr_encoding) = text(stderr, stderr_truncated);
        let limits = LimitsResult::new(limits, enforced_by);
        Self {
            exit,
            signal,
            stdout,
            stdout_encoding,
            stdout_truncated,
            stderr,
            stderr_encoding,
            stderr_truncated,
            usage,
            limits,
        }
    }
}

impl LimitsResult {
    fn new(limits: &Limits, by: EnforcedBy) -> Self {
        Self {
            wall_secs: LimitResult { limit: limits.wall.as_secs_f64(), enforced_by: by.wall },
            cpu_secs: LimitResult { limit: limits.cpu.as_secs_f64(), enforced_by: by.cpu },
            memory_bytes: LimitResult { limit: limits.memory_bytes, enforced_by: by.memory },
            processes: LimitResult { limit: limits.processes, enforced_by: by.processes },
            output_bytes: LimitResult { limit: limits.output_bytes, enforced_by: by.output },
        }
    }
}

fn keep_tail(bytes: &mut Vec<u8>) {
    let Some(cut) = bytes.len().checked_sub(DETAILS_BYTES) else { return };
    // Not in the middle of a character, of which at most three bytes can be left over.
    let over = bytes[cut..].iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
    bytes.drain(..if cut == 0 { 0 } else { cut + over });
}

/// Bytes as text; a character cut in two by the limit does not make the rest of it binary.
fn text(bytes: Vec<u8>, truncated: bool) -> (String, &'static str) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, "utf8"),
        Err(error) => {
            let whole = error.utf8_error().valid_up_to();
            let cut = truncated && error.utf8_error().error_len().is_none();
            let mut bytes = error.into_bytes();
            if cut {
                bytes.truncate(whole);
                return (String::from_utf8(bytes).expect("valid up to there"), "utf8");
            }
            (STANDARD.encode(bytes), "base64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Breach;

    fn code(report: Report) -> &'static str {
        match judge(report, &Limits::default()) {
            Judgement::Done(_) => "done",
            Judgement::Failed { code, .. } | Judgement::Breached { code, .. } => code,
        }
    }

    #[test]
    fn every_end_has_its_code() {
        let ended = |exit, signal| Report { exit, signal, ..Report::default() };
        assert_eq!(code(ended(Some(0), None)), "done");
        assert_eq!(code(ended(Some(3), None)), "exit");
        assert_eq!(code(ended(None, Some(11))), "signal");
        assert_eq!(code(Report { cancelled: true, ..ended(Some(0), None) }), "interrupted");
        assert_eq!(code(Report { breach: Some(Breach::Cpu), ..ended(None, Some(9)) }), "limit_cpu");
        assert_eq!(code(Report { breach: Some(Breach::Memory), ..ended(Some(0), None) }), "limit_memory");
    }

    #[test]
    fn output_that_is_no_text_is_carried_in_base64() {
        assert_eq!(text(b"h\xc3\xa9".to_vec(), false), ("hé".to_owned(), "utf8"));
        assert_eq!(text(vec![0xff, 0x00], false), ("/wA=".to_owned(), "base64"));
        assert_eq!(text(b"h\xc3".to_vec(), false), ("aMM=".to_owned(), "base64"));
        assert_eq!(text(b"h\xc3".to_vec(), true), ("h".to_owned(), "utf8"));
    }

    #[test]
    fn what_was_cut_off_is_flagged() {
        let usage = Usage { stdout_bytes: 5, stderr_bytes: 2, ..Usage::default() };
        let report =
            Report { exit: Some(0), stdout: b"ab".to_vec(), stderr: b"ab".to_vec(), usage, ..Report::default() };
        let result = ShellResult::new(report, &Limits::default());
        assert!(result.stdout_truncated && !result.stderr_truncated);
    }

    #[test]
    fn details_keep_the_end_of_a_long_output() {
        let stdout = "é".repeat(40_000).into_bytes();
        let usage = Usage { stdout_bytes: stdout.len() as u64, ..Usage::default() };
        let report =
            |exit| Report { exit: Some(exit), stdout: stdout.clone(), usage: usage.clone(), ..Report::default() };
        let Judgement::Failed { result, .. } = judge(report(1), &Limits::default()) else { panic!("it failed") };
        assert_eq!(
            (result.stdout.len(), result.stdout_encoding, result.stdout_truncated),
            (DETAILS_BYTES, "utf8", true)
        );
        let Judgement::Done(result) = judge(report(0), &Limits::default()) else { panic!("it is done") };
        assert_eq!((result.stdout.len(), result.stdout_truncated), (80_000, false));
        let mut odd = b"x".repeat(DETAILS_BYTES - 1);
        odd.splice(0..0, "é".bytes());
        keep_tail(&mut odd);
        assert_eq!(odd.len(), DETAILS_BYTES - 1, "half a character is left out");
    }
}
