//! Everything the broker knows: data in, decisions out; no waiting and no clock of its own.

use std::collections::{BTreeMap, VecDeque};

use super::clock::Moment;
use super::consumer::Consumer;
use super::listeners::Listeners;
use super::log::headers_size;
use super::pulls::{End, Pulls, Waiting};
use super::stream::Stream;
use super::stream_spec::check_overlap;
use super::subjects::matches;
use super::token;
use crate::{
    AckToken, BrokerError, ConsumerSpec, Delivery, Message, PublishError, PullRequest, Receipt, Settle, StreamSpec,
};

/// The largest message taken, headers and body together, in bytes: the broker's default.
pub(super) const MAX_PAYLOAD: usize = 1024 * 1024;

/// The state.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) streams: BTreeMap<String, Stream>,
    pub(super) pulls: Pulls,
    pub(super) listeners: Listeners,
}

impl State {
    /// Lets everything happen in one stream that is due by `now`.
    pub(super) fn advance(&mut self, stream: &str, now: Moment) {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.advance(now, &mut self.pulls);
        }
    }

    /// The stream, brought up to `now`.
    pub(super) fn stream(&mut self, name: &str, now: Moment) -> Result<&mut Stream, BrokerError> {
        self.advance(name, now);
        self.streams.get_mut(name).ok_or_else(|| missing(format!("stream {name}")))
    }

    /// The consumer, brought up to `now`.
    pub(super) fn consumer(&mut self, stream: &str, name: &str, now: Moment) -> Result<&mut Consumer, BrokerError> {
        let found = self.stream(stream, now)?.consumers.get_mut(name);
        found.ok_or_else(|| missing(format!("consumer {name} of {stream}")))
    }

    /// The stream that owns a subject.
    pub(super) fn owner(&self, subject: &str) -> Option<&str> {
        let owns = |stream: &&Stream| stream.spec().subjects.iter().any(|pattern| matches(pattern, subject));
        self.streams.values().find(owns).map(|stream| stream.spec().name.as_str())
    }

    /// Stores a message in the stream that owns its subject.
    pub(super) fn publish(&mut self, message: &Message, now: Moment) -> Result<Receipt, PublishError> {
        let subject = &message.subject;
        let name = self.owner(subject).ok_or_else(|| PublishError::NoStream { subject: subject.clone() })?.to_owned();
        self.advance(&name, now);
        let stream = self.streams.get_mut(&name).expect("the owner was found a moment ago");
        let (sequence, is_duplicate) = stream.publish(message, now).map_err(|refusal| refusal.of_publish(subject))?;
        stream.advance(now, &mut self.pulls);
        Ok(Receipt { stream: name, sequence, is_duplicate })
    }

    pub(super) fn put_stream(&mut self, spec: StreamSpec, now: Moment) -> Result<(), BrokerError> {
        let name = spec.name.clone();
        let no = |refusal: super::refusal::Refusal| refusal.of_request(format!("stream {name}"));
        let others = self.streams.values().map(Stream::spec).filter(|other| other.name != name);
        check_overlap(&spec, others).map_err(no)?;
        match self.streams.get_mut(&name) {
            Some(stream) => stream.change(spec).map_err(no)?,
            None => {
                self.streams.insert(name.clone(), Stream::new(spec, now).map_err(no)?);
            }
        }
        self.advance(&name, now);
        Ok(())
    }

    pub(super) fn delete_stream(&mut self, name: &str) -> Result<(), BrokerError> {
        let mut stream = self.streams.remove(name).ok_or_else(|| missing(format!("stream {name}")))?;
        stream.consumers.values_mut().for_each(|consumer| consumer.close(&mut self.pulls));
        Ok(())
    }

    pub(super) fn put_consumer(&mut self, spec: ConsumerSpec, now: Moment) -> Result<(), BrokerError> {
        let stream = self.stream(&spec.stream, now)?;
        let (name, of) = (spec.name.clone(), spec.stream.clone());
        match stream.consumers.remove(&name) {
            Some(mut consumer) => {
                let changed = consumer.change(spec, stream.log());
                stream.consumers.insert(name.clone(), consumer);
                changed.map_err(|refusal| refusal.of_request(format!("consumer {name} of {of}")))?;
            }
            None => {
                let consumer = Consumer::new(spec, stream.log());
                stream.consumers.insert(name, consumer);
            }
        }
        self.advance(&of, now);
        Ok(())
    }

    pub(super) fn delete_consumer(&mut self, stream: &str, name: &str) -> Result<(), BrokerError> {
        let found = self.streams.get_mut(stream).and_then(|stream| stream.consumers.remove(name));
        let mut consumer = found.ok_or_else(|| missing(format!("consumer {name} of {stream}")))?;
        consumer.close(&mut self.pulls);
        Ok(())
    }

    /// Opens a pull on a connection.
    pub(super) fn open_pull(&mut self, request: &PullRequest, link: u64, now: Moment) -> Result<u64, BrokerError> {
        self.consumer(&request.stream, &request.consumer, now)?;
        let expires = now + request.wait.unwrap_or_default();
        let left = request.batch.max(1);
        let id = self.pulls.open(Waiting { link, left, expires, ready: VecDeque::new(), end: None });
        let consumer = self.consumer(&request.stream, &request.consumer, now)?;
        if let Err(refusal) = consumer.admit(id) {
            self.pulls.end(id, End::Refused(refusal));
            return Ok(id);
        }
        // A pull for what is there now is over at once, but not before it was given that.
        self.streams.get_mut(&request.stream).into_iter().for_each(|stream| stream.dispatch(now, &mut self.pulls));
        self.advance(&request.stream, now);
        Ok(id)
    }

    /// Ends a pull nobody reads any more: what it had been given comes again at once.
    pub(super) fn drop_pull(&mut self, request: &PullRequest, id: u64, now: Moment) {
        let Some(pull) = self.pulls.remove(id) else { return };
        if let Ok(consumer) = self.consumer(&request.stream, &request.consumer, now) {
            consumer.dismiss(id);
            for delivery in pull.ready {
                consumer.settle(delivery.sequence, Settle::Nak { delay: std::time::Duration::ZERO }, now);
            }
        }
        self.advance(&request.stream, now);
    }

    /// What a pull has next: a delivery, its end, or nothing yet.
    pub(super) fn read_pull(&mut self, stream: &str, id: u64, now: Moment) -> Next {
        self.advance(stream, now);
        let wake = self.streams.get(stream).and_then(|stream| stream.next_due(&self.pulls));
        let Some(pull) = self.pulls.get_mut(id) else { return Next::End(End::Gone) };
        match (pull.ready.pop_front(), &pull.end) {
            (Some(delivery), _) => Next::Delivery(Box::new(delivery)),
            (None, Some(end)) => Next::End(end.clone()),
            (None, None) => Next::Wait(wake),
        }
    }

    /// Settles the delivery a token names; says in which stream. A token of something gone is no error.
    pub(super) fn settle(&mut self, token: &AckToken, settle: Settle, now: Moment) -> Option<String> {
        let place = token::read(token)?;
        self.consumer(place.stream, place.consumer, now).ok()?.settle(place.sequence, settle, now);
        self.advance(place.stream, now);
        Some(place.stream.to_owned())
    }

    /// Lets every consumer go back to an older state of itself.
    pub(super) fn forget(&mut self, acks: usize, now: Moment) {
        for stream in self.streams.values_mut() {
            stream.advance(now, &mut self.pulls);
            stream.forget(acks);
        }
    }
}

/// What a pull has next.
#[derive(Debug)]
pub(super) enum Next {
    /// A message under lease.
    Delivery(Box<Delivery>),
    /// Nothing more will come.
    End(End),
    /// Nothing yet; look again at this moment, or when the stream has changed.
    Wait(Option<Moment>),
}

/// Whether a message is larger than the broker takes.
pub(super) fn is_too_large(message: &Message) -> bool {
    message.body.len() + headers_size(&message.headers) > MAX_PAYLOAD
}

pub(super) fn missing(what: String) -> BrokerError {
    BrokerError::NotFound { what }
}
