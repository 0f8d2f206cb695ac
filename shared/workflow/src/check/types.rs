//! A small inference of types: finds what can never work, and lets everything unsure pass.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators};

use super::names::nearest;
use crate::Workflow;
use crate::definition::ParamType;
use crate::expr::{Compiled, Fault, Root, children};
use crate::sites::Wants;

/// What a value is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// Anything.
    Any,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    /// Any of the three.
    Number,
    Text,
    List,
    Map,
    /// The name of a type.
    Kind,
}

use Type::{Any, Bool, Double, Int, Kind, List, Map, Null, Number, Text, Uint};

impl Type {
    const fn said(self) -> &'static str {
        match self {
            Any => "anything",
            Null => "null",
            Bool => "a bool",
            Int => "an int",
            Uint => "a uint",
            Double => "a double",
            Number => "a number",
            Text => "a string",
            List => "a list",
            Map => "a map",
            Kind => "a type",
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Int | Uint | Double | Number)
    }

    /// Whether both can be of one type.
    fn meets(self, other: Self) -> bool {
        self == other || self == Any || other == Any || self.is_number() && other.is_number()
    }

    /// What is sure when it may be either.
    fn or(self, other: Self) -> Self {
        if self == other {
            self
        } else if self.is_number() && other.is_number() {
            Number
        } else {
            Any
        }
    }
}

/// What is wrong with the types of an expression that must come to `wants`.
pub(super) fn check(compiled: &Compiled, wants: Wants, workflow: &Workflow) -> Vec<Fault> {
    let mut infer = Infer { compiled, workflow, faults: Vec::new(), locals: Vec::new() };
    let found = infer.of(&compiled.written);
    let wanted = match wants {
        Wants::Any => None,
        Wants::Bool => Some(("true or false", found.meets(Bool))),
        Wants::List => Some(("a list", found.meets(List))),
        Wants::Moment => {
            Some(("a string in RFC 3339 or an int of milliseconds", found.meets(Text) || found.is_number()))
        }
        Wants::Word => Some(("a string, a number or a bool", !matches!(found, Null | List | Map | Kind))),
    };
    if let Some((wanted, false)) = wanted {
        infer.faults.push(Fault { message: format!("it must be {wanted}, and is {}", found.said()), at: 0 });
    }
    infer.faults
}

struct Infer<'a> {
    compiled: &'a Compiled,
    workflow: &'a Workflow,
    faults: Vec<Fault>,
    locals: Vec<(&'a str, Type)>,
}

impl<'a> Infer<'a> {
    fn fault(&mut self, node: &IdedExpr, message: String) -> Type {
        self.faults.push(Fault { message, at: self.compiled.offset(node.id) });
        Any
    }

    fn of(&mut self, node: &'a IdedExpr) -> Type {
        match &node.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Bool,
                LiteralValue::Double(_) => Double,
                LiteralValue::Int(_) => Int,
                LiteralValue::UInt(_) => Uint,
                LiteralValue::Null => Null,
                LiteralValue::String(_) => Text,
                LiteralValue::Bytes(_) => Any,
            },
            Expr::Ident(name) => self.word(name.trim_start_matches('.')),
            Expr::Select(select) => self.select(node, select),
            Expr::Call(call) => self.call(node, call),
            Expr::List(_) | Expr::Map(_) => {
                children(node, &mut |child| {
                    self.of(child);
                });
                if matches!(node.expr, Expr::List(_)) { List } else { Map }
            }
            Expr::Comprehension(of) => {
                let range = self.of(&of.iter_range);
                if !range.meets(List) && !range.meets(Map) {
                    self.fault(
                        &of.iter_range,
                        format!("a loop goes over a list or a map, and this is {}", range.said()),
                    );
                }
                self.locals.push((&of.iter_var, if range == Map { Text } else { Any }));
                let made = self.of(&of.accu_init);
                self.locals.push((&of.accu_var, made));
                self.of(&of.loop_step);
                let made = self.of(&of.result);
                self.locals.truncate(self.locals.len() - 2);
                made
            }
            Expr::Struct(_) | Expr::Unspecified => Any,
        }
    }

    fn word(&self, name: &str) -> Type {
        if let Some((_, known)) = self.locals.iter().rev().find(|(local, _)| *local == name) {
            return *known;
        }
        match Root::from_word(name) {
            Some(Root::Input) if self.workflow.input.is_some() => Map,
            Some(Root::Run) => Map,
            Some(Root::Index) => Int,
            Some(_) => Any,
            None if name == "steps" => Map,
            None => Kind,
        }
    }

    fn select(&mut self, node: &IdedExpr, select: &'a SelectExpr) -> Type {
        let found = match self.field(node, &select.operand, &select.field) {
            Some(known) => known,
            None => {
                let of = self.of(&select.operand);
                if !of.meets(Map) {
                    return self.fault(node, format!("{} has no `{}`", of.said(), select.field));
                }
                Any
            }
        };
        if select.test { Bool } else { found }
    }

    /// The type of a field that the definition tells of; says when it tells of none such.
    fn field(&mut self, node: &IdedExpr, operand: &IdedExpr, field: &str) -> Option<Type> {
        const STEP: [&str; 5] = ["count", "error", "failed", "result", "status"];
        const RUN: [&str; 2] = ["id", "workflow"];
        match &operand.expr {
            Expr::Ident(name) if self.locals.iter().any(|(local, _)| local == name) => None,
            Expr::Ident(name) if name == "steps" => Some(Map),
            Expr::Ident(name) if name == "run" => Some(if RUN.contains(&field) {
                Text
            } else {
                self.fault(node, format!("a run has no `{field}`{}", nearest(field, RUN.into_iter())))
            }),
            Expr::Ident(name) if name == "input" => {
                let inputs = self.workflow.input.as_ref()?;
                let Some(input) = inputs.get(field) else {
                    let meant = nearest(field, inputs.keys().map(String::as_str));
                    let advice = if meant.is_empty() { "; declare it under `input`" } else { &meant };
                    let message = format!("there is no input `{field}`{advice}");
                    return Some(self.fault(node, message));
                };
                Some(declared(input.kind))
            }
            _ if is_step(operand) => Some(match field {
                "status" => Text,
                _ if STEP.contains(&field) => Any,
                _ => {
                    let meant = nearest(field, STEP.into_iter());
                    self.fault(node, format!("a step has no `{field}`{meant}"))
                }
            }),
            _ => None,
        }
    }

    fn call(&mut self, node: &IdedExpr, call: &'a CallExpr) -> Type {
        if let (operators::INDEX, [of, index]) = (call.func_name.as_str(), call.args.as_slice()) {
            return self.index(node, of, index);
        }
        let args: Vec<Type> = call.target.iter().map(AsRef::as_ref).chain(&call.args).map(|arg| self.of(arg)).collect();
        match (call.func_name.as_str(), args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, args) => {
                if let Some(wrong) = args.iter().find(|arg| !arg.meets(Bool)) {
                    let name = plain(&call.func_name);
                    return self.fault(node, format!("`{name}` works on true and false, and this is {}", wrong.said()));
                }
                Bool
            }
            (operators::CONDITIONAL, [condition, yes, no]) => {
                if !condition.meets(Bool) {
                    self.fault(node, format!("what is before `?` must be true or false, and is {}", condition.said()));
                }
                yes.or(*no)
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                if !left.meets(*right) && *left != Null && *right != Null {
                    return self.fault(node, format!("{} never equals {}", left.said(), right.said()));
                }
                Bool
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [left, right],
            ) => {
                if !left.meets(*right) || [left, right].iter().any(|one| matches!(one, Null | List | Map | Kind)) {
                    return self.fault(node, format!("{} and {} cannot be compared", left.said(), right.said()));
                }
                Bool
            }
            (operators::IN, [_, of]) => {
                if !of.meets(List) && !of.meets(Map) {
                    return self.fault(node, format!("`in` looks into a list or a map, and this is {}", of.said()));
                }
                Bool
            }
            (
                name @ (operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO),
                [left, right],
            ) => self.arithmetic(node, name, *left, *right),
            (operators::NEGATE, [of]) => {
                if !of.meets(Int) {
                    return self.fault(node, format!("`-` does not work on {}", of.said()));
                }
                *of
            }
            (name, args) => self.function(node, name, args),
        }
    }

    fn index(&mut self, node: &IdedExpr, of: &'a IdedExpr, index: &'a IdedExpr) -> Type {
        if let Expr::Literal(LiteralValue::String(field)) = &index.expr
            && let Some(known) = self.field(node, of, field.inner())
        {
            return known;
        }
        let (of, index) = (self.of(of), self.of(index));
        let fits = match of {
            Any => true,
            List => index == Any || index.is_number(),
            Map => !matches!(index, Null | List | Map | Kind),
            _ => false,
        };
        if !fits {
            return self.fault(node, format!("{} has no items by {}", of.said(), index.said()));
        }
        Any
    }

    fn arithmetic(&mut self, node: &IdedExpr, name: &str, left: Type, right: Type) -> Type {
        let works = |one: Type| one == Any || one.is_number() || name == operators::ADD && matches!(one, Text | List);
        let mixed = matches!((left, right), (Int, Uint | Double) | (Uint, Int | Double) | (Double, Int | Uint));
        if !works(left) || !works(right) || !left.meets(right) || mixed {
            let advice = match (left, right) {
                (Text, _) | (_, Text) if name == operators::ADD => "; make text of the other with string(...)",
                _ if mixed => "; convert one with int(...), uint(...) or double(...)",
                _ => "",
            };
            let message = format!("`{}` does not work on {} and {}{advice}", plain(name), left.said(), right.said());
            return self.fault(node, message);
        }
        match (left, right) {
            (Any | Number, known) | (known, Any | Number) => known,
            (known, _) => known,
        }
    }

    fn function(&mut self, node: &IdedExpr, name: &str, args: &[Type]) -> Type {
        let (takes, gives): (fn(Type) -> bool, Type) = match name {
            "size" => (|one| matches!(one, Any | Text | List | Map), Int),
            "int" => (|one| one == Any || one == Text || one.is_number(), Int),
            "uint" => (|one| one == Any || one == Text || one.is_number(), Uint),
            "double" => (|one| one == Any || one == Text || one.is_number(), Double),
            "bool" => (|one| matches!(one, Any | Text | Bool), Bool),
            "string" => (|one| matches!(one, Any | Text | Bool) || one.is_number(), Text),
            "contains" | "startsWith" | "endsWith" => (|one| matches!(one, Any | Text), Bool),
            "type" => (|_| true, Kind),
            "lowerAscii" | "upperAscii" | "trim" | "replace" => (|one| matches!(one, Any | Text), Text),
            "split" => (|one| matches!(one, Any | Text), List),
            "flatten" => (|one| matches!(one, Any | List), List),
            "join" => (|one| matches!(one, Any | List | Text), Text),
            _ => (|_| true, Any),
        };
        match args.iter().find(|one| !takes(**one)) {
            Some(wrong) => self.fault(node, format!("`{name}` does not work on {}", wrong.said())),
            None => gives,
        }
    }
}

/// Whether a node is `steps.<id>` or `steps["<id>"]`.
fn is_step(node: &IdedExpr) -> bool {
    let is_steps = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if name == "steps");
    match &node.expr {
        Expr::Select(select) => is_steps(&select.operand),
        Expr::Call(call) => call.func_name == operators::INDEX && call.args.first().is_some_and(is_steps),
        _ => false,
    }
}

const fn declared(kind: ParamType) -> Type {
    match kind {
        ParamType::Any => Any,
        ParamType::String => Text,
        // A whole number too large for an int is a uint.
        ParamType::Int => Int,
        ParamType::Number => Number,
        ParamType::Bool => Bool,
        ParamType::List => List,
        ParamType::Map => Map,
    }
}

/// An operator as it is written.
fn plain(name: &str) -> &str {
    name.trim_matches(['_', '@'])
}
