//! What differs between the assets as they are wanted and as they are.

use std::collections::BTreeSet;
use std::fmt;

use nova_broker::{Broker, BrokerError, ConsumerSpec, Start, StreamInfo, StreamSpec};
use nova_wire::assets;

use crate::{Asset, ByteText, Profile};

mod apply;
mod differ;
mod observe;
mod show;

pub use apply::{ApplyError, ApplyOptions, Held, Progress, Report, apply};
pub use differ::{FieldChange, Harm};
pub(crate) use observe::PREFIXES;
pub use observe::{Observed, PlanError, current_profile};
pub use show::Row;

use differ::{TRANSFORM, consumer_changes, stream_changes};

/// Names an asset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssetId {
    /// The stream, or the stream a consumer reads.
    pub stream: String,
    /// The consumer.
    pub consumer: Option<String>,
}

impl AssetId {
    /// Names a stream.
    #[must_use]
    pub fn stream(name: &str) -> Self {
        Self { stream: name.to_owned(), consumer: None }
    }

    /// Names a consumer.
    #[must_use]
    pub fn consumer(stream: &str, name: &str) -> Self {
        Self { stream: stream.to_owned(), consumer: Some(name.to_owned()) }
    }

    /// `stream` or `consumer`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.consumer.is_some() { "consumer" } else { "stream" }
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.consumer {
            None => write!(f, "stream {}", self.stream),
            Some(consumer) => write!(f, "consumer {}/{consumer}", self.stream),
        }
    }
}

/// What is to be done about one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Make it.
    Create(Asset),
    /// Make a consumer that is missing although its stream holds tasks of its: whoever wants it says where it begins.
    CreateOverHistory {
        /// The consumer.
        spec: ConsumerSpec,
        /// The first sequence the stream still holds for it.
        first: u64,
        /// The stream's last sequence.
        last: u64,
    },
    /// Change it in place; some of the fields may do harm.
    Change {
        /// What changes.
        fields: Vec<FieldChange>,
        /// What it becomes.
        to: Asset,
    },
    /// Delete it and make it again, because the broker cannot change it in place. Nothing that waits is lost.
    Recreate {
        /// What changes.
        fields: Vec<FieldChange>,
        /// What it becomes.
        to: Asset,
        /// What that costs.
        cost: String,
    },
    /// Nothing: what would have to be done would lose what it holds.
    Refuse {
        /// What differs.
        fields: Vec<FieldChange>,
        /// Why, and what a person can do.
        why: String,
    },
    /// Nothing, unless asked to prune: Nova does not use it.
    Foreign {
        /// Why it is foreign.
        why: String,
        /// How many messages it holds, or has still to deliver.
        messages: u64,
        /// How many bytes it holds.
        bytes: u64,
    },
}

/// One asset and what is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The asset.
    pub asset: AssetId,
    /// What is to be done.
    pub act: Act,
}

impl Step {
    /// Why it is not done unless it is asked for expressly.
    #[must_use]
    pub fn harm(&self) -> Option<String> {
        match &self.act {
            Act::Change { fields, .. } => {
                let harms: Vec<&str> = fields.iter().filter_map(|field| field.harm.words()).collect();
                (!harms.is_empty()).then(|| harms.join("; "))
            }
            Act::Recreate { cost, .. } => Some(cost.clone()),
            Act::Foreign { messages, .. } if self.asset.consumer.is_some() => {
                Some(format!("deletes it and its position, {messages} messages undelivered"))
            }
            Act::Foreign { messages, bytes, .. } => {
                Some(format!("deletes it with {messages} messages, {}", ByteText(*bytes)))
            }
            Act::Create(_) | Act::CreateOverHistory { .. } | Act::Refuse { .. } => None,
        }
    }
}

/// Everything that differs, in the order in which it is mended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Compares what is wanted with what there is.
    #[must_use]
    pub fn of(desired: &[Asset], observed: &Observed) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        for asset in desired {
            // A stream that is made again takes its consumers with it.
            let made_again = |step: &Step| matches!(&step.act, Act::Recreate { to: Asset::Stream(to), .. } if to.name == asset.id().stream);
            // How its keys are divided stays, so what its consumers say of that must stay, too.
            let is_kept = |step: &Step| matches!(&step.act, Act::Refuse { fields, .. } if step.asset.stream == asset.id().stream && fields.iter().any(|one| one.field == TRANSFORM));
            if steps.iter().any(is_kept) {
                continue;
            }
            let act = match asset {
                Asset::Stream(spec) => stream_act(spec, observed.streams.get(&spec.name)),
                Asset::Consumer(_) if steps.iter().any(made_again) => Some(Act::Create(asset.clone())),
                Asset::Consumer(spec) => consumer_act(spec, observed),
            };
            steps.extend(act.map(|act| Step { asset: asset.id(), act }));
        }
        let wanted: BTreeSet<AssetId> = desired.iter().map(Asset::id).collect();
        // Prune consumers before the streams they read; the latter take theirs with them.
        for info in observed.consumers.values().filter(|info| observed.streams.contains_key(&info.spec.stream)) {
            let id = AssetId::consumer(&info.spec.stream, &info.spec.name);
            if !wanted.contains(&id) && wanted.contains(&AssetId::stream(&id.stream)) {
                let why = format!("not a consumer of Nova's; it reads {}", info.spec.filter);
                steps.push(Step { asset: id, act: Act::Foreign { why, messages: info.pending, bytes: 0 } });
            }
        }
        for info in observed.streams.values() {
            let id = AssetId::stream(&info.spec.name);
            if !wanted.contains(&id) {
                let act = Act::Foreign { why: why_foreign(info), messages: info.messages, bytes: info.bytes };
                steps.push(Step { asset: id, act });
            }
        }
        Self { steps }
    }

    /// Whether everything is as wanted. What is foreign does not count: it is in nobody's way.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.act, Act::Foreign { .. }))
    }
}

/// Looks at a broker and says what differs from `desired`. Changes nothing.
///
/// # Errors
/// [`PlanError`]; safe to call again.
pub async fn plan(broker: &dyn Broker, desired: &[Asset]) -> Result<Plan, PlanError> {
    Ok(Plan::of(desired, &Observed::look(broker, desired).await?))
}

/// Looks at a broker and lists what is not as it should be; empty when all is well.
///
/// A paused queue is no drift, nor is where a consumer began or at which sequence a stream did.
///
/// # Errors
/// [`PlanError`]; safe to call again.
pub async fn check(broker: &dyn Broker, desired: &[Asset]) -> Result<Vec<Row>, PlanError> {
    Ok(plan(broker, desired).await?.rows())
}

fn why_foreign(info: &StreamInfo) -> String {
    match assets::skill_of_stream(&info.spec.name) {
        Some(skill) => format!("skill {skill} is not in the catalogue"),
        None => "not a stream of Nova's".to_owned(),
    }
}

fn stream_act(want: &StreamSpec, have: Option<&StreamInfo>) -> Option<Act> {
    let Some(have) = have else { return Some(Act::Create(Asset::Stream(want.clone()))) };
    let fields = stream_changes(want, have);
    if fields.is_empty() {
        return None;
    }
    if !fields.iter().any(|field| matches!(field.harm, Harm::Impossible(_))) {
        // What it began with is history, and the broker does not let it be rewritten.
        let to = StreamSpec { first_sequence: have.spec.first_sequence, ..want.clone() };
        return Some(Act::Change { fields, to: Asset::Stream(to) });
    }
    if have.messages == 0 {
        let cost = "it is deleted and made again, with its consumers; it is empty".to_owned();
        return Some(Act::Recreate { fields, to: Asset::Stream(want.clone()), cost });
    }
    if let Some(FieldChange { harm: Harm::Impossible(words), .. }) = fields.iter().find(|one| one.field == TRANSFORM) {
        let why = format!(
            "{words}, and it holds {} messages: let its tasks be done, `nats stream purge {}`, apply again",
            have.messages, want.name
        );
        return Some(Act::Refuse { fields, why });
    }
    let why = format!(
        "the broker cannot change this in place and the stream holds {} messages: save what is needed, \
         `nats stream rm {}`, apply again",
        have.messages, want.name
    );
    Some(Act::Refuse { fields, why })
}

fn consumer_act(want: &ConsumerSpec, observed: &Observed) -> Option<Act> {
    let Some(have) = observed.consumer(&want.stream, &want.name) else {
        let last = observed.streams.get(&want.stream).map_or(0, |stream| stream.last_sequence);
        return Some(match observed.history.get(&AssetId::consumer(&want.stream, &want.name)) {
            None => Act::Create(Asset::Consumer(want.clone())),
            Some(&first) => Act::CreateOverHistory { spec: want.clone(), first, last },
        });
    };
    let fields = consumer_changes(want, have);
    if fields.is_empty() {
        return None;
    }
    if !fields.iter().any(|field| matches!(field.harm, Harm::Impossible(_))) {
        let to = ConsumerSpec { start: have.spec.start, ..want.clone() };
        return Some(Act::Change { fields, to: Asset::Consumer(to) });
    }
    let next = have.ack_floor + 1;
    let cost = format!(
        "it is deleted and made again from sequence {next}; {} deliveries that are out, and what was acked beyond them, \
         come again",
        have.ack_pending
    );
    let to = ConsumerSpec { start: Start::Sequence(next), ..want.clone() };
    Some(Act::Recreate { fields, to: Asset::Consumer(to), cost })
}

impl Profile {
    /// The profile a stream was made for, by its note.
    #[must_use]
    pub fn of_stream(info: &StreamInfo) -> Option<Self> {
        info.spec.metadata.get(crate::PROFILE_NOTE)?.parse().ok()
    }
}

/// A broker error with the asset it is about.
fn about(asset: &AssetId) -> impl FnOnce(BrokerError) -> PlanError {
    let asset = asset.clone();
    move |source| PlanError::Look { asset, source }
}

#[cfg(test)]
mod tests;
