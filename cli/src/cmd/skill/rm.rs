//! `nova skill rm`: a line less in the user's catalogue.

use nova_provision::Catalogue;
use nova_types::Skill;
use serde_json::json;

use crate::catalogue::SkillsArg;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;

/// Remove a skill from your catalogue; its queue stays until it is pruned
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Its name
    skill: Skill,
    #[command(flatten)]
    file: SkillsArg,
}

pub(super) fn run(out: &Out, args: &Args) -> Result<Exit, Failure> {
    let (mut file, path) = args.file.open()?;
    let is_own = file.catalogue().get(&args.skill).is_some();
    if !is_own && Catalogue::built_in().get(&args.skill).is_some() {
        let message = format!("skill {} is built in and cannot be removed", args.skill);
        return Err(Failure::new(Exit::REFUSED, "built_in", message));
    }
    file.remove(&args.skill)?;
    file.save()?;
    if out.is_json() {
        out.json(&json!({ "skill": args.skill, "file": path, "removed": true }))?;
    } else {
        out.say(format!(
            "skill {} is gone from {}; delete its queue: nova provision apply --prune",
            args.skill,
            path.display()
        ));
    }
    Ok(Exit::OK)
}
