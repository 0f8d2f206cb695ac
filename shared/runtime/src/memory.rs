//! The allocator of every process that links this crate.
//!
//! A task is a few dozen short-lived allocations that often end on another thread than they began on; the C library's
//! allocator spends a third of a busy coordinator's time on them.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
