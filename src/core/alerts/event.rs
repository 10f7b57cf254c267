//! The events that an operator should know about: their names, their texts for people, their JSON,
//! and which of them count as the same.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::format_seconds;

const DAY_MS: i64 = 86_400_000;

/// Something that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alert {
    /// A budget is used up to a threshold.
    BudgetThreshold {
        scope: BudgetScope,
        /// The id of the user or group, which stays if it is renamed.
        subject_id: i64,
        /// The name of the user or group.
        name: String,
        /// The budget as it is set, such as `20usd/month`.
        budget: String,
        /// When the window began, as Unix milliseconds. `None` for a budget without an end.
        window_start_ms: Option<i64>,
        /// When the next window begins. `None` for a budget without an end.
        resets_at_ms: Option<i64>,
        /// The threshold: 50, 80, 95 or 100.
        percent: u8,
        /// What is used and what may be used, with the unit only in the second: `16.02`, `20.00 USD`.
        used: String,
        limit: String,
        /// Whether the budget only counts, and refuses nothing.
        is_watched: bool,
    },
    /// Usage rows cannot be written.
    LedgerFailing { reason: String },
    /// Usage rows can be written again.
    LedgerRecovered { failing: Duration },
    /// The backend refuses `OPENAI_API_KEY`.
    BackendRefusesKey { status: u16 },
    /// A key stops working soon.
    KeyExpires {
        key_id: i64,
        username: String,
        /// First and last characters.
        key: String,
        label: Option<String>,
        /// The threshold: 7 or 1.
        days: u8,
        expires_at_ms: i64,
    },
    /// An operator tries whether alerts arrive.
    Test,
}

/// What a budget is set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetScope {
    User,
    Group,
}

/// The name of an alert, by which a receiver knows that it got one twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AlertId(String);

/// An alert as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaisedAlert {
    pub id: AlertId,
    pub at_ms: i64,
    /// The body of the POST: a JSON object.
    pub payload: String,
}

impl AlertId {
    /// Makes an id of 64 random bits.
    #[must_use]
    pub fn random() -> Self {
        // The keys of the hash are random (std::hash::RandomState), and there is no failure to
        // handle while the reason of the alert may be a machine in trouble.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_i64(crate::model::now_ms());
        Self(format!("{:016x}", hasher.finish()))
    }

    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl BudgetScope {
    fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }
}

impl Alert {
    /// The name of the event in JSON.
    #[must_use]
    pub fn event(&self) -> &'static str {
        match self {
            Self::BudgetThreshold { .. } => "budget_threshold",
            Self::LedgerFailing { .. } => "ledger_failing",
            Self::LedgerRecovered { .. } => "ledger_recovered",
            Self::BackendRefusesKey { .. } => "backend_refuses_key",
            Self::KeyExpires { .. } => "key_expires",
            Self::Test => "test",
        }
    }

    /// Returns one sentence for people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::BudgetThreshold {
                scope,
                name,
                budget,
                resets_at_ms,
                percent,
                used,
                limit,
                is_watched,
                ..
            } => {
                let who = match scope {
                    BudgetScope::User => name.clone(),
                    BudgetScope::Group => format!("Group {name}"),
                };
                let watched = if *is_watched {
                    ", which only counts"
                } else {
                    ""
                };
                let end = match (resets_at_ms, *percent >= 100, is_watched) {
                    (Some(at), true, false) => {
                        format!("requests are refused until {}", format_seconds(*at))
                    }
                    (None, true, false) => "requests are refused from now on".to_owned(),
                    (Some(at), ..) => format!("it resets at {}", format_seconds(*at)),
                    (None, ..) => "it does not reset".to_owned(),
                };
                format!(
                    "{who} has used {percent} % of {budget}{watched} ({used} of {limit}); {end}"
                )
            }
            Self::LedgerFailing { reason } => {
                format!("llmproxy cannot write its ledger, and tries again: {reason}")
            }
            Self::LedgerRecovered { failing } => {
                let seconds = failing.as_secs().max(1);
                format!("llmproxy writes its ledger again, after {seconds} s")
            }
            Self::BackendRefusesKey { status } => format!(
                "The backend refuses the key of llmproxy (status {status}): set a valid OPENAI_API_KEY and restart"
            ),
            Self::KeyExpires {
                username,
                key,
                label,
                days,
                expires_at_ms,
                ..
            } => {
                let label = label.as_ref().map(|label| format!(" ({label})"));
                let within = if *days == 1 { "day" } else { "days" };
                format!(
                    "The key {key}{} of {username} expires within {days} {within}, at {}",
                    label.unwrap_or_default(),
                    format_seconds(*expires_at_ms)
                )
            }
            Self::Test => "This is a test alert of llmproxy".to_owned(),
        }
    }

    /// Returns the members of the JSON that only this event has.
    fn facts(&self) -> Value {
        match self {
            Self::BudgetThreshold {
                scope,
                name,
                budget,
                window_start_ms,
                resets_at_ms,
                percent,
                used,
                limit,
                is_watched,
                ..
            } => json!({
                "scope": scope,
                "name": name,
                "budget": budget,
                "window_start": window_start_ms.map(format_seconds),
                "resets_at": resets_at_ms.map(format_seconds),
                "percent": percent,
                "used": used,
                "limit": limit,
                "watched": is_watched,
            }),
            Self::LedgerFailing { reason } => json!({ "reason": reason }),
            Self::LedgerRecovered { failing } => json!({ "failing_seconds": failing.as_secs() }),
            Self::BackendRefusesKey { status } => json!({ "status": status }),
            Self::KeyExpires {
                key_id,
                username,
                key,
                label,
                days,
                expires_at_ms,
            } => json!({
                "key_id": key_id,
                "username": username,
                "key": key,
                "label": label,
                "days": days,
                "expires_at": format_seconds(*expires_at_ms),
            }),
            Self::Test => json!({}),
        }
    }

    /// Returns the alert as it is stored and sent.
    #[must_use]
    pub fn raised(&self, id: AlertId, at_ms: i64) -> RaisedAlert {
        let mut payload = Map::new();
        payload.insert("text".to_owned(), escaped(&self.text()).into());
        payload.insert("event".to_owned(), self.event().into());
        payload.insert("id".to_owned(), id.as_str().into());
        payload.insert("at".to_owned(), format_seconds(at_ms).into());
        if let Value::Object(facts) = self.facts() {
            payload.extend(facts);
        }
        RaisedAlert {
            id,
            at_ms,
            payload: Value::Object(payload).to_string(),
        }
    }

    /// Returns the key that all alerts have which count as this one. `None` if each counts.
    #[must_use]
    pub fn dedup_key(&self) -> Option<String> {
        match self {
            Self::BudgetThreshold {
                scope,
                subject_id,
                budget,
                window_start_ms,
                percent,
                limit,
                ..
            } => Some(format!(
                "budget_threshold:{}:{subject_id}:{budget}:{limit}:{}:{percent}",
                scope.word(),
                window_start_ms.unwrap_or(0)
            )),
            Self::KeyExpires {
                key_id,
                days,
                expires_at_ms,
                ..
            } => Some(format!("key_expires:{key_id}:{expires_at_ms}:{days}")),
            _ => None,
        }
    }

    /// Returns the Unix time in milliseconds from which on the key cannot come up again. `None` if
    /// it always can.
    #[must_use]
    pub fn forget_dedup_at_ms(&self) -> Option<i64> {
        match self {
            // A request belongs to the window in which it was admitted, and may run for long.
            Self::BudgetThreshold { resets_at_ms, .. } => {
                resets_at_ms.map(|at| at.saturating_add(7 * DAY_MS))
            }
            Self::KeyExpires { expires_at_ms, .. } => Some(expires_at_ms.saturating_add(DAY_MS)),
            _ => None,
        }
    }

    /// Returns the time for which one alert of this event stands for all that come.
    #[must_use]
    pub fn quiet(&self) -> Option<Duration> {
        matches!(self, Self::BackendRefusesKey { .. }).then_some(Duration::from_secs(3600))
    }
}

/// Escapes the three characters by which a text could call people or link in Slack
/// (docs.slack.dev, "Formatting message text"). Names of users come from outside.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Returns the text of an alert's JSON as people read it.
#[must_use]
pub fn plain_text(payload: &Map<String, Value>) -> String {
    let text = payload.get("text").and_then(Value::as_str);
    let text = text.unwrap_or_default();
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_MS: i64 = 1_796_083_200_000;

    fn budget(percent: u8, is_watched: bool, resets_at_ms: Option<i64>) -> Alert {
        Alert::BudgetThreshold {
            scope: BudgetScope::User,
            subject_id: 7,
            name: "alice".to_owned(),
            budget: "20usd/month".to_owned(),
            window_start_ms: Some(AT_MS - 30 * DAY_MS),
            resets_at_ms,
            percent,
            used: "16.02".to_owned(),
            limit: "20.00 USD".to_owned(),
            is_watched,
        }
    }

    #[test]
    fn texts_are_sentences() {
        let key = |days, label: Option<&str>| Alert::KeyExpires {
            key_id: 3,
            username: "bob".to_owned(),
            key: "llmp-12ab…cdef".to_owned(),
            label: label.map(str::to_owned),
            days,
            expires_at_ms: AT_MS,
        };
        let mut group = budget(80, true, Some(AT_MS));
        if let Alert::BudgetThreshold { scope, name, .. } = &mut group {
            *scope = BudgetScope::Group;
            *name = "course-7".to_owned();
        }
        let texts: Vec<String> = [
            budget(80, false, Some(AT_MS)),
            budget(100, false, Some(AT_MS)),
            budget(100, false, None),
            group,
            Alert::LedgerFailing {
                reason: "the disk is full".to_owned(),
            },
            Alert::LedgerRecovered {
                failing: Duration::from_millis(300),
            },
            Alert::BackendRefusesKey { status: 401 },
            key(7, Some("laptop")),
            key(1, None),
            Alert::Test,
        ]
        .iter()
        .map(Alert::text)
        .collect();
        insta::assert_snapshot!(texts.join("\n"), @r#"
        alice has used 80 % of 20usd/month (16.02 of 20.00 USD); it resets at 2026-12-01T00:00:00Z
        alice has used 100 % of 20usd/month (16.02 of 20.00 USD); requests are refused until 2026-12-01T00:00:00Z
        alice has used 100 % of 20usd/month (16.02 of 20.00 USD); requests are refused from now on
        Group course-7 has used 80 % of 20usd/month, which only counts (16.02 of 20.00 USD); it resets at 2026-12-01T00:00:00Z
        llmproxy cannot write its ledger, and tries again: the disk is full
        llmproxy writes its ledger again, after 1 s
        The backend refuses the key of llmproxy (status 401): set a valid OPENAI_API_KEY and restart
        The key llmp-12ab…cdef (laptop) of bob expires within 7 days, at 2026-12-01T00:00:00Z
        The key llmp-12ab…cdef of bob expires within 1 day, at 2026-12-01T00:00:00Z
        This is a test alert of llmproxy
        "#);
    }

    #[test]
    fn the_json_has_a_text_for_slack_beside_the_facts() {
        let mut alert = budget(80, false, Some(AT_MS));
        if let Alert::BudgetThreshold { name, .. } = &mut alert {
            "<!channel> & co".clone_into(name);
        }
        let raised = alert.raised(AlertId::from_text("00ff"), AT_MS);
        insta::assert_snapshot!(raised.payload, @r#"{"at":"2026-12-01T00:00:00Z","budget":"20usd/month","event":"budget_threshold","id":"00ff","limit":"20.00 USD","name":"<!channel> & co","percent":80,"resets_at":"2026-12-01T00:00:00Z","scope":"user","text":"&lt;!channel&gt; &amp; co has used 80 % of 20usd/month (16.02 of 20.00 USD); it resets at 2026-12-01T00:00:00Z","used":"16.02","watched":false,"window_start":"2026-11-01T00:00:00Z"}"#);
    }

    #[test]
    fn a_budget_is_reported_once_for_each_window_threshold_and_limit() {
        let key = |alert: &Alert| alert.dedup_key().unwrap();
        let first = budget(80, false, Some(AT_MS));
        let mut renamed = first.clone();
        if let Alert::BudgetThreshold { name, used, .. } = &mut renamed {
            "alicia".clone_into(name);
            "17.00".clone_into(used);
        }
        assert_eq!(key(&first), key(&renamed));
        let mut raised = first.clone();
        if let Alert::BudgetThreshold { limit, .. } = &mut raised {
            "40.00 USD".clone_into(limit);
        }
        assert_ne!(key(&first), key(&raised));
        assert_ne!(key(&first), key(&budget(95, false, Some(AT_MS))));
        assert_eq!(Alert::Test.dedup_key(), None);
    }

    #[test]
    fn ids_differ() {
        assert_ne!(AlertId::random(), AlertId::random());
    }
}
