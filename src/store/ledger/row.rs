//! Inserts usage rows.

use std::borrow::Cow;

use rusqlite::{CachedStatement, Connection, Statement, ToSql};

use crate::{
    model::{UsageRow, UsageSource},
    store::sqlite::signed,
};

macro_rules! insert_row {
    ($further_columns:literal, $further_values:literal) => {
        concat!(
            "INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, served_model, \
             input_tokens, output_tokens, cached_tokens, reasoning_tokens, audio_ms, images, status, outcome, usage_source, \
             duration_ms, first_byte_ms, backend_request_id",
            $further_columns,
            ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17",
            $further_values,
            ")"
        )
    };
}
const INSERT_ROW: &str = insert_row!("", "");
/// Inserts a row with an estimate, which has two more columns. They stay NULL in the other rows,
/// which are nearly all.
const INSERT_ESTIMATE: &str = insert_row!(
    ", estimated_input_tokens, estimated_output_tokens",
    ", ?18, ?19"
);

/// A row and the id under which it was inserted.
pub(super) struct InsertedRow<'a> {
    pub(super) id: i64,
    pub(super) row: Cow<'a, UsageRow>,
}

/// Inserts the rows of one transaction. The statement for nearly all of them is looked up once.
pub(super) struct RowInserter<'c> {
    connection: &'c Connection,
    insert_row: CachedStatement<'c>,
}

impl<'c> RowInserter<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            insert_row: connection.prepare_cached(INSERT_ROW)?,
        })
    }

    pub(super) fn insert<'a>(
        &mut self,
        row: Cow<'a, UsageRow>,
    ) -> rusqlite::Result<InsertedRow<'a>> {
        if row.source == UsageSource::Estimate {
            let mut statement = self.connection.prepare_cached(INSERT_ESTIMATE)?;
            bind_and_run(&mut statement, &row)?;
        } else {
            bind_and_run(&mut self.insert_row, &row)?;
        }
        let id = self.connection.last_insert_rowid();
        Ok(InsertedRow { id, row })
    }
}

/// Binds and runs [`INSERT_ROW`], or [`INSERT_ESTIMATE`] for a row with an estimate.
fn bind_and_run(insert: &mut Statement<'_>, row: &UsageRow) -> rusqlite::Result<()> {
    let mut place = 0;
    let mut bind = |value: &dyn ToSql| {
        place += 1;
        insert.raw_bind_parameter(place, value)
    };
    bind(&row.started_at_ms)?;
    bind(&row.user_id)?;
    bind(&row.endpoint)?;
    bind(&row.model)?;
    bind(&row.served_model)?;
    let usage = &row.usage;
    let counts = [
        usage.input,
        usage.output,
        usage.cached,
        usage.reasoning,
        usage.audio_ms,
        usage.images,
    ];
    for tokens in counts {
        bind(&signed(tokens))?;
    }
    bind(&row.status)?;
    bind(&row.outcome.as_str())?;
    bind(&row.source.as_str())?;
    bind(&row.duration_ms)?;
    bind(&row.first_byte_ms)?;
    bind(&row.backend_request_id)?;
    if row.source == UsageSource::Estimate {
        bind(&signed(row.estimated.input))?;
        bind(&signed(row.estimated.output))?;
    }
    insert.raw_execute()?;
    Ok(())
}
