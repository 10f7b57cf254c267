//! Tables for the terminal: numbers are aligned and grouped, and names cannot contain control
//! characters.

use std::ops::Range;

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, presets};

use crate::{
    model::{User, is_unprintable},
    store::{
        costs::{CostReport, Split, SplitCosts, SplitReport, Totals},
        users::NewKey,
    },
};

/// Formats the complete key of a new user.
pub(super) fn new_key(new: &NewKey) -> String {
    let mut table = table(["user", "key"]);
    table.add_row([printable(&new.username), new.api_key.clone()]);
    fitted(table, 0..1)
}

pub(super) fn users(users: &[User]) -> String {
    let mut table = table(["id", "name", "key", "created", "status"]);
    for user in users {
        table.add_row([
            number(user.id),
            Cell::new(printable(&user.username)),
            Cell::new(user.api_key.masked()),
            Cell::new(user.created_at()),
            Cell::new(if user.is_active {
                "active"
            } else {
                "forbidden"
            }),
        ]);
    }
    fitted(table, 1..2)
}

/// A report as lines of labels and sums.
pub(super) struct Lines {
    /// Titles of the labels in a table.
    titles: Vec<&'static str>,
    /// Names of the labels in CSV.
    pub(super) members: Vec<&'static str>,
    pub(super) sums: Vec<(Vec<String>, Totals)>,
}

impl Lines {
    /// Makes a line for each user, or for each user and model.
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

    /// Makes a line for each combination of values.
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

/// Formats the lines and their total. Audio, images and estimates have columns if there are any.
/// `estimated` is the number of input and output tokens that the backend did not report.
pub(super) fn costs(lines: &Lines) -> String {
    costs_within(lines, Table::new().width())
}

/// Formats the lines for a terminal of so many columns, if there is one. If labels in columns would
/// be broken too often, they are put below each other.
fn costs_within(lines: &Lines, terminal_columns: Option<u16>) -> String {
    let in_columns = || costs_table(lines, Labels::InColumns);
    let Some(columns) = terminal_columns else {
        return in_columns().to_string();
    };
    fit(in_columns(), 0..lines.titles.len(), columns)
        .or_else(|| fit(costs_table(lines, Labels::Stacked), 0..1, columns))
        .unwrap_or_else(|| in_columns().to_string())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Labels {
    InColumns,
    /// All labels in one column, each in a line.
    Stacked,
}

impl Labels {
    fn cells(self, labels: &[impl AsRef<str>]) -> Vec<String> {
        let labels = labels.iter().map(|label| printable(label.as_ref()));
        match self {
            Self::InColumns => labels.collect(),
            Self::Stacked => {
                let lines = labels.collect::<Vec<_>>().join("\n");
                vec![lines.trim_end().to_owned()]
            }
        }
    }
}

fn costs_table(lines: &Lines, labels: Labels) -> Table {
    let mut sum = Totals::default();
    for (_, totals) in &lines.sums {
        sum.add(totals);
    }
    let audio = sum.total_audio_ms > 0;
    let images = sum.total_images > 0;
    let estimated_tokens = |totals: &Totals| {
        let tokens = totals.estimated_input_tokens;
        tokens.saturating_add(totals.estimated_output_tokens)
    };
    let estimates = estimated_tokens(&sum) > 0;
    let all_audio_ms = lines.sums.iter().map(|(_, totals)| totals.total_audio_ms);
    let decimals = decimals_of(all_audio_ms);
    let numbers = |totals: &Totals| {
        let columns = [
            ("requests", number(totals.total_requests), true),
            ("input", number(totals.total_input_tokens), true),
            ("cached", number(totals.total_cached_tokens), true),
            ("output", number(totals.total_output_tokens), true),
            ("estimated", number(estimated_tokens(totals)), estimates),
            ("audio s", seconds(totals.total_audio_ms, decimals), audio),
            ("images", number(totals.total_images), images),
        ];
        columns.into_iter().filter(|(_, _, shown)| *shown)
    };
    let header = labels.cells(&lines.titles);
    let label_columns = header.len();
    let titles = numbers(&sum).map(|(title, _, _)| title.to_owned());
    let mut table = table(header.into_iter().chain(titles));
    let mut add_line = |of_line: &[String], totals: &Totals| {
        let cells = labels.cells(of_line).into_iter().map(Cell::new);
        let numbers = numbers(totals).map(|(_, number, _)| number);
        table.add_row(cells.chain(numbers));
    };
    for (of_line, totals) in &lines.sums {
        add_line(of_line, totals);
    }
    if lines.sums.len() > 1 || lines.titles.len() > 1 {
        let mut of_sum = vec![String::new(); lines.titles.len()];
        "TOTAL".clone_into(&mut of_sum[0]);
        add_line(&of_sum, &sum);
    }
    for column in table.column_iter_mut().skip(label_columns) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    if labels == Labels::Stacked {
        // The terminal is narrow then, and a row has several lines.
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        for column in table.column_iter_mut() {
            column.set_padding((0, 0));
        }
    }
    table
}

/// Least number of characters of a name in a line.
const MIN_NAME_COLUMNS: u16 = 12;

/// Fits the table to the terminal if that is possible.
fn fitted(table: Table, breakable: Range<usize>) -> String {
    let whole = table.to_string();
    let columns = Table::new().width();
    let fits = columns.and_then(|columns| fit(table, breakable, columns));
    fits.unwrap_or(whole)
}

/// Fits the table to so many columns of a terminal by breaking long texts in the breakable columns.
/// Numbers and keys are never broken. Returns `None` if that would leave too little of a line.
fn fit(mut table: Table, breakable: Range<usize>, terminal_columns: u16) -> Option<String> {
    let widths = table.column_max_content_widths();
    let spared = widths.get(breakable.clone()).unwrap_or_default().iter();
    let spared = spared.map(|width| usize::from(width.saturating_sub(MIN_NAME_COLUMNS)));
    // The first line has the table's frame or its titles, whose characters are a column wide each.
    let width = table.lines().next()?.chars().count();
    if width.saturating_sub(spared.sum()) > usize::from(terminal_columns) {
        return None;
    }
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(terminal_columns);
    for (index, column) in table.column_iter_mut().enumerate() {
        if !breakable.contains(&index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    Some(table.trim_fmt())
}

fn table(header: impl Into<Row>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

/// Returns how many decimals the seconds need so that none is rounded and lines add up to their
/// total.
fn decimals_of(all_ms: impl Iterator<Item = i64>) -> usize {
    let needed = all_ms.map(|ms| match ms {
        _ if ms % 1000 == 0 => 0,
        _ if ms % 100 == 0 => 1,
        _ if ms % 10 == 0 => 2,
        _ => 3,
    });
    needed.max().unwrap_or(0)
}

/// Formats milliseconds as seconds such as `1,234.5`, right-aligned.
fn seconds(ms: i64, decimals: usize) -> Cell {
    let mut text = grouped(ms / 1000);
    if decimals > 0 {
        text.push('.');
        text.push_str(&format!("{:03}", ms % 1000)[..decimals]);
    }
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// Formats a number such as `1,234,567`, right-aligned.
fn number(value: i64) -> Cell {
    Cell::new(grouped(value)).set_alignment(CellAlignment::Right)
}

fn grouped(value: i64) -> String {
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
    text
}

/// Escapes characters that would move the cursor. Names and models come from people and clients.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = is_unprintable(c).then(|| c.escape_unicode());
            let plain = escaped.is_none().then_some(c);
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::Dimension,
        store::costs::{ModelCosts, UserCosts},
    };

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

    #[test]
    fn seconds_of_audio_add_up() {
        let user = |username: &str, total_audio_ms| UserCosts {
            username: username.into(),
            totals: Totals {
                total_audio_ms,
                ..Totals::default()
            },
            model_costs: None,
        };
        let report = CostReport {
            costs: vec![
                user("alice", 1_234_500),
                user("bob", 50),
                user("carol", 7_000),
            ],
        };
        insta::assert_snapshot!(costs(&Lines::of_users(&report, Split::None)), @r"
        ┌───────┬──────────┬───────┬────────┬────────┬──────────┐
        │ user  ┆ requests ┆ input ┆ cached ┆ output ┆  audio s │
        ╞═══════╪══════════╪═══════╪════════╪════════╪══════════╡
        │ alice ┆        0 ┆     0 ┆      0 ┆      0 ┆ 1,234.50 │
        │ bob   ┆        0 ┆     0 ┆      0 ┆      0 ┆     0.05 │
        │ carol ┆        0 ┆     0 ┆      0 ┆      0 ┆     7.00 │
        │ TOTAL ┆        0 ┆     0 ┆      0 ┆      0 ┆ 1,241.55 │
        └───────┴──────────┴───────┴────────┴────────┴──────────┘
        ");
    }

    #[test]
    fn in_a_narrow_terminal_labels_are_broken_and_numbers_never() {
        let user = |username: &str, n| UserCosts {
            username: username.into(),
            totals: totals(n),
            model_costs: None,
        };
        let report = CostReport {
            costs: vec![
                user("alice.liddell@wonderland.example.org", 997_831),
                user("bob", 12),
            ],
        };
        insta::assert_snapshot!(costs_within(&Lines::of_users(&report, Split::None), Some(72)), @r"
        ┌───────────────────────┬──────────┬─────────────┬───────────┬─────────┐
        │ user                  ┆ requests ┆       input ┆    cached ┆  output │
        ╞═══════════════════════╪══════════╪═════════════╪═══════════╪═════════╡
        │ alice.liddell@wonderl ┆  997,831 ┆ 997,831,000 ┆ 9,978,310 ┆ 997,831 │
        │ and.example.org       ┆          ┆             ┆           ┆         │
        │ bob                   ┆       12 ┆      12,000 ┆       120 ┆      12 │
        │ TOTAL                 ┆  997,843 ┆ 997,843,000 ┆ 9,978,430 ┆ 997,843 │
        └───────────────────────┴──────────┴─────────────┴───────────┴─────────┘
        ");
    }

    #[test]
    fn where_many_labels_find_no_room_they_stand_below_each_other() {
        let line = |model: &str, n| SplitCosts {
            values: vec![
                (Dimension::Endpoint, "/v1/chat/completions".into()),
                (Dimension::Model, model.into()),
                (Dimension::User, "alice".into()),
                (Dimension::Day, "2026-02-08".into()),
            ],
            totals: totals(n),
        };
        let report = SplitReport {
            by: vec![
                Dimension::Endpoint,
                Dimension::Model,
                Dimension::User,
                Dimension::Day,
            ],
            costs: vec![line("gpt-4.1-mini", 997_831), line("o3", 1)],
        };
        let lines = Lines::of_split(&report);
        insta::assert_snapshot!(costs_within(&lines, Some(80)), @r"
        ───────────────────────────────────────────────────────────
        endpoint             requests       input    cached  output
        model
        user
        day
        ═══════════════════════════════════════════════════════════
        /v1/chat/completions  997,831 997,831,000 9,978,310 997,831
        gpt-4.1-mini
        alice
        2026-02-08
        ───────────────────────────────────────────────────────────
        /v1/chat/completions        1       1,000        10       1
        o3
        alice
        2026-02-08
        ───────────────────────────────────────────────────────────
        TOTAL                 997,832 997,832,000 9,978,320 997,832
        ───────────────────────────────────────────────────────────
        ");
        let wide = costs_within(&lines, Some(120));
        assert_eq!(wide, costs_within(&lines, None), "there is room");
        let too_narrow = costs_within(&lines, Some(30));
        assert_eq!(too_narrow, wide, "the terminal breaks whole lines");
    }
}
