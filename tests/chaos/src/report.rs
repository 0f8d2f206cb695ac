//! What runs came to, for people and programs: the last line, and the tables of docs/reliability.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::bounds::{Bound, Summary, summary};
use crate::check::Counts;
use crate::recovery::{Recovery, merge};
use crate::run::Report;

/// How many violations of one kind are shown.
const SHOWN: usize = 5;

/// The figures of all runs on one line; the last one printed.
#[must_use]
pub fn line(reports: &[Report]) -> String {
    let counts = total(reports);
    let wrong: usize = reports.iter().map(|report| report.violations.len()).sum();
    let slowest = reports.iter().map(|report| report.ended_secs).fold(0.0, f64::max);
    let of = |invariant: &str| {
        let all = reports.iter().flat_map(|report| &report.violations);
        all.filter(|violation| violation.invariant.starts_with(invariant)).count()
    };
    format!(
        "chaos: {} runs={} tasks={} acked={} outcomes={} lost={} double={} done_and_dead={} decided_twice={} violations={wrong} \
         faults={} restarted={} fenced={} unsure={} letters={} ended_within_secs={slowest:.1} late={}",
        if wrong == 0 { "pass" } else { "FAIL" },
        reports.len(),
        counts.asked,
        counts.acked,
        counts.outcomes,
        of("I1 "),
        of("I4 one"),
        of("I5 "),
        of("I13 "),
        counts.faults,
        counts.restarted,
        counts.fenced,
        counts.unsure,
        counts.letters,
        of("goes on within"),
    )
}

/// What was wrong in a run, for a person.
#[must_use]
pub fn complaint(report: &Report) -> String {
    let mut text = String::new();
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for violation in &report.violations {
        let count = shown.entry(violation.invariant).or_insert(0);
        *count += 1;
        if *count <= SHOWN {
            let _ = writeln!(text, "  {}: {}: {}", violation.invariant, violation.of, violation.what);
        }
    }
    for (invariant, count) in shown.into_iter().filter(|(_, count)| *count > SHOWN) {
        let _ = writeln!(text, "  {invariant}: {} more", count - SHOWN);
    }
    if let Some(kept) = &report.kept {
        let _ = writeln!(text, "  histories and logs are in {}", kept.display());
    }
    text
}

fn total(reports: &[Report]) -> Counts {
    reports.iter().fold(Counts::default(), |all, report| all.and(report.counts))
}

/// The tables for the page: what was run, and each kind of fault.
#[must_use]
pub fn tables(reports: &[Report]) -> String {
    let mut text = String::new();
    let mut profiles: BTreeMap<&str, Vec<&Report>> = BTreeMap::new();
    for report in reports {
        profiles.entry(&report.profile).or_default().push(report);
    }
    text.push_str("| profile | seeds | minutes | tasks | outcomes | runs | started again | fenced | dead | lost | twice | longest to end |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (profile, reports) in &profiles {
        let counts = reports.iter().fold(Counts::default(), |all, report| all.and(report.counts));
        let of = |invariant: &str| {
            let all = reports.iter().flat_map(|report| &report.violations);
            all.filter(|violation| violation.invariant.starts_with(invariant)).count()
        };
        let _ = writeln!(
            text,
            "| `{profile}` | {} | {:.0} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} s |",
            reports.len(),
            reports.iter().map(|report| report.faulty_secs).sum::<f64>() / 60.0,
            counts.acked,
            counts.outcomes,
            counts.runs,
            counts.restarted,
            counts.fenced,
            counts.dead,
            of("I1 "),
            of("I4 one"),
            reports.iter().map(|report| report.ended_secs).fold(0.0, f64::max),
        );
    }
    for (profile, reports) in &profiles {
        let mut faults: BTreeMap<String, Recovery> = BTreeMap::new();
        reports.iter().for_each(|report| merge(&mut faults, report.faults.clone()));
        let _ = writeln!(text, "\n`{profile}`:\n");
        text.push_str("| goes on after a fault | promised | times | median | longest | amid other faults | longest of those |\n|---|---|---|---|---|---|---|\n");
        for bound in Bound::ALL {
            let samples = reports.iter().flat_map(|report| &report.bounds);
            let Summary { judged, worst, median, told, worst_told } = summary(samples, bound);
            if judged + told == 0 {
                continue;
            }
            let (about, promised) = (bound.about(), bound.promised().as_secs());
            let _ = writeln!(
                text,
                "| {about} | {promised} s | {judged} | {median:.1} s | {worst:.1} s | {told} | {worst_told:.1} s |"
            );
        }
        text.push('\n');
        text.push_str("| fault | times | longest silence | first start after it, at the latest |\n|---|---|---|---|\n");
        for (fault, figures) in faults {
            let Recovery { times, silence, resumed } = figures;
            let _ = writeln!(text, "| {fault} | {times} | {silence:.1} s | {resumed:.1} s |");
        }
    }
    text
}

/// Where the tables stand in the page.
const BEGIN: &str = "<!-- written by make chaos WRITE=1 -->";
const END: &str = "<!-- end -->";

/// Puts the tables into a page, between its marks.
///
/// # Errors
/// When the page has no marks or cannot be written.
pub fn write(page: &Path, reports: &[Report]) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| format!("could not read {}", page.display()))?;
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("{} has no `{BEGIN}`", page.display()))?;
    let after = rest.split_once(END).map(|(_, after)| after);
    ensure!(after.is_some(), "{} has no `{END}`", page.display());
    let text = format!("{before}{BEGIN}\n\n{}\n{END}{}", tables(reports), after.unwrap_or_default());
    std::fs::write(page, text).with_context(|| format!("could not write {}", page.display()))
}
