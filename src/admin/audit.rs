//! The operation that compares the ledger with everything that is derived from it.

use std::{collections::BTreeMap, time::Duration};

use crate::store::sql::Connection;
use serde::{Deserialize, Serialize};

use super::{AdminContext, AdminError, Member, Method, Operation};
use crate::{
    limits::{Amounts, SharedLimits, WindowStart},
    model::BudgetWindow,
    store::{
        StoreError,
        audit::{self, Compared},
    },
};

/// Looks at the counters in memory before a difference is believed: rows of another process count
/// within some milliseconds.
const LOOKS: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Replays the ledger and compares.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Audit {}

/// Answer to `audit` and of `audit --json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditReport {
    pub is_consistent: bool,
    pub checks: Vec<AuditCheck>,
}

/// One comparison.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditCheck {
    pub name: String,
    /// Number of sums that were compared.
    pub compared: u64,
    pub different: u64,
    /// The first of those that differ.
    pub differences: Vec<String>,
}

impl Operation for Audit {
    type Answer = AuditReport;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/audit";
    const MEMBERS: &'static [Member] = &[];

    fn run(self, context: &AdminContext) -> Result<AuditReport, AdminError> {
        let connection = context.connection()?;
        // One read transaction: rows and sums of the same moment.
        let snapshot = connection.snapshot().map_err(StoreError::from)?;
        let mut checks = vec![
            check("hourly sums", audit::hourly_sums(&snapshot)?),
            check("daily sums", audit::daily_sums(&snapshot)?),
            check("reports", audit::reports(&snapshot)?),
        ];
        drop(snapshot);
        if let Some(shared) = &context.limits {
            checks.push(check("budgets in memory", budgets(shared, &connection)?));
            checks.push(check("reservations", reservations(shared)));
        }
        Ok(AuditReport {
            is_consistent: checks.iter().all(|check| check.different == 0),
            checks,
        })
    }
}

fn check(name: &str, compared: Compared) -> AuditCheck {
    AuditCheck {
        name: name.to_owned(),
        compared: compared.compared,
        different: compared.different,
        differences: compared.differences,
    }
}

/// Compares what budgets have used in memory with the rows that they have counted.
fn budgets(shared: &SharedLimits, connection: &Connection) -> Result<Compared, StoreError> {
    let mut compared = Compared::default();
    for look in 0..LOOKS {
        if look > 0 {
            std::thread::sleep(PAUSE);
        }
        compared = budgets_now(shared, connection)?;
        if compared.different == 0 {
            break;
        }
    }
    Ok(compared)
}

fn budgets_now(shared: &SharedLimits, connection: &Connection) -> Result<Compared, StoreError> {
    let mut in_memory: BTreeMap<BudgetWindow, (WindowStart, BTreeMap<i64, Amounts>)> =
        BTreeMap::new();
    let counted = shared.with(|limiter| {
        for (start, user_id, used) in limiter.used() {
            let window = in_memory.entry(start.window);
            let (_, users) = window.or_insert_with(|| (start, BTreeMap::new()));
            if used != Amounts::default() {
                users.insert(user_id, used);
            }
        }
        limiter.counted()
    });
    let mut all = Compared::default();
    for (window, (start, users)) in in_memory {
        // A window that has just begun has no rows behind its end.
        let span = (start.start_ms, i64::MAX);
        let mut rows = audit::used_by_rows(connection, span, counted)?;
        rows.retain(|_, used| *used != Amounts::default());
        let of = format!("{} from {}", window.as_str(), start.start_ms);
        let compared = audit::compare_amounts(&of, &rows, &users);
        all.compared += compared.compared;
        all.different += compared.different;
        all.differences.extend(compared.differences);
    }
    Ok(all)
}

/// Checks that nothing is reserved while nothing is in flight.
fn reservations(shared: &SharedLimits) -> Compared {
    let mut compared = Compared::default();
    let counts = shared.with(|limiter| limiter.counts());
    let least = [
        counts.reserved.nano_usd,
        counts.reserved.tokens,
        counts.reserved.requests,
    ];
    for (unit, amount) in ["nano-dollars", "tokens", "requests"]
        .into_iter()
        .zip(least)
    {
        let what = || format!("reserved {unit}, which are never below 0");
        compared.compare(what, amount.max(0), amount);
    }
    compared
}
