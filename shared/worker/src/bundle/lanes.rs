//! Watches over the lanes of a bundle: opens them as slots are free, stops them, and gives up what does not stop.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use super::NotSaved;
use super::board::Stop;
use super::work::Work;
use crate::blocking::join_text;
use crate::judge::Ended;
use crate::lease::Lease;
use crate::retry::NotKept;
use crate::slots::Slot;

/// When it is first looked whether more lanes would help. A bundle that is done by then is faster in one.
const FIRST_LOOK: Duration = Duration::from_millis(1);
/// The longest pause between two looks: how long a slot that came free may stay so.
const LONGEST_LOOK: Duration = Duration::from_millis(100);
/// How much longer than its grace an item may take before its lane is given up: it does not even come to an await.
const MARGIN: Duration = Duration::from_secs(1);

/// One lane, with the slot it has beside that of the task.
struct Lane {
    handle: JoinHandle<()>,
    slot: Option<Slot>,
}

/// Runs the items of a bundle; gives back the slot of the task unless an item keeps it.
pub(super) async fn run(work: &Arc<Work>, slot: Slot, lease: &Lease) -> Option<Slot> {
    let station = Arc::clone(&work.station);
    let listening = station.cancels.listen(&work.about.task);
    let mut main = Some(slot);
    let mut lanes = BTreeMap::from([(0, open(work, 0, None))]);
    let mut opened = 1;
    let mut pause = FIRST_LOOK;
    let mut look = Instant::now() + pause;
    let mut stopped_at = None;
    let mut saver = std::pin::pin!(save(work, station.policy.lease).fuse());
    let stop = |why: Stop, at: &mut Option<Instant>| {
        at.get_or_insert_with(Instant::now);
        work.stop(why);
    };
    while !lanes.is_empty() {
        tokio::select! {
            biased;
            (lane, ended) = first_ended(&mut lanes) => {
                close(work, &mut lanes, lane);
                if let Err(error) = ended {
                    give_up(work, lane, Ended::Panicked(join_text(error)));
                }
            }
            () = tokio::time::sleep_until(look) => {
                let stuck = stuck_lanes(work, &lanes, stopped_at);
                for (number, ended) in stuck {
                    let Some(lane) = lanes.remove(&number) else { continue };
                    lane.handle.abort();
                    give_up(work, number, ended);
                    if lane.slot.is_some() {
                        station.meters.running.add(-1.0);
                    }
                    if let Some(slot) = lane.slot.or_else(|| main.take()) {
                        station.clone().guard_stuck(lane.handle, None, slot);
                    }
                    // Whoever takes the rest later has its slots free.
                    stop(Stop::HandedBack, &mut stopped_at);
                }
                let waiting = if stopped_at.is_none() { work.board().waiting() } else { 0 };
                for slot in station.slots.take_free(waiting) {
                    lanes.insert(opened, open(work, opened, Some(slot)));
                    opened += 1;
                }
                pause = (pause * 2).min(LONGEST_LOOK);
                look = Instant::now() + pause;
            }
            () = &mut saver => stop(Stop::LeaseLost, &mut stopped_at),
            () = listening.heard(), if stopped_at.is_none() => stop(Stop::Cancelled, &mut stopped_at),
            () = lease.lost(), if stopped_at.is_none() => stop(Stop::LeaseLost, &mut stopped_at),
            () = station.hard.cancelled(), if stopped_at.is_none() => stop(Stop::HandedBack, &mut stopped_at),
        }
    }
    main
}

fn open(work: &Arc<Work>, number: usize, slot: Option<Slot>) -> Lane {
    if slot.is_some() {
        work.station.meters.running.add(1.0);
    }
    Lane { handle: work.station.floor.spawn(Arc::clone(work).lane(number)), slot }
}

fn close(work: &Work, lanes: &mut BTreeMap<usize, Lane>, number: usize) {
    if lanes.remove(&number).is_some_and(|lane| lane.slot.is_some()) {
        work.station.meters.running.add(-1.0);
    }
}

/// Ends the item of a lane that does not.
fn give_up(work: &Work, lane: usize, ended: Ended) {
    let running = work.board().give_up(lane);
    if let Some(running) = running {
        let fate = work.judged(running.item, ended);
        work.board().settle(running.item, fate);
    }
}

/// The lane that ends first.
///
/// # Cancel safety
/// Safe: a lane that has ended stays until it is closed.
async fn first_ended(lanes: &mut BTreeMap<usize, Lane>) -> (usize, Result<(), JoinError>) {
    std::future::poll_fn(|cx| {
        for (number, lane) in lanes.iter_mut() {
            if let Poll::Ready(ended) = Pin::new(&mut lane.handle).poll(cx) {
                return Poll::Ready((*number, ended));
            }
        }
        Poll::Pending
    })
    .await
}

/// Lanes whose item neither came to its end nor let itself be stopped, and how that item ended.
fn stuck_lanes(work: &Work, lanes: &BTreeMap<usize, Lane>, stopped_at: Option<Instant>) -> Vec<(usize, Ended)> {
    let now = Instant::now();
    let patience = work.station.cancel_grace + MARGIN;
    let board = work.board();
    let is_stuck = |number: &usize| {
        let running = board.running(*number)?;
        if stopped_at.is_some_and(|at| now >= at + patience) {
            return Some((*number, board.stop.map_or(Ended::HandedBack, Stop::ended)));
        }
        (now >= running.until + patience).then_some((*number, Ended::TimedOut))
    };
    lanes.keys().filter_map(is_stuck).collect()
}

/// Keeps what is settled, a lease apart: who takes over from a worker that is lost does again what took a lease at most.
/// Returns when another attempt has begun.
async fn save(work: &Work, every: Duration) {
    let mut saved = work.board().fates().len();
    loop {
        let slept = Instant::now();
        tokio::time::sleep(every).await;
        // A process that did not run for so long finds out first whether the task is still its own.
        if slept.elapsed() > every * 3 / 2 {
            continue;
        }
        let settled = work.board().fates().len();
        if settled == saved {
            continue;
        }
        saved = settled;
        match work.save().await {
            Ok(()) => {}
            Err(NotSaved::Kept(NotKept::Overtaken { .. })) => return,
            Err(error) => {
                tracing::warn!(task = %work.about.task, error = &error as &dyn std::error::Error, "what is settled of a bundle was not kept");
            }
        }
    }
}
