//! I16: what is scheduled does not begin before its time, and of what recurs no moment is left out.

use std::time::Duration;

use nova_types::{TaskId, UnixMillis};

use super::Held;
use crate::books::Pages;
use crate::scenario::{Recurring, Scenario};
use crate::world::client;

pub(super) fn judge(scenario: &Scenario, pages: &Pages, held: &Held, broken: &mut Vec<String>) {
    for asked in &scenario.tasks {
        let Some(delay) = asked.delay else { continue };
        let (task, due) = (client::id(&asked.name), client::BEGAN.plus(asked.at + delay));
        // Sent again, it is no matter of the schedules.
        if let Some(early) = pages.begun.iter().find(|begun| begun.task == task && begun.at < due && !asked.is_repeated)
        {
            broken.push(format!("I16: {task} began {:?} too early", due.since(early.at)));
        }
    }
    for begun in &pages.begun {
        if let Some(moment) = moment_of(scenario, &begun.task)
            && begun.at < moment
        {
            broken.push(format!("I16: {} began {:?} too early", begun.task, moment.since(begun.at)));
        }
    }
    for recurring in &scenario.recurring {
        gaps(recurring, scenario, pages, held, broken);
    }
}

/// The moment that a task of a recurring schedule stands for.
pub(super) fn moment_of(scenario: &Scenario, task: &TaskId) -> Option<UnixMillis> {
    let (name, second) = task.name().as_str().rsplit_once('-')?;
    scenario.recurring.iter().find(|recurring| recurring.name == name)?;
    Some(UnixMillis(second.parse::<i64>().ok()? * 1000))
}

/// While it stood, it fired as often as it should have.
fn gaps(recurring: &Recurring, scenario: &Scenario, pages: &Pages, held: &Held, broken: &mut Vec<String>) {
    let Recurring { name, every, .. } = recurring;
    let Some((stood, deleted)) = pages.recurred.get(name).copied() else {
        broken.push(format!("I16: {name} was never made"));
        return;
    };
    let mut last = stood;
    let mut moments: Vec<_> = held.outcomes.keys().filter_map(|task| moment_of(scenario, task)).collect();
    moments.sort_unstable();
    // Moments are whole seconds: the first may be half of one away.
    let most = *every + Duration::from_secs(1);
    for moment in moments.into_iter().filter(|moment| *moment > stood).chain([deleted]) {
        if moment.since(last) > most {
            broken.push(format!("I16: {name} fires every {every:?}, and did not between {last:?} and {moment:?}"));
        }
        last = last.max(moment);
    }
}
