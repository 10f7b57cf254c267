//! What users have used today, for those who look at it again and again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{AdminContext, AdminError};
use crate::{
    model::{NanoUsd, name_of_removed, now_ms},
    store::{StoreError, groups, reports, users},
};

/// The least age at which the sums of today are read again.
const MIN_SUMS_AGE: Duration = Duration::from_millis(500);
/// The sums of today are read again when they are this many times as old as reading them took, so
/// that no number of viewers keeps the database busy for more than a tenth of the time.
const SUMS_AGE_FACTOR: u32 = 10;

/// What users have used today, kept for a moment, because many may look at it at once.
#[derive(Clone, Default)]
pub struct Today(Arc<Mutex<Option<KeptSums>>>);

struct KeptSums {
    sums: Arc<SumsOfToday>,
    read_at: Instant,
    max_age: Duration,
}

/// What all users have used today.
pub(super) struct SumsOfToday {
    /// Users with their ids, in the order of ids.
    pub(super) users: Vec<(i64, UserOfToday)>,
    places: HashMap<i64, usize>,
    /// The users who have used something today.
    pub(super) costs: HashMap<i64, NanoUsd>,
    pub(super) total: NanoUsd,
}

/// A user, as lists of today show one.
pub(super) struct UserOfToday {
    pub(super) name: String,
    pub(super) group: Option<String>,
    pub(super) is_active: bool,
    pub(super) is_deleted: bool,
}

impl SumsOfToday {
    /// Returns the name of a user, who may have been deleted.
    pub(super) fn name(&self, user_id: i64) -> String {
        let place = self.places.get(&user_id);
        place.map_or_else(
            || name_of_removed(user_id),
            |place| self.users[*place].1.name.clone(),
        )
    }
}

impl Today {
    /// Reads the sums again when they are asked for next.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the sums of today, which may be a moment old.
    pub(super) fn read(&self, context: &AdminContext) -> Result<Arc<SumsOfToday>, AdminError> {
        // Those who come meanwhile wait for this reading instead of doing their own.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref().filter(|k| k.read_at.elapsed() < k.max_age) {
            return Ok(Arc::clone(&kept.sums));
        }
        let began = Instant::now();
        let sums = Arc::new(read_today(context)?);
        *kept = Some(KeptSums {
            sums: Arc::clone(&sums),
            read_at: Instant::now(),
            max_age: (began.elapsed() * SUMS_AGE_FACTOR).max(MIN_SUMS_AGE),
        });
        Ok(sums)
    }
}

fn read_today(context: &AdminContext) -> Result<SumsOfToday, AdminError> {
    let range = context.calendar.parse_period("today", now_ms());
    let range = range.map_err(|error| AdminError::field("period", error.to_string()))?;
    let read = context.read(|connection| {
        let snapshot = connection.snapshot()?;
        let totals = reports::totals_by_user(&snapshot, range)?;
        let (users, groups) = (users::names(&snapshot)?, groups::names(&snapshot)?);
        Ok::<_, StoreError>((totals, users, groups))
    });
    let (totals, users, groups) = read?;
    let mut sums = SumsOfToday {
        users: Vec::with_capacity(users.len()),
        places: HashMap::new(),
        costs: HashMap::new(),
        total: NanoUsd::default(),
    };
    for (id, user) in users {
        let group = user.group_id.and_then(|id| groups.get(&id).cloned());
        sums.places.insert(id, sums.users.len());
        sums.users.push((
            id,
            UserOfToday {
                name: user.username,
                group,
                is_active: user.is_active,
                is_deleted: user.is_deleted,
            },
        ));
    }
    for (id, totals) in totals
        .into_iter()
        .filter(|(_, totals)| !totals.is_nothing())
    {
        sums.total = sums.total.saturating_add(totals.cost);
        sums.costs.insert(id, totals.cost);
    }
    Ok(sums)
}
