//! Core subscriptions: who hears a message that is sent now.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::subjects::matches;
use crate::Message;

/// How many messages wait for a listener that reads slowly; more are dropped, as the broker's client does.
const BACKLOG: usize = 65_536;

#[derive(Debug)]
struct Subscription {
    link: u64,
    pattern: String,
    group: Option<String>,
    sender: mpsc::Sender<Message>,
}

/// All subscriptions, by number in the order they came.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    all: BTreeMap<u64, Subscription>,
    opened: u64,
    /// Whose turn it is in each group.
    turns: BTreeMap<(String, String), usize>,
}

impl Listeners {
    pub(super) fn open(&mut self, link: u64, pattern: &str, group: Option<String>) -> (u64, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        self.opened += 1;
        self.all.insert(self.opened, Subscription { link, pattern: pattern.to_owned(), group, sender });
        (self.opened, receiver)
    }

    pub(super) fn close(&mut self, id: u64) {
        self.all.remove(&id);
    }

    pub(super) fn close_all(&mut self, link: u64) {
        self.all.retain(|_, subscription| subscription.link != link);
    }

    /// Hands a message to everyone who listens on a connection that is up; says whether there was anyone.
    pub(super) fn send(&mut self, message: &Message, is_up: impl Fn(u64) -> bool) -> bool {
        let mut groups: BTreeMap<(&str, &str), Vec<&Subscription>> = BTreeMap::new();
        let mut heard = false;
        for subscription in self.all.values() {
            if !matches(&subscription.pattern, &message.subject) || !is_up(subscription.link) {
                continue;
            }
            heard = true;
            match &subscription.group {
                Some(group) => groups.entry((&subscription.pattern, group)).or_default().push(subscription),
                None => hand(subscription, message),
            }
        }
        for ((pattern, group), members) in groups {
            let turn = self.turns.entry((pattern.to_owned(), group.to_owned())).or_default();
            *turn = (*turn + 1) % members.len();
            hand(members[*turn], message);
        }
        heard
    }
}

fn hand(subscription: &Subscription, message: &Message) {
    // A full backlog is a slow listener's own loss, and a closed one is about to be removed.
    let _ = subscription.sender.try_send(message.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_reaches_one_of_a_group_and_all_outside_it() {
        let mut listeners = Listeners::default();
        let (_, mut alone) = listeners.open(1, "a.*", None);
        let mut group: Vec<_> = (0..3).map(|_| listeners.open(1, "a.b", Some("g".into())).1).collect();
        for _ in 0..6 {
            assert!(listeners.send(&Message::new("a.b", ""), |_| true));
        }
        assert_eq!(alone.len(), 6);
        assert_eq!(group.iter().map(mpsc::Receiver::len).collect::<Vec<_>>(), [2, 2, 2]);
        assert!(!listeners.send(&Message::new("a.b", ""), |_| false));
        group.clear();
        alone.close();
    }
}
