//! `nova submit --each`: one task per line, one answer per task.

use std::io::{BufRead, BufReader};

use futures_util::stream::{self, Stream, StreamExt as _};
use nova_client::{Submit, SubmitId, Submitted, TaskOutcome};
use nova_types::{Name, TaskId};
use nova_wire::Payload;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Args, patience};
use crate::cx::Cx;
use crate::end::{EndRow, as_json, exit_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::InputArgs;
use crate::out::Out;
use crate::progress::Progress;

/// How many submits are under way at once; beyond it a broker is no faster.
pub(super) const IN_FLIGHT: usize = 256;

/// How many tasks are waited for at once: the receipts of one file of lines fill no more memory than this.
const WAITS_AT_ONCE: usize = 4096;

/// What became of one line.
enum Answer {
    Stored(Box<Submitted>),
    Ended(Box<TaskOutcome>),
    Failed(Failure),
}

#[derive(Default)]
pub(super) struct Tally {
    pub(super) stored: u64,
    pub(super) completed: u64,
    pub(super) duplicates: u64,
    pub(super) unfinished: u64,
    pub(super) failed: u64,
}

pub(super) async fn run(cx: &Cx, args: &Args, file: &str) -> Result<Exit, Failure> {
    let reader = open(file)?;
    let options = args.task.options();
    let wait = patience(args.wait);
    let progress = Progress::spinner(&cx.out, "submitting");
    let answers = lines(reader).map(|(number, line)| {
        let made = task_of(cx, args, number, line).and_then(|(id, payload)| {
            let key = key_of(args, &payload, number)?;
            let submit = Submit::new(args.skill.clone(), payload)
                .with_id(id)
                .with_priority(args.task.priority)
                .with_options(options.clone());
            Ok(match key {
                Some(key) => submit.with_key(key),
                None => submit,
            })
        });
        async move {
            let answer = match (made, wait) {
                (Err(failure), _) => Answer::Failed(failure),
                (Ok(submit), None) => match cx.client.submit(submit).await {
                    Ok(stored) => Answer::Stored(Box::new(stored)),
                    Err(error) => Answer::Failed(error.into()),
                },
                (Ok(submit), Some(wait)) => match cx.client.submit_and_wait(submit, wait).await {
                    Ok(ended) => Answer::Ended(Box::new(ended)),
                    Err(error) => Answer::Failed(error.into()),
                },
            };
            (number, answer)
        }
    });
    let mut tally = Tally::default();
    let mut worst = Exit::OK;
    // Receipts come in the order of the lines, outcomes as tasks end.
    let mut answers = match wait {
        None => answers.buffered(IN_FLIGHT).boxed_local(),
        Some(_) => answers.buffer_unordered(WAITS_AT_ONCE).boxed_local(),
    };
    while let Some((number, answer)) = answers.next().await {
        tally.count(&answer);
        worst = worse(worst, &answer);
        progress.note(tally.to_text());
        progress.beside(|| tell(&cx.out, number, &answer))?;
    }
    drop(answers);
    drop(progress);
    cx.out.say(tally.to_text());
    Ok(worst)
}

pub(super) fn open(file: &str) -> Result<Box<dyn BufRead + Send>, Failure> {
    if file == "-" {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let path = file.strip_prefix('@').unwrap_or(file);
    let opened = std::fs::File::open(path).map_err(|source| {
        let failure = Failure::io(format!("read {path}"), source);
        Failure { exit: Exit::USAGE, code: "bad_input".into(), ..failure }
    })?;
    Ok(Box::new(BufReader::new(opened)))
}

/// A line's number, from 1, and its bytes.
pub(super) type Line = (u64, std::io::Result<Vec<u8>>);

/// The lines that are not empty; reading ends at the first that cannot be read.
///
/// They are read on a thread of their own: what was read is submitted while the next line is waited for.
pub(super) fn lines(reader: Box<dyn BufRead + Send>) -> impl Stream<Item = Line> + Send {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    tokio::task::spawn_blocking(move || pass_on(reader, &sender));
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

fn pass_on(mut reader: Box<dyn BufRead + Send>, sender: &mpsc::Sender<Line>) {
    for number in 1.. {
        let mut line = Vec::new();
        let read = reader.read_until(b'\n', &mut line);
        let (line, is_over) = match read {
            Ok(0) => return,
            Ok(_) if line.iter().all(u8::is_ascii_whitespace) => continue,
            Ok(_) => (Ok(line), false),
            Err(error) => (Err(error), true),
        };
        // Nobody wants the rest when the command has ended.
        if sender.blocking_send((number, line)).is_err() || is_over {
            return;
        }
    }
}

fn task_of(cx: &Cx, args: &Args, number: u64, line: std::io::Result<Vec<u8>>) -> Result<(SubmitId, Payload), Failure> {
    let payload = encoded(&args.input, number, line)?;
    let Some(id) = &args.task.id else { return Ok((SubmitId::New, payload)) };
    let id = id.in_scope_of(cx);
    let name = Name::new(format!("{}-{number}", id.name()));
    let name = name.map_err(|error| Failure::usage(format!("line {number} gets no id: {error}")))?;
    Ok((SubmitId::Id(TaskId::new(id.scope().clone(), name)), payload))
}

/// The input on a line.
pub(super) fn encoded(input: &InputArgs, number: u64, line: std::io::Result<Vec<u8>>) -> Result<Payload, Failure> {
    let mut line = line.map_err(|source| Failure::io(format!("read line {number}"), source))?;
    while line.last().is_some_and(u8::is_ascii_whitespace) {
        line.pop();
    }
    input.encode(line, &format!("line {number}"))
}

/// The key of a line: a text or a number in its input.
fn key_of(args: &Args, payload: &Payload, number: u64) -> Result<Option<String>, Failure> {
    let Some(pointer) = &args.task.key_from else { return Ok(None) };
    let input: Value = payload.decode().map_err(|error| Failure::because(Exit::USAGE, "bad_input", error))?;
    match input.pointer(pointer) {
        Some(Value::String(key)) => Ok(Some(key.clone())),
        Some(Value::Number(key)) => Ok(Some(key.to_string())),
        _ => Err(Failure::usage(format!("line {number} has no text or number at {pointer} to be its key"))),
    }
}

fn tell(out: &Out, number: u64, answer: &Answer) -> Result<(), Failure> {
    let with_line = |row: Value| {
        let mut row = row;
        if let Some(object) = row.as_object_mut() {
            object.insert("line".to_owned(), number.into());
        }
        row
    };
    match answer {
        Answer::Stored(stored) if out.is_json() => out.json(&json!({
            "line": number, "task": stored.task, "skill": stored.skill, "stream": stored.stream,
            "sequence": stored.sequence, "duplicate": stored.is_duplicate,
        })),
        Answer::Stored(stored) => out.line(stored.task.to_string()),
        Answer::Ended(ended) if out.is_json() => {
            let row = serde_json::to_value(EndRow::with_body(ended)).expect("plain records always encode");
            out.json(&with_line(row))
        }
        Answer::Ended(ended) => match ended.error() {
            None => out.line(format!("{}\tcompleted\t{}", ended.outcome.task, as_json(&ended.body))),
            Some(error) => {
                out.line(format!("{}\t{}\t{}: {}", ended.outcome.task, ended.outcome.kind, error.code, error.message))
            }
        },
        Answer::Failed(failure) => {
            if out.is_json() {
                let error = json!({ "code": failure.code, "message": failure.lines().join(": ") });
                return out.json(&json!({ "line": number, "error": error }));
            }
            out.warn(format!("line {number}: error[{}]: {}", failure.code, failure.lines().join(": ")));
            Ok(())
        }
    }
}

/// A line that failed outweighs a task that died, which outweighs success.
fn worse(worst: Exit, answer: &Answer) -> Exit {
    let this = match answer {
        Answer::Stored(_) => Exit::OK,
        Answer::Ended(ended) => exit_of(ended.outcome.kind),
        Answer::Failed(_) => Exit::FAILURE,
    };
    if worst == Exit::FAILURE || this == Exit::OK { worst } else { this }
}

impl Tally {
    fn count(&mut self, answer: &Answer) {
        match answer {
            Answer::Stored(stored) => {
                self.stored += 1;
                self.duplicates += u64::from(stored.is_duplicate);
            }
            Answer::Ended(ended) if exit_of(ended.outcome.kind) == Exit::OK => self.completed += 1,
            Answer::Ended(_) => self.unfinished += 1,
            Answer::Failed(_) => self.failed += 1,
        }
    }

    pub(super) fn to_text(&self) -> String {
        let counts = [
            (self.stored, "submitted"),
            (self.duplicates, "of them duplicates"),
            (self.completed, "completed"),
            (self.unfinished, "dead or cancelled"),
            (self.failed, "failed"),
        ];
        let told: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if told.is_empty() { "no lines".to_owned() } else { told.join(", ") }
    }
}
