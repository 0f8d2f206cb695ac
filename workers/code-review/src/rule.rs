//! What a rule says of itself, whether its matching is done by ast-grep or by one of the computed checks.

use ast_grep_config::{SerializableRuleConfig, Severity as AstSeverity};
use ast_grep_core::Node;
use ast_grep_core::matcher::{RegexMatcher, RegexMatcherError};
use ast_grep_language::SupportLang;
use serde::{Deserialize, Serialize};

use crate::finding::Severity;
use crate::language::Language;
use crate::syntax::Doc;

/// Describes one rule, stable over versions, as SARIF's list of rules wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleInfo {
    /// Its name in findings, such as `rust/unwrap`.
    pub id: String,
    /// What it finds, in a few words.
    pub summary: String,
    /// How much its findings matter outside test code.
    pub severity: Severity,
    /// What to do about a finding.
    pub help: String,
    /// Languages it is applied to.
    pub languages: Vec<Language>,
}

/// How findings in test code are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InTests {
    /// Like any other.
    #[default]
    Same,
    /// Reported as `info`.
    Info,
    /// Not reported.
    Off,
}

impl InTests {
    /// The severity of a finding, or nothing when it is not to be reported.
    pub(crate) fn severity(self, severity: Severity, in_test: bool) -> Option<Severity> {
        match self {
            Self::Off if in_test => None,
            Self::Info if in_test => Some(Severity::Info),
            _ => Some(severity),
        }
    }
}

/// Nova's own keys under a rule's `metadata`. Others are allowed there and ignored.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Extras {
    pub(crate) summary: Option<String>,
    #[serde(rename = "in-tests")]
    pub(crate) in_tests: InTests,
    /// The rule is not applied to files whose text matches this.
    #[serde(rename = "unless-file")]
    pub(crate) unless_file: Option<FileRegex>,
}

/// A regular expression over the text of a whole file, looked at once per file.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct FileRegex(RegexMatcher);

impl TryFrom<String> for FileRegex {
    type Error = RegexMatcherError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        RegexMatcher::try_new(&text).map(Self)
    }
}

impl Extras {
    /// Returns whether the rule is not for this file.
    pub(crate) fn leaves_out(&self, root: &Node<'_, Doc>) -> bool {
        self.unless_file.as_ref().is_some_and(|regex| root.matches(&regex.0))
    }

    /// Reads the keys out of ast-grep's opaque metadata.
    pub(crate) fn of(rule: &SerializableRuleConfig<SupportLang>) -> Result<Self, serde_json::Error> {
        rule.metadata.as_ref().map_or_else(
            || Ok(Self::default()),
            |metadata| serde_json::to_value(metadata).and_then(serde_json::from_value),
        )
    }
}

/// The checks that are code of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Check {
    Complexity,
    LongFunction,
    DuplicateBranch,
    DuplicateArm,
}

/// A computed check's description, the content of a file in `rules/any`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Computed {
    pub(crate) id: String,
    pub(crate) check: Check,
    pub(crate) severity: AstSeverity,
    /// `{name}`, `{value}` and `{limit}` are filled in.
    pub(crate) message: String,
    pub(crate) note: String,
    pub(crate) metadata: Extras,
}

impl Computed {
    pub(crate) fn info(&self) -> RuleInfo {
        RuleInfo {
            id: self.id.clone(),
            summary: self.metadata.summary.clone().unwrap_or_default(),
            severity: severity(&self.severity),
            help: self.note.trim().to_owned(),
            languages: Language::ALL.to_vec(),
        }
    }
}

/// Describes an ast-grep rule.
pub(crate) fn describe(rule: &SerializableRuleConfig<SupportLang>, extras: Extras, language: Language) -> RuleInfo {
    RuleInfo {
        id: rule.id.clone(),
        summary: extras.summary.unwrap_or_else(|| rule.message.clone()),
        severity: severity(&rule.severity),
        help: rule.note.clone().unwrap_or_default().trim().to_owned(),
        languages: language.dialects().to_vec(),
    }
}

/// Maps ast-grep's scale to ours; a rule that is off never gets here.
pub(crate) fn severity(severity: &AstSeverity) -> Severity {
    match severity {
        AstSeverity::Error => Severity::Error,
        AstSeverity::Warning => Severity::Warning,
        AstSeverity::Info | AstSeverity::Hint | AstSeverity::Off => Severity::Info,
    }
}
