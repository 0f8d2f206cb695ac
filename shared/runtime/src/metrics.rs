//! The one set of metrics all processes share: an enum of names, each with fixed labels, over a Prometheus registry.

mod family;
mod metric;

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Registry, TextEncoder};

use self::family::Family;
pub use self::family::{Counter, Gauge, Histogram};
pub use self::metric::{Kind, Metric, Side};

/// The metrics of one process; clones share them.
///
/// A call with the wrong number of labels, or on a metric of another kind, is a mistake in the code: it panics in debug
/// builds and counts nothing in release builds, because no metric is worth a task. Label values come from closed sets
/// (skills, priorities, kinds), never from ids.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    families: Vec<Family>,
}

impl Metrics {
    /// Registers every metric; nothing shows before it is first touched or announced.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let families = Metric::ALL.iter().map(|&metric| Family::register(metric, &registry)).collect();
        Self { inner: Arc::new(Inner { registry, families }) }
    }

    /// Shows the metrics without labels of `side`, and those of every process, as zero from now on.
    ///
    /// An absent one then means an absent process.
    pub fn announce(&self, side: Side) {
        let shown = |metric: &&Metric| [side, Side::Any].contains(&metric.side()) && metric.labels().is_empty();
        for &metric in Metric::ALL.iter().filter(shown) {
            self.family(metric).touch();
        }
    }

    /// Adds one to a counter.
    pub fn inc(&self, metric: Metric, labels: &[&str]) {
        self.counter(metric, labels).add(1);
    }

    /// Adds `amount` to a counter.
    pub fn add(&self, metric: Metric, labels: &[&str], amount: u64) {
        self.counter(metric, labels).add(amount);
    }

    /// Sets a gauge.
    pub fn set(&self, metric: Metric, labels: &[&str], value: f64) {
        self.gauge(metric, labels).set(value);
    }

    /// Adds a time to a histogram.
    pub fn observe(&self, metric: Metric, labels: &[&str], time: Duration) {
        self.histogram(metric, labels).observe(time);
    }

    /// A counter found once, for paths where a look-up per task would show.
    #[must_use]
    pub fn counter(&self, metric: Metric, labels: &[&str]) -> Counter {
        self.family(metric).counter(labels)
    }

    /// A gauge found once.
    #[must_use]
    pub fn gauge(&self, metric: Metric, labels: &[&str]) -> Gauge {
        self.family(metric).gauge(labels)
    }

    /// A histogram found once.
    #[must_use]
    pub fn histogram(&self, metric: Metric, labels: &[&str]) -> Histogram {
        self.family(metric).histogram(labels)
    }

    /// Forgets one set of labels, such as those of a skill that is gone.
    pub fn forget(&self, metric: Metric, labels: &[&str]) {
        self.family(metric).forget(labels);
    }

    /// Everything in Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Only a family that contradicts itself fails to encode, and the table of names has none.
        if let Err(error) = TextEncoder::new().encode_utf8(&self.inner.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics could not be written");
        }
        text
    }

    fn family(&self, metric: Metric) -> &Family {
        &self.inner.families[metric as usize]
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::panic::AssertUnwindSafe;

    use super::*;

    #[test]
    fn values_show_with_their_labels() {
        let metrics = Metrics::new();
        metrics.inc(Metric::TasksFinished, &["echo", "completed"]);
        metrics.clone().add(Metric::TasksFinished, &["echo", "completed"], 2);
        metrics.set(Metric::SlotsRunning, &["echo"], 3.0);
        metrics.observe(Metric::RunTime, &["echo"], Duration::from_millis(20));
        let text = metrics.render();
        for line in [
            r#"nova_tasks_finished_total{kind="completed",skill="echo"} 3"#,
            r#"nova_slots_running{skill="echo"} 3"#,
            r#"nova_run_time_seconds_count{skill="echo"} 1"#,
            r#"nova_run_time_seconds_bucket{skill="echo",le="0.01"} 0"#,
            r#"nova_run_time_seconds_bucket{skill="echo",le="0.025"} 1"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "no `{line}` in\n{text}");
        }
    }

    #[test]
    fn handles_found_once_share_the_value() {
        let metrics = Metrics::new();
        let pulls = metrics.counter(Metric::Pulls, &["echo"]);
        pulls.inc();
        pulls.clone().inc();
        let running = metrics.gauge(Metric::SlotsRunning, &["echo"]);
        running.add(2.0);
        running.add(-1.0);
        assert_eq!((pulls.get(), running.get()), (2, 1.0));
        assert!(metrics.render().contains(r#"nova_pulls_total{skill="echo"} 2"#));
        metrics.forget(Metric::Pulls, &["echo"]);
        assert!(!metrics.render().contains("nova_pulls_total{"));
    }

    #[test]
    fn announced_side_starts_at_zero() {
        let metrics = Metrics::new();
        assert_eq!(metrics.render(), "");
        metrics.announce(Side::Worker);
        let text = metrics.render();
        assert!(text.contains("nova_reconnects_total 0") && !text.contains("nova_calls_pending"), "{text}");
    }

    #[test]
    fn names_keep_the_house_style() {
        let mut names = BTreeSet::new();
        for &metric in Metric::ALL {
            let name = metric.name();
            assert!(names.insert(name), "`{name}` stands twice");
            assert!(name.starts_with("nova_") && !metric.help().is_empty(), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind() == Kind::Counter, "{name}");
            assert_eq!(Metric::ALL[metric as usize], metric);
            for label in metric.labels() {
                assert!(
                    ["skill", "kind", "priority", "process", "status", "version"].contains(label),
                    "{name}: label `{label}`"
                );
            }
        }
    }

    #[test]
    fn wrong_labels_are_found_in_debug_builds() {
        let metrics = Metrics::new();
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| metrics.inc(Metric::TasksFinished, &["echo"])));
        assert_eq!(outcome.is_err(), cfg!(debug_assertions));
    }
}
