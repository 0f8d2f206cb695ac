//! The shell skill: runs a command under limits that hold for its whole process tree.
//!
//! [`request`] decides whether a task may run, [`run`] runs it in a [`supervisor`] process of its own, and [`outcome`]
//! judges the report. The deciding parts do no I/O of their own and are tested without processes.

pub mod cgroup;
pub mod config;
pub mod job;
pub mod limits;
pub mod outcome;
pub mod request;
pub mod run;
pub mod skill;
pub mod supervisor;
pub mod tree;
