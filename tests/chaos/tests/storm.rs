//! A thousand clients lose their server at once: all are back, and hear again what they had subscribed to.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use nova_broker::jetstream::{self, JetStream, Options};
use nova_broker::{Broker as _, Message};
use nova_testkit::{NatsServer, wait_until};

const CLIENTS: usize = 1_000;
/// Far above the 15 s promised on a machine that is not loaded.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_come_back_after_their_server() {
    let mut server = NatsServer::start();
    let url = server.url();
    let connect = |n: usize| {
        let options = Options { connect_timeout: PATIENCE, ..Options::new(url.clone(), format!("storm{n}")) };
        jetstream::connect(options)
    };
    let mut clients: Vec<JetStream> = Vec::new();
    while clients.len() < CLIENTS {
        let from = clients.len();
        let more = join_all((from..from + 100).map(connect)).await;
        clients.extend(more.into_iter().map(|client| client.expect("the server takes a thousand")));
    }
    let mut ears = Vec::new();
    for client in &clients {
        ears.push(client.listen("storm.over".to_owned(), None).await.expect("the connection stands"));
    }
    tokio::task::block_in_place(|| {
        server.kill9();
        server.restart();
    });
    wait_until("all clients to be back", PATIENCE, async || {
        let is_back = |client: &JetStream| {
            let connection = *client.connection().borrow();
            connection.is_up && connection.epoch > 1
        };
        clients.iter().all(is_back).then_some(())
    })
    .await;
    // A subscription is made again with the connection; one answer behind it says that the server has it.
    join_all(clients.iter().map(|client| async move {
        let ping = Message::new("$SRV.PING.nobody", "");
        let _ = client.ask(ping, Duration::from_secs(10)).await;
    }))
    .await;
    clients[0].tell(Message::new("storm.over", "")).await.expect("the connection stands");
    for ear in &mut ears {
        let heard = tokio::time::timeout(PATIENCE, ear.next()).await.expect("heard in time");
        assert!(heard.is_some(), "the subscription goes on");
    }
}
