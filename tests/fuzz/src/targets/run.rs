//! Workflows and their runs: definitions, expressions, requests, and the records of a run.

use std::sync::LazyLock;

use nova_engine::run::{Loaded, Memo, Run, Stuck, View, recover, rehearse, restart, step, verify};
use nova_types::{RunId, UnixMillis};
use nova_workflow::{
    Bound, EvalError, Event, Expr, Known, Lookup, Order, Plan, Root, StartRequest, Started, Transition, canonical,
    check_text, parse,
};
use serde_json::{Value, json};

use super::{Bounds, Held, Target, as_text, holds, json_record, read, refused, same};

pub const WORKFLOW: Target = Target {
    name: "workflow",
    about: "a workflow's file: every mistake has a place, and a sound one has the same hash in any notation",
    run: workflow,
    words: &[
        "workflow: a\n",
        "steps:\n",
        "  s: {task: {skill: x}}\n",
        "map: {over: \"[1,2]\", do: {skill: x}}",
        "join: {of: [s]}",
        "vote: {do: {skill: x}}",
        "choice: {cases: [{when: \"true\", then: [s]}]}",
        "wait: {for: 1s}",
        "loop: {do: {skill: x}, until: \"true\", max: 3}",
        "undo: {skill: u}",
        "after: [s]",
        "when: ",
        "${steps.s.result}",
        "${input.a}",
        "input: {a: {type: int, default: 1}}",
        "deadline: 1h",
        "on_failure: continue",
        "parallel: 2",
        "&a ",
        "*a ",
        "!!str ",
        "---\n",
        "? ",
        "| \n",
        "- - - ",
        "{{{{",
        "\t",
        "\"\\u0000\"",
        "<<: ",
        "0x7f",
        "1e999",
        ".inf",
    ],
    longest: 4096,
    tries: 350,
    bounds: Bounds { held: (2 << 20, 4096), steps: (20_000, 512) },
};

pub const EXPRESSION: Target = Target {
    name: "expression",
    about: "an expression: it has a value or a failure with a code, and the same one when it is asked again",
    run: expression,
    words: &[
        "input.n",
        "input.list",
        "input.map",
        "steps.s.result",
        "steps.s.status",
        "item",
        "index",
        "last",
        "ballots",
        "tally",
        "run.id",
        " + ",
        " * ",
        " / 0",
        " % ",
        "==",
        " in ",
        "? 1 : 2",
        "!",
        "-",
        ".map(x, x)",
        ".filter(x, x > 1)",
        ".all(x, true)",
        "has(input.a)",
        "size(",
        "string(",
        "int(",
        "uint(",
        "double(",
        "9223372036854775807",
        "1u",
        "1.5e308",
        "'a'",
        "b'a'",
        "r'\\'",
        "[1, 2]",
        "{'a': 1}",
        ".join(',')",
        ".split('')",
        ".replace('a', 'aa')",
        ".flatten()",
        "dyn(",
        "type(",
        "//",
        "((((((((",
        "))))))))",
        "\"\"\"",
        ".?a",
        "[?0]",
        "google.protobuf.Any{}",
    ],
    longest: 1024,
    tries: 350,
    bounds: Bounds { held: (96 << 20, 4096), steps: (2_000_000, 4096) },
};

pub const REQUESTS: Target = Target {
    name: "requests",
    about: "starts and orders of runs: written and read again they are the same; no input leads to a panic",
    run: requests,
    words: &[
        "\"workflow\":\"a\"",
        "\"version\":",
        "\"input\":",
        "\"restart\":{\"run\":\"r\",\"from\":[\"s\"],\"same_input\":true}",
        "\"signal\":\"go\"",
        "\"data\":",
        "\"step\":\"s\"",
        "\"hash\":",
        "\"by\":",
        "\"note\":",
        "null",
    ],
    longest: 4096,
    tries: 1500,
    bounds: Bounds { held: (128 * 1024, 1024), steps: (2048, 32) },
};

const EVENTS_WORDS: &[&str] = &[
    "\n",
    "{\"ended\":[{\"part\":{\"step\":\"one\"},\"kind\":\"completed\",\"attempt\":1,\"result\":{\"inline\":1}}]}",
    "{\"ended\":[{\"part\":{\"step\":\"vote\",\"index\":1},\"kind\":\"completed\",\"attempt\":1,\"result\":{\"inline\":\"yes\"}}]}",
    "{\"items\":{\"step\":\"many\",\"done\":{\"items\":[0,1,2],\"results\":{\"inline\":[1,2,3]}}}}",
    "{\"fired\":\"deadline\"}",
    "{\"fired\":{\"wait\":\"pause\"}}",
    "{\"fired\":{\"round\":[\"again\",1]}}",
    "{\"signalled\":{\"order\":1,\"name\":\"go\"}}",
    "{\"cancelled\":{}}",
    "{\"paused\":{\"order\":2}}",
    "{\"resumed\":{\"order\":3}}",
    "\"admitted\"",
    "{\"approved\":{\"order\":4,\"step\":\"ask\",\"hash\":\"\",\"yes\":true}}",
    "\"kind\":\"dead\"",
    "\"role\":\"undo\"",
    "\"index\":4294967295",
    "\"error\":{\"code\":\"a\",\"message\":\"b\"}",
    "{\"blob\":{\"name\":\"b\",\"size\":18446744073709551615,\"sha256\":\"\"}}",
];

pub const EVENTS: Target = Target {
    name: "events",
    about: "events of a run, one a line: each moves the run or is refused, and what is decided verifies from its record",
    run: events,
    words: EVENTS_WORDS,
    longest: 4096,
    tries: 500,
    bounds: Bounds { held: (4 << 20, 8192), steps: (40_000, 2048) },
};

pub const HISTORY: Target = Target {
    name: "history",
    about: "transitions of a run, one a line: a record that does not follow from its events parks the run",
    run: history,
    words: &[
        "{\"v\":1,\"n\":1,\"at\":0,\"events\":[",
        "],\"decisions\":[",
        "],\"emitted\":0}",
        "{\"start\":{\"step\":\"one\",\"from\":0,\"to\":1}}",
        "{\"status\":\"running\"}",
        "{\"complete\":{\"step\":\"one\"}}",
        "{\"skip\":{\"step\":\"one\"}}",
        "\"n\":18446744073709551615",
        "\"v\":2",
        "\n",
    ],
    longest: 8192,
    tries: 700,
    bounds: Bounds { held: (4 << 20, 8192), steps: (40_000, 2048) },
};

pub const SNAPSHOT: Target = Target {
    name: "snapshot",
    about: "the state of a run in a snapshot: written and read again it is the same",
    run: snapshot,
    words: &[
        "\"steps\":{",
        "\"one\":",
        "\"flying\":",
        "\"n\":18446744073709551615",
        "\"emitted\":",
        "\"ended_steps\":",
        "null",
        "4294967295",
    ],
    longest: 8192,
    tries: 400,
    bounds: Bounds { held: (4 << 20, 8192), steps: (40_000, 2048) },
};

/// A workflow with a step of every kind, cheap to go through.
static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let workflow = json!({
        "workflow": "fuzz", "deadline": "1h", "key": "'k'", "steps": {
            "one": {"task": {"skill": "x", "input": "${input}"}, "undo": {"skill": "u", "input": "${result}"}},
            "many": {"map": {"over": "[1, 2, 3]", "do": {"skill": "x", "input": "${item}"}, "bundle": 2, "tolerate": 1}, "on_failure": "continue"},
            "vote": {"vote": {"do": {"skill": "x"}, "times": 3, "undecided": "judge", "judge": {"skill": "j", "input": "${tally}"}}},
            "again": {"loop": {"do": {"skill": "x", "input": "${last}"}, "until": "result == 3", "max": 4, "pause": "1s"}},
            "pause": {"wait": {"for": "1m"}},
            "go": {"wait": {"signal": "go", "timeout": "1m"}, "on_failure": "continue"},
            "ask": {"wait": {"approval": {"of": "${steps.one.result}"}}},
            "child": {"run": {"workflow": "child", "input": "${run.id}"}, "when": "steps.one.result != 7"},
            "pick": {"choice": {"cases": [{"when": "steps.one.result == 1", "then": ["left"]}], "otherwise": ["right"]}},
            "left": {"task": {"skill": "x"}},
            "right": {"task": {"skill": "x"}},
            "all": {"join": {"of": ["many", "vote", "left", "right"], "need": "all", "failures": "collect"}},
        },
        "result": "${steps.all.result}",
    });
    let workflow = serde_json::from_value(workflow).unwrap_or_else(|error| panic!("it is a definition: {error}"));
    Plan::new(workflow).unwrap_or_else(|problems| panic!("it is sound: {problems:?}"))
});

fn begin() -> Event {
    Event::Started(Box::new(Started::new("_.r1".parse().expect("an id"), &PLAN, json!(1).into())))
}

fn workflow(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    let plan = match check_text(&text, Known::default()) {
        Ok(plan) => plan,
        Err(problems) => {
            holds("a workflow is refused for something", !problems.is_empty())?;
            for problem in &problems {
                holds("a mistake has a place", problem.line > 0 && problem.column > 0)?;
                holds("a mistake is told", !problem.problem.message.is_empty())?;
            }
            if let Ok((workflow, _)) = parse(&text) {
                let written = canonical(&workflow);
                let again =
                    parse(&written).map_err(|problems| format!("what was written cannot be read: {problems:?}"))?;
                same("a workflow written", &canonical(&again.0), &written)?;
            }
            return refused(&problems[0].problem);
        }
    };
    let written = canonical(plan.workflow());
    let again =
        check_text(&written, Known::default()).map_err(|problems| format!("its canonical text: {problems:?}"))?;
    same("the hashes of a workflow in two notations", again.hash(), plan.hash())?;
    let kept: nova_workflow::Workflow = serde_json::from_str(&written).map_err(|error| format!("as JSON: {error}"))?;
    same("a workflow as it is stored", &canonical(&kept), &written)?;
    read(format!("{} steps", plan.order().len().min(8)))
}

/// Every root has a value.
struct Scope;

impl Lookup for Scope {
    fn get(&self, root: &Root) -> Result<Bound, EvalError> {
        Ok(Bound::new(&match root {
            Root::Input => {
                json!({"n": 3, "list": [1, 2, 3], "map": {"a": "b"}, "text": "äöü", "no": null, "big": u64::MAX, "half": 0.5})
            }
            Root::Step(_) | Root::Told(_) => {
                json!({"status": "completed", "result": [{"a": 1}], "count": 1, "failed": 0})
            }
            Root::Run => json!({"id": "r1", "workflow": "fuzz"}),
            Root::Index => json!(1),
            Root::Ballots => json!([{"choice": "yes"}]),
            Root::Tally => json!({"yes": 2}),
            Root::Item | Root::Last | Root::Result => json!("value"),
        }))
    }
}

fn expression(bytes: &[u8]) -> Held {
    let expr = Expr(as_text(bytes));
    let told = |value: &Result<Value, EvalError>| match value {
        Ok(value) => format!("a value {value}"),
        Err(error) => format!("a failure {error}"),
    };
    let value = PLAN.eval(&expr, &Scope);
    same("a value asked for twice", &told(&PLAN.eval(&expr, &Scope)), &told(&value))?;
    match value {
        Ok(value) => {
            let kind = match value {
                Value::Array(_) => "list",
                Value::Object(_) => "map",
                Value::String(_) => "text",
                _ => "plain",
            };
            read(kind)
        }
        Err(EvalError::Failed(failure)) => {
            same("the code of a failure", failure.code.as_str(), EvalError::CODE)?;
            holds("a failure is short", failure.message.chars().count() <= 700)?;
            refused(failure.message)
        }
        Err(wants) => Err(format!("nothing is in the object store: {wants}")),
    }
}

fn requests(bytes: &[u8]) -> Held {
    let order = json_record::<Order>(bytes)?;
    let start = match json_record::<StartRequest>(bytes)? {
        Ok(start) => start,
        Err(_) if order.is_ok() => return read("order"),
        Err(error) => return refused(error),
    };
    let taken = PLAN.take_input(start.input);
    if let Some(request) = start.restart {
        let _ = restart(&Run::new(request.run.clone()), &PLAN, &request);
    }
    read(if taken.is_ok() { "start" } else { "start with an input that is refused" })
}

fn events(bytes: &[u8]) -> Held {
    let (mut run, mut memo, data) = (Run::new(RunId::new("r1").expect("a run")), Memo::default(), Loaded::default());
    let (mut transitions, mut stuck) = (Vec::<Transition>::new(), 0);
    let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Event>(line).ok());
    let lines: Vec<_> = lines.take(24).collect();
    if lines.is_empty() && !bytes.is_empty() {
        return refused("no line is an event");
    }
    for (at, event) in (0..).zip([begin()].into_iter().chain(lines)) {
        match step(&run, &PLAN, vec![event], UnixMillis(at * 1000), &data, &mut memo) {
            Ok(moved) => {
                run = moved.run;
                transitions.push(moved.transition);
            }
            Err(Stuck::Wants(_) | Stuck::Parked(_)) => stuck += 1,
            Err(Stuck::Diverged(divergence)) => return Err(format!("deciding differs: {divergence}")),
        }
    }
    let written: Vec<Vec<u8>> = transitions.iter().map(|one| serde_json::to_vec(one).expect("it writes")).collect();
    let again: Vec<Transition> = written
        .iter()
        .map(|line| serde_json::from_slice(line).map_err(|error| format!("a transition written: {error}")))
        .collect::<Result<_, _>>()?;
    same("transitions written", &again, &transitions)?;
    let verified =
        verify(&PLAN, &again, &data).map_err(|error| format!("what was decided does not verify: {error}"))?;
    same("the run folded from its record", &verified.run, &run)?;
    let state = serde_json::to_vec(&run).expect("it writes");
    let kept: Run = serde_json::from_slice(&state).map_err(|error| format!("a snapshot written: {error}"))?;
    same("the run from its snapshot", &kept, &run)?;
    same("views", &kept.view(&PLAN), &run.view(&PLAN))?;
    let due = recover(&run, &PLAN, &data, &mut memo).map_err(|stuck| format!("what is due cannot be told: {stuck}"))?;
    read(format!("{} ended, {} due, {stuck} stuck, {}", run.steps_ended(), due.len().min(9), run.status()))
}

fn history(bytes: &[u8]) -> Held {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(24);
    let mut transitions = Vec::new();
    for line in lines {
        match serde_json::from_slice::<Transition>(line) {
            Ok(transition) => transitions.push(transition),
            Err(error) => return refused(error),
        }
    }
    let data = Loaded::default();
    let _ = rehearse(&PLAN, &PLAN, &transitions, &data);
    match verify(&PLAN, &transitions, &data) {
        Ok(verified) => {
            let view: View = verified.run.view(&PLAN);
            read(format!("{} of {}", view.status, view.n.min(9)))
        }
        Err(error) => refused(error),
    }
}

fn snapshot(bytes: &[u8]) -> Held {
    match json_record::<Run>(bytes)? {
        Ok(run) => read(format!("{} {}", run.status(), run.steps_ended().min(9))),
        Err(error) => refused(error),
    }
}
