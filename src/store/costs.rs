//! Reports of the usage in a window, by user, model, endpoint or day. Whole hours come from the
//! hourly sums, the two edges and what is not summed yet from the raw rows, so that any window is
//! exact and ten million rows take a fraction of a second (docs/benchmarks.md), instead of the 8.5
//! s that summing raw rows took.

use std::{collections::BTreeMap, fmt::Write};

use rusqlite::{Connection, params};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{StoreError, users};
use crate::model::{Dimension, TimeRange};

const MS_PER_HOUR: i64 = 3_600_000;

// Indexes: the primary key of usage_hourly, that of usage_logs for the rows that are not summed yet
// (the `+` keeps the planner from taking the index by time there), and usage_logs_by_time for each
// of the two edges.
const ROWS_IN_WINDOW: &str = "SELECT hour / 24 AS day, user_id, endpoint, model, requests_ok AS ok, \
       input_tokens, output_tokens, cached_tokens, reasoning_tokens, audio_ms, images, \
       estimated_requests, estimated_input_tokens, estimated_output_tokens \
       FROM usage_hourly WHERE hour >= ?1 AND hour < ?2 \
     UNION ALL \
     SELECT started_at_ms / 86400000, user_id, endpoint, model, status BETWEEN 200 AND 299, \
       input_tokens, output_tokens, cached_tokens, reasoning_tokens, audio_ms, images, \
       usage_source = 'estimate' AND status BETWEEN 200 AND 299, \
       iif(usage_source = 'estimate', coalesce(estimated_input_tokens, input_tokens), 0), \
       iif(usage_source = 'estimate', coalesce(estimated_output_tokens, output_tokens), 0) \
       FROM usage_logs WHERE id > (SELECT last_id FROM usage_rollup) \
         AND +started_at_ms >= ?1 * 3600000 AND +started_at_ms < ?2 * 3600000 \
     UNION ALL \
     SELECT started_at_ms / 86400000, user_id, endpoint, model, status BETWEEN 200 AND 299, \
       input_tokens, output_tokens, cached_tokens, reasoning_tokens, audio_ms, images, \
       usage_source = 'estimate' AND status BETWEEN 200 AND 299, \
       iif(usage_source = 'estimate', coalesce(estimated_input_tokens, input_tokens), 0), \
       iif(usage_source = 'estimate', coalesce(estimated_output_tokens, output_tokens), 0) \
       FROM usage_logs WHERE started_at_ms >= ?3 AND started_at_ms < ?4 \
     UNION ALL \
     SELECT started_at_ms / 86400000, user_id, endpoint, model, status BETWEEN 200 AND 299, \
       input_tokens, output_tokens, cached_tokens, reasoning_tokens, audio_ms, images, \
       usage_source = 'estimate' AND status BETWEEN 200 AND 299, \
       iif(usage_source = 'estimate', coalesce(estimated_input_tokens, input_tokens), 0), \
       iif(usage_source = 'estimate', coalesce(estimated_output_tokens, output_tokens), 0) \
       FROM usage_logs WHERE started_at_ms >= ?5 AND started_at_ms < ?6";

/// The choice whether a report splits each user's sums by model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    None,
    ByModel,
}

/// Answer to `list_costs` and of `costs --json`.
#[derive(Debug, Serialize)]
pub struct CostReport {
    pub costs: Vec<UserCosts>,
}

/// The sums of one user.
#[derive(Debug, Serialize)]
pub struct UserCosts {
    pub username: String,
    #[serde(flatten)]
    pub totals: Totals,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_costs: Option<Vec<ModelCosts>>,
}

/// The sums of one user for one model.
#[derive(Debug, Serialize)]
pub struct ModelCosts {
    pub model: String,
    #[serde(flatten)]
    pub totals: Totals,
}

/// Sums split along any dimensions: answer to `list_costs?by=…` and of `costs --by … --json`.
#[derive(Debug, Serialize)]
pub struct SplitReport {
    #[serde(skip)]
    pub by: Vec<Dimension>,
    pub costs: Vec<SplitCosts>,
}

/// The sums of one combination of values, such as one model on one day.
#[derive(Debug)]
pub struct SplitCosts {
    /// The values, in the order of [`SplitReport::by`].
    pub values: Vec<(Dimension, String)>,
    pub totals: Totals,
}

/// Tokens, other things that are billed, and requests that were answered with a 2xx status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub total_input_tokens: i64,
    pub total_output_tokens: i64,
    /// Part of the input tokens.
    pub total_cached_tokens: i64,
    pub total_requests: i64,
    /// Part of the output tokens.
    pub total_reasoning_tokens: i64,
    /// Milliseconds, serialized as seconds.
    #[serde(rename = "total_audio_seconds", serialize_with = "as_seconds")]
    pub total_audio_ms: i64,
    pub total_images: i64,
    /// Number of requests whose usage is estimated, because the backend did not report it. The
    /// token counts below are the estimated parts of the totals above.
    pub estimated_requests: i64,
    pub estimated_input_tokens: i64,
    pub estimated_output_tokens: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::cast_precision_loss)] // serde's signature; a sum of 2^53 ms is no sum
fn as_seconds<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    if ms % 1000 == 0 {
        return serializer.serialize_i64(ms / 1000);
    }
    serializer.serialize_f64(*ms as f64 / 1000.0)
}

impl Totals {
    /// Returns whether nothing was used: no request succeeded, and none that failed used anything.
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.total_input_tokens, other.total_input_tokens),
            (&mut self.total_output_tokens, other.total_output_tokens),
            (&mut self.total_cached_tokens, other.total_cached_tokens),
            (&mut self.total_requests, other.total_requests),
            (
                &mut self.total_reasoning_tokens,
                other.total_reasoning_tokens,
            ),
            (&mut self.total_audio_ms, other.total_audio_ms),
            (&mut self.total_images, other.total_images),
            (&mut self.estimated_requests, other.estimated_requests),
            (
                &mut self.estimated_input_tokens,
                other.estimated_input_tokens,
            ),
            (
                &mut self.estimated_output_tokens,
                other.estimated_output_tokens,
            ),
        ];
        for (sum, other) in pairs {
            *sum = sum.saturating_add(other);
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
        struct Members<'a>(&'a [(Dimension, String)]);
        impl Serialize for Members<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(self.0.len()))?;
                for (dimension, value) in self.0 {
                    map.serialize_entry(dimension.member(), value)?;
                }
                map.end()
            }
        }
        Flat {
            values: Members(&self.values),
            totals: &self.totals,
        }
        .serialize(serializer)
    }
}

/// Returns the sums of every user, or of the one with the name, in a window. Users without usage
/// are listed with zeros.
///
/// # Errors
/// [`StoreError::UnknownUser`] for a name that does not exist, or an error of the database.
pub fn report(
    connection: &mut Connection,
    range: TimeRange,
    split: Split,
    username: Option<&str>,
) -> Result<CostReport, StoreError> {
    // One read transaction: users and sums of the same moment.
    let snapshot = connection.transaction()?;
    let mut users = usernames(&snapshot)?;
    let mut by_user: BTreeMap<i64, Vec<ModelCosts>> = BTreeMap::new();
    for (group, totals) in sums(
        &snapshot,
        Windows::of(range),
        &[Column::User, Column::Model],
    )? {
        // A user removed from the table by hand still has used what it used.
        users
            .entry(group.user_id)
            .or_insert_with(|| deleted_user(group.user_id));
        let models = by_user.entry(group.user_id).or_default();
        // A name that was only ever refused, as one that a client has misspelt, is no model that
        // was used.
        if !totals.is_nothing() {
            models.push(ModelCosts {
                model: group.model,
                totals,
            });
        }
    }
    drop(snapshot);
    if let Some(name) = username {
        users.retain(|_, known| known == name);
        refuse_unknown(&users, name)?;
    }
    let costs = users
        .into_iter()
        .map(|(id, username)| user_costs(username, by_user.remove(&id).unwrap_or_default(), split))
        .collect();
    Ok(CostReport { costs })
}

/// Returns the sums along the dimensions, for all users or the one with the name. Combinations
/// without usage are not listed.
///
/// # Errors
/// [`StoreError::UnknownUser`] for a name that does not exist, or an error of the database.
pub fn split_report(
    connection: &mut Connection,
    range: TimeRange,
    by: &[Dimension],
    username: Option<&str>,
) -> Result<SplitReport, StoreError> {
    let snapshot = connection.transaction()?;
    let users = usernames(&snapshot)?;
    let mut columns: Vec<Column> = by.iter().map(|dimension| Column::of(*dimension)).collect();
    // Needed to pick one user's rows, which are then summed again without it.
    if username.is_some() && !columns.contains(&Column::User) {
        columns.push(Column::User);
    }
    let name_of = |id: i64| users.get(&id).cloned().unwrap_or_else(|| deleted_user(id));
    let mut costs: BTreeMap<Vec<String>, Totals> = BTreeMap::new();
    for (group, totals) in sums(&snapshot, Windows::of(range), &columns)? {
        let user = name_of(group.user_id);
        if username.is_some_and(|name| name != user) {
            continue;
        }
        let values = by.iter().map(|dimension| match dimension {
            Dimension::User => user.clone(),
            Dimension::Model => group.model.clone(),
            Dimension::Endpoint => group.endpoint.clone(),
            Dimension::Day => crate::model::format_utc_date(group.day),
        });
        if !totals.is_nothing() {
            costs.entry(values.collect()).or_default().add(&totals);
        }
    }
    drop(snapshot);
    if let Some(name) = username
        && costs.is_empty()
    {
        let known: BTreeMap<i64, String> = users
            .into_iter()
            .filter(|(_, known)| known == name)
            .collect();
        refuse_unknown(&known, name)?;
    }
    let costs = costs
        .into_iter()
        .map(|(values, totals)| SplitCosts {
            values: by.iter().copied().zip(values).collect(),
            totals,
        })
        .collect();
    Ok(SplitReport {
        by: by.to_owned(),
        costs,
    })
}

fn usernames(connection: &Connection) -> Result<BTreeMap<i64, String>, StoreError> {
    let users = users::list(connection)?;
    Ok(users
        .into_iter()
        .map(|user| (user.id, user.username))
        .collect())
}

fn deleted_user(id: i64) -> String {
    format!("(deleted user {id})")
}

fn refuse_unknown(found: &BTreeMap<i64, String>, name: &str) -> Result<(), StoreError> {
    if found.is_empty() {
        return Err(StoreError::UnknownUser {
            username: name.to_owned(),
        });
    }
    Ok(())
}

fn user_costs(username: String, models: Vec<ModelCosts>, split: Split) -> UserCosts {
    let mut totals = Totals::default();
    for model in &models {
        totals.add(&model.totals);
    }
    UserCosts {
        username,
        totals,
        model_costs: (split == Split::ByModel).then_some(models),
    }
}

/// A column that sums are split along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Day,
    User,
    Endpoint,
    Model,
}

impl Column {
    fn of(dimension: Dimension) -> Self {
        match dimension {
            Dimension::User => Self::User,
            Dimension::Model => Self::Model,
            Dimension::Endpoint => Self::Endpoint,
            Dimension::Day => Self::Day,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::User => "user_id",
            Self::Endpoint => "endpoint",
            Self::Model => "model",
        }
    }
}

/// The values of one group; what was not asked for is empty.
#[derive(Default)]
struct Group {
    /// Days since 1970-01-01.
    day: i64,
    user_id: i64,
    endpoint: String,
    model: String,
}

fn statement(columns: &[Column]) -> String {
    let mut names = String::new();
    for column in columns {
        // Writing to a string cannot fail.
        let _ = write!(names, "{}, ", column.name());
    }
    let groups = names.trim_end_matches(", ");
    format!(
        "SELECT {names}sum(ok), sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(reasoning_tokens), \
         sum(audio_ms), sum(images), sum(estimated_requests), sum(estimated_input_tokens), sum(estimated_output_tokens) FROM ({ROWS_IN_WINDOW}) GROUP BY {groups} ORDER BY {groups}"
    )
}

fn sums(
    connection: &Connection,
    windows: Windows,
    columns: &[Column],
) -> Result<Vec<(Group, Totals)>, StoreError> {
    let mut statement = connection.prepare_cached(&statement(columns))?;
    let sums = statement.query_map(
        params![
            windows.hours.0,
            windows.hours.1,
            windows.head_ms.0,
            windows.head_ms.1,
            windows.tail_ms.0,
            windows.tail_ms.1,
        ],
        |row| {
            let mut group = Group::default();
            for (index, column) in columns.iter().enumerate() {
                match column {
                    Column::Day => group.day = row.get(index)?,
                    Column::User => group.user_id = row.get(index)?,
                    Column::Endpoint => group.endpoint = row.get(index)?,
                    Column::Model => group.model = row.get(index)?,
                }
            }
            let sum = |offset: usize| row.get(columns.len() + offset);
            let totals = Totals {
                total_requests: sum(0)?,
                total_input_tokens: sum(1)?,
                total_output_tokens: sum(2)?,
                total_cached_tokens: sum(3)?,
                total_reasoning_tokens: sum(4)?,
                total_audio_ms: sum(5)?,
                total_images: sum(6)?,
                estimated_requests: sum(7)?,
                estimated_input_tokens: sum(8)?,
                estimated_output_tokens: sum(9)?,
            };
            Ok((group, totals))
        },
    )?;
    Ok(sums.collect::<Result<_, _>>()?)
}

/// The hour of `usage_hourly` that an instant falls into.
fn hour_of(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(MS_PER_HOUR)
}

/// A range cut into whole hours and the raw milliseconds before and after them. All half-open, any
/// of them may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Windows {
    hours: (i64, i64),
    head_ms: (i64, i64),
    tail_ms: (i64, i64),
}

impl Windows {
    fn of(range: TimeRange) -> Self {
        // Far enough for any clock and small enough to multiply.
        const FAR_MS: i64 = 1 << 60;
        let start_ms = range.start_ms().unwrap_or(-FAR_MS).clamp(-FAR_MS, FAR_MS);
        let end_ms = range.end_ms().unwrap_or(FAR_MS).clamp(-FAR_MS, FAR_MS) + 1;
        let first_hour = hour_of(start_ms + MS_PER_HOUR - 1);
        let last_hour = hour_of(end_ms);
        if first_hour >= last_hour {
            return Self {
                hours: (0, 0),
                head_ms: (start_ms, end_ms),
                tail_ms: (0, 0),
            };
        }
        Self {
            hours: (first_hour, last_hour),
            head_ms: (start_ms, first_hour * MS_PER_HOUR),
            tail_ms: (last_hour * MS_PER_HOUR, end_ms),
        }
    }
}

#[cfg(test)]
mod tests;
