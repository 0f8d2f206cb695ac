//! The inputs of the workers that come with Nova, and what the world answers them.

use std::sync::LazyLock;

use hyper::header::{HeaderMap, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use nova_http::input::Request;
use nova_http::policy::{Network, Policy};
use nova_http::redirect::{Downgrade, follow};
use nova_http::{HttpConfig, Input};
use nova_list_files::{Input as ListInput, Roots};
use nova_shell::request::admit;

use super::{Bounds, Held, Target, as_text, holds, read, refused, same};

pub const SHELL: Target = Target {
    name: "shell",
    about: "a shell task: what is admitted is allowed by the deployment, within its limits",
    run: shell,
    words: &[
        "\"argv\":[\"true\"",
        "\"sh\"",
        "\"-c\"",
        "\"stdin\":",
        "\"stdin_encoding\":\"base64\"",
        "\"env\":{\"LD_PRELOAD\":\"a\"}",
        "\"cwd\":\"/\"",
        "../",
        "\"limits\":{",
        "\"wall_secs\":",
        "\"cpu_secs\":",
        "\"memory_bytes\":",
        "\"processes\":",
        "1e308",
        "-1",
        "\\u0000",
        "/bin/true",
    ],
    longest: 4096,
    tries: 1500,
    bounds: Bounds::USUAL,
};

pub const HTTP: Target = Target {
    name: "http",
    about: "an http task: what is checked is a plain http or https call, its headers fit on the wire",
    run: http,
    words: &[
        "\"url\":\"https://example.com/a?b#c\"",
        "http://a:b@c/",
        "http://[::1]/",
        "http://0x7f.1/",
        "\"method\":\"POST\"",
        "\"headers\":{\"a\":\"b\"}",
        "\"Host\":",
        "\"Transfer-Encoding\":",
        "\"body\":{}",
        "\"body_base64\":\"YQ==\"",
        "\"timeout_ms\":",
        "\"max_response_bytes\":",
        "\"redirects\":20",
        "\"expect\":[200]",
        "\\r\\n",
        "\\u0000",
        "xn--",
        "%00",
    ],
    longest: 4096,
    tries: 1500,
    bounds: Bounds { held: (256 * 1024, 512), steps: (1024, 16) },
};

pub const REDIRECT: Target = Target {
    name: "redirect",
    about: "the Location of a redirect: what is followed could have been asked for, and carries no secret elsewhere",
    run: redirect,
    words: &[
        "http://",
        "https://",
        "//",
        "/../",
        "?",
        "#",
        "javascript:",
        "@",
        ":80",
        "[::1]",
        "\\",
        "%2e%2e",
        "file:///",
        "example.com",
    ],
    longest: 2048,
    tries: 2500,
    bounds: Bounds::USUAL,
};

pub const NETWORK: Target = Target {
    name: "network",
    about: "networks and hosts of a deployment: a network holds its own base, a policy of it is made",
    run: network,
    words: &[
        "10.0.0.0/8",
        "::/0",
        "fd00::/8",
        "/32",
        "/128",
        "/255",
        "::ffff:1.2.3.4",
        "*.example.com",
        ".",
        "0.0.0.0",
    ],
    longest: 128,
    tries: 3000,
    bounds: Bounds::USUAL,
};

pub const LIST: Target = Target {
    name: "list",
    about: "a list-files task: whatever its path says, what is listed lies below the root",
    run: list,
    words: &["\"path\":\"", "../", "/", "./", "src", "//", "\\u0000", "\"max_file_bytes\":", "/proc/self/root"],
    longest: 1024,
    tries: 1500,
    bounds: Bounds::USUAL,
};

static SHELL_SETTINGS: LazyLock<nova_shell::config::Settings> = LazyLock::new(|| {
    let config = nova_shell::config::Config {
        allowed: vec!["true".to_owned(), "/bin/sh".to_owned()],
        cwd_roots: vec![env!("CARGO_MANIFEST_DIR").into()],
        ..Default::default()
    };
    config.check().expect("the settings make sense")
});

fn shell(bytes: &[u8]) -> Held {
    let request = match serde_json::from_slice(bytes) {
        Ok(request) => request,
        Err(error) => return refused(error),
    };
    let settings = &*SHELL_SETTINGS;
    match admit(settings, request) {
        Ok((spec, limits)) => {
            same("limits and the most of them", &limits.at_most(&settings.maximum), &limits)?;
            holds("a limit lasts", !limits.wall.is_zero())?;
            let is_listed =
                settings.config.allowed.iter().any(|one| *one == spec.argv[0] || spec.program.ends_with(one));
            holds("only what is allowed runs", is_listed)?;
            holds("it runs below the root", spec.cwd.starts_with(&settings.config.cwd_roots[0]))?;
            holds("it is no way around that", !spec.env.keys().any(|name| name.starts_with("LD_")))?;
            read("admitted")
        }
        Err(refusal) => {
            holds("a refusal has a code", !refusal.code().is_empty())?;
            refused(refusal)
        }
    }
}

static HTTP_CONFIG: LazyLock<HttpConfig> = LazyLock::new(HttpConfig::default);

fn plain(request: &Request) -> Result<(), String> {
    let url = &request.url;
    holds("it is http or https", matches!(url.scheme(), "http" | "https"))?;
    holds("it names a host and no user", url.has_host() && url.username().is_empty() && url.password().is_none())?;
    holds("it stands on one line", !url.as_str().contains(|c: char| c.is_control() || c == ' '))?;
    holds("it leaves the connection to the worker", !request.headers.contains_key("host"))
}

fn http(bytes: &[u8]) -> Held {
    let input: Input = match serde_json::from_slice(bytes) {
        Ok(input) => input,
        Err(error) => return refused(error),
    };
    match input.check(&HTTP_CONFIG, "key") {
        Ok(call) => {
            plain(&call.request)?;
            holds("it has some time, and an end", !call.timeout.is_zero() && call.redirects <= 20)?;
            holds(
                "no more is read than the deployment allows",
                call.max_response_bytes <= HTTP_CONFIG.max_response_bytes,
            )?;
            read(call.request.method.as_str())
        }
        Err(error) => refused(error),
    }
}

static SENT: LazyLock<Request> = LazyLock::new(|| {
    let input =
        r#"{"url": "https://example.com/a/b?c", "method": "POST", "headers": {"authorization": "s"}, "body": "x"}"#;
    let input: Input = serde_json::from_str(input).expect("an input");
    input.check(&HTTP_CONFIG, "key").expect("a call").request
});

fn redirect(bytes: &[u8]) -> Held {
    let mut headers = HeaderMap::new();
    let Ok(location) = HeaderValue::from_bytes(bytes) else { return refused("no value of a header") };
    headers.insert(LOCATION, location);
    let mut told = "followed";
    for status in [StatusCode::MOVED_PERMANENTLY, StatusCode::SEE_OTHER, StatusCode::TEMPORARY_REDIRECT] {
        match follow(&SENT, status, &headers, Downgrade::Refused) {
            Ok(next) => {
                plain(&next)?;
                same("the scheme", next.url.scheme(), "https")?;
                let is_same = next.url.origin() == SENT.url.origin();
                holds("no secret goes elsewhere", is_same || !next.headers.contains_key("authorization"))?;
                holds("what became a GET has no body", next.method != Method::GET || next.body.is_empty())?;
                told = if is_same { "followed" } else { "followed elsewhere" };
            }
            Err(error) => return refused(error),
        }
    }
    read(told)
}

fn network(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    let parsed: Result<Network, _> = text.parse();
    let config = HttpConfig {
        allow_networks: vec![text.clone()],
        allow_hosts: vec![text.clone()],
        deny_hosts: vec!["example.org".to_owned()],
        ..HttpConfig::default()
    };
    same("a network and a policy of it", &Policy::new(&config).is_ok(), &parsed.is_ok())?;
    let hosts = Policy::new(&HttpConfig { allow_networks: Vec::new(), ..config }).map_err(|error| error.to_string())?;
    holds("a host that is denied stays so", !hosts.host("example.org") && !hosts.host("EXAMPLE.ORG."))?;
    let _ = hosts.host(&text);
    match parsed {
        Ok(network) => {
            let base = text.split('/').next().unwrap_or_default();
            let base = base.parse().map_err(|error| format!("its base: {error}"))?;
            holds("a network holds its base", network.contains(base))?;
            read("network")
        }
        Err(error) => refused(error),
    }
}

static ROOTS: LazyLock<Roots> = LazyLock::new(|| {
    let roots = vec![env!("CARGO_MANIFEST_DIR").into()];
    Roots::new(&nova_list_files::Config { roots, ..Default::default() }).expect("the root is there")
});

fn list(bytes: &[u8]) -> Held {
    let input: ListInput = match serde_json::from_slice(bytes) {
        Ok(input) => input,
        Err(error) => return refused(error),
    };
    match ROOTS.resolve(&input.path) {
        Ok(folder) => {
            let root = std::fs::canonicalize(env!("CARGO_MANIFEST_DIR")).map_err(|error| error.to_string())?;
            holds("what is listed lies below the root", folder.starts_with(root))?;
            read("a folder")
        }
        Err(refusal) => refused(refusal),
    }
}
