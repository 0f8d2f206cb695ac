//! Compiles an expression: bounds it, finds what it reads and calls, and guards what can grow.

use std::collections::BTreeSet;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use nova_types::StepId;

use super::{Root, effort, eval, scan};

/// The longest expression, in bytes: longer ones belong into a skill.
const MAX_BYTES: usize = 4096;
/// How deep brackets may nest; the parser's stack grows with them.
const MAX_BRACKETS: usize = 24;
/// How many operators there may be; chains of them become deep trees.
const MAX_OPERATORS: usize = 200;
/// How deep the tree may be: evaluating a level takes up to 26 KiB of the stack, and threads have 2 MiB.
const MAX_DEPTH: usize = 32;
/// The fields of a step that are known without its result.
const TOLD: [&str; 4] = ["status", "error", "count", "failed"];
/// How deep loops (`map`, `filter`, `all`, `exists`, `exists_one`) may nest.
const MAX_LOOPS: usize = 3;

/// An expression ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Its text.
    pub(crate) source: String,
    /// What is evaluated; a step is one word in it, `steps.<id>`.
    pub(crate) tree: IdedExpr,
    /// What it reads.
    pub(crate) roots: BTreeSet<Root>,
    /// Each place where it reads or calls something.
    pub(crate) reads: Vec<Read>,
    /// The tree as it was written, for the check of types.
    pub(crate) written: IdedExpr,
    offsets: Vec<(u64, usize)>,
}

/// A name in an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Read {
    /// Something that can be read here or elsewhere.
    Root(Root, usize),
    /// A step whose name no step can have.
    Step(String, usize),
    /// A word nobody knows.
    Unknown(String, usize),
    /// A function, called on something or not, with that many arguments.
    Call { name: String, member: bool, args: usize, at: usize },
}

/// What is wrong with an expression, and at which byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) at: usize,
}

impl Compiled {
    /// The byte at which a node begins.
    pub(crate) fn offset(&self, id: u64) -> usize {
        self.offsets.binary_search_by_key(&id, |(id, _)| *id).map_or(0, |found| self.offsets[found].1)
    }
}

/// Compiles the text of an expression.
///
/// # Errors
/// All that is wrong with it as an expression; whether its names mean something is another question.
pub(crate) fn compile(source: &str) -> Result<Compiled, Vec<Fault>> {
    bound(source).map_err(|fault| vec![fault])?;
    let (mut tree, info) = eval::parse(source)?;
    let written = tree.clone();
    let mut walk = Walk { info: &info, source, reads: Vec::new(), faults: Vec::new(), locals: Vec::new(), loops: 0 };
    walk.expr(&mut tree);
    let Walk { reads, mut faults, .. } = walk;
    if depth(&tree) > MAX_DEPTH {
        faults.push(Fault {
            message: format!("the expression is a chain of more than {MAX_DEPTH} parts; use a skill"),
            at: 0,
        });
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let roots = reads.iter().filter_map(|read| if let Read::Root(root, _) = read { Some(root.clone()) } else { None });
    let roots = roots.collect();
    let mut offsets = Vec::new();
    gather(&written, &mut |node| offsets.push((node.id, begin(&info, source, node))));
    offsets.sort_unstable();
    Ok(Compiled { source: source.to_owned(), tree, roots, reads, written, offsets })
}

/// Refuses what the parser should not even see.
fn bound(source: &str) -> Result<(), Fault> {
    let fault = |message: String, at| Err(Fault { message, at });
    if source.len() > MAX_BYTES {
        let message =
            format!("an expression of {} bytes is too long: {MAX_BYTES} are allowed; use a skill", source.len());
        return fault(message, 0);
    }
    if source.trim().is_empty() {
        return fault("an expression is empty".into(), 0);
    }
    let (mut depth, mut operators) = (0_usize, 0_usize);
    for (at, c) in scan::code(source) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '+' | '-' | '*' | '/' | '%' | '!' | '<' | '>' | '=' | '&' | '|' | '?' | '.' | ':' | ',' => operators += 1,
            _ => {}
        }
        // `in` is an operator without a sign of its own; it needs a space on both sides at least.
        if depth > MAX_BRACKETS {
            return fault(format!("brackets nest deeper than {MAX_BRACKETS}"), at);
        }
        if operators > MAX_OPERATORS {
            return fault(format!("an expression has more than {MAX_OPERATORS} operators; use a skill"), at);
        }
    }
    let words_in = source.split_ascii_whitespace().filter(|word| *word == "in").count();
    if words_in > MAX_OPERATORS {
        return fault(format!("an expression has more than {MAX_OPERATORS} operators; use a skill"), 0);
    }
    Ok(())
}

/// Where a node begins in bytes; the parser counts characters.
fn offset(info: &cel::common::ast::SourceInfo, source: &str, id: u64) -> usize {
    let chars = info.offset_for(id).map_or(0, |(start, _)| start as usize);
    source.char_indices().nth(chars).map_or(source.len(), |(at, _)| at)
}

/// Where a node begins for a person: calls are placed at their bracket, and their name stands before it.
fn begin(info: &cel::common::ast::SourceInfo, source: &str, node: &IdedExpr) -> usize {
    let at = offset(info, source, node.id);
    match &node.expr {
        Expr::Call(call) if is_word(&call.func_name) => named_before(source, at, &call.func_name),
        _ => at,
    }
}

/// Where `word` stands before a byte, if it does.
fn named_before(source: &str, at: usize, word: &str) -> usize {
    source.get(..at).and_then(|before| before.rfind(word)).unwrap_or(at)
}

struct Walk<'a> {
    info: &'a cel::common::ast::SourceInfo,
    source: &'a str,
    reads: Vec<Read>,
    faults: Vec<Fault>,
    locals: Vec<String>,
    loops: usize,
}

impl Walk<'_> {
    fn at(&self, id: u64) -> usize {
        offset(self.info, self.source, id)
    }

    fn fault(&mut self, id: u64, message: impl Into<String>) {
        let at = self.at(id);
        self.faults.push(Fault { message: message.into(), at });
    }

    fn expr(&mut self, node: &mut IdedExpr) {
        if let Some(step) = self.step_named(node) {
            return self.step(node, step, Root::Step);
        }
        let id = node.id;
        match &mut node.expr {
            Expr::Ident(name) => {
                let name = std::mem::take(name);
                node.expr = Expr::Ident(self.ident(id, name));
            }
            Expr::Select(select) => {
                if let Some(step) = self.step_named(&select.operand).filter(|_| TOLD.contains(&select.field.as_str())) {
                    return self.step(&mut select.operand, step, Root::Told);
                }
                if matches!(&select.operand.expr, Expr::Ident(name) if name == "steps" && !self.locals.contains(name)) {
                    let name = &select.field;
                    let message = format!(
                        "step `{name}` is always there; ask for has(steps.{name}.error), or steps.{name}.status"
                    );
                    return self.fault(id, message);
                }
                self.expr(&mut select.operand);
            }
            Expr::Call(call) => self.call(id, call),
            Expr::List(list) => list.elements.iter_mut().for_each(|item| self.expr(item)),
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.expr(&mut entry.key);
                        self.expr(&mut entry.value);
                    }
                }
            }
            Expr::Comprehension(comprehension) => self.comprehension(id, comprehension),
            Expr::Struct(of) => {
                let message = format!("there is no type `{}` here; write a map, {{\"key\": value}}", of.type_name);
                self.fault(id, message);
            }
            Expr::Literal(LiteralValue::Bytes(_)) => self.fault(id, "bytes have no place in JSON; write a text"),
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    /// The name of the step when the node is `steps.<name>` or `steps["<name>"]`.
    fn step_named(&self, node: &IdedExpr) -> Option<String> {
        let is_steps = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if name == "steps" || name == ".steps");
        if self.locals.iter().any(|local| local == "steps") {
            return None;
        }
        match &node.expr {
            Expr::Select(select) if !select.test && is_steps(&select.operand) => Some(select.field.clone()),
            Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
                [of, name] if is_steps(of) => match &name.expr {
                    Expr::Literal(LiteralValue::String(name)) => Some(name.inner().to_owned()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    fn step(&mut self, node: &mut IdedExpr, name: String, root: impl FnOnce(StepId) -> Root) {
        // Selections are placed at their dot; what a person looks for is the word before.
        let at = named_before(self.source, self.at(node.id), "steps");
        match StepId::new(name.as_str()).map(root) {
            Ok(root) => {
                node.expr = Expr::Ident(root.word());
                self.reads.push(Read::Root(root, at));
            }
            Err(_) => self.reads.push(Read::Step(name, at)),
        }
    }

    /// Notes what a word reads; gives the word that is looked up.
    fn ident(&mut self, id: u64, name: String) -> String {
        if name.starts_with('@') || self.locals.contains(&name) {
            return name;
        }
        let at = self.at(id);
        let name = name.strip_prefix('.').map(str::to_owned).unwrap_or(name);
        if let Some(root) = Root::from_word(&name) {
            self.reads.push(Read::Root(root, at));
        } else if name == "steps" {
            self.fault(id, "`steps` needs the step's name right behind it: steps.<id> or steps[\"<id>\"]");
        } else if !TYPES.contains(&name.as_str()) {
            self.reads.push(Read::Unknown(name.clone(), at));
        }
        name
    }

    fn call(&mut self, id: u64, call: &mut CallExpr) {
        let qualified = call.target.as_ref().and_then(|target| self.unknown_word(target));
        if is_word(&call.func_name) {
            let name = match &qualified {
                Some(of) => format!("{of}.{}", call.func_name),
                None => call.func_name.clone(),
            };
            let member = call.target.is_some() && qualified.is_none();
            let at = named_before(self.source, self.at(id), &call.func_name);
            self.reads.push(Read::Call { name, member, args: call.args.len(), at });
        }
        if let Some(target) = call.target.as_mut().filter(|_| qualified.is_none()) {
            self.expr(target);
        }
        call.args.iter_mut().for_each(|arg| self.expr(arg));
        if call.func_name == operators::ADD {
            effort::ADD.clone_into(&mut call.func_name);
        }
        let walks = [operators::EQUALS, operators::NOT_EQUALS, operators::IN, "contains"];
        if walks.contains(&call.func_name.as_str()) {
            // What is walked through counts, or a loop of comparisons would be free.
            let walked = if call.func_name == "contains" { call.target.as_deref_mut() } else { call.args.last_mut() };
            if let Some(walked) = walked.filter(|walked| !matches!(walked.expr, Expr::Literal(_))) {
                guard(effort::SCAN, walked);
            }
        }
    }

    /// A word that is no value: the first half of a function's name, such as `math` in `math.abs(x)`.
    fn unknown_word(&self, target: &IdedExpr) -> Option<String> {
        match &target.expr {
            Expr::Ident(name) => {
                let known = self.locals.contains(name) || Root::from_word(name).is_some() || name == "steps";
                if known || name.starts_with('@') { None } else { Some(name.clone()) }
            }
            _ => None,
        }
    }

    fn comprehension(&mut self, id: u64, of: &mut ComprehensionExpr) {
        self.expr(&mut of.iter_range);
        guard(effort::EACH, &mut of.iter_range);
        self.loops += 1;
        if self.loops > MAX_LOOPS {
            self.fault(id, format!("loops nest deeper than {MAX_LOOPS}"));
        }
        if of.iter_var == "steps" || Root::from_word(&of.iter_var).is_some() {
            let message =
                format!("`{}` already means something; give the variable of the loop another name", of.iter_var);
            self.fault(id, message);
        }
        self.locals.push(of.iter_var.clone());
        if let Expr::Call(step) = &mut of.loop_step.expr {
            self.loop_step(step);
        }
        self.locals.pop();
        self.loops -= 1;
    }

    /// A loop's step is made by the macros, but for the parts the author wrote; appending keeps its shape, which is fast.
    fn loop_step(&mut self, step: &mut CallExpr) {
        for arg in &mut step.args {
            match &mut arg.expr {
                Expr::Call(inner) if appends(inner) => self.loop_step(inner),
                Expr::List(made) if step.func_name == operators::ADD => {
                    for item in &mut made.elements {
                        self.expr(item);
                        guard(effort::WEIGH, item);
                    }
                }
                _ => self.expr(arg),
            }
        }
    }
}

/// Whether a call is the `@result + [x]` or `@result + 1` of a macro.
fn appends(call: &CallExpr) -> bool {
    let first = call.args.first();
    call.func_name == operators::ADD
        && first.is_some_and(|of| matches!(&of.expr, Expr::Ident(name) if name == "@result"))
}

/// Puts a call of `function` around a node.
fn guard(function: &str, node: &mut IdedExpr) {
    let inner = std::mem::take(node);
    let id = inner.id;
    *node =
        IdedExpr { id, expr: Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args: vec![inner] }) };
}

/// The words that name types.
pub(crate) const TYPES: [&str; 10] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];

/// Whether a function's name is one an author can write.
fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !matches!(name, "_?_:_" | "_[_]" | "_?._" | "_[?_]")
        && { name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') }
}

/// How many levels a tree has.
fn depth(node: &IdedExpr) -> usize {
    let mut most = 0;
    children(node, &mut |child| most = most.max(depth(child)));
    most + 1
}

/// Hands every node to `each`.
fn gather(node: &IdedExpr, each: &mut dyn FnMut(&IdedExpr)) {
    each(node);
    children(node, &mut |child| gather(child, each));
}

/// Hands what is directly below a node to `each`.
pub(crate) fn children<'a>(node: &'a IdedExpr, each: &mut dyn FnMut(&'a IdedExpr)) {
    match &node.expr {
        Expr::Select(select) => each(&select.operand),
        Expr::Call(call) => call.target.iter().map(AsRef::as_ref).chain(&call.args).for_each(each),
        Expr::List(list) => list.elements.iter().for_each(each),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    each(&entry.key);
                    each(&entry.value);
                }
            }
        }
        Expr::Comprehension(of) => {
            [&of.iter_range, &of.accu_init, &of.loop_cond, &of.loop_step, &of.result].into_iter().for_each(each);
        }
        _ => {}
    }
}
