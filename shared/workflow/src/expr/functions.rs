//! The functions an expression may call.

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it is called as `x.f()`.
    pub(crate) member: bool,
    /// How many arguments it takes, `x` not counted.
    pub(crate) args: &'static [usize],
}

const fn global(name: &'static str, args: &'static [usize]) -> Function {
    Function { name, member: false, args }
}

const fn member(name: &'static str, args: &'static [usize]) -> Function {
    Function { name, member: true, args }
}

/// All of them; the macros are here for their names.
pub(crate) const FUNCTIONS: &[Function] = &[
    global("size", &[1]),
    global("int", &[1]),
    global("uint", &[1]),
    global("double", &[1]),
    global("string", &[1]),
    global("bool", &[1]),
    global("dyn", &[1]),
    global("type", &[1]),
    global("has", &[1]),
    member("size", &[0]),
    member("flatten", &[0]),
    member("join", &[0, 1]),
    member("lowerAscii", &[0]),
    member("replace", &[2]),
    member("split", &[1]),
    member("trim", &[0]),
    member("upperAscii", &[0]),
    member("contains", &[1]),
    member("startsWith", &[1]),
    member("endsWith", &[1]),
    member("all", &[2]),
    member("exists", &[2]),
    member("exists_one", &[2]),
    member("map", &[2, 3]),
    member("filter", &[2]),
];
