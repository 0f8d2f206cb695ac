//! Values whose texts hold expressions: `${...}` alone stands for the value, inside a text for its text.
//!
//! `$${` is a plain `${`. An expression may hold braces and quotes of its own.

use serde_json::Value;

use crate::expr;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// As it is.
    Text(String),
    /// An expression, and at which byte of the text it begins.
    Code(String, usize),
}

/// Splits a text into its pieces.
///
/// # Errors
/// The byte of a `${` that is never closed.
pub(crate) fn split(text: &str) -> Result<Vec<Piece>, usize> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let open = at + found;
        if text[at..open].ends_with('$') {
            plain.push_str(&text[at..open]);
            plain.push('{');
            at = open + 2;
            continue;
        }
        plain.push_str(&text[at..open]);
        let begin = open + 2;
        let end = begin + close(&text[begin..]).ok_or(open)?;
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Code(text[begin..end].to_owned(), begin));
        at = end + 1;
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// The byte of the brace that closes an expression.
fn close(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in expr::code(code) {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether a text holds anything but itself.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.contains("${")
}

/// Hands every text of a value to `each`, with its JSON pointer.
pub(crate) fn texts<'a>(value: &'a Value, pointer: &str, each: &mut impl FnMut(&'a str, &str)) {
    match value {
        Value::String(text) => each(text, pointer),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts(item, &format!("{pointer}/{index}"), each);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                texts(value, &format!("{pointer}/{}", escape(key)), each);
            }
        }
        _ => {}
    }
}

/// A key as a token of a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A value as part of a text: texts as they are, all others as JSON.
pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let pieces = split(text).map_err(|at| vec![format!("open at {at}")]);
        let said = pieces.map(|pieces| {
            let said = pieces.into_iter().map(|piece| match piece {
                Piece::Text(text) => format!("={text}"),
                Piece::Code(code, at) => format!("{at}:{code}"),
            });
            said.collect::<Vec<_>>()
        });
        assert_eq!(said.unwrap_or_else(|open| open), expect, "{text}");
    }

    #[test]
    fn a_text_is_split_at_its_expressions() {
        check("plain", &["=plain"]);
        check("", &[]);
        check("${a}", &["2:a"]);
        check("x ${a} y ${b}", &["=x ", "4:a", "= y ", "11:b"]);
        check("$${a}", &["=${a}"]);
        check("$$${a}", &["=$${a}"]);
        check("cost: $5", &["=cost: $5"]);
        check("${ {'a': {'b': 1}}.a }", &["2: {'a': {'b': 1}}.a "]);
        check(r#"${ "}" + '{' }!"#, &[r#"2: "}" + '{' "#, "=!"]);
        check("a ${b", &["open at 2"]);
        check("ü${ü}", &["=ü", "4:ü"]);
    }
}
