//! Where the fleet is and who we are there: flags, environment, the nats CLI's contexts, a running `nova dev`.
//!
//! The nats CLI's files are only ever read. Secrets come from them or from the environment, never from arguments: those
//! are seen by every user of a machine. A context that is merely *selected* counts only when no server is named, so that
//! its secrets never travel to a server they are not meant for.

mod context;
mod resolve;

use std::sync::Arc;

use nova_broker::jetstream::JetStream;
use nova_broker::{BrokerError, jetstream};
use nova_types::{Name, Scope};

pub(crate) use resolve::{Target, resolve};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;

/// Which fleet is meant.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The NATS servers, separated by commas [env: NATS_URL]
    #[arg(long, short = 's', global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// A context of the nats CLI [env: NATS_CONTEXT]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The scope of your tasks' ids [env: NOVA_SCOPE] [default: a random one]
    #[arg(long, global = true, value_name = "SCOPE")]
    pub(crate) scope: Option<Scope>,
    /// The user whose inbox answers come to, where permissions ask for it [env: NOVA_USER] [default: the NATS user]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<Name>,
}

/// What the process was told from outside.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Connects to a target.
///
/// # Errors
/// A failure that says which address was tried, where it came from, and how to start a fleet of one's own.
pub(crate) async fn connect(target: &Target, out: &Out) -> Result<JetStream, Failure> {
    let complaints = out.clone();
    let options = jetstream::Options {
        credentials: target.credentials.clone(),
        tls_ca: target.tls_ca.clone(),
        tls_client: target.tls_client.clone(),
        on_complaint: Some(Arc::new(move |complaint: &str| complaints.warn(format!("the server says: {complaint}")))),
        ..jetstream::Options::new(&target.url, &target.name)
    };
    match jetstream::connect(options).await {
        Ok(jetstream) => Ok(jetstream),
        Err(error @ BrokerError::OldServer { .. }) => Err(error.into()),
        Err(error) => {
            let causes = crate::failure::chain(&error).split_off(1).join(": ");
            let message = format!("could not connect to {}, {}: {causes}", shown(&target.url), target.origin);
            let failure = Failure::new(Exit::FAILURE, "connect", message);
            let is_refused = ["authorization", "permission", "nkey", "jwt", "credential"]
                .iter()
                .any(|word| causes.to_ascii_lowercase().contains(word));
            Err(if is_refused {
                failure.help("the server is there but does not know you: check the context, or NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_CREDS")
            } else {
                failure
                    .help("start a fleet on this machine: nova dev")
                    .help("or say where one is: --server URL, --context NAME, NATS_URL")
            })
        }
    }
}

/// An address without what proves who we are.
pub(crate) fn shown(url: &str) -> String {
    let one = |url: &str| match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        _ => url.to_owned(),
    };
    url.split(',').map(|url| one(url.trim())).collect::<Vec<_>>().join(",")
}
