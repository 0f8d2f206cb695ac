//! `nova dead`: what will not be tried again, unless someone says so.

use nova_client::{DeadEntry, DeadFilter};
use nova_types::TaskId;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::DeadFilterArgs;
use crate::task_arg::{Id, find};

mod drop;
mod edit;
mod ls;
mod redrive;
mod show;

/// Look at dead letters, redrive, edit and drop them
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Ls(ls::Args),
    Show(show::Args),
    Redrive(redrive::Args),
    Edit(edit::Args),
    Drop(drop::Args),
}

pub(super) async fn run(cx: Cx, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Ls(args) => ls::run(cx, args).await,
        Command::Show(args) => show::run(cx, args).await,
        Command::Redrive(args) => redrive::run(cx, args).await,
        Command::Edit(args) => edit::run(cx, args).await,
        Command::Drop(args) => drop::run(cx, args).await,
    }
}

/// Which letters an order is about: those of some ids, or all that a filter finds.
#[derive(Debug, clap::Args)]
struct Which {
    /// The tasks' ids
    #[arg(value_name = "ID")]
    ids: Vec<Id>,
    /// Every dead letter there is
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    filter: DeadFilterArgs,
}

impl Which {
    fn is_by_id(&self) -> bool {
        !self.ids.is_empty()
    }

    /// The letters that are meant.
    async fn letters(&self, cx: &Cx) -> Result<Vec<DeadEntry>, Failure> {
        use futures_util::TryStreamExt as _;
        let filter = self.filter.filter();
        let is_narrow = filter != DeadFilter::default();
        if self.is_by_id() {
            if filter != (DeadFilter { skill: filter.skill.clone(), ..DeadFilter::default() }) {
                return Err(Failure::usage("give either ids or a filter, not both"));
            }
            let mut letters = Vec::new();
            for id in &self.ids {
                letters.push(letter(cx, id, self.filter.skill.as_ref()).await?);
            }
            return Ok(letters);
        }
        if !is_narrow && !self.all {
            return Err(Failure::usage("which dead letters? give an ID, a filter such as --skill or --code, or --all"));
        }
        Ok(cx.client.dead(filter).try_collect().await?)
    }
}

/// One task's letter.
async fn letter(cx: &Cx, id: &Id, skill: Option<&nova_types::Skill>) -> Result<DeadEntry, Failure> {
    let (skill, task): (_, TaskId) = find(cx, id, skill).await?;
    cx.client.dead_letter(&skill, &task).await.map_err(|error| {
        let is_missing = error.is_not_found();
        let failure = Failure::from(error);
        if !is_missing {
            return failure;
        }
        Failure::new(Exit::NOT_FOUND, "no_letter", format!("task {task} of skill {skill} has no dead letter"))
            .help("what there is: nova dead ls; where the task stands: nova show ID")
    })
}
