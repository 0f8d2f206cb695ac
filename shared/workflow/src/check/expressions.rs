//! Expressions: that they can be read, and that every name in them means something where they stand.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Problems, Programs, Texts, names, types};
use crate::Workflow;
use crate::expr::{self, Compiled, FUNCTIONS, Fault, Read, Root};
use crate::sites::{Held, Site, Wants, offered_in};
use crate::template::{self, Piece};

/// All expressions of a workflow, each text compiled once.
#[derive(Default)]
pub(super) struct Codes<'a> {
    compiled: HashMap<String, Result<Arc<Compiled>, Vec<Fault>>>,
    texts: Texts,
    /// Where they are used.
    pub(super) uses: Vec<Use<'a>>,
}

/// The use of an expression.
pub(super) struct Use<'a> {
    pub(super) site: Site<'a>,
    pub(super) path: String,
    pub(super) compiled: Arc<Compiled>,
}

impl<'a> Codes<'a> {
    /// Compiles what a site holds and checks it.
    pub(super) fn read(&mut self, site: &Site<'a>, workflow: &Workflow, problems: &mut Problems) {
        match site.held {
            Held::Expr(expr) => self.code(&expr.0, 0, site.wants, &site.path, site, workflow, problems),
            Held::Template(held) => {
                if site.wants == Wants::Word && !held.0.is_string() {
                    problems.add(&site.path, "it must be text, such as \"${input.customer}\"");
                }
                let mut texts = Vec::new();
                template::texts(&held.0, &site.path, &mut |text, path| texts.push((text, path.to_owned())));
                for (text, path) in texts {
                    self.text(text, &path, site, workflow, problems);
                }
            }
        }
    }

    fn text(&mut self, text: &str, path: &str, site: &Site<'a>, workflow: &Workflow, problems: &mut Problems) {
        if template::is_plain(text) {
            return;
        }
        match template::split(text) {
            Ok(pieces) => {
                for piece in &pieces {
                    if let Piece::Code(code, at) = piece {
                        let wants = if pieces.len() == 1 { site.wants } else { Wants::Any };
                        self.code(code, *at, wants, path, site, workflow, problems);
                    }
                }
                self.texts.insert(text.to_owned(), pieces.into());
            }
            Err(at) => problems.add_at(path, at, "this `${` is never closed by a `}`; write `$${` for a plain `${`"),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call per kind of holder; a struct would only name them again")]
    fn code(
        &mut self,
        code: &str,
        at: usize,
        wants: Wants,
        path: &str,
        site: &Site<'a>,
        workflow: &Workflow,
        problems: &mut Problems,
    ) {
        let compiled = self.compiled.entry(code.to_owned()).or_insert_with(|| expr::compile(code).map(Arc::new));
        match compiled {
            Ok(compiled) => {
                let mut named = true;
                for read in &compiled.reads {
                    if let Some((within, message)) = wrong(read, site, workflow) {
                        named = false;
                        problems.add_at(path, at + within, message);
                    }
                }
                if named {
                    for fault in types::check(compiled, wants, workflow) {
                        problems.add_at(path, at + fault.at, fault.message);
                    }
                }
                let compiled = Arc::clone(compiled);
                self.uses.push(Use { site: site.clone(), path: path.to_owned(), compiled });
            }
            Err(faults) => {
                for fault in faults {
                    problems.add_at(path, at + fault.at, fault.message.clone());
                }
            }
        }
    }

    /// The programs and texts, when all of them are sound.
    pub(super) fn finish(self) -> (Programs, Texts) {
        let programs = self.compiled.into_iter().filter_map(|(code, compiled)| Some((code, compiled.ok()?)));
        (programs.collect(), self.texts)
    }
}

/// What is wrong with a name where it stands, and at which byte of the expression.
fn wrong(read: &Read, site: &Site<'_>, workflow: &Workflow) -> Option<(usize, String)> {
    match read {
        Read::Root(root, at) if !site.place.offers(root) => {
            Some((*at, format!("`{root}` means nothing here; it can be read {}", offered_in(root))))
        }
        Read::Root(root, at) => match root.step() {
            Some(step) if Some(step) == site.step => {
                let instead = if site.place.offers(&Root::Result) { "; its result is `result` here" } else { "" };
                Some((*at, format!("step `{step}` cannot read itself{instead}")))
            }
            Some(step) if !workflow.steps.contains_key(step) => Some((*at, names::no_step(workflow, step.as_str()))),
            _ => None,
        },
        Read::Step(name, at) => Some((*at, names::no_step(workflow, name))),
        Read::Unknown(word, at) => {
            let mut words: Vec<String> =
                Root::WORDS.iter().filter(|root| site.place.offers(root)).map(ToString::to_string).collect();
            words.push("steps".into());
            if workflow.steps.keys().any(|id| id.as_str() == word) {
                return Some((
                    *at,
                    format!("there is no variable `{word}`; write steps.{word}.result for that step's result"),
                ));
            }
            if workflow.input.as_ref().is_some_and(|inputs| inputs.contains_key(word)) {
                return Some((*at, format!("there is no variable `{word}`; write input.{word} for that input")));
            }
            let meant = names::nearest(word, words.iter().map(String::as_str));
            Some((*at, format!("there is no variable `{word}`{meant}")))
        }
        Read::Call { name, member, args, at } => call(name, *member, *args).map(|message| (*at, message)),
    }
}

/// What is wrong with a call.
fn call(name: &str, member: bool, args: usize) -> Option<String> {
    let shown = |member: bool| if member { format!("x.{name}()") } else { format!("{name}(x)") };
    let fits: Vec<_> = FUNCTIONS.iter().filter(|function| function.name == name).collect();
    if fits.is_empty() {
        let meant = names::nearest(name, FUNCTIONS.iter().map(|function| function.name));
        return Some(format!("there is no function `{name}`{meant}"));
    }
    let Some(function) = fits.iter().find(|function| function.member == member) else {
        return Some(format!("`{name}` is called as {}", shown(!member)));
    };
    if function.args.contains(&args) {
        return None;
    }
    let counts = function.args.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    let plural = if counts == "1" { "" } else { "s" };
    Some(format!("`{name}` takes {counts} argument{plural}, not {args}"))
}
