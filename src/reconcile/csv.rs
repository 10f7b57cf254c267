//! Exports of OpenAI's dashboard: CSV of usage (a line a day, model and whatever else was chosen) or of
//! costs (a line a day and line item). A day without usage has a line without figures.

use csv::{ReaderBuilder, StringRecord};

use super::{Figures, Statement, StatementError, StatementKind};
use crate::model::scaled;

const SECONDS_PER_DAY: i64 = 86_400;
/// Places of a nano-dollar.
const NANO_PLACES: i64 = 9;

/// Where the columns are.
struct Columns {
    start_time: usize,
    model: Option<usize>,
    requests: Option<usize>,
    input: Option<usize>,
    cached: Option<usize>,
    output: Option<usize>,
    amount: Option<usize>,
    currency: Option<usize>,
    line_item: Option<usize>,
}

pub(super) fn read(text: &str) -> Result<Statement, StatementError> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| at(&error))?.clone();
    let (kind, columns) = columns(&header)?;
    let mut statement = Statement::empty(kind);
    for record in reader.records() {
        let record = record.map_err(|error| at(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = Row { record, line };
        let Some(seconds) = row.number(Some(columns.start_time), "start_time")? else {
            return Err(row.wrong(columns.start_time, "start_time", "is missing"));
        };
        let day = seconds.div_euclid(SECONDS_PER_DAY);
        statement.add_day(day);
        match kind {
            StatementKind::Usage => add_usage(&mut statement, &row, &columns, day)?,
            StatementKind::Costs => add_costs(&mut statement, &row, &columns, day)?,
        }
    }
    Ok(statement)
}

fn add_usage(
    statement: &mut Statement,
    row: &Row,
    columns: &Columns,
    day: i64,
) -> Result<(), StatementError> {
    let number = |column, name| Ok(row.number(column, name)?.unwrap_or(0));
    let figures = Figures {
        requests: number(columns.requests, "num_model_requests")?,
        input_tokens: number(columns.input, "input_tokens")?,
        cached_tokens: number(columns.cached, "input_cached_tokens")?,
        output_tokens: number(columns.output, "output_tokens")?,
        nano_usd: 0,
    };
    if figures != Figures::default() {
        statement.add(day, row.text(columns.model), &figures);
    }
    Ok(())
}

fn add_costs(
    statement: &mut Statement,
    row: &Row,
    columns: &Columns,
    day: i64,
) -> Result<(), StatementError> {
    let text = row.text(columns.amount);
    if text.is_empty() {
        return Ok(());
    }
    let currency = row.text(columns.currency);
    if !currency.is_empty() && !currency.eq_ignore_ascii_case("usd") {
        return Err(StatementError::Currency(currency.to_owned()));
    }
    let nano_usd = scaled(text, NANO_PLACES).map_err(|_| {
        row.wrong(
            columns.amount.unwrap_or(0),
            "amount_value",
            "is no amount with a decimal point",
        )
    })?;
    let figures = Figures {
        nano_usd,
        ..Figures::default()
    };
    let model = super::api::model_of_item(row.text(columns.line_item));
    statement.add(day, model, &figures);
    Ok(())
}

/// A spreadsheet may have written it with semicolons or tabs.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let count = |delimiter: u8| header.bytes().filter(|byte| *byte == delimiter).count();
    let best = [b',', b';', b'\t'].into_iter().max_by_key(|d| count(*d));
    best.unwrap_or(b',')
}

fn columns(header: &StringRecord) -> Result<(StatementKind, Columns), StatementError> {
    let find = |name: &str| {
        let mut names = header.iter();
        names.position(|found| found.trim().eq_ignore_ascii_case(name))
    };
    let wrong = || StatementError::Columns {
        found: header.iter().take(20).collect::<Vec<_>>().join(", "),
    };
    let columns = Columns {
        start_time: find("start_time").ok_or_else(wrong)?,
        model: find("model"),
        requests: find("num_model_requests"),
        input: find("input_tokens"),
        cached: find("input_cached_tokens"),
        output: find("output_tokens"),
        amount: find("amount_value"),
        currency: find("amount_currency"),
        line_item: find("line_item"),
    };
    if columns.amount.is_some() {
        Ok((StatementKind::Costs, columns))
    } else if columns.input.is_some() {
        Ok((StatementKind::Usage, columns))
    } else {
        Err(wrong())
    }
}

fn at(error: &csv::Error) -> StatementError {
    StatementError::Line {
        line: error.position().map_or(1, csv::Position::line),
        problem: error.to_string(),
    }
}

struct Row {
    record: StringRecord,
    line: u64,
}

impl Row {
    fn text(&self, column: Option<usize>) -> &str {
        let text = column.and_then(|column| self.record.get(column));
        text.unwrap_or_default().trim()
    }

    fn number(
        &self,
        column: Option<usize>,
        name: &'static str,
    ) -> Result<Option<i64>, StatementError> {
        let text = self.text(column);
        if text.is_empty() {
            return Ok(None);
        }
        // A spreadsheet may have made 12.0 of 12.
        let whole = text.strip_suffix(".0").unwrap_or(text);
        let number = whole.parse::<i64>().ok().filter(|number| *number >= 0);
        let place = column.unwrap_or(0);
        number
            .map(Some)
            .ok_or_else(|| self.wrong(place, name, "is no number"))
    }

    fn wrong(&self, column: usize, name: &'static str, problem: &'static str) -> StatementError {
        let value: String = self.text(Some(column)).chars().take(40).collect();
        StatementError::Cell {
            line: self.line,
            column: name,
            value,
            problem,
        }
    }
}
