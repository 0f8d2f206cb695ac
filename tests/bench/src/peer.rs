//! What else one could take: each peer is installed and measured by a program of its own, `tests/bench/peers/<name>/run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nova_testkit::Process;
use serde::Deserialize;

use crate::report;

/// How often it is looked whether a peer's program has ended.
const LOOK: Duration = Duration::from_millis(50);

/// A peer.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its name, and that of its folder.
    pub name: &'static str,
    /// How many times as many tasks per second Nova has to do.
    pub at_least: Option<f64>,
    /// Why it is left out unless it is asked for by name.
    pub left_out: Option<&'static str>,
}

/// What is to be measured.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// How many tasks at most.
    pub tasks: usize,
    /// How many are under way at once.
    pub in_flight: usize,
    /// How many one at a time.
    pub singles: usize,
    /// How long each part may submit; a slow peer does fewer tasks.
    pub time: Duration,
}

/// What a peer's program printed.
#[derive(Debug, Deserialize)]
pub struct Measured {
    /// What was installed.
    pub versions: BTreeMap<String, String>,
    /// Tasks per second.
    pub rate: f64,
    /// The time of a single task, in milliseconds; `None` when none was done alone.
    pub p50_ms: Option<f64>,
    /// The time that 99 of 100 single tasks stay within.
    pub p99_ms: Option<f64>,
    /// How it is set up, in words.
    pub settings: String,
}

impl Measured {
    /// What was measured, for a person: versions and settings.
    pub fn note(&self) -> String {
        let versions: Vec<String> = self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!("{}: {}", versions.join(", "), self.settings)
    }
}

impl Peer {
    /// Installs what is missing.
    ///
    /// # Errors
    /// Why it cannot be had here.
    pub async fn install(&self, limit: Duration) -> anyhow::Result<()> {
        self.run(&["--install".to_owned()], limit).await.map(drop)
    }

    /// Starts it, measures it and stops it again.
    ///
    /// # Errors
    /// What went wrong, in the program's words.
    pub async fn measure(&self, asked: Asked, limit: Duration) -> anyhow::Result<Measured> {
        let printed = self.run(&words(asked), limit).await?;
        let line = printed.last().with_context(|| format!("{} printed nothing", self.name))?;
        serde_json::from_str(line).with_context(|| format!("{} printed no result: {line}", self.name))
    }

    /// What its program prints; dropping this ends the program with all that it started.
    async fn run(&self, args: &[String], limit: Duration) -> anyhow::Result<Vec<String>> {
        let program = folder().join(self.name).join("run");
        let mut command = Command::new(&program);
        // Beside the results, wherever this was built.
        let target = report::results_path()?.ancestors().nth(2).map(Path::to_path_buf);
        command.args(args).env("CARGO_TARGET_DIR", target.context("the results are not in a target folder")?);
        let mut process = Process::spawn(self.name, command);
        let ended = tokio::time::timeout(limit, async {
            while process.try_exit().is_none() {
                tokio::time::sleep(LOOK).await;
            }
            process.wait_exit(limit).await
        });
        match ended.await {
            Err(_) => bail!("{} was cut off after {} s", self.name, limit.as_secs()),
            Ok(status) if status.success() => Ok(process.stdout()),
            // Its last word says why.
            Ok(status) => bail!(process.stderr().pop().unwrap_or_else(|| format!("{} ended: {status}", self.name))),
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

fn words(asked: Asked) -> Vec<String> {
    let pair = |flag: &str, value: String| [flag.to_owned(), value];
    [
        pair("--tasks", asked.tasks.to_string()),
        pair("--in-flight", asked.in_flight.to_string()),
        pair("--singles", asked.singles.to_string()),
        pair("--seconds", asked.time.as_secs_f64().to_string()),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_peer_is_read() {
        let line = r#"{"peer": "celery", "versions": {"redis": "8.1.0", "celery": "5.7.0"}, "tasks": 9, "seconds": 3.0,
            "rate": 3.0, "p50_ms": 2.5, "p99_ms": null, "stored_results": true, "settings": "2 processes"}"#;
        let measured: Measured = serde_json::from_str(line).expect("it is the contract");
        assert_eq!((measured.rate, measured.p50_ms, measured.p99_ms), (3.0, Some(2.5), None));
        assert_eq!(measured.note(), "celery 5.7.0, redis 8.1.0: 2 processes");
    }

    #[test]
    fn numbers_are_given_as_the_programs_read_them() {
        let asked = Asked { tasks: 10, in_flight: 2, singles: 1, time: Duration::from_millis(2500) };
        let said = words(asked).join(" ");
        assert_eq!(said, "--tasks 10 --in-flight 2 --singles 1 --seconds 2.5");
    }
}
