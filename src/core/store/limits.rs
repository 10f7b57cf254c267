//! Limits in the database: what is set on users, groups and everybody.

use super::StoreError;
use crate::store::sql::{Connection, Row, SqlResult, Value, params};
use crate::{
    limits::{LimitedUser, SubjectLimits},
    model::{BudgetUnit, BudgetWindow, Extra, Limit, LimitKind, LimitScope, LimitValue, now_ms},
};
use std::{collections::HashMap, sync::Arc};

const ALL: &str = "SELECT scope, subject_id, kind, \"window\", amount, patterns, is_watched FROM limits ORDER BY id";
const ALL_EXTRAS: &str =
    "SELECT scope, subject_id, unit, \"window\", amount, until_ms FROM limit_extras ORDER BY id";
const USERS: &str = "SELECT users.id, username, group_id, groups.name FROM users \
     LEFT JOIN groups ON groups.id = users.group_id WHERE deleted_at_ms IS NULL";
const COLUMNS: &[&str] = &[
    "scope",
    "subject_id",
    "kind",
    "window",
    "amount",
    "patterns",
    "is_watched",
    "set_at_ms",
];
const EXTRA_COLUMNS: &[&str] = &[
    "scope",
    "subject_id",
    "unit",
    "window",
    "amount",
    "until_ms",
    "set_at_ms",
];
// Index: the UNIQUE constraint.
const SET: &str = "INSERT INTO limits (scope, subject_id, kind, \"window\", amount, patterns, is_watched, set_at_ms) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (scope, subject_id, kind, \"window\") DO UPDATE SET \
     amount = excluded.amount, patterns = excluded.patterns, is_watched = excluded.is_watched, set_at_ms = excluded.set_at_ms";
const REMOVE: &str =
    "DELETE FROM limits WHERE scope = ?1 AND subject_id = ?2 AND kind = ?3 AND \"window\" = ?4";
const REMOVE_BUDGETS: &str = "DELETE FROM limits WHERE scope = ?1 AND subject_id = ?2 \
     AND kind IN ('usd_budget', 'token_budget', 'request_budget')";
const ADD_EXTRA: &str = "INSERT INTO limit_extras (scope, subject_id, unit, \"window\", amount, until_ms, set_at_ms) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
// Index: limit_extras_by_subject.
const REMOVE_EXTRAS: &str = "DELETE FROM limit_extras WHERE scope = ?1 AND subject_id = ?2";

/// Everything that is set, and the users that it may apply to.
#[derive(Debug, Default)]
pub struct AllLimits {
    pub subjects: Vec<SubjectLimits>,
    /// Empty if nothing is set.
    pub users: Vec<LimitedUser>,
}

/// Returns all limits.
///
/// # Errors
/// If the database fails.
pub fn read_all(connection: &Connection) -> Result<AllLimits, StoreError> {
    let subjects = subjects(connection)?;
    let users = if subjects.is_empty() {
        Vec::new()
    } else {
        users(connection)?
    };
    Ok(AllLimits { subjects, users })
}

/// Returns what is set on one subject.
///
/// # Errors
/// If the database fails.
pub fn of_subject(connection: &Connection, scope: LimitScope) -> Result<SubjectLimits, StoreError> {
    let mut subjects = subjects(connection)?.into_iter();
    let found = subjects.find(|subject| subject.scope == scope);
    Ok(found.unwrap_or(SubjectLimits {
        scope,
        limits: Vec::new(),
        extras: Vec::new(),
    }))
}

/// Sets a limit, in the place of one of the same kind and window.
///
/// # Errors
/// If the database fails.
pub fn set(connection: &Connection, scope: LimitScope, limit: &Limit) -> Result<(), StoreError> {
    let (word, subject_id) = scope_words(scope);
    let (kind, window) = limit.kind.words();
    let (amount, patterns) = match &limit.value {
        LimitValue::Amount(amount) => (Some(*amount), None),
        LimitValue::Patterns(patterns) => (None, Some(patterns.join(","))),
    };
    let is_watched = limit.is_watched;
    connection.prepare_cached(SET)?.execute(params![
        word,
        subject_id,
        kind,
        window,
        amount,
        patterns,
        is_watched,
        now_ms()
    ])?;
    Ok(())
}

/// Sets limits on subjects that have none, in one statement. Of several of one kind the last holds.
pub(super) fn insert_all(
    connection: &Connection,
    limits: &[(LimitScope, Limit)],
) -> Result<(), StoreError> {
    let last: HashMap<_, _> = limits
        .iter()
        .enumerate()
        .map(|(place, (scope, limit))| ((*scope, limit.kind), place))
        .collect();
    let holds =
        |place: usize, scope: LimitScope, kind: LimitKind| last.get(&(scope, kind)) == Some(&place);
    let now_ms = now_ms();
    let patterns: Vec<Option<String>> = limits
        .iter()
        .map(|(_, limit)| match &limit.value {
            LimitValue::Amount(_) => None,
            LimitValue::Patterns(patterns) => Some(patterns.join(",")),
        })
        .collect();
    let rows = limits.iter().zip(&patterns).enumerate();
    let rows = rows.filter(|(place, ((scope, limit), _))| holds(*place, *scope, limit.kind));
    let rows = rows.map(|(_, ((scope, limit), patterns))| {
        let (word, subject_id) = scope_words(*scope);
        let (kind, window) = limit.kind.words();
        let amount = match &limit.value {
            LimitValue::Amount(amount) => Some(*amount),
            LimitValue::Patterns(_) => None,
        };
        [
            Value::Text(word),
            Value::Integer(subject_id),
            Value::Text(kind),
            Value::Text(window),
            Value::integer(amount),
            Value::text(patterns.as_deref()),
            Value::Integer(i64::from(limit.is_watched)),
            Value::Integer(now_ms),
        ]
    });
    let rows: Vec<_> = rows.collect();
    connection.insert_into("limits", COLUMNS, &rows)?;
    Ok(())
}

/// Adds what raises budgets of subjects, in one statement.
pub(super) fn insert_extras(
    connection: &Connection,
    extras: &[(LimitScope, Extra)],
) -> Result<(), StoreError> {
    let now_ms = now_ms();
    let rows = extras.iter().map(|(scope, extra)| {
        let (word, subject_id) = scope_words(*scope);
        [
            Value::Text(word),
            Value::Integer(subject_id),
            Value::Text(extra.unit.as_str()),
            Value::text(extra.window.map(BudgetWindow::as_str)),
            Value::Integer(extra.amount),
            Value::Integer(extra.until_ms),
            Value::Integer(now_ms),
        ]
    });
    let rows: Vec<_> = rows.collect();
    connection.insert_into("limit_extras", EXTRA_COLUMNS, &rows)?;
    Ok(())
}

/// Removes the limit of a kind.
///
/// # Errors
/// If the database fails.
pub fn remove(
    connection: &Connection,
    scope: LimitScope,
    kind: LimitKind,
) -> Result<(), StoreError> {
    let (word, subject_id) = scope_words(scope);
    let (kind, window) = kind.words();
    let mut statement = connection.prepare_cached(REMOVE)?;
    statement.execute(params![word, subject_id, kind, window])?;
    Ok(())
}

/// Removes all budgets of a subject.
///
/// # Errors
/// If the database fails.
pub fn remove_budgets(connection: &Connection, scope: LimitScope) -> Result<(), StoreError> {
    let (word, subject_id) = scope_words(scope);
    connection
        .prepare_cached(REMOVE_BUDGETS)?
        .execute(params![word, subject_id])?;
    Ok(())
}

/// Raises budgets for a while.
///
/// # Errors
/// If the database fails.
pub fn add_extra(
    connection: &Connection,
    scope: LimitScope,
    extra: &Extra,
) -> Result<(), StoreError> {
    let (word, subject_id) = scope_words(scope);
    connection.prepare_cached(ADD_EXTRA)?.execute(params![
        word,
        subject_id,
        extra.unit.as_str(),
        extra.window.map(BudgetWindow::as_str),
        extra.amount,
        extra.until_ms,
        now_ms()
    ])?;
    Ok(())
}

/// Removes everything that raises budgets of a subject.
///
/// # Errors
/// If the database fails.
pub fn remove_extras(connection: &Connection, scope: LimitScope) -> Result<(), StoreError> {
    let (word, subject_id) = scope_words(scope);
    connection
        .prepare_cached(REMOVE_EXTRAS)?
        .execute(params![word, subject_id])?;
    Ok(())
}

fn subjects(connection: &Connection) -> Result<Vec<SubjectLimits>, StoreError> {
    let mut by_scope: HashMap<LimitScope, (Vec<Limit>, Vec<Extra>)> = HashMap::new();
    let mut statement = connection.prepare_cached(ALL)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let (Some(scope), Some(limit)) = (read_scope(&row)?, read_limit(&row)?) {
            by_scope.entry(scope).or_default().0.push(limit);
        }
    }
    let mut statement = connection.prepare_cached(ALL_EXTRAS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let (Some(scope), Some(extra)) = (read_scope(&row)?, read_extra(&row)?) {
            by_scope.entry(scope).or_default().1.push(extra);
        }
    }
    let mut subjects: Vec<SubjectLimits> = by_scope
        .into_iter()
        .map(|(scope, (limits, extras))| SubjectLimits {
            scope,
            limits,
            extras,
        })
        .collect();
    subjects.sort_by_key(|subject| subject.scope);
    Ok(subjects)
}

/// Returns all users who are not deleted, with their groups.
///
/// # Errors
/// If the database fails.
pub fn users(connection: &Connection) -> Result<Vec<LimitedUser>, StoreError> {
    let mut names: HashMap<i64, Arc<str>> = HashMap::new();
    let mut statement = connection.prepare_cached(USERS)?;
    let mut rows = statement.query([])?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        let group: Option<(i64, String)> = row.get::<_, Option<i64>>(2)?.zip(row.get(3)?);
        let group = group.map(|(id, name)| {
            let name = names.entry(id).or_insert_with(|| name.into());
            (id, Arc::clone(name))
        });
        users.push(LimitedUser {
            id: row.get(0)?,
            name: name.into(),
            group,
        });
    }
    Ok(users)
}

fn scope_words(scope: LimitScope) -> (&'static str, i64) {
    match scope {
        LimitScope::User(id) => ("user", id),
        LimitScope::Group(id) => ("group", id),
        LimitScope::Everybody => ("everybody", 0),
    }
}

/// Reads a scope; `None` for one of a newer version.
fn read_scope(row: &Row<'_>) -> SqlResult<Option<LimitScope>> {
    let id = row.get("subject_id")?;
    Ok(match row.text("scope")? {
        "user" => Some(LimitScope::User(id)),
        "group" => Some(LimitScope::Group(id)),
        "everybody" => Some(LimitScope::Everybody),
        _ => None,
    })
}

fn read_limit(row: &Row<'_>) -> SqlResult<Option<Limit>> {
    let kind = LimitKind::of_words(row.text("kind")?, row.text("window")?);
    let amount: Option<i64> = row.get("amount")?;
    let patterns: Option<String> = row.get("patterns")?;
    let value = match (amount, patterns) {
        (_, Some(patterns)) => {
            LimitValue::Patterns(patterns.split(',').map(str::to_owned).collect())
        }
        (Some(amount), None) => LimitValue::Amount(amount),
        (None, None) => return Ok(None),
    };
    let is_watched = row.get("is_watched")?;
    Ok(kind.map(|kind| Limit {
        kind,
        value,
        is_watched,
    }))
}

fn read_extra(row: &Row<'_>) -> SqlResult<Option<Extra>> {
    let unit: String = row.get("unit")?;
    let window: Option<String> = row.get("window")?;
    let unit = BudgetUnit::ALL
        .into_iter()
        .find(|known| known.as_str() == unit);
    let window = window.and_then(|window| {
        let mut known = BudgetWindow::ALL.into_iter();
        known.find(|known| known.as_str() == window)
    });
    let (amount, until_ms) = (row.get("amount")?, row.get("until_ms")?);
    Ok(unit.map(|unit| Extra {
        unit,
        window,
        amount,
        until_ms,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TestDatabase;

    #[test]
    fn limits_are_set_replaced_and_removed() {
        let database = TestDatabase::new();
        let store = database.open();
        let connection = store.connection().unwrap();
        let budget = |text: &str| text.parse::<Limit>().unwrap();
        let scope = LimitScope::Group(3);
        set(&connection, scope, &budget("20usd/month")).unwrap();
        set(&connection, scope, &budget("30usd/month")).unwrap();
        set(&connection, scope, &budget("5requests/day")).unwrap();
        let models = Limit::parse(LimitKind::Models, "gpt-4*,o4-mini", true).unwrap();
        set(&connection, scope, &models).unwrap();
        let extra = Extra::parse("5usd", 77).unwrap();
        add_extra(&connection, scope, &extra).unwrap();
        let found = of_subject(&connection, scope).unwrap();
        assert_eq!(
            found.limits,
            [
                budget("30usd/month"),
                budget("5requests/day"),
                models.clone()
            ]
        );
        assert_eq!(found.extras, [extra]);
        remove_budgets(&connection, scope).unwrap();
        remove_extras(&connection, scope).unwrap();
        let found = of_subject(&connection, scope).unwrap();
        assert_eq!((found.limits, found.extras), (vec![models], vec![]));
        remove(&connection, scope, LimitKind::Models).unwrap();
        assert!(read_all(&connection).unwrap().subjects.is_empty());
    }
}
