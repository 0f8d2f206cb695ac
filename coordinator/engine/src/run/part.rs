//! Which task of a run a name stands for.

use std::collections::HashMap;

use nova_types::{Fnv1a, Name};
use nova_workflow::{Part, Role};

use super::Run;

/// The task under way that has this name, when there is one.
///
/// Also finds tasks that are being cancelled: their ends are still to be told to the run.
#[must_use]
pub fn part_of(run: &Run, name: &Name) -> Option<Part> {
    let (of, hash) = name.as_str().rsplit_once('_')?;
    let hash = u64::from_str_radix(hash, 16).ok().filter(|_| of == run.id.as_str())?;
    if let Some((step, _)) = run.ending.as_ref().and_then(|ending| ending.undo.as_ref()) {
        let part = Part { step: step.clone(), role: Role::Undo, index: 0 };
        if part.name(&run.id) == *name {
            return Some(part);
        }
    }
    for (id, step) in &run.steps {
        for role in [Role::Work, Role::Judge] {
            // A map may have thousands of tasks under way: the beginning of their names is hashed once.
            let begun = Fnv1a::of(format!("{id}/{}/", role.as_str()).as_bytes());
            let found = step.parts().find(|(of, index, _)| *of == role && with_number(begun, *index) == hash);
            if let Some((role, index, _)) = found {
                return Some(Part { step: id.clone(), role, index });
            }
        }
    }
    None
}

/// The same for many names at once: each task under way is hashed once for all of them.
#[must_use]
pub fn parts_of(run: &Run, names: &[&Name]) -> Vec<Option<Part>> {
    // Where few are asked for, to look at each is cheaper than a table of all that is under way.
    if names.len() < 8 {
        return names.iter().map(|name| part_of(run, name)).collect();
    }
    let mut under_way = HashMap::new();
    for (id, step) in &run.steps {
        let begun = |role: Role| Fnv1a::of(format!("{id}/{}/", role.as_str()).as_bytes());
        let (work, judge) = (begun(Role::Work), begun(Role::Judge));
        for (role, index, _) in step.parts() {
            let begun = if role == Role::Judge { judge } else { work };
            under_way.insert(with_number(begun, index), (id, role, index));
        }
    }
    let part = |name: &&Name| {
        let (of, hash) = name.as_str().rsplit_once('_')?;
        let hash = u64::from_str_radix(hash, 16).ok().filter(|_| of == run.id.as_str())?;
        let found =
            under_way.get(&hash).map(|(id, role, index)| Part { step: (*id).clone(), role: *role, index: *index });
        // What is undone is not among the steps under way.
        found.or_else(|| run.ending.as_ref().and_then(|_| part_of(run, name)))
    };
    names.iter().map(part).collect()
}

/// The items of a bundle under way, in their order; none when the part is no bundle.
#[must_use]
pub fn items_of(run: &Run, part: &Part) -> Option<Vec<u32>> {
    let map = run.steps.get(&part.step).filter(|_| part.role == Role::Work)?.map()?;
    map.packs.items(part.index).map(|items| items.iter().collect())
}

/// The hash continued with a number's digits, written without the heap.
fn with_number(hash: Fnv1a, number: u32) -> u64 {
    let (mut digits, mut at, mut rest) = ([0_u8; 10], 10, number);
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).expect("a remainder by ten is one digit");
        rest /= 10;
        if rest == 0 {
            return hash.and(&digits[at..]).value();
        }
    }
}

#[cfg(test)]
mod tests {
    use nova_types::{RunId, StepId};

    use super::*;

    #[test]
    fn numbers_are_hashed_as_names_are() {
        let run = RunId::new("r").expect("a run");
        let step = StepId::new("files").expect("a step");
        for index in [0, 7, 10, 99, 100, 4_294_967_295] {
            let name = Part::work(step.clone(), index).name(&run);
            let begun = Fnv1a::of(format!("{step}/{}/", Role::Work.as_str()).as_bytes());
            assert_eq!(name.as_str(), format!("r_{:016x}", with_number(begun, index)));
        }
    }

    #[test]
    fn many_names_are_found_as_each_alone_is() {
        let workflow = serde_json::json!({"workflow": "w", "steps": {
            "each": {"map": {"over": "input", "do": {"skill": "echo"}}},
            "one": {"task": {"skill": "echo"}}
        }});
        let plan = nova_workflow::Plan::new(serde_json::from_value(workflow).expect("a workflow")).expect("sound");
        let started = nova_workflow::Started::new(
            "_.r".parse().expect("an id"),
            &plan,
            serde_json::json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).into(),
        );
        let events = vec![nova_workflow::Event::Started(Box::new(started))];
        let data = crate::run::Loaded::default();
        let run = Run::new(RunId::new("r").expect("a run"));
        let mut memo = crate::run::Memo::default();
        let moved = crate::run::step(&run, &plan, events, nova_types::UnixMillis(1), &data, &mut memo).expect("moved");
        let step = |id: &str| StepId::new(id).expect("a step");
        let mut names: Vec<Name> = (0..12).map(|index| Part::work(step("each"), index).name(run.id())).collect();
        names.push(Part::work(step("one"), 0).name(run.id()));
        names.push(Name::new("other_0123456789abcdef").expect("a name"));
        let found = parts_of(&moved.run, &names.iter().collect::<Vec<_>>());
        assert_eq!(found, names.iter().map(|name| part_of(&moved.run, name)).collect::<Vec<_>>());
        assert_eq!(found.iter().flatten().count(), 11);
    }
}
