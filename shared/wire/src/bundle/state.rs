//! What the attempts of a bundle have settled so far, as it stands in the record of its attempts.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ItemEnd, Positions, read_ends, write_ends};
use crate::{ContentType, Payload};

/// A state that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what is settled of the bundle cannot be read")]
pub struct InvalidState;

/// What is settled of a bundle, as an attempt record keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BundleState {
    /// The items that have ended.
    #[serde(default)]
    pub ended: Positions,
    /// Their ends in that order, as an outcome lists them, in base64; empty when they are in the object store.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ends: String,
    /// Where they are when they are many, as a `Nova-Blob` header says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// Items that failed less often than the bundle: they were snoozed, or not begun, while others failed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spared: BTreeMap<u32, u32>,
    /// What items that go on have left for their next attempt, in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checkpoints: BTreeMap<u32, String>,
}

/// The same, at hand.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settled {
    /// The items that have ended, and how.
    pub ended: BTreeMap<u32, ItemEnd>,
    /// How many failures fewer than the bundle an item has; none where they are as many.
    pub spared: BTreeMap<u32, u32>,
    /// What items have left for their next attempt.
    pub checkpoints: BTreeMap<u32, Bytes>,
}

impl Settled {
    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.spared.is_empty() && self.checkpoints.is_empty()
    }

    /// The ends as one body.
    #[must_use]
    pub fn ends(&self, content_type: ContentType) -> Payload {
        write_ends(content_type, self.ended.values())
    }

    /// As the record keeps it, with the ends inside; whoever moves them to the object store changes that.
    #[must_use]
    pub fn to_state(&self, content_type: ContentType) -> BundleState {
        BundleState {
            ended: self.ended.keys().copied().collect(),
            ends: STANDARD.encode(&self.ends(content_type).bytes),
            blob: None,
            spared: self.spared.clone(),
            checkpoints: self.checkpoints.iter().map(|(item, bytes)| (*item, STANDARD.encode(bytes))).collect(),
        }
    }

    /// Reads a state; `stored` is the object's content where the ends are in the object store.
    ///
    /// # Errors
    /// [`InvalidState`].
    pub fn read(state: &BundleState, content_type: ContentType, stored: Option<Bytes>) -> Result<Self, InvalidState> {
        let bytes = match stored {
            Some(bytes) => bytes,
            None => STANDARD.decode(&state.ends).map_err(|_| InvalidState)?.into(),
        };
        let ends = if state.ended.is_empty() {
            Vec::new()
        } else {
            read_ends(&Payload { content_type, bytes }).map_err(|_| InvalidState)?
        };
        if ends.len() != state.ended.len() {
            return Err(InvalidState);
        }
        let checkpoint = |(item, text): (&u32, &String)| {
            let bytes = STANDARD.decode(text).map_err(|_| InvalidState)?;
            Ok((*item, bytes.into()))
        };
        Ok(Self {
            ended: state.ended.iter().zip(ends).collect(),
            spared: state.spared.clone(),
            checkpoints: state.checkpoints.iter().map(checkpoint).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use nova_types::OutcomeKind;

    use super::*;

    fn settled(content_type: ContentType) -> Settled {
        let end = |n: u32| ItemEnd {
            kind: OutcomeKind::Completed,
            attempt: n,
            body: Payload::encode(content_type, &n).expect("encodes"),
        };
        Settled {
            ended: [0, 1, 2, 7].map(|n| (n, end(n + 1))).into(),
            spared: [(3, 1)].into(),
            checkpoints: [(3, Bytes::from_static(b"\xffhalf"))].into(),
        }
    }

    #[test]
    fn a_state_reads_as_it_was_written() {
        for content_type in [ContentType::Json, ContentType::MsgPack] {
            let settled = settled(content_type);
            let json = serde_json::to_string(&settled.to_state(content_type)).expect("plain");
            let state: BundleState = serde_json::from_str(&json).expect("the same");
            assert_eq!(state.ended.to_string(), "0-2 7");
            assert_eq!(Settled::read(&state, content_type, None), Ok(settled.clone()));
            let elsewhere = BundleState { ends: String::new(), blob: Some("x".into()), ..state };
            let stored = settled.ends(content_type).bytes;
            assert_eq!(Settled::read(&elsewhere, content_type, Some(stored)), Ok(settled));
        }
        assert_eq!(Settled::read(&BundleState::default(), ContentType::Json, None), Ok(Settled::default()));
    }

    #[test]
    fn a_state_that_contradicts_itself_is_refused() {
        let state = settled(ContentType::Json).to_state(ContentType::Json);
        for bad in [
            BundleState { ended: [0].into_iter().collect(), ..state.clone() },
            BundleState { ends: "!".into(), ..state.clone() },
            BundleState { ends: String::new(), ..state.clone() },
            BundleState { checkpoints: [(1, "!".to_owned())].into(), ..state },
        ] {
            assert_eq!(Settled::read(&bad, ContentType::Json, None), Err(InvalidState));
        }
    }
}
