//! The `nova` command against a test's server: how it ended and what it said.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::binary;

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Ran {
    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Asserts that stderr says something.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "no `{words}` in {self:?}");
        self
    }

    /// Stdout as JSON objects, one per line.
    #[must_use]
    pub fn rows(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON object per line")).collect()
    }
}

/// Runs `nova` against a server, beside what else this test does.
pub async fn nova(url: &str, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(binary("nova"));
    command.args(args).env_clear().env("NATS_URL", url).env("PATH", "/usr/bin:/bin").envs(env.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it is joined").expect("it runs");
    Ran {
        code: output.status.code().expect("no signal ended it"),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// A path as an argument.
#[must_use]
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}
