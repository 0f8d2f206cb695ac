//! How a process stops: the first signal asks to finish what runs, the second or the end of the grace ends it.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Tells every part of a process when to take no more work, and when to give up what still runs.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// Listens to SIGTERM and SIGINT: the first drains; the second, or `grace` after the first, is hard.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn on_signals(grace: Duration) -> std::io::Result<Self> {
        let signals =
            Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
        let shutdown = Self::manual();
        tokio::spawn(shutdown.clone().watch(signals, grace));
        Ok(shutdown)
    }

    /// Listens to no signal: only [`drain`](Self::drain) and [`stop_hard`](Self::stop_hard) end it.
    #[must_use]
    pub fn manual() -> Self {
        Self::default()
    }

    /// Cancelled when no more work shall be taken.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Cancelled when what still runs shall be given up.
    #[must_use]
    pub fn hard(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Asks to take no more work, as the first signal does; the grace begins now.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Asks to give up what still runs, as the second signal does.
    pub fn stop_hard(&self) {
        self.drain.cancel();
        self.hard.cancel();
    }

    async fn watch(self, mut signals: Signals, grace: Duration) {
        let by_signal = tokio::select! {
            name = signals.next() => Some(name),
            () = self.drain.cancelled() => None,
        };
        tracing::info!(signal = by_signal, grace_secs = grace.as_secs(), "drain begun");
        self.drain.cancel();
        tokio::select! {
            name = signals.next() => tracing::warn!(signal = name, "drain cut short by a second signal"),
            () = tokio::time::sleep(grace) => tracing::warn!("drain cut short by the end of the grace"),
            () = self.hard.cancelled() => {}
        }
        self.hard.cancel();
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    async fn cancelled(token: CancellationToken) {
        tokio::time::timeout(DEADLINE, token.cancelled()).await.expect("token was not cancelled");
    }

    fn signal_self(signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
    }

    // One test for both: signals reach every listener of the process, so two tests would disturb each other.
    #[tokio::test]
    async fn first_signal_drains_and_second_or_grace_is_hard() {
        let patient = Shutdown::on_signals(Duration::from_secs(3_600)).unwrap();
        let brief = Shutdown::on_signals(Duration::from_millis(1)).unwrap();
        assert!(!patient.token().is_cancelled());
        signal_self(rustix::process::Signal::TERM);
        cancelled(patient.token()).await;
        cancelled(brief.hard()).await;
        assert!(!patient.hard().is_cancelled());
        signal_self(rustix::process::Signal::INT);
        cancelled(patient.hard()).await;
    }

    #[tokio::test]
    async fn drain_by_hand_starts_the_grace() {
        let shutdown = Shutdown::on_signals(Duration::from_millis(1)).unwrap();
        shutdown.drain();
        cancelled(shutdown.hard()).await;
    }

    #[test]
    fn manual_hard_stop_drains_too() {
        let shutdown = Shutdown::manual();
        shutdown.clone().stop_hard();
        assert!(shutdown.token().is_cancelled() && shutdown.hard().is_cancelled());
    }
}
