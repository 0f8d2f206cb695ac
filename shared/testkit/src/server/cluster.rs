//! Several servers on this machine that replicate for one another.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context as _;

use super::NatsServer;

/// A cluster of servers with JetStream, every write synced as in the profile `replicated`; dropping it ends them all.
#[derive(Debug)]
pub struct NatsCluster {
    /// The servers, to be stopped and started one by one.
    pub servers: Vec<NatsServer>,
}

impl NatsCluster {
    /// Starts so many servers and waits until each greets; that they have found one another takes a moment longer, in
    /// which streams are refused.
    ///
    /// # Errors
    /// As for one server; also when another process takes one of the ports that were free a moment ago.
    pub fn try_start(size: usize) -> anyhow::Result<Self> {
        // All are held until all are known, so that no port is drawn twice; each server binds its own again.
        let drawn: Vec<TcpListener> = (0..size)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not draw a free port"))
            .collect::<Result<_, _>>()?;
        let ports = drawn.iter().map(|listener| Ok(listener.local_addr()?.port()));
        let ports: Vec<u16> = ports.collect::<std::io::Result<_>>().context("could not draw a free port")?;
        drop(drawn);
        let routes: Vec<String> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let start = |(index, port): (usize, &u16)| {
            let text = format!(
                "server_name: nova-{n}\n\
                 jetstream {{ max_mem: 256MB, max_file: 16GB, sync_interval: always }}\n\
                 cluster {{ name: nova, listen: \"127.0.0.1:{port}\", routes: [ {routes} ] }}",
                n = index + 1,
                routes = routes.join(", "),
            );
            NatsServer::builder().config(text).try_start()
        };
        let servers = ports.iter().enumerate().map(start).collect::<anyhow::Result<_>>()?;
        Ok(Self { servers })
    }

    /// The client addresses of all, separated by commas.
    pub fn url(&self) -> String {
        self.servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
    }
}
