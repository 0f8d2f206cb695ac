//! Functions that are too complicated or too long.

use tree_sitter::Node;

use crate::finding::Place;
use crate::survey::Function;

/// One function over a limit.
#[derive(Debug)]
pub(crate) struct Excess {
    pub(crate) name: String,
    pub(crate) value: u32,
    pub(crate) place: Place,
}

/// Lists the functions whose complexity is above `limit`.
pub(crate) fn complicated(functions: &[Function<'_>], limit: u32, source: &str) -> Vec<Excess> {
    over(functions, limit, source, |function| function.complexity)
}

/// Lists the functions with more than `limit` lines of code.
pub(crate) fn long(functions: &[Function<'_>], limit: u32, source: &str) -> Vec<Excess> {
    over(functions, limit, source, |function| function.lines)
}

fn over(functions: &[Function<'_>], limit: u32, source: &str, size: fn(&Function<'_>) -> u32) -> Vec<Excess> {
    let excess = |function: &Function<'_>| {
        let value = size(function);
        (value > limit).then(|| {
            let (name, place) = heading(&function.node, source);
            Excess { name, value, place }
        })
    };
    functions.iter().filter_map(excess).collect()
}

/// The name of a function and the stretch from its start to its name, which is what a reader should be shown.
fn heading(node: &Node<'_>, source: &str) -> (String, Place) {
    let named = node.child_by_field_name("name").or_else(|| {
        // An anonymous function is called what it is bound to.
        let parent = node.parent()?;
        ["name", "key", "left"].iter().find_map(|field| parent.child_by_field_name(field))
    });
    let text = named.and_then(|name| source.get(name.byte_range())).unwrap_or("<anonymous>").to_owned();
    let last = node.child_by_field_name("name").or_else(|| node.child(0)).unwrap_or(*node);
    (text, Place::between(node, &last))
}
