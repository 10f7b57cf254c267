//! How tables look: aligned numbers with thousands grouped, and nothing that a name could do to the terminal.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

use crate::{
    model::{User, format_utc},
    store::{
        costs::{CostReport, Split, Totals},
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

/// A line per user, or per user and model, and the sum of all.
pub(super) fn costs(report: &CostReport, split: Split) -> String {
    let mut table = match split {
        Split::None => table(&["user", "requests", "input", "cached", "output"]),
        Split::ByModel => table(&["user", "model", "requests", "input", "cached", "output"]),
    };
    let labels = if split == Split::None { 1 } else { 2 };
    for column in table.column_iter_mut().skip(labels) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut sum = Totals::default();
    for user in &report.costs {
        sum.add(&user.totals);
        let name = printable(&user.username);
        match &user.model_costs {
            None => add_line(&mut table, &[&name], &user.totals),
            Some(models) if models.is_empty() => add_line(&mut table, &[&name, "-"], &user.totals),
            Some(models) => {
                for model in models {
                    add_line(
                        &mut table,
                        &[&name, &printable(&model.model)],
                        &model.totals,
                    );
                }
            }
        }
    }
    if report.costs.len() > 1 || split == Split::ByModel {
        match split {
            Split::None => add_line(&mut table, &["TOTAL"], &sum),
            Split::ByModel => add_line(&mut table, &["TOTAL", ""], &sum),
        }
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

fn add_line(table: &mut Table, labels: &[&str], totals: &Totals) {
    let labels = labels.iter().map(|label| Cell::new(*label));
    let numbers = [
        totals.total_requests,
        totals.total_input_tokens,
        totals.total_cached_tokens,
        totals.total_output_tokens,
    ];
    table.add_row(labels.chain(numbers.map(number)).collect::<Vec<_>>());
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
        insta::assert_snapshot!(costs(&report, Split::None), @r"
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
        insta::assert_snapshot!(costs(&report, Split::ByModel), @r"
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
