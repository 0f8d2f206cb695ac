//! From the ends of a bundle's items to what becomes of the bundle; pure.
//!
//! Every item keeps the attempts of its policy. They are not counted one by one: an item has failed as often as its bundle,
//! but for those the state calls spared.

use std::time::Duration;

use nova_types::{Code, OutcomeKind, codes};
use nova_wire::{ContentType, ErrorBody, ItemEnd, Payload, Settled, check_json, check_msgpack, limits};

use crate::judge::Fate;

/// How many failed items are told in the message of their bundle: enough to see what is wrong.
const TOLD: usize = 5;
/// The longest error of an item, in bytes: a message as long as they may be, escaped, and some details.
const ERROR_BYTES: usize = 16 * 1024;
/// How much the results of a bundle may take together, in bytes: its outcome is one object, and has room for an error of
/// each item besides.
pub(super) const RESULT_BYTES: usize = limits::BLOB_BYTES as usize - limits::BUNDLE_ITEMS as usize * ERROR_BYTES;

/// What became of an item in this attempt.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ItemFate {
    /// It has ended.
    Ended(ItemEnd),
    /// It failed, and is tried again after a pause.
    Again { after: Duration, error: ErrorBody },
    /// It comes again after a pause; nothing counts.
    Snoozed { pause: Duration },
    /// It was not run, or nobody knows how it ended.
    Left,
}

impl ItemFate {
    /// What a task of this fate would have come to, for an item.
    pub(super) fn of(fate: Fate, attempt: u32, content_type: ContentType) -> Self {
        let ended = |kind, body| Self::Ended(ItemEnd { kind, attempt, body });
        match fate {
            Fate::Complete(result) => ended(OutcomeKind::Completed, result),
            Fate::Dead(error) => ended(OutcomeKind::Dead, encode(content_type, &error)),
            Fate::Cancel(error) => ended(OutcomeKind::Cancelled, encode(content_type, &error)),
            Fate::Retry { after, error } => Self::Again { after, error },
            Fate::Snooze { pause } => Self::Snoozed { pause },
            Fate::HandBack | Fate::Drop => Self::Left,
        }
    }
}

/// The body of an item's error. Details that would nest too deep in the list, or take the room of the others, are left out:
/// they would make all of it unreadable.
pub(super) fn encode(content_type: ContentType, error: &ErrorBody) -> Payload {
    let body = Payload::encode(content_type, error).expect("an error body is plain data");
    if body.bytes.len() <= ERROR_BYTES && is_flat(&body) {
        return body;
    }
    let bare = ErrorBody { details: serde_json::Value::Null, ..error.clone() };
    Payload::encode(content_type, &bare).expect("an error body is plain data")
}

/// Whether a value can stand in the list of ends, which adds two levels of its own.
pub(super) fn is_flat(value: &Payload) -> bool {
    const DEPTH: usize = limits::DEPTH - 2;
    match value.content_type {
        _ if value.bytes.is_empty() => true,
        ContentType::Json => check_json(&value.bytes, DEPTH).is_ok(),
        ContentType::MsgPack => check_msgpack(&value.bytes, DEPTH).is_ok(),
    }
}

/// What becomes of a bundle whose items did not all end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// All of them did.
    Done,
    /// The attempt failed; what is left is tried again.
    Fail { after: Duration, error: ErrorBody },
    /// What is left comes again after a pause, and nothing counts.
    Snooze { pause: Duration },
    /// What is left goes back at once.
    HandBack,
}

/// The attempt that an item of a bundle's attempt has.
pub(super) fn attempt_of(settled: &Settled, item: u32, attempt: u32) -> u32 {
    attempt.saturating_sub(settled.spared.get(&item).copied().unwrap_or(0)).max(1)
}

/// Adds what became of items in an attempt to what was settled before, and says what is next.
///
/// The bundle waits as long as the most patient of its failed items asks; where none failed, as the least patient of the
/// snoozed ones, for being asked too early costs those nothing.
pub(super) fn fold(
    settled: &mut Settled,
    attempt: u32,
    max_attempts: u32,
    fates: impl IntoIterator<Item = (u32, ItemFate)>,
    of: usize,
) -> Next {
    let (mut failed, mut pauses, mut left): (Vec<(u32, ErrorBody)>, Vec<Duration>, Vec<u32>) = Default::default();
    let (mut after, mut is_left) = (Duration::ZERO, false);
    for (item, fate) in fates {
        match fate {
            ItemFate::Ended(end) => {
                settled.ended.insert(item, end);
                settled.spared.remove(&item);
                settled.checkpoints.remove(&item);
                continue;
            }
            ItemFate::Again { after: pause, error } => {
                after = after.max(pause);
                failed.push((item, error));
                continue;
            }
            ItemFate::Snoozed { pause } => pauses.push(pause),
            ItemFate::Left => is_left = true,
        }
        left.push(item);
    }
    if failed.is_empty() {
        return match pauses.into_iter().min() {
            _ if is_left => Next::HandBack,
            Some(pause) => Next::Snooze { pause },
            None => Next::Done,
        };
    }
    // Its last attempt is there to be failed once only. What has attempts left, having been spared, gets them in it.
    if attempt >= max_attempts {
        for (item, _) in &failed {
            let spared = settled.spared.entry(*item).or_default();
            *spared = spared.saturating_sub(1);
            if *spared == 0 {
                settled.spared.remove(item);
            }
        }
        return Next::Snooze { pause: after };
    }
    for item in left {
        *settled.spared.entry(item).or_default() += 1;
    }
    let error = summary(failed.iter().map(|(item, error)| (*item, error)), of);
    Next::Fail { after, error }
}

/// What failed items have to say together: their code where it is one, and the first of them.
pub(super) fn summary<'a>(failed: impl Iterator<Item = (u32, &'a ErrorBody)>, of: usize) -> ErrorBody {
    let (mut code, mut told, mut count): (Option<Code>, Vec<String>, usize) = (None, Vec::new(), 0);
    for (item, error) in failed {
        count += 1;
        match &code {
            None => code = Some(error.code.clone()),
            Some(same) if *same == error.code => {}
            Some(_) => code = Some(codes::ITEMS_FAILED.into()),
        }
        if told.len() < TOLD {
            let message = limits::clip(&error.message, limits::MESSAGE_BYTES / (TOLD + 1));
            told.push(format!("item {item}: {}: {message}", error.code));
        }
    }
    let code = code.unwrap_or_else(|| codes::ITEMS_FAILED.into());
    ErrorBody::new(code, &format!("{count} of {of} items failed: {}", told.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u32 = 3;

    fn fate(word: &str) -> ItemFate {
        let secs = |text: &str| Duration::from_secs(text.parse().expect("seconds"));
        match word.split_at(1) {
            ("=", _) => ItemFate::of(Fate::Complete(Payload::json("1")), 1, ContentType::Json),
            ("!", code) => ItemFate::of(Fate::Dead(ErrorBody::new(code, "why")), 1, ContentType::Json),
            ("~", _) => ItemFate::of(Fate::Cancel(ErrorBody::new("cancelled", "")), 1, ContentType::Json),
            ("r", pause) => ItemFate::Again { after: secs(pause), error: ErrorBody::new("exit", "x") },
            ("z", pause) => ItemFate::Snoozed { pause: secs(pause) },
            _ => ItemFate::Left,
        }
    }

    /// Folds items in a tiny notation and tells what is next and which items were spared.
    #[track_caller]
    fn check(settled: &mut Settled, attempt: u32, words: &str, expect: &str) {
        let open: Vec<u32> =
            (0..).filter(|item| !settled.ended.contains_key(item)).take(words.split(' ').count()).collect();
        let fates = open.into_iter().zip(words.split(' ').map(fate));
        let next = match fold(settled, attempt, MAX, fates, 4) {
            Next::Done => "done".to_owned(),
            Next::Fail { after, error } => format!("fail {} after {}", error.code, after.as_secs()),
            Next::Snooze { pause } => format!("snooze {}", pause.as_secs()),
            Next::HandBack => "back".to_owned(),
        };
        let spared: Vec<_> = settled.spared.iter().map(|(item, count)| format!("{item}:{count}")).collect();
        assert_eq!(format!("{next} [{}]", spared.join(" ")), expect);
    }

    #[test]
    fn a_bundle_is_done_when_every_item_has_an_end() {
        check(&mut Settled::default(), 1, "= = !bad ~", "done []");
        check(&mut Settled::default(), 1, "= = =", "done []");
    }

    #[test]
    fn only_what_failed_is_left_and_the_longest_pause_holds() {
        let mut settled = Settled::default();
        check(&mut settled, 1, "= r1 r9 !bad", "fail exit after 9 []");
        assert_eq!(settled.ended.keys().copied().collect::<Vec<_>>(), [0, 3]);
        check(&mut settled, 2, "r1 =", "fail exit after 1 []");
        check(&mut settled, 3, "!exit", "done []");
        assert_eq!(settled.ended.len(), 4);
    }

    #[test]
    fn a_snooze_uses_up_no_attempt_of_its_item() {
        let mut settled = Settled::default();
        check(&mut settled, 1, "z60 z30 =", "snooze 30 []");
        check(&mut settled, 1, "z60 r5", "fail exit after 5 [0:1]");
        assert_eq!((attempt_of(&settled, 0, 2), attempt_of(&settled, 1, 2)), (1, 2));
        check(&mut settled, 2, "r1 r2", "fail exit after 2 [0:1]");
        // The last attempt of the one is not yet that of the other.
        assert_eq!((attempt_of(&settled, 0, 3), attempt_of(&settled, 1, 3)), (2, 3));
        check(&mut settled, 3, "r1 !exit", "snooze 1 []");
        assert_eq!(attempt_of(&settled, 0, 3), 3);
        check(&mut settled, 3, "!exit", "done []");
    }

    #[test]
    fn what_was_not_run_goes_back_or_waits_with_the_failed() {
        check(&mut Settled::default(), 1, "= - -", "back []");
        check(&mut Settled::default(), 1, "z9 -", "back []");
        check(&mut Settled::default(), 1, "r2 - =", "fail exit after 2 [1:1]");
    }

    #[test]
    fn details_that_would_harm_the_others_are_left_out() {
        for content_type in [ContentType::Json, ContentType::MsgPack] {
            let deep = (0..99).fold(serde_json::Value::Null, |inner, _| serde_json::json!([inner]));
            for details in [deep, serde_json::json!("x".repeat(ERROR_BYTES))] {
                let body = encode(content_type, &ErrorBody { details, ..ErrorBody::new("exit", "why") });
                let error: ErrorBody = body.decode().expect("an error");
                assert_eq!((error.message.as_str(), error.details), ("why", serde_json::Value::Null));
            }
        }
    }

    #[test]
    fn different_causes_have_a_code_of_their_own_and_few_are_told() {
        let errors =
            |codes: &[&str]| -> Vec<ErrorBody> { codes.iter().map(|code| ErrorBody::new(*code, "m")).collect() };
        let told = |errors: &[ErrorBody]| summary((0..).zip(errors), 100);
        assert_eq!(told(&errors(&["a", "a"])).code.as_str(), "a");
        let mixed = told(&errors(&["a", "b", "a", "c", "d", "e", "f"]));
        assert_eq!(mixed.code.as_str(), codes::ITEMS_FAILED);
        assert_eq!(
            mixed.message,
            "7 of 100 items failed: item 0: a: m; item 1: b: m; item 2: a: m; item 3: c: m; item 4: d: m"
        );
    }
}
