//! The allocator of a program: its own choice, never that of a library it links.

#[doc(hidden)]
pub use mimalloc::MiMalloc;

/// Makes mimalloc the allocator of this program; stands in its `main.rs`.
///
/// A task is a few dozen short-lived allocations that often end on another thread than they began on.
///
/// ```
/// nova_runtime::use_mimalloc!();
/// ```
#[macro_export]
macro_rules! use_mimalloc {
    () => {
        #[global_allocator]
        static ALLOCATOR: $crate::memory::MiMalloc = $crate::memory::MiMalloc;
    };
}
