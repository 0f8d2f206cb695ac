//! `nova provision users`: the fleet's users as configuration for nats-server.

use std::path::PathBuf;

use nova_provision::access::Fleet;

use crate::catalogue::SkillsArg;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;

/// Print the permissions of a fleet's users for nats-server's configuration
#[derive(clap::Args)]
#[command(after_help = "Example:
  nova provision users fleet.toml > nats-users.conf    then include it in the server's configuration

A user in fleet.toml:
  [users.shop-1]
  role = \"submitter\"          # or worker, coordinator, operator, viewer
  scope = \"shop\"
  password_env = \"NOVA_SHOP_PASSWORD\"   # or password_hash, or nkey; never a password itself")]
pub(crate) struct Args {
    /// The file that names users, roles and secrets
    #[arg(value_name = "FLEET.toml")]
    fleet: PathBuf,
    #[command(flatten)]
    skills: SkillsArg,
}

pub(super) fn run(out: &Out, args: &Args) -> Result<Exit, Failure> {
    let file = args.fleet.display().to_string();
    let text = std::fs::read_to_string(&args.fleet).map_err(|source| Failure::io(format!("read {file}"), source))?;
    let fleet = Fleet::parse(&file, &text, &args.skills.all()?)
        .map_err(|error| Failure::because(Exit::USAGE, "bad_fleet", error))?;
    out.raw(fleet.to_config().as_bytes())?;
    Ok(Exit::OK)
}
