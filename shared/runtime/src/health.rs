//! What the process knows about its own health: named checks, set by whoever owns what they watch.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

/// The state of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "reason", rename_all = "lowercase")]
pub enum State {
    /// All is well.
    Up,
    /// It works, but someone should look; the process stays ready.
    Degraded(String),
    /// It does not work now and may recover; the process is not ready.
    Down(String),
    /// It will not recover without a restart; the process is neither ready nor alive.
    Broken(String),
}

/// The health of one process; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    checks: Arc<RwLock<BTreeMap<&'static str, State>>>,
}

/// What `/healthz` and `/readyz` say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The answer as one word: `ok` or `failed`.
    pub status: &'static str,
    /// Every check by name.
    pub checks: BTreeMap<&'static str, State>,
}

impl Report {
    fn new(ok: bool, checks: BTreeMap<&'static str, State>) -> Self {
        Self { status: if ok { "ok" } else { "failed" }, checks }
    }

    /// Whether the question is answered with yes.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status == "ok"
    }
}

impl Health {
    /// A process without checks: alive, and not ready before the first check is set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the state of the check `name`, and logs when that is news.
    pub fn set(&self, name: &'static str, state: State) {
        let news = {
            let mut checks = self.checks.write().unwrap_or_else(PoisonError::into_inner);
            checks.insert(name, state.clone()).as_ref() != Some(&state)
        };
        match state {
            _ if !news => {}
            State::Up => tracing::info!(check = name, "health check is up"),
            State::Degraded(reason) => tracing::warn!(check = name, reason, "health check is degraded"),
            State::Down(reason) => tracing::warn!(check = name, reason, "health check is down"),
            State::Broken(reason) => tracing::error!(check = name, reason, "health check is broken"),
        }
    }

    /// The state of the check `name`, if it was ever set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<State> {
        self.checks.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Whether the process is alive: no check is broken.
    #[must_use]
    pub fn live(&self) -> Report {
        let checks = self.checks();
        Report::new(!checks.values().any(|state| matches!(state, State::Broken(_))), checks)
    }

    /// Whether the process can work: at least one check is set, and none is down or broken.
    #[must_use]
    pub fn ready(&self) -> Report {
        let checks = self.checks();
        let works = checks.values().all(|state| matches!(state, State::Up | State::Degraded(_)));
        Report::new(works && !checks.is_empty(), checks)
    }

    fn checks(&self) -> BTreeMap<&'static str, State> {
        self.checks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(states: &[State], live: bool, ready: bool) {
        let health = Health::new();
        for (name, state) in ["a", "b", "c"].into_iter().zip(states) {
            health.set(name, state.clone());
        }
        assert_eq!((health.live().is_ok(), health.ready().is_ok()), (live, ready), "{states:?}");
    }

    #[test]
    fn worst_check_decides() {
        let reason = || "why".to_owned();
        check(&[], true, false);
        check(&[State::Up], true, true);
        check(&[State::Up, State::Degraded(reason())], true, true);
        check(&[State::Up, State::Down(reason())], true, false);
        check(&[State::Up, State::Broken(reason())], false, false);
    }

    #[test]
    fn check_recovers() {
        let health = Health::new();
        health.clone().set("broker", State::Down("connecting".to_owned()));
        assert!(!health.ready().is_ok());
        health.set("broker", State::Up);
        assert!(health.ready().is_ok());
        assert_eq!(health.get("broker"), Some(State::Up));
    }
}
