//! The ledger beside what OpenAI says: statements of usage or costs by day and model, and how far the
//! two are apart. Days are those of UTC, as OpenAI's are.

mod api;
mod csv;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{model::format_utc_date, prices::bases};

pub use api::{COSTS_PATH, CostPage};

/// What a statement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatementKind {
    /// Requests and tokens.
    Usage,
    /// Dollars.
    Costs,
}

/// The figures of a day and model. A statement of costs has dollars only, and one of usage has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub requests: i64,
    pub input_tokens: i64,
    pub cached_tokens: i64,
    pub output_tokens: i64,
    pub nano_usd: i64,
}

impl Figures {
    /// Adds others. A sum that does not fit is the largest number.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.cached_tokens, other.cached_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.nano_usd, other.nano_usd),
        ];
        for (sum, other) in pairs {
            *sum = sum.saturating_add(other);
        }
    }

    /// Returns the figure by which two are compared: tokens or nano-dollars.
    fn measure(&self, kind: StatementKind) -> i64 {
        match kind {
            StatementKind::Usage => self.input_tokens.saturating_add(self.output_tokens),
            StatementKind::Costs => self.nano_usd,
        }
    }
}

/// Figures by day (since 1970-01-01, UTC) and model. The model is the base model, because requests ask
/// for it and OpenAI writes the dated one; it is empty where a statement names none.
pub type ByDayAndModel = BTreeMap<(i64, String), Figures>;

/// What OpenAI says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub kind: StatementKind,
    pub lines: ByDayAndModel,
    /// The first and the last day that it is about, also those without usage.
    pub days: Option<(i64, i64)>,
}

/// A text that is no statement of OpenAI's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    #[error(
        "it has the columns {found}; an export of OpenAI's usage has start_time, model, input_tokens and output_tokens, and one of costs start_time, amount_value and line_item"
    )]
    Columns { found: String },
    #[error("line {line}: {column} {value:?} {problem}")]
    Cell {
        line: u64,
        column: &'static str,
        value: String,
        problem: &'static str,
    },
    #[error("line {line}: {problem}")]
    Line { line: u64, problem: String },
    #[error("amounts are in {0:?}, and the ledger is in dollars")]
    Currency(String),
    #[error("it is no answer of OpenAI's usage or costs API: {0}")]
    Json(String),
}

impl Statement {
    /// Reads an export in CSV, or an answer of the API in JSON.
    ///
    /// # Errors
    /// [`StatementError`] says what is wrong, and where.
    pub fn read(text: &str) -> Result<Self, StatementError> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with(['{', '[']) {
            api::read(text)
        } else {
            csv::read(text)
        }
    }

    fn empty(kind: StatementKind) -> Self {
        Self {
            kind,
            lines: ByDayAndModel::new(),
            days: None,
        }
    }

    fn add_day(&mut self, day: i64) {
        self.days = Some(match self.days {
            None => (day, day),
            Some((first, last)) => (first.min(day), last.max(day)),
        });
    }

    fn add(&mut self, day: i64, model: &str, figures: &Figures) {
        let line = self.lines.entry((day, base_model(model).to_owned()));
        line.or_default().add(figures);
    }

    /// Leaves out other days.
    pub fn keep_days(&mut self, first: i64, last: i64) {
        self.lines
            .retain(|(day, _), _| (first..=last).contains(day));
        self.days = self.days.and_then(|(from, to)| {
            let days = (from.max(first), to.min(last));
            (days.0 <= days.1).then_some(days)
        });
    }

    /// Adds the lines of another statement of the same kind.
    pub fn extend(&mut self, other: Self) {
        if let Some((first, last)) = other.days {
            self.add_day(first);
            self.add_day(last);
        }
        for (key, figures) in other.lines {
            self.lines.entry(key).or_default().add(&figures);
        }
    }
}

/// Returns the model without its date.
#[must_use]
pub fn base_model(model: &str) -> &str {
    bases(model).last().unwrap_or(model)
}

/// How far ledger and statement are apart on a day for a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    pub day: String,
    pub model: String,
    pub ledger: Figures,
    pub statement: Figures,
    /// What the ledger has more than the statement, in hundredths of a percent of the statement.
    pub basis_points: i64,
}

/// The comparison of a ledger with a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub kind: StatementKind,
    pub lines: Vec<Drift>,
    pub total: Drift,
    /// Models of the ledger that a statement of usage does not have at all. OpenAI exports each kind
    /// of usage by itself, so that they are not compared.
    pub left_out: Vec<String>,
}

/// Compares a ledger with a statement.
#[must_use]
pub fn compare(statement: &Statement, ledger: &ByDayAndModel) -> Comparison {
    let kind = statement.kind;
    let has_models = statement.lines.keys().any(|(_, model)| !model.is_empty());
    let known: BTreeSet<&str> = statement.lines.keys().map(|(_, model)| &**model).collect();
    let mut left_out = BTreeSet::new();
    let mut ours = ByDayAndModel::new();
    for ((day, model), figures) in ledger {
        let model = if has_models { base_model(model) } else { "" };
        if kind == StatementKind::Usage && has_models && !known.contains(model) {
            left_out.insert(model.to_owned());
            continue;
        }
        ours.entry((*day, model.to_owned()))
            .or_default()
            .add(figures);
    }
    let keys: BTreeSet<&(i64, String)> = ours.keys().chain(statement.lines.keys()).collect();
    let figures = |of: &ByDayAndModel, key| of.get(key).copied().unwrap_or_default();
    let mut total = (Figures::default(), Figures::default());
    let mut lines = Vec::new();
    for key in keys {
        let (left, right) = (figures(&ours, key), figures(&statement.lines, key));
        total.0.add(&left);
        total.1.add(&right);
        lines.push(drift(
            kind,
            format_utc_date(key.0),
            key.1.clone(),
            left,
            right,
        ));
    }
    Comparison {
        kind,
        lines,
        total: drift(kind, String::new(), String::new(), total.0, total.1),
        left_out: left_out.into_iter().collect(),
    }
}

fn drift(
    kind: StatementKind,
    day: String,
    model: String,
    ledger: Figures,
    statement: Figures,
) -> Drift {
    let (ours, theirs) = (ledger.measure(kind), statement.measure(kind));
    Drift {
        day,
        model,
        ledger,
        statement,
        basis_points: basis_points(ours, theirs),
    }
}

fn basis_points(ours: i64, theirs: i64) -> i64 {
    const WHOLE: i128 = 10_000;
    let difference = i128::from(ours) - i128::from(theirs);
    let points = match i128::from(theirs).abs() {
        0 if difference == 0 => 0,
        0 => WHOLE * difference.signum(),
        theirs => difference * WHOLE / theirs,
    };
    i64::try_from(points).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
