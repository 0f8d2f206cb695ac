//! How much is measured: what fits a coffee break, or all of it.

use std::time::Duration;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// What `make bench` measures.
    Short,
    /// What `FULL=1 make bench` measures: peers, the million backlog and the long curves, too.
    Full,
}

impl Mode {
    /// How long a run may take in all: beyond it no case is begun or goes on.
    pub const fn limit(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(600),
            Self::Full => Duration::from_secs(3600),
        }
    }

    /// How long one case may take: one that hangs must not cost the others their time.
    pub const fn case_limit(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(120),
            Self::Full => Duration::from_secs(1200),
        }
    }

    /// One of two figures.
    pub const fn pick<T: Copy>(self, short: T, full: T) -> T {
        match self {
            Self::Short => short,
            Self::Full => full,
        }
    }
}

/// A time as people read it on a clock.
pub fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_like_a_clock() {
        assert_eq!(clock(Duration::from_secs(9)), "0:09");
        assert_eq!(clock(Duration::from_secs(754)), "12:34");
    }
}
