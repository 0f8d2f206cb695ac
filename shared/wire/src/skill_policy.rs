//! A skill's policy as notes on its consumers, where every worker reads it.

use std::collections::BTreeMap;
use std::time::Duration;

use nova_types::{DurationText, Policy, Rate};

use crate::limits;

/// A note that is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("consumer note {key} is `{value}`, which cannot be understood")]
pub struct InvalidNote {
    key: &'static str,
    value: String,
}

/// Which events of a skill are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EventLevel {
    /// Retried, fenced, dead, cancelled.
    #[default]
    Default,
    /// Submitted, started and progress, too.
    Full,
}

/// How the tasks of a keyed skill are kept in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyed {
    /// Into how many partitions its keys fall; at most as many workers share the skill.
    pub partitions: u16,
    /// How many tasks of one key run at once at most.
    pub concurrency: u32,
}

impl Keyed {
    /// The most partitions: each is a consumer, and many active ones slow their stream down.
    pub const MOST_PARTITIONS: u16 = 64;
    /// The most tasks of one key at once; beyond it a key no longer limits anything.
    pub const MOST_CONCURRENCY: u32 = 1000;
}

impl Default for Keyed {
    fn default() -> Self {
        Self { partitions: 8, concurrency: 1 }
    }
}

/// What holds for all tasks of a skill unless they ask for something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkillPolicy {
    /// How long a delivery is leased. Default 10 s.
    pub lease: Duration,
    /// Timeout, attempts, backoff.
    pub policy: Policy,
    /// Whether an attempt must never start twice unasked.
    pub is_costly: bool,
    /// Which events are stored.
    pub events: EventLevel,
    /// How its keys are kept in order, when it is a keyed skill.
    pub keyed: Option<Keyed>,
    /// How many attempts the whole fleet may start, at most. Default without limit.
    pub rate: Option<Rate>,
    /// The same for each key of a keyed skill. Default without limit.
    pub key_rate: Option<Rate>,
}

impl Default for SkillPolicy {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            policy: Policy::default(),
            is_costly: false,
            events: EventLevel::default(),
            keyed: None,
            rate: None,
            key_rate: None,
        }
    }
}

const LEASE: &str = "nova-lease";
const TIMEOUT: &str = "nova-timeout";
const MAX_ATTEMPTS: &str = "nova-max-attempts";
const BACKOFF: &str = "nova-backoff";
const COSTLY: &str = "nova-costly";
const EVENTS: &str = "nova-events";
const RATE: &str = "nova-rate";
const KEY_RATE: &str = "nova-key-rate";
const KEY_PARTITIONS: &str = "nova-key-partitions";
const KEY_CONCURRENCY: &str = "nova-key-concurrency";

impl SkillPolicy {
    /// The notes that say it.
    #[must_use]
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        let events = match self.events {
            EventLevel::Default => "default",
            EventLevel::Full => "full",
        };
        let rate = |key: &'static str, rate: Option<Rate>| rate.map(|rate| (key, rate.to_string()));
        [
            (LEASE, DurationText(self.lease).to_string()),
            (TIMEOUT, DurationText(self.policy.timeout).to_string()),
            (MAX_ATTEMPTS, self.policy.max_attempts.to_string()),
            (BACKOFF, self.policy.backoff.to_string()),
            (COSTLY, self.is_costly.to_string()),
            (EVENTS, events.to_owned()),
        ]
        .into_iter()
        .chain(self.keyed.into_iter().flat_map(|keyed| {
            [(KEY_PARTITIONS, keyed.partitions.to_string()), (KEY_CONCURRENCY, keyed.concurrency.to_string())]
        }))
        .chain(rate(RATE, self.rate))
        .chain(rate(KEY_RATE, self.key_rate))
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// Reads the notes; what is not said is the default.
    ///
    /// # Errors
    /// [`InvalidNote`] for the first that is malformed.
    pub fn from_metadata(notes: &BTreeMap<String, String>) -> Result<Self, InvalidNote> {
        fn read<T>(
            notes: &BTreeMap<String, String>,
            key: &'static str,
            default: T,
            parse: impl Fn(&str) -> Option<T>,
        ) -> Result<T, InvalidNote> {
            match notes.get(key) {
                None => Ok(default),
                Some(value) => parse(value).ok_or_else(|| InvalidNote { key, value: value.clone() }),
            }
        }
        // A lease or an attempt of no time at all would end before it began.
        let duration = |text: &str| text.parse::<DurationText>().ok().map(|d| d.0).filter(|d| !d.is_zero());
        let all = Self::default();
        let partitions = read(notes, KEY_PARTITIONS, None, |text| {
            text.parse().ok().filter(|n| (1..=Keyed::MOST_PARTITIONS).contains(n)).map(Some)
        })?;
        let concurrency = read(notes, KEY_CONCURRENCY, Keyed::default().concurrency, |text| {
            text.parse().ok().filter(|n| (1..=Keyed::MOST_CONCURRENCY).contains(n))
        })?;
        Ok(Self {
            keyed: partitions.map(|partitions| Keyed { partitions, concurrency }),
            lease: read(notes, LEASE, all.lease, duration)?,
            policy: Policy {
                timeout: read(notes, TIMEOUT, all.policy.timeout, duration)?,
                max_attempts: read(notes, MAX_ATTEMPTS, all.policy.max_attempts, |text| {
                    text.parse().ok().filter(|n| (1..=limits::MAX_ATTEMPTS).contains(n))
                })?,
                backoff: read(notes, BACKOFF, all.policy.backoff, |text| text.parse().ok())?,
                ..all.policy
            },
            is_costly: read(notes, COSTLY, all.is_costly, |text| text.parse().ok())?,
            events: read(notes, EVENTS, all.events, |text| match text {
                "default" => Some(EventLevel::Default),
                "full" => Some(EventLevel::Full),
                _ => None,
            })?,
            rate: read(notes, RATE, None, |text| text.parse().ok().map(Some))?,
            key_rate: read(notes, KEY_RATE, None, |text| text.parse().ok().map(Some))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_as_it_was_noted() {
        let policy = SkillPolicy {
            lease: Duration::from_secs(30),
            is_costly: true,
            events: EventLevel::Full,
            rate: "100/s burst 20".parse().ok(),
            ..SkillPolicy::default()
        };
        assert_eq!(SkillPolicy::from_metadata(&policy.to_metadata()), Ok(policy.clone()));
        let keyed = SkillPolicy { keyed: Some(Keyed { partitions: 4, concurrency: 2 }), ..policy };
        assert_eq!(SkillPolicy::from_metadata(&keyed.to_metadata()), Ok(keyed));
        for count in ["0", "65", "x"] {
            assert!(SkillPolicy::from_metadata(&[(KEY_PARTITIONS.to_owned(), count.to_owned())].into()).is_err());
        }
        assert_eq!(SkillPolicy::from_metadata(&BTreeMap::new()), Ok(SkillPolicy::default()));
        assert!(SkillPolicy::from_metadata(&[(LEASE.to_owned(), "x".to_owned())].into()).is_err());
    }
}
