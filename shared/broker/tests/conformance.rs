//! Holds both adapters to the same claims: memory under virtual time, JetStream against a real nats-server.

use std::sync::Arc;

use nova_broker::{jetstream, memory::MemoryBroker};
use nova_testkit::conformance;

#[tokio::test(start_paused = true)]
async fn the_memory_broker_conforms() {
    conformance::run(Arc::new(MemoryBroker::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_server_conforms() {
    let server = nova_testkit::NatsServer::start();
    let options = jetstream::Options::new(server.url(), "conformance");
    let broker = jetstream::connect(options).await.expect("the server greets");
    conformance::run(Arc::new(broker)).await;
}
