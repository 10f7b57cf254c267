//! Statements of both databases, and the rows that they find.

#[cfg(feature = "postgres")]
use std::marker::PhantomData;

use super::{FromValue, Params, SqlError, Value};
#[cfg(feature = "postgres")]
use crate::store::postgres;
#[cfg(feature = "sqlite")]
use crate::store::sqlite;

/// A statement that can be run several times.
pub(in crate::store) struct Statement<'c> {
    pub(super) home: StatementHome<'c>,
}

pub(super) enum StatementHome<'c> {
    #[cfg(feature = "sqlite")]
    Sqlite(rusqlite::CachedStatement<'c>),
    #[cfg(feature = "postgres")]
    Postgres(&'c postgres::Session, &'c str),
}

impl Statement<'_> {
    /// Runs the statement and returns the number of rows that it changed.
    pub(in crate::store) fn execute(&mut self, params: impl Params) -> Result<usize, SqlError> {
        params.with(|values, names| match &mut self.home {
            #[cfg(feature = "sqlite")]
            StatementHome::Sqlite(statement) => sqlite::execute(statement, values, names),
            #[cfg(feature = "postgres")]
            StatementHome::Postgres(session, sql) => session.execute(sql, values, names),
        })
    }

    /// Returns the rows that the statement finds.
    pub(in crate::store) fn query(&mut self, params: impl Params) -> Result<Rows<'_>, SqlError> {
        params.with(|values, names| match &mut self.home {
            #[cfg(feature = "sqlite")]
            StatementHome::Sqlite(statement) => {
                sqlite::bind(statement, values, names)?;
                Ok(Rows {
                    home: RowsHome::Sqlite(statement.raw_query()),
                })
            }
            #[cfg(feature = "postgres")]
            StatementHome::Postgres(session, sql) => {
                let rows = session.query(sql, values, names)?;
                Ok(Rows {
                    home: RowsHome::Postgres {
                        rows: rows.into_iter(),
                        current: None,
                        statement: PhantomData,
                    },
                })
            }
        })
    }

    /// Returns what `read` makes of the first row, or [`SqlError::NoRow`].
    pub(in crate::store) fn query_row<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let mut rows = self.query(params)?;
        match rows.next()? {
            Some(row) => read(&row),
            None => Err(SqlError::NoRow),
        }
    }

    /// Returns what `read` makes of each row.
    pub(in crate::store) fn query_map<T, F>(
        &mut self,
        params: impl Params,
        read: F,
    ) -> Result<MappedRows<'_, F>, SqlError>
    where
        F: FnMut(&Row<'_>) -> Result<T, SqlError>,
    {
        let rows = self.query(params)?;
        Ok(MappedRows { rows, read })
    }
}

/// The rows that a statement finds.
pub(in crate::store) struct Rows<'s> {
    home: RowsHome<'s>,
}

enum RowsHome<'s> {
    #[cfg(feature = "sqlite")]
    Sqlite(rusqlite::Rows<'s>),
    #[cfg(feature = "postgres")]
    Postgres {
        rows: std::vec::IntoIter<::postgres::Row>,
        current: Option<::postgres::Row>,
        /// They borrow from a statement as those of SQLite do.
        statement: PhantomData<&'s ()>,
    },
}

impl Rows<'_> {
    /// Returns the next row.
    pub(in crate::store) fn next(&mut self) -> Result<Option<Row<'_>>, SqlError> {
        match &mut self.home {
            #[cfg(feature = "sqlite")]
            RowsHome::Sqlite(rows) => Ok(rows.next()?.map(Row::Sqlite)),
            #[cfg(feature = "postgres")]
            RowsHome::Postgres { rows, current, .. } => {
                *current = rows.next();
                Ok(current.as_ref().map(Row::Postgres))
            }
        }
    }
}

/// What a function makes of the rows that a statement finds.
pub(in crate::store) struct MappedRows<'s, F> {
    rows: Rows<'s>,
    read: F,
}

impl<T, F> Iterator for MappedRows<'_, F>
where
    F: FnMut(&Row<'_>) -> Result<T, SqlError>,
{
    type Item = Result<T, SqlError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next() {
            Ok(Some(row)) => Some((self.read)(&row)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// A row that a statement found.
pub(in crate::store) enum Row<'r> {
    #[cfg(feature = "sqlite")]
    Sqlite(&'r rusqlite::Row<'r>),
    #[cfg(feature = "postgres")]
    Postgres(&'r ::postgres::Row),
}

/// Where a column is: its place from 0 on, or its name.
pub(in crate::store) trait ColumnIndex {
    fn place(self, row: &Row<'_>) -> Result<usize, SqlError>;
}

impl ColumnIndex for usize {
    fn place(self, _: &Row<'_>) -> Result<usize, SqlError> {
        Ok(self)
    }
}

impl ColumnIndex for &str {
    fn place(self, row: &Row<'_>) -> Result<usize, SqlError> {
        match row {
            #[cfg(feature = "sqlite")]
            Row::Sqlite(row) => Ok(row.as_ref().column_index(self)?),
            #[cfg(feature = "postgres")]
            Row::Postgres(row) => {
                let mut columns = row.columns().iter();
                columns
                    .position(|column| column.name() == self)
                    .ok_or_else(|| SqlError::UnknownName(self.to_owned()))
            }
        }
    }
}

impl Row<'_> {
    /// Returns the value of a column.
    pub(in crate::store) fn get<I: ColumnIndex, T: FromValue>(
        &self,
        column: I,
    ) -> Result<T, SqlError> {
        T::from_value(self.value(column)?)
    }

    /// Returns the text of a column without copying it.
    pub(in crate::store) fn text(&self, column: impl ColumnIndex) -> Result<&str, SqlError> {
        match self.value(column)? {
            Value::Text(text) => Ok(text),
            other => Err(other.unexpected("a text")),
        }
    }

    /// Returns the value of a column without copying it.
    pub(in crate::store) fn value(&self, column: impl ColumnIndex) -> Result<Value<'_>, SqlError> {
        let place = column.place(self)?;
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(row) => sqlite::value(row.get_ref(place)?),
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => Ok(row.try_get(place)?),
        }
    }

    /// Returns the names of the columns.
    pub(in crate::store) fn names(&self) -> Vec<String> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(row) => {
                let names = row.as_ref().column_names();
                names.into_iter().map(str::to_owned).collect()
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => {
                let columns = row.columns().iter();
                columns.map(|column| column.name().to_owned()).collect()
            }
        }
    }
}
