//! Fits a configuration file written for another place to a test: includes keep working, the store moves.

use std::path::Path;

/// Rewrites `include` lines so that they still find their files when the text lies elsewhere.
pub(super) fn rebase_includes(text: &str, home: &Path) -> String {
    text.lines()
        .map(|line| match line.trim_start().strip_prefix("include") {
            Some(rest) if rest.starts_with([' ', '\t', ':', '=']) => {
                let file = rest.trim_matches([' ', '\t', ':', '=', '\'', '"', ';']);
                let indent = &line[..line.len() - line.trim_start().len()];
                // The server resolves includes against the including file's directory, even absolute ones.
                format!(
                    "{indent}include \"{}{}\"",
                    "../".repeat(32),
                    home.join(file).display().to_string().trim_start_matches('/')
                )
            }
            _ => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Puts `store` in place of every `store_dir` value; says whether there was one.
pub(super) fn replace_store(text: &str, store: &Path) -> (String, bool) {
    let (mut out, mut rest, mut found) = (String::new(), text, false);
    while let Some(at) = rest.find("store_dir") {
        let (before, after) = rest.split_at(at + "store_dir".len());
        let value = after.trim_start_matches([' ', '\t', ':', '=']);
        let length = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
            _ => value.find([' ', '\t', '\n', '\r', ',', '}', ';']).unwrap_or(value.len()),
        };
        out.push_str(before);
        out.push_str(&format!(": \"{}\"", store.display()));
        (rest, found) = (&value[length..], true);
    }
    (out + rest, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_store_is_replaced() {
        for (given, expect) in [
            ("jetstream { store_dir: \"/a b\", x: 1 }", "jetstream { store_dir: \"/s\", x: 1 }"),
            ("jetstream {store_dir=$STORE}", "jetstream {store_dir: \"/s\"}"),
            ("store_dir './data'\nport: 1", "store_dir: \"/s\"\nport: 1"),
        ] {
            assert_eq!(replace_store(given, Path::new("/s")), (expect.to_owned(), true));
        }
        assert_eq!(replace_store("port: 1", Path::new("/s")), ("port: 1".to_owned(), false));
    }

    #[test]
    fn includes_are_found_from_anywhere() {
        let out = rebase_includes("port: 1\n  include ./users.conf\nincluded: 2", Path::new("/etc/nova"));
        let expect = format!("port: 1\n  include \"{}etc/nova/./users.conf\"\nincluded: 2", "../".repeat(32));
        assert_eq!(out, expect);
    }
}
