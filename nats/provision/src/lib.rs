//! Plans, applies and checks the broker's assets; the only writer of them.
//!
//! [`Catalogue`] says which skills there are, [`desired`] which streams and consumers they need, [`plan`] what differs on
//! a broker, [`Plan::apply`] mends it. [`access`] renders the permission templates of `nats/accounts`, [`backup`] saves what
//! the assets hold and makes them again.
//! All that is decided is decided without a broker: [`Plan::of`] compares what is wanted with what was [`Observed`].

pub mod access;
pub mod backup;
mod catalogue;
mod desired;
mod plan;
pub mod sizes;

pub use catalogue::{ByteText, Catalogue, CatalogueError, ParseBytesError, SkillEntry, SkillFile, SkillFileError};
pub use desired::{Asset, HISTORY_SHARE_NOTE, Options, PROFILE_NOTE, Profile, UnknownProfile, desired};
pub use plan::{
    Act, ApplyError, ApplyOptions, AssetId, FieldChange, Harm, Held, Observed, Plan, PlanError, Progress, Report, Row,
    apply, check, current_profile, plan,
};
