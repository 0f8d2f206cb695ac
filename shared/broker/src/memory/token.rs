//! Ack tokens in the broker's own form, so that logs of both adapters read alike.

use nova_types::UnixMillis;

use crate::AckToken;

/// What a token names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) stream: &'a str,
    pub(super) consumer: &'a str,
    pub(super) sequence: u64,
}

/// What a token says beside that; nothing is decided by it.
pub(super) struct Counts {
    pub(super) deliveries: u64,
    pub(super) order: u64,
    pub(super) pending: u64,
}

pub(super) fn write(place: &Place<'_>, counts: &Counts, at: UnixMillis) -> AckToken {
    let Place { stream, consumer, sequence } = place;
    let Counts { deliveries, order, pending } = counts;
    AckToken::new(format!("$JS.ACK.{stream}.{consumer}.{deliveries}.{sequence}.{order}.{}000000.{pending}", at.0))
}

pub(super) fn read(token: &AckToken) -> Option<Place<'_>> {
    let mut parts = token.0.strip_prefix("$JS.ACK.")?.split('.');
    let (stream, consumer) = (parts.next()?, parts.next()?);
    let sequence = parts.nth(1)?.parse().ok()?;
    Some(Place { stream, consumer, sequence })
}
