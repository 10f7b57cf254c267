//! Operations on alerts.

use serde::{Deserialize, Serialize};

use super::{AdminContext, AdminError, Member, Method, Operation};
use crate::{
    model::now_ms,
    store::alerts::{self, AlertEntry, AlertList},
};

/// Number of alerts that are listed if no other is asked for.
const DEFAULT_LIMIT: i64 = 100;
/// The most alerts that a list has, and about the most that are kept.
const MAX_LIMIT: i64 = 10_000;

/// Lists alerts, the newest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ListAlerts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

/// Raises an alert by which an operator sees whether the webhooks get it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TestAlert {}

impl Operation for ListAlerts {
    type Answer = AlertList;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/list_alerts";
    const MEMBERS: &'static [Member] = &[Member::number("limit")];

    fn run(self, context: &AdminContext) -> Result<AlertList, AdminError> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            let message = format!("limit must be a number from 1 to {MAX_LIMIT}");
            return Err(AdminError::field("limit", message));
        }
        Ok(alerts::list(&*context.connection()?, limit)?)
    }
}

impl Operation for TestAlert {
    type Answer = AlertEntry;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/test_alert";
    const MEMBERS: &'static [Member] = &[];

    fn run(self, context: &AdminContext) -> Result<AlertEntry, AdminError> {
        Ok(alerts::raise_test(&*context.connection()?, now_ms())?)
    }
}
