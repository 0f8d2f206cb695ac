//! Shows the settings in effect as TOML, each with its origin.

use std::fmt::Write;

use super::node::Node;
use super::text;

/// What is shown in place of what may be a secret.
const HIDDEN: &str = "***";

/// Words in a key whose value is a reference to a secret, or should have been one.
const SECRET_WORDS: &[&str] = &["password", "passwd", "secret", "token", "credential", "creds", "nkey", "seed"];

/// Appends one section; `fields` are the keys its type knows, so that those left alone are named too.
pub(super) fn section(out: &mut String, name: &str, node: &Node, fields: &[&str]) {
    if !out.is_empty() {
        out.push('\n');
    }
    table(out, &bare(name), node, fields);
}

fn table(out: &mut String, path: &str, node: &Node, fields: &[&str]) {
    let Node::Table(entries, _) = node else { return };
    line(out, &format!("[{path}]"));
    for (key, node) in entries {
        let value = match node {
            Node::Table(..) => continue,
            Node::Typed(value, _) => shown(key, value.clone()),
            Node::Text(value, _) => shown(key, text::guess(value)),
        };
        line(out, &format!("{} = {value}  # {}", bare(key), comment(&node.origin().to_string())));
    }
    for field in fields.iter().filter(|field| !entries.contains_key(**field)) {
        line(out, &format!("# {field} is left at its default"));
    }
    for (key, node) in entries.iter().filter(|(_, node)| matches!(node, Node::Table(..))) {
        out.push('\n');
        table(out, &format!("{path}.{}", bare(key)), node, &[]);
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}

/// A key as TOML wants it, quoted only where it must be.
fn bare(key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if plain { key.to_owned() } else { toml::Value::from(key).to_string() }
}

/// A comment must not end before its line does.
fn comment(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// A value on one line, without what may be a secret.
fn shown(key: &str, value: toml::Value) -> String {
    let key = key.to_ascii_lowercase();
    let is_secret = SECRET_WORDS.iter().any(|word| key.contains(word));
    one_line(hide(value, is_secret))
}

fn hide(value: toml::Value, is_secret: bool) -> toml::Value {
    match value {
        toml::Value::String(text) if is_secret && text.parse::<crate::SecretRef>().is_err() => HIDDEN.into(),
        toml::Value::String(text) => without_login(&text).into(),
        toml::Value::Array(items) => items.into_iter().map(|item| hide(item, is_secret)).collect::<Vec<_>>().into(),
        toml::Value::Table(table) => {
            let hidden = |(key, value): (String, toml::Value)| {
                let is_secret = is_secret || SECRET_WORDS.iter().any(|word| key.to_ascii_lowercase().contains(word));
                (key, hide(value, is_secret))
            };
            toml::Value::Table(table.into_iter().map(hidden).collect())
        }
        toml::Value::Integer(_) | toml::Value::Float(_) if is_secret => HIDDEN.into(),
        other => other,
    }
}

/// `nats://user:pass@host` without user and password; lists of such addresses are told apart at commas.
fn without_login(text: &str) -> String {
    let address = |part: &str| {
        let (scheme, rest) = part.split_once("://")?;
        let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
        let host = authority.rfind('@')?;
        Some(format!("{scheme}://{HIDDEN}@{}", &rest[host + 1..]))
    };
    text.split(',').map(|part| address(part).unwrap_or_else(|| part.to_owned())).collect::<Vec<_>>().join(",")
}

/// TOML writes text with line breaks over several lines, where no comment could follow: JSON's escapes are TOML's too.
fn one_line(value: toml::Value) -> String {
    let text = value.to_string();
    match &value {
        toml::Value::String(string) if text.contains('\n') => {
            serde_json::to_string(string).expect("a string is always JSON")
        }
        _ => text,
    }
}
