//! The wire contract, spoken with nothing but NATS.

use nova_e2e::Fleet;
use nova_types::OutcomeKind;
use nova_wire::{DeadLetter, assets};

#[tokio::test]
async fn a_bare_message_becomes_one_outcome() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;

    let receipt = fleet.request("nova.task.echo", &[], r#"{"a":1}"#).await;
    let receipt: serde_json::Value = serde_json::from_str(&receipt).expect("the broker's receipt is JSON");
    assert_eq!(receipt["stream"], "NOVA_TASKS_echo");
    let id = format!("_seq.{}", receipt["seq"]);

    let (outcome, stored) = fleet.outcome("echo", &id).await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1));
    assert_eq!(stored.subject, format!("nova.outcome.echo.{id}"));
    assert_eq!(&stored.body[..], br#"{"a":1}"#);
    assert_eq!(stored.headers.get("Content-Type"), None, "JSON is assumed");
    assert_eq!(fleet.count(assets::OUTCOMES, "nova.outcome.>").await, 1);
}

#[tokio::test]
async fn messagepack_in_gives_messagepack_out() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    let body = rmp_serde::to_vec_named(&serde_json::json!({"a": [1, null]})).expect("a value encodes");
    let headers = [("Content-Type", "application/msgpack"), ("Nats-Msg-Id", "cli.m")];
    fleet.request("nova.task.echo.high", &headers, body.clone()).await;
    let (outcome, stored) = fleet.outcome("echo", "cli.m").await;
    assert_eq!(outcome.kind, OutcomeKind::Completed);
    assert_eq!(stored.headers.get("Content-Type"), Some("application/msgpack"));
    assert_eq!(stored.body, body);
}

#[tokio::test]
async fn bad_input_becomes_a_dead_letter_with_its_bytes_and_a_code() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    let deep = "[".repeat(100_000);
    // Id, headers, body, code.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], &'a str);
    let cases: [Case<'_>; 9] = [
        ("random", &[], b"\xff\x00\x9c\x01", "bad_input"),
        ("deep", &[], deep.as_bytes(), "too_deep"),
        ("huge-length", &[("Content-Type", "application/msgpack")], b"\xdd\xff\xff\xff\xff", "bad_input"),
        ("type", &[("Content-Type", "image/png")], b"{}", "bad_content_type"),
        ("timeout", &[("Nova-Timeout", "soon")], b"{}", "bad_header"),
        ("version", &[("Nova-Version", "9")], b"{}", "bad_version"),
        ("key", &[("Nova-Key", "k")], b"{}", "unsupported"),
        ("ttl", &[("Nova-Outcome-TTL", "5s")], b"{}", "bad_header"),
        (
            "blob",
            &[("Nova-Blob", "b;size=1;sha256=\"00000000000000000000000000000000000000000000000000000000000000ff\"")],
            b"",
            "bad_blob",
        ),
    ];
    for (id, headers, body, code) in &cases {
        let mut all = vec![("Nats-Msg-Id", *id)];
        all.extend_from_slice(headers);
        fleet.request("nova.task.echo", &all, body.to_vec()).await;
        let id = format!("_.{id}");
        let (outcome, _) = fleet.outcome("echo", &id).await;
        assert_eq!(outcome.kind, OutcomeKind::Dead, "{id}");
        assert_eq!(outcome.code.as_ref().map(nova_types::Code::as_str), Some(*code), "{id}");
        fleet.drained("echo").await;
        let letter = fleet.broker.last(assets::DEAD.to_owned(), format!("nova.dead.echo.{id}")).await;
        let letter = letter.expect("readable").expect("a dead task has a letter");
        assert_eq!(&letter.body[..], *body, "{id}");
        assert_eq!(DeadLetter::parse(&letter.headers, letter.body).expect("well formed").code.as_str(), *code);
    }
    // An empty body is `null`, and a bad id is told under the id of its sequence.
    fleet.request("nova.task.echo", &[("Nats-Msg-Id", "empty")], "").await;
    assert_eq!(fleet.outcome("echo", "_.empty").await.0.kind, OutcomeKind::Completed);
    let receipt = fleet.request("nova.task.echo", &[("Nats-Msg-Id", "no good")], "{}").await;
    let receipt: serde_json::Value = serde_json::from_str(&receipt).expect("a receipt");
    let (outcome, _) = fleet.outcome("echo", &format!("_seq.{}", receipt["seq"])).await;
    assert_eq!(outcome.code.as_ref().map(nova_types::Code::as_str), Some("bad_id"));
    fleet.drained("echo").await;
}

#[tokio::test]
async fn a_task_for_an_unknown_skill_is_refused_at_submit() {
    let fleet = Fleet::start().await;
    let message = nova_broker::Message::new("nova.task.unknown", "{}");
    let refused = fleet.broker.publish(message, nova_broker::Expect::Any).await;
    assert!(matches!(refused, Err(nova_broker::PublishError::NoStream { .. })), "{refused:?}");
}
