//! What the figures are to be: a goal for each line of the table that has one.

use crate::cases::Case;

#[derive(Clone, Copy)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// At most so many times what nginx takes.
    TimesNginx(f64),
}

/// Goals of llmproxy, by the case and the label of the line.
pub const GOALS: &[(Case, &str, Goal)] = &[
    (Case::Plain, "CPU µs/request", Goal::TimesNginx(1.8)),
    (Case::Stream, "CPU µs/stream", Goal::TimesNginx(1.0)),
    (Case::Slow, "CPU µs/stream", Goal::TimesNginx(1.0)),
    (Case::Slow, "added event delay p99, ms", Goal::AtMost(2.0)),
    (Case::Large, "CPU µs/request", Goal::TimesNginx(1.0)),
    (Case::One, "added latency p50, ms", Goal::AtMost(0.25)),
    (Case::Memory, "idle, MB", Goal::AtMost(8.0)),
    (Case::Memory, "an open stream, kB", Goal::AtMost(45.0)),
    // The answers are 10 GB; a megabyte a reader is what a proxy may keep of them.
    (Case::Readers, "growth, MB", Goal::AtMost(200.0)),
    (Case::Ledger, "rows/s", Goal::AtLeast(100_000.0)),
    (Case::Ledger, "acknowledged p99, ms", Goal::AtMost(2.0)),
    (Case::Costs, "whole time, ms", Goal::AtMost(300.0)),
    (
        Case::Costs,
        "from half past to half past, ms",
        Goal::AtMost(300.0),
    ),
    (Case::Start, "first answer, ms", Goal::AtMost(20.0)),
    (Case::Start, "binary, MB", Goal::AtMost(12.0)),
];

impl Goal {
    pub fn of(case: Case, label: &str) -> Option<Self> {
        let found = GOALS
            .iter()
            .find(|(goal_case, goal_label, _)| *goal_case == case && *goal_label == label);
        found.map(|(_, _, goal)| *goal)
    }

    /// None where there is nothing to compare.
    pub fn is_met(self, llmproxy: Option<f64>, nginx: Option<f64>) -> Option<bool> {
        let llmproxy = llmproxy?;
        Some(match self {
            Self::AtMost(most) => llmproxy <= most,
            Self::AtLeast(least) => llmproxy >= least,
            Self::TimesNginx(times) => llmproxy <= times * nginx?,
        })
    }

    pub fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::TimesNginx(times) => format!("≤ {times:.1} × nginx"),
        }
    }
}
