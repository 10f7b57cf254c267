//! Charts, drawn as SVG. Places are percentages, so that a chart takes whatever width there is and its
//! text keeps its size.

use std::fmt;

use askama::Template;

use super::{figures::Day, format};
use crate::{model::NanoUsd, store::reports::Totals};

/// The part of the height that the largest bar may take; the rest is for the label of its line.
const PLOT_BASIS_POINTS: u128 = 9_000;
/// All of a width or a height.
const WHOLE_BASIS_POINTS: u128 = 10_000;
/// The part of a bar's place that the bar takes.
const BAR_PERCENT: u128 = 72;

/// A chart with a bar for each day.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<figure class="chart">
<figcaption><h3 id="{{ id }}">{{ title }}</h3><p><strong>{{ total }}</strong> in {{ days.len() }} days{% if series.len() > 1 %}{% for name in series %} <span class="key k{{ loop.index0 }}">{{ name }}</span>{% endfor %}{% endif %}</p></figcaption>
{% if is_empty %}<p class="nothing">Nothing was used in these days.</p>{% else %}
<svg role="img" aria-labelledby="{{ id }}" width="100%" height="176">
{%- for line in lines %}<line x1="0" x2="100%" y1="{{ line.y }}" y2="{{ line.y }}"/>{% endfor -%}
{%- for day in days %}<g{% if loop.last %} class="today"{% endif %}><title>{{ day.text }}</title><rect class="hit" x="{{ day.place }}" y="0" width="{{ place_width }}" height="100%"/>
{%- for bar in day.bars %}<rect class="k{{ bar.series }}" x="{{ day.x }}" y="{{ bar.y }}" width="{{ width }}" height="{{ bar.height }}"/>{% endfor %}</g>{% endfor -%}
{%- for line in lines %}<text x="0" y="{{ line.y }}" dy="-4">{{ line.text }}</text>{% endfor -%}
</svg>
<p class="axis" aria-hidden="true">{% for date in axis %}<span>{{ date }}</span>{% endfor %}</p>
<details><summary>{{ title }} as a table</summary><div class="scroll" tabindex="0" role="region" aria-label="{{ title }} as a table"><table><thead><tr><th scope="col">Day</th>{% for name in series %}<th scope="col" class="n">{{ name }}</th>{% endfor %}</tr></thead><tbody>
{%- for day in days %}<tr><th scope="row">{{ day.date }}</th>{% for cell in day.cells %}<td class="n">{{ cell }}</td>{% endfor %}</tr>{% endfor -%}
</tbody></table></div></details>{% endif %}
</figure>"#
)]
pub(super) struct Chart {
    id: &'static str,
    title: &'static str,
    total: String,
    series: &'static [&'static str],
    lines: Vec<Line>,
    days: Vec<Column>,
    axis: Vec<String>,
    width: Share,
    place_width: Share,
    is_empty: bool,
}

/// A line across, with the value that it stands for.
struct Line {
    y: Share,
    text: String,
}

/// The bars of a day, the first at the bottom.
struct Column {
    date: String,
    text: String,
    cells: Vec<String>,
    /// Where the day's place begins, and the bar in it.
    place: Share,
    x: Share,
    bars: Vec<Bar>,
}

struct Bar {
    series: usize,
    y: Share,
    height: Share,
}

/// A part of a width or a height, in basis points.
#[derive(Clone, Copy)]
struct Share(u128);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}%", self.0 / 100, self.0 % 100)
    }
}

/// What a chart is about.
struct Kind {
    id: &'static str,
    title: &'static str,
    series: &'static [&'static str],
    values: fn(&Totals) -> Vec<u64>,
    text: fn(u64) -> String,
    /// Writes the value of a line.
    short: fn(u64) -> String,
}

/// Returns the chart of what days have cost.
pub(super) fn of_cost(days: &[Day]) -> Chart {
    let usd = |nanos: u64| format::usd(NanoUsd(i64::try_from(nanos).unwrap_or(i64::MAX)));
    Chart::new(
        days,
        &Kind {
            id: "cost-by-day",
            title: "Cost by day",
            series: &["Cost"],
            values: |totals| vec![u64::try_from(totals.cost.0).unwrap_or(0)],
            text: usd,
            short: usd,
        },
    )
}

/// Returns the chart of the tokens that days have used.
pub(super) fn of_tokens(days: &[Day]) -> Chart {
    Chart::new(
        days,
        &Kind {
            id: "tokens-by-day",
            title: "Tokens by day",
            series: &["Input", "Output"],
            values: |totals| vec![totals.usage.input, totals.usage.output],
            text: crate::model::grouped,
            short: format::short,
        },
    )
}

impl Chart {
    fn new(days: &[Day], kind: &Kind) -> Self {
        let values: Vec<Vec<u64>> = days.iter().map(|day| (kind.values)(&day.totals)).collect();
        let sums = values.iter().map(|of_day| sum(of_day));
        let most = sums.clone().max().unwrap_or(0);
        let top = nice(most);
        let height = |value: u128| value.min(u128::from(top)) * PLOT_BASIS_POINTS / u128::from(top);
        let place_width = WHOLE_BASIS_POINTS / days.len().max(1) as u128;
        let width = place_width * BAR_PERCENT / 100;
        let columns = days.iter().zip(&values).enumerate();
        let columns = columns.map(|(nth, (day, of_day))| {
            let place = place_width * nth as u128;
            let mut below = 0_u128;
            let bars = of_day.iter().enumerate().filter_map(|(series, value)| {
                let (from, to) = (height(below), height(below + u128::from(*value)));
                below += u128::from(*value);
                (to > from).then_some(Bar {
                    series,
                    y: Share(WHOLE_BASIS_POINTS - to),
                    height: Share(to - from),
                })
            });
            let bars = bars.collect();
            let cells: Vec<String> = of_day.iter().map(|value| (kind.text)(*value)).collect();
            let named = kind.series.iter().zip(&cells);
            let named: Vec<String> = named.map(|(name, cell)| format!("{name} {cell}")).collect();
            Column {
                text: format!("{}: {}", day.date, named.join(", ")),
                date: day.date.clone(),
                cells,
                place: Share(place),
                x: Share(place + (place_width - width) / 2),
                bars,
            }
        });
        let lines = [top, top / 2].map(|value| Line {
            y: Share(WHOLE_BASIS_POINTS - height(u128::from(value))),
            text: (kind.short)(value),
        });
        let axis = [0, days.len() / 2, days.len().saturating_sub(1)];
        let axis = axis.iter().filter_map(|place| days.get(*place));
        Self {
            id: kind.id,
            title: kind.title,
            total: (kind.short)(sum(&sums.collect::<Vec<_>>())),
            series: kind.series,
            days: columns.collect(),
            lines: lines.into(),
            axis: axis.map(|day| day.date.clone()).collect(),
            width: Share(width),
            place_width: Share(place_width),
            is_empty: most == 0,
        }
    }
}

fn sum(values: &[u64]) -> u64 {
    values
        .iter()
        .fold(0, |sum, value| sum.saturating_add(*value))
}

/// Returns the next number that is easy to read and to halve, such as 1,200 or 30. At least 2.
fn nice(value: u64) -> u64 {
    if value <= 10 {
        return value.next_multiple_of(2).max(2);
    }
    let mut power = 1_u64;
    loop {
        for digits in [10, 12, 16, 20, 24, 30, 40, 50, 60, 80] {
            match power.checked_mul(digits) {
                Some(number) if number >= value => return number,
                Some(_) => {}
                None => return u64::MAX,
            }
        }
        let Some(next) = power.checked_mul(10) else {
            return u64::MAX;
        };
        power = next;
    }
}

/// A bar that shows which part of something is used.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<svg class="bar {{ class }}" width="100%" height="8" aria-hidden="true"><rect width="100%" height="100%" rx="4"/><rect class="v" width="{{ percent }}%" height="100%" rx="4"/></svg>"#
)]
pub(super) struct PartBar {
    percent: u32,
    class: &'static str,
}

impl PartBar {
    /// Returns the bar of a budget, which stands out when little is left.
    pub(super) fn of_budget(percent: u32) -> Self {
        Self {
            percent: percent.min(100),
            class: match percent {
                0..80 => "fine",
                80..100 => "near",
                _ => "full",
            },
        }
    }

    /// Returns the bar of a place in a list whose first has `most`.
    pub(super) fn of_rank(value: u64, most: u64) -> Self {
        let percent = u128::from(value) * 100 / u128::from(most.max(1));
        Self {
            percent: u32::try_from(percent).unwrap_or(100),
            class: "rank",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Usage;

    #[test]
    fn lines_stand_for_numbers_that_are_easy_to_read() {
        for (value, top) in [
            (0, 2),
            (1, 2),
            (3, 4),
            (7, 8),
            (11, 12),
            (61, 80),
            (81, 100),
            (399, 400),
        ] {
            assert_eq!(nice(value), top);
        }
        assert_eq!(nice(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_chart_has_a_bar_for_each_value_and_says_it_in_words() {
        let day = |date: &str, input, output| Day {
            date: date.to_owned(),
            start_ms: 0,
            totals: Totals {
                usage: Usage {
                    input,
                    output,
                    ..Usage::default()
                },
                ..Totals::default()
            },
        };
        let days = [
            day("2026-11-28", 0, 0),
            day("2026-11-29", 3_000, 1_000),
            day("2026-11-30", u64::MAX, u64::MAX),
        ];
        let chart = of_tokens(&days[..2]).render().unwrap();
        assert!(
            chart.contains("2026-11-29: Input 3,000, Output 1,000"),
            "{chart}"
        );
        assert!(
            chart.contains(r#"y="32.50%" width="36.00%" height="67.50%"#),
            "{chart}"
        );
        assert!(of_tokens(&days).render().is_ok());
        assert!(of_cost(&[]).render().is_ok());
    }
}
