//! `nova completion`: a script for the shell.

use clap_complete::Shell;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::root;

/// Print a completion script for your shell
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova completion bash > ~/.local/share/bash-completion/completions/nova
  nova completion zsh > \"${fpath[1]}/_nova\"
  nova completion fish > ~/.config/fish/completions/nova.fish")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(out: &Out, args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut root::command(), "nova", &mut script);
    out.raw(&script)?;
    Ok(Exit::OK)
}
