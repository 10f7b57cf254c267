//! Writes entries: all of a batch in one transaction, or none.

use std::borrow::Cow;

use crate::{
    model::{Entry, Note, RequestId, RunningRequest, UsageRow},
    store::{
        accounts,
        ledger::{
            pricing::Pricer,
            row::{InsertedRow, RowInserter},
        },
        limit_usage, objects, refusals,
        running::ServerRun,
        sql::{Connection, SqlResult, in_transaction},
    },
};

/// Writes all entries in one transaction, or none. Returns the rows that came of them.
pub(super) fn write_entries<'a>(
    connection: &Connection,
    pricer: &mut Pricer,
    run: &mut ServerRun,
    entries: impl Iterator<Item = (&'a Entry, Option<RequestId>)> + Clone,
) -> SqlResult<Vec<InsertedRow<'a>>> {
    let had_notes = run.has_notes();
    let written = insert_entries(connection, pricer, run, entries);
    if written.is_err() {
        // The prices that it kept are undone, and on a file the first notes.
        pricer.forget();
        if !had_notes && !connection.is_postgres() {
            run.forget_notes();
        }
    }
    written
}

fn insert_entries<'a>(
    connection: &Connection,
    pricer: &mut Pricer,
    run: &mut ServerRun,
    entries: impl Iterator<Item = (&'a Entry, Option<RequestId>)> + Clone,
) -> SqlResult<Vec<InsertedRow<'a>>> {
    #[cfg(feature = "postgres")]
    if connection.is_postgres()
        && let Some(plain) = PlainEntries::of(entries.clone(), pricer)
    {
        return plain.insert(connection, pricer, run);
    }
    in_transaction(connection, || {
        run.check(connection)?;
        let mut inserter = RowInserter::new(connection, pricer)?;
        let (mut noted, mut ended): (Vec<&RunningRequest>, Vec<&Note>) = Default::default();
        for (entry, id) in entries {
            let mut insert = |row: Cow<'a, UsageRow>| inserter.insert(row, id);
            match entry {
                Entry::Row(row) => insert(Cow::Borrowed(row))?,
                Entry::Made(object) => {
                    objects::remember(connection, object)?;
                    if let Some(hold) = &object.hold {
                        limit_usage::reserve(connection, &object.id, object.user_id, hold)?;
                    }
                }
                Entry::Forgotten { id, user_id } => objects::forget(connection, id, *user_id)?,
                Entry::Missing {
                    id,
                    user_id,
                    made_before_ms,
                } => objects::forget_missing(connection, id, *user_id, *made_before_ms)?,
                Entry::Kept {
                    account,
                    row,
                    progress,
                } => {
                    if let Some(row) = accounts::keep(connection, account, row, *progress)? {
                        insert(row)?;
                    }
                }
                Entry::Billed {
                    account,
                    row,
                    extent,
                } => {
                    if let Some(row) = accounts::bill(connection, account, row, *extent)? {
                        insert(row)?;
                    }
                    limit_usage::end_reservation(connection, &account.id)?;
                }
                Entry::Refused(refusal) => refusals::insert(connection, refusal)?,
                Entry::Noted(request) => noted.push(request),
                Entry::Unnoted(note) => {
                    note.mark_ended();
                    ended.push(note);
                }
                Entry::Expired { made_before_ms } => objects::expire(connection, *made_before_ms)?,
                // A server that is seen to live without notes leaves nothing to book.
                Entry::Probe => run.sign(connection)?,
            }
        }
        run.note(connection, &noted)?;
        run.unnote(connection, &ended)?;
        inserter.finish()
    })
}

/// Entries for which one statement is enough: rows whose prices are known, and notes.
#[cfg(feature = "postgres")]
#[derive(Default)]
struct PlainEntries<'a> {
    rows: Vec<(&'a UsageRow, Option<RequestId>)>,
    noted: Vec<&'a RunningRequest>,
    ended: Vec<&'a Note>,
}

#[cfg(feature = "postgres")]
impl<'a> PlainEntries<'a> {
    fn of(
        entries: impl Iterator<Item = (&'a Entry, Option<RequestId>)>,
        pricer: &Pricer,
    ) -> Option<Self> {
        let mut plain = Self::default();
        for (entry, id) in entries {
            match entry {
                Entry::Row(row) if pricer.knows(row) => plain.rows.push((row, id)),
                Entry::Noted(request) => plain.noted.push(request),
                Entry::Unnoted(note) => plain.ended.push(note),
                _ => return None,
            }
        }
        Some(plain)
    }

    /// Inserts the rows, and deletes the notes of those that have ended with them: one statement, which is
    /// a transaction and one round trip. Other notes do not wait for other nodes, because each node has
    /// its own.
    fn insert(
        self,
        connection: &Connection,
        pricer: &mut Pricer,
        run: &mut ServerRun,
    ) -> SqlResult<Vec<InsertedRow<'a>>> {
        for note in &self.ended {
            note.mark_ended();
        }
        run.note(connection, &self.noted)?;
        if self.rows.is_empty() {
            run.unnote(connection, &self.ended)?;
            return Ok(Vec::new());
        }
        let mut inserter = RowInserter::new(connection, pricer)?.of_run(run, &self.ended);
        for (row, id) in self.rows {
            inserter.insert(Cow::Borrowed(row), id)?;
        }
        let written = inserter.finish()?;
        run.forget_noted(&self.ended);
        Ok(written)
    }
}
