//! The skill itself: admits a task, runs it, and turns the judgement into a verdict.

use nova_worker::{Context, Skill, Verdict};
use serde_json::Value;

use crate::config::{Config, ConfigError, Settings};
use crate::job::StartFailure;
use crate::outcome::{Judgement, ShellResult, judge};
use crate::request::{Request, admit};
use crate::run::{Engine, EngineError, RunError};

/// Runs commands under limits.
#[derive(Debug)]
pub struct Shell {
    settings: Settings,
    engine: Engine,
}

/// Why the skill cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// The configuration cannot be meant.
    #[error("the shell skill's configuration cannot be used")]
    Config(#[from] ConfigError),
    /// The machine does not allow what the configuration asks for.
    #[error("the shell skill cannot run on this machine")]
    Engine(#[from] EngineError),
}

impl Shell {
    /// Checks the configuration and finds out how limits can be enforced here.
    ///
    /// It also makes this process unreadable to others of the same user, so that commands, which run as that user, find
    /// no credentials in its memory or environment. Root can read everything: do not run this worker as root.
    ///
    /// # Errors
    /// [`ShellError`] says what to change.
    pub fn new(config: Config) -> Result<Self, ShellError> {
        let settings = config.check()?;
        let engine = Engine::new(settings.config.enforcement, settings.config.cgroup_parent.as_deref())?;
        if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
            tracing::warn!(%error, "commands may be able to read this process's memory");
        }
        let places = engine.places();
        tracing::info!(memory = ?places.memory, processes = ?places.processes, cpu = ?places.cpu, "limits by cgroup");
        Ok(Self { settings, engine })
    }

    /// Uses another engine, as tests must whose own binary is no supervisor.
    #[must_use]
    pub fn with_engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }
}

impl Skill for Shell {
    type Input = Request;
    type Output = ShellResult;

    fn name(&self) -> &str {
        "shell"
    }

    async fn run(&self, input: Request, cx: Context) -> Result<ShellResult, Verdict> {
        let (spec, limits) =
            admit(&self.settings, input).map_err(|refusal| Verdict::reject(refusal.code(), refusal.to_string()))?;
        let command = spec.argv[0].clone();
        let patience = self.settings.patience;
        let report = match self.engine.run(spec, limits.clone(), patience, cx.cancelled()).await {
            Ok(report) => report,
            Err(error) => return Err(no_report(error, &command)),
        };
        if report.survivors {
            tracing::error!(task = %cx.task(), %command, "a process of another user could not be killed");
        }
        cx.report_usage(std::time::Duration::from_millis(report.usage.cpu_ms), report.usage.max_rss_bytes);
        match judge(report, &limits) {
            Judgement::Done(result) => Ok(result),
            Judgement::Failed { code, message, result } => {
                Err(Verdict::retry(code, message).with_details(details(&result)))
            }
            Judgement::Breached { code, message, result } => {
                Err(Verdict::reject(code, message).with_details(details(&result)))
            }
        }
    }
}

fn details(result: &ShellResult) -> Value {
    serde_json::to_value(result).expect("a result is plain data with text keys")
}

fn no_report(error: RunError, command: &str) -> Verdict {
    match error {
        RunError::Start(StartFailure::NotFound(text)) => {
            Verdict::reject("not_found", format!("could not start `{command}`: {text}"))
        }
        RunError::Start(StartFailure::Unusable(text)) => {
            Verdict::reject("bad_input", format!("could not start `{command}`: {text}"))
        }
        RunError::Start(StartFailure::Busy(text)) => {
            Verdict::retry("busy", format!("could not start `{command}`: {text}"))
        }
        RunError::Supervisor { .. } => Verdict::retry("supervisor", error.to_string()),
        RunError::Lost { .. } => Verdict::retry("supervisor", error.to_string()),
    }
}
