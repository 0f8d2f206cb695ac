//! Who may sweep and trim: one coordinator at a time, by a key that expires and is written under compare-and-set.

use std::time::Duration;

/// What stands under the leader's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The sequence to compare with; 0 when nothing was ever written.
    pub revision: u64,
    /// Who leads; `None` when the key expired or was given up.
    pub holder: Option<String>,
    /// For how long the revision is known to have stood, by one's own clock.
    pub stood: Duration,
}

/// What a coordinator does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Write its own name over this revision.
    Write {
        /// The revision that must still stand.
        over: u64,
    },
    /// Leave it to the one who leads.
    Wait,
}

/// Decides. A broker that was killed may keep a key beyond its life: a claim that nobody renewed for so long has ended.
#[must_use]
pub fn claim(seat: &Seat, me: &str, ttl: Duration) -> Claim {
    match &seat.holder {
        Some(holder) if holder != me && seat.stood < ttl => Claim::Wait,
        _ => Claim::Write { over: seat.revision },
    }
}

/// How long a claim counts from the moment its write began: the key's life less a share for whoever is slow to notice.
#[must_use]
pub fn tenure(ttl: Duration) -> Duration {
    ttl * 2 / 3
}

/// How long to wait before looking again: often enough that a claim is renewed twice before it ends.
#[must_use]
pub fn pause(ttl: Duration) -> Duration {
    ttl / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_seat_is_taken_and_ones_own_renewed() {
        let check = |holder: Option<&str>, stood: u64, expect: Claim| {
            let seat = Seat { revision: 4, holder: holder.map(ToOwned::to_owned), stood: Duration::from_secs(stood) };
            assert_eq!(claim(&seat, "a", Duration::from_secs(10)), expect, "{seat:?}");
        };
        check(None, 0, Claim::Write { over: 4 });
        check(Some("a"), 0, Claim::Write { over: 4 });
        check(Some("b"), 0, Claim::Wait);
        check(Some("b"), 9, Claim::Wait);
        // Nobody renewed it for all its life, and yet the broker has it.
        check(Some("b"), 10, Claim::Write { over: 4 });
    }

    #[test]
    fn a_claim_ends_before_its_key_and_is_renewed_before_it_ends() {
        let ttl = Duration::from_secs(12);
        assert!(pause(ttl) * 2 <= tenure(ttl) && tenure(ttl) < ttl);
    }
}
