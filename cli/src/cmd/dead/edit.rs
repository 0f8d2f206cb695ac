//! `nova dead edit`: redriving a letter with another input, given or written in an editor.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nova_broker::Blobs;
use nova_client::Redrive;
use nova_types::Skill;
use nova_wire::{BlobRef, ContentType, DeadLetter, Payload, name};

use super::redrive;
use crate::connect::environment;
use crate::cx::Cx;
use crate::end::{as_json, pretty};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::InputArgs;
use crate::task_arg::Id;

/// Redrive a dead letter with another input
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova dead edit cli.018f2c                      opens $VISUAL or $EDITOR
  nova dead edit cli.018f2c '{\"url\": \"https://example.com\"}' --drop")]
pub(crate) struct Args {
    /// The task's id
    #[arg(value_name = "ID")]
    id: Id,
    #[command(flatten)]
    input: InputArgs,
    /// The task's skill, where several know the id
    #[arg(long, value_name = "SKILL")]
    skill: Option<Skill>,
    /// Drop the letter once its new task is stored
    #[arg(long)]
    drop: bool,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let entry = super::letter(&cx, &args.id, args.skill.as_ref()).await?;
    let payload = match &args.input.input {
        Some(_) => args.input.read().await?,
        None => {
            let before = original(&cx, &entry.letter).await?;
            // The editor has the terminal to itself; nothing else happens meanwhile.
            let edited = tokio::task::spawn_blocking(move || write_anew(&before)).await;
            edited.map_err(|error| {
                Failure::new(Exit::FAILURE, "editor", format!("the editor's wait broke off: {error}"))
            })??
        }
    };
    let redriven = cx.client.redrive(&entry.letter, Redrive { edit: Some(payload) }).await?;
    redrive::show(&cx.out, &redriven)?;
    if args.drop {
        cx.client.drop_dead(&entry.letter.skill, &entry.letter.task).await?;
    }
    Ok(Exit::OK)
}

/// The input as it was, wherever it is kept.
async fn original(cx: &Cx, letter: &DeadLetter) -> Result<Payload, Failure> {
    let content_type =
        letter.headers.get(name::CONTENT_TYPE).and_then(ContentType::from_media_type).unwrap_or_default();
    let Some(blob) = letter.headers.get(name::BLOB) else {
        return Ok(Payload { content_type, bytes: letter.body.clone() });
    };
    let read = async {
        let blob = BlobRef::parse(blob)?;
        Ok::<_, anyhow::Error>(Blobs::new(cx.client.broker().clone()).get(&blob).await?)
    };
    let bytes = read.await.map_err(|error| {
        Failure::because(
            Exit::FAILURE,
            "bad_blob",
            error.context(format!("could not read the input of task {}", letter.task)),
        )
        .help("give it a new input on the command line: nova dead edit ID INPUT")
    })?;
    Ok(Payload { content_type, bytes })
}

/// Lets a person change the input; MessagePack is shown, and sent back, as what it is.
fn write_anew(before: &Payload) -> Result<Payload, Failure> {
    let editor = environment("VISUAL").or_else(|| environment("EDITOR")).ok_or_else(|| {
        Failure::usage("no editor is set").help("set VISUAL or EDITOR, or give the new input: nova dead edit ID INPUT")
    })?;
    let text = before
        .to_json()
        .map_or_else(|_| String::from_utf8_lossy(&before.bytes).into_owned(), |_| pretty(&as_json(before)));
    let file = Scratch::new(&text)?;
    let quoted = "\"$1\"";
    let ended = Command::new("sh").arg("-c").arg(format!("{editor} {quoted}")).arg("sh").arg(&file.0).status();
    let ended = ended.map_err(|source| Failure::io(format!("start the editor `{editor}`"), source))?;
    if !ended.success() {
        return Err(Failure::new(
            Exit::FAILURE,
            "editor",
            format!("the editor ended with {ended}; nothing was redriven"),
        ));
    }
    let after = std::fs::read(&file.0).map_err(|source| Failure::io("read what the editor wrote", source))?;
    if after == text.as_bytes() {
        return Err(Failure::new(Exit::REFUSED, "unchanged", "the input was not changed; nothing was redriven")
            .help("to try it as it is: nova dead redrive ID"));
    }
    let as_it_was = InputArgs { msgpack: before.content_type == ContentType::MsgPack, ..InputArgs::default() };
    as_it_was.encode(after, "the edited input")
}

/// A file of one's own that is gone when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(text: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("nova-{}.json", uuid::Uuid::now_v7()));
        let made = Self(path);
        made.fill(text).map_err(|source| Failure::io(format!("write {}", made.0.display()), source))?;
        Ok(made)
    }

    fn fill(&self, text: &str) -> std::io::Result<()> {
        // An input may hold what others should not read.
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open::<&Path>(&self.0)?.write_all(text.as_bytes())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind it does no harm: it is in the folder of temporary files.
        let _ = std::fs::remove_file(&self.0);
    }
}
