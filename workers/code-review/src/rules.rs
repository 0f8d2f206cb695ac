//! The rule set of a review: built-in rules, the operator's on top, a task's own on top of those.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ast_grep_config::RuleConfig;
use ast_grep_language::SupportLang;

use crate::config::Config;
use crate::language::Language;
use crate::layer::{Layer, RuleError, Source};
use crate::rule::{Computed, Extras, RuleInfo};

/// `(folder, name, text)` of every file of `rules/`.
const BUILTIN: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/builtin_rules.rs"));
/// The folder of the computed checks, which are not ast-grep rules.
const COMPUTED_FOLDER: &str = "any";
/// A folder this deep is a loop of links.
const DEEPEST_FOLDER: usize = 8;

/// The rules and limits a file is held to. Cheap to clone; rules are compiled when first needed.
#[derive(Clone)]
pub struct RuleSet {
    pub(crate) config: Arc<Config>,
    /// Later layers win.
    layers: Vec<Arc<Layer>>,
}

/// A rule ready to match, with what Nova adds to it.
pub(crate) type Active<'r> = (&'r RuleConfig<SupportLang>, &'r Extras);

impl RuleSet {
    /// Takes the built-in rules and those of `config.rules_dir`.
    ///
    /// # Errors
    /// [`RuleError`] when the folder cannot be read or holds a rule that makes no sense.
    pub fn new(config: Config) -> Result<Self, RuleError> {
        let mut layers = vec![builtin()];
        if let Some(folder) = &config.rules_dir {
            let mut sources = Vec::new();
            read_folder(folder, 0, &mut sources)?;
            layers.push(Arc::new(Layer::checked(sources, None)?));
        }
        Ok(Self { config: Arc::new(config), layers })
    }

    /// Adds the rules of one task; one with a known id replaces that rule.
    ///
    /// # Errors
    /// [`RuleError`] when the text holds a rule that makes no sense.
    pub fn with_rules(&self, yaml: &str, language: Option<Language>) -> Result<Self, RuleError> {
        let source = Source { origin: "the task".to_owned(), text: Cow::Owned(yaml.to_owned()) };
        let mut extended = self.clone();
        extended.layers.push(Arc::new(Layer::checked(vec![source], language)?));
        Ok(extended)
    }

    /// Describes every rule in force, sorted by id.
    ///
    /// # Errors
    /// [`RuleError`] never for rules that were accepted before.
    pub fn catalogue(&self) -> Result<Vec<RuleInfo>, RuleError> {
        let mut infos: Vec<RuleInfo> = self.computed().map(Computed::info).collect();
        for layer in &self.layers {
            for info in layer.describe()? {
                infos.retain(|known| known.id != info.id);
                infos.push(info);
            }
        }
        infos.retain(|info| self.is_enabled(&info.id));
        infos.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(infos)
    }

    /// The ast-grep rules for one file.
    pub(crate) fn active(&self, path: &str, language: Language) -> Vec<Active<'_>> {
        let mut active = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let compiled = layer.of(language);
            let replaced = |id: &str| self.layers[index + 1..].iter().any(|later| later.of(language).defines(id));
            for rule in compiled.for_path(path, language) {
                if self.is_enabled(&rule.id) && !replaced(&rule.id) {
                    active.push((rule, compiled.extras(&rule.id)));
                }
            }
        }
        active
    }

    /// The computed checks in force.
    pub(crate) fn computed(&self) -> impl Iterator<Item = &'static Computed> {
        static COMPUTED: OnceLock<Vec<Computed>> = OnceLock::new();
        let read = || {
            let texts = BUILTIN.iter().filter(|(folder, ..)| *folder == COMPUTED_FOLDER);
            texts.map(|(.., text)| ast_grep_config::from_str(text).expect("the built-in rules are tested")).collect()
        };
        COMPUTED.get_or_init(read).iter().filter(|check| self.is_enabled(&check.id))
    }

    fn is_enabled(&self, id: &str) -> bool {
        !self.config.disable.iter().any(|disabled| disabled == id)
    }
}

fn builtin() -> Arc<Layer> {
    static LAYER: OnceLock<Arc<Layer>> = OnceLock::new();
    let source = |&(folder, name, text): &(&str, &str, &'static str)| Source {
        origin: format!("built-in {folder}/{name}"),
        text: Cow::Borrowed(text),
    };
    let read = || BUILTIN.iter().filter(|(folder, ..)| *folder != COMPUTED_FOLDER).map(source).collect();
    Arc::clone(LAYER.get_or_init(|| Arc::new(Layer::trusted(read()))))
}

fn read_folder(folder: &Path, depth: usize, sources: &mut Vec<Source>) -> Result<(), RuleError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| RuleError::Folder { path, source }
    };
    let entries: Result<Vec<PathBuf>, _> =
        fs::read_dir(folder).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
    let mut paths = entries.map_err(failed(folder))?;
    // The order of a folder's entries differs between machines; that of the rules must not.
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if depth < DEEPEST_FOLDER {
                read_folder(&path, depth + 1, sources)?;
            }
        } else if (name.ends_with(".yml") || name.ends_with(".yaml")) && !name.contains(".test.") {
            let text = fs::read_to_string(&path).map_err(failed(&path))?;
            sources.push(Source { origin: path.display().to_string(), text: Cow::Owned(text) });
        }
    }
    Ok(())
}
