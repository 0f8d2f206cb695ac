//! One task for each item of a list, or for each bundle of them: started in chunks as there is room, counted in ranges.

use nova_types::{OutcomeKind, StepId};
use nova_workflow::definition::Map;
use nova_workflow::{Datum, Decision, End, Failure, Kept, Lost, Part, Role, Segment};

use crate::run::Stuck;
use crate::run::ending::failure_of;
use crate::run::order::{input, items};
use crate::run::packs::Packs;
use crate::run::ranges::Ranges;
use crate::run::segments::Segments;
use crate::run::shared::Shared;
use crate::run::state::{Active, Answer, List, MapState, failure};
use crate::run::turn::{Turn, own};
use crate::run::value::{bad, value};

/// The most items of a map: what the memory of a coordinator holds at ease.
const MOST: usize = 1_000_000;

/// How many failures are told: enough to see what is wrong.
const TOLD: usize = 5;

pub(in crate::run) fn begin(turn: &mut Turn<'_>, id: &StepId, map: &Map) -> Result<(), Stuck> {
    let items = match own(items(turn, id))? {
        Ok(items) if items.len() > MOST => {
            turn.fail(id, bad(format!("`over` has {} items, the most is {MOST}", items.len())), 0);
            return Ok(());
        }
        Ok(items) => items,
        Err(failure) => {
            turn.fail(id, failure, 0);
            return Ok(());
        }
    };
    let count = u32::try_from(items.len()).expect("a million fits");
    let (done, segments) = kept(turn, id, count);
    let mut todo = Ranges::below(count);
    for item in done.iter() {
        todo.remove(item);
    }
    let kept = done.len();
    let list = List { count, done, failed: Ranges::default(), segments };
    let count = Shared::new(count);
    turn.memo.borrow_mut().lists.insert(id.clone(), (count.clone(), items));
    let packs = Packs::default();
    turn.activate(id, Active::Map(MapState { count, kept, todo, packs, list, failures: Vec::new(), attempts: 0 }));
    advance(turn, id, map)
}

/// What an earlier run did of it. Another number of items means another list: then nothing.
fn kept(turn: &Turn<'_>, id: &StepId, count: u32) -> (Ranges, Segments) {
    match turn.run.started.as_ref().and_then(|started| started.kept.get(id)) {
        Some(Kept::Items { count: of, done }) if *of == count => {
            let items = done.iter().flat_map(|segment| &segment.items).copied().filter(|item| *item < count);
            (items.collect(), done.iter().cloned().collect())
        }
        _ => (Ranges::default(), Segments::default()),
    }
}

pub(in crate::run) fn advance(turn: &mut Turn<'_>, id: &StepId, map: &Map) -> Result<(), Stuck> {
    let mut started = Ranges::default();
    // Too many failures are looked at first: nothing more starts then.
    while !is_over(turn, id, map) && turn.may_start() && has_room(turn, id, map) {
        if let Some(size) = map.bundle {
            if !turn.may_pack() || !pack(turn, id, map, size, &mut started)? {
                break;
            }
            continue;
        }
        let Some(item) = state(turn, id).todo.pop() else { break };
        match turn.launch(&Part::work(id.clone(), item))? {
            Ok(open) => {
                turn.step_mut(id).open.insert(item, open);
                started.insert(item);
            }
            Err(failure) => failed(state(turn, id), item, failure, 0),
        }
    }
    tell(turn, id, &started);
    if is_over(turn, id, map) {
        finish(turn, id);
    }
    Ok(())
}

/// Starts one bundle of the next items; says whether any item was left. Those whose input cannot be made fail alone.
fn pack(turn: &mut Turn<'_>, id: &StepId, map: &Map, size: u32, started: &mut Ranges) -> Result<bool, Stuck> {
    let (mut packed, mut inputs) = (Ranges::default(), Vec::new());
    while packed.len() < size {
        let Some(item) = state(turn, id).todo.pop() else { break };
        match own(input(turn, &Part::work(id.clone(), item)))? {
            Ok(input) => {
                packed.insert(item);
                inputs.push(input);
            }
            Err(failure) => {
                failed(state(turn, id), item, failure, 0);
                if has_failed(state(turn, id), map) {
                    // Nothing more starts, not even what was at hand.
                    let state = state(turn, id);
                    for item in packed.iter() {
                        state.todo.insert(item);
                    }
                    return Ok(false);
                }
            }
        }
    }
    for item in packed.iter() {
        started.insert(item);
    }
    let has_any = !packed.is_empty();
    turn.launch_bundle(id, packed, inputs);
    Ok(has_any)
}

/// Records which items started: a range when it is one, else each.
fn tell(turn: &mut Turn<'_>, id: &StepId, started: &Ranges) {
    match *started.pieces() {
        [] => {}
        [(from, to)] => {
            turn.decisions.push(Decision::Start { step: id.clone(), role: Role::Work, from, to });
        }
        _ => turn.decisions.push(Decision::Items { step: id.clone(), items: started.iter().collect() }),
    }
}

fn state<'t>(turn: &'t mut Turn<'_>, id: &StepId) -> &'t mut MapState {
    match &mut turn.step_mut(id).active {
        Active::Map(map) => map,
        _ => unreachable!("a map under way holds the state of one"),
    }
}

fn has_room(turn: &Turn<'_>, id: &StepId, map: &Map) -> bool {
    let open = turn.run.steps.get(id).map_or(0, |step| step.open.len());
    turn.room() > 0 && map.parallel.is_none_or(|most| open < most as usize)
}

/// Whether every item ended, or too many failed.
fn is_over(turn: &Turn<'_>, id: &StepId, map: &Map) -> bool {
    turn.run
        .steps
        .get(id)
        .and_then(|step| Some((step, step.map()?)))
        .is_some_and(|(step, state)| state.todo.is_empty() && step.open.is_empty() || has_failed(state, map))
}

/// Whether more items failed than may.
fn has_failed(state: &MapState, map: &Map) -> bool {
    !map.tolerate.allows(state.list.failed.len(), state.list.count)
}

/// Ends a map that is over.
pub(in crate::run) fn finish(turn: &mut Turn<'_>, id: &StepId) {
    let nova_workflow::Kind::Map(map) = turn.plan.kind(id) else { return };
    let Some(state) = turn.run.steps.get(id).and_then(|step| step.map()) else { return };
    let (failed, count) = (state.list.failed.len(), state.list.count);
    if map.tolerate.allows(failed, count) {
        let list = state.list.clone();
        turn.complete(id, Answer::List(list));
        return;
    }
    let told: Vec<_> =
        state.failures.iter().map(|(item, why)| format!("item {item}: {}: {}", why.code, why.message)).collect();
    let code = state.failures.first().map_or("error", |(_, why)| why.code.as_str()).to_owned();
    let attempts = state.attempts;
    turn.fail(id, failure(&code, format!("{failed} of {count} items failed: {}", told.join("; "))), attempts);
}

fn failed(state: &mut MapState, item: u32, failure: Failure, attempts: u32) {
    state.list.failed.insert(item);
    if state.failures.is_empty() {
        state.attempts = attempts;
    }
    if state.failures.len() < TOLD {
        state.failures.push((item, failure));
    }
}

/// Folds the end of one item.
pub(in crate::run) fn ended(turn: &mut Turn<'_>, end: &End) -> Result<(), Stuck> {
    let (id, item) = (&end.part.step, end.part.index);
    if end.kind != OutcomeKind::Completed {
        failed(state(turn, id), item, failure_of(end), end.attempt);
        return Ok(());
    }
    match segment(turn, end)? {
        Ok(segment) => done(turn, id, segment),
        Err(failure) => failed(state(turn, id), item, failure, end.attempt),
    }
    Ok(())
}

/// One item's result, as of several.
fn segment(turn: &Turn<'_>, end: &End) -> Result<Result<Segment, Failure>, Stuck> {
    // A segment's object would hold a list; this one holds a single result.
    let results = own(value(turn.data, &end.result))?.map(|result| Datum::Inline(vec![result].into()));
    Ok(results.map(|results| Segment { items: vec![end.part.index], results }))
}

/// Folds the completion of one item when the map was over.
pub(in crate::run) fn late_one(turn: &mut Turn<'_>, end: &End) -> Result<(), Stuck> {
    if let Ok(segment) = segment(turn, end)? {
        late(turn, &end.part.step, segment);
    }
    Ok(())
}

/// Folds completed items; they are off the books already.
pub(in crate::run) fn done(turn: &mut Turn<'_>, id: &StepId, segment: Segment) {
    state(turn, id).list.push(segment);
}

impl List {
    fn push(&mut self, segment: Segment) {
        for item in &segment.items {
            self.done.insert(*item);
        }
        self.segments.push(segment);
    }
}

/// Folds items that completed when the map was over.
pub(in crate::run) fn late(turn: &mut Turn<'_>, id: &StepId, segment: Segment) {
    let Some(ended) = turn.step_mut(id).ended.as_mut().map(Shared::to_mut) else { return };
    if let Answer::List(list) = &mut ended.answer {
        list.push(segment);
        ended.partial = true;
    }
}

/// Folds a failed item; it is off the books already.
pub(in crate::run) fn lost(turn: &mut Turn<'_>, id: &StepId, lost: Lost) {
    failed(state(turn, id), lost.item, lost.error, lost.attempts);
}
