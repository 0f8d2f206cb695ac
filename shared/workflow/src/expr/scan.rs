//! Tells the code of an expression from its texts and comments, without parsing it.

/// The characters of `text` that are code, with their byte offsets: none of string literals and comments.
///
/// A literal that is never closed swallows the rest, as it does for the parser.
pub(crate) fn code(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut at = 0;
    let mut before = ' ';
    std::iter::from_fn(move || {
        loop {
            let rest = &text[at..];
            let first = rest.chars().next()?;
            if first == '"' || first == '\'' {
                at += literal(rest, matches!(before, 'r' | 'R'));
                before = ' ';
            } else if rest.starts_with("//") {
                at += rest.find('\n').unwrap_or(rest.len());
            } else {
                let here = at;
                at += first.len_utf8();
                before = first;
                return Some((here, first));
            }
        }
    })
}

/// The length in bytes of the string literal that `text` begins with.
fn literal(text: &str, raw: bool) -> usize {
    let quote = &text[..1];
    let triple = quote.repeat(3);
    let close = if text.starts_with(&triple) { triple.as_str() } else { quote };
    let mut at = close.len();
    while let Some(next) = text[at..].chars().next() {
        if text[at..].starts_with(close) {
            return at + close.len();
        }
        at += next.len_utf8();
        if next == '\\' && !raw {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_comments_are_no_code() {
        let code_of = |text| code(text).map(|(_, c)| c).collect::<String>();
        for (text, expect) in [
            ("a + b", "a + b"),
            (r#"a + "}" + b"#, "a +  + b"),
            (r#"'it\'s {' + x"#, " + x"),
            (r"r'\' + x", "r + x"),
            (r#""""a"b"}""" + x"#, " + x"),
            ("a // b\n+ c", "a \n+ c"),
            (r#""never closed + x"#, ""),
            ("é + 'ü'", "é + "),
        ] {
            assert_eq!(code_of(text), expect, "{text}");
        }
    }
}
