//! Reviews the files named on the command line without a broker: for trying rules and for measuring.
//!
//! `cargo run -p nova-code-review --example review -- [--rules DIR] FILE...`

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nova_code_review::{Config, RuleSet, review};

fn main() -> anyhow::Result<()> {
    let mut files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let mut config = Config::default();
    if files.first().is_some_and(|first| first.as_os_str() == "--rules") && files.len() > 1 {
        config.rules_dir = Some(files.remove(1));
        files.remove(0);
    }
    let rules = RuleSet::new(config)?;
    let cancel = AtomicBool::new(false);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let (mut took, mut bytes, mut slowest) = (Vec::new(), 0, (Duration::ZERO, PathBuf::new()));
    for file in files {
        let content = std::fs::read(&file)?;
        let started = Instant::now();
        let review = review(&file.to_string_lossy(), &content, &rules, &cancel)?;
        let elapsed = started.elapsed();
        took.push(elapsed);
        bytes += content.len();
        for finding in &review.findings {
            let place = format!("{}:{}:{}", review.path, finding.line, finding.column);
            writeln!(
                out,
                "{place}: {:?} {} {} | {}",
                finding.severity, finding.rule, finding.message, finding.snippet
            )?;
        }
        if let Some(skip) = review.skipped {
            writeln!(out, "{}: skipped, {skip:?}", review.path)?;
        }
        if elapsed > slowest.0 {
            slowest = (elapsed, file);
        }
    }
    took.sort();
    let total: Duration = took.iter().sum();
    let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
    let mut err = io::stderr().lock();
    writeln!(err, "{} files, {} KiB in {total:?}: p50 {:?}, p99 {:?}", took.len(), bytes / 1024, at(50), at(99))?;
    writeln!(err, "slowest: {:?} {}", slowest.0, slowest.1.display())?;
    Ok(())
}
