//! A fleet with users: the server knows exactly what the permission templates give them, and says what it refuses.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use nova_broker::jetstream::{self, Credentials, Options};
use nova_broker::{BrokerRef, Listener, Message};
use nova_client::Client;
use nova_provision::{Catalogue, access};
use nova_testkit::{NatsServer, wait_until};
use nova_types::{Scope, UnixMillis};

use crate::{Fleet, PATIENCE, provision};

/// One user of every role, and a second worker of another skill.
const USERS: &str = r#"
[users.boss]
role = "operator"
password_env = "PASSWORD_OF_BOSS"
[users.w1]
role = "worker"
skills = ["echo"]
password_env = "PASSWORD_OF_W1"
[users.w2]
role = "worker"
skills = ["shell"]
password_env = "PASSWORD_OF_W2"
[users.c1]
role = "coordinator"
password_env = "PASSWORD_OF_C1"
[users.cli7]
role = "submitter"
scope = "cli7"
password_env = "PASSWORD_OF_CLI7"
[users.v1]
role = "viewer"
password_env = "PASSWORD_OF_V1"
"#;

fn variable(user: &str) -> String {
    format!("PASSWORD_OF_{}", user.to_uppercase())
}

fn password(user: &str) -> String {
    format!("secret-of-{user}")
}

/// A connection as one of the users.
pub struct Login {
    /// The connection.
    pub broker: BrokerRef,
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Login {
    /// Everything the server complained of, in lower case.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client whose tasks are in a scope.
    #[must_use]
    pub fn client(&self, scope: &str) -> Client {
        Client::new(self.broker.clone(), Scope::new(scope).expect("a valid scope"))
    }

    /// Publishes a message and waits for the server to complain of it.
    pub async fn publish_is_denied(&self, message: Message) {
        let subject = message.subject.clone();
        self.broker.tell(message).await.expect("the connection is up");
        self.complains(format!("permissions violation for publish to \"{subject}\"")).await;
    }

    /// Subscribes, waits for the server to complain of it, and returns the deaf subscription.
    pub async fn listen_is_denied(&self, subject: &str) -> Listener {
        let listener = self.broker.listen(subject.to_owned(), None).await.expect("the connection is up");
        self.complains(format!("permissions violation for subscription to \"{subject}\"")).await;
        listener
    }

    /// Waits until what the server sent before is here, then says whether the subscription got anything.
    pub async fn heard(&self, listener: &mut Listener) -> Option<Message> {
        use futures_util::StreamExt as _;
        self.broker.flush().await.expect("the server answers");
        listener.next().now_or_never().flatten()
    }

    async fn complains(&self, words: String) {
        let words = words.to_lowercase();
        wait_until(format!("the complaint `{words}`"), PATIENCE, || async {
            self.complaints().iter().any(|said| said.contains(&words)).then_some(())
        })
        .await;
    }
}

impl Fleet {
    /// Starts a server with one user of every role; the operator provisions it.
    pub async fn with_users() -> Self {
        let fleet = access::Fleet::parse("fleet.toml", USERS, &Catalogue::built_in()).expect("well formed");
        let server = fleet.users.iter().fold(NatsServer::builder().config(fleet.to_config()), |server, user| {
            server.env(variable(user.name.as_str()), password(user.name.as_str()))
        });
        let server = server.start();
        let broker = login(&server.url(), "boss").await.broker;
        provision(&broker).await;
        Self { server, broker, processes: Vec::new() }
    }

    /// Connects as one of the users.
    pub async fn login(&self, user: &str) -> Login {
        login(&self.server.url(), user).await
    }

    /// Starts one of our binaries as one of the users; its id is the user's name, because its inbox is.
    pub fn spawn_as(&mut self, program: &str, user: &str, env: &[(&str, &str)]) -> usize {
        let reference = format!("env:{}", variable(user));
        let (variable, password) = (variable(user), password(user));
        let mut all = vec![
            ("NOVA__NATS__USER", user),
            ("NOVA__NATS__PASSWORD", &*reference),
            (&*variable, &*password),
            if program == "nova-coordinator" { ("NOVA__COORDINATOR__ID", user) } else { ("NOVA__WORKER__ID", user) },
        ];
        all.extend_from_slice(env);
        self.spawn(program, "", &all)
    }

    /// Waits until a coordinator answers for the fleet.
    pub async fn coordinates(&self) {
        wait_until("a coordinator to answer", PATIENCE, || async {
            let ping = Message::new("$SRV.PING.nova-coordinator", "");
            self.broker.ask(ping, Duration::from_secs(1)).await.ok()
        })
        .await;
    }

    /// Everything that can be changed on the broker, as text: streams with their counts, consumers with their positions.
    pub async fn snapshot(&self) -> String {
        let mut all = BTreeMap::new();
        for stream in self.broker.streams(String::new()).await.expect("an operator reads streams") {
            let name = stream.spec.name.clone();
            let mut text = format!("{stream:?}");
            for mut consumer in self.broker.consumers(name.clone()).await.expect("an operator reads consumers") {
                consumer.now = UnixMillis(0);
                write!(text, "\n  {consumer:?}").expect("writing to a String cannot fail");
            }
            all.insert(name, text);
        }
        all.into_values().collect::<Vec<_>>().join("\n")
    }

    /// Every line of the processes that tells of a permission that lacked.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let said = self.processes.iter().flat_map(nova_testkit::Process::stderr);
        said.filter(|line| line.to_lowercase().contains("permissions violation")).collect()
    }
}

async fn login(url: &str, user: &str) -> Login {
    let complaints: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&complaints);
    let options = Options {
        credentials: Credentials::UserPassword { user: user.to_owned(), password: password(user) },
        on_complaint: Some(Arc::new(move |said: &str| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(said.to_lowercase());
        })),
        ..Options::new(url, user)
    };
    let broker = Arc::new(jetstream::connect(options).await.expect("the user is known"));
    Login { broker, complaints }
}
