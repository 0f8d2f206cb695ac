//! The stream of one pull: reads it from the state, sleeps until something is due, hands back what nobody read.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;

use super::clock::Moment;
use super::pulls::End;
use super::state::{Next, missing};
use super::{MemoryBroker, Shared};
use crate::{BrokerError, Pull, PullItem, PullRequest};

/// The longest silence of a pull that waits; the same as over a real connection.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
/// A pull whose silences would be shorter than this has no heartbeats.
const SHORTEST_SILENCE: Duration = Duration::from_millis(500);

/// Owns one pull in the state.
struct Reader {
    shared: Arc<Shared>,
    request: PullRequest,
    id: u64,
    /// How long it may be silent, and until when it is.
    silence: Option<Duration>,
    beat: Option<Moment>,
    is_over: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.change(&self.request.stream, |state, now| state.drop_pull(&self.request, self.id, now));
    }
}

/// Opens a pull.
pub(super) fn open(broker: &MemoryBroker, request: PullRequest) -> Result<Pull, BrokerError> {
    let shared = Arc::clone(&broker.shared);
    let id = shared.change(&request.stream, |state, now| state.open_pull(&request, broker.link.id, now))?;
    let silence = request.wait.map(|wait| LONGEST_SILENCE.min(wait / 3)).filter(|silence| *silence >= SHORTEST_SILENCE);
    let beat = silence.map(|silence| shared.clock.now() + silence);
    let reader = Reader { shared, request, id, silence, beat, is_over: false };
    Ok(futures_util::stream::unfold(reader, step).boxed())
}

async fn step(mut reader: Reader) -> Option<(Result<PullItem, BrokerError>, Reader)> {
    if reader.is_over {
        return None;
    }
    let changed = reader.shared.changed(&reader.request.stream);
    loop {
        let mut notified = pin!(changed.notified());
        // Registered before looking, or a change in between would be missed.
        notified.as_mut().enable();
        let (next, now) =
            reader.shared.look(|state, now| (state.read_pull(&reader.request.stream, reader.id, now), now));
        let wake = match next {
            Next::Delivery(delivery) => {
                reader.beat = reader.silence.map(|silence| now + silence);
                return Some((Ok(PullItem::Delivery(delivery)), reader));
            }
            Next::End(end) => {
                reader.is_over = true;
                return failure(&reader.request, end).map(|error| (Err(error), reader));
            }
            Next::Wait(wake) => wake,
        };
        if reader.beat.is_some_and(|beat| beat <= now) {
            reader.beat = reader.silence.map(|silence| now + silence);
            return Some((Ok(PullItem::Heartbeat), reader));
        }
        // Its own end is always due some time, so there is always something to wake for.
        let wake = [wake, reader.beat].into_iter().flatten().min().unwrap_or(now);
        tokio::select! {
            biased;
            () = notified => {}
            () = tokio::time::sleep_until(reader.shared.clock.instant(wake)) => {}
        }
    }
}

/// The error a pull ends with, if it does with one.
fn failure(request: &PullRequest, end: End) -> Option<BrokerError> {
    let what = format!("consumer {} of {}", request.consumer, request.stream);
    match end {
        End::Whole => None,
        End::Refused(refusal) => Some(refusal.of_request(format!("pull from {what}"))),
        End::Gone => Some(missing(what)),
        End::Lost => Some(BrokerError::Disconnected { what: format!("messages of {what}") }),
    }
}
