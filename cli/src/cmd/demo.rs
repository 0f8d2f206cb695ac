//! `nova demo`: a fleet of its own reviews a repository, and a worker and a coordinator are killed on the way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nova_provision::{Catalogue, Profile};
use nova_types::{Priority, Skill};

use crate::cx::runtime;
use crate::demo::{Drama, Scratch, replayed};
use crate::dev::fleet::{Fleet, Options};
use crate::dev::signals::{Asked, Signals};
use crate::dev::workers::Wanted;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::progress::Progress;
use crate::review::course::Reviewed;
use crate::review::live::Live;
use crate::review::local::{self, Local};
use crate::review::run::{Ask, review, skill};
use crate::review::show;

/// Findings of one severity that are shown: the demo is about the fleet; the SARIF file has them all.
const MOST_SHOWN: usize = 8;
/// The largest file that is read; the workers take no larger one.
const MAX_FILE_BYTES: u64 = 2 * 1024 * 1024;
/// One to lose and one to go on.
const COORDINATORS: u32 = 2;
/// How long nothing may happen; a killed worker's tasks come back after their lease of ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Show what a fleet does: review a repository, and lose a worker and a coordinator
///
/// Starts a fleet of its own on a free port and a run of the workflow `review` with one task per source file, kills a worker
/// and a coordinator with SIGKILL in the middle, and shows that every task still has exactly one outcome and that the
/// run's history gives the same decisions again. Nothing of it stays but the SARIF file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository to review
    #[arg(long, value_name = "PATH", default_value = ".")]
    repo: PathBuf,
    /// How many workers review
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=16))]
    workers: u32,
    /// Where the findings go as SARIF
    #[arg(long, value_name = "FILE", default_value = "target/demo/review.sarif")]
    sarif: PathBuf,
    /// Keep the fleet's data and log, and say where
    #[arg(long)]
    keep: bool,
}

/// Runs the command.
///
/// # Errors
/// When there is nothing to review, or the fleet does not start; the failure says what to do.
pub(crate) fn run(out: Out, args: Args) -> Result<Exit, Failure> {
    let local = local::look(&args.repo)?;
    if local.promising == 0 {
        let tracked = local.tracked;
        let message = format!("{} has no source file to review ({tracked} tracked files)", args.repo.display());
        return Err(Failure::new(Exit::USAGE, "nothing_to_review", message)
            .help("name a repository with Rust, Python, JavaScript, TypeScript or Go: REPO=path, or --repo PATH"));
    }
    let scratch = Scratch::new(args.keep)?;
    let done = runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        tokio::select! {
            done = perform(&out, &args, &local, scratch.path()) => done,
            asked = signals.next() => Ok(match asked {
                Asked::Interrupt => Exit::INTERRUPTED,
                Asked::Terminate => Exit::FAILURE,
            }),
        }
    });
    if args.keep {
        out.say(format!("the fleet's data and log: {}", scratch.path().display()));
    }
    done
}

async fn perform(out: &Out, args: &Args, local: &Local, store: &Path) -> Result<Exit, Failure> {
    let options = Options {
        store: store.to_path_buf(),
        port: 0,
        profile: Profile::Fast,
        catalogue: Catalogue::built_in(),
        workers: crew(args.workers),
        coordinators: COORDINATORS,
        echo: None,
    };
    let progress = Progress::spinner(out, "starting a fleet");
    let fleet = Fleet::start(options, &|what| progress.note(what)).await;
    drop(progress);
    let mut fleet = fleet?;
    let workers = if args.workers == 1 { "1 worker".to_owned() } else { format!("{} workers", args.workers) };
    out.say(format!(
        "fleet     nats-server {}, {COORDINATORS} coordinators, {workers} of skill code-review",
        fleet.server_version()
    ));
    let reviewed = act(out, &fleet, local).await;
    let progress = Progress::spinner(out, "stopping the fleet");
    fleet.stop().await;
    drop(progress);
    let reviewed = reviewed?;
    show::write_sarif(&reviewed.report, &args.sarif)?;
    out.say("");
    show::show(out, &reviewed, Some(&args.sarif), Some(MOST_SHOWN))?;
    Ok(show::exit(&reviewed, None))
}

/// Only those who take part: the demo is to start fast.
fn crew(count: u32) -> Vec<Wanted> {
    let wanted = |one: &Skill| match one.as_str() {
        "list-files" | "report" => 1,
        _ if *one == skill() => count,
        _ => 0,
    };
    Catalogue::built_in().skills().map(|one| Wanted { skill: one.clone(), count: wanted(one) }).collect()
}

async fn act(out: &Out, fleet: &Fleet, local: &Local) -> Result<Reviewed, Failure> {
    let ask = Ask {
        repo: local.folder.clone(),
        priority: Priority::Normal,
        max_file_bytes: MAX_FILE_BYTES,
        rules: None,
        sarif: true,
        patience: PATIENCE,
    };
    let expected = local.promising;
    // The folder's own name: where it lies on this machine is of no interest, in a recording least of all.
    let name = local.root.file_name().unwrap_or(local.root.as_os_str());
    out.say(format!("review    {}: {expected} source files, one task each", name.display()));
    let mut live = Live::begin(out, fleet.client(), &skill(), expected);
    let mut drama = Drama::new(fleet, expected);
    let reviewed = review(fleet.client(), &ask, |course| {
        drama.go_on(course).into_iter().for_each(|line| live.say(line));
        live.show(course, drama.note());
    })
    .await;
    drop(live);
    let mut reviewed = reviewed?;
    drama.curtain(&reviewed.course).into_iter().for_each(|line| out.say(line));
    if let Some(run) = &reviewed.course.run {
        reviewed.course.replayed = Some(replayed(fleet.client(), run).await?);
    }
    Ok(reviewed)
}
