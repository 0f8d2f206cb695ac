//! Claims about layers, coercion, refusals and the dump.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::SecretRef;

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Echo {
    slots: u16,
    ratio: f64,
    loud: bool,
    name: String,
    tags: Vec<String>,
    ports: Vec<u16>,
    limit: Option<u32>,
    mode: Mode,
    nested: Nested,
    weights: BTreeMap<String, u32>,
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Plain,
    Times(u8),
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Nested {
    depth: u8,
}

impl Default for Echo {
    fn default() -> Self {
        Self {
            slots: 1,
            ratio: 0.5,
            loud: false,
            name: "echo".to_owned(),
            tags: Vec::new(),
            ports: Vec::new(),
            limit: None,
            mode: Mode::Plain,
            nested: Nested::default(),
            weights: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Broker {
    password: SecretRef,
}

fn settings(file: &str, env: &[(&str, &str)], flags: &[&str]) -> Settings {
    try_settings(file, env, flags).unwrap()
}

fn try_settings(file: &str, env: &[(&str, &str)], flags: &[&str]) -> Result<Settings, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nova.toml");
    std::fs::write(&path, file).unwrap();
    Settings::load(Sources {
        file: Some(path),
        env: env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        overrides: flags.iter().map(|&flag| flag.to_owned()).collect(),
    })
}

/// The error of asking for `echo`, without the directory of the file.
fn refusal(file: &str, env: &[(&str, &str)], flags: &[&str]) -> String {
    let outcome = try_settings(file, env, flags).and_then(|settings| {
        settings.section::<Echo>("echo")?;
        settings.finish()
    });
    let error = outcome.unwrap_err();
    assert!(!error.is_transient());
    let text = error.to_string();
    let Some(start) = text.find("file /") else { return text };
    let end = start + text[start..].find("nova.toml").unwrap();
    format!("{}file {}", &text[..start], &text[end..])
}

#[test]
fn upper_layer_wins_key_by_key() {
    let echo = |file: &str, env: &[(&str, &str)], flags: &[&str]| {
        let echo: Echo = settings(file, env, flags).section("echo").unwrap();
        (echo.slots, echo.name)
    };
    let (file, env) = ("[echo]\nslots = 2\nname = 'file'", [("NOVA__ECHO__SLOTS", "3")]);
    assert_eq!(echo("", &[], &[]), (1, "echo".to_owned()));
    assert_eq!(echo(file, &[], &[]), (2, "file".to_owned()));
    assert_eq!(echo(file, &env, &[]), (3, "file".to_owned()));
    assert_eq!(echo(file, &env, &["echo.slots=4", "echo.slots=5"]), (5, "file".to_owned()));
}

#[test]
fn text_becomes_what_the_type_wants() {
    let env = [
        ("NOVA__ECHO__SLOTS", " 8"),
        ("NOVA__ECHO__RATIO", "2"),
        ("NOVA__ECHO__LOUD", "true"),
        ("NOVA__ECHO__NAME", "123"),
        ("NOVA__ECHO__TAGS", "1,two"),
        ("NOVA__ECHO__PORTS", "[1, 2]"),
        ("NOVA__ECHO__LIMIT", "7"),
        ("NOVA__ECHO__MODE", "plain"),
        ("NOVA__ECHO__NESTED__DEPTH", "9"),
        ("NOVA__ECHO__WEIGHTS", "{ a = 1 }"),
        ("NOVA_CONFIG", "no setting"),
    ];
    let settings = settings("", &env, &[]);
    let expect = Echo {
        slots: 8,
        ratio: 2.0,
        loud: true,
        name: "123".to_owned(),
        tags: vec!["1".to_owned(), "two".to_owned()],
        ports: vec![1, 2],
        limit: Some(7),
        mode: Mode::Plain,
        nested: Nested { depth: 9 },
        weights: BTreeMap::from([("a".to_owned(), 1)]),
    };
    assert_eq!(settings.section::<Echo>("echo").unwrap(), expect);
    settings.finish().unwrap();
}

#[test]
fn file_gives_nested_values_and_variants() {
    let file =
        "[echo]\nports = [1, 2]\nmode = { times = 3 }\n[echo.nested]\ndepth = 4\n[echo.weights]\ncode-review = 5";
    let weights = ("NOVA__ECHO__WEIGHTS__CODE_REVIEW", "6");
    let echo: Echo = settings(file, &[weights], &["echo.weights.x=1"]).section("echo").unwrap();
    assert_eq!((echo.ports, echo.mode, echo.nested.depth), (vec![1, 2], Mode::Times(3), 4));
    assert_eq!(echo.weights, BTreeMap::from([("code-review".to_owned(), 6), ("x".to_owned(), 1)]));
}

#[test]
fn dash_of_a_section_is_an_underscore_in_the_environment() {
    let settings =
        settings("[code-review]\nslots = 2", &[("NOVA__CODE_REVIEW__SLOTS", "3")], &["code-review.loud=true"]);
    let echo: Echo = settings.section("code-review").unwrap();
    assert_eq!((echo.slots, echo.loud), (3, true));
    settings.finish().unwrap();
}

#[test]
fn unknown_key_is_named_with_its_origin_and_what_is_allowed() {
    let allowed = "allowed are `slots`, `ratio`, `loud`, `name`, `tags`, `ports`, `limit`, `mode`, `nested`, `weights`";
    let expect = |key: &str, origin: &str| format!("unknown key `{key}` in section `echo`, from {origin}; {allowed}");
    assert_eq!(refusal("[echo]\nslotz = 1", &[], &[]), expect("slotz", "file nova.toml"));
    let env = ("NOVA__ECHO__SLOTZ__A", "1");
    assert_eq!(refusal("", &[env], &[]), expect("slotz", "environment NOVA__ECHO__SLOTZ__A"));
    assert_eq!(refusal("", &[], &["echo.slotz=1"]), expect("slotz", "flag --set echo.slotz"));
    assert_eq!(
        refusal("[echo.nested]\ndeep = 1", &[], &[]),
        "unknown key `nested.deep` in section `echo`, from file nova.toml; allowed are `depth`"
    );
}

#[test]
fn wrong_value_is_named_with_its_origin() {
    assert_eq!(
        refusal("[echo]\nslots = 'many'", &[], &[]),
        "wrong value of key `slots` in section `echo`, from file nova.toml: invalid type: string \"many\", expected u16"
    );
    assert_eq!(
        refusal("[echo.nested]\ndepth = 1", &[("NOVA__ECHO__NESTED__DEPTH", "300")], &[]),
        "wrong value of key `nested.depth` in section `echo`, from environment NOVA__ECHO__NESTED__DEPTH: \
         invalid value: integer `300`, expected u8"
    );
    assert_eq!(
        refusal("", &[], &["echo.mode=loud"]),
        "wrong value of key `mode` in section `echo`, from flag --set echo.mode: \
         unknown variant `loud`, expected `plain` or `times`"
    );
}

#[test]
fn section_nobody_asked_for_is_refused() {
    let expect = |origin: &str| format!("unknown section `ecko`, from {origin}; allowed are `echo`");
    assert_eq!(refusal("[ecko]", &[], &[]), expect("file nova.toml"));
    assert_eq!(refusal("", &[("NOVA__ECKO__A", "1")], &[]), expect("environment NOVA__ECKO__A"));
    assert_eq!(refusal("", &[], &["ecko.a=1"]), expect("flag --set ecko.a"));
}

#[test]
fn what_names_no_setting_is_refused() {
    for (name, start) in [("NOVA__ECHO", "environment"), ("NOVA__ECHO__", "environment"), ("NOVA____A", "environment")]
    {
        assert!(refusal("", &[(name, "1")], &[]).starts_with(start), "{name}");
    }
    for flag in ["echo", "echo=1", "echo.=1", ".slots=1", "echo.slots"] {
        assert!(refusal("", &[], &[flag]).starts_with("--set `"), "{flag}");
    }
    assert!(refusal("slots = 1", &[], &[]).starts_with("key `slots` in settings file"));
    let error = refusal("[echo]\nname = 'hunter2", &[], &[]);
    assert!(error.contains("no TOML at line 2") && !error.contains("hunter2"), "{error}");
    let missing = Sources { file: Some("/no/such/nova.toml".into()), ..Sources::default() };
    assert!(matches!(Settings::load(missing), Err(ConfigError::ReadFile { .. })));
}

#[test]
fn missing_key_says_how_to_set_it() {
    let error = settings("", &[], &[]).section::<Broker>("my-broker").unwrap_err().to_string();
    assert!(error.contains("NOVA__MY_BROKER__PASSWORD") && error.contains("--set my-broker.password="), "{error}");
}

#[test]
fn dump_shows_every_value_with_its_origin() {
    let settings = settings("[echo]\nslots = 2", &[("NOVA__ECHO__LOUD", "true")], &["echo.name=a\nb", "other.x=1"]);
    settings.section_with_defaults::<Nested>("nested").unwrap();
    settings.section::<Echo>("echo").unwrap();
    let dump = settings.dump();
    for line in [
        "loud = true  # environment NOVA__ECHO__LOUD",
        "name = \"a\\nb\"  # flag --set echo.name",
        "# ratio is left at its default",
        "[nested]",
        "depth = 0  # default",
        "[other]",
        "x = 1  # flag --set other.x",
    ] {
        assert!(dump.lines().any(|shown| shown == line), "no `{line}` in\n{dump}");
    }
    assert!(dump.contains("slots = 2  # file /"), "{dump}");
    let again: toml::Table = dump.parse().unwrap();
    assert_eq!(again["echo"]["name"].as_str(), Some("a\nb"));
}

#[test]
fn secret_written_out_by_mistake_never_shows() {
    let file = "[broker]\npassword = 'hunter2'\nurl = 'nats://me:hunter2@host:1,nats://h@x:hunter2@host/a@b'\n\
                list = [{ api_token = 'hunter2' }]\ngood_secret = 'env:PASS'";
    let settings = settings(file, &[], &[]);
    let error = settings.section::<Broker>("broker").unwrap_err().to_string();
    let wrong = settings.section::<BTreeMap<String, SecretRef>>("broker").unwrap_err().to_string();
    let dump = settings.dump();
    for text in [&error, &wrong, &dump, &format!("{settings:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(dump.contains("url = \"nats://***@host:1,nats://***@host/a@b\""), "{dump}");
    assert!(dump.contains("good_secret = \"env:PASS\""), "{dump}");
}

#[test]
fn secret_is_taken_by_reference() {
    let broker: Broker = settings("", &[("NOVA__BROKER__PASSWORD", "env:PASS")], &[]).section("broker").unwrap();
    assert_eq!(broker.password.to_string(), "env:PASS");
}
