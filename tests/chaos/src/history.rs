//! What every actor did and was told, each in a file of its own: one line a fact, written before anything follows from it.
//!
//! All run on one machine, so its monotonic clock puts the facts of all files into one order.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Mutex;

use anyhow::Context as _;
use nova_types::{Skill, TaskId};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::order::Order;

/// One fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// When, in nanoseconds of the machine's monotonic clock.
    pub at: u64,
    /// The actor.
    pub by: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What an actor did or was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum What {
    /// A submit begins.
    Asked {
        /// Of which skill.
        skill: Skill,
        /// Which task.
        task: TaskId,
        /// What it is to do; `None` for bytes that are no order.
        order: Option<Order>,
        /// The key whose tasks run in order.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// What is asked for is none: it is not to run, and to end dead with this code if it ends.
    Doomed {
        /// Of which skill.
        skill: Skill,
        /// Which task.
        task: TaskId,
        /// The code.
        code: String,
    },
    /// It was acknowledged.
    Acked {
        /// Of which skill.
        skill: Skill,
        /// Which task.
        task: TaskId,
    },
    /// Nobody knows whether it was stored.
    Unsure {
        /// Of which skill.
        skill: Skill,
        /// Which task.
        task: TaskId,
        /// The code.
        why: String,
    },
    /// It was refused: surely not stored.
    Refused {
        /// Of which skill.
        skill: Skill,
        /// Which task.
        task: TaskId,
        /// The code.
        why: String,
    },
    /// A cancel goes out.
    Cancelled {
        /// Of which skill.
        skill: Skill,
        /// Which task.
        task: TaskId,
    },
    /// It was accepted.
    CancelAccepted {
        /// Of which skill.
        skill: Skill,
        /// Which task.
        task: TaskId,
    },
    /// A submit under a key that stands for one task begins.
    OnceAsked {
        /// Of which skill.
        skill: Skill,
        /// The key.
        once: String,
        /// What the task is to be called, if it is to be this one.
        task: TaskId,
    },
    /// It was answered.
    OnceTold {
        /// Of which skill.
        skill: Skill,
        /// The key.
        once: String,
        /// Which task the key stands for.
        task: TaskId,
    },
    /// A redrive of a dead task goes out.
    Redrive {
        /// Of which skill.
        skill: Skill,
        /// Which task has the letter.
        of: TaskId,
        /// What the new one is to do.
        order: Order,
    },
    /// It has a new task.
    Redriven {
        /// Of which skill.
        skill: Skill,
        /// Which task has the letter.
        of: TaskId,
        /// The new one.
        task: TaskId,
    },
    /// The outcome was read.
    Read {
        /// Of which skill.
        skill: Skill,
        /// Which task.
        task: TaskId,
        /// When the question went out, by the same clock.
        asked: u64,
        /// Who had recorded it, if anybody had.
        found: Option<String>,
    },
    /// An attempt began.
    Started {
        /// Of which skill.
        skill: Skill,
        /// Which task.
        task: TaskId,
        /// Which attempt.
        attempt: u32,
        /// The tag of its order.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        tag: String,
    },
    /// Its code came to an end; what was recorded is another matter.
    Ended {
        /// Of which skill.
        skill: Skill,
        /// Which task.
        task: TaskId,
        /// Which attempt.
        attempt: u32,
        /// The tag of its order.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        tag: String,
    },
    /// A fault begins.
    Fault {
        /// Which kind.
        fault: String,
        /// On what.
        target: String,
    },
    /// A process has ended or was frozen: it does nothing from now on.
    Gone {
        /// Which.
        who: String,
    },
    /// A fault has ended: what it hit is ready again.
    Mended {
        /// Which kind.
        fault: String,
        /// On what.
        target: String,
    },
    /// All faults of a period have ended.
    Healed {
        /// Which kinds.
        faults: Vec<String>,
    },
}

/// The machine's monotonic clock, in nanoseconds.
#[must_use]
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// An actor's own file.
#[derive(Debug)]
pub struct Journal {
    by: String,
    file: Mutex<File>,
}

impl Journal {
    /// Opens the file of an actor, behind what an earlier one of the name wrote.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(dir: &Path, by: &str) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(dir.join(format!("{by}.jsonl")))?;
        Ok(Self { by: by.to_owned(), file: Mutex::new(file) })
    }

    /// Writes a fact; once this returns, killing the process does not lose it.
    ///
    /// # Panics
    /// When the file cannot be written: a history with gaps proves nothing.
    pub fn note(&self, what: What) {
        self.note_at(now(), what);
    }

    /// The same with a moment taken before.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn note_at(&self, at: u64, what: What) {
        let mut line = serde_json::to_string(&Fact { at, by: self.by.clone(), what }).expect("a fact has a JSON form");
        line.push('\n');
        let mut file = self.file.lock().expect("no writer panics with the file in hand");
        file.write_all(line.as_bytes()).expect("the history can be written");
    }
}

/// Reads the histories of all actors, in order of time.
///
/// # Errors
/// When a file cannot be read or a line but the last is damaged: the last of a killed process may be cut short.
pub fn read_all(dir: &Path) -> anyhow::Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("could not list {}", dir.display()))? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let fact: Fact = serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()))?;
            facts.push(fact);
        }
    }
    facts.sort_by_key(|fact| fact.at);
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_all_come_in_order_of_time_and_a_cut_line_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let task: TaskId = "c.t1".parse().unwrap();
        let skill = Skill::new("chaos").unwrap();
        let (one, two) = (Journal::open(dir.path(), "one").unwrap(), Journal::open(dir.path(), "two").unwrap());
        one.note_at(2, What::Acked { skill: skill.clone(), task: task.clone() });
        two.note_at(1, What::Asked { skill: skill.clone(), task: task.clone(), order: None, key: None });
        one.note_at(3, What::Started { skill, task, attempt: 1, tag: String::new() });
        let mut file = OpenOptions::new().append(true).open(dir.path().join("two.jsonl")).unwrap();
        file.write_all(b"{\"at\":9,\"by\":\"tw").unwrap();
        let facts = read_all(dir.path()).unwrap();
        let shown: Vec<(u64, &str)> = facts.iter().map(|fact| (fact.at, &*fact.by)).collect();
        assert_eq!(shown, [(1, "two"), (2, "one"), (3, "one")]);
        assert!(now() < now());
    }
}
