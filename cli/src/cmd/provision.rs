//! `nova provision`: the broker's assets as the catalogue wants them.

use std::str::FromStr;

use nova_broker::Start;
use nova_provision::{Asset, Options, Profile, Row as Drift, current_profile, desired};
use serde::Serialize;

use crate::catalogue::SkillsArg;
use crate::clock;
use crate::cx::{Cx, online};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Row};
use crate::root::Global;

mod apply;
mod check;
mod plan;
mod users;

/// Set the broker up: plan, apply and check its assets, write its users
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Plan(plan::Args),
    Apply(apply::Args),
    Check(check::Args),
    Users(users::Args),
}

pub(super) fn run(global: &Global, out: Out, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Plan(args) => online(global, out, |cx| plan::run(cx, args)),
        Command::Apply(args) => online(global, out, |cx| apply::run(cx, args)),
        Command::Check(args) => online(global, out, |cx| check::run(cx, args)),
        Command::Users(args) => users::run(&out, &args),
    }
}

/// What the broker is to look like.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Wanted {
    #[command(flatten)]
    skills: SkillsArg,
    /// fast, durable or replicated [default: what the broker has, else fast]
    #[arg(long, value_name = "PROFILE")]
    profile: Option<Profile>,
}

impl Wanted {
    /// The profile that was asked for.
    pub(crate) fn profile(&self) -> Option<Profile> {
        self.profile
    }

    /// The assets that are wanted, and the profile they are for.
    pub(crate) async fn assets(&self, cx: &Cx) -> Result<(Vec<Asset>, Profile), Failure> {
        let catalogue = self.skills.all()?;
        let profile = match self.profile {
            Some(profile) => profile,
            None => current_profile(&**cx.client.broker()).await?.unwrap_or_default(),
        };
        Ok((desired(&catalogue, Options { profile, now: clock::now() }), profile))
    }
}

/// Where a missing consumer begins.
#[derive(Debug, Clone, Copy)]
struct StartArg(Start);

impl FromStr for StartArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "first" => Ok(Self(Start::First)),
            "new" => Ok(Self(Start::New)),
            _ => text
                .parse()
                .map(|sequence| Self(Start::Sequence(sequence)))
                .map_err(|_| "not first, new or a sequence".to_owned()),
        }
    }
}

/// One thing that differs.
#[derive(Serialize)]
#[serde(transparent)]
struct Line(Drift);

impl Row for Line {
    const TITLES: &'static [&'static str] = &["action", "asset", "name", "field", "from", "to", "note"];
    fn cells(&self, _: &Out) -> Vec<String> {
        let row = &self.0;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let name =
            row.consumer.as_ref().map_or_else(|| row.stream.clone(), |consumer| format!("{}/{consumer}", row.stream));
        vec![
            row.action.to_owned(),
            row.asset.to_owned(),
            name,
            text(&row.field),
            text(&row.from),
            text(&row.to),
            text(&row.harm),
        ]
    }
}
