//! Claims about permissions: what is granted, and what is not.

use super::*;
use crate::Catalogue;

fn skills(names: &[&str]) -> Vec<Skill> {
    names.iter().map(|name| Skill::new(*name).expect("a skill")).collect()
}

fn name(text: &str) -> UserName {
    UserName::new(text).expect("a name")
}

fn worker() -> Permissions {
    permissions(&name("w1"), &Role::Worker { skills: skills(&["echo", "http"]) })
}

fn submitter(of: Option<&[&str]>) -> Permissions {
    let scope = Scope::new("shop").expect("a scope");
    permissions(&name("s1"), &Role::Submitter { scope, skills: of.map(skills) })
}

fn coordinator() -> Permissions {
    permissions(&name("c1"), &Role::Coordinator { skills: skills(&["echo"]) })
}

/// Whether a subject is granted, by NATS' own rules.
fn is_granted(allowed: &[String], subject: &str) -> bool {
    allowed.iter().any(|pattern| {
        let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
        loop {
            match (pattern.next(), subject.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some(want), Some(have)) if want == "*" || want == have => {}
                _ => return false,
            }
        }
    })
}

#[track_caller]
fn check(allowed: &[String], granted: &[&str], denied: &[&str]) {
    for subject in granted {
        assert!(is_granted(allowed, subject), "{subject} should be granted");
    }
    for subject in denied {
        assert!(!is_granted(allowed, subject), "{subject} should be denied");
    }
}

#[test]
fn every_template_fills_without_a_rest() {
    let all = [
        worker(),
        submitter(None),
        submitter(Some(&["echo"])),
        coordinator(),
        permissions(&name("o1"), &Role::Operator),
        permissions(&name("v1"), &Role::Viewer),
    ];
    for Permissions { publish, subscribe, .. } in &all {
        let rest: Vec<_> =
            publish.iter().chain(subscribe).filter(|subject| subject.contains(['{', '}', ' '])).collect();
        assert!(rest.is_empty(), "{rest:?}");
    }
}

#[test]
fn a_worker_lives_on_its_own_queues_only() {
    check(
        &worker().publish,
        &[
            "$JS.API.CONSUMER.MSG.NEXT.NOVA_TASKS_echo.high",
            "$JS.API.CONSUMER.MSG.NEXT.NOVA_TASKS_http.low",
            "$JS.API.CONSUMER.INFO.NOVA_TASKS_echo.normal",
            "$JS.ACK.NOVA_TASKS_echo.normal.1.2.3.4.5",
            "$JS.ACK._.ACCHASH.NOVA_TASKS_echo.low.1.2.3.4.5",
            "nova.outcome.echo.shop.1",
            "nova.event.task.fenced.echo.shop.1",
            "nova.schedule.http.shop.1",
            "$JS.API.DIRECT.GET.NOVA_OUTCOMES.nova.outcome.echo.shop.1",
            "$KV.nova-workers.w1",
            "$JS.API.CONSUMER.MSG.NEXT.NOVA_TASKS_echo.k7",
            "$JS.ACK.NOVA_TASKS_echo.k7.1.2.3.4.5",
            "$JS.API.DIRECT.GET.NOVA_TASKS_echo",
            "$KV.nova-config.keyed.echo.p.0",
            "$JS.API.DIRECT.GET.KV_nova-config.$KV.nova-config.keyed.echo.p.0",
            "$KV.nova-config.rate.echo",
            "$JS.API.DIRECT.GET.KV_nova-config.$KV.nova-config.rate.http",
        ],
        &[
            "$KV.nova-config.rate.shell",
            "$JS.API.DIRECT.GET.KV_nova-config.$KV.nova-config.rate.shell",
            "$JS.API.DIRECT.GET.KV_nova-config",
            "$KV.nova-keys.once.echo.shop.k",
            "$JS.API.CONSUMER.MSG.NEXT.NOVA_TASKS_shell.high",
            "$JS.API.CONSUMER.MSG.NEXT.NOVA_SCHEDULES.coordinator-due",
            "$JS.ACK.NOVA_TASKS_shell.normal.1.2.3.4.5",
            "$JS.API.CONSUMER.CREATE.NOVA_TASKS_echo.mine",
            "$JS.API.CONSUMER.DURABLE.CREATE.NOVA_TASKS_echo.mine",
            "$JS.API.CONSUMER.PAUSE.NOVA_TASKS_echo.high",
            "$JS.API.STREAM.INFO.NOVA_TASKS_echo",
            "$JS.API.STREAM.PURGE.NOVA_TASKS_echo",
            "$JS.API.STREAM.MSG.GET.NOVA_OUTCOMES",
            "$JS.API.DIRECT.GET.NOVA_OUTCOMES",
            "$JS.API.DIRECT.GET.NOVA_OUTCOMES.nova.outcome.shell.shop.1",
            "$JS.API.DIRECT.GET.NOVA_TASKS_shell",
            "$KV.nova-config.keyed.shell.p.0",
            "$JS.API.DIRECT.GET.KV_nova-config.$KV.nova-config.keyed.shell.p.0",
            "nova.task.echo",
            "nova.outcome.shell.shop.1",
            "nova.due.echo.normal",
            "nova.control.cancel.echo.shop.1",
            "$KV.nova-workers.w2",
            "$KV.nova-config.leader",
            "_INBOX_w2.x",
        ],
    );
    check(
        &worker().subscribe,
        &["_INBOX_w1.x", "nova.control.cancel.echo.shop.1", "$KV.nova-config.drain.w1", "$SRV.PING"],
        &[
            "$KV.nova-config.drain.w2",
            "_INBOX.x",
            "_INBOX_w2.x",
            "nova.task.echo",
            "nova.outcome.echo.a.b",
            "nova.control.cancel.shell.a.b",
        ],
    );
    assert_eq!(worker().allow_responses, None);
}

#[test]
fn a_submitter_reaches_its_own_scope_only() {
    check(
        &submitter(None).publish,
        &[
            "nova.task.echo",
            "nova.task.echo.high",
            "nova.call.echo",
            "nova.later.echo.shop.1",
            "nova.control.cancel.echo.shop.1",
            "$JS.API.DIRECT.GET.NOVA_OUTCOMES.nova.outcome.echo.shop.1",
            "$JS.API.DIRECT.GET.NOVA_DEAD.nova.dead.echo.shop.1",
            "$JS.API.DIRECT.GET.NOVA_EVENTS.nova.event.task.dead.echo.shop.1",
            "$KV.nova-keys.once.echo.shop.k",
            "$KV.nova-keys.unique.echo.shop.=0a",
            "$JS.API.DIRECT.GET.KV_nova-keys.$KV.nova-keys.once.echo.shop.k",
        ],
        &[
            "$KV.nova-keys.once.echo.other.k",
            "$KV.nova-keys.other.echo.shop.k",
            "$KV.nova-config.rate.echo",
            "$JS.API.DIRECT.GET.KV_nova-keys",
            "$JS.API.DIRECT.GET.KV_nova-keys.$KV.nova-keys.once.echo.other.k",
            "$JS.API.CONSUMER.INFO.NOVA_TASKS_*.high",
            "$JS.API.CONSUMER.INFO.NOVA_TASKS_echo.high",
            "$JS.API.DIRECT.GET.NOVA_EVENTS.nova.event.task.dead.echo.other.1",
            "nova.schedule.echo.shop.1",
            "nova.due.echo.normal",
            "nova.outcome.echo.shop.1",
            "nova.later.echo.other.1",
            "nova.control.cancel.echo.other.1",
            "$JS.API.DIRECT.GET.NOVA_OUTCOMES",
            "$JS.API.DIRECT.GET.NOVA_OUTCOMES.nova.outcome.echo.other.1",
            "$JS.API.STREAM.LIST",
            "$JS.API.CONSUMER.MSG.NEXT.NOVA_TASKS_echo.high",
        ],
    );
    check(
        &submitter(None).subscribe,
        &["_INBOX_s1.x", "nova.done.echo.shop.1", "nova.reply.shop.token"],
        &["_INBOX.x", "nova.done.echo.other.1", "nova.reply.other.token", "nova.outcome.echo.shop.1"],
    );
    let narrow = submitter(Some(&["echo"]));
    // A client listens to its whole scope with one subscription.
    check(&narrow.subscribe, &["nova.done.*.shop.*"], &["nova.done.*.other.*", "nova.event.task.dead.shell.shop.1"]);
    check(
        &narrow.publish,
        &["nova.task.echo.low", "nova.call.echo", "$JS.API.CONSUMER.INFO.NOVA_TASKS_echo.high"],
        &["nova.task.shell", "nova.call.shell", "$JS.API.CONSUMER.INFO.NOVA_TASKS_shell.high"],
    );
}

#[test]
fn a_coordinator_defines_nothing() {
    check(
        &coordinator().publish,
        &[
            "nova.task.http.high",
            "$JS.API.CONSUMER.MSG.NEXT.NOVA_SCHEDULES.coordinator-due",
            "$JS.API.STREAM.PURGE.NOVA_TASKS_echo",
            "$JS.API.CONSUMER.PAUSE.NOVA_TASKS_echo.high",
            "$JS.API.DIRECT.GET.NOVA_OUTCOMES",
            "$JS.API.STREAM.MSG.GET.NOVA_TASKS_echo",
        ],
        &[
            "$JS.API.STREAM.CREATE.NOVA_X",
            "$JS.API.STREAM.UPDATE.NOVA_OUTCOMES",
            "$JS.API.STREAM.DELETE.NOVA_OUTCOMES",
            "$JS.API.STREAM.PURGE.NOVA_OUTCOMES",
            "$JS.API.CONSUMER.CREATE.NOVA_TASKS_echo.x",
            "$JS.API.CONSUMER.DELETE.NOVA_TASKS_echo.high",
            "$JS.API.CONSUMER.MSG.NEXT.NOVA_TASKS_echo.high",
            "_INBOX.x",
        ],
    );
    assert!(coordinator().allow_responses.is_some());
}

#[test]
fn a_viewer_changes_nothing() {
    let viewer = permissions(&name("v1"), &Role::Viewer);
    check(
        &viewer.publish,
        &["$JS.API.STREAM.LIST", "$JS.API.CONSUMER.INFO.NOVA_TASKS_echo.high", "$JS.API.DIRECT.GET.NOVA_OUTCOMES"],
        &["nova.task.echo", "$JS.API.STREAM.PURGE.X", "$JS.API.CONSUMER.MSG.NEXT.X.y", "$KV.nova-workers.w1"],
    );
}

#[track_caller]
fn check_fleet(text: &str, expect: &str) {
    let error = Fleet::parse("fleet.toml", text, &Catalogue::built_in()).expect_err(text);
    let mut shown = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        shown.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    assert!(shown.contains(expect), "{shown}\nshould contain\n{expect}");
}

#[test]
fn a_fleet_file_says_who_and_never_a_secret() {
    check_fleet("[users.w]\nrole = \"worker\"\nskills = [\"echo\"]", "exactly one of password_env");
    check_fleet("[users.w]\nrole = \"worker\"\npassword_env = \"P\"", "needs skills");
    check_fleet("[users.w]\nrole = \"worker\"\nskills = [\"nope\"]\npassword_env = \"P\"", "not in the catalogue");
    check_fleet(
        "[users.w]\nrole = \"worker\"\nskills = [\"echo\"]\npassword_env = \"my pass\"",
        "environment variable",
    );
    check_fleet("[users.s]\nrole = \"submitter\"\npassword_env = \"P\"", "needs a scope");
    check_fleet("[users.s]\nrole = \"submitter\"\nscope = \"_x\"\npassword_env = \"P\"", "belongs to Nova");
    check_fleet("[users.\"a.b\"]\nrole = \"viewer\"\npassword_env = \"P\"", "worker id `a.b`");
    check_fleet("[users.o]\nrole = \"admin\"\npassword_env = \"P\"", "admin");
    check_fleet("[users.o]\nrole = \"operator\"\npassword = \"hunter2\"", "unknown field");
    let hidden = "[users.o]\nrole = \"operator\"\npassword_hash = \"hunter2\"";
    check_fleet(hidden, "no bcrypt hash");
    let error = Fleet::parse("fleet.toml", hidden, &Catalogue::built_in()).expect_err("refused");
    assert!(!format!("{error:?}").contains("hunter2"));
}
