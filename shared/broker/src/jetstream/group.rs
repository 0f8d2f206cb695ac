//! Group commit: publishes to one stream that are ready at the same time go as one atomic batch, which is synced once.
//!
//! A stream that syncs each message takes 4,000 of them a second, in batches of a hundred 28,000. Whether a stream takes
//! batches is learnt by trying: one that does not says so once. While a batch is on its way the next one gathers, so a
//! batch is as large as its stream is slow. One of which a member is refused is taken apart until that member stands alone:
//! it neither fails nor holds up its neighbours.

use std::collections::HashMap;

use async_nats::{HeaderName, HeaderValue, Message};
use bytes::Bytes;
use nova_wire::subject;
use serde::Deserialize;

use super::outbox::Outgoing;
use super::publish::{ApiError, WRONG_LAST_SEQUENCE};

/// Fewer than these go one by one: a batch costs the broker a file of its own.
const LEAST: usize = 8;
/// The most in a batch; the broker takes 1,000, but no more publishes than these are under way at once.
const MOST: usize = 256;
/// The most bytes in a batch: the broker holds them in memory until it is whole.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The broker's code for a stream that takes no batches.
const NO_BATCHES: u64 = 10174;
/// Its code for a batch with a dedupe key that it has seen.
const DUPLICATE: u64 = 10201;

const BATCH_ID: HeaderName = HeaderName::from_static("Nats-Batch-Id");
const BATCH_SEQUENCE: HeaderName = HeaderName::from_static("Nats-Batch-Sequence");
const BATCH_COMMIT: HeaderName = HeaderName::from_static("Nats-Batch-Commit");

/// The groups of one connection.
pub(super) struct Groups {
    name: String,
    made: u64,
    groups: HashMap<String, Group>,
}

/// What goes to one stream.
#[derive(Default)]
struct Group {
    /// Whether the stream takes batches; not known before the first.
    takes_batches: Option<bool>,
    waiting: Vec<Outgoing>,
    /// Parts of a batch that was refused.
    parts: Vec<Vec<Outgoing>>,
    under_way: usize,
}

/// What is to be sent now.
pub(super) enum Step {
    /// Each by itself, for its own answer.
    Singly(Vec<Outgoing>),
    /// As one, for one answer.
    Together(Batch),
}

/// Messages that stand or fall together.
pub(super) struct Batch {
    key: String,
    members: Vec<Outgoing>,
    id: String,
}

/// A receipt for a member of a batch, to be handed out: its reply subject and its body.
pub(super) type MemberReceipt = (async_nats::Subject, Bytes);

#[derive(Deserialize)]
struct Receipt {
    #[serde(default)]
    stream: String,
    #[serde(default)]
    seq: u64,
    error: Option<ApiError>,
}

impl Groups {
    /// None yet; `name` tells the batches of this connection from all others.
    pub(super) fn new(name: String) -> Self {
        Self { name, made: 0, groups: HashMap::new() }
    }

    /// Takes a publish in; gives back what is no group's.
    pub(super) fn take_in(&mut self, outgoing: Outgoing) -> Option<Outgoing> {
        let key = outgoing.reply.as_ref().and_then(|_| subject::commit_group(&outgoing.subject));
        let Some(key) = key.filter(|_| !outgoing.is_of_now) else { return Some(outgoing) };
        if !self.groups.contains_key(key) {
            self.groups.insert(key.to_owned(), Group::default());
        }
        let group = self.groups.get_mut(key).expect("it was just made");
        if group.takes_batches == Some(false) {
            return Some(outgoing);
        }
        group.waiting.push(outgoing);
        None
    }

    /// What is to be sent of what was taken in.
    pub(super) fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (key, group) in &mut self.groups {
            for part in std::mem::take(&mut group.parts) {
                steps.push(group.step(key, part, &self.name, &mut self.made));
            }
            while group.under_way == 0 && !group.waiting.is_empty() {
                let most = group.fitting();
                let rest = group.waiting.split_off(most);
                let members = std::mem::replace(&mut group.waiting, rest);
                steps.push(group.step(key, members, &self.name, &mut self.made));
            }
        }
        steps
    }

    /// Learns what became of a batch, and tells its members when it stands. Without an answer their own waits end by
    /// themselves.
    pub(super) fn settle(&mut self, batch: Batch, answer: Option<&Message>) -> Vec<MemberReceipt> {
        let Some(group) = self.groups.get_mut(&batch.key) else { return Vec::new() };
        group.under_way -= 1;
        let Some(answer) = answer else { return Vec::new() };
        match serde_json::from_slice::<Receipt>(&answer.payload) {
            Ok(Receipt { error: None, stream, seq }) => {
                group.takes_batches = Some(true);
                let first = (seq + 1).saturating_sub(batch.members.len() as u64);
                let receipts = batch.members.into_iter().zip(first..).filter_map(|(member, sequence)| {
                    let body = format!("{{\"stream\":\"{stream}\",\"seq\":{sequence}}}");
                    Some((member.reply?, body.into()))
                });
                return receipts.collect();
            }
            Ok(Receipt { error: Some(error), .. }) => {
                if error.err_code == NO_BATCHES {
                    group.takes_batches = Some(false);
                }
                let is_a_members = WRONG_LAST_SEQUENCE.contains(&error.err_code) || error.err_code == DUPLICATE;
                if is_a_members {
                    let mut members = batch.members;
                    let other = members.split_off(members.len() / 2);
                    group.parts.extend([members, other]);
                } else {
                    group.parts.extend(batch.members.chunks(LEAST - 1).map(<[Outgoing]>::to_vec));
                }
            }
            // Nobody owns the subject: each is to be told.
            Err(_) => group.parts.extend(batch.members.chunks(LEAST - 1).map(<[Outgoing]>::to_vec)),
        }
        Vec::new()
    }
}

impl Group {
    /// How many of those that wait make up the next batch.
    fn fitting(&self) -> usize {
        let mut bytes = 0;
        let fits = self.waiting.iter().take(MOST).take_while(|outgoing| {
            bytes += outgoing.body.len();
            bytes <= MOST_BYTES
        });
        fits.count().max(1)
    }

    fn step(&mut self, key: &str, members: Vec<Outgoing>, name: &str, made: &mut u64) -> Step {
        if members.len() < LEAST || self.takes_batches == Some(false) {
            return Step::Singly(members);
        }
        self.under_way += 1;
        *made += 1;
        Step::Together(Batch { key: key.to_owned(), members, id: format!("{name}-{made}") })
    }
}

impl Batch {
    /// Its messages, the last of which commits it and is answered.
    pub(super) fn messages(&self, reply: &async_nats::Subject) -> Vec<Outgoing> {
        let last = self.members.len();
        let id = HeaderValue::from(self.id.as_str());
        let numbered = self.members.iter().zip(1..).map(|(member, number): (_, usize)| {
            let mut outgoing = Outgoing { reply: None, ..member.clone() };
            let headers = outgoing.headers.get_or_insert_default();
            headers.insert(BATCH_ID, id.clone());
            headers.insert(BATCH_SEQUENCE, HeaderValue::from(number));
            if number == last {
                headers.insert(BATCH_COMMIT, "1");
                outgoing.reply = Some(reply.clone());
            }
            outgoing
        });
        numbered.collect()
    }
}
