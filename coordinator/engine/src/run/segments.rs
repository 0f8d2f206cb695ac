//! The results of a map's items, in the pieces they were folded in.

use nova_workflow::Segment;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::shared::Shared;

/// A growing list of segments that is cheap to clone: full blocks are shared, only the last one is copied.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Segments {
    full: Shared<Vec<Shared<Vec<Shared<Segment>>>>>,
    last: Vec<Shared<Segment>>,
}

/// A block is worth closing when copying it for each transition costs about what the transition itself does.
const BLOCK: usize = 64;

impl Segments {
    pub fn push(&mut self, segment: Segment) {
        self.last.push(Shared::new(segment));
        if self.last.len() == BLOCK {
            let block = std::mem::take(&mut self.last);
            self.full.to_mut().push(Shared::new(block));
        }
    }

    /// The segments, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.full.iter().flat_map(|block| block.iter()).chain(&self.last).map(|segment| &**segment)
    }
}

impl FromIterator<Segment> for Segments {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        let mut made = Self::default();
        for segment in segments {
            made.push(segment);
        }
        made
    }
}

impl Serialize for Segments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Segments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Segment>::deserialize(deserializer)?.into_iter().collect())
    }
}
