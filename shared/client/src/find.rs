//! Finding the skill of a plain id.

use std::collections::BTreeSet;

use futures_util::future::{join_all, try_join_all};
use nova_broker::Scan;
use nova_types::{Scope, Skill, TaskId};
use nova_wire::{assets, subject};

use crate::{Client, QueryError};

/// How many skills one id may have before the list of them is cut.
const MOST_SKILLS: usize = 100;

impl Client {
    /// Finds the skill that knows a task, for people who only have its id.
    ///
    /// Records of every kind are asked first, then the queues, see [`locate`](Self::locate) for how far. Ids are unique
    /// per skill only: an id `_seq.<n>` is likely to exist for several, and then all of them are named. A task that
    /// waits in one queue while another skill's task of the same id has ended is not found: name the skill.
    ///
    /// # Errors
    /// [`QueryError::UnknownTask`], [`QueryError::Ambiguous`], [`QueryError::Broker`]; safe to call again.
    pub async fn find_skill(&self, task: &TaskId) -> Result<Skill, QueryError> {
        let mut skills = self.skills_with_records(task).await?;
        if skills.is_empty() || *task.scope() == Scope::sequence() {
            skills.extend(self.skills_with_place(task).await?);
        }
        let mut skills: Vec<Skill> = skills.into_iter().collect();
        match (skills.pop(), skills.is_empty()) {
            (Some(skill), true) => Ok(skill),
            (None, _) => Err(QueryError::UnknownTask { task: task.clone(), skill: None }),
            (Some(last), false) => {
                skills.push(last);
                Err(QueryError::Ambiguous { task: task.clone(), skills })
            }
        }
    }

    async fn skills_with_records(&self, task: &TaskId) -> Result<BTreeSet<Skill>, QueryError> {
        type Parse = fn(&str) -> Option<(Skill, TaskId)>;
        let places: [(&str, String, Parse); 4] = [
            (assets::OUTCOMES, subject::outcome_of_any_skill(task), subject::parse_outcome),
            (assets::ATTEMPTS, subject::attempt_of_any_skill(task), subject::parse_attempt),
            (assets::DEAD, subject::dead_of_any_skill(task), subject::parse_dead),
            (assets::SCHEDULES, subject::schedule_of_any_skill(task), subject::parse_schedule),
        ];
        let scans = places.map(|(stream, subject, parse)| async move {
            let found = self.inner.broker.scan(Scan::last_of_each(stream, subject, MOST_SKILLS)).await?;
            Ok(found.into_iter().filter_map(|stored| Some(parse(&stored.subject)?.0)).collect::<Vec<_>>())
        });
        let found = try_join_all(scans).await.map_err(QueryError::broker(format!("look for task {task}")))?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn skills_with_place(&self, task: &TaskId) -> Result<Vec<Skill>, QueryError> {
        let queues = self.queues().await?;
        let places = join_all(queues.iter().map(|queue| self.locate_in(queue, task))).await;
        let mut skills = Vec::new();
        for (queue, place) in queues.iter().zip(places) {
            if place?.is_some() {
                skills.push(queue.skill.clone());
            }
        }
        Ok(skills)
    }
}
