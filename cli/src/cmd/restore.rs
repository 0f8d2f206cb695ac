//! `nova restore`: an empty broker filled from a backup.

use std::path::PathBuf;

use nova_provision::backup::{Backup, RestoreOptions, RestoredStream, restore};
use serde::Serialize;

use super::backup::shown;
use super::provision::Wanted;
use crate::cx::{Cx, online};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Row};
use crate::progress::Progress;
use crate::root::Global;

/// Fill an empty broker from a backup
#[derive(clap::Args)]
#[command(
    after_help = "Every file is held against its checksum before anything is made. A broker that has any stream of Nova's is
refused. What goes wrong on the way is undone. Start coordinators and workers afterwards.

--profile makes the streams for another number of servers, such as a backup of three on one:
  nova restore /backups/2026-11-22 --profile durable

Needs the role operator, and nats-server no older than that of the backup."
)]
pub(crate) struct Args {
    /// The folder of the backup
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Only hold the files against their checksums; needs no broker
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    wanted: Wanted,
}

/// One stream that was restored.
#[derive(Serialize)]
struct Line<'a> {
    stream: &'a str,
    messages: u64,
    expired: u64,
    last_sequence: u64,
    consumers: usize,
}

impl Row for Line<'_> {
    const TITLES: &'static [&'static str] = &["stream", "messages", "expired", "last", "consumers"];
    fn cells(&self, _: &Out) -> Vec<String> {
        vec![
            self.stream.to_owned(),
            self.messages.to_string(),
            self.expired.to_string(),
            self.last_sequence.to_string(),
            self.consumers.to_string(),
        ]
    }
}

impl<'a> Line<'a> {
    fn of(restored: &'a RestoredStream) -> Self {
        Self {
            stream: &restored.name,
            messages: restored.messages,
            expired: restored.packed.saturating_sub(restored.messages),
            last_sequence: restored.last_sequence,
            consumers: restored.consumers,
        }
    }
}

pub(super) fn run(global: &Global, out: Out, args: Args) -> Result<Exit, Failure> {
    let backup = Backup::open(&args.folder)?;
    let progress = Progress::spinner(&out, "verifying");
    backup.verify(|file| progress.note(format!("verifying {}", file.file)))?;
    drop(progress);
    if args.verify {
        let manifest = backup.manifest();
        let server = &manifest.server;
        out.say(format!(
            "{} files are as they were written: {} of nats-server {server}, profile {}",
            manifest.files().count(),
            manifest.began,
            manifest.profile
        ));
        return Ok(Exit::OK);
    }
    online(global, out, |cx| fill(cx, backup, args.wanted))
}

async fn fill(cx: Cx, backup: Backup, wanted: Wanted) -> Result<Exit, Failure> {
    let snapshots = cx.jetstream.snapshots()?;
    let (broker, manifest) = (&**cx.client.broker(), backup.manifest());
    let progress = Progress::spinner(&cx.out, "restoring");
    let options = RestoreOptions { profile: wanted.profile() };
    let restored = restore(broker, &snapshots, &backup, options, |step| progress.note(shown(step))).await?;
    drop(progress);
    let lines: Vec<Line<'_>> = restored.streams.iter().map(Line::of).collect();
    cx.out.list(&lines, "")?;
    cx.out.say(format!(
        "restored: the fleet as it was at {}, profile {}; {} tasks that had ended were taken out of their queues",
        manifest.began, manifest.profile, restored.settled
    ));
    let (wanted, _) = wanted.assets(&cx).await?;
    let rows = nova_provision::check(broker, &wanted).await?;
    let drift: Vec<String> =
        rows.iter().filter(|row| row.is_drift()).map(|row| format!("{} {}", row.action, row.stream)).collect();
    match drift.first() {
        None => cx.out.say("the broker is as it is wanted: start coordinators and workers"),
        Some(first) => cx.out.warn(format!(
            "{} differences from what is wanted, the first: {first}; see nova provision plan, mend with nova provision apply",
            drift.len()
        )),
    }
    Ok(Exit::OK)
}
