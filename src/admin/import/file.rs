//! The file of another program: what it is, and what is in it.

use std::{fs::File, io::Read, path::Path};

use crate::{
    admin::AdminError,
    import::{
        Cell, Format, Import, ImportError, ImportRow, LOGS, Notes, ONE_API_USERS, OPTIONS, OneApi,
        PYTHON_USERS, Python, TOKENS, Table, USAGE, UsageLinks, read_litellm,
    },
    model::Calendar,
    store::{StoreError, imports::SourceDb},
};

/// What a file of SQLite begins with (sqlite.org/fileformat2.html).
const SQLITE: &[u8] = b"SQLite format 3\0";
/// The largest list of keys, some 100,000 with long metadata.
const MAX_LIST_BYTES: u64 = 512 * 1024 * 1024;
/// A table that only llmproxy makes.
const OWN_TABLE: &str = "users_version";

/// An open file, after its users were read.
pub(super) enum SourceFile {
    LiteLlm,
    Python {
        database: SourceDb,
        usage: Option<FoundTable>,
        links: UsageLinks,
    },
    OneApi {
        database: SourceDb,
        logs: Option<FoundTable>,
        reader: OneApi,
    },
}

/// A table of a file, and its columns for what is wanted of it.
pub(super) struct FoundTable {
    name: String,
    columns: Vec<Option<String>>,
    /// The number of the last row when the import began.
    last_row: i64,
}

impl SourceFile {
    /// Opens a file and reads its users and keys.
    pub(super) fn open(
        path: &Path,
        format: Option<Format>,
        calendar: &Calendar,
        now_ms: i64,
    ) -> Result<(Self, Import), AdminError> {
        let refused = |reason: ImportError| AdminError::Import {
            path: path.to_owned(),
            reason,
        };
        let is_sqlite = is_sqlite(path)?;
        match format {
            Some(format @ Format::LiteLlm) if is_sqlite => Err(refused(ImportError::WrongFormat {
                format,
                wanted: "CSV or JSON",
                found: "a SQLite database",
            })),
            Some(format @ (Format::Python | Format::OneApi)) if !is_sqlite => {
                Err(refused(ImportError::WrongFormat {
                    format,
                    wanted: "a SQLite database",
                    found: "something else",
                }))
            }
            _ if is_sqlite => read_database(path, format),
            _ => {
                let bytes = read_list(path)?;
                let import = read_litellm(&bytes, calendar, now_ms).map_err(refused)?;
                Ok((Self::LiteLlm, import))
            }
        }
    }

    pub(super) fn format(&self) -> Format {
        match self {
            Self::LiteLlm => Format::LiteLlm,
            Self::Python { .. } => Format::Python,
            Self::OneApi { .. } => Format::OneApi,
        }
    }

    /// Calls a function with each row of usage behind a number. What cannot be booked is noted.
    pub(super) fn each_row(
        &self,
        after: i64,
        notes: &mut Notes,
        mut take: impl FnMut(ImportRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Python {
                database,
                usage: Some(table),
                links,
            } => table.each(database, after, |number, cells| {
                links.row(number, cells, notes).map_or(Ok(()), &mut take)
            }),
            Self::OneApi {
                database,
                logs: Some(table),
                reader,
            } => table.each(database, after, |number, cells| {
                reader.row(number, cells, notes).map_or(Ok(()), &mut take)
            }),
            // No usage, or only a sum for each key.
            Self::LiteLlm | Self::Python { .. } | Self::OneApi { .. } => Ok(()),
        }
    }
}

impl FoundTable {
    fn each(
        &self,
        database: &SourceDb,
        after: i64,
        take: impl FnMut(i64, &[Cell<'_>]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        database.each(&self.name, &self.columns, (after, self.last_row), take)
    }
}

fn read_database(path: &Path, format: Option<Format>) -> Result<(SourceFile, Import), AdminError> {
    let database = SourceDb::open(path)?;
    let tables = database.tables()?;
    let has = |table: &Table| table.find(&tables).is_some();
    let found = if tables.iter().any(|name| name == OWN_TABLE) {
        Err(ImportError::OwnDatabase)
    } else if let Some(format) = format {
        Ok(format)
    } else if has(&ONE_API_USERS) && has(&TOKENS) {
        Ok(Format::OneApi)
    } else if has(&PYTHON_USERS) && has(&USAGE) {
        Ok(Format::Python)
    } else {
        Err(ImportError::UnknownTables {
            found: tables.clone(),
        })
    };
    let tables = Tables {
        path,
        database: &database,
        names: tables,
    };
    match found.map_err(|reason| tables.refused(reason))? {
        Format::OneApi => {
            let (reader, import, logs) = read_one_api(&tables)?;
            let source = SourceFile::OneApi {
                logs,
                reader,
                database,
            };
            Ok((source, import))
        }
        // CSV and JSON are no database, which was refused before.
        Format::Python | Format::LiteLlm => {
            let (links, import, usage) = read_python(&tables)?;
            let source = SourceFile::Python {
                usage,
                links,
                database,
            };
            Ok((source, import))
        }
    }
}

/// What no usage comes of, for the notes.
const NO_USAGE: &str = "no usage comes, because the file has no such table";

fn read_python(
    tables: &Tables<'_>,
) -> Result<(UsageLinks, Import, Option<FoundTable>), AdminError> {
    let users = tables.needed(&PYTHON_USERS, Python::check_users)?;
    let usage = tables.optional(&USAGE, UsageLinks::check)?;
    let mut python = Python::default();
    users.each(tables.database, i64::MIN, |number, cells| {
        python.add(number, cells);
        Ok(())
    })?;
    let (mut import, links) = python.finish();
    if usage.is_none() {
        import.notes.add(NO_USAGE, || USAGE.names.join(", "));
    }
    Ok((links, import, usage))
}

fn read_one_api(tables: &Tables<'_>) -> Result<(OneApi, Import, Option<FoundTable>), AdminError> {
    let unchecked = |_: &str, _: &[String]| Ok(());
    let users = tables.needed(&ONE_API_USERS, unchecked)?;
    let tokens = tables.needed(&TOKENS, unchecked)?;
    let logs = tables.optional(&LOGS, unchecked)?;
    let options = tables.optional(&OPTIONS, unchecked)?;
    let database = tables.database;
    let mut reader = OneApi::default();
    if let Some(options) = options {
        options.each(database, i64::MIN, |_, cells| {
            reader.add_option(cells);
            Ok(())
        })?;
    }
    users.each(database, i64::MIN, |number, cells| {
        reader.add_user(number, cells);
        Ok(())
    })?;
    tokens.each(database, i64::MIN, |number, cells| {
        reader.add_token(number, cells);
        Ok(())
    })?;
    reader.end_of_tokens();
    let mut import = reader.take_import();
    if logs.is_none() {
        import.notes.add(NO_USAGE, || LOGS.names.join(", "));
    }
    Ok((reader, import, logs))
}

/// The tables of a database, by what is looked for.
struct Tables<'a> {
    path: &'a Path,
    database: &'a SourceDb,
    names: Vec<String>,
}

/// A further check of the columns of a table.
type Check = fn(&str, &[String]) -> Result<(), ImportError>;

impl Tables<'_> {
    fn needed(&self, table: &Table, check: Check) -> Result<FoundTable, AdminError> {
        let found = self.optional(table, check)?;
        found.ok_or_else(|| {
            self.refused(ImportError::NoTable {
                wanted: table.names,
                found: self.names.clone(),
            })
        })
    }

    fn optional(&self, table: &Table, check: Check) -> Result<Option<FoundTable>, AdminError> {
        let Some(name) = table.find(&self.names) else {
            return Ok(None);
        };
        let present = self.database.columns(name)?;
        let columns = table.columns(name, &present);
        let checked = columns.and_then(|columns| check(name, &present).map(|()| columns));
        let columns = checked.map_err(|reason| self.refused(reason))?;
        Ok(Some(FoundTable {
            name: name.to_owned(),
            columns,
            last_row: self.database.last_row(name)?,
        }))
    }

    fn refused(&self, reason: ImportError) -> AdminError {
        AdminError::Import {
            path: self.path.to_owned(),
            reason,
        }
    }
}

fn is_sqlite(path: &Path) -> Result<bool, StoreError> {
    let mut beginning = Vec::new();
    let length = u64::try_from(SQLITE.len()).unwrap_or(0);
    let read = File::open(path).and_then(|file| file.take(length).read_to_end(&mut beginning));
    read.map_err(|error| cannot_read(path, &error))?;
    Ok(beginning == SQLITE)
}

fn read_list(path: &Path) -> Result<Vec<u8>, AdminError> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_LIST_BYTES + 1).read_to_end(&mut bytes));
    let length = read.map_err(|error| cannot_read(path, &error))?;
    if u64::try_from(length).unwrap_or(u64::MAX) > MAX_LIST_BYTES {
        return Err(AdminError::Import {
            path: path.to_owned(),
            reason: ImportError::TooLarge {
                limit_mb: MAX_LIST_BYTES / 1024 / 1024,
            },
        });
    }
    Ok(bytes)
}

fn cannot_read(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Source {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
