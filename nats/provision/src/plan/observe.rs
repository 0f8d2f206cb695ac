//! What there is on a broker: looked at once, so that all that follows can be decided without one.

use std::collections::BTreeMap;

use nova_broker::{Broker, BrokerError, ConsumerInfo, Scan, StreamInfo};
use nova_wire::assets;

use super::{AssetId, about};
use crate::{Asset, Profile};

/// The names under which Nova looks for streams of its own.
pub(crate) const PREFIXES: [&str; 3] = ["NOVA_", "KV_nova-", "OBJ_nova-"];

/// A broker that could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The streams could not be listed.
    #[error("could not list the streams whose names begin with {prefix}")]
    List {
        /// How their names begin.
        prefix: &'static str,
        /// Why.
        #[source]
        source: BrokerError,
    },
    /// One asset could not be looked at.
    #[error("could not look at {asset}")]
    Look {
        /// The asset.
        asset: AssetId,
        /// Why.
        #[source]
        source: BrokerError,
    },
}

impl PlanError {
    /// Whether the same call may succeed later without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::List { source, .. } | Self::Look { source, .. } => source.is_transient(),
        }
    }
}

/// The assets of a broker as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Nova's streams, wanted or not, by name.
    pub streams: BTreeMap<String, StreamInfo>,
    /// All their consumers.
    pub consumers: BTreeMap<AssetId, ConsumerInfo>,
    /// Wanted consumers that are missing although their stream holds messages for them, with the first one's sequence.
    pub history: BTreeMap<AssetId, u64>,
}

impl Observed {
    /// Looks at a broker.
    pub(super) async fn look(broker: &dyn Broker, desired: &[Asset]) -> Result<Self, PlanError> {
        let mut seen = Self::default();
        for prefix in PREFIXES {
            let listed = broker.streams(prefix.to_owned()).await;
            let listed = listed.map_err(|source| PlanError::List { prefix, source })?;
            seen.streams.extend(listed.into_iter().map(|info| (info.spec.name.clone(), info)));
        }
        for stream in seen.streams.keys() {
            let infos = broker.consumers(stream.clone()).await.map_err(about(&AssetId::stream(stream)))?;
            seen.consumers.extend(infos.into_iter().map(|info| (AssetId::consumer(stream, &info.spec.name), info)));
        }
        for asset in desired {
            let Asset::Consumer(spec) = asset else { continue };
            let id = asset.id();
            let holds = seen.streams.get(&spec.stream).is_some_and(|stream| stream.messages > 0);
            if !holds || seen.consumers.contains_key(&id) {
                continue;
            }
            let first = match broker.scan(Scan::all(&*spec.stream, &*spec.filter, 1)).await {
                Ok(found) => found.first().map(|message| message.sequence),
                // A stream that cannot be read back, such as one made by hand, may hold anything.
                Err(BrokerError::NotFound { .. }) => Some(seen.streams[&spec.stream].first_sequence),
                Err(source) => return Err(about(&id)(source)),
            };
            seen.history.extend(first.map(|first| (id, first)));
        }
        Ok(seen)
    }

    /// A consumer, when there is one.
    #[must_use]
    pub fn consumer(&self, stream: &str, name: &str) -> Option<&ConsumerInfo> {
        self.consumers.get(&AssetId::consumer(stream, name))
    }
}

/// The profile for which a broker was provisioned, `None` when it was not yet; the one to keep when none is asked for.
///
/// # Errors
/// [`PlanError`]; safe to call again.
pub async fn current_profile(broker: &dyn Broker) -> Result<Option<Profile>, PlanError> {
    let stream = broker.stream(assets::OUTCOMES.to_owned()).await;
    let stream = stream.map_err(about(&AssetId::stream(assets::OUTCOMES)))?;
    Ok(stream.as_ref().and_then(Profile::of_stream))
}
