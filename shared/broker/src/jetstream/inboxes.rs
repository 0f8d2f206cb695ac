//! Inboxes for pulls: a delivery arrives under its own stream subject, so only its subscription tells whose it is.
//!
//! A subscription is kept and used again by the next pull; one whose pull was given up is ended, and with it the pull:
//! the server drops requests that nobody listens to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::{Client, SubscribeError, Subscriber};

/// How many idle inboxes are kept: more pulls than these at once are rare, and a subscription is cheap to make.
const KEPT: usize = 64;

/// The inboxes of one connection; cheap to clone.
#[derive(Clone)]
pub(super) struct Inboxes(Arc<Shared>);

struct Shared {
    prefix: String,
    made: AtomicU64,
    idle: Mutex<Vec<Inbox>>,
}

/// One inbox.
pub(super) struct Inbox {
    pub(super) subject: String,
    pub(super) messages: Subscriber,
}

impl Inboxes {
    pub(super) fn new(prefix: String) -> Self {
        Self(Arc::new(Shared { prefix, made: AtomicU64::new(0), idle: Mutex::default() }))
    }

    /// Takes an idle inbox or makes one.
    pub(super) async fn take(&self, client: &Client) -> Result<Inbox, SubscribeError> {
        let idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(inbox) = idle {
            return Ok(inbox);
        }
        let subject = format!("{}.{}", self.0.prefix, self.0.made.fetch_add(1, Ordering::Relaxed));
        let messages = client.subscribe(subject.clone()).await?;
        Ok(Inbox { subject, messages })
    }

    /// Keeps an inbox whose pull has ended for the next one.
    pub(super) fn keep(&self, inbox: Inbox) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(inbox);
        }
    }
}
