//! Pulling from consumers, and settling deliveries.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use nova_types::UnixMillis;
use serde_json::json;

use super::inboxes::Inbox;
use super::outbox::Outgoing;
use super::{ANSWER, JetStream, Link, convert};
use crate::{AckToken, BrokerError, Delivery, Pull, PullItem, PullRequest, Settle};

/// How often the broker tells that it still holds a waiting pull. Two missed beats end the pull.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A pull for what is there now is answered at once; longer silence means the connection or the consumer is gone.
const AT_ONCE: Duration = Duration::from_secs(5);
/// How long a given-up pull's inbox is still listened to, so that what is on its way goes back at once; the owners of
/// keyed partitions wait for its end.
const LAST_ARRIVALS: Duration = Duration::from_millis(250);

/// The longest pause the broker can count, about 292 years.
const LONGEST_NANOS: u128 = i64::MAX as u128;

/// The body of an ack of that kind.
pub(super) fn settle_body(settle: Settle) -> Bytes {
    match settle {
        Settle::Ack => Bytes::from_static(b"+ACK"),
        Settle::Nak { delay: Duration::ZERO } => Bytes::from_static(b"-NAK"),
        // A number the broker cannot read would bring the message back at once.
        Settle::Nak { delay } => format!("-NAK {{\"delay\": {}}}", delay.as_nanos().min(LONGEST_NANOS)).into(),
        Settle::Extend => Bytes::from_static(b"+WPI"),
    }
}

/// A pull under way.
struct Pulling {
    jetstream: JetStream,
    /// `None` once the pull has ended and its inbox serves another.
    inbox: Option<Inbox>,
    what: String,
    /// Of what its ack subjects tell: `.<stream>.<consumer>.`
    place: String,
    wanted: usize,
    silence: Duration,
    link: Link,
}

impl JetStream {
    pub(super) async fn start_pull(&self, request: PullRequest) -> Result<Pull, BrokerError> {
        let what = format!("a pull from {}/{}", request.stream, request.consumer);
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let mut ask = json!({ "batch": request.batch });
        let silence = match request.wait {
            None => {
                ask["no_wait"] = true.into();
                AT_ONCE
            }
            Some(wait) => {
                ask["expires"] = nanos(wait).into();
                // The broker refuses a heartbeat longer than half the wait.
                let beat = HEARTBEAT.min(wait / 3);
                if beat >= Duration::from_millis(500) {
                    ask["idle_heartbeat"] = nanos(beat).into();
                    beat * 2 + Duration::from_secs(1)
                } else {
                    wait + AT_ONCE
                }
            }
        };
        let gone = || BrokerError::Disconnected { what: what.clone() };
        let link = self.link(ANSWER).await.ok_or_else(gone)?;
        let inbox = self.inboxes.take(&self.client).await.map_err(|_| gone())?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", request.stream, request.consumer);
        let asked = Outgoing::new(subject, ask.to_string()).with_reply(inbox.subject.as_str());
        self.outbox.send(asked).await.map_err(|_| gone())?;
        let place = format!(".{}.{}.", request.stream, request.consumer);
        let inbox = Some(inbox);
        let pulling = Pulling { jetstream: self.clone(), inbox, what, place, wanted: request.batch, silence, link };
        let items = futures_util::stream::unfold(pulling, |mut pulling| async move {
            let item = pulling.next().await?;
            Some((item, pulling))
        });
        Ok(items.boxed())
    }
}

impl Pulling {
    async fn next(&mut self) -> Option<Result<PullItem, BrokerError>> {
        if self.wanted == 0 {
            return self.finish(None);
        }
        let messages = &mut self.inbox.as_mut()?.messages;
        let answer = tokio::select! {
            biased;
            answer = tokio::time::timeout(self.silence, messages.next()) => answer,
            // The broker forgets the pulls of a lost connection.
            () = self.link.lost() => {
                let given_up = self.inbox.take();
                self.hand_back(given_up);
                return Some(Err(BrokerError::Disconnected { what: self.what.clone() }));
            }
        };
        let Ok(answer) = answer else {
            // Nobody knows what the broker still holds: the inbox is given up, and the pull with it.
            let given_up = self.inbox.take();
            self.hand_back(given_up);
            let after_ms = super::millis(self.silence);
            return Some(Err(BrokerError::Timeout { what: self.what.clone(), after_ms }));
        };
        let message = answer?;
        let Some(status) = message.status else {
            if message.reply.as_deref().is_some_and(|reply| !is_from(reply, &self.place)) {
                // Meant for an earlier pull of this inbox, from another consumer: two servers that both took themselves for its
                // leader may bring more than was asked for. Whoever took it would do another skill's task.
                send_back(&self.jetstream.client, message).await;
                return Some(Ok(PullItem::Heartbeat));
            }
            self.wanted -= 1;
            return Some(match delivery(message) {
                Some(delivery) => Ok(PullItem::Delivery(Box::new(delivery))),
                None => Err(self.refused(0, "a delivery without a readable ack subject")),
            });
        };
        match status.as_u16() {
            100 => Some(Ok(PullItem::Heartbeat)),
            // No message now, or the wait is over: the pull ends as it should.
            404 | 408 => self.finish(None),
            409 if is_batch_end(message.description.as_deref()) => self.finish(None),
            // The former leader's last words; what it sent before may be behind them, on another way.
            409 if is_leader_gone(message.description.as_deref()) => {
                let given_up = self.inbox.take();
                self.hand_back(given_up);
                None
            }
            503 => self.finish(Some(BrokerError::NotFound { what: self.what.clone() })),
            code => {
                let description = message.description.unwrap_or_default();
                let error = self.refused(u64::from(code), &description);
                self.finish(Some(error))
            }
        }
    }

    fn finish(&mut self, error: Option<BrokerError>) -> Option<Result<PullItem, BrokerError>> {
        if let Some(inbox) = self.inbox.take() {
            self.jetstream.inboxes.keep(inbox);
        }
        error.map(Err)
    }

    /// Deliveries that came and were not taken go back at once; they would else wait for their lease to end.
    fn hand_back(&self, inbox: Option<Inbox>) {
        let (Some(mut inbox), Ok(runtime)) = (inbox, tokio::runtime::Handle::try_current()) else { return };
        let client = self.jetstream.client.clone();
        runtime.spawn(async move {
            // For a time and no longer: what goes back may come again to the very request that is given up.
            let end = tokio::time::Instant::now() + LAST_ARRIVALS;
            while let Ok(Some(stray)) = tokio::time::timeout_at(end, inbox.messages.next()).await {
                send_back(&client, stray).await;
            }
        });
    }

    fn refused(&self, code: u64, description: &str) -> BrokerError {
        BrokerError::Refused { what: self.what.clone(), code, description: description.to_owned() }
    }
}

/// Whether a 409 only says that the pull has run its course.
fn is_batch_end(description: Option<&str>) -> bool {
    description.is_some_and(|text| {
        let text = text.to_ascii_lowercase();
        text.contains("batch completed")
    })
}

fn is_leader_gone(description: Option<&str>) -> bool {
    description.is_some_and(|text| {
        let text = text.to_ascii_lowercase();
        text.contains("leadership change") || text.contains("server shutdown")
    })
}

/// Whether an ack subject is of a consumer, given as `.<stream>.<consumer>.`; in both forms, see [`Place::parse`].
fn is_from(ack: &str, place: &str) -> bool {
    let Some(rest) = ack.strip_prefix("$JS.ACK") else { return false };
    if rest.starts_with(place) {
        return true;
    }
    // Behind domain and account.
    let third = rest.match_indices('.').nth(2);
    third.is_some_and(|(at, _)| rest[at..].starts_with(place))
}

/// Gives a delivery back that nobody here asked for; it would else wait for its lease to end.
async fn send_back(client: &async_nats::Client, stray: async_nats::Message) {
    if let Some(reply) = stray.reply.filter(|reply| reply.starts_with("$JS.ACK.")) {
        let _ = client.publish(reply, settle_body(Settle::Nak { delay: Duration::ZERO })).await;
    }
}

impl Drop for Pulling {
    fn drop(&mut self) {
        let given_up = self.inbox.take();
        if self.wanted == 0 {
            let _ = given_up.map(|inbox| self.jetstream.inboxes.keep(inbox));
        } else {
            self.hand_back(given_up);
        }
    }
}

fn delivery(message: async_nats::Message) -> Option<Delivery> {
    let reply = message.reply?;
    let place = Place::parse(&reply)?;
    Some(Delivery {
        subject: message.subject.to_string(),
        sequence: place.sequence,
        deliveries: place.deliveries,
        order: place.order,
        pending: place.pending,
        at: place.at,
        headers: convert::from_nats(message.headers.as_ref()),
        body: message.payload,
        token: AckToken(reply),
    })
}

/// What an ack subject tells of its delivery.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    deliveries: u64,
    sequence: u64,
    order: u64,
    at: UnixMillis,
    pending: u64,
}

impl Place {
    /// Reads both forms: `$JS.ACK.<stream>.<consumer>.<n>...` and `$JS.ACK.<domain>.<account>.<stream>.<consumer>.<n>...`.
    fn parse(subject: &str) -> Option<Self> {
        let start = match subject.bytes().filter(|byte| *byte == b'.').count() {
            8 => 4,
            10.. => 6,
            _ => return None,
        };
        let mut numbers = subject.split('.').skip(start).map(|token| token.parse::<u64>().ok());
        let [deliveries, sequence, order, at, pending] = std::array::from_fn(|_| numbers.next().flatten());
        let at = UnixMillis(i64::try_from(at? / 1_000_000).ok()?);
        Some(Self { deliveries: deliveries?, sequence: sequence?, order: order?, at, pending: pending? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_ack_subject_are_read() {
        let place = Place { deliveries: 2, sequence: 7, order: 9, at: UnixMillis(1_795_370_000_123), pending: 5 };
        assert_eq!(Place::parse("$JS.ACK.S.c.2.7.9.1795370000123456789.5").as_ref(), Some(&place));
        assert_eq!(Place::parse("$JS.ACK.dom.hash.S.c.2.7.9.1795370000123456789.5").as_ref(), Some(&place));
        assert_eq!(Place::parse("$JS.ACK.dom.hash.S.c.2.7.9.1795370000123456789.5.tok").as_ref(), Some(&place));
        assert_eq!(Place::parse("$JS.ACK.S.c.x.7.9.1.5"), None);
        assert_eq!(Place::parse("other"), None);
    }

    #[test]
    fn a_delivery_of_another_consumer_is_known_by_its_ack_subject() {
        let check = |ack, expect| assert_eq!(is_from(ack, ".S.c."), expect, "{ack}");
        check("$JS.ACK.S.c.2.7.9.1795370000123456789.5", true);
        check("$JS.ACK.dom.hash.S.c.2.7.9.1795370000123456789.5.tok", true);
        check("$JS.ACK.S.cc.2.7.9.1795370000123456789.5", false);
        check("$JS.ACK.T.c.2.7.9.1795370000123456789.5", false);
        check("$JS.ACK.dom.hash.S.d.2.7.9.1795370000123456789.5.tok", false);
        check("$JS.ACK", false);
        check("other.S.c.1", false);
    }

    #[test]
    fn a_pause_is_told_in_nanoseconds() {
        assert_eq!(&settle_body(Settle::Nak { delay: Duration::from_millis(5) })[..], b"-NAK {\"delay\": 5000000}");
        let endless = settle_body(Settle::Nak { delay: Duration::MAX });
        assert_eq!(&endless[..], format!("-NAK {{\"delay\": {}}}", i64::MAX).as_bytes());
    }
}
