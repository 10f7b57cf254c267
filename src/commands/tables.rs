//! How tables look: aligned numbers with thousands grouped, and nothing that a name could do to the terminal.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

use crate::{
    model::{User, format_utc},
    store::{
        costs::{CostReport, Split, SplitCosts, SplitReport, Totals},
        users::NewKey,
    },
};

/// A new user's key, whole: this is the moment to hand it over.
pub(super) fn new_key(new: &NewKey) -> String {
    let mut table = table(&["user", "key"]);
    table.add_row([printable(&new.username), new.api_key.clone()]);
    // A key must not be broken over two lines, it is to be copied.
    for column in table.column_iter_mut().skip(1) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table.to_string()
}

pub(super) fn users(users: &[User]) -> String {
    let mut table = table(&["id", "name", "key", "created", "status"]);
    for user in users {
        table.add_row([
            number(user.id),
            Cell::new(printable(&user.username)),
            Cell::new(user.api_key.masked()),
            Cell::new(format_utc(user.created_at_ms / 1000 * 1000)),
            Cell::new(if user.is_active {
                "active"
            } else {
                "forbidden"
            }),
        ]);
    }
    table.to_string()
}

/// A report as lines: labels, then sums.
pub(super) struct Lines {
    /// The labels' titles in a table.
    titles: Vec<&'static str>,
    /// The labels' names in CSV.
    pub(super) members: Vec<&'static str>,
    pub(super) sums: Vec<(Vec<String>, Totals)>,
}

impl Lines {
    /// A line per user, or per user and model.
    pub(super) fn of_users(report: &CostReport, split: Split) -> Self {
        let (titles, members) = match split {
            Split::None => (vec!["user"], vec!["username"]),
            Split::ByModel => (vec!["user", "model"], vec!["username", "model"]),
        };
        let mut lines = Vec::new();
        for user in &report.costs {
            let name = || user.username.clone();
            match &user.model_costs {
                None => lines.push((vec![name()], user.totals)),
                Some(models) if models.is_empty() => {
                    lines.push((vec![name(), "-".to_owned()], user.totals));
                }
                Some(models) => {
                    let of_models = models
                        .iter()
                        .map(|model| (vec![name(), model.model.clone()], model.totals));
                    lines.extend(of_models);
                }
            }
        }
        Self {
            titles,
            members,
            sums: lines,
        }
    }

    /// A line per combination of values.
    pub(super) fn of_split(report: &SplitReport) -> Self {
        let line = |costs: &SplitCosts| {
            let labels = costs.values.iter().map(|(_, value)| value.clone());
            (labels.collect(), costs.totals)
        };
        Self {
            titles: report.by.iter().map(|by| by.word()).collect(),
            members: report.by.iter().map(|by| by.member()).collect(),
            sums: report.costs.iter().map(line).collect(),
        }
    }
}

/// The lines and the sum of all. Audio and images have columns where there are any.
pub(super) fn costs(lines: &Lines) -> String {
    let mut sum = Totals::default();
    for (_, totals) in &lines.sums {
        sum.add(totals);
    }
    let audio = sum.total_audio_ms > 0;
    let images = sum.total_images > 0;
    let titles = [
        ("requests", true),
        ("input", true),
        ("cached", true),
        ("output", true),
        ("audio s", audio),
        ("images", images),
    ];
    let shown = titles.iter().filter(|(_, shown)| *shown);
    let header: Vec<&str> = lines
        .titles
        .iter()
        .copied()
        .chain(shown.map(|(title, _)| *title))
        .collect();
    let mut table = table(&header);
    for column in table.column_iter_mut().skip(lines.titles.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut add_line = |labels: Vec<String>, totals: &Totals| {
        let labels = labels.iter().map(|label| Cell::new(printable(label)));
        let numbers = [
            (totals.total_requests, true),
            (totals.total_input_tokens, true),
            (totals.total_cached_tokens, true),
            (totals.total_output_tokens, true),
            // Rounded up: what was used is never shown as nothing.
            ((totals.total_audio_ms + 999) / 1000, audio),
            (totals.total_images, images),
        ];
        let numbers = numbers.into_iter().filter(|(_, shown)| *shown);
        table.add_row(
            labels
                .chain(numbers.map(|(value, _)| number(value)))
                .collect::<Vec<_>>(),
        );
    };
    for (labels, totals) in &lines.sums {
        add_line(labels.clone(), totals);
    }
    if lines.sums.len() > 1 || lines.titles.len() > 1 {
        let mut labels = vec![String::new(); lines.titles.len()];
        "TOTAL".clone_into(&mut labels[0]);
        add_line(labels, &sum);
    }
    table.to_string()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

/// `1,234,567`, right-aligned.
fn number(value: i64) -> Cell {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 {
        text.insert(0, '-');
    }
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// Names and models come from people and clients: what would move the cursor is shown as an escape.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escape = c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            let (plain, escaped) = if escape { (None, Some(c.escape_unicode())) } else { (Some(c), None) };
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::costs::{ModelCosts, UserCosts};

    fn totals(n: i64) -> Totals {
        Totals {
            total_input_tokens: n * 1000,
            total_output_tokens: n,
            total_cached_tokens: n * 10,
            total_requests: n,
            ..Totals::default()
        }
    }

    #[test]
    fn the_costs_table_looks_like_this() {
        let report = CostReport {
            costs: vec![
                UserCosts {
                    username: "alice".into(),
                    totals: totals(1234),
                    model_costs: None,
                },
                UserCosts {
                    username: "bob\u{1b}[2J".into(),
                    totals: totals(0),
                    model_costs: None,
                },
            ],
        };
        insta::assert_snapshot!(costs(&Lines::of_users(&report, Split::None)), @r"
        ┌──────────────┬──────────┬───────────┬────────┬────────┐
        │ user         ┆ requests ┆     input ┆ cached ┆ output │
        ╞══════════════╪══════════╪═══════════╪════════╪════════╡
        │ alice        ┆    1,234 ┆ 1,234,000 ┆ 12,340 ┆  1,234 │
        │ bob\u{1b}[2J ┆        0 ┆         0 ┆      0 ┆      0 │
        │ TOTAL        ┆    1,234 ┆ 1,234,000 ┆ 12,340 ┆  1,234 │
        └──────────────┴──────────┴───────────┴────────┴────────┘
        ");
    }

    #[test]
    fn by_model_a_line_per_user_and_model() {
        let models = vec![
            ModelCosts {
                model: "gpt-4.1-mini".into(),
                totals: totals(1),
            },
            ModelCosts {
                model: "o3".into(),
                totals: totals(2),
            },
        ];
        let report = CostReport {
            costs: vec![
                UserCosts {
                    username: "alice".into(),
                    totals: totals(3),
                    model_costs: Some(models),
                },
                UserCosts {
                    username: "bob".into(),
                    totals: totals(0),
                    model_costs: Some(vec![]),
                },
            ],
        };
        insta::assert_snapshot!(costs(&Lines::of_users(&report, Split::ByModel)), @r"
        ┌───────┬──────────────┬──────────┬───────┬────────┬────────┐
        │ user  ┆ model        ┆ requests ┆ input ┆ cached ┆ output │
        ╞═══════╪══════════════╪══════════╪═══════╪════════╪════════╡
        │ alice ┆ gpt-4.1-mini ┆        1 ┆ 1,000 ┆     10 ┆      1 │
        │ alice ┆ o3           ┆        2 ┆ 2,000 ┆     20 ┆      2 │
        │ bob   ┆ -            ┆        0 ┆     0 ┆      0 ┆      0 │
        │ TOTAL ┆              ┆        3 ┆ 3,000 ┆     30 ┆      3 │
        └───────┴──────────────┴──────────┴───────┴────────┴────────┘
        ");
    }
}
