//! How `top` looks.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, Cell, Clear, Paragraph, Row, Table},
};

use super::state::{Mode, SORT_KEYS, Top, View};
use crate::{
    admin::{FullestBudget, LiveActivity, LiveUser, SortLiveBy},
    cli::top::TOP_EXAMPLES,
    commands::{listing::printable, tables::percent},
    model::grouped,
};

/// Cells of a budget's bar.
const BAR_CELLS: u8 = 8;
/// Numbers from here on are shortened.
const MANY: u64 = 100_000;

/// Returns the sums of the target in a line.
pub(super) fn summary(activity: &LiveActivity) -> String {
    format!(
        "today {} USD | {} in flight, {} waiting | {} req/min, {} refused | {} tok/min",
        activity.cost_today.rounded(),
        short(activity.in_flight),
        short(activity.waiting),
        short(activity.requests_per_minute),
        short(activity.refused_per_minute),
        short(activity.tokens_per_minute),
    )
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, top: &mut Top) {
    let parts = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ]);
    let [title, sums, list, foot] = parts.areas(frame.area());
    draw_title(frame, top, title);
    if let Some(activity) = &top.activity {
        frame.render_widget(Line::from(summary(activity)).bold(), sums);
    }
    match top.view {
        View::Users => draw_users(frame, top, list),
        View::Requests => draw_requests(frame, top, list),
        View::Errors => draw_errors(frame, top, list),
    }
    frame.render_widget(foot_line(top), foot);
    if top.mode == Mode::Help {
        draw_help(frame);
    }
}

fn draw_title(frame: &mut Frame<'_>, top: &Top, area: Rect) {
    let view = match top.view {
        View::Users => "users",
        View::Requests => "live requests",
        View::Errors => "last errors",
    };
    let now = top.activity.as_ref().map_or("", |activity| &activity.now);
    let time = now.get(11..19).unwrap_or("--:--:--");
    let paused = if top.is_paused() { " paused" } else { "" };
    let right = format!("{view}{paused}  {time} UTC");
    let width = u16::try_from(right.chars().count()).unwrap_or(u16::MAX);
    let [left, place] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(width)]).areas(area);
    let title = Line::from(vec![
        Span::from("llmproxy top").bold(),
        Span::from(format!("  {}", printable(&top.source))).dim(),
    ]);
    frame.render_widget(title, left);
    frame.render_widget(Line::from(right), place);
}

fn foot_line(top: &Top) -> Line<'_> {
    match &top.mode {
        Mode::Filtering => Line::from(vec![
            Span::from("filter: ").bold(),
            Span::from(printable(&top.filter)),
            Span::from("_").add_modifier(Modifier::SLOW_BLINK),
            Span::from("   Enter keeps it, Esc clears it").dim(),
        ]),
        Mode::Asking { user, is_active } => {
            let user = printable(user);
            let question = if *is_active {
                format!("Allow the keys of {user} again? y/N ")
            } else {
                format!("Forbid all keys of {user}? They stop within 250 ms. y/N ")
            };
            Line::from(question).style(Style::new().bold().reversed())
        }
        Mode::Watching | Mode::Help => {
            if let Some(message) = top.message() {
                return Line::from(printable(message)).bold();
            }
            if let Some(failure) = &top.failure {
                return Line::from(printable(failure)).style(Style::new().fg(Color::Red).bold());
            }
            if !top.filter.is_empty() {
                return Line::from(format!(
                    "filter: {}   Esc clears it",
                    printable(&top.filter)
                ));
            }
            let is_live = top
                .activity
                .as_ref()
                .is_none_or(|activity| activity.is_live);
            let keys = "q quit  ? help  Tab lists  / filter  < > sort  f forbid  p pause";
            if is_live {
                Line::from(keys).dim()
            } else {
                Line::from(format!("{keys}  (no server)")).dim()
            }
        }
    }
}

fn draw_users(frame: &mut Frame<'_>, top: &mut Top, area: Rect) {
    let sort = top.sort;
    let title = |title: &'static str, by: SortLiveBy| {
        let style = if by == sort {
            Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
        } else {
            Style::new().add_modifier(Modifier::BOLD)
        };
        let line = Line::from(title);
        let line = if by == SortLiveBy::Name || by == SortLiveBy::Budget {
            line
        } else {
            line.right_aligned()
        };
        Cell::from(line).style(style)
    };
    let titles = [
        "user", "run", "wait", "req/m", "tok/m", "ttfb ms", "ref/m", "today $", "budget",
    ];
    let header = SORT_KEYS
        .iter()
        .zip(titles)
        .map(|((_, by), word)| title(word, *by));
    let widths = [
        Constraint::Min(8),
        Constraint::Length(4),
        Constraint::Length(4),
        Constraint::Length(5),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(5),
        Constraint::Length(9),
        Constraint::Length(15),
    ];
    // Only the lines that are seen are made, so that many users cost nothing.
    let height = usize::from(area.height).saturating_sub(1);
    let from = first_line(top, height);
    let users = top.users().iter().skip(from).take(height).map(user_row);
    let table = Table::new(users.collect::<Vec<_>>(), widths).header(Row::new(header));
    render(frame, top, table, area, from);
    if top
        .activity
        .as_ref()
        .is_some_and(|activity| activity.users.is_empty())
    {
        let text = if top.filter.is_empty() {
            "no user has done anything today; press a to see all"
        } else {
            "no user's name or group contains the filter"
        };
        draw_empty(frame, area, text);
    }
}

fn user_row(user: &LiveUser) -> Row<'static> {
    let number = |number: u64| Cell::from(Line::from(short(number)).right_aligned());
    let first_byte = user.time_to_first_byte_ms;
    let name = if user.forbidden {
        format!("{} (forbidden)", printable(&user.name))
    } else {
        printable(&user.name)
    };
    let row = Row::new(vec![
        Cell::from(name),
        number(user.in_flight),
        number(user.waiting),
        number(user.requests_per_minute),
        number(user.tokens_per_minute),
        Cell::from(Line::from(first_byte.map_or_else(|| "-".to_owned(), short)).right_aligned()),
        number(user.refused_per_minute),
        Cell::from(Line::from(user.cost_today.rounded()).right_aligned()),
        Cell::from(user.budget.as_ref().map_or_else(Line::default, bar)),
    ]);
    if user.forbidden {
        row.style(Style::new().add_modifier(Modifier::DIM))
    } else {
        row
    }
}

/// Draws how much of a budget is used.
fn bar(budget: &FullestBudget) -> Line<'static> {
    let color = match budget.ratio {
        ratio if ratio >= 0.95 => Color::Red,
        ratio if ratio >= 0.8 => Color::Yellow,
        _ => Color::Green,
    };
    let filled = (0..BAR_CELLS)
        .filter(|cell| budget.ratio * f64::from(BAR_CELLS) > f64::from(*cell))
        .count();
    let empty = usize::from(BAR_CELLS) - filled;
    Line::from(vec![
        Span::from("█".repeat(filled)).fg(color),
        Span::from("░".repeat(empty)).dim(),
        Span::from(format!(" {:>4}", percent(budget.ratio))),
    ])
}

fn draw_requests(frame: &mut Frame<'_>, top: &mut Top, area: Rect) {
    let header = Row::new([
        "user", "seconds", "state", "status", "tokens", "model", "endpoint",
    ])
    .style(Style::new().add_modifier(Modifier::BOLD));
    let widths = [
        Constraint::Min(8),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Max(20),
        Constraint::Max(22),
    ];
    let height = usize::from(area.height).saturating_sub(1);
    let from = first_line(top, height);
    let requests = top
        .activity
        .as_ref()
        .map_or(&[][..], |activity| &activity.requests);
    let is_empty = requests.is_empty();
    let rows = requests.iter().skip(from).take(height).map(|request| {
        let seconds = format!(
            "{}.{}",
            grouped(request.duration_ms / 1000),
            request.duration_ms % 1000 / 100
        );
        let optional = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), short);
        Row::new(vec![
            Cell::from(printable(&request.user)),
            Cell::from(Line::from(seconds).right_aligned()),
            Cell::from(request.state.clone()),
            Cell::from(Line::from(optional(request.status.map(u64::from))).right_aligned()),
            Cell::from(Line::from(optional(request.output_tokens)).right_aligned()),
            Cell::from(printable(request.model.as_deref().unwrap_or("-"))),
            Cell::from(printable(&request.endpoint)),
        ])
    });
    let table = Table::new(rows.collect::<Vec<_>>(), widths).header(header);
    render(frame, top, table, area, from);
    if is_empty {
        draw_empty(frame, area, "no request is running");
    }
}

fn draw_errors(frame: &mut Frame<'_>, top: &mut Top, area: Rect) {
    let header = Row::new(["time", "count", "user", "status", "code", "message"])
        .style(Style::new().add_modifier(Modifier::BOLD));
    let widths = [
        Constraint::Length(8),
        Constraint::Length(5),
        Constraint::Max(14),
        Constraint::Length(6),
        Constraint::Max(22),
        Constraint::Fill(1),
    ];
    let height = usize::from(area.height).saturating_sub(1);
    let from = first_line(top, height);
    let errors = top
        .activity
        .as_ref()
        .map_or(&[][..], |activity| &activity.errors);
    let is_empty = errors.is_empty();
    let rows = errors.iter().skip(from).take(height).map(|error| {
        Row::new(vec![
            Cell::from(error.at.get(11..19).unwrap_or_default().to_owned()),
            Cell::from(Line::from(short(error.count)).right_aligned()),
            Cell::from(printable(error.user.as_deref().unwrap_or("-"))),
            Cell::from(Line::from(error.status.to_string()).right_aligned()),
            Cell::from(printable(&error.code)),
            Cell::from(printable(&error.message)),
        ])
    });
    let table = Table::new(rows.collect::<Vec<_>>(), widths).header(header);
    render(frame, top, table, area, from);
    if is_empty {
        draw_empty(frame, area, "no client got an error");
    }
}

/// Returns the first line that is seen, so that the selected one is seen too.
fn first_line(top: &mut Top, height: usize) -> usize {
    let selected = top.table.selected();
    let offset = top.table.offset_mut();
    if let Some(line) = selected {
        *offset = (*offset).min(line).max((line + 1).saturating_sub(height));
    }
    *offset
}

/// Draws a table of the lines from `from` on.
fn render(frame: &mut Frame<'_>, top: &Top, table: Table<'_>, area: Rect, from: usize) {
    let mut seen = top.table;
    seen.select(top.table.selected().and_then(|line| line.checked_sub(from)));
    *seen.offset_mut() = 0;
    let selected = Style::new().add_modifier(Modifier::REVERSED);
    frame.render_stateful_widget(table.row_highlight_style(selected), area, &mut seen);
}

fn draw_empty(frame: &mut Frame<'_>, area: Rect, text: &'static str) {
    let [_, line] = Layout::vertical([Constraint::Length(2), Constraint::Length(1)]).areas(area);
    frame.render_widget(Line::from(text).dim().centered(), line);
}

fn draw_help(frame: &mut Frame<'_>) {
    let keys = TOP_EXAMPLES
        .split_once("Keys:\n")
        .map_or("", |(_, keys)| keys);
    let height = u16::try_from(keys.lines().count() + 2).unwrap_or(u16::MAX);
    let area = frame
        .area()
        .centered(Constraint::Max(78), Constraint::Max(height));
    frame.render_widget(Clear, area);
    let help = Paragraph::new(keys).block(Block::bordered().title(" keys "));
    frame.render_widget(help, area);
}

/// Writes a number in at most six characters: `99,999`, `123k`, `1.2M`.
fn short(number: u64) -> String {
    if number < MANY {
        return grouped(number);
    }
    for (unit, suffix) in [(1_000, 'k'), (1_000_000, 'M'), (1_000_000_000, 'G')] {
        if number < 10 * unit {
            return format!("{}.{}{suffix}", number / unit, number % unit * 10 / unit);
        }
        if number < 1_000 * unit {
            return format!("{}{suffix}", number / unit);
        }
    }
    format!("{}G", grouped(number / 1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0, "0"),
            (99_999, "99,999"),
            (100_000, "100k"),
            (999_999, "999k"),
            (1_000_000, "1.0M"),
            (12_345_678, "12M"),
            (9_999_999_999, "9.9G"),
            (u64::MAX, "18,446,744,073G"),
        ] {
            assert_eq!(short(number), text);
        }
    }
}
