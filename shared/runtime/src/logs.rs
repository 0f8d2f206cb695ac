//! Logs: constant lower-case messages with fields, to stderr, as text or one JSON object per line.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The section `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// What to show: a level, or levels by module as in `warn,nova_worker=debug`; `info` unless told.
    pub level: String,
    /// How to show it.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter in `log.level` cannot be read.
    #[error("could not read log.level `{level}`: write a level such as `info`, or `warn,nova_worker=debug`")]
    Level {
        /// The filter as given.
        level: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was set up before in this process.
    #[error("could not set up logging twice in one process")]
    Twice,
}

impl LogError {
    /// Whether trying again may help: never.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        false
    }
}

/// Begins logging to stderr; colours only on a terminal and without `NO_COLOR`.
///
/// The targets in `quiet` are shown from WARN on only, unless the configured level names them.
///
/// # Errors
/// [`LogError::Level`] for a filter that cannot be read, [`LogError::Twice`] when logging has begun before.
pub fn init(config: &LogConfig, quiet: &[&str]) -> Result<(), LogError> {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    subscriber(config, quiet, colours, std::io::stderr)?.try_init().map_err(|_| LogError::Twice)
}

fn subscriber<W>(
    config: &LogConfig,
    quiet: &[&str],
    colours: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let mut filter: Targets =
        config.level.parse().map_err(|source| LogError::Level { level: config.level.clone(), source })?;
    for target in quiet.iter().filter(|target| !config.level.contains(**target)) {
        filter = filter.with_target(*target, tracing::Level::WARN);
    }
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let base = tracing_subscriber::registry().with(filter);
    Ok(match config.format {
        LogFormat::Text => Box::new(base.with(lines.with_ansi(colours))),
        LogFormat::Json => Box::new(base.with(lines.json().flatten_event(true).with_current_span(false))),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat, colours: bool) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let config = LogConfig { level: level.to_owned(), format };
        let subscriber = subscriber(&config, &[], colours, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "nova_worker", "task taken");
            tracing::info!(target: "other", task = "default/a", "task finished");
        });
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn level_chooses_by_module() {
        let text = logged("info", LogFormat::Text, false);
        assert!(text.contains("task finished") && !text.contains("task taken"), "{text}");
        let text = logged("warn,nova_worker=debug", LogFormat::Text, false);
        assert!(text.contains("task taken") && !text.contains("task finished"), "{text}");
    }

    #[test]
    fn json_is_one_flat_object_per_line() {
        let text = logged("debug", LogFormat::Json, true);
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["message"], "task finished");
        assert_eq!(lines[1]["task"], "default/a");
        assert_eq!(lines[1]["level"], "INFO");
    }

    #[test]
    fn colours_only_when_asked() {
        assert!(!logged("info", LogFormat::Text, false).contains('\u{1b}'));
        assert!(logged("info", LogFormat::Text, true).contains('\u{1b}'));
    }

    #[test]
    fn wrong_level_is_named() {
        let config = LogConfig { level: "nova=loud".to_owned(), format: LogFormat::Text };
        let error = subscriber(&config, &[], false, std::io::sink).err().unwrap();
        assert!(error.to_string().contains("`nova=loud`"), "{error}");
    }
}
