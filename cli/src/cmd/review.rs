//! `nova review`: the fleet reviews a git repository.

use std::path::PathBuf;

use clap::ValueEnum;
use nova_provision::ByteText;
use nova_review::{Report, Severity};
use nova_types::{DurationText, Priority};

use crate::cx::{Cx, online};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::review::course::Reviewed;
use crate::review::live::Live;
use crate::review::run::{Ask, review, skill};
use crate::review::{local, rules, show};
use crate::root::Global;

/// Findings of one severity that fit a terminal; pipes, `--json` and `--sarif` get all.
const MOST_SHOWN: usize = 40;

/// What there is to say of nothing.
const NO_SARIF: &str = r#"{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[]}"#;

/// Review a git repository: one task per tracked source file, one report
///
/// Rust, Python, JavaScript, TypeScript and Go. It is a run of the workflow `review`, which this command brings along: a
/// worker of skill list-files reads the files where they are, those of code-review look at one each, and one of report
/// makes the report. Links are never followed, and whatever is left out is named.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 1 when a finding is as bad as --fail-on says, 3 when a task or the run is dead, 6 when nothing happens any
more; the run goes on then: nova run watch

Examples:
  nova review
  nova review ../other --sarif findings.sarif --fail-on warning
  nova review --json | jq 'select(.type == \"finding\")'")]
pub(crate) struct Args {
    /// The repository, or a folder in it
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Also write the findings as SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// From which severity on findings make the command fail
    #[arg(long, value_enum, default_value_t = FailOn::Error)]
    fail_on: FailOn,
    /// Larger files are skipped
    #[arg(long, value_name = "SIZE", default_value = "2MiB")]
    max_file_bytes: ByteText,
    /// How urgent the tasks are: high, normal or low
    #[arg(long, default_value_t = Priority::Normal)]
    priority: Priority,
    /// A folder of rules of your own (*.yml), beside the workers'
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// List every finding on a terminal, too
    #[arg(long)]
    all: bool,
    /// Give up when nothing happens for so long
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    timeout: DurationText,
}

/// What counts as failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Errors
    Error,
    /// Warnings and errors
    Warning,
    /// Nothing
    Never,
}

impl FailOn {
    fn least(self) -> Option<Severity> {
        match self {
            Self::Error => Some(Severity::Error),
            Self::Warning => Some(Severity::Warning),
            Self::Never => None,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When there is nothing to list or nobody to ask; the failure says what to do.
pub(crate) fn run(global: &Global, out: Out, args: Args) -> Result<Exit, Failure> {
    let local = local::look(&args.path)?;
    let rules = args.rules.as_deref().map(rules::read).transpose()?;
    if local.tracked == 0 {
        out.say(format!("{} has no tracked files: nothing to review (git add them first)", args.path.display()));
        let root = local.root.display().to_string();
        let report = Report { root, sarif: Some(NO_SARIF.to_owned()), ..Report::default() };
        return finish(&out, &args, &Reviewed { report, ..Reviewed::default() });
    }
    let ask = Ask {
        repo: local.folder,
        priority: args.priority,
        max_file_bytes: args.max_file_bytes.0,
        rules,
        sarif: args.sarif.is_some(),
        patience: args.timeout.0,
    };
    online(global, out, |cx| reviewed(cx, local.promising, ask, args))
}

async fn reviewed(cx: Cx, expected: u64, ask: Ask, args: Args) -> Result<Exit, Failure> {
    warn_without_workers(&cx).await;
    let mut live = Live::begin(&cx.out, &cx.client, &skill(), expected);
    let reviewed = review(&cx.client, &ask, |course| live.show(course, "")).await;
    drop(live);
    finish(&cx.out, &args, &reviewed?)
}

/// Says when nobody can do the work; a fleet may start its workers only when there is some, so it is no failure.
async fn warn_without_workers(cx: &Cx) {
    // A submitter may not be allowed to see the workers.
    let Ok(rows) = cx.client.workers().await else { return };
    if !rows.iter().any(|row| row.skills.iter().any(|offered| offered.name == skill())) {
        cx.out.say("no worker offers code-review: the tasks wait for one (nova dev starts a fleet)");
    }
}

fn finish(out: &Out, args: &Args, reviewed: &Reviewed) -> Result<Exit, Failure> {
    if let Some(path) = &args.sarif {
        show::write_sarif(&reviewed.report, path)?;
    }
    show::show(out, reviewed, args.sarif.as_deref(), most(out, args.all))?;
    Ok(show::exit(reviewed, args.fail_on.least()))
}

fn most(out: &Out, all: bool) -> Option<usize> {
    let is_terminal = out.shape() == crate::out::Shape::Table;
    (is_terminal && !all).then_some(MOST_SHOWN)
}
