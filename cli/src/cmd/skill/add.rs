//! `nova skill add`: one line more in the user's catalogue.

use nova_provision::{ByteText, SkillEntry};
use nova_types::{Backoff, DurationText, Rate, Skill};
use nova_wire::EventLevel;
use serde_json::json;

use crate::catalogue::SkillsArg;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;

/// Add a skill of your own to your catalogue
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova skill add resize --about 'Scales pictures' --lease 30s --timeout 5m
  nova skill add ask-model --costly --max-attempts 2 --rate 20/m --skills ./skills.toml

The queue is made by `nova provision apply`.")]
pub(crate) struct Args {
    /// Its name
    skill: Skill,
    /// What it does, in one sentence
    #[arg(long, default_value = "", hide_default_value = true)]
    about: String,
    /// How long a worker holds an attempt without a sign of life [default: 10s]
    #[arg(long, value_name = "DURATION")]
    lease: Option<DurationText>,
    /// The longest one attempt may run [default: 60s]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<DurationText>,
    /// How many attempts may fail [default: 5]
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// The pause between attempts [default: 1s..5m]
    #[arg(long, value_name = "RANGE")]
    backoff: Option<Backoff>,
    /// An attempt never starts twice unasked
    #[arg(long)]
    costly: bool,
    /// Store submitted, started and progress events, too
    #[arg(long)]
    all_events: bool,
    /// How many attempts the whole fleet starts at most: 100/s, 20/m, `100/s burst 500` [default: no limit]
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// How much its queue and history hold: 512MiB [default: by profile]
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<ByteText>,
    /// How much of that finished tasks may keep, in percent [default: 25]
    #[arg(long, value_name = "PERCENT")]
    history_share: Option<u8>,
    #[command(flatten)]
    file: SkillsArg,
}

pub(super) fn run(out: &Out, args: Args) -> Result<Exit, Failure> {
    let (mut file, path) = args.file.open()?;
    let mut entry = SkillEntry {
        about: args.about,
        max_bytes: args.max_bytes.map(|bytes| bytes.0),
        history_share: args.history_share,
        ..SkillEntry::default()
    };
    let policy = &mut entry.policy;
    policy.lease = args.lease.map_or(policy.lease, |lease| lease.0);
    policy.policy.timeout = args.timeout.map_or(policy.policy.timeout, |timeout| timeout.0);
    policy.policy.max_attempts = args.max_attempts.unwrap_or(policy.policy.max_attempts);
    policy.policy.backoff = args.backoff.unwrap_or(policy.policy.backoff);
    policy.is_costly = args.costly;
    policy.events = if args.all_events { EventLevel::Full } else { EventLevel::Default };
    policy.rate = args.rate;
    file.add(&args.skill, &entry)?;
    file.save()?;
    if out.is_json() {
        out.json(&json!({ "skill": args.skill, "file": path, "added": true }))?;
    } else {
        out.say(format!("skill {} is in {}; make its queue: nova provision apply", args.skill, path.display()));
    }
    Ok(Exit::OK)
}
