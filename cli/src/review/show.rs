//! Puts a report where it is wanted: on stdout as text or JSON, and into a SARIF file.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use nova_review::{Found, Report, Severity, Skip, Skipped};
use serde::Serialize;

use super::course::{Failed, Reviewed};
use super::render::{self, Look};
use super::verify::Verified;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Shape};

/// One line of `--json`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Finding(&'a Found),
    Skipped(&'a Skipped),
    Failed(&'a Failed),
    Summary(Box<Summary<'a>>),
}

/// The last line of `--json`.
#[derive(Serialize)]
struct Summary<'a> {
    run: &'a str,
    root: &'a str,
    commit: Option<&'a str>,
    files: u64,
    lines: u64,
    errors: u64,
    warnings: u64,
    infos: u64,
    findings_cut: u64,
    skipped: BTreeMap<Skip, u64>,
    failed: usize,
    tasks: u64,
    attempts: u64,
    redelivered: Option<u64>,
    retried: Option<u64>,
    fenced: Option<u64>,
    workers: &'a BTreeMap<String, u64>,
    took_ms: u128,
    idle_ms: u128,
    tasks_per_second: f64,
    outcomes: Option<Verified>,
    exactly_one_outcome_each: Option<bool>,
    /// Transitions of the run's history that gave the same decisions again; only when it was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sarif: Option<String>,
}

/// Shows a report; on a terminal at most `most` findings of each severity.
///
/// # Errors
/// When stdout is gone.
pub(crate) fn show(out: &Out, reviewed: &Reviewed, sarif: Option<&Path>, most: Option<usize>) -> Result<(), Failure> {
    let sarif = sarif.map(|path| path.display().to_string());
    let Reviewed { report, course } = reviewed;
    if out.is_json() {
        report.findings.iter().try_for_each(|found| out.json(&Line::Finding(found)))?;
        report.skipped.iter().try_for_each(|skipped| out.json(&Line::Skipped(skipped)))?;
        course.failed.iter().try_for_each(|failed| out.json(&Line::Failed(failed)))?;
        return out.json(&Line::Summary(Box::new(summary(reviewed, sarif))));
    }
    let is_terminal = out.shape() == Shape::Table;
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = is_terminal.then(width);
    let mut text = render::text(reviewed, Look { width, is_coloured: is_terminal && !no_colour, most });
    if let Some(sarif) = sarif {
        text.push_str(&format!("sarif      {sarif}\n"));
    }
    out.raw(text.as_bytes())
}

/// The width of the terminal on stdout.
fn width() -> usize {
    let told = io::stdout().is_terminal().then(|| rustix::termios::tcgetwinsize(io::stdout()).ok()).flatten();
    told.map(|size| usize::from(size.ws_col)).filter(|columns| *columns >= 40).unwrap_or(80)
}

fn summary(reviewed: &Reviewed, sarif: Option<String>) -> Summary<'_> {
    let Reviewed { report, course } = reviewed;
    Summary {
        run: course.run_word(),
        root: &report.root,
        commit: report.commit.as_deref(),
        files: report.files,
        lines: report.lines,
        errors: report.counts.errors,
        warnings: report.counts.warnings,
        infos: report.counts.infos,
        findings_cut: report.findings_cut,
        skipped: report.skips(),
        failed: course.failed.len(),
        tasks: course.tasks,
        attempts: course.attempts,
        redelivered: course.redeliveries,
        retried: course.retried,
        fenced: course.fenced,
        workers: &course.by_worker,
        took_ms: course.took.as_millis(),
        idle_ms: course.idle.as_millis(),
        tasks_per_second: (course.throughput() * 10.0).round() / 10.0,
        outcomes: course.verified,
        exactly_one_outcome_each: course.verified.map(Verified::holds),
        replayed: course.replayed,
        sarif,
    }
}

/// Writes the SARIF file; a reader never sees half of one.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_sarif(report: &Report, path: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::io(format!("write {}", path.display()), source);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let Some(sarif) = &report.sarif else {
        return Err(Failure::new(
            Exit::FAILURE,
            "no_sarif",
            "the report came without the SARIF document it was asked for",
        ));
    };
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    std::fs::write(&fresh, format!("{sarif}\n")).and_then(|()| std::fs::rename(&fresh, path)).map_err(failed)
}

/// How the process ends: by the records first, then the dead tasks, then the findings that count as failure.
pub(crate) fn exit(reviewed: &Reviewed, fail_from: Option<Severity>) -> Exit {
    let Reviewed { report, course } = reviewed;
    if course.verified.is_some_and(|verified| !verified.holds()) {
        return Exit::FAILURE;
    }
    if !course.failed.is_empty() {
        return Exit::DEAD;
    }
    let is_bad = |found: &Found| fail_from.is_some_and(|least| found.finding.severity >= least);
    if report.findings.iter().any(is_bad) { Exit::FAILURE } else { Exit::OK }
}

#[cfg(test)]
mod tests {
    use super::super::course::tests::sample;
    use super::*;

    #[test]
    fn the_exit_code_tells_the_worst() {
        let mut reviewed = sample();
        assert_eq!(exit(&reviewed, None), Exit::DEAD);
        reviewed.course.failed.clear();
        assert_eq!(exit(&reviewed, None), Exit::OK);
        assert_eq!(exit(&reviewed, Some(Severity::Error)), Exit::FAILURE);
        reviewed.report.findings.retain(|found| found.finding.severity == Severity::Info);
        assert_eq!(exit(&reviewed, Some(Severity::Warning)), Exit::OK);
        reviewed.course.verified = Some(Verified { once: 0, none: 1, more: 0 });
        assert_eq!(exit(&reviewed, None), Exit::FAILURE);
    }
}
