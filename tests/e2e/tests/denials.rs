//! No role can do anything beside its permission template: the server complains, and nothing happens.

use futures_util::StreamExt as _;
use nova_broker::{Expect, Message, PullItem, PullRequest, Settle};
use nova_e2e::users::Login;
use nova_e2e::{Fleet, PATIENCE};
use nova_testkit::wait_until;
use nova_types::{Priority, Skill};
use nova_wire::assets;

fn skill(name: &str) -> Skill {
    Skill::new(name).expect("a valid skill")
}

/// What an attacker sends, and what it listens to.
struct Attack<'a> {
    publishes: Vec<(&'a str, &'a str)>,
    listens: Vec<&'a str>,
}

/// A server with something in every stream, and everybody's connections.
struct Ground {
    fleet: Fleet,
    boss: Login,
    w2: Login,
    cli7: Login,
}

impl Ground {
    async fn prepare() -> Self {
        let fleet = Fleet::with_users().await;
        let (boss, w2, cli7) = (fleet.login("boss").await, fleet.login("w2").await, fleet.login("cli7").await);
        for subject in [
            "nova.task.echo",
            "nova.task.echo",
            "nova.task.shell",
            "nova.task.shell",
            "nova.outcome.shell.cli7.t",
            "nova.outcome.echo.other.t",
            "nova.attempt.echo.other.t",
            "nova.dead.echo.other.t",
            "nova.event.task.dead.echo.other.t",
            "nova.control.cancel.echo.other.old",
            "$KV.nova-workers.w2",
        ] {
            boss.broker.publish(Message::new(subject, "{}"), Expect::Any).await.expect("an operator publishes");
        }
        Self { fleet, boss, w2, cli7 }
    }

    /// Carries an attack out: the server complains of every step, nothing changes, nobody hears anything.
    async fn withstands(&self, attacker: &Login, attack: &Attack<'_>) {
        let before = self.fleet.snapshot().await;
        let mut everything = Vec::new();
        for space in ["nova.>", "$KV.>", "$O.>"] {
            everything.push(self.boss.broker.listen(space.to_owned(), None).await.expect("an operator listens"));
        }
        let mut inboxes = vec![
            (&self.w2, self.w2.broker.listen("_INBOX_w2.probe".to_owned(), None).await.expect("its own inbox")),
            (&self.cli7, self.cli7.broker.listen("_INBOX_cli7.probe".to_owned(), None).await.expect("its own inbox")),
        ];
        for (subject, body) in &attack.publishes {
            attacker.publish_is_denied(Message::new(*subject, body.to_string())).await;
        }
        for listener in &mut everything {
            assert_eq!(self.boss.heard(listener).await, None);
        }
        for (owner, listener) in &mut inboxes {
            assert_eq!(owner.heard(listener).await, None);
        }
        drop(everything);
        assert_eq!(self.fleet.snapshot().await, before, "what is denied has no effect");

        for pattern in &attack.listens {
            let mut listener = attacker.listen_is_denied(pattern).await;
            let probe = match *pattern {
                ">" => "nova.probe".to_owned(),
                // A probe must not be taken by a stream, or a broken denial would only show in the next one.
                "$JS.API.>" => "$JS.API.INFO".to_owned(),
                other => other.replace(['*', '>'], "probe"),
            };
            let prober = match probe.split('.').next() {
                Some("_INBOX_cli7") => &self.cli7,
                Some("_INBOX_w2" | "_INBOX") => &self.w2,
                _ => &self.boss,
            };
            prober.broker.tell(Message::new(probe, "{}")).await.expect("the connection is up");
            prober.broker.flush().await.expect("the server answers");
            assert_eq!(attacker.heard(&mut listener).await, None, "{pattern}");
        }
    }

    /// Takes one task of a queue as its rightful worker and lets the attacker ack it.
    async fn acks_do_not_count(&self, owner: &Login, queue: &str, attacker: &Login) {
        let stream = assets::tasks_stream(&skill(queue));
        let request = PullRequest { stream: stream.clone(), consumer: "normal".into(), batch: 1, wait: None };
        let mut pull = owner.broker.pull(request).await.expect("a worker pulls");
        let Some(Ok(PullItem::Delivery(delivery))) = pull.next().await else { panic!("a task waits") };
        let normal = || async {
            let consumer = assets::consumer(Priority::Normal).to_owned();
            self.boss.broker.consumer(stream.clone(), consumer).await.expect("readable").expect("it exists")
        };
        let before = normal().await;
        assert_eq!(before.ack_pending, 1);
        let said = attacker.complaints().len();
        attacker.broker.settle(&delivery.token, Settle::Ack).await.expect("the connection is up");
        wait_until("the server to complain of the ack", PATIENCE, || async {
            attacker.complaints()[said..].iter().any(|said| said.contains("publish to \"$js.ack.")).then_some(())
        })
        .await;
        assert_eq!(normal().await.ack_pending, 1, "the task is still its worker's");
        owner.broker.settle(&delivery.token, Settle::Ack).await.expect("the connection is up");
        wait_until("the rightful ack to count", PATIENCE, || async { (normal().await.ack_pending == 0).then_some(()) })
            .await;
    }
}

/// Requests that change or read streams and consumers, each one the server would carry out for an operator.
const ADMINISTRATION: [(&str, &str); 20] = [
    ("$JS.API.STREAM.CREATE.EVIL", r#"{"name":"EVIL","subjects":["evil.>"]}"#),
    (
        "$JS.API.STREAM.UPDATE.NOVA_OUTCOMES",
        r#"{"name":"NOVA_OUTCOMES","subjects":["nova.outcome.*.*.*"],"max_age":1000000000}"#,
    ),
    ("$JS.API.STREAM.DELETE.NOVA_TASKS_echo", ""),
    ("$JS.API.STREAM.PURGE.NOVA_TASKS_echo", ""),
    ("$JS.API.STREAM.PURGE.NOVA_OUTCOMES", ""),
    ("$JS.API.STREAM.PURGE.OBJ_nova-blobs", ""),
    ("$JS.API.STREAM.MSG.DELETE.NOVA_OUTCOMES", r#"{"seq":1}"#),
    ("$JS.API.STREAM.MSG.GET.NOVA_OUTCOMES", r#"{"seq":1}"#),
    ("$JS.API.STREAM.MSG.GET.NOVA_TASKS_shell", r#"{"last_by_subj":"nova.task.shell"}"#),
    ("$JS.API.STREAM.SNAPSHOT.NOVA_OUTCOMES", r#"{"deliver_subject":"_INBOX.x"}"#),
    (
        "$JS.API.CONSUMER.CREATE.NOVA_TASKS_echo",
        r#"{"stream_name":"NOVA_TASKS_echo","config":{"deliver_policy":"all","ack_policy":"none"}}"#,
    ),
    (
        "$JS.API.CONSUMER.CREATE.NOVA_TASKS_echo.evil",
        r#"{"stream_name":"NOVA_TASKS_echo","config":{"durable_name":"evil","name":"evil","ack_policy":"explicit"}}"#,
    ),
    (
        "$JS.API.CONSUMER.DURABLE.CREATE.NOVA_TASKS_echo.evil",
        r#"{"stream_name":"NOVA_TASKS_echo","config":{"durable_name":"evil","ack_policy":"explicit"}}"#,
    ),
    (
        "$JS.API.CONSUMER.CREATE.NOVA_TASKS_echo.normal.nova.task.echo",
        r#"{"stream_name":"NOVA_TASKS_echo","config":{"durable_name":"normal","name":"normal","ack_policy":"explicit","filter_subject":"nova.task.echo","max_ack_pending":1},"action":"update"}"#,
    ),
    ("$JS.API.CONSUMER.DELETE.NOVA_TASKS_echo.high", ""),
    ("$JS.API.CONSUMER.PAUSE.NOVA_TASKS_echo.high", r#"{"pause_until":"2100-01-01T00:00:00Z"}"#),
    ("$JS.API.CONSUMER.MSG.NEXT.NOVA_TASKS_shell.normal", r#"{"batch":1}"#),
    ("$JS.API.CONSUMER.MSG.NEXT.NOVA_SCHEDULES.coordinator-due", r#"{"batch":1}"#),
    ("$JS.API.CONSUMER.MSG.NEXT.NOVA_CONTROL.coordinator-cancel", r#"{"batch":1}"#),
    ("$JS.API.DIRECT.GET.NOVA_TASKS_shell", r#"{"last_by_subj":"nova.task.shell"}"#),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_can_do_nothing_to_another_skill_or_worker() {
    let ground = Ground::prepare().await;
    let w1 = ground.fleet.login("w1").await;
    let mut publishes = ADMINISTRATION.to_vec();
    publishes.extend([
        ("nova.task.echo", "{}"),
        ("nova.task.shell.high", "{}"),
        ("nova.outcome.shell.cli7.new", "{}"),
        ("nova.attempt.shell.cli7.new", "{}"),
        ("nova.dead.shell.cli7.new", "{}"),
        ("nova.schedule.shell.cli7.new", "{}"),
        ("nova.done.shell.cli7.new", "{}"),
        ("nova.event.task.dead.shell.cli7.new", "{}"),
        ("nova.due.echo.normal", "{}"),
        ("nova.control.cancel.echo.cli7.new", ""),
        ("nova.control.cancel.shell.cli7.new", ""),
        ("nova.call.echo", "{}"),
        ("nova.later.echo.cli7.new", "{}"),
        ("nova.run.1.x", "{}"),
        ("$KV.nova-workers.w2", "{}"),
        ("$KV.nova-config.leader", "w1"),
        ("$KV.nova-config.drain.w2", "1"),
        ("$KV.nova-config.drain.w1", "1"),
        ("_INBOX_w2.probe", "{}"),
        ("_INBOX_cli7.probe", "{}"),
        ("$JS.API.STREAM.INFO.NOVA_TASKS_shell", ""),
        ("$JS.API.CONSUMER.INFO.NOVA_TASKS_shell.normal", ""),
        ("$JS.API.STREAM.LIST", ""),
        ("$JS.API.DIRECT.GET.NOVA_OUTCOMES", r#"{"seq":1}"#),
        ("$JS.API.DIRECT.GET.NOVA_OUTCOMES.nova.outcome.shell.cli7.t", ""),
    ]);
    let listens = vec![
        "_INBOX_cli7.>",
        "_INBOX_w2.>",
        "_INBOX.>",
        ">",
        "nova.task.>",
        "nova.task.echo",
        "nova.outcome.>",
        "nova.done.>",
        "nova.reply.>",
        "nova.control.cancel.shell.>",
        "nova.event.>",
        "$KV.nova-config.>",
        "$KV.nova-config.drain.w2",
        "$KV.nova-workers.>",
        "$O.nova-blobs.>",
        "$JS.API.>",
    ];
    ground.withstands(&w1, &Attack { publishes, listens }).await;
    ground.acks_do_not_count(&ground.w2, "shell", &w1).await;
    // The same requests have an effect for whoever may make them, or their lack of effect proves nothing.
    let before = ground.fleet.snapshot().await;
    ground.boss.broker.purge("NOVA_OUTCOMES".into(), nova_broker::Purge::Sequence(1)).await.expect("an operator may");
    assert_ne!(ground.fleet.snapshot().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submitter_can_do_nothing_outside_its_scope() {
    let ground = Ground::prepare().await;
    let mut publishes = ADMINISTRATION.to_vec();
    publishes.extend([
        ("$JS.API.CONSUMER.MSG.NEXT.NOVA_TASKS_echo.normal", r#"{"batch":1}"#),
        ("nova.outcome.echo.cli7.new", "{}"),
        ("nova.attempt.echo.cli7.new", "{}"),
        ("nova.dead.echo.cli7.new", "{}"),
        ("nova.done.echo.cli7.new", "{}"),
        ("nova.event.task.dead.echo.cli7.new", "{}"),
        ("nova.schedule.echo.cli7.new", "{}"),
        ("nova.due.echo.normal", "{}"),
        ("nova.control.cancel.echo.other.new", ""),
        ("nova.later.echo.other.new", "{}"),
        ("nova.reply.other.token", "{}"),
        ("nova.run.1.x", "{}"),
        ("$KV.nova-workers.w2", "{}"),
        ("$KV.nova-config.leader", "cli7"),
        ("$KV.nova-config.drain.w2", "1"),
        ("_INBOX_w2.probe", "{}"),
        ("$JS.API.STREAM.INFO.NOVA_TASKS_echo", ""),
        ("$JS.API.STREAM.LIST", ""),
        ("$JS.API.DIRECT.GET.NOVA_OUTCOMES", r#"{"seq":1}"#),
        ("$JS.API.DIRECT.GET.NOVA_OUTCOMES.nova.outcome.echo.other.t", ""),
        ("$JS.API.DIRECT.GET.NOVA_ATTEMPTS.nova.attempt.echo.other.t", ""),
        ("$JS.API.DIRECT.GET.NOVA_DEAD.nova.dead.echo.other.t", ""),
        ("$JS.API.DIRECT.GET.NOVA_EVENTS.nova.event.task.dead.echo.other.t", ""),
        ("$JS.API.DIRECT.GET.NOVA_EVENTS", r#"{"seq":1}"#),
        ("$JS.API.DIRECT.GET.NOVA_CONTROL.nova.control.cancel.echo.other.old", ""),
        ("$JS.API.DIRECT.GET.KV_nova-workers", r#"{"seq":1}"#),
    ]);
    let listens = vec![
        "_INBOX_w2.>",
        "_INBOX.>",
        ">",
        "nova.done.>",
        "nova.done.*.other.*",
        "nova.reply.>",
        "nova.reply.other.>",
        "nova.outcome.>",
        "nova.outcome.echo.cli7.*",
        "nova.task.>",
        "nova.event.>",
        "nova.event.task.*.*.other.*",
        "nova.call.*",
        "nova.later.*.*.*",
        "nova.control.cancel.>",
        "$KV.>",
        "$O.>",
    ];
    ground.withstands(&ground.cli7, &Attack { publishes, listens }).await;
    ground.acks_do_not_count(&ground.w2, "shell", &ground.cli7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_changes_nothing() {
    let ground = Ground::prepare().await;
    let viewer = ground.fleet.login("v1").await;
    let reads = ["$JS.API.DIRECT.GET.NOVA_TASKS_shell"];
    let mut publishes: Vec<_> = ADMINISTRATION.into_iter().filter(|(subject, _)| !reads.contains(subject)).collect();
    publishes.extend([
        ("$JS.API.CONSUMER.MSG.NEXT.NOVA_TASKS_echo.normal", r#"{"batch":1}"#),
        ("nova.task.echo", "{}"),
        ("nova.task.shell.high", "{}"),
        ("nova.call.echo", "{}"),
        ("nova.later.echo.cli7.new", "{}"),
        ("nova.control.cancel.echo.cli7.new", ""),
        ("nova.outcome.echo.cli7.new", "{}"),
        ("nova.dead.echo.cli7.new", "{}"),
        ("nova.done.echo.cli7.new", "{}"),
        ("nova.reply.cli7.token", "{}"),
        ("$KV.nova-workers.w2", "{}"),
        ("$KV.nova-config.drain.w2", "1"),
        ("$O.nova-blobs.M.x", "{}"),
        ("_INBOX_w2.probe", "{}"),
    ]);
    let listens = vec!["_INBOX_w2.>", "_INBOX_cli7.>", "_INBOX.>", ">", "nova.task.>", "nova.reply.>", "$O.>"];
    ground.withstands(&viewer, &Attack { publishes, listens }).await;
    ground.acks_do_not_count(&ground.w2, "shell", &viewer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_changes_no_definition_and_takes_no_tasks() {
    let ground = Ground::prepare().await;
    let coordinator = ground.fleet.login("c1").await;
    let allowed = [
        "$JS.API.STREAM.PURGE.NOVA_TASKS_echo",
        "$JS.API.STREAM.PURGE.OBJ_nova-blobs",
        "$JS.API.STREAM.MSG.GET.NOVA_OUTCOMES",
        "$JS.API.STREAM.MSG.GET.NOVA_TASKS_shell",
        "$JS.API.CONSUMER.PAUSE.NOVA_TASKS_echo.high",
        "$JS.API.CONSUMER.MSG.NEXT.NOVA_SCHEDULES.coordinator-due",
        "$JS.API.CONSUMER.MSG.NEXT.NOVA_CONTROL.coordinator-cancel",
        "$JS.API.DIRECT.GET.NOVA_TASKS_shell",
    ];
    let publishes = ADMINISTRATION.into_iter().filter(|(subject, _)| !allowed.contains(subject)).collect();
    let listens = vec!["_INBOX_w2.>", "_INBOX_cli7.>", "_INBOX.>", ">", "nova.task.>", "nova.outcome.>", "$O.>"];
    ground.withstands(&coordinator, &Attack { publishes, listens }).await;
    ground.acks_do_not_count(&ground.w2, "shell", &coordinator).await;
}
