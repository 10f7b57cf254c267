//! The families of metrics: their names, meanings and labels, and where each figure comes from.
//! docs/monitoring.md has a table of them, which a test holds against the server.

use std::{collections::BTreeMap, fmt, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, MetricEncoder,
        NoLabelSet, text,
    },
    metrics::{MetricType, exemplar::Exemplar},
    registry::Registry,
};

use super::{Format, process::ProcessFigures};
use crate::{
    admin::BudgetKey,
    model::Usage,
    sight::{BookedSums, Histogram, LATENCY_BOUNDS_MICROS, LedgerSums, WorkerSums},
};

/// What one user has used, by name.
pub(super) type UserFigures = (String, BookedSums);

/// Everything that a scrape says.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) format: Format,
    pub(super) sums: WorkerSums,
    pub(super) booked: LedgerSums,
    /// `None` if users are not shown.
    pub(super) users: Option<Vec<UserFigures>>,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
    pub(super) backlog: usize,
    pub(super) connections: usize,
    pub(super) is_ready: bool,
    pub(super) budgets: BTreeMap<BudgetKey, f64>,
    pub(super) process: ProcessFigures,
    /// Unix time of the start.
    pub(super) started_at: Duration,
}

/// Returns the number of tokens of a type.
type TokenCount = fn(&Usage) -> u64;

/// The types of tokens. All but `input` and `output` are parts of these.
const TOKEN_TYPES: [(&str, TokenCount); 12] = [
    ("input", |usage| usage.input),
    ("output", |usage| usage.output),
    ("cached", |usage| usage.cached),
    ("reasoning", |usage| usage.reasoning),
    ("cache_write_5m", |usage| usage.classes.cache_write_5m),
    ("cache_write_1h", |usage| usage.classes.cache_write_1h),
    ("audio_input", |usage| usage.classes.audio_input),
    ("image_input", |usage| usage.classes.image_input),
    ("cached_audio", |usage| usage.classes.cached_audio),
    ("cached_image", |usage| usage.classes.cached_image),
    ("audio_output", |usage| usage.classes.audio_output),
    ("image_output", |usage| usage.classes.image_output),
];
/// The first so many types are there from a model's first request on, the others when there are any.
const USUAL_TOKEN_TYPES: usize = 4;
const NO_LABELS: [(&str, &str); 0] = [];

impl Figures {
    /// Writes all families.
    pub(super) fn into_text(self) -> Result<String, fmt::Error> {
        let format = self.format;
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        match format {
            Format::OpenMetrics => text::encode(&mut text, &registry)?,
            // Its end is the end of the answer.
            Format::Text => text::encode_registry(&mut text, &registry)?,
        }
        Ok(text)
    }

    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        self.write_requests(page)?;
        self.write_usage(page)?;
        if let Some(users) = &self.users {
            write_users(page, users)?;
        }
        self.write_state(page)?;
        self.write_process(page)
    }

    fn write_requests(&self, page: &mut Page<'_>) -> fmt::Result {
        let mut requests: Vec<_> = self.sums.requests.iter().collect();
        requests.sort();
        page.counters(
            "llmproxy_requests",
            "Requests that have ended, by the status that the client got; 499 if it had left",
            requests
                .into_iter()
                .map(|((endpoint, model, status), count)| {
                    let status = status.to_string();
                    let labels = [
                        ("endpoint", (*endpoint).to_owned()),
                        ("model", model.to_string()),
                        ("status", status),
                    ];
                    (labels, *count)
                }),
        )?;
        let mut refused: Vec<_> = self.sums.refused.iter().collect();
        refused.sort();
        page.counters(
            "llmproxy_refused",
            "Requests that this proxy has refused, by the kind of limit or the code of the error",
            refused
                .into_iter()
                .map(|(reason, count)| ([("reason", *reason)], *count)),
        )?;
        let histograms = [
            (
                "llmproxy_wait_seconds",
                "Time in line for a place at the backend; 0 for most requests",
                &self.sums.wait,
            ),
            (
                "llmproxy_request_duration_seconds",
                "Time from a request's head to the end of its answer",
                &self.sums.duration,
            ),
            (
                "llmproxy_time_to_first_byte_seconds",
                "Time from a request's head to the head of the backend's answer",
                &self.sums.first_byte,
            ),
            (
                "llmproxy_overhead_seconds",
                "Time that this proxy adds to a request: from its body to the backend, without waiting in line, and the commit of its row",
                &self.sums.overhead,
            ),
            (
                "llmproxy_ledger_commit_seconds",
                "Time of a transaction of the ledger",
                &self.booked.commits,
            ),
        ];
        for (name, help, histogram) in histograms {
            page.histogram(name, help, histogram)?;
        }
        Ok(())
    }

    fn write_usage(&self, page: &mut Page<'_>) -> fmt::Result {
        let mut models: Vec<_> = self.booked.by_model.iter().collect();
        models.sort_by(|(one, _), (other, _)| one.cmp(other));
        page.counters(
            "llmproxy_tokens",
            "Tokens that were booked; all types but input and output are parts of these",
            models.iter().flat_map(|(model, sums)| {
                let types = token_types(&sums.usage);
                types.map(|(name, count)| ([("model", &**model), ("type", name)], count))
            }),
        )?;
        page.counters(
            "llmproxy_cost_usd",
            "Cost of what was booked, in US dollars, as far as models have prices",
            models
                .iter()
                .map(|(model, sums)| ([("model", &**model)], dollars(sums))),
        )?;
        page.counters(
            "llmproxy_unpriced_requests",
            "Booked requests whose cost is not known, because their model has no price",
            models
                .iter()
                .map(|(model, sums)| ([("model", &**model)], sums.unpriced)),
        )
    }

    fn write_state(&self, page: &mut Page<'_>) -> fmt::Result {
        let gauges = [
            (
                "llmproxy_in_flight_requests",
                "Live requests of identified users, those that wait included",
                self.in_flight,
            ),
            (
                "llmproxy_waiting_requests",
                "Live requests that wait in line for a place at the backend",
                self.waiting,
            ),
            (
                "llmproxy_ledger_backlog_rows",
                "Rows that are not written yet",
                self.backlog,
            ),
            (
                "llmproxy_backend_connections",
                "Open connections to the backend, idle ones included",
                self.connections,
            ),
            (
                "llmproxy_ready",
                "1 while the server takes requests, 0 while it stops or its database cannot be written",
                usize::from(self.is_ready),
            ),
        ];
        for (name, help, value) in gauges {
            page.gauge(name, help, value)?;
        }
        page.gauges(
            "llmproxy_budget_used_ratio",
            "Part of a budget that is used, 1 for all of it",
            self.budgets.iter().map(|((scope, name, window), ratio)| {
                let labels = [("scope", *scope), ("name", name), ("window", *window)];
                (labels, *ratio)
            }),
        )?;
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        page.info("llmproxy_build", "The version of this server", &labels)
    }

    fn write_process(&self, page: &mut Page<'_>) -> fmt::Result {
        let process = &self.process;
        if let Some(seconds) = process.cpu_seconds {
            page.counters(
                "process_cpu_seconds",
                "Processor time of all threads",
                std::iter::once((NO_LABELS, seconds)),
            )?;
        }
        page.gauge(
            "process_start_time_seconds",
            "Unix time of the start",
            self.started_at.as_secs_f64(),
        )?;
        let gauges = [
            (
                "process_resident_memory_bytes",
                "Memory in use",
                process.resident_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "Addresses in use",
                process.virtual_bytes,
            ),
            ("process_threads", "Threads", process.threads),
            ("process_open_fds", "Open descriptors", process.open_files),
            (
                "process_max_fds",
                "The most descriptors that may be open",
                process.max_files,
            ),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                page.gauge(name, help, value)?;
            }
        }
        Ok(())
    }
}

fn write_users(page: &mut Page<'_>, users: &[UserFigures]) -> fmt::Result {
    page.counters(
        "llmproxy_user_requests",
        "Requests of a user that were booked",
        users
            .iter()
            .map(|(user, sums)| ([("user", &**user)], sums.rows)),
    )?;
    page.counters(
        "llmproxy_user_tokens",
        "Tokens of a user that were booked, by types as of llmproxy_tokens",
        users.iter().flat_map(|(user, sums)| {
            let types = token_types(&sums.usage);
            types.map(|(name, count)| ([("user", &**user), ("type", name)], count))
        }),
    )?;
    page.counters(
        "llmproxy_user_cost_usd",
        "Cost of what a user has used, in US dollars, as far as models have prices",
        users
            .iter()
            .map(|(user, sums)| ([("user", &**user)], dollars(sums))),
    )
}

fn token_types(usage: &Usage) -> impl Iterator<Item = (&'static str, u64)> {
    let counts = TOKEN_TYPES.map(|(name, count)| (name, count(usage)));
    let shown =
        |(place, (_, count)): &(usize, (&str, u64))| *place < USUAL_TOKEN_TYPES || *count > 0;
    counts
        .into_iter()
        .enumerate()
        .filter(shown)
        .map(|(_, type_and_count)| type_and_count)
}

#[allow(clippy::cast_precision_loss)] // exact to the nano-dollar up to nine million dollars
fn dollars(sums: &BookedSums) -> f64 {
    sums.cost.0 as f64 / 1e9
}

#[allow(clippy::cast_precision_loss)] // exact to the microsecond for 285 years
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        self.write(&mut Page {
            encoder,
            format: self.format,
        })
    }
}

/// Writes families in one of the two formats.
struct Page<'e> {
    encoder: DescriptorEncoder<'e>,
    format: Format,
}

impl Page<'_> {
    /// Writes a family of counters. `name` lacks the `_total`.
    fn counters<L: EncodeLabelSet, V: EncodeCounterValue + EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl Iterator<Item = (L, V)>,
    ) -> fmt::Result {
        match self.format {
            Format::OpenMetrics => self.family(
                name,
                help,
                MetricType::Counter,
                samples,
                |mut metric, value| metric.encode_counter::<NoLabelSet, _, u64>(value, None),
            ),
            Format::Text => {
                let name = format!("{name}_total");
                self.family(
                    &name,
                    help,
                    MetricType::Counter,
                    samples,
                    |mut metric, value| metric.encode_gauge(value),
                )
            }
        }
    }

    fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl Iterator<Item = (L, V)>,
    ) -> fmt::Result {
        self.family(
            name,
            help,
            MetricType::Gauge,
            samples,
            |mut metric, value| metric.encode_gauge(value),
        )
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.gauges(name, help, std::iter::once((NO_LABELS, value)))
    }

    fn family<L: EncodeLabelSet, V>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        samples: impl Iterator<Item = (L, V)>,
        encode: impl Fn(MetricEncoder<'_>, &V) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in samples {
            encode(family.encode_family(&labels)?, &value)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let bounds = LATENCY_BOUNDS_MICROS.iter().map(|micros| seconds(*micros));
        let bounds = bounds.chain(std::iter::once(f64::INFINITY));
        let buckets: Vec<(f64, u64)> = bounds.zip(histogram.counts).collect();
        let sum = seconds(histogram.sum_micros);
        let count = histogram.counts.iter().sum();
        let exemplars: Option<&std::collections::HashMap<usize, Exemplar<NoLabelSet, f64>>> = None;
        let kind = MetricType::Histogram;
        let mut family = self.encoder.encode_descriptor(name, help, None, kind)?;
        family.encode_histogram(sum, count, &buckets, exemplars)
    }

    /// Writes what does not change. `name` lacks the `_info`.
    fn info(&mut self, name: &str, help: &str, labels: &impl EncodeLabelSet) -> fmt::Result {
        match self.format {
            Format::OpenMetrics => {
                let kind = MetricType::Info;
                let mut family = self.encoder.encode_descriptor(name, help, None, kind)?;
                family.encode_info(labels)
            }
            Format::Text => {
                let name = format!("{name}_info");
                let kind = MetricType::Gauge;
                let mut family = self.encoder.encode_descriptor(&name, help, None, kind)?;
                family.encode_family(labels)?.encode_gauge(&1_u64)
            }
        }
    }
}
