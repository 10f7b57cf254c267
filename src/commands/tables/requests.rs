//! Single requests: the list, and the explanation of one.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::admin::{Explanation, LimitEntry, RequestEntry};
use crate::commands::listing::{
    Cell, Column,
    ColumnKind::{Name, Number, Text},
    Listing, printable,
};
use crate::model::NanoUsd;

/// Length of a date and a time in whole seconds at the beginning of a time in ISO 8601.
const SECONDS: usize = "2026-11-29T20:15:00".len();
/// Width of the names in an explanation.
const NAME_COLUMNS: usize = 10;

pub(in crate::commands) fn requests(requests: &[RequestEntry]) -> Listing {
    let row = |request: &RequestEntry| {
        let booked = request.booked.as_ref();
        let number =
            |count: Option<i64>| count.map_or_else(|| Cell::optional(None::<String>), Cell::number);
        let cost = booked.and_then(|booked| booked.cost_usd);
        vec![
            Cell {
                shown: time_of_day(&request.at),
                plain: request.at.clone(),
            },
            Cell::optional(request.request_id.as_deref()),
            Cell::optional(request.username.as_deref()),
            Cell::text(&request.endpoint),
            Cell::optional(booked.map(|booked| booked.model.as_str())),
            Cell::number(i64::from(request.status)),
            Cell::text(outcome(request)),
            number(booked.map(|booked| booked.input_tokens)),
            number(booked.map(|booked| booked.output_tokens)),
            cost.map_or_else(
                || Cell::optional(None::<String>),
                |cost| Cell {
                    shown: cost.rounded(),
                    plain: cost.to_string(),
                },
            ),
            number(booked.map(|booked| booked.wait_ms)),
            number(booked.map(|booked| booked.duration_ms)),
            Cell::optional(request.error.as_ref().map(|error| error.message.as_str())),
        ]
    };
    Listing {
        columns: vec![
            Column::new("time", "at", Text),
            Column::new("request", "request_id", Text),
            Column::new("user", "username", Name),
            Column::new("endpoint", "endpoint", Text).rank(8),
            Column::new("model", "model", Text).rank(3),
            Column::new("status", "status", Number),
            Column::new("outcome", "outcome", Text).rank(1),
            Column::new("input", "input_tokens", Number).rank(4),
            Column::new("output", "output_tokens", Number).rank(4),
            Column::new("cost", "cost_usd", Number).rank(5),
            Column::new("wait ms", "wait_ms", Number).rank(7),
            Column::new("ms", "duration_ms", Number).rank(6),
            Column::new("error", "error", Text).shown_if(false),
        ],
        rows: requests.iter().map(row).collect(),
        total: None,
    }
}

/// Returns how a request ended, in a word: the code of a refusal.
fn outcome(request: &RequestEntry) -> &str {
    match &request.error {
        Some(error) => &error.code,
        None => &request.outcome,
    }
}

/// Shortens a time to `11-29 20:15:00`.
fn time_of_day(at: &str) -> String {
    let seconds = at.get(..SECONDS).unwrap_or(at);
    seconds.get(5..).unwrap_or(seconds).replace('T', " ")
}

/// Writes a request as a line of `log --follow`.
pub(in crate::commands) fn request_line(request: &RequestEntry) -> String {
    let mut line = format!(
        "{} {} {:<12} {} {}",
        time_of_day(&request.at),
        request.request_id.as_deref().unwrap_or("-"),
        request.username.as_deref().unwrap_or("-"),
        request.status,
        outcome(request),
    );
    // Writing to a string cannot fail.
    match (&request.booked, &request.error) {
        (Some(booked), _) => {
            let cost = booked
                .cost_usd
                .map_or_else(|| "-".to_owned(), NanoUsd::rounded);
            let _ = write!(
                line,
                " {} input={} output={} cost={cost} ms={}",
                booked.model, booked.input_tokens, booked.output_tokens, booked.duration_ms
            );
        }
        (None, Some(error)) => {
            let _ = write!(line, " {:?}", error.message);
        }
        (None, None) => {}
    }
    line
}

/// Writes everything that is known of a request.
pub(in crate::commands) fn explanation(explanation: &Explanation) -> String {
    let mut lines = Lines::default();
    if let Some(id) = &explanation.request_id {
        lines.add("request", id);
    }
    for row in &explanation.rows {
        add_row(&mut lines, row);
    }
    if let Some(refused) = &explanation.refused {
        lines.add("arrived", &refused.at);
        lines.add(
            "user",
            refused.username.as_deref().unwrap_or("no known key"),
        );
        lines.add("asked for", &refused.endpoint);
        if let Some(error) = &refused.error {
            let answer = format!("refused: {} {}", refused.status, error.code);
            lines.add("answer", &answer);
            lines.add("", &error.message);
        }
    }
    if let Some(running) = &explanation.running {
        lines.add("arrived", &running.started_at);
        lines.add("user", &running.username);
        lines.add(
            "asked for",
            &join([running.endpoint.as_str(), &running.model]),
        );
        let answer = match running.status {
            499 => "none so far".to_owned(),
            status => format!("{status}, still running"),
        };
        lines.add("answer", &answer);
        let so_far = format!(
            "about {} input and {} output tokens at {}",
            running.input_tokens, running.output_tokens, running.noted_at
        );
        lines.add("so far", &so_far);
    }
    for limit in &explanation.limits {
        lines.add("limit now", &limit_text(limit));
    }
    lines.0.join("\n")
}

/// Lines with a name in front, which is left out where it repeats.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.0
                .push(format!("{name:<NAME_COLUMNS$} {}", printable(text)));
        }
    }
}

fn add_row(lines: &mut Lines, row: &Map<String, Value>) {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| row.get(name).and_then(Value::as_i64).unwrap_or(0);
    let named = |name: &str, label: &str| match text(name) {
        "" => String::new(),
        value => format!("{label}{value}"),
    };
    lines.add("arrived", text("started_at"));
    let key = match text("key_display") {
        "" => String::new(),
        display => join([
            &format!("key {} {display}", number("key_id")),
            text("key_label"),
        ]),
    };
    let group = named("group_name", "group ");
    lines.add("user", &listed([text("username"), &group, &key]));
    lines.add("asked for", &join([text("endpoint"), text("model")]));
    let status = format!("{} {}", number("status"), text("outcome"));
    let tier = named("service_tier", "tier ");
    let batch = if number("is_batch") == 1 {
        "in a batch"
    } else {
        ""
    };
    lines.add(
        "answer",
        &listed([&status, text("served_model"), &tier, batch]),
    );
    let mut usage = Vec::new();
    for (column, value) in row {
        let is_count = column.ends_with("_tokens")
            || matches!(
                column.as_str(),
                "audio_ms" | "images" | "web_searches" | "file_searches" | "code_calls"
            );
        if is_count && let Some(count) = value.as_i64() {
            let words = column
                .strip_suffix("_tokens")
                .unwrap_or(column)
                .replace('_', " ");
            usage.push(format!("{words} {count}"));
        }
    }
    let source = match text("usage_source") {
        "backend" => "as the backend reported",
        "estimate" => "partly or wholly estimated",
        _ => "the backend reported nothing",
    };
    usage.push(source.to_owned());
    lines.add("usage", &usage.join(", "));
    let cost = match text("cost_usd") {
        "" => "no price was known".to_owned(),
        cost => format!("{cost} USD"),
    };
    let priced = match text("priced_as") {
        "" => String::new(),
        model => format!("price of {model} ({})", text("price_source")),
    };
    lines.add("cost", &listed([&cost, &priced]));
    if let Some(Value::Object(price)) = row.get("price") {
        for (field, value) in price {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            lines.add("price", &format!("{field} {value}"));
        }
    }
    let first = match number("first_byte_ms") {
        0 => String::new(),
        ms => format!("first byte after {ms} ms"),
    };
    let waited = format!("waited {} ms for its turn", number("wait_ms"));
    let ended = format!("ended after {} ms", number("duration_ms"));
    lines.add("times", &listed([&waited, &first, &ended]));
    lines.add("backend", &named("backend_request_id", "request id "));
}

fn limit_text(limit: &LimitEntry) -> String {
    let whose = match limit.scope.as_str() {
        "user" => String::new(),
        "group" => format!(" of group {}", limit.name.as_deref().unwrap_or("-")),
        _ => " of everybody".to_owned(),
    };
    let kind = match limit.kind.as_str() {
        "budget" => String::new(),
        kind => format!("{} ", kind.replace('_', " ")),
    };
    let plain = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let used = limit
        .used
        .as_ref()
        .map_or_else(String::new, |used| format!("used {}", plain(used)));
    let left = limit
        .left
        .as_ref()
        .map_or_else(String::new, |left| format!("left {}", plain(left)));
    listed([&format!("{kind}{}{whose}", limit.value), &used, &left])
}

fn join<const N: usize>(parts: [&str; N]) -> String {
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

fn listed<const N: usize>(parts: [&str; N]) -> String {
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}
