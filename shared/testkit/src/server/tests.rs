//! The launcher against a real nats-server.

use std::io::{BufRead, BufReader, Write};
use std::process::Command;

use super::*;
use crate::wait_until_blocking;

/// Speaks the text protocol: sends `lines`, then PING, and returns what came before PONG.
fn talk(server: &NatsServer, lines: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(format!("{lines}PING\r\n").as_bytes()).unwrap();
    let mut said = String::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if line == "PONG" {
            break;
        }
        said.push_str(&line);
        said.push('\n');
    }
    said
}

/// Asks one thing over the text protocol and returns the reply's body.
fn ask(server: &NatsServer, subject: &str, body: &str) -> String {
    try_ask(server, subject, body).unwrap()
}

/// The same where there may be no reply.
fn try_ask(server: &NatsServer, subject: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let len = body.len();
    let text = format!("CONNECT {{\"verbose\":false}}\r\nSUB in 1\r\nPUB {subject} in {len}\r\n{body}\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.find(|line| line.starts_with("MSG in "))?;
    lines.next()
}

#[test]
fn each_server_has_its_own_port_and_store() {
    let (one, two) = (NatsServer::start(), NatsServer::start());
    assert_ne!(one.port(), two.port());
    assert_ne!(one.store(), two.store());
    assert_eq!(one.url(), format!("nats://127.0.0.1:{}", one.port()));
    assert!(talk(&one, "").contains("\"jetstream\":true"));
}

#[test]
fn a_stream_outlives_kill9_and_restart_on_the_same_port() {
    let mut server = NatsServer::start();
    let (port, pid) = (server.port(), server.pid());
    let made = ask(&server, "$JS.API.STREAM.CREATE.S", r#"{"name":"S","subjects":["s"]}"#);
    assert!(made.contains("\"did_create\":true"), "{made}");
    assert!(ask(&server, "s", "hello").contains("\"seq\":1"));
    server.kill9();
    assert!(TcpStream::connect(server.address()).is_err(), "a killed server still listens");
    server.restart();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert!(ask(&server, "$JS.API.STREAM.INFO.S", "").contains("\"messages\":1"));
}

#[test]
fn a_frozen_server_answers_after_it_goes_on() {
    let server = NatsServer::start();
    server.stop_signal();
    wait_until_blocking("the server to freeze", Duration::from_secs(5), || {
        std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).ok()?.contains(") T ").then_some(())
    });
    server.cont();
    assert!(talk(&server, "").starts_with("INFO "));
}

#[test]
fn dropping_kills_the_process_and_removes_the_temporary_store() {
    let server = NatsServer::start();
    let (pid, store) = (server.pid(), server.store().to_path_buf());
    assert!(store.is_dir());
    drop(server);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!store.exists());
}

#[test]
fn a_given_store_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    drop(NatsServer::builder().store(dir.path()).start());
    assert!(dir.path().join("jetstream").is_dir());
}

#[test]
fn users_have_the_permissions_they_were_given() {
    let server = NatsServer::builder().users([("admin", "a")]).user("weak", "w", "publish: { deny: \">\" }").start();
    let login = |user: &str, pass: &str| format!("CONNECT {{\"user\":\"{user}\",\"pass\":\"{pass}\"}}\r\n");
    assert!(talk(&server, &login("admin", "wrong")).contains("Authorization Violation"));
    assert!(!talk(&server, &(login("admin", "a") + "PUB x 0\r\n\r\n")).contains("-ERR"));
    assert!(talk(&server, &(login("weak", "w") + "PUB x 0\r\n\r\n")).contains("Permissions Violation"));
}

#[test]
fn an_included_file_holds_except_for_port_and_store() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("own.conf");
    std::fs::write(dir.path().join("more.conf"), "max_connections: 77").unwrap();
    std::fs::write(
        &file,
        "include more.conf\nport: 4222\nserver_name: from_file\njetstream { store_dir: \"/proc/no\", max_mem: 1MB }",
    )
    .unwrap();
    let server = NatsServer::builder().config_file(&file).config("max_payload: 12345").start();
    let info = talk(&server, "");
    assert!(info.contains("\"server_name\":\"from_file\""), "{info}");
    assert!(info.contains("\"max_payload\":12345"), "{info}");
    assert_ne!(server.port(), 4222);
}

#[test]
fn the_durable_profile_syncs_always_and_starts() {
    let durable = NatsServer::builder().profile(Profile::Durable);
    assert!(durable.render(Path::new("/s")).unwrap().0.contains("sync_interval: always"));
    assert!(talk(&durable.start(), "").contains("\"jetstream\":true"));
}

#[test]
fn a_refused_configuration_is_told_with_the_servers_words() {
    let said = format!("{:#}", NatsServer::builder().config("nonsense: [").try_start().unwrap_err());
    assert!(said.contains("ended at once"), "{said}");
    assert!(said.contains("Parse error on line"), "{said}");
}

/// Not a claim of its own: the process that the next test kills. Alone, it does nothing.
#[test]
fn a_test_process_to_be_killed() {
    if std::env::var_os("TESTKIT_VICTIM").is_some() {
        let server = NatsServer::start();
        println!("server {}", server.pid());
        loop {
            std::thread::park();
        }
    }
}

#[tokio::test]
async fn the_server_dies_with_a_killed_test_process() {
    // What the killed process leaves behind is left in here.
    let leavings = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env("TMPDIR", leavings.path());
    command.args(["--exact", "server::tests::a_test_process_to_be_killed", "--nocapture"]).env("TESTKIT_VICTIM", "1");
    let mut victim = crate::Process::spawn("victim", command);
    let line = victim.wait_stdout("server ", Duration::from_secs(30)).await;
    let stat = format!("/proc/{}/stat", line.rsplit(' ').next().unwrap());
    assert!(Path::new(&stat).exists());
    victim.kill9();
    crate::wait_until("the server to die", Duration::from_secs(20), async || {
        std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")).then_some(())
    })
    .await;
}

#[test]
fn servers_of_a_cluster_replicate_for_one_another() {
    let mut cluster = NatsCluster::try_start(3).unwrap();
    let until = |what: &str, server: &NatsServer, subject: &str, body: &str, said: &str| {
        wait_until_blocking(what, START_DEADLINE, || {
            try_ask(server, subject, body).filter(|answer| answer.contains(said)).map(|_| ())
        });
    };
    let config = r#"{"name":"S","subjects":["s"],"num_replicas":3}"#;
    until("a stream", &cluster.servers[0], "$JS.API.STREAM.CREATE.S", config, "\"name\":\"S\"");
    until("a message", &cluster.servers[1], "s", "hello", "\"seq\":");
    cluster.servers[0].kill9();
    until("the message on the others", &cluster.servers[2], "$JS.API.STREAM.INFO.S", "", "\"first_seq\":1,");
}
