//! Values given as text: what they are when the asking type leaves it open, and how lists are split.

/// The value `text` looks like: a boolean, a number, a TOML array or table, else a string.
pub(super) fn guess(text: &str) -> toml::Value {
    let trimmed = text.trim();
    if let Ok(value) = trimmed.parse::<bool>() {
        return value.into();
    }
    if let Ok(value) = trimmed.parse::<i64>() {
        return value.into();
    }
    // `inf`, `nan` and the like are words before they are numbers.
    if trimmed.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && let Ok(value) = trimmed.parse::<f64>()
        && value.is_finite()
    {
        return value.into();
    }
    bracketed(trimmed, '[').or_else(|| bracketed(trimmed, '{')).unwrap_or_else(|| text.into())
}

/// The TOML array or inline table that `text` is, when it begins with `open`.
pub(super) fn bracketed(text: &str, open: char) -> Option<toml::Value> {
    let trimmed = text.trim();
    if !trimmed.starts_with(open) {
        return None;
    }
    let mut table: toml::Table = format!("value = {trimmed}").parse().ok()?;
    // More than one key means that the text closed its bracket and went on.
    if table.len() == 1 { table.remove("value") } else { None }
}

/// The items of a list written `a,b`; empty text is an empty list.
pub(super) fn items(text: &str) -> Vec<String> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(|item| item.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(guess(text).to_string(), expect, "{text}");
    }

    #[test]
    fn text_becomes_what_it_looks_like() {
        check("true", "true");
        check("8", "8");
        check("-1.5", "-1.5");
        check("nan", r#""nan""#);
        check("30s", r#""30s""#);
        check("1.2.3.4", r#""1.2.3.4""#);
        check("[1, \"a\"]", r#"[1, "a"]"#);
        check("{ a = 1 }", "{ a = 1 }");
        check("[open", r#""[open""#);
        check("", r#""""#);
        assert!(guess("[1]\nother = 2").is_str());
    }

    #[test]
    fn lists_split_at_commas() {
        assert_eq!(items("a, b"), ["a", "b"]);
        assert!(items(" ").is_empty());
    }
}
