//! Plays a workflow by a script: lines of events in, lines of decisions out.
//!
//! Whatever is played is proved on the way: the record verifies after a round trip through JSON, a snapshot at every point
//! goes on as the run did, and recovery after every prefix gives exactly what was not carried out.

use std::sync::Arc;

use nova_engine::run::{Effect, Loaded, Memo, Moved, Run, Stuck, apply, recover, step, verify};
use nova_types::{OutcomeKind, StepId, UnixMillis};
use nova_workflow::{
    Approved, BlobName, Datum, Decision, End, Event, Failure, Part, Plan, Role, RunEnd, Started, Timer, Transition,
};
use serde_json::{Value, json};

/// The moment every play begins at.
pub const BEGINNING: i64 = 1_000_000;

pub struct Play {
    pub plan: Arc<Plan>,
    pub run: Run,
    pub memo: Memo,
    pub data: Loaded,
    pub history: Vec<Transition>,
    pub effects: Vec<Vec<Effect>>,
    pub now: i64,
    pub input: Value,
    orders: u64,
}

/// A sound plan of these steps.
pub fn plan(workflow: &Value) -> Plan {
    let workflow = serde_json::from_value(workflow.clone()).unwrap_or_else(|error| panic!("{error} in {workflow}"));
    Plan::new(workflow).unwrap_or_else(|problems| panic!("{problems:?}"))
}

pub fn id(step: &str) -> StepId {
    StepId::new(step).unwrap_or_else(|error| panic!("{error}"))
}

impl Play {
    /// A run of a workflow of these steps, or of this workflow when it has `steps` itself.
    pub fn of(workflow: Value) -> Self {
        let workflow = if workflow.get("steps").is_some() {
            let mut whole = json!({"workflow": "test"});
            whole.as_object_mut().expect("a map").extend(workflow.as_object().expect("a map").clone());
            whole
        } else {
            json!({"workflow": "test", "steps": workflow})
        };
        Self::with(plan(&workflow))
    }

    pub fn with(plan: Plan) -> Self {
        let run = Run::new(nova_types::RunId::new("r1").expect("a run"));
        Self {
            plan: Arc::new(plan),
            run,
            memo: Memo::default(),
            data: Loaded::default(),
            history: Vec::new(),
            effects: Vec::new(),
            now: BEGINNING,
            input: json!({}),
            orders: 0,
        }
    }

    pub fn started(&self) -> Started {
        Started::new("_.r1".parse().expect("an id"), &self.plan, self.input.clone().into())
    }

    /// Folds events as one transition.
    pub fn tell(&mut self, events: Vec<Event>) -> Result<&Transition, Stuck> {
        let Moved { run, transition, effects } =
            step(&self.run, &self.plan, events, UnixMillis(self.now), &self.data, &mut self.memo)?;
        self.run = run;
        self.history.push(transition);
        self.effects.push(effects);
        Ok(self.history.last().expect("just pushed"))
    }

    /// Plays one line of a script, and tells the decisions in short.
    pub fn line(&mut self, line: &str) -> String {
        let events = line.split(", ").filter(|word| !word.is_empty()).map(|word| self.event(word)).collect();
        match self.tell(events) {
            Ok(transition) => short(&transition.decisions),
            Err(Stuck::Wants(blobs)) => {
                format!("wants {}", blobs.iter().map(|blob| &*blob.name).collect::<Vec<_>>().join(" "))
            }
            Err(stuck) => stuck.to_string(),
        }
    }

    fn event(&mut self, word: &str) -> Event {
        let (verb, rest) = word.split_once(' ').unwrap_or((word, ""));
        match verb {
            "start" => Event::Started(Box::new(self.started())),
            "queue" => Event::Started(Box::new(Started { queued: true, ..self.started() })),
            "admit" => Event::Admitted,
            "cancel" => Event::Cancelled { why: rest.into() },
            "pause" => Event::Paused { order: self.order() },
            "resume" => Event::Resumed { order: self.order() },
            "fire" if rest == "deadline" => Event::Fired(Timer::Deadline),
            "fire" => match rest.split_once('.') {
                Some((step, round)) => Event::Fired(Timer::Round(id(step), round.parse().expect("a round"))),
                None => Event::Fired(Timer::Wait(id(rest))),
            },
            "signal" => {
                let (name, data) = rest.split_once('=').unwrap_or((rest, "null"));
                let data = Datum::Inline(serde_json::from_str(data).expect("json"));
                Event::Signalled { order: self.order(), name: name.into(), data, by: None }
            }
            "approve" | "reject" => {
                let (step, hash) = match rest.split_once(' ') {
                    Some((step, hash)) => (id(step), hash.to_owned()),
                    None => (id(rest), self.asks(rest)),
                };
                let (by, note) = (Some("ann".into()), Some("seen".into()));
                Event::Approved(Approved { order: self.order(), step, hash, yes: verb == "approve", by, note })
            }
            _ => Event::Ended(vec![end(word)]),
        }
    }

    fn order(&mut self) -> u64 {
        self.orders += 1;
        self.orders
    }

    /// The hash that a step asks to be approved.
    fn asks(&self, step: &str) -> String {
        let decisions = self.history.iter().flat_map(|transition| &transition.decisions);
        let mut asked = decisions.filter_map(|decision| match decision {
            Decision::Wait { step: of, hash } if of.as_str() == step => hash.clone(),
            _ => None,
        });
        asked.next_back().expect("the step asks")
    }

    /// The input of the task that a part started with.
    pub fn input_of(&self, step: &str, role: Role, index: u32) -> Value {
        let part = Part { step: id(step), role, index };
        let mut orders = self.effects.iter().flatten().filter_map(|effect| match effect {
            Effect::Task(order) if order.part == part => Some(order.input.clone()),
            _ => None,
        });
        orders.next_back().unwrap_or_else(|| panic!("{part:?} has not started"))
    }

    /// The run's end and result.
    pub fn end(&self) -> (RunEnd, Value) {
        let mut ends = self.effects.iter().flatten().filter_map(|effect| match effect {
            Effect::End { end, result } => Some((end.clone(), result.clone())),
            _ => None,
        });
        ends.next_back().expect("the run ended")
    }

    /// Proves the record: see the module's words.
    pub fn prove(&self) {
        let read: Vec<Transition> = self.history.iter().map(round_trip).collect();
        assert_eq!(read, self.history, "JSON changes the record");
        let verified = verify(&self.plan, &read, &self.data).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(verified.run, self.run, "the record comes to another run");
        let mut run = Run::new(self.run.id().clone());
        for (done, transition) in read.iter().enumerate() {
            let snapshot: Run = round_trip(&run);
            assert_eq!(snapshot, run, "JSON changes the snapshot");
            run = apply(&snapshot, &self.plan, transition, &self.data, &mut Memo::default()).expect("it folds");
            for emitted in [0, done.saturating_sub(1), done, done + 1] {
                self.prove_recovery(&run, emitted);
            }
            let again = step(&run, &self.plan, Vec::new(), transition.at, &self.data, &mut Memo::default());
            let again = again.expect("it moves");
            assert_eq!((again.transition.decisions, again.effects), (vec![], vec![]), "decided without an event");
        }
        assert_eq!(run, self.run, "snapshots come to another run");
    }

    /// Proves that after `run`'s last transition, of which those up to `emitted` were carried out, exactly the rest comes.
    fn prove_recovery(&self, run: &Run, emitted: usize) {
        let mut run = run.clone();
        run.mark_emitted(emitted as u64);
        let upto = usize::try_from(run.n()).expect("small");
        let mut open: Vec<&Effect> = Vec::new();
        for (at, transition) in self.history[..upto].iter().enumerate() {
            for event in &transition.events {
                open.retain(|effect| !is_over(effect, event));
            }
            for effect in &self.effects[at] {
                // A timer that is withdrawn is no longer to be set.
                if let Effect::Unset { timer } = effect {
                    open.retain(|open| !matches!(open, Effect::Set { timer: set, .. } if set == timer));
                }
                if at >= emitted {
                    open.push(effect);
                }
            }
        }
        let effects = recover(&run, &self.plan, &self.data, &mut Memo::default()).expect("it recovers");
        let sorted = |effects: Vec<&Effect>| {
            let mut told: Vec<_> = effects.into_iter().map(|effect| format!("{effect:?}")).collect();
            told.sort();
            told
        };
        assert_eq!(sorted(effects.iter().collect()), sorted(open), "after {upto}, carried out {emitted}");
    }
}

/// Whether an event is the end of what an effect began.
fn is_over(effect: &Effect, event: &Event) -> bool {
    match (effect, event) {
        (Effect::Task(order), Event::Ended(ends)) => ends.iter().any(|end| end.part == order.part),
        (Effect::Cancel { part, .. }, Event::Ended(ends)) => ends.iter().any(|end| end.part == *part),
        (Effect::Task(order), Event::Items(items)) => is_item(&order.part, items),
        (Effect::Cancel { part, .. }, Event::Items(items)) => is_item(part, items),
        (Effect::Set { timer, .. }, Event::Fired(fired)) => timer == fired,
        _ => false,
    }
}

fn is_item(part: &Part, items: &nova_workflow::Items) -> bool {
    let has = |index: u32| items.done.items.contains(&index) || items.failed.iter().any(|lost| lost.item == index);
    part.role == Role::Work && part.step == items.step && has(part.index)
}

pub fn round_trip<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let text = serde_json::to_string(value).expect("it writes");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The end of a part in short: `a=1` completed with 1, `a.2=1` its third, `judge a=1`, `undo a=1`, `a!code` dead after three
/// attempts, `a~` cancelled, `a@blob` completed with a large result.
fn end(word: &str) -> End {
    let (role, rest) = match word.split_once(' ') {
        Some(("judge", rest)) => (Role::Judge, rest),
        Some(("undo", rest)) => (Role::Undo, rest),
        Some((other, _)) => panic!("`{other}` is no event"),
        None => (Role::Work, word),
    };
    let at = rest.find(['=', '!', '~', '@']).unwrap_or_else(|| panic!("`{word}` is no end"));
    let (name, how) = rest.split_at(at);
    let (step, index) = name.split_once('.').unwrap_or((name, "0"));
    let part = Part { step: id(step), role, index: index.parse().expect("an index") };
    let more = &how[1..];
    let failure = || Some(Failure { code: more.into(), message: "why".into() });
    let (kind, attempt, result, error) = match &how[..1] {
        "=" => (OutcomeKind::Completed, 1, Datum::Inline(serde_json::from_str(more).expect("json")), None),
        "@" => (OutcomeKind::Completed, 1, Datum::Blob(blob(more)), None),
        "!" => (OutcomeKind::Dead, 3, Datum::NULL, failure()),
        _ => (OutcomeKind::Cancelled, 0, Datum::NULL, None),
    };
    End { part, kind, attempt, result, error }
}

pub fn blob(name: &str) -> BlobName {
    BlobName { name: name.into(), size: 1, sha256: "0".repeat(64) }
}

/// Decisions in short.
pub fn short(decisions: &[Decision]) -> String {
    decisions.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn one(decision: &Decision) -> String {
    let timer = |timer: &Timer| match timer {
        Timer::Deadline => "deadline".to_owned(),
        Timer::Wait(step) => step.to_string(),
        Timer::Round(step, round) => format!("{step}.{round}"),
    };
    let role = |role: Role| if role == Role::Work { String::new() } else { format!("{} ", role.as_str()) };
    match decision {
        Decision::Start { step, role: of, from: 0, to: 1 } => format!("start {}{step}", role(*of)),
        Decision::Start { step, role: of, from, to } => format!("start {}{step} {from}..{to}", role(*of)),
        Decision::Items { step, items } => format!("start {step} {items:?}"),
        Decision::Wait { step, .. } => format!("wait {step}"),
        Decision::Set { timer: of, at } => format!("set {} +{}", timer(of), at.0 - BEGINNING),
        Decision::Unset { timer: of } => format!("unset {}", timer(of)),
        Decision::Cancel { part } => format!("cancel {}{}.{}", role(part.role), part.step, part.index),
        Decision::Complete { step } => format!("done {step}"),
        Decision::Fail { step, failure } => format!("fail {step} {}", failure.code),
        Decision::Skip { step } => format!("skip {step}"),
        Decision::Ignore { .. } => "ignore".to_owned(),
        Decision::Status(status) => status.to_string(),
        Decision::End(end) => format!("end {}", end.status),
    }
}

/// Plays a workflow line by line: `(events, decisions)`; the decisions of the beginning come first.
#[track_caller]
pub fn check(workflow: Value, lines: &[(&str, &str)]) -> Play {
    let mut play = Play::of(workflow);
    for (events, expect) in lines {
        assert_eq!(play.line(events), *expect, "at `{events}`, after {:#?}", play.run.view(&play.plan).steps);
    }
    play.prove();
    play
}
