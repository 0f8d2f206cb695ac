//! `nova workflow schema`: the JSON Schema of workflow files.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;

/// Print the JSON Schema of workflow files, for editors
#[derive(clap::Args)]
#[command(after_help = "Example:
  nova workflow schema > .workflow.schema.json
  # in a file, for editors with the YAML language server:
  # yaml-language-server: $schema=.workflow.schema.json")]
pub(crate) struct Args {}

pub(super) fn run(out: &Out) -> Result<Exit, Failure> {
    out.line(nova_workflow::schema())?;
    Ok(Exit::OK)
}
