//! The echo skill: answers with what it is asked.

use nova_worker::{Context, Raw, Skill, Verdict};

/// Answers with its input, byte for byte.
#[derive(Debug, Default)]
pub struct Echo;

impl Skill for Echo {
    type Input = Raw;
    type Output = Raw;

    fn name(&self) -> &str {
        "echo"
    }

    async fn run(&self, input: Raw, _cx: Context) -> Result<Raw, Verdict> {
        Ok(input)
    }
}
