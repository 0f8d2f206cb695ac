//! The skill of the simulation: does what the task's input says for that attempt.

use std::sync::{Arc, Once};
use std::time::Duration;

use nova_broker::memory::MemoryBroker;
use nova_worker::{Context, Skill, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::books::{Begun, Books};
use crate::scenario::{Act, SkillKind};

/// What a task asks.
#[derive(Debug, Serialize, Deserialize)]
pub struct Input {
    /// What its attempts do; done at once when there is none.
    #[serde(default)]
    pub acts: Vec<Act>,
    /// A number to square.
    #[serde(default)]
    pub n: i64,
    /// Or numbers to add up.
    #[serde(default)]
    pub sum: Vec<i64>,
}

impl SkillKind {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Keyed => "keyed",
            Self::Limited => "limited",
        }
    }
}

/// What a panic of the skill says; nobody wants to read it.
const SCRIPTED: &str = "as the scenario says";

/// The skill.
pub struct Scripted {
    kind: SkillKind,
    books: Arc<Books>,
    /// For its clock.
    memory: MemoryBroker,
}

impl Scripted {
    /// Makes it; each start is noted in the books.
    #[must_use]
    pub fn new(kind: SkillKind, books: Arc<Books>, memory: MemoryBroker) -> Self {
        be_quiet();
        Self { kind, books, memory }
    }
}

impl Skill for Scripted {
    type Input = Input;
    type Output = Value;

    fn name(&self) -> &str {
        self.kind.name()
    }

    async fn run(&self, input: Input, cx: Context) -> Result<Value, Verdict> {
        let (task, item, attempt, at) = (cx.task().clone(), cx.item(), cx.attempt(), self.memory.now());
        self.books.open().begun.push(Begun { task, item, attempt, at });
        let at = usize::try_from(cx.attempt()).unwrap_or(usize::MAX).saturating_sub(1);
        let act = input.acts.get(at).or(input.acts.last()).copied().unwrap_or(Act::Done);
        match act {
            Act::Done => {}
            // A skill that does not look at its cancel: the hard end is for it.
            Act::Slow(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Act::Fail => return Err(Verdict::retry("failed", "as it should")),
            Act::FailForLong => return Err(Verdict::retry_after(Duration::from_secs(40), "failed", "as it should")),
            Act::Panic => panic!("{SCRIPTED}"),
            Act::Reject => return Err(Verdict::reject("rejected", "as it should")),
            Act::Cancel => return Err(Verdict::cancel()),
            // Once: its number is the same when it comes again.
            Act::Snooze if self.has_begun_once(&cx) => return Err(Verdict::snooze(Duration::from_secs(2))),
            Act::Snooze => {}
        }
        Ok(Value::from(input.n * input.n + input.sum.iter().sum::<i64>()))
    }
}

impl Scripted {
    fn has_begun_once(&self, cx: &Context) -> bool {
        let is_it = |begun: &&Begun| (&begun.task, begun.item, begun.attempt) == (cx.task(), cx.item(), cx.attempt());
        self.books.open().begun.iter().filter(is_it).count() == 1
    }
}

/// Panics of the skill are part of the play.
fn be_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some(SCRIPTED) {
                before(info);
            }
        }));
    });
}
