//! Numbers from every round, and the one table that is made of them: medians, with the range of the
//! rounds.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{Attribute, Cell, CellAlignment, Table, presets};

use crate::cases::{Case, Load};
use crate::goals::{GOALS, Goal};
use crate::load::{Expected, Outcome};
use crate::targets::ON_POSTGRES;

const COLUMNS: [&str; 4] = ["direct", "llmproxy", "nginx", ON_POSTGRES];

#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    pub complaints: Vec<String>,
    /// Tables with columns of their own.
    pub further: Vec<String>,
}

/// One load through one target.
pub struct Measured {
    pub target: &'static str,
    /// Of its processes; None for no proxy.
    pub cpu: Option<Duration>,
    pub outcome: Outcome,
}

struct Row {
    case: Case,
    label: &'static str,
    /// By target, one a round.
    values: BTreeMap<&'static str, Vec<f64>>,
}

impl Report {
    pub fn add(&mut self, case: Case, label: &'static str, target: &'static str, value: f64) {
        let same = |row: &Row| row.case == case && row.label == label;
        let index = self.rows.iter().position(same).unwrap_or_else(|| {
            self.rows.push(Row {
                case,
                label,
                values: BTreeMap::new(),
            });
            self.rows.len() - 1
        });
        self.rows[index]
            .values
            .entry(target)
            .or_default()
            .push(value);
    }

    pub fn record(&mut self, case: Case, load: &Load, measured: &[Measured]) {
        let [per_request, per_second] = match load.expected {
            Expected::Plain => ["CPU µs/request", "requests/s"],
            Expected::Events(_) => ["CPU µs/stream", "streams/s"],
        };
        for Measured {
            target,
            cpu,
            outcome,
        } in measured
        {
            if let Some(cpu) = cpu {
                let cpu_us = cpu.as_secs_f64() * 1e6 / outcome.answered.max(1) as f64;
                self.add(case, per_request, target, cpu_us);
            }
        }
        for Measured {
            target, outcome, ..
        } in measured
        {
            let rate = outcome.answered as f64 / outcome.elapsed.as_secs_f64();
            self.add(case, per_second, target, rate);
        }
        // A paced stream takes its time whatever it passes; how late its events come is what
        // counts.
        let paced = load.gap.is_some();
        let [p50, p99, added_p50, added_p99] = if paced {
            [
                "event delay p50, ms",
                "event delay p99, ms",
                "added event delay p50, ms",
                "added event delay p99, ms",
            ]
        } else {
            [
                "latency p50, ms",
                "latency p99, ms",
                "added latency p50, ms",
                "added latency p99, ms",
            ]
        };
        let percentiles = |measured: &Measured| {
            let outcome = &measured.outcome;
            percentiles_ms(if paced {
                &outcome.delays_ns
            } else {
                &outcome.latencies_ns
            })
        };
        let direct = measured
            .iter()
            .find(|measured| measured.cpu.is_none())
            .map(percentiles);
        for measured in measured {
            let [own_p50, own_p99] = percentiles(measured);
            self.add(case, p50, measured.target, own_p50);
            self.add(case, p99, measured.target, own_p99);
            // With the cores saturated direct is another load, and its times say nothing of these.
            let comparable = (paced || case == Case::One) && measured.cpu.is_some();
            if let Some([direct_p50, direct_p99]) = direct.filter(|_| comparable) {
                self.add(case, added_p50, measured.target, own_p50 - direct_p50);
                self.add(case, added_p99, measured.target, own_p99 - direct_p99);
            }
        }
    }

    /// Lines with a goal that these cases owe and did not give.
    pub fn missing(&self, cases: &[Case]) -> Vec<String> {
        let is_there = |case, label: &str| {
            let mut rows = self.rows.iter();
            rows.any(|row| row.case == case && row.label == label)
        };
        let owed = GOALS
            .iter()
            .filter(|(case, label, _)| cases.contains(case) && !is_there(*case, label));
        owed.map(|(case, label, _)| format!("{}: no figure of \"{label}\"", case.title()))
            .collect()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        let columns = COLUMNS.into_iter().filter(|target| {
            // A column that is left out unless it is asked for.
            *target != ON_POSTGRES || self.rows.iter().any(|row| row.has(target))
        });
        let columns: Vec<&str> = columns.collect();
        let heading = [""].into_iter().chain(columns.iter().copied());
        table.set_header(heading.chain(["llmproxy ÷ nginx", "goal", "met"]));
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.case);
        let mut case = None;
        for row in rows {
            if case.replace(row.case) != Some(row.case) {
                table.add_row([Cell::new(row.case.title()).add_attribute(Attribute::Bold)]);
            }
            let cells = columns.iter().map(|target| row.cell(target));
            let label = format!("  {}", row.label);
            let goal = row.goal();
            table.add_row(
                [label]
                    .into_iter()
                    .chain(cells)
                    .chain([row.ratio()])
                    .chain(goal),
            );
        }
        table
            .column_iter_mut()
            .skip(1)
            .for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table
    }

    /// How many goals are met, of how many that could be compared.
    pub fn met(&self) -> (usize, usize) {
        let verdicts: Vec<bool> = self.rows.iter().filter_map(Row::is_met).collect();
        let met = verdicts.iter().filter(|met| **met).count();
        (met, verdicts.len())
    }

    /// How far the rounds were apart, of the middle row and of the worst one, in percent of their
    /// median.
    pub fn cpu_spread(&self) -> Option<(f64, f64)> {
        let rows = self.rows.iter().filter(|row| row.label.starts_with("CPU"));
        let mut spreads: Vec<f64> = rows
            .flat_map(|row| row.values.values())
            .filter_map(|v| spread(v))
            .collect();
        spreads.sort_by(f64::total_cmp);
        Some((*spreads.get(spreads.len() / 2)?, *spreads.last()?))
    }
}

impl Row {
    fn has(&self, target: &str) -> bool {
        self.values.contains_key(target)
    }

    fn cell(&self, target: &str) -> String {
        let Some(values) = self.values.get(target) else {
            return "–".into();
        };
        let sorted = sorted(values);
        match sorted.as_slice() {
            [] => "–".into(),
            [one] => number(*one),
            [first, .., last] => format!(
                "{} ({}–{})",
                number(median(values)),
                number(*first),
                number(*last)
            ),
        }
    }

    fn median(&self, target: &str) -> Option<f64> {
        self.values.get(target).map(|values| median(values))
    }

    fn ratio(&self) -> String {
        let of = |target| self.median(target).filter(|&value| value > 0.0);
        match (of("llmproxy"), of("nginx")) {
            (Some(llmproxy), Some(nginx)) => format!("{:.2}", llmproxy / nginx),
            _ => "–".into(),
        }
    }

    /// The goal, and whether the median meets it.
    fn goal(&self) -> [String; 2] {
        let text = Goal::of(self.case, self.label).map_or(String::new(), Goal::text);
        let met = self
            .is_met()
            .map_or("", |met| if met { "yes" } else { "no" });
        [text, met.into()]
    }

    fn is_met(&self) -> Option<bool> {
        Goal::of(self.case, self.label)?.is_met(self.median("llmproxy"), self.median("nginx"))
    }
}

/// The 50th and the 99th.
pub fn percentiles_ms(times_ns: &[u64]) -> [f64; 2] {
    let mut sorted = times_ns.to_vec();
    sorted.sort_unstable();
    [50, 99].map(|percent| {
        let at_or_last = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted
            .get(at_or_last)
            .map_or(f64::NAN, |&ns| ns as f64 / 1e6)
    })
}

pub fn number(value: f64) -> String {
    match value.abs() {
        0.0..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

fn spread(values: &[f64]) -> Option<f64> {
    match sorted(values).as_slice() {
        [first, .., last] => Some((last - first) / median(values) * 100.0),
        _ => None,
    }
}
