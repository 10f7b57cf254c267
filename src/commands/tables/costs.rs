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
mod tests;
