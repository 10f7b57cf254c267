//! Lists as people and programs read them: a table with lines on a terminal, aligned text in a pipe,
//! CSV. Numbers are never broken; where a terminal is narrow, names are broken, then columns of less
//! rank are dropped.

use std::fmt::Write;

use anyhow::Context;
use comfy_table::{
    Cell as TableCell, CellAlignment, ColumnConstraint, ContentArrangement, Table, presets,
};

use crate::model::{grouped, is_unprintable};

/// Least number of characters of a name in a line.
const MIN_NAME_COLUMNS: u16 = 12;

/// A list of lines with the same columns.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// A last line that sums up the others. It is no part of aligned text and CSV.
    pub(super) total: Option<Vec<Cell>>,
}

/// A column of a list.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// Title in a table and in aligned text.
    pub(super) title: &'static str,
    /// Name in CSV; empty if the column is no part of it.
    pub(super) member: &'static str,
    pub(super) kind: ColumnKind,
    /// 0 is never dropped; of the others the largest is dropped first.
    pub(super) rank: u8,
    /// Whether tables and aligned text show it. CSV shows all columns.
    pub(super) is_shown: bool,
}

/// The content of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnKind {
    /// A name that may be broken.
    Name,
    /// A text that is never broken, such as a key or a time.
    Text,
    /// A number, aligned to the right and never broken.
    Number,
}

/// A cell of a list.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    /// As a table shows it: numbers are grouped.
    pub(super) shown: String,
    /// As programs read it.
    pub(super) plain: String,
}

impl Column {
    pub(super) fn new(title: &'static str, member: &'static str, kind: ColumnKind) -> Self {
        Self {
            title,
            member,
            kind,
            rank: 0,
            is_shown: true,
        }
    }

    /// Sets the rank.
    pub(super) fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }

    /// Hides the column except in CSV, unless there is something in it.
    pub(super) fn shown_if(self, is_shown: bool) -> Self {
        Self { is_shown, ..self }
    }
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            shown: text.clone(),
            plain: text,
        }
    }

    /// Returns the cell of a text that may be missing: `-`, and nothing in CSV.
    pub(super) fn optional(text: Option<impl Into<String>>) -> Self {
        text.map_or_else(
            || Self {
                shown: "-".to_owned(),
                plain: String::new(),
            },
            Self::text,
        )
    }

    pub(super) fn number(number: i64) -> Self {
        Self {
            shown: signed(number),
            plain: number.to_string(),
        }
    }
}

impl Listing {
    /// Formats a table for a terminal of so many columns, or as wide as it is.
    pub(super) fn boxed(&self, terminal_columns: Option<u16>) -> String {
        let all = self.shown_columns(u8::MAX);
        let Some(width) = terminal_columns else {
            return self.table(&all, Labels::InColumns).to_string();
        };
        let mut ranks: Vec<u8> = all.iter().map(|index| self.columns[*index].rank).collect();
        ranks.sort_unstable();
        ranks.dedup();
        for rank in ranks.iter().rev() {
            let columns = self.shown_columns(*rank);
            for labels in [Labels::InColumns, Labels::Stacked] {
                let has_labels = columns.iter().filter(|i| self.is_label(**i)).count() > 1;
                if labels == Labels::Stacked && !has_labels {
                    continue;
                }
                if let Some(fitting) = self.fit(&columns, labels, width) {
                    return fitting;
                }
            }
        }
        // The terminal breaks whole lines then.
        self.table(&self.shown_columns(0), Labels::InColumns)
            .to_string()
    }

    /// Formats aligned text with a header line, without lines around and without the total.
    pub(super) fn aligned(&self) -> String {
        let columns = self.shown_columns(u8::MAX);
        let cell = |row: &[Cell], index: usize| {
            let text = row.get(index).map_or("", |cell| cell.plain.as_str());
            let text = printable(text);
            if text.is_empty() {
                "-".to_owned()
            } else {
                text
            }
        };
        let mut lines: Vec<Vec<String>> = vec![
            columns
                .iter()
                .map(|index| self.columns[*index].title.replace(' ', "_"))
                .collect(),
        ];
        lines.extend(
            self.rows
                .iter()
                .map(|row| columns.iter().map(|index| cell(row, *index)).collect()),
        );
        let width = |place: usize| {
            let widths = lines
                .iter()
                .map(|line: &Vec<String>| line[place].chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns.len()).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let mut out = String::new();
            for (place, cell) in line.iter().enumerate() {
                let width = widths[place];
                let is_number = self.columns[columns[place]].kind == ColumnKind::Number;
                // Writing to a string cannot fail.
                let _ = if is_number {
                    write!(out, "{cell:>width$}  ")
                } else {
                    write!(out, "{cell:<width$}  ")
                };
            }
            text.push_str(out.trim_end());
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// Formats CSV (RFC 4180) with LF as line end.
    pub(super) fn csv(&self) -> anyhow::Result<String> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let is_in_csv = |column: &&Column| !column.member.is_empty();
        let members = self.columns.iter().filter(is_in_csv);
        out.write_record(members.map(|column| column.member))?;
        for row in &self.rows {
            let cells = row.iter().zip(&self.columns);
            let cells = cells.filter(|(_, column)| is_in_csv(column));
            let cells = cells.map(|(cell, column)| {
                if column.kind == ColumnKind::Number {
                    cell.plain.clone()
                } else {
                    no_formula(&cell.plain)
                }
            });
            out.write_record(cells)?;
        }
        let bytes = out.into_inner().context("cannot write the table")?;
        let text = String::from_utf8(bytes)?;
        Ok(text.trim_end().to_owned())
    }

    fn shown_columns(&self, max_rank: u8) -> Vec<usize> {
        let shown = |column: &Column| column.is_shown && column.rank <= max_rank;
        let indexes = self.columns.iter().enumerate();
        indexes
            .filter(|(_, column)| shown(column))
            .map(|(index, _)| index)
            .collect()
    }

    fn is_label(&self, index: usize) -> bool {
        self.columns[index].kind == ColumnKind::Name
    }

    fn table(&self, columns: &[usize], labels: Labels) -> Table {
        let (names, others): (Vec<usize>, Vec<usize>) =
            columns.iter().partition(|index| self.is_label(**index));
        let is_stacked = labels == Labels::Stacked;
        let line = |texts: &dyn Fn(usize) -> String| -> Vec<String> {
            if is_stacked {
                let stacked: Vec<String> = names.iter().map(|index| texts(*index)).collect();
                let stacked = stacked.join("\n").trim_end().to_owned();
                std::iter::once(stacked)
                    .chain(others.iter().map(|index| texts(*index)))
                    .collect()
            } else {
                columns.iter().map(|index| texts(*index)).collect()
            }
        };
        let mut table = Table::new();
        table
            .load_style(if is_stacked {
                // The terminal is narrow then, and a row has several lines.
                presets::UTF8_HORIZONTAL_ONLY
            } else {
                presets::UTF8_FULL_CONDENSED
            })
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(line(&|index| self.columns[index].title.to_owned()));
        for row in self.rows.iter().chain(&self.total) {
            let text = |index: usize| {
                row.get(index)
                    .map_or_else(String::new, |c| printable(&c.shown))
            };
            table.add_row(line(&text).into_iter().map(TableCell::new));
        }
        let kinds: Vec<ColumnKind> = if is_stacked {
            std::iter::once(ColumnKind::Name)
                .chain(others.iter().map(|index| self.columns[*index].kind))
                .collect()
        } else {
            columns
                .iter()
                .map(|index| self.columns[*index].kind)
                .collect()
        };
        for (column, kind) in table.column_iter_mut().zip(kinds) {
            if kind == ColumnKind::Number {
                column.set_cell_alignment(CellAlignment::Right);
            }
            if kind != ColumnKind::Name {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
            if is_stacked {
                column.set_padding((0, 0));
            }
        }
        table
    }

    /// Fits the table to so many columns of a terminal by breaking long names. Returns `None` if that
    /// would leave too little of a line.
    fn fit(&self, columns: &[usize], labels: Labels, terminal_columns: u16) -> Option<String> {
        let mut table = self.table(columns, labels);
        let widths = table.column_max_content_widths();
        let is_name: Vec<bool> = if labels == Labels::Stacked {
            vec![true]
        } else {
            columns.iter().map(|index| self.is_label(*index)).collect()
        };
        let spared = widths.iter().zip(is_name).filter(|(_, is_name)| *is_name);
        let spared = spared.map(|(width, _)| usize::from(width.saturating_sub(MIN_NAME_COLUMNS)));
        // The first line has the table's frame or its titles, whose characters are a column wide
        // each.
        let width = table.lines().next()?.chars().count();
        if width.saturating_sub(spared.sum()) > usize::from(terminal_columns) {
            return None;
        }
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(terminal_columns);
        Some(table.trim_fmt())
    }
}

/// Where the names of a line stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Labels {
    InColumns,
    /// All in one column, each in a line.
    Stacked,
}

/// Writes a number such as `-1,234,567`.
pub(super) fn signed(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(value.unsigned_abs()))
}

/// Escapes characters that would move the cursor. Names and models come from people and clients.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = is_unprintable(c).then(|| c.escape_unicode());
            let plain = escaped.is_none().then_some(c);
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

/// Quotes a label that a spreadsheet would run as a formula. Names of models come from clients.
fn no_formula(label: &str) -> String {
    let is_formula = label.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula && label != "-" {
        return format!("'{label}");
    }
    label.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people() -> Listing {
        let row = |name: &str, email: &str, count: i64| {
            vec![
                Cell::text(name),
                Cell::text(email),
                Cell::number(count),
                Cell::number(count * 7),
            ]
        };
        Listing {
            columns: vec![
                Column::new("name", "username", ColumnKind::Name),
                Column::new("where from", "origin", ColumnKind::Text).rank(1),
                Column::new("count", "count", ColumnKind::Number),
                Column::new("other", "other", ColumnKind::Number).rank(2),
            ],
            rows: vec![
                row("alice.liddell@wonderland.example.org", "Oxford", 1_234_567),
                row("bob\u{1b}[2J", "", 0),
            ],
            total: Some(row("TOTAL", "", 1_234_567)),
        }
    }

    #[test]
    fn a_terminal_gets_a_table() {
        insta::assert_snapshot!(people().boxed(Some(80)), @r"
        ┌──────────────────────────────────────┬────────────┬───────────┬───────────┐
        │ name                                 ┆ where from ┆     count ┆     other │
        ╞══════════════════════════════════════╪════════════╪═══════════╪═══════════╡
        │ alice.liddell@wonderland.example.org ┆ Oxford     ┆ 1,234,567 ┆ 8,641,969 │
        │ bob\u{1b}[2J                         ┆            ┆         0 ┆         0 │
        │ TOTAL                                ┆            ┆ 1,234,567 ┆ 8,641,969 │
        └──────────────────────────────────────┴────────────┴───────────┴───────────┘
        ");
    }

    #[test]
    fn a_narrow_terminal_breaks_names_then_drops_columns_by_rank() {
        insta::assert_snapshot!(people().boxed(Some(60)), @r"
        ┌─────────────────────┬────────────┬───────────┬───────────┐
        │ name                ┆ where from ┆     count ┆     other │
        ╞═════════════════════╪════════════╪═══════════╪═══════════╡
        │ alice.liddell@wonde ┆ Oxford     ┆ 1,234,567 ┆ 8,641,969 │
        │ rland.example.org   ┆            ┆           ┆           │
        │ bob\u{1b}[2J        ┆            ┆         0 ┆         0 │
        │ TOTAL               ┆            ┆ 1,234,567 ┆ 8,641,969 │
        └─────────────────────┴────────────┴───────────┴───────────┘
        ");
        insta::assert_snapshot!(people().boxed(Some(40)), @r"
        ┌──────────────────────────┬───────────┐
        │ name                     ┆     count │
        ╞══════════════════════════╪═══════════╡
        │ alice.liddell@wonderland ┆ 1,234,567 │
        │ .example.org             ┆           │
        │ bob\u{1b}[2J             ┆         0 │
        │ TOTAL                    ┆ 1,234,567 │
        └──────────────────────────┴───────────┘
        ");
    }

    #[test]
    fn a_pipe_gets_aligned_text_for_programs() {
        insta::assert_snapshot!(people().aligned(), @r"
        name                                  where_from    count    other
        alice.liddell@wonderland.example.org  Oxford      1234567  8641969
        bob\u{1b}[2J                          -                 0        0
        ");
    }

    #[test]
    fn csv_has_all_columns_and_no_formulas() {
        let mut people = people();
        people.rows.push(vec![
            Cell::text("=1+1"),
            Cell::text("a,b"),
            Cell::number(-1),
            Cell::number(0),
        ]);
        people.columns[1].is_shown = false;
        insta::assert_snapshot!(people.csv().unwrap(), @r#"
        username,origin,count,other
        alice.liddell@wonderland.example.org,Oxford,1234567,8641969
        bob[2J,,0,0
        '=1+1,"a,b",-1,0
        "#);
    }

    #[test]
    fn cells_that_a_spreadsheet_would_run_are_quoted() {
        assert_eq!(no_formula("=1+1"), "'=1+1");
        assert_eq!(no_formula("gpt-4.1"), "gpt-4.1");
        assert_eq!(no_formula("-"), "-");
    }
}
