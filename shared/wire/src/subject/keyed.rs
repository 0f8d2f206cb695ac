//! Subjects of keyed skills: with the key behind the priority, and its partition between them where it is stored.

use nova_types::{Priority, Skill};

use super::task;
use crate::{Headers, TaskKey, name};

/// Where a task of a keyed skill is published. Its stream adds the key's partition, so that no client hashes.
#[must_use]
pub fn keyed_task(skill: &Skill, priority: Priority, key: &TaskKey) -> String {
    format!("nova.task.{skill}.{priority}.{}", key.token())
}

/// Where a task with or without a key is published.
#[must_use]
pub fn task_of(skill: &Skill, priority: Priority, key: Option<&TaskKey>) -> String {
    key.map_or_else(|| task(skill, priority), |key| keyed_task(skill, priority, key))
}

/// Where a task with these headers is published: with its key, where they name one.
///
/// A text that is no key counts as none: whoever works the skill refuses the task for its header then.
#[must_use]
pub fn task_for(skill: &Skill, priority: Priority, headers: &Headers) -> String {
    let key = headers.get(name::KEY).and_then(|text| TaskKey::new(text).ok());
    task_of(skill, priority, key.as_ref())
}

/// Everything a keyed skill's stream takes with a key.
#[must_use]
pub fn keyed_space(skill: &Skill) -> String {
    format!("nova.task.{skill}.*.*")
}

/// How the stream of a keyed skill stores what was published under [`keyed_space`]: with the key's partition before it.
#[must_use]
pub fn keyed_stored(skill: &Skill, partitions: u16) -> String {
    format!("nova.task.{skill}.{{{{wildcard(1)}}}}.{{{{partition({partitions},2)}}}}.{{{{wildcard(2)}}}}")
}

/// What is stored in one partition of a keyed skill.
#[must_use]
pub fn partition(skill: &Skill, partition: u16) -> String {
    format!("nova.task.{skill}.*.{partition}.*")
}

/// The partition in which a keyed skill's stream stores this subject; `None` of any other.
#[must_use]
pub fn partition_of(subject: &str) -> Option<u16> {
    match *subject.strip_prefix("nova.task.")?.split('.').collect::<Vec<_>>().as_slice() {
        [_, _, partition, _] => super::number(partition),
        _ => None,
    }
}

/// What is stored of one key, named by its token.
#[must_use]
pub fn key_in_partition(skill: &Skill, partition: u16, token: &str) -> String {
    format!("nova.task.{skill}.*.{partition}.{token}")
}

/// The key in the config bucket that says who works a partition of a keyed skill.
#[must_use]
pub fn partition_lease(skill: &Skill, partition: u16) -> String {
    format!("keyed.{skill}.p.{partition}")
}

/// The key in the config bucket that says that a worker of a keyed skill lives.
#[must_use]
pub fn keyed_member(skill: &Skill, member: &str) -> String {
    format!("keyed.{skill}.m.{member}")
}

/// All such keys of one skill.
#[must_use]
pub fn keyed_leases(skill: &Skill) -> String {
    format!("keyed.{skill}.>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::{TaskPlace, parse_place};

    #[test]
    fn a_key_stands_behind_the_priority_and_its_partition_between() {
        let skill = Skill::new("echo").expect("a skill");
        let key = TaskKey::new("a/b").expect("a key");
        let published = keyed_task(&skill, Priority::Normal, &key);
        assert_eq!(published, "nova.task.echo.normal.a%2Fb");
        assert_eq!(task_of(&skill, Priority::High, Some(&key)), "nova.task.echo.high.a%2Fb");
        assert_eq!(task_of(&skill, Priority::High, None), "nova.task.echo.high");
        for subject in [&*published, "nova.task.echo.normal.7.a%2Fb"] {
            let place = TaskPlace { skill: skill.clone(), priority: Priority::Normal, token: Some("a%2Fb") };
            assert_eq!(parse_place(subject), Some(place));
        }
        assert_eq!(partition_of("nova.task.echo.normal.7.a%2Fb"), Some(7));
        assert_eq!(partition_of(&published), None);
        assert_eq!(keyed_stored(&skill, 8), "nova.task.echo.{{wildcard(1)}}.{{partition(8,2)}}.{{wildcard(2)}}");
    }
}
