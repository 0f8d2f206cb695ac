//! Others that run tasks, beside Nova: the same task that does nothing, in the same run.

use std::time::{Duration, Instant};

use nova_testkit::Process;

use crate::bed::{Bed, NOOP};
use crate::cases::noop;
use crate::load::IN_FLIGHT;
use crate::meter::measure;
use crate::mode::Mode;
use crate::peer::{Asked, Measured, Peer};
use crate::row::{Bound, Row};
use crate::sample::{Rounds, Times};

pub const NAME: &str = "peers";
pub const ABOUT: &str = "a whole task that does nothing, done by others: submit, run, result stored, submitter told";
pub const NOTE: &str = "512 tasks of 128 bytes under way, 3 rounds with Nova in turn, each of them 6 s at most; then the time of \
                        single tasks. Each peer is set up as its documentation recommends for two cores, with results that \
                        survive a killed broker, and started for each round: tests/bench/peers says how. `noop/x` is Nova to x, \
                        round by round.";

/// Those with a bound first: they must not lack the time.
const PEERS: &[Peer] = &[
    Peer { name: "celery", at_least: Some(100.0), left_out: None },
    Peer { name: "taskiq-nats", at_least: Some(40.0), left_out: None },
    Peer { name: "restate", at_least: Some(40.0), left_out: Some(RESTATE_ASKS) },
    Peer { name: "bullmq", at_least: Some(6.0), left_out: None },
    Peer { name: "asynq", at_least: None, left_out: None },
    Peer { name: "river", at_least: None, left_out: None },
    Peer { name: "temporal", at_least: None, left_out: None },
];
/// Its source knows no way around that: `disable-telemetry` is for other requests.
const RESTATE_ASKS: &str =
    "its server asks the internet for a newer version at each start, and no setting keeps it from that";
/// Names the peers to measure, with commas between, those left out otherwise among them.
const ASKED_FOR: &str = "PEERS";

const ROUNDS: usize = 3;
const SLOTS: usize = 256;
/// Nova's tasks of a round: seconds of work, as the peers have.
const TASKS: usize = 60_000;
/// What a peer is asked for; more tasks than any of them does in that time.
const ASKED: Asked = Asked { tasks: 200_000, in_flight: IN_FLIGHT, singles: 0, time: Duration::from_secs(6) };
/// Tasks one by one, for the time of a single one.
const SINGLES: usize = 300;
/// What a round may take in all: servers start, workers warm up, all ends again.
const ROUND_LIMIT: Duration = Duration::from_secs(90);
/// What an install may take: one builds a server from source.
const INSTALL_LIMIT: Duration = Duration::from_secs(420);
/// What the rounds of one peer take on a quiet machine.
const ROUNDS_TAKE: Duration = Duration::from_secs(75);

/// Nova's side.
struct Nova {
    bed: Bed,
    _worker: Process,
    rates: Rounds,
}

impl Nova {
    async fn start() -> anyhow::Result<Self> {
        let bed = Bed::start().await?;
        let worker = bed.worker(NOOP, "peers", SLOTS, Duration::ZERO).await?;
        noop::nova(bed.client.clone(), TASKS / 4).await?;
        Ok(Self { bed, _worker: worker, rates: Rounds::default() })
    }

    async fn rate(&mut self) -> anyhow::Result<f64> {
        let rate = measure([self.bed.server.pid()], noop::nova(self.bed.client.clone(), TASKS)).await?.rate(TASKS);
        self.rates.push(rate);
        Ok(rate)
    }

    async fn rows(&self) -> anyhow::Result<Vec<Row>> {
        let mut times = Times::new();
        for _ in 0..SINGLES {
            let began = Instant::now();
            noop::one(&self.bed.client).await?;
            times.record(began.elapsed());
        }
        let mut rows = vec![Row::of(NAME, "nova", &self.rates, "tasks/s")];
        rows.extend(alone("nova", Some(times.quantile_ms(0.5)), Some(times.quantile_ms(0.99))));
        Ok(rows)
    }
}

/// What the rounds of a peer came to.
#[derive(Default)]
struct Rivals {
    ours: Rounds,
    theirs: Rounds,
    last: Option<Measured>,
}

async fn in_turn(nova: &mut Nova, peer: Peer) -> anyhow::Result<Rivals> {
    let mut rivals = Rivals::default();
    for round in 0..ROUNDS {
        // The first one changes: what the machine does meanwhile hits both.
        for nova_now in [round % 2 == 0, round % 2 == 1] {
            if nova_now {
                rivals.ours.push(nova.rate().await?);
                continue;
            }
            let singles = if round + 1 == ROUNDS { SINGLES } else { 0 };
            let measured = peer.measure(Asked { singles, ..ASKED }, ROUND_LIMIT).await?;
            rivals.theirs.push(measured.rate);
            rivals.last = Some(measured);
        }
    }
    Ok(rivals)
}

fn rows(peer: Peer, rivals: &Rivals) -> Vec<Row> {
    let last = rivals.last.as_ref();
    let rate = Row::of(NAME, peer.name, &rivals.theirs, "tasks/s").noted(last.map(Measured::note).unwrap_or_default());
    let mut rows = vec![rate, ratio(peer, &rivals.ours.over(&rivals.theirs))];
    rows.extend(alone(peer.name, last.and_then(|last| last.p50_ms), last.and_then(|last| last.p99_ms)));
    rows
}

/// How Nova compares with it.
fn ratio(peer: Peer, rounds: &Rounds) -> Row {
    let row = Row::ratio(NAME, format!("noop/{}", peer.name), rounds);
    peer.at_least.map_or(row.clone(), |bound| row.within(Bound::AtLeast(bound)))
}

fn alone(who: &str, p50_ms: Option<f64>, p99_ms: Option<f64>) -> Vec<Row> {
    let row = |share: &str, ms: f64| Row::once(NAME, format!("{who}: one at a time, {share}"), ms, "ms");
    p50_ms.map(|ms| row("p50", ms)).into_iter().chain(p99_ms.map(|ms| row("p99", ms))).collect()
}

/// No figure, and why.
fn absent(peer: Peer, why: &anyhow::Error) -> Row {
    Row::once(NAME, peer.name, f64::NAN, "tasks/s").noted(format!("not measured: {why:#}"))
}

/// One that is here and yet could not be measured; that misses its bound.
fn broken(peer: Peer, why: &anyhow::Error) -> Vec<Row> {
    vec![absent(peer, why), ratio(peer, &std::iter::once(f64::NAN).collect())]
}

/// Why a peer is not even tried.
fn left_out(peer: Peer, asked_for: Option<&str>) -> Option<String> {
    match (asked_for, peer.left_out) {
        (Some(names), _) if names.split(',').any(|name| name.trim() == peer.name) => None,
        (Some(_), _) => Some(format!("{ASKED_FOR} does not name it")),
        (None, why) => why.map(|why| format!("{why}; {ASKED_FOR}={} measures it all the same", peer.name)),
    }
}

async fn compared(nova: &mut Nova, peer: Peer, until: Instant) -> Vec<Row> {
    let asked_for = std::env::var(ASKED_FOR).ok().filter(|names| !names.is_empty());
    if let Some(why) = left_out(peer, asked_for.as_deref()) {
        return vec![absent(peer, &anyhow::anyhow!(why))];
    }
    // The last ones are left out rather than all cut off.
    let left = until.saturating_duration_since(Instant::now()).saturating_sub(ROUNDS_TAKE);
    if left.is_zero() {
        return vec![absent(peer, &anyhow::anyhow!("the time of this case was over"))];
    }
    if let Err(why) = peer.install(left.min(INSTALL_LIMIT)).await {
        return vec![absent(peer, &why)];
    }
    match in_turn(nova, peer).await {
        Ok(rivals) => rows(peer, &rivals),
        Err(why) => broken(peer, &why),
    }
}

pub async fn run(mode: Mode) -> anyhow::Result<Vec<Row>> {
    let until = Instant::now() + mode.case_limit();
    let mut nova = Nova::start().await?;
    let mut theirs = Vec::new();
    for peer in PEERS {
        theirs.extend(compared(&mut nova, *peer, until).await);
    }
    let mut rows = nova.rows().await?;
    rows.extend(theirs);
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Peer = Peer { name: "slow", at_least: Some(4.0), left_out: None };

    fn rivals() -> Rivals {
        let measured = r#"{"versions": {"slow": "1"}, "rate": 20.0, "p50_ms": 3.0, "p99_ms": null, "settings": "s"}"#;
        Rivals {
            ours: [90.0, 100.0].into_iter().collect(),
            theirs: [20.0, 20.0].into_iter().collect(),
            last: serde_json::from_str(measured).ok(),
        }
    }

    #[test]
    fn a_peer_has_its_rate_its_ratio_and_its_times() {
        let rows = rows(PEER, &rivals());
        let shown: Vec<(&str, f64)> = rows.iter().map(|row| (&*row.name, row.value)).collect();
        assert_eq!(shown, [("slow", 20.0), ("noop/slow", 4.75), ("slow: one at a time, p50", 3.0)]);
        assert_eq!(rows[0].note.as_deref(), Some("slow 1: s"));
        assert_eq!((rows[1].bound, rows[1].missed_by()), (Some(Bound::AtLeast(4.0)), None));
    }

    #[test]
    fn one_that_asks_the_internet_is_measured_only_when_asked_for() {
        let asks = Peer { left_out: Some("it asks"), ..PEER };
        assert_eq!(left_out(asks, None).as_deref(), Some("it asks; PEERS=slow measures it all the same"));
        assert_eq!((left_out(PEER, None), left_out(asks, Some("fast, slow"))), (None, None));
        assert_eq!(left_out(PEER, Some("fast")).as_deref(), Some("PEERS does not name it"));
    }

    #[test]
    fn one_that_is_not_here_fails_nothing_and_a_broken_one_its_bound() {
        let why = anyhow::anyhow!("no go on PATH");
        let row = absent(PEER, &why);
        assert_eq!((row.note.as_deref(), row.missed_by()), (Some("not measured: no go on PATH"), None));
        assert!(broken(PEER, &why).iter().any(|row| row.missed_by().is_some()));
    }
}
