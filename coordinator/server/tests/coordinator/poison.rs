//! Messages that no client can read: they end, and everything else flows.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use nova_broker::Message;
use nova_coordinator::CoordinatorError;
use nova_testkit::wait_until;
use nova_types::{OutcomeKind, Priority, TaskId};
use nova_wire::{DeadLetter, assets, subject};

use crate::support::{DEADLINE, Fleet, ask, echo, error_code};

/// Publishes as a client that checks nothing.
fn publish_raw(address: SocketAddr, subject: &str, block: &[u8], body: &[u8]) {
    let mut socket = TcpStream::connect(address).expect("connected");
    let mut lines = BufReader::new(socket.try_clone().expect("a second handle"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("greeted");
    socket.write_all(b"CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":false}\r\n").expect("sent");
    let head = format!("HPUB {subject} {} {}\r\n", block.len(), block.len() + body.len());
    socket.write_all(&[head.as_bytes(), block, body, b"\r\nPING\r\n"].concat()).expect("sent");
    while line.trim() != "PONG" {
        line.clear();
        assert!(lines.read_line(&mut line).expect("answered") > 0, "the server hung up");
        assert!(!line.starts_with("-ERR"), "{line}");
    }
}

const BLOCKS: [&[u8]; 4] = [
    b"NATS/1.0\r\nThis line has no colon\r\n\r\n",
    b"NATS/1.0\r\nX-Bytes: \xff\xfe\r\n\r\n",
    b"NATS/1.0\r\nNats-Msg-Id: cli.named\r\nA name: x\r\n\r\n",
    b"NATS/1.0\r\nX-Return: a\rb\r\n\r\n",
];

#[tokio::test]
async fn unreadable_tasks_end_while_the_others_flow() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    fleet.start("c2").await;
    let address = fleet.server().address();
    let before = fleet.submit("cli.before", Priority::Normal, "1").await;
    for (n, block) in BLOCKS.iter().enumerate() {
        publish_raw(address, "nova.task.echo", block, format!("bytes {n}").as_bytes());
        fleet.submit(&format!("cli.good{n}"), Priority::Normal, "1").await;
    }
    let worker = fleet.worker("w1").await;
    for n in 0..BLOCKS.len() {
        assert_eq!(fleet.outcome(&format!("cli.good{n}")).await.0.kind, OutcomeKind::Completed);
        let sequence = before + 1 + 2 * n as u64;
        let id = if n == 2 { "cli.named".parse().expect("an id") } else { TaskId::from_sequence(sequence) };
        let (outcome, _) = fleet.outcome(&id.to_string()).await;
        assert_eq!((outcome.kind, outcome.code.expect("a code").as_str()), (OutcomeKind::Dead, "bad_header"));
        wait_until("the message to be gone", DEADLINE, async || {
            (fleet.queue().await.iter().all(|stored| stored.sequence != sequence)).then_some(())
        })
        .await;
        let letter = fleet.broker.last(assets::DEAD.to_owned(), subject::dead(&echo(), &id)).await;
        let letter = letter.expect("readable").expect("a dead letter before the message went");
        assert!(letter.headers.get("Nova-Raw-Headers").is_some());
        let letter = DeadLetter::parse(&letter.headers, letter.body).expect("a letter");
        assert_eq!((letter.code.as_str(), letter.sequence), ("bad_header", sequence));
        assert_eq!(&letter.body[..], format!("bytes {n}").as_bytes());
    }
    assert_eq!(fleet.outcome("cli.before").await.0.kind, OutcomeKind::Completed);
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn an_unreadable_cancel_is_carried_out_all_the_same() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    fleet.start("c2").await;
    publish_raw(fleet.server().address(), "nova.control.cancel.echo.cli.x", BLOCKS[0], b"");
    assert_eq!(fleet.outcome("cli.x").await.0.kind, OutcomeKind::Cancelled);
    fleet.stop().await;
}

#[tokio::test]
async fn a_coordinator_whose_client_broke_ends_and_the_next_one_carries_on() {
    let mut fleet = Fleet::real().await;
    let parts = fleet.start("c1").await;
    // It is at work before the message comes.
    let ready = Message::new("nova.later.echo.cli.x", "1");
    assert!(error_code(&ask(&fleet.broker, ready).await).is_some());
    publish_raw(fleet.server().address(), "nova.control.cancel.echo.cli.x", BLOCKS[3], b"");
    assert!(matches!(fleet.ended().await, Err(CoordinatorError::Broken(_))));
    assert!(!parts.health.live().is_ok());
    fleet.start("c2").await;
    assert_eq!(fleet.outcome("cli.x").await.0.kind, OutcomeKind::Cancelled);
    fleet.stop().await;
}
