//! Alerts and their deliveries. An alert is raised once for each dedup key, also by two servers on
//! one file, and each webhook gets the alerts in the order in which they were raised.

use crate::store::sql::{Connection, OptionalRow, SqlResult, in_transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::StoreError;
use crate::{
    alerts::{Alert, AlertId, GIVE_UP_AFTER, QueuedAlert, RaisedAlert, Webhook, plain_text},
    model::format_seconds,
};

/// Alerts beyond this number, or older than [`MAX_AGE_MS`], are deleted unless they wait to be sent.
const MAX_ALERTS: i64 = 10_000;
const MAX_AGE_MS: i64 = 90 * DAY_MS;
/// Time after [`GIVE_UP_AFTER`] at which a delivery is given up that no server has tried.
const ABANDONED_AFTER_MS: i64 = 3_600_000;
/// Expiring keys that are reported in one look; the next look has the others.
const MAX_EXPIRING_KEYS: i64 = 1_000;
const DAY_MS: i64 = 86_400_000;

/// One statement, so that an alert and its dedup key (by a trigger) are written together inside and
/// outside of a transaction. Indexes: alert_keys' primary key, alerts_by_event, alerts.id UNIQUE.
const RAISE: &str = "INSERT INTO alerts (id, event, created_at_ms, payload, dedup_key, forget_dedup_at_ms) \
     SELECT ?1, ?2, ?3, ?4, ?5, ?6 \
     WHERE NOT EXISTS (SELECT 1 FROM alert_keys WHERE dedup_key = ?5) \
     AND NOT EXISTS (SELECT 1 FROM alerts WHERE event = ?2 AND created_at_ms > ?7) \
     AND NOT EXISTS (SELECT 1 FROM alerts WHERE id = ?1)";
/// A webhook gets the alerts that are raised after a server first had it.
const REGISTER: &str = "INSERT INTO alert_webhooks (webhook, label, last_number) \
     SELECT ?1, ?2, coalesce(max(number), 0) FROM alerts WHERE true ON CONFLICT DO NOTHING";
const HAS_NEW: &str = "SELECT EXISTS (SELECT 1 FROM alerts WHERE number > \
     (SELECT last_number FROM alert_webhooks WHERE webhook = ?1))";
/// Old alerts are left out: a webhook may have been absent for long.
const ENQUEUE: &str = "INSERT INTO alert_deliveries (webhook, number, state) \
     SELECT ?1, number, 'pending' FROM alerts \
     WHERE number > (SELECT last_number FROM alert_webhooks WHERE webhook = ?1) AND created_at_ms > ?2 \
     ON CONFLICT DO NOTHING";
const ADVANCE: &str = "UPDATE alert_webhooks SET last_number = max(last_number, (SELECT max(number) FROM alerts)) \
     WHERE webhook = ?1";
const MARK_SENT_BEFORE: &str = "UPDATE alert_deliveries SET state = 'sent', attempts = 1, sent_at_ms = ?3 \
     WHERE webhook = ?1 AND number = (SELECT number FROM alerts WHERE id = ?2)";
// Index: alert_deliveries_pending.
const FIRST_PENDING: &str = "SELECT number, id, created_at_ms, payload, attempts, max(next_attempt_at_ms, claimed_until_ms) \
     FROM alert_deliveries JOIN alerts USING (number) \
     WHERE webhook = ?1 AND state = 'pending' ORDER BY number LIMIT 1";
const CLAIM: &str = "UPDATE alert_deliveries SET claimed_until_ms = ?4 \
     WHERE webhook = ?1 AND number = ?2 AND state = 'pending' AND max(next_attempt_at_ms, claimed_until_ms) <= ?3";
const FINISH: &str = "UPDATE alert_deliveries SET state = ?3, attempts = attempts + 1, next_attempt_at_ms = ?4, \
     claimed_until_ms = 0, last_error = ?5, sent_at_ms = ?6 \
     WHERE webhook = ?1 AND number = ?2 AND state = 'pending'";
const ABANDON: &str = "UPDATE alert_deliveries SET state = 'failed', \
     last_error = coalesce(last_error, 'no server has sent it') \
     WHERE state = 'pending' AND number IN (SELECT number FROM alerts WHERE created_at_ms < ?1)";
const FORGET_KEYS: &str = "DELETE FROM alert_keys WHERE forget_at_ms < ?1";
const PRUNE: &str = "DELETE FROM alerts \
     WHERE (created_at_ms < ?1 OR number <= (SELECT number FROM alerts ORDER BY number DESC LIMIT 1 OFFSET ?2)) \
     AND NOT EXISTS (SELECT 1 FROM alert_deliveries WHERE alert_deliveries.number = alerts.number AND state = 'pending')";
const LIST: &str =
    "SELECT number, id, created_at_ms, event, payload FROM alerts ORDER BY number DESC LIMIT ?1";
// Index: alert_deliveries_by_alert.
const DELIVERIES: &str = "SELECT coalesce(label, '-'), state, attempts, next_attempt_at_ms, last_error, sent_at_ms \
     FROM alert_deliveries LEFT JOIN alert_webhooks USING (webhook) WHERE number = ?1 ORDER BY label NULLS FIRST, webhook";
/// Keys that expire within so many days, lived longer than that, and were not reported. The dedup
/// key is that of [`Alert::dedup_key`]; a test compares them.
const EXPIRING: &str = "SELECT keys.id, username, display, label, expires_at_ms \
     FROM keys JOIN users ON users.id = keys.user_id \
     WHERE expires_at_ms > ?1 AND expires_at_ms <= ?2 AND revoked_at_ms IS NULL AND is_active = 1 \
     AND expires_at_ms - keys.created_at_ms > ?3 \
     AND NOT EXISTS (SELECT 1 FROM alert_keys \
         WHERE dedup_key = 'key_expires:' || keys.id || ':' || expires_at_ms || ':' || ?4) \
     ORDER BY expires_at_ms LIMIT ?5";

/// A delivery that its webhook's server may attempt now.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery {
    pub number: i64,
    pub alert: RaisedAlert,
    /// Attempts before this one.
    pub attempts: u32,
}

/// What a webhook has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum NextDelivery {
    /// Nothing waits.
    None,
    /// The first one must not be attempted before this Unix time in milliseconds.
    NotBefore(i64),
    Claimed(Delivery),
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    Sent,
    /// It is tried again at this Unix time in milliseconds.
    Retry {
        at_ms: i64,
        error: String,
    },
    GivenUp {
        error: String,
    },
}

/// An entry of `list_alerts`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlertEntry {
    pub id: String,
    /// UTC ISO 8601, as all times here.
    pub at: String,
    pub event: String,
    pub text: String,
    /// The JSON that webhooks get.
    pub payload: Map<String, Value>,
    pub deliveries: Vec<DeliveryEntry>,
}

/// The state of an alert at one webhook.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeliveryEntry {
    /// Scheme and host of the webhook.
    pub webhook: String,
    /// `pending`, `sent` or `failed`.
    pub state: String,
    pub attempts: i64,
    pub next_attempt_at: Option<String>,
    pub last_error: Option<String>,
    pub sent_at: Option<String>,
}

/// Answer to `list_alerts` and of `alert list --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct AlertList {
    pub alerts: Vec<AlertEntry>,
}

/// Raises an alert, inside or outside of a transaction of the caller. Returns whether it is new; an
/// alert with the dedup key of an earlier one is not raised again.
///
/// # Errors
/// If the database fails.
pub fn raise(connection: &Connection, alert: &Alert, now_ms: i64) -> SqlResult<bool> {
    insert(connection, alert, &alert.raised(AlertId::random(), now_ms))
}

fn insert(connection: &Connection, alert: &Alert, raised: &RaisedAlert) -> SqlResult<bool> {
    let quiet_since_ms = match alert.quiet() {
        Some(quiet) => raised.at_ms.saturating_sub(millis(quiet)),
        None => i64::MAX,
    };
    let inserted = connection.prepare_cached(RAISE)?.execute(params![
        raised.id.as_str(),
        alert.event(),
        raised.at_ms,
        raised.payload,
        alert.dedup_key(),
        alert.forget_dedup_at_ms(),
        quiet_since_ms,
    ])?;
    Ok(inserted > 0)
}

/// Raises an alert for a person who tries the webhooks, and returns its entry.
///
/// # Errors
/// If the database fails.
pub fn raise_test(connection: &Connection, now_ms: i64) -> Result<AlertEntry, StoreError> {
    let raised = Alert::Test.raised(AlertId::random(), now_ms);
    insert(connection, &Alert::Test, &raised)?;
    Ok(entry(&raised, Alert::Test.event().to_owned(), Vec::new()))
}

/// Notes which webhooks a server has. One that is new gets no alerts of the past.
///
/// # Errors
/// If the database fails.
pub fn register(connection: &Connection, webhooks: &[Webhook]) -> Result<(), StoreError> {
    for webhook in webhooks {
        connection.execute(REGISTER, params![webhook.id(), webhook.label()])?;
    }
    Ok(())
}

/// Saves queued alerts, and queues everything that is new for the webhooks of a server. It writes
/// nothing if there is nothing new.
///
/// # Errors
/// If the database fails; nothing is saved then.
pub fn save(
    connection: &Connection,
    queued: &[QueuedAlert],
    webhooks: &[Webhook],
    now_ms: i64,
) -> Result<(), StoreError> {
    let mut has_new = !queued.is_empty();
    for webhook in webhooks {
        has_new |= connection
            .prepare_cached(HAS_NEW)?
            .query_row([webhook.id()], |row| row.get::<_, bool>(0))?;
    }
    if !has_new {
        return Ok(());
    }
    in_transaction(connection, || {
        for queued in queued {
            insert(connection, &queued.alert, &queued.raised)?;
        }
        let oldest_ms = now_ms.saturating_sub(millis(GIVE_UP_AFTER));
        for webhook in webhooks {
            let mut enqueue = connection.prepare_cached(ENQUEUE)?;
            enqueue.execute(params![webhook.id(), oldest_ms])?;
            connection
                .prepare_cached(ADVANCE)?
                .execute([webhook.id()])?;
        }
        for queued in queued {
            for webhook in &queued.sent_to {
                let mut mark = connection.prepare_cached(MARK_SENT_BEFORE)?;
                mark.execute(params![webhook, queued.raised.id.as_str(), now_ms])?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Returns what a webhook has to do, and claims its first delivery until a time if it is due. A
/// claim keeps other servers on the file from sending the same alert.
///
/// # Errors
/// If the database fails.
pub fn claim_next(
    connection: &Connection,
    webhook: &str,
    now_ms: i64,
    claimed_until_ms: i64,
) -> Result<NextDelivery, StoreError> {
    let first = connection
        .prepare_cached(FIRST_PENDING)?
        .query_row([webhook], |row| {
            let alert = RaisedAlert {
                id: AlertId::from_text(row.get::<_, String>(1)?),
                at_ms: row.get(2)?,
                payload: row.get(3)?,
            };
            let delivery = Delivery {
                number: row.get(0)?,
                alert,
                attempts: row.get(4)?,
            };
            Ok((delivery, row.get::<_, i64>(5)?))
        })
        .optional()?;
    let Some((delivery, due_ms)) = first else {
        return Ok(NextDelivery::None);
    };
    if due_ms > now_ms {
        return Ok(NextDelivery::NotBefore(due_ms));
    }
    let claimed = connection.prepare_cached(CLAIM)?.execute(params![
        webhook,
        delivery.number,
        now_ms,
        claimed_until_ms
    ])?;
    if claimed == 0 {
        // Another server was faster.
        return Ok(NextDelivery::NotBefore(now_ms));
    }
    Ok(NextDelivery::Claimed(delivery))
}

/// Notes how an attempt ended.
///
/// # Errors
/// If the database fails.
pub fn finish(
    connection: &Connection,
    webhook: &str,
    number: i64,
    attempt: &Attempt,
    now_ms: i64,
) -> Result<(), StoreError> {
    let (state, next_attempt_at_ms, error, sent_at_ms) = match attempt {
        Attempt::Sent => ("sent", 0, None, Some(now_ms)),
        Attempt::Retry { at_ms, error } => ("pending", *at_ms, Some(error), None),
        Attempt::GivenUp { error } => ("failed", 0, Some(error), None),
    };
    connection.prepare_cached(FINISH)?.execute(params![
        webhook,
        number,
        state,
        next_attempt_at_ms,
        error,
        sent_at_ms
    ])?;
    Ok(())
}

/// Raises the alerts of keys that expire soon, gives up deliveries that no server attempts any more,
/// and deletes what is old.
///
/// # Errors
/// If the database fails.
pub fn maintain(connection: &Connection, now_ms: i64) -> Result<(), StoreError> {
    raise_expiring(connection, now_ms)?;
    in_transaction(connection, || {
        let abandoned_ms = now_ms - millis(GIVE_UP_AFTER) - ABANDONED_AFTER_MS;
        connection.execute(ABANDON, [abandoned_ms])?;
        connection.execute(FORGET_KEYS, [now_ms])?;
        connection.execute(PRUNE, [now_ms - MAX_AGE_MS, MAX_ALERTS])
    })?;
    Ok(())
}

/// Raises the alerts of active keys of active users that expire within seven days or one day.
fn raise_expiring(connection: &Connection, now_ms: i64) -> Result<(), StoreError> {
    // A key that expires within a day is not reported as one that expires within seven, too.
    for (days, from_ms) in [(1_u8, now_ms), (7, now_ms.saturating_add(DAY_MS))] {
        let span_ms = i64::from(days) * DAY_MS;
        let mut statement = connection.prepare_cached(EXPIRING)?;
        let range = params![from_ms, now_ms + span_ms, span_ms, days, MAX_EXPIRING_KEYS];
        let expiring = statement.query_map(range, |row| {
            Ok(Alert::KeyExpires {
                key_id: row.get(0)?,
                username: row.get(1)?,
                key: row.get(2)?,
                label: row.get(3)?,
                days,
                expires_at_ms: row.get(4)?,
            })
        })?;
        let expiring = expiring.collect::<SqlResult<Vec<Alert>>>()?;
        if expiring.is_empty() {
            continue;
        }
        in_transaction(connection, || {
            for alert in &expiring {
                raise(connection, alert, now_ms)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Lists alerts, the newest first.
///
/// # Errors
/// If the database fails.
pub fn list(connection: &Connection, limit: i64) -> Result<AlertList, StoreError> {
    let mut statement = connection.prepare_cached(LIST)?;
    let rows = statement.query_map([limit], |row| {
        let number: i64 = row.get(0)?;
        let raised = RaisedAlert {
            id: AlertId::from_text(row.get::<_, String>(1)?),
            at_ms: row.get(2)?,
            payload: row.get(4)?,
        };
        Ok((number, raised, row.get::<_, String>(3)?))
    })?;
    let mut alerts = Vec::new();
    for row in rows {
        let (number, raised, event) = row?;
        alerts.push(entry(&raised, event, deliveries(connection, number)?));
    }
    Ok(AlertList { alerts })
}

fn entry(raised: &RaisedAlert, event: String, deliveries: Vec<DeliveryEntry>) -> AlertEntry {
    // Another text than JSON was written by hand.
    let payload: Map<String, Value> = serde_json::from_str(&raised.payload).unwrap_or_default();
    AlertEntry {
        id: raised.id.to_string(),
        at: format_seconds(raised.at_ms),
        event,
        text: plain_text(&payload),
        payload,
        deliveries,
    }
}

fn deliveries(connection: &Connection, number: i64) -> SqlResult<Vec<DeliveryEntry>> {
    let mut statement = connection.prepare_cached(DELIVERIES)?;
    let rows = statement.query_map([number], |row| {
        let state: String = row.get(1)?;
        let next_attempt_at_ms = Some(row.get::<_, i64>(3)?);
        let next_attempt_at_ms = next_attempt_at_ms.filter(|at| *at > 0 && state == "pending");
        Ok(DeliveryEntry {
            webhook: row.get(0)?,
            state,
            attempts: row.get(2)?,
            next_attempt_at: next_attempt_at_ms.map(format_seconds),
            last_error: row.get(4)?,
            sent_at: row.get::<_, Option<i64>>(5)?.map(format_seconds),
        })
    })?;
    rows.collect()
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
