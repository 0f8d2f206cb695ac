//! Several servers on this machine that replicate for one another.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use anyhow::Context as _;

use super::{Builder, NatsServer};
use crate::Proxy;

/// A cluster of servers with JetStream, every write synced as in the profile `replicated`; dropping it ends them all.
#[derive(Debug)]
pub struct NatsCluster {
    /// The servers, to be stopped and started one by one.
    pub servers: Vec<NatsServer>,
}

/// The way from one server of a cluster to another.
#[derive(Debug)]
pub struct Edge {
    /// Who connects.
    pub from: usize,
    /// To whom.
    pub to: usize,
    /// Everything between the two over connections of that direction goes through here.
    pub proxy: Proxy,
}

impl NatsCluster {
    /// Starts so many servers and waits until each greets; that they have found one another takes a moment longer, in
    /// which streams are refused.
    ///
    /// # Errors
    /// As for one server; also when another process takes one of the ports that were free a moment ago.
    pub fn try_start(size: usize) -> anyhow::Result<Self> {
        let ports = draw_ports(size)?;
        let all: Vec<String> = ports.iter().map(|port| route(*port)).collect();
        let servers =
            ports.iter().enumerate().map(|(index, port)| start(index, *port, &all, "", NatsServer::builder()));
        Ok(Self { servers: servers.collect::<anyhow::Result<_>>()? })
    }

    /// The same with a fault proxy on each way between two of them, and a store of its own for each.
    ///
    /// Neither clients nor other servers are told any address: whoever knows only proxies uses only proxies.
    ///
    /// # Errors
    /// As [`try_start`](Self::try_start); also when a proxy cannot be started.
    pub async fn try_start_apart(stores: &[PathBuf]) -> anyhow::Result<(Self, Vec<Edge>)> {
        let ports = draw_ports(stores.len())?;
        let mut edges = Vec::new();
        for from in 0..ports.len() {
            for (to, port) in ports.iter().enumerate().filter(|(to, _)| *to != from) {
                let proxy =
                    Proxy::start((Ipv4Addr::LOCALHOST, *port).into()).await.context("could not start a proxy")?;
                edges.push(Edge { from, to, proxy });
            }
        }
        let mut servers = Vec::new();
        for (index, (port, store)) in ports.iter().zip(stores).enumerate() {
            let own: Vec<String> =
                edges.iter().filter(|edge| edge.from == index).map(|edge| edge.proxy.url()).collect();
            // An address where nobody listens: what servers tell one another of third ones leads nowhere.
            let hidden = "no_advertise: true, advertise: \"127.0.0.1:1\",";
            servers.push(start(index, *port, &own, hidden, NatsServer::builder().store(store))?);
        }
        Ok((Self { servers }, edges))
    }

    /// The client addresses of all, separated by commas.
    pub fn url(&self) -> String {
        self.servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
    }
}

/// Free ports; all are held until all are known, so that none is drawn twice. Each server binds its own again.
fn draw_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let drawn: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not draw a free port"))
        .collect::<Result<_, _>>()?;
    let ports = drawn.iter().map(|listener| Ok(listener.local_addr()?.port()));
    ports.collect::<std::io::Result<_>>().context("could not draw a free port")
}

fn route(port: u16) -> String {
    format!("nats://127.0.0.1:{port}")
}

/// Starts one server of a cluster.
fn start(index: usize, port: u16, routes: &[String], more: &str, server: Builder) -> anyhow::Result<NatsServer> {
    let text = format!(
        "server_name: nova-{n}\n\
         jetstream {{ max_mem: 256MB, max_file: 16GB, sync_interval: always }}\n\
         cluster {{ name: nova, listen: \"127.0.0.1:{port}\", {more} routes: [ {routes} ] }}",
        n = index + 1,
        routes = routes.join(", "),
    );
    server.config(text).try_start()
}
