//! Copies a database into another one, SQLite or PostgreSQL: rows of usage first, a few thousand at a
//! time and beside servers that write, then everything else and the newest rows, as of one moment.
//! Doing it again copies what is new, until the day on which the servers move.

use serde::{Deserialize, Serialize};

use super::{
    DatabaseLocation, IfMissing, Store, StoreError,
    measures::{self, COUNTS},
    sql::{Connection, FromValue, OptionalRow, SqlError, SqlResult, Value, ValueType, params},
    users,
};

/// Rows that are read and written at once.
const BATCH_ROWS: i64 = 2_000;

/// Tables whose rows are written once, in the order of their ids.
const GROWING: [&str; 2] = ["usage_logs", "usage_adjustments"];
/// Tables that are copied as a whole, with the columns of their keys, in an order in which no trigger
/// undoes what was copied before: one fills `alert_keys`. What runs in a server (`server_runs`,
/// `running_requests`) stays there.
const WHOLE: [(&str, &[&str]); 18] = [
    (
        "usage_daily",
        &["day", "user_id", "key_id", "endpoint", "model"],
    ),
    (
        "usage_hourly",
        &["hour", "user_id", "key_id", "endpoint", "model"],
    ),
    ("settings", &["name"]),
    ("groups", &["id"]),
    ("users", &["id"]),
    ("keys", &["id"]),
    ("prices", &["id"]),
    ("model_prices", &["model", "price_id"]),
    ("objects", &["id"]),
    ("limits", &["id"]),
    ("limit_extras", &["id"]),
    ("reservations", &["object_id"]),
    ("alert_deliveries", &["webhook", "number"]),
    ("alerts", &["number"]),
    ("alert_keys", &["dedup_key"]),
    ("alert_webhooks", &["webhook"]),
    ("refusals", &["id"]),
    ("import_users", &["user_id", "format"]),
];
/// Those of them that grow with the rows.
const SUMS: [&str; 2] = ["usage_daily", "usage_hourly"];
/// Tables that give out ids.
const WITH_IDS: [(&str, &str); 9] = [
    ("usage_logs", "id"),
    ("usage_adjustments", "id"),
    ("groups", "id"),
    ("users", "id"),
    ("keys", "id"),
    ("prices", "id"),
    ("alerts", "number"),
    ("limits", "id"),
    ("limit_extras", "id"),
];
/// The setting in which a copy notes where it comes from and how far it is.
const READ_NOTE: &str = "SELECT value FROM settings WHERE name = 'copy'";
const WRITE_NOTE: &str = "INSERT INTO settings (name, value) VALUES ('copy', ?1) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const IS_EMPTY: &str = "SELECT NOT EXISTS (SELECT 1 FROM users) AND NOT EXISTS (SELECT 1 FROM usage_logs) \
     AND NOT EXISTS (SELECT 1 FROM keys)";

/// What a copy notes of itself.
#[derive(Debug, Serialize, Deserialize)]
struct CopyNote {
    from: String,
    is_complete: bool,
    /// The id of the last row of usage that was copied.
    last_row: i64,
    /// The number that moves when users, keys, prices or limits change, and when a server starts.
    users_version: i64,
}

/// Reasons why a database is not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{0} is the source and the target")]
    SameDatabase(String),
    #[error("{0} has users or usage of its own; copy into an empty database")]
    NotEmpty(String),
    #[error(
        "{place} has usage of its own since it was copied ({rows} rows): copying again would lose it"
    )]
    Diverged { place: String, rows: i64 },
    #[error(
        "{0} was used since it was copied: a server ran on it, or users, keys, prices or limits were changed. Copying again would undo that; copy into an empty database"
    )]
    Used(String),
    #[error("{what} differs after the copy: {from} in the source, {to} in the target")]
    Differs { what: String, from: i64, to: i64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SqlError> for CopyError {
    fn from(error: SqlError) -> Self {
        Self::Store(error.into())
    }
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Rows of usage that this run copied.
    pub new_rows: i64,
    /// Rows of usage that the target has now.
    pub rows: i64,
    pub users: i64,
    pub keys: i64,
    /// What all rows cost, in nano-dollars, after adjustments.
    pub cost_nano_usd: i64,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being copied, in the plural.
    pub what: &'static str,
    pub done: i64,
    pub all: i64,
}

/// Copies a database into another one, which is made if there is none. `progress` is called after each
/// few thousand rows.
///
/// # Errors
/// [`CopyError`] if the target has something of its own, or something differs afterwards. Nothing is
/// lost then, and the next run goes on where this one ended.
pub fn copy(
    from: &DatabaseLocation,
    to: &DatabaseLocation,
    mut progress: impl FnMut(Progress),
) -> Result<Copied, CopyError> {
    if from == to {
        return Err(CopyError::SameDatabase(from.to_string()));
    }
    let source = Store::open(from, IfMissing::Refuse)?;
    let target = Store::open(to, IfMissing::Create)?;
    let mut run = || -> Result<Copied, CopyError> {
        let (source, target) = (source.own_connection()?, target.own_connection()?);
        check_target(&target, to)?;
        let first = last_id(&target, "usage_logs")?;
        note(&target, from, false)?;
        let last = last_id(&source, "usage_logs")?;
        for table in GROWING {
            grow(&source, &target, table, |done| {
                if table == GROWING[0] {
                    progress(Progress {
                        what: "rows",
                        done: done.min(last),
                        all: last,
                    });
                }
            })?;
        }
        copy_rest(&source, &target, from, first, &mut progress)
    };
    run().map_err(|error| match error {
        CopyError::Store(error) => CopyError::Store(source.explain(target.explain(error))),
        other => other,
    })
}

/// Refuses a database into which a copy was begun and not completed.
///
/// # Errors
/// [`StoreError::IncompleteCopy`], or an error of the database.
pub(super) fn refuse_incomplete(
    connection: &Connection,
    location: &DatabaseLocation,
) -> Result<(), StoreError> {
    match read_note(connection)? {
        Some(note) if !note.is_complete => Err(StoreError::IncompleteCopy {
            place: location.to_string(),
            from: note.from,
        }),
        _ => Ok(()),
    }
}

fn read_note(connection: &Connection) -> Result<Option<CopyNote>, StoreError> {
    let text: Option<String> = connection
        .query_row(READ_NOTE, [], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

fn note(
    connection: &Connection,
    from: &DatabaseLocation,
    is_complete: bool,
) -> Result<(), StoreError> {
    let note = CopyNote {
        from: from.to_string(),
        is_complete,
        last_row: last_id(connection, "usage_logs")?,
        users_version: users::version(connection)?,
    };
    let text = serde_json::to_string(&note).unwrap_or_default();
    connection.execute(WRITE_NOTE, params![text])?;
    Ok(())
}

/// Checks that the target has nothing but what a copy has put there.
fn check_target(target: &Connection, to: &DatabaseLocation) -> Result<(), CopyError> {
    match read_note(target)? {
        None => {
            let is_empty: bool = target.query_row(IS_EMPTY, [], |row| row.get(0))?;
            if !is_empty {
                return Err(CopyError::NotEmpty(to.to_string()));
            }
        }
        Some(note) if note.is_complete => {
            let rows = last_id(target, "usage_logs")? - note.last_row;
            if rows > 0 {
                return Err(CopyError::Diverged {
                    place: to.to_string(),
                    rows,
                });
            }
            if users::version(target)? != note.users_version {
                return Err(CopyError::Used(to.to_string()));
            }
        }
        Some(_) => {}
    }
    Ok(())
}

/// Copies the rows that a table has beyond those of the target.
fn grow(
    source: &Connection,
    target: &Connection,
    table: &str,
    mut progress: impl FnMut(i64),
) -> Result<(), CopyError> {
    let columns = Columns::of(target, table)?;
    let sql = format!(
        "SELECT {} FROM {table} WHERE id > ?1 ORDER BY id LIMIT {BATCH_ROWS}",
        columns.list()
    );
    let id_place = columns.place("id");
    let mut after = last_id(target, table)?;
    loop {
        let rows = read_rows(source, &sql, &[Value::Integer(after)], &columns)?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after = i64::from_value(last[id_place].value())?;
        if target.is_autocommit() {
            let transaction = target.write()?;
            insert(&transaction, table, &columns, &rows)?;
            transaction.commit()?;
        } else {
            insert(target, table, &columns, &rows)?;
        }
        progress(after);
    }
}

/// Copies everything else, and the rows that came meanwhile, as they are at one moment.
fn copy_rest(
    source: &Connection,
    target: &Connection,
    from: &DatabaseLocation,
    first: i64,
    progress: &mut impl FnMut(Progress),
) -> Result<Copied, CopyError> {
    let moment = source.snapshot()?;
    let transaction = target.write()?;
    transaction.lift_idle_limit()?;
    for table in GROWING {
        grow(&moment, &transaction, table, |_| {})?;
    }
    // The sums of days first: a trigger would take each hour from its day.
    for (table, _) in WHOLE {
        transaction.empty_table(table)?;
    }
    let count = |table| {
        let sql = format!("SELECT count(*) FROM {table}");
        moment.query_row(&sql, [], |row| row.get::<_, i64>(0))
    };
    let mut done = 0;
    let all = count(SUMS[0])? + count(SUMS[1])?;
    for (table, key) in WHOLE {
        if table == "alert_keys" {
            // A trigger has filled it.
            transaction.empty_table(table)?;
        }
        let columns = Columns::of(&transaction, table)?;
        copy_table(&moment, &transaction, (table, key), &columns, |rows| {
            if SUMS.contains(&table) {
                done += rows;
                progress(Progress {
                    what: "sums",
                    done,
                    all,
                });
            }
        })?;
    }
    let summed: i64 = moment.query_row("SELECT last_id FROM usage_rollup", [], |row| row.get(0))?;
    transaction.execute("UPDATE usage_rollup SET last_id = ?1", [summed])?;
    for (table, column) in WITH_IDS {
        transaction.give_ids_behind(table, column)?;
    }
    note(&transaction, from, true)?;
    let copied = verify(&moment, &transaction, first)?;
    transaction.commit()?;
    Ok(copied)
}

/// Copies a table in the order of its key, each part from the last key of the one before.
fn copy_table(
    source: &Connection,
    target: &Connection,
    (table, key): (&str, &[&str]),
    columns: &Columns,
    mut progress: impl FnMut(i64),
) -> Result<(), CopyError> {
    let list = columns.list();
    let places: Vec<usize> = key.iter().map(|name| columns.place(name)).collect();
    let key = key.join(", ");
    let first = format!("SELECT {list} FROM {table} ORDER BY {key} LIMIT {BATCH_ROWS}");
    let values: Vec<String> = (1..=places.len()).map(|n| format!("?{n}")).collect();
    let values = values.join(", ");
    let next = format!(
        "SELECT {list} FROM {table} WHERE ({key}) > ({values}) ORDER BY {key} LIMIT {BATCH_ROWS}"
    );
    let mut rows = read_rows(source, &first, &[], columns)?;
    while let Some(last) = rows.last() {
        insert(target, table, columns, &rows)?;
        let count = i64::try_from(rows.len()).unwrap_or(BATCH_ROWS);
        progress(count);
        if count < BATCH_ROWS {
            break;
        }
        let after: Vec<Value<'_>> = places.iter().map(|place| last[*place].value()).collect();
        rows = read_rows(source, &next, &after, columns)?;
    }
    Ok(())
}

/// Compares the number of rows of each table, and the sums of all figures.
fn verify(source: &Connection, target: &Connection, first: i64) -> Result<Copied, CopyError> {
    // All figures of a table in one look at it, which is long.
    let compare = |table: &str, figures: &[String]| -> Result<Vec<i64>, CopyError> {
        let sql = format!("SELECT {} FROM {table}", figures.join(", "));
        let read = |connection: &Connection| {
            connection.query_row(&sql, [], |row| {
                let values = (0..figures.len()).map(|place| row.get::<_, Option<i64>>(place));
                values
                    .map(|value| Ok(value?.unwrap_or(0)))
                    .collect::<SqlResult<Vec<i64>>>()
            })
        };
        let (from, to) = (read(source)?, read(target)?);
        for ((figure, from), to) in figures.iter().zip(from).zip(&to) {
            if from != *to {
                return Err(CopyError::Differs {
                    what: format!("{figure} of {table}"),
                    from,
                    to: *to,
                });
            }
        }
        Ok(to)
    };
    let count = || "count(*)".to_owned();
    let sum = |column: &str| format!("sum({column})");
    let is_compared = |table: &str| table != "settings" && !SUMS.contains(&table);
    for (table, _) in WHOLE.iter().filter(|(table, _)| is_compared(table)) {
        compare(table, &[count()])?;
    }
    for table in SUMS {
        let sums = measures::columns().map(sum);
        compare(
            table,
            &std::iter::once(count()).chain(sums).collect::<Vec<_>>(),
        )?;
    }
    let mut figures = vec![
        count(),
        format!("count(CASE WHEN id > {first} THEN 1 END)"),
        sum("cost_nano_usd"),
        sum("duration_ms"),
    ];
    figures.extend(COUNTS.iter().map(|column| sum(column)));
    let of_rows = compare("usage_logs", &figures)?;
    let adjusted = compare("usage_adjustments", &[sum("cost_delta_nano_usd")])?;
    let users = compare(
        "users",
        &["count(CASE WHEN deleted_at_ms IS NULL THEN 1 END)".to_owned()],
    )?;
    let keys = compare("keys", &[count()])?;
    Ok(Copied {
        new_rows: of_rows[1],
        rows: of_rows[0],
        users: users[0],
        keys: keys[0],
        cost_nano_usd: of_rows[2].saturating_add(adjusted[0]),
    })
}

fn last_id(connection: &Connection, table: &str) -> SqlResult<i64> {
    let sql = format!("SELECT coalesce(max(id), 0) FROM {table}");
    connection.query_row(&sql, [], |row| row.get(0))
}

/// The columns of a table that both databases have.
struct Columns {
    columns: Vec<(String, ValueType)>,
}

impl Columns {
    fn of(connection: &Connection, table: &str) -> SqlResult<Self> {
        let columns = connection.columns(table)?;
        Ok(Self { columns })
    }

    fn list(&self) -> String {
        let names = self.columns.iter().map(|(name, _)| format!("\"{name}\""));
        names.collect::<Vec<_>>().join(", ")
    }

    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|(name, _)| &**name).collect()
    }

    /// Returns the place of a column, which exists.
    fn place(&self, name: &str) -> usize {
        let mut columns = self.columns.iter();
        columns.position(|(known, _)| known == name).unwrap_or(0)
    }
}

/// A value that is held between reading and writing.
enum OwnValue {
    Null(ValueType),
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl OwnValue {
    fn of(value: Value<'_>, of: ValueType) -> Self {
        match value {
            Value::Null(_) => Self::Null(of),
            Value::Integer(number) => Self::Integer(number),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Blob(bytes) => Self::Blob(bytes.to_owned()),
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Null(of) => Value::Null(*of),
            Self::Integer(number) => Value::Integer(*number),
            Self::Text(text) => Value::Text(text),
            Self::Blob(bytes) => Value::Blob(bytes),
        }
    }
}

fn read_rows(
    connection: &Connection,
    sql: &str,
    params: &[Value<'_>],
    columns: &Columns,
) -> SqlResult<Vec<Vec<OwnValue>>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| {
        let columns = columns.columns.iter().enumerate();
        columns
            .map(|(place, (_, of))| Ok(OwnValue::of(row.value(place)?, *of)))
            .collect()
    })?;
    rows.collect()
}

fn insert(
    connection: &Connection,
    table: &str,
    columns: &Columns,
    rows: &[Vec<OwnValue>],
) -> SqlResult<()> {
    let values: Vec<Vec<Value<'_>>> = rows
        .iter()
        .map(|row| row.iter().map(OwnValue::value).collect())
        .collect();
    connection.insert_into(table, &columns.names(), &values)
}
