//! One proxied connection: two pumps, and the commands that reach them.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Direction, Mode, State};

/// Chunks on their way per direction; a full queue holds the sender back as a full socket buffer would.
const IN_FLIGHT: usize = 1024;
/// Largest chunk: small enough that a slow rate is smooth, large enough to cost little when passing.
const CHUNK: usize = 16 * 1024;

struct Chunk {
    due: Instant,
    bytes: Bytes,
}

/// Carries bytes both ways until both sides are done or a reset is commanded.
pub(super) async fn run(
    mut client: TcpStream,
    mut server: TcpStream,
    view: watch::Receiver<State>,
    mut random: fastrand::Rng,
) {
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let resets = view.borrow().resets;
    let mut commands = view.clone();
    let ended = {
        let (client_in, client_out) = client.split();
        let (server_in, server_out) = server.split();
        let up = pump(Direction::Up, client_in, server_out, view.clone(), random.fork());
        let down = pump(Direction::Down, server_in, client_out, view, random);
        tokio::select! {
            ended = async { tokio::try_join!(up, down).map(drop) } => ended,
            () = told(&mut commands, |state| state.resets > resets) => Err(io::ErrorKind::ConnectionReset.into()),
        }
    };
    // An error on one side is passed on as what it most likely was, never as an orderly end.
    if ended.is_err() {
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

async fn pump(
    direction: Direction,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    view: watch::Receiver<State>,
    random: fastrand::Rng,
) -> io::Result<()> {
    let (queue, chunks) = mpsc::channel(IN_FLIGHT);
    let writing = write(direction, to, view.clone(), chunks);
    tokio::try_join!(read(direction, from, view, queue, random), writing).map(drop)
}

async fn read(
    direction: Direction,
    mut from: impl AsyncRead + Unpin,
    view: watch::Receiver<State>,
    queue: mpsc::Sender<Chunk>,
    mut random: fastrand::Rng,
) -> io::Result<()> {
    let mut due = Instant::now();
    let mut buffer = vec![0; CHUNK];
    loop {
        let mode = view.borrow().mode(direction);
        let size = match mode {
            Mode::Rate(rate) => usize::try_from(rate / 20).unwrap_or(CHUNK).clamp(1, CHUNK),
            _ => CHUNK,
        };
        let count = from.read(&mut buffer[..size]).await?;
        if count == 0 {
            return Ok(());
        }
        // Read again: the mode may have changed while waiting for these bytes.
        let mode = view.borrow().mode(direction);
        due = arrival(mode, count, due, Instant::now(), &mut random);
        // After a half-close nobody takes the chunks any more; they are read and thrown away.
        let _ = queue.send(Chunk { due, bytes: Bytes::copy_from_slice(&buffer[..count]) }).await;
    }
}

/// When a chunk read at `now` may be written; the writer keeps the order whatever this says.
fn arrival(mode: Mode, count: usize, ahead: Instant, now: Instant, random: &mut fastrand::Rng) -> Instant {
    match mode {
        Mode::Pass | Mode::Blackhole => now,
        Mode::Delay { by, jitter } => (now + by + jitter.mul_f64(random.f64())).max(ahead),
        Mode::Rate(rate) => ahead.max(now) + Duration::from_secs_f64(count as f64 / rate.max(1) as f64),
    }
}

async fn write(
    direction: Direction,
    mut to: impl AsyncWrite + Unpin,
    mut view: watch::Receiver<State>,
    mut chunks: mpsc::Receiver<Chunk>,
) -> io::Result<()> {
    let half_closes = view.borrow().half_closes(direction);
    let mut commands = view.clone();
    let carry = async {
        while let Some(Chunk { due, bytes }) = chunks.recv().await {
            sleep_until(due).await;
            if view.wait_for(|state| state.mode(direction) != Mode::Blackhole).await.is_err() {
                break;
            }
            to.write_all(&bytes).await?;
        }
        io::Result::Ok(())
    };
    tokio::select! {
        carried = carry => carried?,
        () = told(&mut commands, |state| state.half_closes(direction) > half_closes) => {}
    }
    to.shutdown().await
}

/// Resolves when the commands say so; for ever pending once nobody can command any more.
async fn told(commands: &mut watch::Receiver<State>, what: impl FnMut(&State) -> bool) {
    if commands.wait_for(what).await.is_err() {
        std::future::pending::<()>().await;
    }
}
