//! A CSV file of users for `llmproxy user add --from FILE`.

use std::{io::Read, path::Path};

use anyhow::{Context, bail};

use crate::admin::{KeyOptions, LimitChanges, UserLine, closest};

/// The columns that a file of users may have.
const COLUMNS: [&str; 14] = [
    "name",
    "group",
    "label",
    "key",
    "expires",
    "budget",
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent",
    "models",
    "deny_models",
    "max_output_tokens",
    "weight",
    "unpriced",
];

/// Reads a CSV file of users.
pub(super) fn lines_of(path: &Path) -> anyhow::Result<Vec<UserLine>> {
    let shown = path.display();
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin()
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
    } else {
        bytes = std::fs::read(path).with_context(|| format!("cannot read \"{shown}\""))?;
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text);
    let header = reader
        .headers()
        .context("the first line is no header")?
        .clone();
    let mut places = Vec::new();
    for title in &header {
        let known = COLUMNS.iter().position(|column| {
            let title = title.to_ascii_lowercase().replace('-', "_");
            title == *column || *column == "name" && title == "username"
        });
        match known {
            Some(place) if places.contains(&place) => {
                bail!("\"{shown}\" has two columns {title:?}")
            }
            Some(place) => places.push(place),
            None => {
                let advice = match closest(title, COLUMNS) {
                    Some(close) => format!("did you mean {close:?}?"),
                    None => format!("known are {}", COLUMNS.join(", ")),
                };
                bail!("\"{shown}\" has an unknown column {title:?}: {advice}");
            }
        }
    }
    if !places.contains(&0) {
        bail!(
            "\"{shown}\" has no column \"name\"; its first line must name the columns, such as name,group,expires"
        );
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            anyhow::anyhow!("\"{shown}\", line {line}: it has another number of columns than the first line, or is not UTF-8")
        })?;
        let value = |column: usize| {
            let place = places.iter().position(|place| *place == column)?;
            let text = record.get(place)?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        lines.push(UserLine {
            username: value(0).unwrap_or_default(),
            group: value(1),
            options: KeyOptions {
                label: value(2),
                key: value(3),
                expires: value(4),
            },
            limits: LimitChanges {
                budget: value(5).map_or_else(Vec::new, |text| {
                    text.split(';')
                        .map(|budget| budget.trim().to_owned())
                        .collect()
                }),
                requests_per_minute: value(6),
                tokens_per_minute: value(7),
                concurrent: value(8),
                models: value(9),
                deny_models: value(10),
                max_output_tokens: value(11),
                weight: value(12),
                unpriced: value(13),
                ..LimitChanges::default()
            },
            line: record
                .position()
                .and_then(|place| i64::try_from(place.line()).ok()),
        });
    }
    if lines.is_empty() {
        bail!("\"{shown}\" has no users");
    }
    Ok(lines)
}
