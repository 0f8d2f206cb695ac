//! A permission template: subjects with places for names, one line for each combination of skill and priority.

use nova_types::{DurationText, Priority};
use serde::Deserialize;

use super::{Permissions, Responses, UserName};

/// A template that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the permission template cannot be read")]
pub(super) struct BadTemplate(#[from] toml::de::Error);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    publish: Vec<String>,
    subscribe: Vec<String>,
    #[serde(default)]
    allow_responses: Option<AllowResponses>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowResponses {
    max: u32,
    expires: DurationText,
}

/// What the places are filled with.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub skills: Vec<String>,
    pub scope: Option<String>,
    pub user: String,
}

impl Values {
    pub(super) fn of(name: &UserName) -> Self {
        Self { user: name.as_str().to_owned(), ..Self::default() }
    }
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, BadTemplate> {
        Ok(toml::from_str(text)?)
    }

    pub(super) fn fill(&self, values: &Values) -> Permissions {
        let fill = |lines: &[String]| lines.iter().flat_map(|line| expand(line, values)).collect();
        Permissions {
            publish: fill(&self.publish),
            subscribe: fill(&self.subscribe),
            allow_responses: self
                .allow_responses
                .as_ref()
                .map(|allowed| Responses { max: allowed.max, expires: allowed.expires.0 }),
        }
    }
}

fn expand(line: &str, values: &Values) -> Vec<String> {
    // A place without a value stays as it is, and the tests refuse any template that leaves one: a brace grants nothing.
    let mut line = line.replace("{{user}}", &values.user).replace("{{worker}}", &values.user);
    if let Some(scope) = &values.scope {
        line = line.replace("{{scope}}", scope);
    }
    // All skills are a wildcard, and that stands for a whole token only: what names a stream cannot be granted with it.
    let is_whole = line.split('.').all(|token| token == "{{skill}}" || !token.contains("{{skill}}"));
    if !is_whole && values.skills.iter().any(|skill| skill == "*") {
        return Vec::new();
    }
    let skills = each(vec![line], "{{skill}}", values.skills.iter().map(String::as_str));
    each(skills, "{{priority}}", Priority::ALL.into_iter().map(Priority::as_str))
}

fn each<'a>(lines: Vec<String>, place: &str, values: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let one = |line: String| -> Vec<String> {
        if line.contains(place) { values.clone().map(|value| line.replace(place, value)).collect() } else { vec![line] }
    };
    lines.into_iter().flat_map(one).collect()
}
