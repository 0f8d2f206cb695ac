//! A worker of one skill: shouts what it is told. The README shows this file.

use nova_worker::{Context, Skill, Verdict, Worker};

/// Shouts what it is told.
struct Shout;

impl Skill for Shout {
    type Input = String;
    type Output = String;

    fn name(&self) -> &str {
        "shout"
    }

    async fn run(&self, input: String, _cx: Context) -> Result<String, Verdict> {
        match input.as_str() {
            "" => Err(Verdict::reject("silence", "there is nothing to shout")),
            text => Ok(format!("{}!", text.to_uppercase())),
        }
    }
}

fn main() -> std::process::ExitCode {
    nova_worker::main(|_setup| async { Ok(Worker::new().skill(Shout)) })
}
