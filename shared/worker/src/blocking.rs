//! Skills whose code blocks, run off the reactor.

use std::any::Any;
use std::sync::Arc;

use nova_types::codes;

use crate::{Context, FromPayload, IntoPayload, Skill, Verdict};

/// A skill whose code computes or blocks for long; it runs on a thread of its own.
///
/// A thread cannot be stopped from outside: look at [`Context::is_cancelled`] now and then. One that does not is counted
/// in `nova_attempts_stuck` and keeps its slot until it returns.
pub trait BlockingSkill: Send + Sync + 'static {
    /// What it is asked.
    type Input: FromPayload;
    /// What it answers.
    type Output: IntoPayload;

    /// Its name in the catalogue, `[a-z0-9-]{1,48}`.
    fn name(&self) -> &str;

    /// Its version, shown in presence and discovery.
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    /// Runs one attempt on a thread that may block.
    ///
    /// # Errors
    /// The [`Verdict`] on an attempt without a result.
    fn run(&self, input: Self::Input, cx: &Context) -> Result<Self::Output, Verdict>;
}

/// Makes a [`BlockingSkill`] a [`Skill`].
pub struct Blocking<S>(Arc<S>);

impl<S: BlockingSkill> Blocking<S> {
    /// Wraps the skill.
    #[must_use]
    pub fn new(skill: S) -> Self {
        Self(Arc::new(skill))
    }
}

impl<S: BlockingSkill> Skill for Blocking<S> {
    type Input = S::Input;
    type Output = S::Output;

    fn name(&self) -> &str {
        self.0.name()
    }

    fn version(&self) -> &str {
        self.0.version()
    }

    async fn run(&self, input: S::Input, cx: Context) -> Result<S::Output, Verdict> {
        let skill = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || skill.run(input, &cx)).await {
            Ok(result) => result,
            Err(error) => Err(Verdict::retry(codes::PANIC, panic_text(error))),
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic_message(&*panic),
        Err(_) => "the attempt was dropped".to_owned(),
    }
}

/// The same of a panic that was caught where it happened.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the skill panicked: {}", text.unwrap_or("without a message"))
}
