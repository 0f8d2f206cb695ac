//! A command that failed: the exit code, the whole chain of causes, and what to do about it.

use std::error::Error;
use std::fmt;

use crate::exit::Exit;

mod known;

/// Why a command ends without having done what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// The word to search for.
    pub(crate) code: String,
    /// What happened, with its causes.
    pub(crate) error: anyhow::Error,
    /// What can be done about it, most likely first.
    pub(crate) help: Vec<String>,
    /// Whether nobody is left to be told.
    pub(crate) is_silent: bool,
}

impl Failure {
    /// A failure of our own making.
    pub(crate) fn new(exit: Exit, code: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::because(exit, code, anyhow::anyhow!("{message}"))
    }

    /// A failure with causes.
    pub(crate) fn because(exit: Exit, code: impl Into<String>, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, code: code.into(), error: error.into(), help: Vec::new(), is_silent: false }
    }

    /// The command line, or a file it names, cannot be used.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::USAGE, "usage", message)
    }

    /// A local file or pipe that could not be read or written.
    pub(crate) fn io(what: impl fmt::Display, source: std::io::Error) -> Self {
        Self::because(Exit::FAILURE, "io", anyhow::Error::new(source).context(format!("could not {what}")))
    }

    /// Says what else can be done.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Puts a sentence before the causes.
    pub(crate) fn while_trying(mut self, what: impl fmt::Display) -> Self {
        self.error = self.error.context(format!("could not {what}"));
        self
    }

    /// Stdout is gone: whoever read it has enough.
    fn of_stdout(source: std::io::Error) -> Self {
        let is_silent = source.kind() == std::io::ErrorKind::BrokenPipe;
        let exit = if is_silent { Exit::OK } else { Exit::FAILURE };
        let error = anyhow::Error::new(source).context("could not write to stdout");
        Self { is_silent, ..Self::because(exit, "io", error) }
    }

    /// The error and its causes, each said once.
    pub(crate) fn lines(&self) -> Vec<String> {
        chain(self.error.as_ref())
    }
}

/// An error and its causes; a transparent wrapper's repetition is left out.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let line = error.to_string();
        if !lines.last().is_some_and(|last| last.ends_with(&line)) {
            lines.push(line);
        }
        next = error.source();
    }
    lines
}

/// Only stdout is written without a word on what for.
impl From<std::io::Error> for Failure {
    fn from(source: std::io::Error) -> Self {
        Self::of_stdout(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_listed_and_repetitions_left_out() {
        let inner = std::io::Error::other("disk on fire");
        let failure = Failure::io("read a.json", inner);
        assert_eq!(failure.lines(), ["could not read a.json", "disk on fire"]);
    }
}
