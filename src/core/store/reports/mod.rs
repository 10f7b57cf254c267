//! Reports of usage and cost in a window: of each user, or split along any dimensions. The HTTP API,
//! the command line and a user's own view all come of these functions.

mod sums;
mod totals;

#[cfg(test)]
mod tests;

use crate::store::sql::Connection;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
    ser::SerializeMap,
};
use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    StoreError, groups, keys, prices,
    users::{self, KnownUser},
};
use crate::model::{Calendar, Dimension, TimeRange};

pub use totals::Totals;

use sums::{Column, Group, Query, sums};

/// The label of usage whose user is in no group.
pub const NO_GROUP: &str = "-";

/// Whose usage a report is about.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub range: TimeRange,
    pub calendar: Calendar,
    /// Only users of this name.
    pub username: Option<String>,
    /// Only users who are in this group now.
    pub group: Option<String>,
    /// Only the user with this id.
    pub user_id: Option<i64>,
}

/// The order of a report's lines, and how many there are at most.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ranking {
    pub sort: Option<SortBy>,
    pub top: Option<usize>,
}

/// What lines are sorted by: the largest first, names from A to Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    Cost,
    Tokens,
    Requests,
    Name,
}

/// The choice whether a report splits each user's sums by model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    None,
    ByModel,
}

/// Answer to `list_costs` and of `costs --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct CostReport {
    pub costs: Vec<UserCosts>,
    /// The sums of all lines, also of those that `top` leaves out.
    pub total: Totals,
}

/// The sums of one user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserCosts {
    pub username: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_deleted: bool,
    #[serde(flatten)]
    pub totals: Totals,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_costs: Option<Vec<ModelCosts>>,
}

/// The sums of one user for one model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelCosts {
    pub model: String,
    /// The model whose price was taken, if that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priced_as: Option<String>,
    #[serde(flatten)]
    pub totals: Totals,
}

/// Sums split along any dimensions: answer to `list_costs?by=…` and of `costs --by … --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct SplitReport {
    pub costs: Vec<SplitCosts>,
    /// The sums of all lines, also of those that `top` leaves out.
    pub total: Totals,
}

/// The sums of one combination of values, such as one model on one day.
#[derive(Debug, Clone)]
pub struct SplitCosts {
    /// The values, in the order in which they were asked for.
    pub values: Vec<(Dimension, String)>,
    /// The user of this name is deleted.
    pub is_deleted: bool,
    /// The model whose price was taken, if that is another one.
    pub priced_as: Option<String>,
    pub totals: Totals,
}

/// Returns the sums of every user of the scope. Users without usage are listed with zeros.
///
/// # Errors
/// [`StoreError::UnknownUser`] or [`StoreError::UnknownGroup`], or an error of the database.
pub fn report(
    connection: &mut Connection,
    scope: &Scope,
    split: Split,
    ranking: Ranking,
) -> Result<CostReport, StoreError> {
    // One read transaction: users and sums of the same moment.
    let snapshot = connection.snapshot()?;
    let users = UsersInScope::of(&snapshot, scope)?;
    let mut by_user: BTreeMap<i64, Vec<ModelCosts>> = BTreeMap::new();
    let columns = [Column::User, Column::Model];
    let priced_as = prices::substitutes(&snapshot)?;
    for (group, values) in sums(&snapshot, &users.query(scope, &columns))?.groups {
        let models = by_user.entry(group.user_id).or_default();
        let totals = Totals::of(&values);
        // A name that was only ever refused, as one that a client has misspelt, is no model that
        // was used.
        if !totals.is_nothing() {
            models.push(ModelCosts {
                priced_as: priced_as.get(&group.model).cloned(),
                model: group.model,
                totals,
            });
        }
    }
    drop(snapshot);
    let mut listed = users.known;
    listed.retain(|id, user| !user.is_deleted || by_user.contains_key(id));
    for id in by_user.keys() {
        // A user removed from the table by hand still has used what it used.
        listed.entry(*id).or_insert_with(|| removed_user(*id));
    }
    let costs: Vec<UserCosts> = listed
        .into_iter()
        .map(|(id, user)| user_costs(user, by_user.remove(&id).unwrap_or_default(), split))
        .collect();
    let total = total_of(costs.iter().map(|user| &user.totals));
    let costs = ranked(costs, ranking, |user| (&user.totals, user.username.clone()));
    Ok(CostReport { costs, total })
}

/// Returns the sums of each user who has any, by id. It reads in the caller's transaction.
///
/// # Errors
/// If the database fails.
pub fn totals_by_user(
    connection: &Connection,
    range: TimeRange,
) -> Result<Vec<(i64, Totals)>, StoreError> {
    let query = Query {
        range,
        columns: &[Column::User],
        ..Query::default()
    };
    let groups = sums(connection, &query)?.groups.into_iter();
    Ok(groups
        .map(|(group, values)| (group.user_id, Totals::of(&values)))
        .collect())
}

/// Returns the sums along the dimensions. Combinations without usage are not listed.
///
/// # Errors
/// [`StoreError::UnknownUser`] or [`StoreError::UnknownGroup`], or an error of the database.
pub fn split_report(
    connection: &mut Connection,
    scope: &Scope,
    by: &[Dimension],
    ranking: Ranking,
) -> Result<SplitReport, StoreError> {
    let snapshot = connection.snapshot()?;
    let users = UsersInScope::of(&snapshot, scope)?;
    let labels = Labels {
        groups: groups::names(&snapshot)?,
        keys: if by.contains(&Dimension::Key) {
            keys::names(&snapshot)?
        } else {
            BTreeMap::new()
        },
        users: users::names(&snapshot)?,
    };
    let mut columns: Vec<Column> = Vec::new();
    for column in by.iter().map(|dimension| Column::of(*dimension)) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let sums = sums(&snapshot, &users.query(scope, &columns))?;
    let priced_as = prices::substitutes(&snapshot)?;
    drop(snapshot);
    let mut lines: BTreeMap<Vec<Label>, SplitCosts> = BTreeMap::new();
    for (group, values) in sums.groups {
        let totals = Totals::of(&values);
        if totals.is_nothing() {
            continue;
        }
        let values: Vec<Label> = by
            .iter()
            .map(|dimension| match (dimension, &sums.periods) {
                (Dimension::Period(_), Some(periods)) => Label {
                    period: group.period,
                    name: periods.label(group.period),
                    id: 0,
                },
                (other, _) => labels.of(*other, &group),
            })
            .collect();
        let line = lines.entry(values).or_insert_with_key(|values| SplitCosts {
            values: by
                .iter()
                .copied()
                .zip(values.iter().map(|label| label.name.clone()))
                .collect(),
            is_deleted: by.contains(&Dimension::User) && labels.is_deleted(group.user_id),
            priced_as: priced_as
                .get(&group.model)
                .filter(|_| by.contains(&Dimension::Model))
                .cloned(),
            totals: Totals::default(),
        });
        line.totals.add(&totals);
    }
    let total = total_of(lines.values().map(|line| &line.totals));
    let costs = ranked(lines.into_values().collect(), ranking, |line| {
        let name: Vec<&str> = line
            .values
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        (&line.totals, name.join("\n"))
    });
    Ok(SplitReport { costs, total })
}

/// The users that a report is about.
struct UsersInScope {
    known: BTreeMap<i64, KnownUser>,
    is_everybody: bool,
}

impl UsersInScope {
    fn of(connection: &Connection, scope: &Scope) -> Result<Self, StoreError> {
        let mut known = users::names(connection)?;
        if let Some(id) = scope.user_id {
            known.retain(|known, _| *known == id);
        }
        if let Some(name) = &scope.username {
            known.retain(|_, user| user.username == *name);
            if known.is_empty() {
                return Err(StoreError::UnknownUser {
                    username: name.clone(),
                });
            }
        }
        if let Some(group) = &scope.group {
            let group_id = groups::find(connection, group)?;
            known.retain(|_, user| user.group_id == Some(group_id));
        }
        Ok(Self {
            known,
            is_everybody: scope.user_id.is_none()
                && scope.username.is_none()
                && scope.group.is_none(),
        })
    }

    fn query<'a>(&self, scope: &Scope, columns: &'a [Column]) -> Query<'a> {
        Query {
            range: scope.range,
            columns,
            calendar: scope.calendar.clone(),
            user_ids: (!self.is_everybody).then(|| self.known.keys().copied().collect()),
        }
    }
}

/// A value of a line, in the order of lines: spans of time as they follow each other, others by
/// name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label {
    /// Place among the periods; 0 for others.
    period: usize,
    name: String,
    /// Tells values of the same name apart.
    id: i64,
}

/// The names behind ids.
struct Labels {
    users: BTreeMap<i64, KnownUser>,
    groups: BTreeMap<i64, String>,
    keys: BTreeMap<i64, String>,
}

impl Labels {
    fn of(&self, dimension: Dimension, group: &Group) -> Label {
        let (name, id) = match dimension {
            Dimension::User => {
                let user = self.users.get(&group.user_id);
                let name = user.map(|user| user.username.clone());
                let name = name.unwrap_or_else(|| removed_user(group.user_id).username);
                (name, group.user_id)
            }
            Dimension::Group => {
                let user = self.users.get(&group.user_id);
                let group_id = user.and_then(|user| user.group_id);
                let name = group_id.and_then(|id| self.groups.get(&id));
                let name = name.map_or(NO_GROUP, String::as_str);
                (name.to_owned(), group_id.unwrap_or(0))
            }
            Dimension::Key => {
                let id = group.key_id;
                let name = self.keys.get(&id).cloned();
                (name.unwrap_or_else(|| format!("{id}:(removed)")), id)
            }
            Dimension::Model => (group.model.clone(), 0),
            Dimension::Endpoint => (group.endpoint.clone(), 0),
            Dimension::Period(_) => (String::new(), 0),
        };
        Label {
            period: 0,
            name,
            id,
        }
    }

    fn is_deleted(&self, user_id: i64) -> bool {
        self.users.get(&user_id).is_none_or(|user| user.is_deleted)
    }
}

/// The user of rows whose user was removed from the table by hand.
fn removed_user(id: i64) -> KnownUser {
    KnownUser {
        username: crate::model::name_of_removed(id),
        is_deleted: true,
        group_id: None,
        is_active: false,
    }
}

fn user_costs(user: KnownUser, models: Vec<ModelCosts>, split: Split) -> UserCosts {
    UserCosts {
        username: user.username,
        is_deleted: user.is_deleted,
        totals: total_of(models.iter().map(|model| &model.totals)),
        model_costs: (split == Split::ByModel).then_some(models),
    }
}

fn total_of<'a>(all: impl Iterator<Item = &'a Totals>) -> Totals {
    let mut total = Totals::default();
    for totals in all {
        total.add(totals);
    }
    total
}

/// Sorts lines and keeps the first of them. Lines with equal figures keep their order.
fn ranked<T>(
    mut lines: Vec<T>,
    ranking: Ranking,
    key: impl for<'a> Fn(&'a T) -> (&'a Totals, String),
) -> Vec<T> {
    match ranking.sort {
        None => {}
        Some(SortBy::Cost) => lines.sort_by_key(|line| Reverse(key(line).0.cost)),
        Some(SortBy::Tokens) => lines.sort_by_key(|line| Reverse(key(line).0.tokens())),
        Some(SortBy::Requests) => lines.sort_by_key(|line| Reverse(key(line).0.requests)),
        Some(SortBy::Name) => lines.sort_by_key(|line| key(line).1),
    }
    if let Some(top) = ranking.top {
        lines.truncate(top);
    }
    lines
}

impl SortBy {
    /// Returns the order for its word; `None` for another word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.trim().to_ascii_lowercase().as_str() {
            "cost" => Some(Self::Cost),
            "tokens" => Some(Self::Tokens),
            "requests" => Some(Self::Requests),
            "name" => Some(Self::Name),
            _ => None,
        }
    }
}

/// The dimensions' values and the totals are members of one object.
impl Serialize for SplitCosts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            #[serde(flatten)]
            values: Members<'a>,
            #[serde(flatten)]
            totals: &'a Totals,
        }
        struct Members<'a>(&'a SplitCosts);
        impl Serialize for Members<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                for (dimension, value) in &self.0.values {
                    map.serialize_entry(dimension.member(), value)?;
                }
                if self.0.is_deleted {
                    map.serialize_entry("is_deleted", &true)?;
                }
                if let Some(model) = &self.0.priced_as {
                    map.serialize_entry("priced_as", model)?;
                }
                map.end()
            }
        }
        Flat {
            values: Members(self),
            totals: &self.totals,
        }
        .serialize(serializer)
    }
}

/// Reads the values in the order of the members.
impl<'de> Deserialize<'de> for SplitCosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Line;
        impl<'de> Visitor<'de> for Line {
            type Value = SplitCosts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SplitCosts, A::Error> {
                let mut values = Vec::new();
                let (mut is_deleted, mut priced_as) = (false, None);
                let mut totals = serde_json::Map::new();
                while let Some(name) = map.next_key::<String>()? {
                    let word = if name == "username" { "user" } else { &name };
                    if let Ok(dimension) = word.parse::<Dimension>() {
                        values.push((dimension, map.next_value()?));
                    } else if name == "is_deleted" {
                        is_deleted = map.next_value()?;
                    } else if name == "priced_as" {
                        priced_as = map.next_value()?;
                    } else if name.starts_with("total_") || name.contains('_') {
                        totals.insert(name, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                let totals = serde_json::from_value(totals.into()).map_err(A::Error::custom)?;
                Ok(SplitCosts {
                    values,
                    is_deleted,
                    priced_as,
                    totals,
                })
            }
        }
        deserializer.deserialize_map(Line)
    }
}
