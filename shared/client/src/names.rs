//! New names of tasks: UUIDs of version 7 (RFC 9562, section 5.7).

use std::sync::{Mutex, PoisonError};

use nova_types::{Name, UnixMillis};
use uuid::Uuid;

/// Where a client's names come from.
///
/// Their random part is drawn from a generator that the system's own has seeded once: asking the system for each name
/// would be a call of the kernel for each task. Names need not be hard to guess, only unlike all others.
pub(crate) struct Names(Mutex<fastrand::Rng>);

impl Names {
    pub(crate) fn new() -> Self {
        let (_, seed) = Uuid::now_v7().as_u64_pair();
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// A name nobody has given before.
    pub(crate) fn draw(&self, now: UnixMillis) -> Name {
        let mut random = [0; 10];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut random);
        let millis = u64::try_from(now.0).unwrap_or_default();
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        Name::new(&*uuid.hyphenated().encode_lower(&mut text)).expect("hexadecimal digits and dashes make a name")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_begin_with_their_moment_and_none_comes_twice() {
        let (one, another) = (Names::new(), Names::new());
        let now = UnixMillis(0x0192_0000_1234);
        let all: BTreeSet<Name> = (0..1000).flat_map(|_| [one.draw(now), another.draw(now)]).collect();
        assert_eq!(all.len(), 2000);
        assert!(all.iter().all(|name| name.as_str().starts_with("01920000-1234-7")), "{:?}", all.first());
    }
}
