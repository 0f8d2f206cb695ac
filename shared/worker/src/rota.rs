//! Which priority is asked first: high before normal before low, with ageing.

use nova_types::Priority;

/// Every this many rounds the order is turned round, so that low tasks get a share (about 6 %) under endless high ones.
const AGEING: u64 = 16;

/// Counts the rounds of one queue.
#[derive(Debug, Default)]
pub(crate) struct Rota {
    round: u64,
}

impl Rota {
    /// The order of the next round.
    pub(crate) fn next(&mut self) -> [Priority; 3] {
        self.round += 1;
        if self.round.is_multiple_of(AGEING) {
            [Priority::Low, Priority::Normal, Priority::High]
        } else {
            [Priority::High, Priority::Normal, Priority::Low]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sixteenth_round_begins_with_low() {
        let mut rota = Rota::default();
        let first: Vec<Priority> = (1..=32).map(|_| rota.next()[0]).collect();
        assert_eq!(first.iter().filter(|p| **p == Priority::Low).count(), 2);
        assert_eq!((first[14], first[15]), (Priority::High, Priority::Low));
    }
}
