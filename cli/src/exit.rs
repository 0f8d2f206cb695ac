//! Exit codes: what scripts read first.

use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    /// Done as asked.
    pub(crate) const OK: Self = Self(0);
    /// It failed.
    pub(crate) const FAILURE: Self = Self(1);
    /// The command line, or what it points to, cannot be used.
    pub(crate) const USAGE: Self = Self(2);
    /// The task that was waited for is dead or was cancelled: there is no result.
    pub(crate) const DEAD: Self = Self(3);
    /// What was asked for does not exist.
    pub(crate) const NOT_FOUND: Self = Self(4);
    /// The broker said no, or a destructive command was not confirmed.
    pub(crate) const REFUSED: Self = Self(5);
    /// No answer, or no end, in time.
    pub(crate) const TIMED_OUT: Self = Self(6);
    /// Ctrl-C.
    pub(crate) const INTERRUPTED: Self = Self(130);

    /// The status of a check as monitoring plugins report it.
    pub(crate) const fn of_check(status: u8) -> Self {
        Self(status)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}
