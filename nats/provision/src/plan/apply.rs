//! Carries a plan out, step by step, and holds back what nobody asked for.

use nova_broker::{Broker, BrokerError, ConsumerSpec, PauseState, Start};

use super::{Act, AssetId, Plan, PlanError, Row, Step, about, plan};
use crate::Asset;

/// What may be done beyond what does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ApplyOptions {
    /// Also what loses something, as the plan says.
    pub yes: bool,
    /// With `yes`: also delete what is foreign, such as the queue of a skill that left the catalogue.
    pub prune: bool,
    /// Where consumers begin that are missing over history.
    pub start_consumers_at: Option<Start>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Which step, from 1.
    pub step: usize,
    /// Of how many.
    pub of: usize,
    /// The asset.
    pub asset: &'a AssetId,
    /// What is done with it: `create`, `change`, `recreate`, `delete` or `hold`.
    pub action: &'static str,
}

/// A step that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The asset.
    pub asset: AssetId,
    /// Why, and what lets it go.
    pub why: String,
    /// Whether it is only foreign, so that nothing is wrong with leaving it.
    pub is_foreign: bool,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The changes made.
    pub done: Vec<Row>,
    /// The steps held back.
    pub held: Vec<Held>,
}

impl Report {
    /// Whether the broker is as wanted now; foreign assets do not count.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.held.iter().all(|held| held.is_foreign)
    }
}

/// A plan that could not be carried out to its end; what was done before stays, and applying again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The broker could not be looked at.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The broker refused a step, or could not be reached.
    #[error("could not {action} {asset}")]
    Step {
        /// What was to be done.
        action: &'static str,
        /// The asset.
        asset: AssetId,
        /// Why not.
        #[source]
        source: BrokerError,
    },
}

impl ApplyError {
    /// Whether the same call may succeed later without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Plan(error) => error.is_transient(),
            Self::Step { source, .. } => source.is_transient(),
        }
    }
}

/// Plans and applies: afterwards the broker is as `desired`, but for what the report says was held back.
///
/// # Errors
/// [`ApplyError`]; safe to call again.
///
/// # Cancel safety
/// Dropping it leaves a part done; apply again.
pub async fn apply(
    broker: &dyn Broker,
    desired: &[Asset],
    options: ApplyOptions,
    progress: impl FnMut(Progress<'_>) + Send,
) -> Result<Report, ApplyError> {
    plan(broker, desired).await?.apply(broker, options, progress).await
}

/// What becomes of a step under the options.
enum Decision {
    Put { action: &'static str, asset: Box<Asset>, delete_first: bool },
    Delete,
    Hold(String),
}

fn decide(step: &Step, options: ApplyOptions) -> Decision {
    let harm = step.harm();
    let held = |harm: &str| Decision::Hold(format!("{harm}; --yes does it"));
    match (&step.act, harm) {
        (Act::Create(asset), _) => {
            Decision::Put { action: "create", asset: Box::new(asset.clone()), delete_first: false }
        }
        (Act::CreateOverHistory { spec, first, last }, _) => match options.start_consumers_at {
            Some(start) => {
                let asset = Asset::Consumer(ConsumerSpec { start, ..spec.clone() });
                Decision::Put { action: "create", asset: Box::new(asset), delete_first: false }
            }
            None => Decision::Hold(over_history(*first, *last)),
        },
        (Act::Change { .. }, Some(harm)) if !options.yes => held(&harm),
        (Act::Change { to, .. }, _) => {
            Decision::Put { action: "change", asset: Box::new(to.clone()), delete_first: false }
        }
        (Act::Recreate { .. }, Some(harm)) if !options.yes => held(&harm),
        (Act::Recreate { to, .. }, _) => {
            Decision::Put { action: "recreate", asset: Box::new(to.clone()), delete_first: true }
        }
        (Act::Refuse { why, .. }, _) => Decision::Hold(why.clone()),
        (Act::Foreign { .. }, _) if options.yes && options.prune => Decision::Delete,
        (Act::Foreign { why, .. }, harm) => {
            Decision::Hold(format!("{why}; --prune --yes {}", harm.unwrap_or_default()))
        }
    }
}

/// Why a missing consumer is not simply made again.
pub(super) fn over_history(first: u64, last: u64) -> String {
    format!(
        "it is missing over history (sequences {first} to {last}), and what was done already would run again: say \
         --consumer-start first, new or a sequence"
    )
}

impl Plan {
    /// Carries the plan out. Doing it twice is the same as doing it once.
    ///
    /// # Errors
    /// [`ApplyError::Step`] ends it; safe to plan and apply again.
    ///
    /// # Cancel safety
    /// Dropping it leaves a part done; plan and apply again.
    pub async fn apply(
        &self,
        broker: &dyn Broker,
        options: ApplyOptions,
        mut progress: impl FnMut(Progress<'_>) + Send,
    ) -> Result<Report, ApplyError> {
        let mut report = Report::default();
        for (at, step) in self.steps.iter().enumerate() {
            let mut decision = decide(step, options);
            if let Decision::Put { asset, delete_first: true, .. } = &decision
                && let Asset::Stream(spec) = &**asset
            {
                // The plan saw it empty; what was submitted since must not go with it.
                let now = broker.stream(spec.name.clone()).await.map_err(about(&step.asset))?;
                if now.is_some_and(|stream| stream.messages > 0) {
                    decision = Decision::Hold("it is no longer empty; plan again".to_owned());
                }
            }
            let action = match &decision {
                Decision::Put { action, .. } => action,
                Decision::Delete => "delete",
                Decision::Hold(_) => "hold",
            };
            progress(Progress { step: at + 1, of: self.steps.len(), asset: &step.asset, action });
            let failed = |source| ApplyError::Step { action, asset: step.asset.clone(), source };
            match decision {
                Decision::Hold(why) => {
                    let is_foreign = matches!(step.act, Act::Foreign { .. });
                    report.held.push(Held { asset: step.asset.clone(), why, is_foreign });
                    continue;
                }
                Decision::Delete => delete(broker, &step.asset).await.map_err(failed)?,
                Decision::Put { asset, delete_first, .. } => put(broker, &asset, delete_first).await.map_err(failed)?,
            }
            report.done.extend(step.rows());
        }
        Ok(report)
    }
}

async fn put(broker: &dyn Broker, asset: &Asset, delete_first: bool) -> Result<(), BrokerError> {
    let pause = match asset {
        Asset::Stream(_) => PauseState::default(),
        Asset::Consumer(spec) => pause_of(broker, spec).await?,
    };
    if delete_first {
        delete(broker, &asset.id()).await?;
    }
    match asset {
        Asset::Stream(spec) => broker.put_stream(spec.clone()).await,
        Asset::Consumer(spec) => {
            broker.put_consumer(spec.clone()).await?;
            // A change resumes a paused consumer; who stopped a queue wants it stopped afterwards, too.
            if pause.until.is_some() {
                broker.pause_consumer(spec.stream.clone(), spec.name.clone(), pause).await?;
            }
            Ok(())
        }
    }
}

async fn pause_of(broker: &dyn Broker, spec: &ConsumerSpec) -> Result<PauseState, BrokerError> {
    match broker.consumer(spec.stream.clone(), spec.name.clone()).await {
        // A stream that is missing altogether pauses nobody.
        Err(BrokerError::NotFound { .. }) => Ok(PauseState::default()),
        other => Ok(other?.map(|info| info.pause).unwrap_or_default()),
    }
}

async fn delete(broker: &dyn Broker, asset: &AssetId) -> Result<(), BrokerError> {
    let deleted = match &asset.consumer {
        None => broker.delete_stream(asset.stream.clone()).await,
        Some(consumer) => broker.delete_consumer(asset.stream.clone(), consumer.clone()).await,
    };
    match deleted {
        // Gone is what was asked for.
        Err(BrokerError::NotFound { .. }) => Ok(()),
        other => other,
    }
}
