//! A layer of rules: one or more YAML texts, compiled per language when a file of that language first needs them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use ast_grep_config::{
    GlobalRules, RuleCollection, RuleConfig, RuleConfigError, SerializableRuleConfig, Severity, from_multiple,
};
use ast_grep_language::SupportLang;

use crate::language::Language;
use crate::rule::{Extras, RuleInfo, describe};

/// More rules than anyone writes for one file; each costs time on every file.
const MOST_RULES: usize = 500;

/// Why rules could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The YAML or its shape is wrong.
    #[error("could not read the rules of {origin}: {reason}")]
    Read {
        /// Where the rules came from.
        origin: String,
        /// What the reader says.
        reason: String,
    },
    /// A rule has no `id`.
    #[error("a rule of {origin} has no id")]
    NoId {
        /// Where the rule came from.
        origin: String,
    },
    /// A rule is for a language that cannot be reviewed.
    #[error("rule `{id}` of {origin} is for a language without a parser here")]
    Language {
        /// Where the rule came from.
        origin: String,
        /// The rule.
        id: String,
    },
    /// The rule reads well, but makes no matcher.
    #[error("could not compile rule `{id}` of {origin}: {reason}")]
    Compile {
        /// Where the rule came from.
        origin: String,
        /// The rule.
        id: String,
        /// What the compiler says.
        reason: String,
    },
    /// More rules than one source may have.
    #[error("{origin} has more than {MOST_RULES} rules")]
    TooMany {
        /// Where the rules came from.
        origin: String,
    },
    /// The folder of rules cannot be read.
    #[error("could not read {path}")]
    Folder {
        /// The folder or file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl RuleError {
    /// Trying again cannot help unless it was reading that failed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }
}

/// One YAML text and where it came from, for messages.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) origin: String,
    pub(crate) text: Cow<'static, str>,
}

/// The rules of one layer for one language, ready to match.
pub(crate) struct Compiled {
    rules: RuleCollection<SupportLang>,
    /// Ids of every rule of the layer that speaks of this language, also of those turned off.
    defined: Vec<String>,
    extras: HashMap<String, Extras>,
}

impl Compiled {
    /// The rules that apply to a path.
    pub(crate) fn for_path(&self, path: &str, language: Language) -> Vec<&RuleConfig<SupportLang>> {
        self.rules.get_rule_from_lang(Path::new(path), language.support())
    }

    pub(crate) fn defines(&self, id: &str) -> bool {
        self.defined.iter().any(|defined| defined == id)
    }

    pub(crate) fn extras(&self, id: &str) -> &Extras {
        &self.extras[id]
    }
}

/// Rules from one place: the built-in ones, a folder's, or a task's.
pub(crate) struct Layer {
    sources: Vec<Source>,
    compiled: [OnceLock<Compiled>; Language::ALL.len()],
}

impl Layer {
    /// Takes sources that are known to compile.
    pub(crate) fn trusted(sources: Vec<Source>) -> Self {
        Self { sources, compiled: [const { OnceLock::new() }; Language::ALL.len()] }
    }

    /// Takes sources of others and refuses what cannot be compiled.
    ///
    /// What was compiled for the check is kept only for one language when one is named, so that a worker that only
    /// checks its folder at the start stays small.
    pub(crate) fn checked(sources: Vec<Source>, keep: Option<Language>) -> Result<Self, RuleError> {
        let layer = Self::trusted(sources);
        for language in Language::ALL {
            let compiled = layer.compile(language)?;
            if keep == Some(language) {
                let _ = layer.compiled[language.index()].set(compiled);
            }
        }
        Ok(layer)
    }

    /// The layer's rules for a language.
    pub(crate) fn of(&self, language: Language) -> &Compiled {
        self.compiled[language.index()]
            .get_or_init(|| self.compile(language).expect("the built-in rules are tested and others were checked"))
    }

    fn compile(&self, language: Language) -> Result<Compiled, RuleError> {
        let (mut rules, mut defined, mut extras) = (Vec::new(), Vec::new(), HashMap::new());
        for source in &self.sources {
            for (written_for, mut rule) in source.read()? {
                if !written_for.dialects().contains(&language) {
                    continue;
                }
                defined.push(rule.id.clone());
                if matches!(rule.severity, Severity::Off) {
                    continue;
                }
                extras.insert(rule.id.clone(), source.extras(&rule)?);
                rule.language = language.support();
                let id = rule.id.clone();
                match RuleConfig::try_from(rule, &GlobalRules::default()) {
                    Ok(rule) => rules.push(rule),
                    // A rule may name kinds that only the language it was written for has: it cannot match in others.
                    Err(_) if written_for != language => {}
                    Err(error) => return Err(source.compile_error(id, &error)),
                }
            }
        }
        let origin = || self.sources.iter().map(|source| source.origin.as_str()).collect::<Vec<_>>().join(", ");
        let rules = RuleCollection::try_new(rules)
            .map_err(|error| RuleError::Read { origin: origin(), reason: error.to_string() })?;
        Ok(Compiled { rules, defined, extras })
    }

    /// Describes the layer's rules without compiling them.
    pub(crate) fn describe(&self) -> Result<Vec<RuleInfo>, RuleError> {
        let mut infos = Vec::new();
        for source in &self.sources {
            for (language, rule) in source.read()? {
                if !matches!(rule.severity, Severity::Off) {
                    infos.push(describe(&rule, source.extras(&rule)?, language));
                }
            }
        }
        Ok(infos)
    }
}

impl Source {
    fn read(&self) -> Result<Vec<(Language, SerializableRuleConfig<SupportLang>)>, RuleError> {
        let origin = || self.origin.clone();
        let rules = from_multiple::<SerializableRuleConfig<SupportLang>>(&self.text)
            .map_err(|error| RuleError::Read { origin: origin(), reason: error.to_string() })?;
        if rules.len() > MOST_RULES {
            return Err(RuleError::TooMany { origin: origin() });
        }
        let check = |rule: SerializableRuleConfig<SupportLang>| {
            if rule.id.is_empty() {
                return Err(RuleError::NoId { origin: origin() });
            }
            // Asking ast-grep for a grammar that was not compiled in panics, so the language is settled here.
            let language = Language::from_support(rule.language)
                .ok_or_else(|| RuleError::Language { origin: origin(), id: rule.id.clone() })?;
            Ok((language, rule))
        };
        rules.into_iter().map(check).collect()
    }

    fn extras(&self, rule: &SerializableRuleConfig<SupportLang>) -> Result<Extras, RuleError> {
        Extras::of(rule).map_err(|error| RuleError::Read {
            origin: self.origin.clone(),
            reason: format!("metadata of rule `{}`: {error}", rule.id),
        })
    }

    fn compile_error(&self, id: String, error: &RuleConfigError) -> RuleError {
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        RuleError::Compile { origin: self.origin.clone(), id, reason }
    }
}
