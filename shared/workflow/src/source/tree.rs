//! The text as a tree of nodes that know where they stand; nothing else of YAML is let in.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};
use serde_json::{Map, Number, Value};

use super::Located;
use crate::plan::Problem;

/// How deep nodes may nest; far beyond any definition, and small enough for every stack.
const MAX_DEPTH: usize = 64;
/// How many nodes there may be: a thousand steps with fifty words each.
const MAX_NODES: usize = 50_000;

/// A node of the text.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) held: Held,
}

/// Line and column of a node, both from 1, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) quoted: bool,
    pub(super) block: bool,
}

#[derive(Debug)]
pub(super) enum Held {
    Leaf(Value),
    List(Vec<Node>),
    Map(Vec<(String, Place, Node)>),
}

impl Node {
    pub(super) fn to_json(&self) -> Value {
        match &self.held {
            Held::Leaf(value) => value.clone(),
            Held::List(items) => items.iter().map(Self::to_json).collect(),
            Held::Map(fields) => Value::Object(
                fields.iter().map(|(key, _, value)| (key.clone(), value.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }
}

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Node, Located> {
    if let Some(found) = control(text) {
        return Err(found);
    }
    let mut reader = Reader { events: Parser::new_from_str(text), nodes: 0 };
    match reader.document() {
        // JSON has escapes that YAML does not know; such a text is read, only its places are lost.
        Err(problem) if text.trim_start().starts_with('{') => match serde_json::from_str(text) {
            Ok(value) if problem.problem.message.starts_with(SCANNER) => Ok(without_places(value)),
            _ => Err(problem),
        },
        other => other,
    }
}

/// What begins every message that is the scanner's own.
const SCANNER: &str = "this is neither YAML nor JSON: ";

fn without_places(value: Value) -> Node {
    let at = Place { line: 1, column: 1, quoted: false, block: false };
    let held = match value {
        Value::Array(items) => Held::List(items.into_iter().map(without_places).collect()),
        Value::Object(fields) => {
            Held::Map(fields.into_iter().map(|(key, value)| (key, at, without_places(value))).collect())
        }
        leaf => Held::Leaf(leaf),
    };
    Node { at, held }
}

/// A character that no text file has; the parser would take some of them for the end.
fn control(text: &str) -> Option<Located> {
    let odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    let (at, found) = text.char_indices().find(|(_, c)| odd(*c) || matches!(c, '\u{fffe}' | '\u{ffff}'))?;
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some(located(line, column, format!("there is a control character {}", found.escape_default())))
}

fn located(line: usize, column: usize, message: impl Into<String>) -> Located {
    Located { line, column, problem: Problem { path: String::new(), message: message.into(), at: None } }
}

fn place(mark: Marker) -> Place {
    Place { line: mark.line().max(1), column: mark.col() + 1, quoted: false, block: false }
}

fn at(mark: Marker, message: impl Into<String>) -> Located {
    let place = place(mark);
    located(place.line, place.column, message)
}

struct Reader<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Marker), Located> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start)),
            Some(Err(error)) => Err(refused(&error)),
            None => Ok((Event::StreamEnd, Marker::default())),
        }
    }

    fn document(&mut self) -> Result<Node, Located> {
        let root = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Err(located(1, 1, "the file is empty")),
                (event, mark) => break self.node(event, mark, 1)?,
            }
        };
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => break,
                (Event::DocumentStart(_), mark) => {
                    return Err(at(mark, "a second document begins here; a file holds one workflow"));
                }
                _ => {}
            }
        }
        match &root.held {
            Held::Map(_) => Ok(root),
            Held::Leaf(Value::Null) => Err(located(root.at.line, root.at.column, "the file is empty")),
            _ => Err(located(root.at.line, root.at.column, "a workflow is a map; begin with `workflow: <name>`")),
        }
    }

    fn node(&mut self, event: Event<'a>, mark: Marker, depth: usize) -> Result<Node, Located> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(at(mark, format!("there are more than {MAX_NODES} values")));
        }
        if depth > MAX_DEPTH {
            return Err(at(mark, format!("values nest deeper than {MAX_DEPTH}")));
        }
        let (anchor, tagged) = match &event {
            Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor, tag.is_some())
            }
            _ => (0, false),
        };
        if anchor != 0 {
            return Err(at(mark, "anchors (`&name`) are not read; write the value where it is needed"));
        }
        if tagged {
            return Err(at(mark, "tags (`!name`) are not read; leave it out, and put quotes around a text"));
        }
        let mut place = place(mark);
        let held = match event {
            Event::Alias(_) => {
                return Err(at(mark, "aliases (`*name`) are not read; write the value where it is needed"));
            }
            Event::Scalar(text, style, ..) => {
                place.quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
                place.block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                Held::Leaf(if style == ScalarStyle::Plain {
                    plain(&text).map_err(|message| at(mark, message))?
                } else {
                    Value::String(text.into_owned())
                })
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Held::List(items),
                        (event, mark) => items.push(self.node(event, mark, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => self.map(depth)?,
            _ => return Err(at(mark, "a value is expected here")),
        };
        Ok(Node { at: place, held })
    }

    fn map(&mut self, depth: usize) -> Result<Held, Located> {
        let mut fields = Vec::new();
        let mut seen: HashMap<String, Place> = HashMap::new();
        loop {
            let (event, mark) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Held::Map(fields));
            }
            let key = self.node(event, mark, depth + 1)?;
            let name = match key.held {
                Held::Leaf(Value::String(text)) => text,
                Held::Leaf(value @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => value.to_string(),
                _ => return Err(at(mark, "a key is a text")),
            };
            if let Some(first) = seen.insert(name.clone(), key.at) {
                let shown: String = name.chars().take(64).collect();
                let message = format!("`{shown}` is here twice; it first stands at {}:{}", first.line, first.column);
                return Err(at(mark, message));
            }
            let (event, mark) = self.next()?;
            fields.push((name, key.at, self.node(event, mark, depth + 1)?));
        }
    }
}

fn refused(error: &ScanError) -> Located {
    let tab = if error.info().contains("tab") { "; indent with spaces" } else { "" };
    at(*error.marker(), format!("{SCANNER}{}{tab}", error.info()))
}

/// A scalar without quotes: null, true, false, a number, or text.
fn plain(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some((radix, digits)) =
        digits.strip_prefix("0x").map(|rest| (16, rest)).or_else(|| digits.strip_prefix("0o").map(|rest| (8, rest)))
        && let Ok(number) = u64::from_str_radix(digits, radix)
    {
        return Ok(number.into());
    }
    if matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err(format!("`{text}` is no number of JSON; put quotes around a text"));
    }
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if numeric {
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        if let Ok(number) = unsigned.parse::<i64>() {
            return Ok(number.into());
        }
        if let Ok(number) = unsigned.parse::<u64>() {
            return Ok(number.into());
        }
        if let Some(number) = unsigned.parse::<f64>().ok().and_then(Number::from_f64) {
            return Ok(Value::Number(number));
        }
    }
    Ok(Value::String(text.to_owned()))
}
