//! The skill itself: checks a task's input, reviews off the reactor, answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use nova_worker::{Context, Skill, Verdict};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::language::Language;
use crate::layer::RuleError;
use crate::review::{Cancelled, Review, review_as};
use crate::rule::RuleInfo;
use crate::rules::RuleSet;

/// No path of a real repository is longer; it comes back in the result.
const LONGEST_PATH: usize = 4_096;
/// A task's own rules are read and compiled for every task, so they have to stay small.
const LONGEST_RULES: usize = 256 * 1024;

/// What a task asks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Input {
    /// Names the file in the result and tells its language; never opened.
    pub path: String,
    /// The file's text.
    pub content: Option<String>,
    /// The file's bytes, where they may not be UTF-8.
    pub content_base64: Option<String>,
    /// Rules of the task's own, as YAML.
    pub rules: Option<String>,
    /// The language, where the path does not tell it.
    pub language: Option<String>,
    /// Asks for the list of rules in force instead of a review.
    pub list_rules: bool,
}

/// What a task is answered.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// The review of a file.
    Review(Review),
    /// The rules in force, for a report that lists them once.
    Rules {
        /// Sorted by id.
        rules: Vec<RuleInfo>,
    },
}

/// Reviews one source file per task.
pub struct CodeReview {
    rules: RuleSet,
}

impl CodeReview {
    /// Makes the skill; built-in rules are compiled when a file first needs them.
    ///
    /// # Errors
    /// [`RuleError`] when `rules_dir` cannot be read or holds a rule that makes no sense.
    pub fn new(config: Config) -> Result<Self, RuleError> {
        Ok(Self { rules: RuleSet::new(config)? })
    }
}

impl Skill for CodeReview {
    type Input = Input;
    type Output = Answer;

    fn name(&self) -> &str {
        "code-review"
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    async fn run(&self, input: Input, cx: Context) -> Result<Answer, Verdict> {
        let rules = self.rules.clone();
        let raised = Arc::new(AtomicBool::new(false));
        let cancel = Arc::clone(&raised);
        let mut work = tokio::task::spawn_blocking(move || {
            let before = thread_cpu();
            let result = answer(&input, &rules, &cancel);
            (result, thread_cpu().saturating_sub(before))
        });
        let done = tokio::select! {
            done = &mut work => done,
            () = cx.cancelled() => {
                // The thread looks at the flag often and ends by itself; leaving it running would free the slot too early.
                raised.store(true, Ordering::Relaxed);
                work.await
            }
        };
        // Only a task's own rules can bring ast-grep to panic: the built-in ones are tested.
        let (result, cpu) = done.map_err(|error| Verdict::reject("panic", format!("the review panicked: {error}")))?;
        cx.report_usage(cpu, resident_bytes());
        result
    }
}

/// Processor time this thread has used.
fn thread_cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Memory the whole process has resident, for its attempts share one; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * u64::try_from(rustix::param::page_size()).unwrap_or(0)
}

/// Answers one task.
fn answer(input: &Input, rules: &RuleSet, cancel: &AtomicBool) -> Result<Answer, Verdict> {
    let reject = |code: &str, message: &str| Err(Verdict::reject(code, message));
    if input.path.len() > LONGEST_PATH {
        return reject("bad_input", "`path` is longer than 4096 bytes");
    }
    let language = input.language.as_deref().and_then(Language::from_name);
    let rules = match &input.rules {
        None => rules.clone(),
        Some(yaml) if yaml.len() > LONGEST_RULES => return reject("bad_rules", "`rules` is larger than 256 KiB"),
        Some(yaml) => rules
            .with_rules(yaml, language.or_else(|| Language::detect(&input.path, b"")))
            .map_err(|error| Verdict::reject("bad_rules", error.to_string()))?,
    };
    if input.list_rules {
        let rules = rules.catalogue().map_err(|error| Verdict::reject("bad_rules", error.to_string()))?;
        return Ok(Answer::Rules { rules });
    }
    if input.path.is_empty() {
        return reject("bad_input", "`path` is missing");
    }
    let decoded;
    let content = match (&input.content, &input.content_base64) {
        (Some(text), None) => text.as_bytes(),
        (None, Some(text)) => match base64::engine::general_purpose::STANDARD.decode(text) {
            Ok(bytes) => {
                decoded = bytes;
                &decoded
            }
            Err(error) => return reject("bad_base64", &format!("`content_base64` is not base64: {error}")),
        },
        (None, None) => return reject("bad_input", "one of `content` and `content_base64` is needed"),
        (Some(_), Some(_)) => return reject("bad_input", "`content` and `content_base64` exclude each other"),
    };
    let language = if input.language.is_some() { language } else { Language::detect(&input.path, content) };
    let review = review_as(language, &input.path, content, &rules, cancel);
    review.map(Answer::Review).map_err(|Cancelled| Verdict::retry("cancelled", "the review was told to stop"))
}
