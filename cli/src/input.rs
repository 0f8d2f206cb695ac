//! A task's input from the command line: JSON text, a file, or stdin.

use std::io::Read as _;

use nova_wire::{ContentType, Payload, limits};

use crate::exit::Exit;
use crate::failure::Failure;

/// What a task is given.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct InputArgs {
    /// The input as JSON, `@file` for a file's content, `-` for stdin; nothing is null
    #[arg(value_name = "INPUT", allow_hyphen_values = true)]
    pub(crate) input: Option<String>,
    /// Send the input as it stands as one JSON string
    #[arg(long)]
    pub(crate) string: bool,
    /// Send the input as MessagePack
    #[arg(long)]
    pub(crate) msgpack: bool,
}

impl InputArgs {
    /// Reads and checks the input, on a thread of its own: Ctrl-C must be heard while stdin is silent.
    pub(crate) async fn read(&self) -> Result<Payload, Failure> {
        let args = self.clone();
        let read = tokio::task::spawn_blocking(move || args.read_blocking()).await;
        read.map_err(|error| Failure::io("read the input", std::io::Error::other(error)))?
    }

    fn read_blocking(&self) -> Result<Payload, Failure> {
        let Some(input) = &self.input else { return self.encode(Vec::new(), "") };
        match input.strip_prefix('@') {
            _ if input == "-" => self.encode(read_all(std::io::stdin().lock(), "stdin")?, "stdin"),
            Some(path) => {
                let file = std::fs::File::open(path);
                let file = file.map_err(|source| unreadable(path, source))?;
                self.encode(read_all(file, path)?, path)
            }
            None => self.encode(input.clone().into_bytes(), "INPUT"),
        }
    }

    /// Puts text into the encoding that is asked for; `origin` is what messages call it.
    pub(crate) fn encode(&self, bytes: Vec<u8>, origin: &str) -> Result<Payload, Failure> {
        let content_type = if self.msgpack { ContentType::MsgPack } else { ContentType::Json };
        let encoded = |value: &serde_json::Value| {
            Payload::encode(content_type, value).map_err(|error| Failure::because(Exit::USAGE, "bad_input", error))
        };
        if self.string {
            let text = String::from_utf8(bytes)
                .map_err(|_| Failure::usage(format!("{origin} is not UTF-8, so it makes no JSON string")))?;
            return encoded(&text.into());
        }
        let payload = Payload::json(bytes);
        payload.validate().map_err(|source| not_json(source, &payload, origin))?;
        if self.msgpack {
            let value = payload.to_json().map_err(|source| not_json(source, &payload, origin))?;
            return encoded(&value);
        }
        // The bytes as they came: a number keeps all its digits.
        Ok(payload)
    }
}

fn unreadable(path: &str, source: std::io::Error) -> Failure {
    let failure = Failure::io(format!("read the input file {path}"), source);
    Failure { exit: Exit::USAGE, code: "bad_input".into(), ..failure }
}

/// Reads all of it, up to just above what a payload may have: the refusal is the client's.
fn read_all(from: impl std::io::Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    from.take(limits::BLOB_BYTES + 1).read_to_end(&mut bytes).map_err(|source| unreadable(name, source))?;
    Ok(bytes)
}

fn not_json(source: nova_wire::DecodeError, payload: &Payload, origin: &str) -> Failure {
    let code = source.code();
    let error = anyhow::Error::new(source).context(format!("{origin} is not usable as JSON"));
    let failure = Failure::because(Exit::USAGE, code, error);
    let text = String::from_utf8_lossy(&payload.bytes);
    let short = limits::clip(text.trim_end(), 40);
    if origin == "INPUT" && !short.starts_with(['{', '[', '"']) {
        failure
            .help(format!("for a text, quote it as JSON: '{}', or add --string", serde_json::Value::from(short)))
            .help(format!("for a file: @{short}"))
    } else if origin == "INPUT" {
        failure.help("put single quotes around it, so that the shell leaves the double quotes alone")
    } else {
        failure.help("to send it as one JSON string: --string")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(input: &str) -> InputArgs {
        InputArgs { input: Some(input.into()), ..InputArgs::default() }
    }

    #[test]
    fn json_travels_byte_by_byte() {
        let text = r#"{"a": 12345678901234567890.10}"#;
        assert_eq!(args(text).read_blocking().expect("JSON"), Payload::json(text));
        assert_eq!(InputArgs::default().read_blocking().expect("null"), Payload::default());
    }

    #[test]
    fn strings_and_messagepack_are_made_on_request() {
        let string = InputArgs { string: true, ..args("a \"b\"") };
        assert_eq!(string.read_blocking().expect("text"), Payload::json(r#""a \"b\"""#));
        let packed = InputArgs { msgpack: true, ..args(r#"{"a":1}"#) }.read_blocking().expect("JSON");
        assert_eq!((packed.content_type, &packed.bytes[..]), (ContentType::MsgPack, &b"\x81\xa1a\x01"[..]));
    }

    #[test]
    fn what_is_no_json_says_how_to_quote_it() {
        let failure = args("hello").read_blocking().expect_err("no JSON");
        assert_eq!((failure.exit, failure.code.as_str()), (Exit::USAGE, "bad_input"));
        assert!(failure.help[0].contains(r#"'"hello"'"#), "{:?}", failure.help);
        assert!(args("{a:1}").read_blocking().expect_err("no JSON").help[0].contains("single quotes"));
        let deep = args(&"[".repeat(5000)).read_blocking().expect_err("too deep");
        assert_eq!(deep.code, "too_deep");
        assert!(args("@/does/not/exist").read_blocking().is_err());
    }
}
