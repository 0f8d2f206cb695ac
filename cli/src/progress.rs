//! Progress for people: on stderr, on a terminal only, and gone when the work is done.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::out::Out;

/// A bar or a spinner, or nothing at all.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Something whose length is not known.
    pub(crate) fn spinner(out: &Out, what: impl Into<String>) -> Self {
        let bar = out.shows_progress().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
            let bar = ProgressBar::new_spinner().with_style(style.expect("the template is a constant"));
            bar.set_message(what.into());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self(bar)
    }

    /// Something of a known length.
    pub(crate) fn bar(out: &Out, len: u64, what: impl Into<String>) -> Self {
        let bar = out.shows_progress().then(|| {
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} ({eta})");
            let bar = ProgressBar::new(len).with_style(style.expect("the template is a constant"));
            bar.set_message(what.into());
            bar
        });
        Self(bar)
    }

    /// Tells how far it is.
    pub(crate) fn at(&self, position: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(position);
        }
    }

    /// Writes something while the bar is out of the way: on a terminal it would stand in the middle of the line.
    pub(crate) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Tells what is done now.
    pub(crate) fn note(&self, note: impl Into<String>) {
        if let Some(bar) = &self.0 {
            bar.set_message(note.into());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
