//! The rows of `usage_logs`.

use std::collections::HashMap;

use crate::{
    import::{
        Cell, ImportError, ImportRow, Notes, Table, Wanted, error::BadCell, names::model_of,
        notes::NO_USER,
    },
    model::Usage,
};

/// The rows of usage.
pub const USAGE: Table = Table {
    names: &["usage_logs", "usage_log", "token_usage", "usage", "usages"],
    wanted: &[
        Wanted::optional("the user", &["user_id", "uid", "user"]),
        Wanted::optional("the name of the user", &["username", "user_name"]),
        Wanted::optional("the key of the user", &["api_key", "key", "token"]),
        Wanted::needed(
            "the time",
            &[
                "timestamp",
                "created_at",
                "created",
                "time",
                "started_at",
                "request_time",
                "logged_at",
                "date",
            ],
        ),
        Wanted::needed("the model", &["model", "model_name", "model_id"]),
        Wanted::needed(
            "the input tokens",
            &[
                "input_tokens",
                "prompt_tokens",
                "tokens_in",
                "input",
                "total_input_tokens",
            ],
        ),
        Wanted::needed(
            "the output tokens",
            &[
                "output_tokens",
                "completion_tokens",
                "tokens_out",
                "output",
                "total_output_tokens",
            ],
        ),
        Wanted::optional(
            "the cached tokens",
            &[
                "cached_tokens",
                "cached_input_tokens",
                "cache_read_tokens",
                "cache_tokens",
                "total_cached_tokens",
            ],
        ),
        Wanted::optional("the reasoning tokens", &["reasoning_tokens"]),
        Wanted::optional("the status", &["status_code", "http_status", "status"]),
        Wanted::optional("the duration", &["duration_ms", "latency_ms", "elapsed_ms"]),
    ],
};
const ROW_USER: usize = 0;
const ROW_NAME: usize = 1;
const ROW_KEY: usize = 2;
const ROW_TIME: usize = 3;
const ROW_MODEL: usize = 4;
const ROW_INPUT: usize = 5;
const ROW_OUTPUT: usize = 6;
const ROW_CACHED: usize = 7;
const ROW_REASONING: usize = 8;
const ROW_STATUS: usize = 9;
const ROW_DURATION: usize = 10;

/// The places of users by what a row of usage calls them.
#[derive(Debug, Default)]
pub struct UsageLinks {
    pub(super) ids: HashMap<String, usize>,
    pub(super) names: HashMap<String, usize>,
    pub(super) keys: HashMap<String, usize>,
}

impl UsageLinks {
    /// Checks the columns of the usage.
    ///
    /// # Errors
    /// [`ImportError::NoColumn`] if no column says whose a row is.
    pub fn check(table: &str, present: &[String]) -> Result<(), ImportError> {
        USAGE.need_one(table, present, &[ROW_USER, ROW_NAME, ROW_KEY])
    }

    /// Reads a row of [`USAGE`]. One that cannot be booked is noted.
    pub fn row(&self, number: i64, cells: &[Cell<'_>], notes: &mut Notes) -> Option<ImportRow> {
        let cell = |place: usize| cells.get(place).copied().unwrap_or(Cell::Null);
        let place = || format!("row {number}");
        let user = [
            (cell(ROW_USER), &self.ids),
            (cell(ROW_NAME), &self.names),
            (cell(ROW_KEY), &self.keys),
        ]
        .into_iter()
        .find_map(|(cell, users)| Some((cell.text()?, users)))
        .and_then(|(text, users)| users.get(text.as_ref()).copied());
        let Some(user) = user else {
            notes.add(NO_USER, place);
            return None;
        };
        match row_of(number, user, &cell) {
            Ok(row) => Some(row),
            Err(bad) => {
                notes.add(bad.note(), place);
                None
            }
        }
    }
}

fn row_of<'c>(
    number: i64,
    user: usize,
    cell: &impl Fn(usize) -> Cell<'c>,
) -> Result<ImportRow, BadCell> {
    let started_at_ms = cell(ROW_TIME).time_ms()?.ok_or(BadCell::NotATime)?;
    let input = cell(ROW_INPUT).count()?;
    let output = cell(ROW_OUTPUT).count()?;
    // A word such as `success` is no number: it was answered, or there would be no row.
    let status = cell(ROW_STATUS).integer().ok().flatten();
    let status = status.and_then(|status| u16::try_from(status).ok());
    let duration_ms = cell(ROW_DURATION).count().unwrap_or(0);
    Ok(ImportRow {
        number,
        user,
        key: Some(0),
        started_at_ms,
        model: model_of(&cell(ROW_MODEL).text().unwrap_or_default()),
        usage: Usage {
            input,
            output,
            cached: cell(ROW_CACHED).count()?.min(input),
            reasoning: cell(ROW_REASONING).count()?.min(output),
            ..Usage::default()
        },
        cost: None,
        status: status
            .filter(|status| (100..600).contains(status))
            .unwrap_or(200),
        duration_ms: i64::try_from(duration_ms).unwrap_or(0),
        first_byte_ms: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Note, Python};

    const KEY: &str = "llmp-0123456789abcdef0123456789abcdef0123456789abcdef";

    /// The links of alice, who has the id 7.
    fn links() -> UsageLinks {
        let mut python = Python::default();
        python.add(7, &[Cell::Integer(7), Cell::Text("alice"), Cell::Text(KEY)]);
        python.finish().1
    }

    fn row<'a>(user: Cell<'a>, input: Cell<'a>) -> Vec<Cell<'a>> {
        vec![
            user,
            Cell::Null,
            Cell::Null,
            Cell::Text("2024-01-15 10:30:00"),
            Cell::Text("gpt-4.1-mini"),
            input,
            Cell::Integer(20),
            Cell::Integer(30),
        ]
    }

    #[test]
    fn a_row_is_found_by_id_name_or_key_and_cached_is_a_part_of_input() {
        let links = links();
        let mut notes = Notes::default();
        let cells = row(Cell::Integer(7), Cell::Integer(10));
        let found = links.row(1, &cells, &mut notes).unwrap();
        assert_eq!(
            (found.user, found.usage.input, found.usage.cached),
            (0, 10, 10)
        );
        assert_eq!((found.status, found.cost), (200, None));
        let mut by_name = row(Cell::Null, Cell::Integer(10));
        by_name[ROW_NAME] = Cell::Text("alice");
        assert!(links.row(2, &by_name, &mut notes).is_some());
        let mut by_key = row(Cell::Null, Cell::Integer(10));
        by_key[ROW_KEY] = Cell::Text(KEY);
        assert!(links.row(3, &by_key, &mut notes).is_some());
        assert_eq!(notes, Notes::default());
    }

    #[test]
    fn rows_that_cannot_be_booked_are_noted() {
        let links = links();
        let mut notes = Notes::default();
        for (number, cells) in [
            (1, row(Cell::Integer(8), Cell::Integer(10))),
            (2, row(Cell::Integer(7), Cell::Integer(-1))),
            (3, row(Cell::Integer(7), Cell::Integer(i64::MAX))),
            (4, row(Cell::Integer(7), Cell::Text("ten"))),
            (5, row(Cell::Null, Cell::Null)),
        ] {
            assert_eq!(links.row(number, &cells, &mut notes), None);
        }
        let mut untimed = row(Cell::Integer(7), Cell::Integer(1));
        untimed[ROW_TIME] = Cell::Text("soon");
        assert_eq!(links.row(6, &untimed, &mut notes), None);
        let lines: Vec<String> = notes.into_vec().iter().map(Note::line).collect();
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(
            lines[0].ends_with("not in the file: 2 (row 1, row 5)"),
            "{lines:?}"
        );
    }
}
