//! Starts: a task of the skill `nova-run` is looked through and handed to its run, or ends as a dead letter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nova_broker::{BlobError, Blobs, Delivery, Settle};
use nova_engine::run as engine;
use nova_types::{RunId, StepId, codes, partition_scope, run_skill};
use nova_wire::{Payload, Task, assets, limits, name};
use nova_workflow::{Bound, Datum, EvalError, Failure, Kept, Lookup, Parent, Plan, Root, StartRequest, Started};
use serde_json::Value;

use super::definitions::DefinitionError;
use super::mail::{News, Start, Verdict};
use super::runs::Runs;
use super::shelf::{self, INLINE, ShelfError};
use super::slots::Room;
use super::state::{State, Trouble};
use super::store;
use crate::record::{Corpse, RecordError, bury, outcome_of};

/// The pause after something that failed and may work later.
const RETRY: Duration = Duration::from_secs(1);
/// How often what cannot be found is looked for: a replica may be a moment behind.
const LOOKS: u64 = 2;
/// The pause before it is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// The longest key of a run, in bytes.
const KEY_BYTES: usize = 256;

/// Why a start does not go to its run.
#[derive(Debug)]
enum Refused {
    /// It never will.
    Dead { code: String, why: String },
    /// It may, later.
    Later { why: String, pause: Duration },
}

impl Refused {
    fn dead(code: &str, why: impl Into<String>) -> Self {
        Self::Dead { code: code.to_owned(), why: why.into() }
    }

    fn later(why: impl std::fmt::Display) -> Self {
        Self::Later { why: why.to_string(), pause: RETRY }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::dead(failure.code.as_str(), failure.message)
    }
}

impl From<ShelfError> for Refused {
    fn from(error: ShelfError) -> Self {
        if error.is_transient() { Self::later(error) } else { Self::dead(codes::BAD_BLOB, error.to_string()) }
    }
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Parked(why) => Self::dead("bad_restart", format!("the earlier run cannot be read: {why}")),
            other => Self::later(other),
        }
    }
}

/// Handles one start.
pub(crate) async fn handle(runs: &Arc<Runs>, delivery: Delivery) -> Settle {
    let parsed = Task::parse(&delivery.subject, delivery.sequence, delivery.headers.clone(), delivery.body.clone());
    let task = match parsed {
        Ok(task) => task,
        Err(bad) => return refuse(runs, &delivery, &bad.id, bad.code.as_str(), &bad.message).await,
    };
    let parts = &runs.shared.parts;
    let run = RunId::of(&task.id);
    let skill = run_skill();
    let (stands, start) = tokio::join!(outcome_of(parts, &skill, &task.id), read(runs, &delivery, &task, &run));
    let has_outcome = match stands {
        Ok(stands) => stands.is_some(),
        Err(error) => return put_off(&task, &error.to_string(), RETRY),
    };
    match start {
        // Its letter may be missing still: to bury it again is safe.
        Err(Refused::Dead { code, why }) => match refuse(runs, &delivery, &task.id, &code, &why).await {
            Settle::Ack => forgo(runs, &delivery, &task, &run).await,
            other => other,
        },
        _ if has_outcome => forgo(runs, &delivery, &task, &run).await,
        Err(Refused::Later { why, pause }) => put_off(&task, &why, pause),
        Ok((start, plan)) => begin(runs, &delivery, &task, run, start, &plan).await,
    }
}

/// Takes room where that is counted, and hands the start to its run.
async fn begin(
    runs: &Arc<Runs>,
    delivery: &Delivery,
    task: &Task,
    run: RunId,
    mut start: Box<Start>,
    plan: &Plan,
) -> Settle {
    let workflow = start.started.workflow.clone();
    if let Some(most) = plan.workflow().runs {
        match runs.shared.slots.claim(&workflow, &run, most).await {
            Ok(room) => start.started.queued = room == Room::Queued,
            Err(error) => return put_off(task, &error.to_string(), RETRY),
        }
        nova_runtime::failpoint::hit("run-claimed");
    }
    let is_again = delivery.deliveries > 1 || task.is_republished;
    match runs.tell(&run, News::Start(start), is_again).await {
        Verdict::Done => Settle::Ack,
        Verdict::Later(delay) => Settle::Nak { delay },
        Verdict::NoRun => Settle::Nak { delay: RETRY },
        Verdict::Taken => {
            // The room is the other's, which has the same id; it gives it up at its own end.
            let why = format!("run `{run}` is the run of another task");
            refuse(runs, delivery, &task.id, "run_exists", &why).await
        }
    }
}

/// Gives back the room that an earlier round took for a start, which ends without a run now.
async fn forgo(runs: &Arc<Runs>, delivery: &Delivery, task: &Task, run: &RunId) -> Settle {
    // One that comes for the first time has taken none.
    if delivery.deliveries == 1 && !task.is_republished {
        return Settle::Ack;
    }
    let shared = &runs.shared;
    let Ok(payload) = input(runs, delivery, task).await else { return Settle::Ack };
    let Ok(request) = payload.decode::<StartRequest>() else { return Settle::Ack };
    match store::last(&shared.parts, &shared.place(run.clone())).await {
        Ok(None) => {}
        // A run that began gives it back at its end.
        Ok(Some(_)) => return Settle::Ack,
        Err(error) => return put_off(task, &error.to_string(), RETRY),
    }
    match shared.slots.release(&request.workflow, run).await {
        Ok(()) => {
            runs.hand_on(&request.workflow).await;
            Settle::Ack
        }
        Err(error) => put_off(task, &error.to_string(), RETRY),
    }
}

fn put_off(task: &Task, why: &str, pause: Duration) -> Settle {
    tracing::warn!(task = %task.id, why, "start of a run is put off");
    Settle::Nak { delay: pause }
}

async fn refuse(runs: &Runs, delivery: &Delivery, id: &nova_types::TaskId, code: &str, why: &str) -> Settle {
    let corpse = Corpse {
        stream: assets::tasks_stream(&run_skill()),
        sequence: delivery.sequence,
        at: delivery.at,
        headers: delivery.headers.clone(),
        body: delivery.body.clone(),
    };
    let buried: Result<bool, RecordError> =
        bury(&runs.shared.parts, &run_skill(), id, &code.into(), why, &corpse).await;
    match buried {
        Ok(_) => {
            tracing::warn!(task = %id, code, why, "start of a run is dead");
            Settle::Ack
        }
        Err(error) => {
            tracing::warn!(task = %id, %error, "start of a run could not be buried");
            Settle::Nak { delay: RETRY }
        }
    }
}

/// Reads all that a run needs to begin.
async fn read(runs: &Runs, delivery: &Delivery, task: &Task, run: &RunId) -> Result<(Box<Start>, Arc<Plan>), Refused> {
    let shared = &runs.shared;
    if task.options.deadline.is_some_and(|deadline| deadline <= shared.parts.clock.now()) {
        return Err(Refused::dead(codes::EXPIRED, "its deadline passed before it began"));
    }
    if task.options.bundle.is_some() {
        return Err(Refused::dead(
            codes::UNSUPPORTED,
            "a run is no item of a bundle: start each run by a task of its own",
        ));
    }
    if task.options.outcome_ttl.is_some_and(|ttl| ttl < limits::SHORTEST_OUTCOME_TTL) {
        let least = limits::SHORTEST_OUTCOME_TTL.as_secs();
        return Err(Refused::dead(codes::BAD_HEADER, format!("its outcome must be kept for {least} s at least")));
    }
    if store::depth(&task.headers) > limits::RUN_DEPTH {
        let why = format!("it has more than {} runs above it: does its workflow start itself?", limits::RUN_DEPTH);
        return Err(Refused::dead("too_deep", why));
    }
    let payload = input(runs, delivery, task).await?;
    let request: StartRequest = payload.decode().map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Refused::dead(error.code(), format!("{error}{cause}"))
    })?;
    let unknown = |error: DefinitionError, code: &str| match error {
        DefinitionError::Read { .. } => Refused::later(error),
        DefinitionError::Unknown { .. } if delivery.deliveries < LOOKS => {
            Refused::Later { why: error.to_string(), pause: LOOK_AGAIN }
        }
        DefinitionError::Unknown { .. } => Refused::dead(code, error.to_string()),
        DefinitionError::Unsound { .. } => Refused::dead("bad_workflow", error.to_string()),
    };
    let hash = match request.version {
        Some(hash) => hash,
        None => {
            shared.definitions.present(&request.workflow).await.map_err(|error| unknown(error, "unknown_workflow"))?
        }
    };
    let plan = shared.definitions.get(&hash).await.map_err(|error| unknown(error, "unknown_version"))?;
    if plan.workflow().workflow != request.workflow {
        let why = format!("definition `{hash}` is of workflow `{}`", plan.workflow().workflow);
        return Err(Refused::dead("unknown_version", why));
    }
    let (mut given, mut kept, mut restart_of) = (request.input, BTreeMap::new(), None);
    if let Some(restart) = &request.restart {
        let earlier = State::load(shared, &shared.place(restart.run.clone())).await?;
        let missing = || Refused::dead("bad_restart", format!("there is no run `{}`", restart.run));
        let earlier = earlier.ok_or_else(missing)?;
        kept = engine::restart(&earlier.run, &plan, restart)?;
        for kept in kept.values_mut() {
            take_over(shared, run, kept).await?;
        }
        if restart.same_input
            && let Some(started) = earlier.run.started()
        {
            given = value(shared, &started.input).await?;
        }
        restart_of = Some(restart.run.clone());
    }
    let input = plan.take_input(given)?;
    let key = key(&plan, &input)?;
    let started = Started {
        task: task.id.clone(),
        workflow: request.workflow,
        definition: hash,
        input: shelf::keep(&shared.parts, run, &input, INLINE).await?,
        key,
        queued: false,
        deadline: task.options.deadline,
        parent: parent(task),
        restart_of,
        kept,
        labels: task.options.labels.clone(),
    };
    let origin = store::origin(&task.headers);
    Ok((Box::new(Start { started, origin }), plan))
}

/// The task's input, fetched where it is large.
async fn input(runs: &Runs, delivery: &Delivery, task: &Task) -> Result<Payload, Refused> {
    let Some(blob) = &task.blob else { return Ok(task.payload.clone()) };
    match Blobs::new(runs.shared.parts.broker.clone()).get(blob).await {
        Ok(bytes) => Ok(Payload { content_type: task.payload.content_type, bytes }),
        Err(error) if error.is_transient() => Err(Refused::later(error)),
        Err(error @ BlobError::Missing { .. }) if delivery.deliveries < LOOKS => {
            Err(Refused::Later { why: error.to_string(), pause: LOOK_AGAIN })
        }
        Err(error @ BlobError::TooLarge { .. }) => Err(Refused::dead(codes::TOO_LARGE, error.to_string())),
        Err(error) => Err(Refused::dead(codes::BAD_BLOB, error.to_string())),
    }
}

/// The run and step that a run is the child of: only Nova names tasks in the scope of a partition.
fn parent(task: &Task) -> Option<Parent> {
    let run = RunId::of_part(task.id.name())?;
    let partition = task.id.scope().as_str().strip_prefix('r')?.parse().ok()?;
    let is_own = *task.id.scope() == partition_scope(partition) && task.headers.get(name::RUN) == Some(run.as_str());
    let step = StepId::new(task.headers.get(name::STEP)?).ok()?;
    is_own.then_some(Parent { run, step })
}

/// The word a run is found by.
fn key(plan: &Plan, input: &Value) -> Result<Option<String>, Refused> {
    let Some(expr) = &plan.workflow().key else { return Ok(None) };
    let value = plan.eval(expr, &OfInput(input)).map_err(|error| match error {
        EvalError::Failed(failure) => Refused::from(failure),
        EvalError::Wants(_) => Refused::dead(EvalError::CODE, "the key reads more than the input"),
    })?;
    Ok(match value {
        Value::Null => None,
        Value::String(text) => Some(limits::clip(&text, KEY_BYTES).to_owned()),
        other => Some(limits::clip(&other.to_string(), KEY_BYTES).to_owned()),
    })
}

struct OfInput<'a>(&'a Value);

impl Lookup for OfInput<'_> {
    fn get(&self, root: &Root) -> Result<Bound, EvalError> {
        match root {
            Root::Input => Ok(Bound::new(self.0)),
            other => Err(EvalError::failed(format!("`{other}` is not known before the run begins"))),
        }
    }
}

async fn value(shared: &super::shared::Shared, datum: &Datum) -> Result<Value, ShelfError> {
    match datum {
        Datum::Inline(value) => Ok(value.clone()),
        Datum::Blob(blob) => {
            let blobs = Blobs::new(shared.parts.broker.clone()).with_limit(2 * limits::BLOB_BYTES);
            shelf::fetch(&blobs, blob).await
        }
    }
}

/// Makes what a restart keeps the new run's own: the earlier one may be deleted before it ends.
async fn take_over(shared: &super::shared::Shared, run: &RunId, kept: &mut Kept) -> Result<(), Refused> {
    let data: Vec<&mut Datum> = match kept {
        Kept::Completed(datum) => vec![datum],
        Kept::Skipped => Vec::new(),
        Kept::Items { done, .. } => done.iter_mut().map(|segment| &mut segment.results).collect(),
    };
    for datum in data {
        if let Datum::Blob(_) = datum {
            let value = value(shared, datum).await?;
            *datum = shelf::keep(&shared.parts, run, &value, 0).await?;
        }
    }
    Ok(())
}
