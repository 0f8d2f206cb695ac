//! One metric with all its label values, and the handles to single ones.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::metric::{Kind, Metric};

/// Upper bounds in seconds: from a task that is nearly free (1 ms) to the longest step people wait for (1 h).
const BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0];

/// A counter with its labels resolved; the default one counts nothing.
#[derive(Debug, Clone, Default)]
pub struct Counter(Option<prometheus::IntCounter>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        if let Some(counter) = &self.0 {
            counter.inc_by(amount);
        }
    }

    /// The present value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.as_ref().map_or(0, prometheus::IntCounter::get)
    }
}

/// A gauge with its labels resolved; the default one measures nothing.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Option<prometheus::Gauge>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        if let Some(gauge) = &self.0 {
            gauge.set(value);
        }
    }

    /// Adds `amount`, which may be negative.
    pub fn add(&self, amount: f64) {
        if let Some(gauge) = &self.0 {
            gauge.add(amount);
        }
    }

    /// The present value.
    #[must_use]
    pub fn get(&self) -> f64 {
        self.0.as_ref().map_or(0.0, prometheus::Gauge::get)
    }
}

/// A histogram of times with its labels resolved; the default one records nothing.
#[derive(Debug, Clone, Default)]
pub struct Histogram(Option<prometheus::Histogram>);

impl Histogram {
    /// Records one time.
    pub fn observe(&self, time: Duration) {
        if let Some(histogram) = &self.0 {
            histogram.observe(time.as_secs_f64());
        }
    }
}

/// A metric of whatever kind with all its children.
pub(super) struct Family {
    metric: Metric,
    children: Children,
}

enum Children {
    Counters(IntCounterVec),
    Gauges(GaugeVec),
    Histograms(HistogramVec),
}

impl Family {
    pub(super) fn register(metric: Metric, registry: &Registry) -> Self {
        const SOUND: &str = "the table of metrics has sound and distinct names, as a test shows";
        let (labels, options) = (metric.labels(), Opts::new(metric.name(), metric.help()));
        let children = match metric.kind() {
            Kind::Counter => Children::Counters(IntCounterVec::new(options, labels).expect(SOUND)),
            Kind::Gauge => Children::Gauges(GaugeVec::new(options, labels).expect(SOUND)),
            Kind::Histogram => {
                let options = HistogramOpts::from(options).buckets(BUCKETS.to_vec());
                Children::Histograms(HistogramVec::new(options, labels).expect(SOUND))
            }
        };
        let collector: Box<dyn Collector> = match &children {
            Children::Counters(vec) => Box::new(vec.clone()),
            Children::Gauges(vec) => Box::new(vec.clone()),
            Children::Histograms(vec) => Box::new(vec.clone()),
        };
        registry.register(collector).expect(SOUND);
        Self { metric, children }
    }

    /// Makes a metric without labels visible.
    pub(super) fn touch(&self) {
        match self.metric.kind() {
            Kind::Counter => drop(self.counter(&[])),
            Kind::Gauge => drop(self.gauge(&[])),
            Kind::Histogram => drop(self.histogram(&[])),
        }
    }

    pub(super) fn counter(&self, labels: &[&str]) -> Counter {
        let Children::Counters(vec) = &self.children else { return self.misused("counter") };
        vec.get_metric_with_label_values(labels).map_or_else(|_| self.misused("counter"), |found| Counter(Some(found)))
    }

    pub(super) fn gauge(&self, labels: &[&str]) -> Gauge {
        let Children::Gauges(vec) = &self.children else { return self.misused("gauge") };
        vec.get_metric_with_label_values(labels).map_or_else(|_| self.misused("gauge"), |found| Gauge(Some(found)))
    }

    pub(super) fn histogram(&self, labels: &[&str]) -> Histogram {
        let Children::Histograms(vec) = &self.children else { return self.misused("histogram") };
        vec.get_metric_with_label_values(labels)
            .map_or_else(|_| self.misused("histogram"), |found| Histogram(Some(found)))
    }

    pub(super) fn forget(&self, labels: &[&str]) {
        // Failing means that these labels were never there, which is what was asked for.
        let _ = match &self.children {
            Children::Counters(vec) => vec.remove_label_values(labels),
            Children::Gauges(vec) => vec.remove_label_values(labels),
            Children::Histograms(vec) => vec.remove_label_values(labels),
        };
    }

    /// What a caller gets who treats this metric as something else.
    fn misused<T: Default>(&self, wanted: &str) -> T {
        debug_assert!(
            false,
            "{:?} is a {:?} with labels {:?}, asked as a {wanted} with others",
            self.metric,
            self.metric.kind(),
            self.metric.labels()
        );
        T::default()
    }
}
