//! `nova skill ls`: the catalogue, built-in and own.

use nova_provision::{Catalogue, SkillEntry};
use nova_types::{DurationText, Rate, Skill};
use nova_wire::EventLevel;
use serde::Serialize;

use crate::catalogue::SkillsArg;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Row};

/// List the skills of the catalogue
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    file: SkillsArg,
}

#[derive(Serialize)]
struct Line {
    skill: Skill,
    about: String,
    source: &'static str,
    lease: DurationText,
    timeout: DurationText,
    max_attempts: u32,
    backoff: String,
    costly: bool,
    events: &'static str,
    rate: Option<Rate>,
    key_rate: Option<Rate>,
    max_bytes: Option<u64>,
    history_share: Option<u8>,
}

impl Line {
    fn of(skill: &Skill, entry: &SkillEntry, is_own: bool) -> Self {
        let policy = &entry.policy;
        Self {
            skill: skill.clone(),
            about: entry.about.clone(),
            source: if is_own { "own" } else { "built-in" },
            lease: DurationText(policy.lease),
            timeout: DurationText(policy.policy.timeout),
            max_attempts: policy.policy.max_attempts,
            backoff: policy.policy.backoff.to_string(),
            costly: policy.is_costly,
            events: if policy.events == EventLevel::Full { "full" } else { "default" },
            rate: policy.rate,
            key_rate: policy.key_rate,
            max_bytes: entry.max_bytes,
            history_share: entry.history_share,
        }
    }
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["skill", "source", "lease", "timeout", "attempts", "backoff", "about"];
    fn cells(&self, _: &Out) -> Vec<String> {
        vec![
            self.skill.to_string(),
            self.source.to_owned(),
            self.lease.to_string(),
            self.timeout.to_string(),
            self.max_attempts.to_string(),
            self.backoff.clone(),
            self.about.clone(),
        ]
    }
}

pub(super) fn run(out: &Out, args: &Args) -> Result<Exit, Failure> {
    let own = args.file.own()?;
    let all = Catalogue::built_in().with(own.clone());
    let lines: Vec<Line> = all.iter().map(|(skill, entry)| Line::of(skill, entry, own.get(skill).is_some())).collect();
    out.list(&lines, "no skills")?;
    Ok(Exit::OK)
}
