//! Reports of usage and cost.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{AdminContext, AdminError, Member, Method, Operation};
use crate::{
    model::{Calendar, Dimension, TimeError, TimeRange, now_ms},
    store::reports::{self, Ranking, Scope, SortBy, Split},
};

/// Reports usage and cost. Without `by` it lists every user.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ListCosts {
    #[serde(flatten)]
    pub window: Window,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_model: Option<bool>,
    /// Dimensions, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<i64>,
}

/// The window of a report: one of the ways in which people name one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Window {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_hours: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// `today`, `yesterday`, `month`, `2026-11` and the like, in the configured time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// An age such as `7d`, or a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

impl Window {
    /// Returns the range of time.
    pub fn parse(&self, calendar: &Calendar) -> Result<TimeRange, AdminError> {
        let now_ms = now_ms();
        let has_bounds =
            self.last_hours.is_some() || self.start_time.is_some() || self.end_time.is_some();
        let range = match (has_bounds, &self.period, &self.since) {
            (_, None, None) => TimeRange::parse(
                self.last_hours.as_deref(),
                self.start_time.as_deref(),
                self.end_time.as_deref(),
                now_ms,
            ),
            (false, Some(period), None) => calendar.parse_period(period, now_ms),
            (false, None, Some(since)) => calendar.parse_since(since, now_ms),
            _ => Err(TimeError::TwoRanges),
        };
        range.map_err(|error| AdminError::field(error.field(), error.to_string()))
    }
}

impl Operation for ListCosts {
    /// A [`reports::CostReport`], or with `by` a [`reports::SplitReport`].
    type Answer = Box<RawValue>;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/list_costs";
    const MEMBERS: &'static [Member] = &[
        Member::text("last_hours"),
        Member::text("start_time"),
        Member::text("end_time"),
        Member::text("period"),
        Member::text("since"),
        Member::flag("by_model"),
        Member::text("by"),
        Member::text("username"),
        Member::text("group"),
        Member::text("sort"),
        Member::number("top"),
    ];

    fn run(self, context: &AdminContext) -> Result<Box<RawValue>, AdminError> {
        let scope = Scope {
            range: self.window.parse(&context.calendar)?,
            calendar: context.calendar.clone(),
            username: self.username.map(|name| name.trim().to_owned()),
            group: self.group,
            user_id: None,
        };
        let by = Dimension::parse_list(self.by.as_deref().unwrap_or_default())
            .map_err(|error| AdminError::field("by", error.to_string()))?;
        let split = if self.by_model == Some(true) {
            Split::ByModel
        } else {
            Split::None
        };
        if !by.is_empty() && split == Split::ByModel {
            let message = "by and by_model cannot be used together";
            return Err(AdminError::field("by", message));
        }
        let ranking = Ranking {
            sort: self.sort.as_deref().map(sort_by).transpose()?,
            top: self.top.map(top).transpose()?,
        };
        let mut connection = context.connection()?;
        let report = if by.is_empty() {
            let report = reports::report(&mut connection, &scope, split, ranking)?;
            to_raw_value(&report)
        } else {
            let report = reports::split_report(&mut connection, &scope, &by, ranking)?;
            to_raw_value(&report)
        };
        report.map_err(|error| AdminError::field("by", error.to_string()))
    }
}

fn sort_by(word: &str) -> Result<SortBy, AdminError> {
    SortBy::parse(word).ok_or_else(|| {
        let message = "sort must be cost, tokens, requests or name";
        AdminError::field("sort", message)
    })
}

fn top(number: i64) -> Result<usize, AdminError> {
    usize::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| AdminError::field("top", "top must be a number from 1 on"))
}
