//! Which of all sources says where the fleet is: a decision over flags, environment and files.

use std::path::PathBuf;

use nova_broker::jetstream::Credentials;
use nova_types::Scope;

use super::context::{self, NatsContext, expand};
use super::{ConnectionArgs, shown};
use crate::devfile;
use crate::exit::Exit;
use crate::failure::Failure;

/// Where we connect when nothing says otherwise.
const DEFAULT_URL: &str = "nats://127.0.0.1:4222";

/// A fleet to connect to.
#[derive(Clone)]
pub(crate) struct Target {
    /// The servers.
    pub(crate) url: String,
    /// Where that came from, to go on after "could not connect to ...,".
    pub(crate) origin: String,
    /// Names the connection and its inbox.
    pub(crate) name: String,
    /// The scope of the tasks, where one was asked for.
    pub(crate) scope: Option<Scope>,
    /// Who we are.
    pub(crate) credentials: Credentials,
    /// Certificates to trust.
    pub(crate) tls_ca: Option<PathBuf>,
    /// A certificate and its key.
    pub(crate) tls_client: Option<(PathBuf, PathBuf)>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = shown(&self.url);
        f.debug_struct("Target").field("url", &url).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Decides where to connect.
///
/// The most explicit source wins: `--server`, `--context`, `NATS_URL`, `NATS_CONTEXT`, the selected context, a running
/// `nova dev`, the default address.
///
/// # Errors
/// A failure that names the source which cannot be used.
pub(crate) fn resolve(args: &ConnectionArgs, env: &dyn Fn(&str) -> Option<String>) -> Result<Target, Failure> {
    if args.server.as_deref().is_some_and(|url| url.contains('@')) {
        let message = "the address given with --server holds a user or a secret, and arguments are seen by everyone";
        return Err(Failure::usage(message).help("put it into NATS_URL, or use NATS_USER and NATS_PASSWORD"));
    }
    let (context, context_origin) = match (&args.context, env("NATS_CONTEXT")) {
        (Some(name), _) => (Some(context::read(name, env)?), format!("from context `{name}` (--context)")),
        (None, _) if args.server.is_some() || env("NATS_URL").is_some() => (None, String::new()),
        (None, Some(name)) => (Some(context::read(&name, env)?), format!("from context `{name}` (NATS_CONTEXT)")),
        (None, None) => match context::selected(env) {
            Some(name) => (Some(context::read(&name, env)?), format!("from the selected nats context `{name}`")),
            None => (None, String::new()),
        },
    };
    let of_context = context.as_ref().map(|context| context.url.clone()).filter(|url| !url.is_empty());
    let (url, origin) = match (&args.server, of_context, env("NATS_URL")) {
        (Some(url), ..) => (url.clone(), "given with --server".to_owned()),
        (None, Some(url), _) => (url, context_origin),
        (None, None, Some(url)) => (url, "from NATS_URL".to_owned()),
        (None, None, None) => match devfile::read(env) {
            Some(dev) => (dev.nats, format!("where `nova dev` (pid {}) says it runs", dev.pid)),
            None => (DEFAULT_URL.to_owned(), "the default, as nothing is configured and no `nova dev` runs".to_owned()),
        },
    };
    let context = context.unwrap_or_default();
    let credentials = credentials(&context, env)?;
    let scope = match (&args.scope, env("NOVA_SCOPE")) {
        (Some(scope), _) => Some(scope.clone()),
        (None, Some(text)) => {
            Some(Scope::new(text).map_err(|error| Failure::usage(format!("NOVA_SCOPE cannot be used: {error}")))?)
        }
        (None, None) => None,
    };
    let path = |own: &str, variable: &str| {
        let given = env(variable).or_else(|| Some(own.to_owned()).filter(|path| !path.is_empty()));
        given.map(|path| expand(&path, env))
    };
    let tls_client = match (path(&context.cert, "NATS_CERT"), path(&context.key, "NATS_KEY")) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => {
            return Err(Failure::usage(
                "a client certificate and its key are only of use together (NATS_CERT, NATS_KEY)",
            ));
        }
    };
    let name = connection_name(args, &context, &credentials, env);
    Ok(Target { url, origin, name, scope, credentials, tls_ca: path(&context.ca, "NATS_CA"), tls_client })
}

/// Who we are: the environment over the context, and there as the nats CLI ranks them.
fn credentials(context: &NatsContext, env: &dyn Fn(&str) -> Option<String>) -> Result<Credentials, Failure> {
    let from_environment = NatsContext {
        user: env("NATS_USER").unwrap_or_default(),
        password: env("NATS_PASSWORD").unwrap_or_default(),
        token: env("NATS_TOKEN").unwrap_or_default(),
        creds: env("NATS_CREDS").unwrap_or_default(),
        nkey: env("NATS_NKEY").unwrap_or_default(),
        ..NatsContext::default()
    };
    for from in [&from_environment, context] {
        if !from.creds.is_empty() {
            return Ok(Credentials::File(expand(&from.creds, env)));
        }
        if !from.nkey.is_empty() {
            return seed(&from.nkey, env).map(Credentials::NKey);
        }
        if !from.token.is_empty() {
            return Ok(Credentials::Token(from.token.clone()));
        }
        if !from.user.is_empty() && from.password.is_empty() {
            // The nats CLI's own rule: a user without a password is a token.
            return Ok(Credentials::Token(from.user.clone()));
        }
        if !from.user.is_empty() {
            return Ok(Credentials::UserPassword { user: from.user.clone(), password: from.password.clone() });
        }
    }
    Ok(Credentials::None)
}

fn seed(path: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Failure> {
    let path = expand(path, env);
    let text = std::fs::read_to_string(&path)
        .map_err(|source| Failure::io(format!("read the nkey file {}", path.display()), source))?;
    let line = text.lines().map(str::trim).find(|line| line.starts_with('S'));
    line.map(ToOwned::to_owned).ok_or_else(|| {
        Failure::new(
            Exit::USAGE,
            "bad_nkey",
            format!("{} holds no nkey seed (a line that begins with S)", path.display()),
        )
    })
}

/// The inbox `_INBOX_<name>` that permission templates grant to a user.
fn connection_name(
    args: &ConnectionArgs,
    context: &NatsContext,
    credentials: &Credentials,
    env: &dyn Fn(&str) -> Option<String>,
) -> String {
    let fits = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let asked = args.user.as_ref().map(ToString::to_string).or_else(|| env("NOVA_USER"));
    let of_context = context.inbox_prefix.strip_prefix("_INBOX_").map(ToOwned::to_owned);
    let of_user = match credentials {
        Credentials::UserPassword { user, .. } => Some(user.clone()),
        _ => None,
    };
    let found = [asked, of_context, of_user].into_iter().flatten().find(|name| fits(name));
    found.unwrap_or_else(|| "nova-cli".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use super::*;

    struct World {
        home: tempfile::TempDir,
        variables: HashMap<String, String>,
    }

    impl World {
        fn new() -> Self {
            let home = tempfile::tempdir().expect("a folder");
            let variables =
                ["HOME", "XDG_RUNTIME_DIR"].map(|name| (name.to_owned(), home.path().display().to_string()));
            Self { home, variables: variables.into() }
        }

        fn set(mut self, name: &str, value: &str) -> Self {
            self.variables.insert(name.to_owned(), value.to_owned());
            self
        }

        fn file(self, path: &str, text: &str) -> Self {
            let path = self.home.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, text).expect("written");
            self
        }

        fn context(self, name: &str, json: &str) -> Self {
            self.file(&format!(".config/nats/context/{name}.json"), json)
        }

        fn resolve(&self, args: ConnectionArgs) -> Result<Target, Failure> {
            resolve(&args, &|name| self.variables.get(name).cloned())
        }

        #[track_caller]
        fn check(&self, args: ConnectionArgs, url: &str, origin: &str) -> Target {
            let target = self.resolve(args).expect("it can be used");
            assert_eq!(target.url, url);
            assert!(target.origin.contains(origin), "{}", target.origin);
            target
        }
    }

    fn server(url: &str) -> ConnectionArgs {
        ConnectionArgs { server: Some(url.into()), ..ConnectionArgs::default() }
    }

    fn named(context: &str) -> ConnectionArgs {
        ConnectionArgs { context: Some(context.into()), ..ConnectionArgs::default() }
    }

    #[test]
    fn the_most_explicit_source_wins() {
        let world = World::new();
        world.check(ConnectionArgs::default(), DEFAULT_URL, "the default");
        let dev = format!(r#"{{"nats":"nats://dev","pid":{}}}"#, std::process::id());
        let world = world.file("nova/dev.json", &dev);
        world.check(ConnectionArgs::default(), "nats://dev", "nova dev");
        let world = world.context("one", r#"{"url":"nats://one","user":"u","password":"p"}"#);
        let world = world.file(".config/nats/context.txt", "one\n");
        let target = world.check(ConnectionArgs::default(), "nats://one", "selected nats context `one`");
        assert_eq!(target.name, "u");
        let world = world.context("two", r#"{"url":"nats://two"}"#).set("NATS_CONTEXT", "two");
        world.check(ConnectionArgs::default(), "nats://two", "NATS_CONTEXT");
        let world = world.set("NATS_URL", "nats://env");
        world.check(ConnectionArgs::default(), "nats://env", "NATS_URL");
        world.check(named("one"), "nats://one", "--context");
        world.check(server("nats://flag"), "nats://flag", "--server");
    }

    #[test]
    fn a_selected_contexts_secrets_stay_with_its_server() {
        let world = World::new()
            .context("one", r#"{"url":"nats://one","user":"u","password":"p"}"#)
            .file(".config/nats/context.txt", "one");
        let target = world.check(server("nats://other"), "nats://other", "--server");
        assert!(matches!(target.credentials, Credentials::None));
        let both = ConnectionArgs { server: Some("nats://other".into()), ..named("one") };
        let target = world.check(both, "nats://other", "--server");
        assert!(matches!(target.credentials, Credentials::UserPassword { .. }));
    }

    #[test]
    fn the_environment_says_who_we_are() {
        let world = World::new().set("NATS_TOKEN", "t").context("one", r#"{"creds":"~/x.creds","ca":"~/ca.pem"}"#);
        assert!(
            matches!(world.resolve(named("one")).expect("used").credentials, Credentials::Token(token) if token == "t")
        );
        let world = World::new().context("one", r#"{"creds":"~/x.creds","ca":"~/ca.pem"}"#);
        let target = world.resolve(named("one")).expect("used");
        let home = world.home.path();
        assert!(matches!(target.credentials, Credentials::File(path) if path == home.join("x.creds")));
        assert_eq!(target.tls_ca.as_deref(), Some(home.join("ca.pem").as_path() as &Path));
        let world = World::new().file("k.nk", "# mine\nSUABC\n").set("NATS_NKEY", "~/k.nk").set("NOVA_USER", "ann");
        let target = world.resolve(ConnectionArgs::default()).expect("used");
        assert!(matches!(target.credentials, Credentials::NKey(seed) if seed == "SUABC"));
        assert_eq!(target.name, "ann");
    }

    #[track_caller]
    fn check_refused(world: &World, args: ConnectionArgs, exit: Exit, word: &str) {
        let failure = world.resolve(args).expect_err("it cannot be used");
        assert_eq!(failure.exit, exit, "{failure:?}");
        assert!(failure.lines().join(" ").contains(word), "{failure:?}");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let world = World::new().context("bad", "{").context("jwt", r#"{"user_jwt":"x"}"#);
        check_refused(&world, named("none"), Exit::NOT_FOUND, "none.json");
        check_refused(&world, named("bad"), Exit::USAGE, "bad.json");
        check_refused(&world, named("jwt"), Exit::USAGE, "user_jwt");
        check_refused(&world, server("nats://u:secret@h"), Exit::USAGE, "--server");
        check_refused(&world.set("NATS_CERT", "c"), ConnectionArgs::default(), Exit::USAGE, "NATS_KEY");
    }

    #[test]
    fn a_dead_dev_is_passed_over() {
        // No process has this id: it is above the largest the kernel gives.
        let world = World::new().file("nova/dev.json", r#"{"nats":"nats://dev","pid":2000000000}"#);
        world.check(ConnectionArgs::default(), DEFAULT_URL, "the default");
    }
}
