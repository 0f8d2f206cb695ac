//! `nova submit --each --bundle`: many lines in one task, one answer per line all the same.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::StreamExt as _;
use nova_client::{Bundling, ItemOutcome, SubmitId, Submitted};
use nova_types::{Name, OutcomeKind, TaskId};
use nova_wire::Payload;
use serde_json::{Value, json};

use super::each::{IN_FLIGHT, Tally, encoded, lines, open};
use super::{Args, patience};
use crate::cx::Cx;
use crate::end::{as_json, exit_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::progress::Progress;

/// How long a bundle waits for lines that are slow to come. With ids of one's own it waits until it is full: the same lines
/// have to make the same bundles.
const LINGER: Duration = Duration::from_secs(1);

/// What the lines of one bundle came to.
struct Answer {
    lines: Vec<u64>,
    came: Result<Came, Failure>,
}

enum Came {
    Stored(Box<Submitted>),
    Ended(Vec<ItemOutcome>),
}

/// What is known of lines on their way into bundles.
#[derive(Default)]
struct Read {
    /// The numbers of those that were packed and not answered for yet.
    numbers: VecDeque<u64>,
    /// Those that are no input.
    bad: Vec<(u64, Failure)>,
}

pub(super) async fn run(cx: &Cx, args: &Args, file: &str, size: u32) -> Result<Exit, Failure> {
    let mut how =
        Bundling::new(args.skill.clone(), size).with_priority(args.task.priority).with_options(args.task.options());
    if args.task.id.is_none() {
        how = how.linger(LINGER);
    }
    let read = Arc::new(Mutex::new(Read::default()));
    let (input, noting) = (args.input.clone(), Arc::clone(&read));
    let items = lines(open(file)?).filter_map(move |(number, line)| {
        let item = encoded(&input, number, line);
        let mut read = noting.lock().unwrap_or_else(PoisonError::into_inner);
        std::future::ready(match item {
            Ok(item) => {
                read.numbers.push_back(number);
                Some(item)
            }
            Err(failure) => {
                read.bad.push((number, failure));
                None::<Payload>
            }
        })
    });
    let wait = patience(args.wait);
    let progress = Progress::spinner(&cx.out, "submitting");
    let answers = how.pack(items).map(|packed| {
        let lines: Vec<u64> = {
            let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
            read.numbers.drain(..packed.items as usize).collect()
        };
        let id = id_of(cx, args, &lines);
        async move {
            let came = match (id, wait) {
                (Err(failure), _) => Err(failure),
                (Ok(id), None) => {
                    let submit = packed.submit.with_id(id);
                    cx.client.submit(submit).await.map(|sent| Came::Stored(Box::new(sent))).map_err(Failure::from)
                }
                (Ok(id), Some(wait)) => {
                    let packed = nova_client::Packed { submit: packed.submit.with_id(id), ..packed };
                    cx.client.run_packed(packed, wait).await.map(Came::Ended).map_err(Failure::from)
                }
            };
            Answer { lines, came }
        }
    });
    let mut answers = match wait {
        None => answers.buffered(IN_FLIGHT).boxed_local(),
        Some(_) => answers.buffer_unordered(IN_FLIGHT).boxed_local(),
    };
    let (mut tally, mut worst) = (Tally::default(), Exit::OK);
    loop {
        let answer = answers.next().await;
        let bad = std::mem::take(&mut read.lock().unwrap_or_else(PoisonError::into_inner).bad);
        for (number, failure) in bad {
            tally.failed += 1;
            worst = Exit::FAILURE;
            tell_failure(&cx.out, number, &failure)?;
        }
        let Some(answer) = answer else { break };
        let this = count(&mut tally, &answer);
        worst = if worst == Exit::FAILURE || this == Exit::OK { worst } else { this };
        progress.note(tally.to_text());
        tell(&cx.out, &answer)?;
    }
    drop(answers);
    drop(progress);
    cx.out.say(tally.to_text());
    Ok(worst)
}

/// The id of a bundle: the given one with the number of its first line.
fn id_of(cx: &Cx, args: &Args, lines: &[u64]) -> Result<SubmitId, Failure> {
    let (Some(id), Some(first)) = (&args.task.id, lines.first()) else { return Ok(SubmitId::New) };
    let id = id.in_scope_of(cx);
    let name = Name::new(format!("{}-{first}", id.name()));
    let name = name.map_err(|error| Failure::usage(format!("line {first} gets no id: {error}")))?;
    Ok(SubmitId::Id(TaskId::new(id.scope().clone(), name)))
}

fn count(tally: &mut Tally, answer: &Answer) -> Exit {
    let lines = answer.lines.len() as u64;
    match &answer.came {
        Ok(Came::Stored(stored)) => {
            tally.stored += lines;
            tally.duplicates += if stored.is_duplicate { lines } else { 0 };
            Exit::OK
        }
        Ok(Came::Ended(ends)) => {
            let mut worst = Exit::OK;
            for end in ends {
                match exit_of(end.end.kind) {
                    Exit::OK => tally.completed += 1,
                    exit => {
                        tally.unfinished += 1;
                        worst = exit;
                    }
                }
            }
            worst
        }
        Err(_) => {
            tally.failed += lines;
            Exit::FAILURE
        }
    }
}

fn tell(out: &Out, answer: &Answer) -> Result<(), Failure> {
    match &answer.came {
        Ok(Came::Stored(stored)) => {
            for (item, number) in answer.lines.iter().enumerate() {
                if out.is_json() {
                    out.json(&json!({
                        "line": number, "task": stored.task, "item": item, "skill": stored.skill, "stream": stored.stream,
                        "sequence": stored.sequence, "duplicate": stored.is_duplicate,
                    }))?;
                } else {
                    out.line(format!("{}/{item}", stored.task))?;
                }
            }
        }
        Ok(Came::Ended(ends)) => {
            for (number, end) in answer.lines.iter().zip(ends) {
                tell_end(out, *number, end)?;
            }
        }
        Err(failure) => {
            for number in &answer.lines {
                tell_failure(out, *number, failure)?;
            }
        }
    }
    Ok(())
}

fn tell_end(out: &Out, number: u64, ended: &ItemOutcome) -> Result<(), Failure> {
    let ItemOutcome { task, item, end } = ended;
    let error = end.error();
    if out.is_json() {
        let mut row = json!({"line": number, "task": task, "item": item, "state": end.kind, "attempt": end.attempt});
        match &error {
            None => row["result"] = as_json(&end.body),
            Some(error) => row["error"] = serde_json::to_value(error).unwrap_or(Value::Null),
        }
        return out.json(&row);
    }
    match error {
        None => out.line(format!("{task}/{item}\t{}\t{}", OutcomeKind::Completed, as_json(&end.body))),
        Some(error) => out.line(format!("{task}/{item}\t{}\t{}: {}", end.kind, error.code, error.message)),
    }
}

fn tell_failure(out: &Out, number: u64, failure: &Failure) -> Result<(), Failure> {
    let told = failure.lines().join(": ");
    if out.is_json() {
        return out.json(&json!({ "line": number, "error": { "code": failure.code, "message": told } }));
    }
    out.warn(format!("line {number}: error[{}]: {told}", failure.code));
    Ok(())
}
