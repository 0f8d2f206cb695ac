//! Tasks of one key begin in the order of their queue, each when the one before it has ended.

use std::collections::BTreeMap;

use nova_broker::memory::MemoryBroker;
use nova_types::TaskId;
use nova_wire::{Task, assets};

use super::{Held, all};
use crate::books::Pages;
use crate::scenario::SkillKind;
use crate::world::client;

pub(super) async fn judge(memory: &MemoryBroker, pages: &Pages, held: &Held, broken: &mut Vec<String>) {
    for line in lines(memory).await.values() {
        for begun in &pages.begun {
            let Some(place) = line.iter().position(|task| *task == begun.task) else { continue };
            for earlier in &line[..place] {
                if held.outcomes.get(earlier).is_none_or(|end| end.at > begun.at) {
                    let (task, attempt) = (&begun.task, begun.attempt);
                    broken.push(format!("key order: attempt {attempt} of {task} began before {earlier} had ended"));
                }
            }
        }
    }
}

/// The tasks of each key in the order of the queue; one that stands there twice has its first place.
async fn lines(memory: &MemoryBroker) -> BTreeMap<String, Vec<TaskId>> {
    let mut lines = BTreeMap::<String, Vec<TaskId>>::new();
    for stored in all(memory, &assets::tasks_stream(&client::skill(SkillKind::Keyed))).await {
        let Ok(task) = Task::parse(&stored.subject, stored.sequence, stored.headers, stored.body) else { continue };
        let Some(key) = task.key else { continue };
        let line = lines.entry(key.as_str().to_owned()).or_default();
        if !line.contains(&task.id) {
            line.push(task.id);
        }
    }
    lines
}
