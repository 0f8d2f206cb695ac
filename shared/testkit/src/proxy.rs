//! A TCP proxy that misbehaves on command: delay, silence, low rate, reset, half-close, each direction on its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

mod link;

/// Which way the bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client that connected to the proxy towards the server.
    Up,
    /// From the server towards the client.
    Down,
}

/// What happens to the bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// They pass untouched.
    #[default]
    Pass,
    /// Each chunk arrives `by` later, plus a seeded random part of `jitter`; order is kept.
    Delay {
        /// The least delay.
        by: Duration,
        /// The most that is added to it.
        jitter: Duration,
    },
    /// Nothing arrives; it is held, as TCP would retransmit it, and arrives when the mode changes.
    Blackhole,
    /// Arrives at no more than this many bytes per second.
    Rate(u64),
}

/// What the connections are told; counters, so that a command reaches those open at that moment and no later ones.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    up: Mode,
    down: Mode,
    resets: u64,
    half_closes_up: u64,
    half_closes_down: u64,
    refusing: bool,
}

impl State {
    fn mode(&self, direction: Direction) -> Mode {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }

    fn half_closes(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Up => self.half_closes_up,
            Direction::Down => self.half_closes_down,
        }
    }
}

/// A running proxy; dropping it cuts every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    seed: u64,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy to `upstream` on a free loopback port, with a random seed.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        Self::start_seeded(upstream, fastrand::u64(..)).await
    }

    /// Starts a proxy whose jitter is decided by `seed`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_seeded(upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (state, view) = watch::channel(State::default());
        let accepting = tokio::spawn(accept(listener, upstream, view, seed));
        Ok(Self { address, seed, state, accepting })
    }

    /// The address to give to the client.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a NATS URL.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The seed of the jitter, to print when a test fails.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Sets what happens to the bytes of one direction, on open and on coming connections.
    pub fn set(&self, direction: Direction, mode: Mode) {
        self.state.send_modify(|state| match direction {
            Direction::Up => state.up = mode,
            Direction::Down => state.down = mode,
        });
    }

    /// Lets everything pass again in both directions, and new connections in.
    pub fn pass(&self) {
        self.state.send_modify(|state| {
            (state.up, state.down, state.refusing) = (Mode::Pass, Mode::Pass, false);
        });
    }

    /// Delays both directions.
    pub fn delay(&self, by: Duration, jitter: Duration) {
        self.both(Mode::Delay { by, jitter });
    }

    /// Holds back everything in both directions; connections stay open.
    pub fn blackhole(&self) {
        self.both(Mode::Blackhole);
    }

    /// Limits both directions to so many bytes per second each.
    pub fn rate(&self, bytes_per_second: u64) {
        self.both(Mode::Rate(bytes_per_second));
    }

    /// Resets (RST) every open connection on both sides; new ones are let in.
    pub fn reset(&self) {
        self.state.send_modify(|state| state.resets += 1);
    }

    /// Resets every open connection and each new one, until [`pass`](Self::pass).
    pub fn refuse(&self) {
        self.state.send_modify(|state| {
            state.resets += 1;
            state.refusing = true;
        });
    }

    /// Ends one direction of every open connection (FIN); what comes later that way is thrown away.
    pub fn half_close(&self, direction: Direction) {
        self.state.send_modify(|state| match direction {
            Direction::Up => state.half_closes_up += 1,
            Direction::Down => state.half_closes_down += 1,
        });
    }

    fn both(&self, mode: Mode) {
        self.state.send_modify(|state| (state.up, state.down) = (mode, mode));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, view: watch::Receiver<State>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    // Dropped with this task, which ends every connection.
    let mut links = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while links.try_join_next().is_some() {}
        if view.borrow().refusing {
            let _ = client.set_zero_linger();
            continue;
        }
        let (view, random) = (view.clone(), random.fork());
        links.spawn(async move {
            match TcpStream::connect(upstream).await {
                Ok(server) => link::run(client, server, view, random).await,
                // A dead upstream looks to the client like a dead upstream.
                Err(_) => drop(client.set_zero_linger()),
            }
        });
    }
}

#[cfg(test)]
mod tests;
