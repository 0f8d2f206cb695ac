//! `nova backup`: a whole fleet's state in a folder.

use std::path::PathBuf;

use nova_provision::backup::{Packed, Step, TakeOptions, take};
use serde::Serialize;

use crate::clock;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Row, rounded};
use crate::progress::Progress;

/// Back up everything the fleet's broker holds, while the fleet works
#[derive(clap::Args)]
#[command(
    after_help = "What was acknowledged before the command began is in the backup. Tasks go on meanwhile; runs, due tasks
and cancels wait until most of it is written. The folder is a backup once it has a manifest.json;
what a command that failed or was interrupted leaves behind is none.

Needs the role operator and nats-server 2.15 or newer.

Examples:
  nova backup /backups/2026-11-22
  nova restore /backups/2026-11-22 --server nats://new:4222"
)]
pub(crate) struct Args {
    /// The folder: an empty one, or one that is made
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// One stream of the backup.
#[derive(Serialize)]
struct Line<'a> {
    stream: &'a str,
    messages: u64,
    last_sequence: u64,
    bytes: u64,
    file: Option<&'a str>,
    sha256: Option<&'a str>,
}

impl Row for Line<'_> {
    const TITLES: &'static [&'static str] = &["stream", "messages", "last", "size", "file"];
    fn cells(&self, out: &Out) -> Vec<String> {
        vec![
            self.stream.to_owned(),
            self.messages.to_string(),
            self.last_sequence.to_string(),
            out.size(self.bytes),
            self.file.unwrap_or("made empty").to_owned(),
        ]
    }
}

impl<'a> Line<'a> {
    fn of(packed: &'a Packed) -> Self {
        let snapshot = packed.snapshot.as_ref();
        Self {
            stream: &packed.name,
            messages: packed.messages,
            last_sequence: packed.last_sequence,
            bytes: snapshot.map_or(0, |file| file.bytes),
            file: snapshot.map(|file| &*file.file),
            sha256: snapshot.map(|file| &*file.sha256),
        }
    }
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let snapshots = cx.jetstream.snapshots()?;
    let progress = Progress::spinner(&cx.out, "backing up");
    let options = TakeOptions { folder: &args.folder, nova: env!("CARGO_PKG_VERSION"), clock: clock::now };
    let manifest = take(&**cx.client.broker(), &snapshots, options, |step| progress.note(shown(step))).await?;
    drop(progress);
    let lines: Vec<Line<'_>> = manifest.streams.iter().map(Line::of).collect();
    cx.out.list(&lines, "")?;
    let (bytes, folder) = (manifest.files().map(|file| file.bytes).sum(), args.folder.display());
    cx.out.say(format!(
        "{} streams, {} in {folder}: what was acknowledged before {}",
        lines.len(),
        rounded(bytes),
        manifest.began
    ));
    Ok(Exit::OK)
}

/// How far it is, as one line.
pub(super) fn shown(step: Step<'_>) -> String {
    let bytes = if step.bytes > 0 { format!(", {}", rounded(step.bytes)) } else { String::new() };
    format!("{}/{} {}{bytes}", step.stream, step.of, step.what)
}
