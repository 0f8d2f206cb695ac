//! Messages that are not stored: listeners, groups, questions, services.

use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{BrokerError, BrokerRef, Discard, Expect, Listener, Message, PublishError, Service};
use nova_wire::Headers;

use super::ground::{Ground, SOON, text};
use crate::wait_until;

const SECOND: Duration = Duration::from_secs(1);

async fn listen(broker: &BrokerRef, subject: &str, group: Option<&str>) -> Listener {
    broker.listen(subject.to_owned(), group.map(str::to_owned)).await.expect("anyone may listen")
}

async fn hear(listener: &mut Listener) -> Message {
    tokio::time::timeout(SOON, listener.next()).await.expect("it was sent").expect("the subscription stands")
}

/// Answers every question with its own body, twice.
fn echo(broker: BrokerRef, mut listener: Listener) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(question) = listener.next().await {
            let body = [&*question.body, &*question.body].concat();
            let reply = question.reply.expect("a question says where the answer goes");
            broker.tell(Message::new(reply, body)).await.expect("the connection stands");
        }
    })
}

pub(super) async fn listeners_hear_what_they_subscribed(broker: BrokerRef) {
    let mut all = listen(&broker, "heard.>", None).await;
    let mut one = listen(&broker, "heard.*.b", None).await;
    let headers = Headers::new().with("Note", "kept");
    for subject in ["heard.a", "heard.a.b", "unheard.a.b", "heard.b.b"] {
        broker.tell(Message::new(subject, subject).with_headers(headers.clone())).await.expect("it can be sent");
    }
    for expected in ["heard.a", "heard.a.b", "heard.b.b"] {
        let message = hear(&mut all).await;
        assert_eq!((&*message.subject, &*message.body), (expected, expected.as_bytes()));
        assert_eq!(message.headers.get("Note"), Some("kept"));
    }
    assert_eq!(hear(&mut one).await.subject, "heard.a.b");
    assert_eq!(hear(&mut one).await.subject, "heard.b.b");
}

pub(super) async fn one_of_a_group_hears_each_message(broker: BrokerRef) {
    let members = [listen(&broker, "group.a", Some("g")).await, listen(&broker, "group.a", Some("g")).await];
    let mut other = listen(&broker, "group.a", Some("h")).await;
    for i in 0..20 {
        broker.tell(Message::new("group.a", i.to_string())).await.expect("it can be sent");
    }
    let [one, two] = members;
    let mut both = futures_util::stream::select(one, two).boxed();
    let mut heard = Vec::new();
    for _ in 0..20 {
        heard.push(text(&hear(&mut both).await.body).parse::<u32>().expect("a number was sent"));
        hear(&mut other).await;
    }
    heard.sort_unstable();
    assert_eq!(heard, (0..20).collect::<Vec<_>>());
}

pub(super) async fn a_question_is_answered(broker: BrokerRef) {
    let answering = echo(broker.clone(), listen(&broker, "ask.*", None).await);
    let answer = broker.ask(Message::new("ask.a", "x"), SOON).await.expect("somebody serves it");
    assert_eq!(&*answer.body, b"xx");
    answering.abort();
}

pub(super) async fn a_question_nobody_serves_is_not_found(broker: BrokerRef) {
    let error = broker.ask(Message::new("unserved.a", ""), SOON).await;
    assert!(matches!(error, Err(BrokerError::NotFound { .. })), "{error:?}");
}

pub(super) async fn a_question_without_answer_times_out(broker: BrokerRef) {
    let _silent = listen(&broker, "silent.a", None).await;
    let error = broker.ask(Message::new("silent.a", ""), SECOND).await;
    assert!(matches!(error, Err(BrokerError::Timeout { .. })), "{error:?}");
}

pub(super) async fn a_publish_is_heard_even_when_refused(broker: BrokerRef) {
    let ground = Ground::new(broker, "refused", |spec| (spec.max_messages, spec.discard) = (2, Discard::New)).await;
    let mut listener = listen(&ground.broker, "refused.>", None).await;
    ground.put("a", "1").await;
    let conflict = ground.send("a", "2", Headers::new(), Expect::NOTHING).await;
    assert!(matches!(conflict, Err(PublishError::Conflict { .. })), "{conflict:?}");
    ground.put("a", "3").await;
    let full = ground.send("a", "4", Headers::new(), Expect::Any).await;
    assert!(matches!(full, Err(PublishError::Full { .. })), "{full:?}");
    for expected in ["1", "2", "3", "4"] {
        assert_eq!(text(&hear(&mut listener).await.body), expected);
    }
}

pub(super) async fn a_dropped_listener_is_gone(broker: BrokerRef) {
    let listener = listen(&broker, "dropped.a", None).await;
    drop(listener);
    let is_gone = async || {
        let error = broker.ask(Message::new("dropped.a", ""), SECOND).await;
        matches!(error, Err(BrokerError::NotFound { .. })).then_some(())
    };
    wait_until("nobody to listen", SOON, is_gone).await;
}

pub(super) async fn a_service_answers_and_can_be_withdrawn(broker: BrokerRef) {
    let service = Service {
        name: "echo".into(),
        version: "1.0.0".into(),
        endpoints: vec![("all".into(), "service.*".into())],
        ..Service::default()
    };
    let offers = [
        echo(broker.clone(), broker.serve(service.clone()).await.expect("it can be offered")),
        echo(broker.clone(), broker.serve(service).await.expect("it can be offered twice")),
    ];
    let ask = async |wait| broker.ask(Message::new("service.a", "x"), wait).await;
    assert_eq!(&*ask(SOON).await.expect("it is served").body, b"xx");
    offers.iter().for_each(tokio::task::JoinHandle::abort);
    let is_gone = async || matches!(ask(SECOND).await, Err(BrokerError::NotFound { .. })).then_some(());
    wait_until("the service to be gone", SOON, is_gone).await;
}
