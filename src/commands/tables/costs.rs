//! Reports of usage and cost as lists.

use crate::commands::listing::{
    Cell, Column,
    ColumnKind::{Name, Number},
    Listing,
};
use crate::{
    model::{Dimension, grouped},
    store::reports::{CostReport, SortBy, SplitReport, Totals},
};

/// Place of the cost among the figures.
const COST_PLACE: usize = 12;
/// Width of the longest bar behind a figure.
const BAR_CHARS: u64 = 8;

/// A report as lines of labels and sums.
#[derive(Debug)]
pub(in crate::commands) struct CostLines {
    /// Title in tables and name in CSV of each label.
    labels: Vec<(&'static str, &'static str)>,
    lines: Vec<(Vec<String>, Totals)>,
    total: Totals,
    /// Models that were priced by another model's price, and that one.
    pub(in crate::commands) priced_as: Vec<(String, String)>,
}

impl CostLines {
    /// Makes a line for each user, or for each user and model where the report has models.
    pub(in crate::commands) fn of_users(report: CostReport, has_unused: bool) -> Self {
        let has_models = report.costs.iter().any(|user| user.model_costs.is_some());
        let mut labels = vec![("user", "username")];
        if has_models {
            labels.push(("model", "model"));
        }
        let mut lines = Vec::new();
        let mut priced_as = Vec::new();
        for user in report.costs {
            if user.totals.is_nothing() && !has_unused {
                continue;
            }
            let name = marked(user.username, user.is_deleted);
            match user.model_costs {
                None => lines.push((vec![name], user.totals)),
                Some(models) if models.is_empty() => {
                    lines.push((vec![name, "-".to_owned()], user.totals));
                }
                Some(models) => {
                    for model in models {
                        if let Some(price) = model.priced_as {
                            priced_as.push((model.model.clone(), price));
                        }
                        lines.push((vec![name.clone(), model.model], model.totals));
                    }
                }
            }
        }
        Self {
            labels,
            lines,
            total: report.total,
            priced_as: sorted(priced_as),
        }
    }

    /// Makes a line for each combination of values.
    pub(in crate::commands) fn of_split(report: SplitReport, by: &[Dimension]) -> Self {
        let mut priced_as = Vec::new();
        let mut lines = Vec::new();
        for line in report.costs {
            let labels: Vec<String> = by
                .iter()
                .map(|dimension| {
                    let found = line.values.iter().find(|(of, _)| of == dimension);
                    let value = found.map(|(_, value)| value.clone()).unwrap_or_default();
                    let is_user = *dimension == Dimension::User;
                    if *dimension == Dimension::Model
                        && let Some(price) = &line.priced_as
                    {
                        priced_as.push((value.clone(), price.clone()));
                    }
                    marked(value, is_user && line.is_deleted)
                })
                .collect();
            lines.push((labels, line.totals));
        }
        Self {
            labels: by.iter().map(|by| (by.word(), by.member())).collect(),
            lines,
            total: report.total,
            priced_as: sorted(priced_as),
        }
    }

    pub(in crate::commands) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Makes the list. Figures that are 0 in all lines are shown in CSV only. With `bars` the figure
    /// that the lines are sorted by has a bar behind it.
    pub(in crate::commands) fn listing(&self, bars: Option<SortBy>) -> Listing {
        let labels = self
            .labels
            .iter()
            .map(|(title, member)| Column::new(title, member, Name));
        let figures = Figures::of(&self.total, self.lines.iter().map(|(_, totals)| totals));
        let columns = labels.chain(figures.columns()).collect();
        let largest = |figure: fn(&Totals) -> u64| {
            let all = self.lines.iter().map(|(_, totals)| figure(totals));
            all.max().unwrap_or(0)
        };
        let bar = bars.and_then(|sort| {
            let figure = figure_of(sort)?;
            Some((sort, figure, largest(figure)))
        });
        let rows = self
            .lines
            .iter()
            .map(|(labels, totals)| {
                let labels = labels.iter().map(Cell::text);
                labels.chain(figures.cells(totals, bar)).collect()
            })
            .collect();
        // With --top the only line may be one of many.
        let is_whole = matches!(&self.lines[..], [(_, totals)] if *totals == self.total);
        let has_total = !is_whole || self.labels.len() > 1;
        let total = has_total.then(|| {
            let mut labels = vec![Cell::text("TOTAL")];
            labels.resize(self.labels.len(), Cell::text(""));
            labels
                .into_iter()
                .chain(figures.cells(&self.total, bar.map(|(sort, figure, _)| (sort, figure, 0))))
                .collect()
        });
        Listing {
            columns,
            rows,
            total,
        }
    }
}

/// A figure that lines are sorted by, and its largest value.
type Bar = (SortBy, fn(&Totals) -> u64, u64);

fn figure_of(sort: SortBy) -> Option<fn(&Totals) -> u64> {
    match sort {
        SortBy::Cost => Some(|totals| u64::try_from(totals.cost.0).unwrap_or(0)),
        SortBy::Tokens => Some(Totals::tokens),
        SortBy::Requests => Some(|totals| u64::try_from(totals.requests).unwrap_or(0)),
        SortBy::Name => None,
    }
}

/// The figures of a report, in the order of their columns.
struct Figures<'a> {
    total: &'a Totals,
    /// Places of dollars and of seconds that are needed so that lines add up to their total.
    second_places: usize,
}

impl<'a> Figures<'a> {
    fn of<'t>(total: &'a Totals, lines: impl Iterator<Item = &'t Totals>) -> Self {
        let needed = lines.map(|totals| match totals.usage.audio_ms {
            ms if ms % 1000 == 0 => 0,
            ms if ms % 100 == 0 => 1,
            ms if ms % 10 == 0 => 2,
            _ => 3,
        });
        Self {
            total,
            second_places: needed.max().unwrap_or(0),
        }
    }

    fn columns(&self) -> Vec<Column> {
        let total = self.total;
        let usage = &total.usage;
        let classes = &usage.classes;
        let number = |title, member, rank, is_shown| {
            Column::new(title, member, Number)
                .rank(rank)
                .shown_if(is_shown)
        };
        let estimated = both_estimated(total);
        // The order of the first columns of CSV is that of earlier versions.
        vec![
            number("requests", "total_requests", 3, true),
            number("input", "total_input_tokens", 1, true),
            number("cached", "total_cached_tokens", 4, true),
            number("output", "total_output_tokens", 2, true),
            number("reasoning", "total_reasoning_tokens", 9, false),
            number("audio s", "total_audio_seconds", 6, usage.audio_ms > 0),
            number("images", "total_images", 6, usage.images > 0),
            number("estimated_requests", "estimated_requests", 9, false),
            number("estimated input", "estimated_input_tokens", 9, false),
            number("estimated output", "estimated_output_tokens", 9, false),
            // Both together, which CSV has apart.
            number("estimated", "", 7, estimated > 0),
            number(
                "unpriced",
                "unpriced_requests",
                5,
                total.unpriced_requests > 0,
            ),
            number("cost $", "cost_usd", 0, true),
            number(
                "written 5m",
                "total_cache_write_5m_tokens",
                8,
                classes.cache_write_5m > 0,
            ),
            number(
                "written 1h",
                "total_cache_write_1h_tokens",
                8,
                classes.cache_write_1h > 0,
            ),
            number(
                "audio in",
                "total_audio_input_tokens",
                8,
                classes.audio_input > 0,
            ),
            number(
                "image in",
                "total_image_input_tokens",
                8,
                classes.image_input > 0,
            ),
            number(
                "audio out",
                "total_audio_output_tokens",
                8,
                classes.audio_output > 0,
            ),
            number(
                "image out",
                "total_image_output_tokens",
                8,
                classes.image_output > 0,
            ),
            number(
                "searches",
                "total_web_searches",
                8,
                classes.web_searches > 0,
            ),
            number(
                "file searches",
                "total_file_searches",
                8,
                classes.file_searches > 0,
            ),
            number("code calls", "total_code_calls", 8, classes.code_calls > 0),
        ]
    }

    fn cells(&self, totals: &Totals, bar: Option<Bar>) -> Vec<Cell> {
        let count = |count: u64| Cell::number(i64::try_from(count).unwrap_or(i64::MAX));
        let usage = &totals.usage;
        let classes = &usage.classes;
        let mut cells = vec![
            Cell::number(totals.requests),
            count(usage.input),
            count(usage.cached),
            count(usage.output),
            count(usage.reasoning),
            seconds(usage.audio_ms, self.second_places),
            count(usage.images),
            Cell::number(totals.estimated_requests),
            Cell::number(totals.estimated_input_tokens),
            Cell::number(totals.estimated_output_tokens),
            Cell::number(both_estimated(totals)),
            Cell::number(totals.unpriced_requests),
            Cell {
                shown: totals.cost.rounded(),
                plain: totals.cost.to_string(),
            },
            count(classes.cache_write_5m),
            count(classes.cache_write_1h),
            count(classes.audio_input),
            count(classes.image_input),
            count(classes.audio_output),
            count(classes.image_output),
            count(classes.web_searches),
            count(classes.file_searches),
            count(classes.code_calls),
        ];
        if let Some((sort, figure, largest)) = bar {
            let place = match sort {
                SortBy::Cost => Some(COST_PLACE),
                SortBy::Requests => Some(0),
                // Behind the larger part of the tokens.
                SortBy::Tokens => Some(1),
                SortBy::Name => None,
            };
            if let Some(cell) = place.and_then(|place| cells.get_mut(place)) {
                cell.shown = format!("{} {}", cell.shown, bar_of(figure(totals), largest));
            }
        }
        cells
    }
}

/// Returns the estimated tokens of input and output together.
fn both_estimated(totals: &Totals) -> i64 {
    let input = totals.estimated_input_tokens;
    input.saturating_add(totals.estimated_output_tokens)
}

/// Draws a bar of at most [`BAR_CHARS`] characters, in eighths.
fn bar_of(value: u64, largest: u64) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let parts = if largest == 0 {
        0
    } else {
        let parts = u128::from(value) * u128::from(BAR_CHARS * 8) / u128::from(largest);
        usize::try_from(parts).unwrap_or(0)
    };
    let mut bar: String = "█".repeat(parts / 8);
    if parts % 8 > 0 {
        bar.push(EIGHTHS[parts % 8]);
    }
    let width = usize::try_from(BAR_CHARS).unwrap_or(0);
    format!("{bar:<width$}")
}

/// Formats milliseconds as seconds such as `1,234.5`.
fn seconds(ms: u64, places: usize) -> Cell {
    let mut shown = grouped(ms / 1000);
    if places > 0 {
        shown.push('.');
        shown.push_str(&format!("{:03}", ms % 1000)[..places]);
    }
    let plain = format!("{}.{:03}", ms / 1000, ms % 1000);
    let plain = plain.trim_end_matches('0').trim_end_matches('.').to_owned();
    Cell { shown, plain }
}

fn marked(name: String, is_deleted: bool) -> String {
    // A user who was removed by hand is called so already.
    if is_deleted && !name.starts_with("(deleted") {
        return format!("{name} (deleted)");
    }
    name
}

fn sorted(mut pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    pairs.sort();
    pairs.dedup();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Dimension, NanoUsd, Usage},
        store::reports::{ModelCosts, SplitCosts, UserCosts},
    };
    use proptest::prelude::*;

    fn totals(n: u32) -> Totals {
        Totals {
            requests: n.into(),
            usage: Usage {
                input: u64::from(n) * 1000,
                output: n.into(),
                cached: u64::from(n) * 10,
                ..Usage::default()
            },
            cost: NanoUsd(i64::from(n) * 2_500_000),
            ..Totals::default()
        }
    }

    fn user(username: &str, n: u32, model_costs: Option<Vec<ModelCosts>>) -> UserCosts {
        UserCosts {
            username: username.to_owned(),
            is_deleted: false,
            totals: totals(n),
            model_costs,
        }
    }

    fn report(costs: Vec<UserCosts>) -> CostReport {
        let mut total = Totals::default();
        for user in &costs {
            total.add(&user.totals);
        }
        CostReport { costs, total }
    }

    #[test]
    fn the_costs_table_looks_like_this() {
        let users = report(vec![user("alice", 1234, None), user("bob", 1, None)]);
        let lines = CostLines::of_users(users, false);
        insta::assert_snapshot!(lines.listing(None).boxed(None), @r"
        ┌───────┬──────────┬───────────┬────────┬────────┬────────┐
        │ user  ┆ requests ┆     input ┆ cached ┆ output ┆ cost $ │
        ╞═══════╪══════════╪═══════════╪════════╪════════╪════════╡
        │ alice ┆    1,234 ┆ 1,234,000 ┆ 12,340 ┆  1,234 ┆   3.09 │
        │ bob   ┆        1 ┆     1,000 ┆     10 ┆      1 ┆ 0.0025 │
        │ TOTAL ┆    1,235 ┆ 1,235,000 ┆ 12,350 ┆  1,235 ┆   3.09 │
        └───────┴──────────┴───────────┴────────┴────────┴────────┘
        ");
        insta::assert_snapshot!(lines.listing(Some(SortBy::Cost)).boxed(None), @r"
        ┌───────┬──────────┬───────────┬────────┬────────┬─────────────────┐
        │ user  ┆ requests ┆     input ┆ cached ┆ output ┆          cost $ │
        ╞═══════╪══════════╪═══════════╪════════╪════════╪═════════════════╡
        │ alice ┆    1,234 ┆ 1,234,000 ┆ 12,340 ┆  1,234 ┆   3.09 ████████ │
        │ bob   ┆        1 ┆     1,000 ┆     10 ┆      1 ┆ 0.0025          │
        │ TOTAL ┆    1,235 ┆ 1,235,000 ┆ 12,350 ┆  1,235 ┆   3.09          │
        └───────┴──────────┴───────────┴────────┴────────┴─────────────────┘
        ");
        insta::assert_snapshot!(lines.listing(None).aligned(), @r"
        user   requests    input  cached  output       cost_$
        alice      1234  1234000   12340    1234  3.085000000
        bob           1     1000      10       1  0.002500000
        ");
    }

    #[test]
    fn by_model_a_line_per_user_and_model() {
        let model = |model: &str, n: u32| ModelCosts {
            model: model.to_owned(),
            priced_as: None,
            totals: totals(n),
        };
        let users = report(vec![
            user(
                "alice",
                3,
                Some(vec![model("gpt-4.1-mini", 1), model("o3", 2)]),
            ),
            user("bob", 0, Some(vec![])),
        ]);
        let lines = CostLines::of_users(users, true);
        insta::assert_snapshot!(lines.listing(None).boxed(Some(80)), @r"
        ┌───────┬──────────────┬──────────┬───────┬────────┬────────┬────────┐
        │ user  ┆ model        ┆ requests ┆ input ┆ cached ┆ output ┆ cost $ │
        ╞═══════╪══════════════╪══════════╪═══════╪════════╪════════╪════════╡
        │ alice ┆ gpt-4.1-mini ┆        1 ┆ 1,000 ┆     10 ┆      1 ┆ 0.0025 │
        │ alice ┆ o3           ┆        2 ┆ 2,000 ┆     20 ┆      2 ┆ 0.0050 │
        │ bob   ┆ -            ┆        0 ┆     0 ┆      0 ┆      0 ┆   0.00 │
        │ TOTAL ┆              ┆        3 ┆ 3,000 ┆     30 ┆      3 ┆ 0.0075 │
        └───────┴──────────────┴──────────┴───────┴────────┴────────┴────────┘
        ");
    }

    #[test]
    fn in_a_narrow_terminal_columns_are_dropped_by_rank_and_numbers_never_broken() {
        let users = report(vec![
            user("alice.liddell@wonderland.example.org", 997_831, None),
            user("bob", 12, None),
        ]);
        let listing = CostLines::of_users(users, false).listing(None);
        insta::assert_snapshot!(listing.boxed(Some(80)), @r"
        ┌────────────────────┬──────────┬─────────────┬───────────┬─────────┬──────────┐
        │ user               ┆ requests ┆       input ┆    cached ┆  output ┆   cost $ │
        ╞════════════════════╪══════════╪═════════════╪═══════════╪═════════╪══════════╡
        │ alice.liddell@wond ┆  997,831 ┆ 997,831,000 ┆ 9,978,310 ┆ 997,831 ┆ 2,494.58 │
        │ erland.example.org ┆          ┆             ┆           ┆         ┆          │
        │ bob                ┆       12 ┆      12,000 ┆       120 ┆      12 ┆     0.03 │
        │ TOTAL              ┆  997,843 ┆ 997,843,000 ┆ 9,978,430 ┆ 997,843 ┆ 2,494.61 │
        └────────────────────┴──────────┴─────────────┴───────────┴─────────┴──────────┘
        ");
        insta::assert_snapshot!(listing.boxed(Some(40)), @r"
        ┌───────────────────────────┬──────────┐
        │ user                      ┆   cost $ │
        ╞═══════════════════════════╪══════════╡
        │ alice.liddell@wonderland. ┆ 2,494.58 │
        │ example.org               ┆          │
        │ bob                       ┆     0.03 │
        │ TOTAL                     ┆ 2,494.61 │
        └───────────────────────────┴──────────┘
        ");
    }

    #[test]
    fn where_many_labels_find_no_room_they_stand_below_each_other() {
        let by = [
            Dimension::Endpoint,
            Dimension::Model,
            Dimension::User,
            Dimension::Period(crate::model::Period::Day),
        ];
        let line = |model: &str, n| SplitCosts {
            values: by
                .into_iter()
                .zip(["/v1/chat/completions", model, "alice", "2026-02-08"].map(str::to_owned))
                .collect(),
            is_deleted: false,
            priced_as: None,
            totals: totals(n),
        };
        let mut total = totals(997_831);
        total.add(&totals(1));
        let report = SplitReport {
            costs: vec![line("gpt-4.1-mini", 997_831), line("o3", 1)],
            total,
        };
        let listing = CostLines::of_split(report, &by).listing(None);
        insta::assert_snapshot!(listing.boxed(Some(80)), @r"
        ────────────────────────────────────────────────────────────────────
        endpoint             requests       input    cached  output   cost $
        model
        user
        day
        ════════════════════════════════════════════════════════════════════
        /v1/chat/completions  997,831 997,831,000 9,978,310 997,831 2,494.58
        gpt-4.1-mini
        alice
        2026-02-08
        ────────────────────────────────────────────────────────────────────
        /v1/chat/completions        1       1,000        10       1   0.0025
        o3
        alice
        2026-02-08
        ────────────────────────────────────────────────────────────────────
        TOTAL                 997,832 997,832,000 9,978,320 997,832 2,494.58
        ────────────────────────────────────────────────────────────────────
        ");
    }

    proptest! {
        /// Names have letters only, so that every other word of a table is a figure.
        #[test]
        fn no_figure_is_broken_and_no_line_too_long_at_any_width(
            names in prop::collection::vec("[a-zA-Z]{1,70}", 1..5),
            figures in prop::collection::vec((0..i64::MAX / 8, 0..i64::MAX / 8, 0..i64::MAX / 8), 5),
            digits in 1_u32..19,
            terminal in prop::sample::select(vec![40_u16, 50, 80, 100]),
            sort in prop::sample::select(vec![None, Some(SortBy::Cost), Some(SortBy::Tokens), Some(SortBy::Requests)]),
        ) {
            let cut = |figure: i64| figure % 10_i64.pow(digits);
            let tokens = |figure: i64| u64::try_from(cut(figure)).unwrap();
            let users = names.iter().zip(&figures).map(|(name, (input, output, cost))| {
                let mut costs = user(name, 1, None);
                costs.totals = Totals {
                    requests: cut(*output),
                    usage: Usage { input: tokens(*input), output: tokens(*output), cached: tokens(*input) / 2, ..Usage::default() },
                    // A million dollars: ten of them and a bar behind it find no room in 40 columns.
                    cost: NanoUsd(cut(*cost) % 1_000_000_000_000_000),
                    unpriced_requests: cut(*input),
                    estimated_input_tokens: cut(*input),
                    estimated_output_tokens: cut(*output),
                    ..Totals::default()
                };
                costs
            });
            let lines = CostLines::of_users(report(users.collect()), true);
            let listing = lines.listing(sort);
            let table = listing.boxed(Some(terminal));
            let rows = listing.rows.iter().chain(&listing.total);
            let shown: Vec<String> = rows
                .flatten()
                .filter_map(|cell| cell.shown.split(' ').next().map(str::to_owned))
                .collect();
            for line in table.lines() {
                prop_assert!(line.chars().count() <= usize::from(terminal), "{}", table);
                for word in line.split([' ', '│', '┆']) {
                    let is_figure = word.starts_with(|c: char| c.is_ascii_digit() || c == ',' || c == '.');
                    prop_assert!(!is_figure || shown.iter().any(|figure| figure == word), "{word} in {}", table);
                }
            }
            for (_, totals) in &lines.lines {
                prop_assert!(table.contains(&totals.cost.rounded()), "{}", table);
            }
        }
    }

    #[test]
    fn bars_are_drawn_in_eighths() {
        assert_eq!(bar_of(8, 8), "████████");
        assert_eq!(bar_of(0, 8), "        ");
        assert_eq!(bar_of(1, 64), "▏       ");
        assert_eq!(bar_of(33, 64), "████▏   ");
        assert_eq!(bar_of(5, 0), "        ");
    }
}
