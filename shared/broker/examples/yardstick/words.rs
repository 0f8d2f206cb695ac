//! What both yardsticks share: the connection, the words of a task, and how the benchmark speaks to them.

use std::io::Write as _;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, HeaderMap};
use nova_types::{Skill, TaskId};
use nova_wire::name;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A task's input of 128 bytes.
pub fn body() -> bytes::Bytes {
    bytes::Bytes::from(format!("{{\"text\":\"{}\"}}", "x".repeat(128 - 11)))
}

/// The id of the task with this number, as long as a UUID.
pub fn task(run: u32, number: u64) -> TaskId {
    format!("yardstick.{run:08x}-{number:027}").parse().expect("digits and a dash make a name")
}

/// The header of a submit: its dedupe key.
pub fn submit_headers(id: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name::MSG_ID, id);
    headers
}

/// The record of a task, and the condition that makes it the only one.
pub fn outcome_headers(skill: &Skill, id: &str, nonce: u64) -> (HeaderMap, HeaderMap) {
    let now = now_ms();
    let outcome = format!(
        "completed;task=\"{id}\";skill=\"{skill}\";attempt=1;worker=\"yardstick\";nonce=\"{nonce}\";submitted={now};started={now};finished={now}"
    );
    let mut told = HeaderMap::new();
    told.insert(name::OUTCOME, outcome.as_str());
    let mut stored = told.clone();
    stored.insert(name::EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
    (stored, told)
}

#[expect(clippy::disallowed_methods, reason = "a record tells the time of day")]
fn now_ms() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// Connects with room for what is under way.
pub async fn connect(url: &str) -> Result<Client> {
    Ok(ConnectOptions::new().subscription_capacity(65_536).connect(url).await?)
}

/// What the benchmark asks for, in a line such as `wait 20000 512` or `send 20000 256`.
#[derive(Clone, Copy)]
pub struct Asked {
    /// Whether the end of each task is waited for, too, or only its receipt.
    pub waits: bool,
    pub tasks: usize,
    pub in_flight: usize,
}

impl Asked {
    /// The next line of the input; `None` at its end.
    pub fn next() -> Result<Option<Self>> {
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let [what @ ("wait" | "send"), tasks, in_flight] = words[..] else { return Err("a line is no order".into()) };
        Ok(Some(Self { waits: what == "wait", tasks: tasks.parse()?, in_flight: in_flight.parse()? }))
    }

    /// Answers with the quantiles of the times of single tasks, in microseconds.
    pub fn answer(&self, mut times: Vec<Duration>) -> Result<()> {
        times.sort_unstable();
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).map_or(0, Duration::as_micros);
        let mut out = std::io::stdout().lock();
        writeln!(out, "done {} {} {}", times.len(), at(0.5), at(0.99))?;
        Ok(out.flush()?)
    }
}

/// Says that a worker works.
pub fn ready() -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready")?;
    Ok(out.flush()?)
}

pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "yardstick: {text}");
}
