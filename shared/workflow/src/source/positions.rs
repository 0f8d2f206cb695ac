//! Where in the text each value of a definition stands.

use std::collections::HashMap;

use super::Located;
use super::tree::{Held, Node, Place};
use crate::plan::Problem;
use crate::template::escape;

/// The lines and columns of a definition's values, by JSON pointer.
#[derive(Debug)]
pub struct Positions {
    values: HashMap<String, Spot>,
    lines: Vec<String>,
}

#[derive(Debug)]
struct Spot {
    /// Of the key, or of the value where there is none.
    key: Place,
    value: Place,
    /// The value when it is text.
    text: Option<String>,
}

impl Positions {
    pub(super) fn of(root: &Node, text: &str) -> Self {
        let mut positions = Self { values: HashMap::new(), lines: text.lines().map(str::to_owned).collect() };
        positions.add(String::new(), root.at, root);
        positions
    }

    fn add(&mut self, path: String, key: Place, node: &Node) {
        match &node.held {
            Held::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.add(format!("{path}/{index}"), item.at, item);
                }
            }
            Held::Map(fields) => {
                for (name, at, value) in fields {
                    self.add(format!("{path}/{}", escape(name)), *at, value);
                }
            }
            Held::Leaf(_) => {}
        }
        let text = if let Held::Leaf(serde_json::Value::String(text)) = &node.held { Some(text.clone()) } else { None };
        self.values.insert(path, Spot { key, value: node.at, text });
    }

    /// The line and column of the value at a JSON pointer, or of the nearest value around it that there is.
    #[must_use]
    pub fn find(&self, path: &str) -> (usize, usize) {
        self.spot(path, None)
    }

    fn spot(&self, path: &str, at: Option<usize>) -> (usize, usize) {
        if let Some(spot) = self.values.get(path) {
            let place = match (&spot.text, at) {
                (Some(text), Some(at)) => return self.within(spot.value, text, at),
                (Some(_), None) => spot.value,
                (None, _) => spot.key,
            };
            return (place.line, place.column);
        }
        match path.rsplit_once('/') {
            Some((parent, _)) => {
                self.values.get(parent).map_or_else(|| self.spot(parent, None), |spot| (spot.key.line, spot.key.column))
            }
            None => (1, 1),
        }
    }

    /// The place of a byte of a text, where the file has the text as it is; else the place of the text.
    fn within(&self, place: Place, text: &str, at: usize) -> (usize, usize) {
        let before = text.get(..at).unwrap_or_default();
        let row = before.matches('\n').count();
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before[start..].chars().count();
        let whole = text[start..].lines().next().unwrap_or_default();
        let unsure = (place.line, place.column);
        if place.block {
            let line = place.line + row;
            let Some(written) = self.lines.get(line - 1) else { return unsure };
            let Some(indent) = written.trim_end().strip_suffix(whole.trim_end()) else { return unsure };
            return (line, indent.chars().count() + column + 1);
        }
        let begin = place.column + usize::from(place.quoted);
        let Some(written) = self.lines.get(place.line - 1) else { return unsure };
        let rest: String = written.chars().skip(begin - 1).take(column).collect();
        if row == 0 && rest == before { (place.line, begin + column) } else { unsure }
    }

    /// Problems with their places, in the order of the text.
    #[must_use]
    pub fn locate(&self, problems: Vec<Problem>) -> Vec<Located> {
        let mut located: Vec<Located> = problems
            .into_iter()
            .map(|problem| {
                let (line, column) = self.spot(&problem.path, problem.at);
                Located { line, column, problem }
            })
            .collect();
        located.sort();
        located.dedup();
        located
    }
}
