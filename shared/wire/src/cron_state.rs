//! How far a recurring schedule has come, kept by the coordinators beside it.

use nova_types::UnixMillis;
use serde::{Deserialize, Serialize};

/// What is known of a recurring schedule, as JSON under `cron.<skill>.<scope>.<name>` in the bucket `nova-config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronState {
    /// The sequence of the schedule itself: one made anew under the same id begins anew.
    pub schedule: u64,
    /// The sequence of the last firing that was dealt with to its end.
    pub firing: u64,
    /// The first moment that was not dealt with.
    pub next: UnixMillis,
    /// The last moment for which a task was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<UnixMillis>,
    /// What was missed most recently and not made up for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

/// Moments for which no task was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The first of them.
    pub from: UnixMillis,
    /// The last of them.
    pub until: UnixMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_what_other_languages_read() {
        let left_out = Some(LeftOut { from: UnixMillis(1000), until: UnixMillis(2000) });
        let state =
            CronState { schedule: 3, firing: 9, next: UnixMillis(4000), last: Some(UnixMillis(3000)), left_out };
        let text = serde_json::to_string(&state).expect("encodes");
        let golden = r#"{"schedule":3,"firing":9,"next":4000,"last":3000,"left_out":{"from":1000,"until":2000}}"#;
        assert_eq!(text, golden);
        assert_eq!(serde_json::from_str::<CronState>(golden).expect("decodes"), state);
    }
}
