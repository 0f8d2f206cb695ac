//! Files of an operator: settings, the catalogue of skills, the users of a fleet.

use std::cell::RefCell;
use std::io::{Seek as _, Write as _};

use nova_provision::access::Fleet;
use nova_provision::{ByteText, Catalogue};
use nova_runtime::config::{Settings, Sources};
use nova_runtime::http::HttpConfig as Serve;
use tempfile::NamedTempFile;

use super::{Bounds, Held, Target, as_text, holds, read, refused, same};

pub const CONFIG: Target = Target {
    name: "config",
    about: "settings: a file, and behind a line of dashes variables and flags; what is dumped is TOML again",
    run: config,
    words: &[
        "[serve]\n",
        "listen = \"127.0.0.1:0\"\n",
        "[http]\n",
        "allow_networks = [\"10.0.0.0/8\"]\n",
        "\n---\n",
        "NOVA__SERVE__LISTEN=",
        "NOVA__HTTP__TIMEOUT_MS=1",
        "http.timeout_ms=",
        "http.allow_hosts=a,b",
        "[a, b]",
        "{a = 1}",
        "[[",
        "]]",
        "\"\"\"",
        "'''",
        "a.b.c=1",
        "__",
        "nan",
        "inf",
        "true",
        "1979-05-27",
        "9223372036854775807",
    ],
    longest: 2048,
    tries: 800,
    bounds: Bounds { held: (256 * 1024, 2048), steps: (4096, 64) },
};

pub const CATALOGUE: Target = Target {
    name: "catalogue",
    about: "a catalogue of skills: read or refused at a place in its file",
    run: catalogue,
    words: &[
        "echo = {}\n",
        "lease = \"30s\"",
        "timeout = \"5m\"",
        "max_attempts = 3",
        "backoff = \"1s..5m\"",
        "costly = true",
        "keyed = ",
        "rate = \"100/s\"",
        "max_bytes = \"1GiB\"",
        "history = ",
        "18446744073709551615GiB",
        "nova-run = {}",
        "\"\" = {}",
        "[echo]\n",
    ],
    longest: 1024,
    tries: 1200,
    bounds: Bounds { held: (128 * 1024, 2048), steps: (2048, 64) },
};

pub const FLEET: Target = Target {
    name: "fleet",
    about: "the users of a fleet: read and written as the server's configuration, or refused",
    run: fleet,
    words: &[
        "[users.a]\n",
        "role = \"worker\"\n",
        "skills = [\"echo\"]\n",
        "scope = \"a\"\n",
        "password_env = \"P\"\n",
        "password_hash = \"$2a$\"\n",
        "nkey = \"U\"\n",
        "\"submitter\"",
        "\"operator\"",
        "\"viewer\"",
        "\"coordinator\"",
        "*",
        ">",
        "\\\"",
        "\\n",
        "$",
    ],
    longest: 1024,
    tries: 1200,
    bounds: Bounds { held: (128 * 1024, 4096), steps: (4096, 128) },
};

thread_local! {
    /// Where the settings' file of this thread is; gone with it.
    static FILE: RefCell<Option<NamedTempFile>> = const { RefCell::new(None) };
}

/// Writes the file anew, and says where it is.
fn written(text: &str) -> std::io::Result<std::path::PathBuf> {
    FILE.with_borrow_mut(|file| {
        let file = match file {
            Some(file) => file,
            None => file.insert(NamedTempFile::new()?),
        };
        file.as_file().set_len(0)?;
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        Ok(file.path().to_owned())
    })
}

fn config(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    let (file, rest) = text.split_once("\n---\n").unwrap_or((&text, ""));
    let (mut env, mut overrides) = (Vec::new(), Vec::new());
    for line in rest.lines() {
        match line.split_once('=') {
            Some((name, value)) if name.starts_with("NOVA__") => env.push((name.to_owned(), value.to_owned())),
            _ => overrides.push(line.to_owned()),
        }
    }
    let file = written(file).map_err(|error| format!("no file can be written: {error}"))?;
    let settings = match Settings::load(Sources { file: Some(file), env, overrides }) {
        Ok(settings) => settings,
        Err(error) => return refused(error),
    };
    let serve = settings.section_with_defaults::<Serve>("serve");
    let http = settings.section_with_defaults::<nova_http::HttpConfig>("http");
    let _ = settings.section::<nova_shell::config::Config>("shell");
    let rest = settings.finish();
    let _ = settings.dump();
    if let Ok(serve) = &serve {
        let _ = serve.address();
    }
    match (serve, http, rest) {
        (Ok(_), Ok(_), Ok(())) => read("settings"),
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => refused(error),
    }
}

fn catalogue(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    if let Ok(bytes) = text.parse::<ByteText>() {
        same("a size written", &bytes.to_string().parse(), &Ok(bytes))?;
    }
    match Catalogue::parse("skills.toml", &text) {
        Ok(catalogue) => {
            holds("no skill is Nova's own", !catalogue.skills().any(|skill| skill.as_str() == nova_types::RUN_SKILL))?;
            read(format!("{} skills", catalogue.iter().count().min(4)))
        }
        Err(error) => {
            holds("a mistake has a place", error.to_string().starts_with("skills.toml"))?;
            refused(error)
        }
    }
}

fn fleet(bytes: &[u8]) -> Held {
    match Fleet::parse("fleet.toml", &as_text(bytes), &Catalogue::built_in()) {
        Ok(fleet) => {
            let text = fleet.to_config();
            holds("the configuration is closed", text.matches('{').count() >= 1)?;
            read("fleet")
        }
        Err(error) => refused(error),
    }
}
