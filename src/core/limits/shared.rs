//! The limits of a running server, shared by all of its threads: the limiter behind a lock that is
//! held for a step only, and what each request holds of it.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::{
    Amounts, Demand, Grant, LeaseAsk, LeaseDesk, LimitTable, Limiter, Moment, Owners, Refusal,
    UserRules, WindowStart,
};
use crate::model::{Calendar, RowHold, now_ms};

/// Time for the answer to an ask for leases. A database may hang.
const DESK_PATIENCE: Duration = Duration::from_secs(10);

/// The limits of a running server.
pub struct SharedLimits {
    limiter: Mutex<Limiter>,
    table: ArcSwap<LimitTable>,
    clock_start: Instant,
    /// Where leases are asked for; nowhere if no other node uses the budgets.
    desk: OnceLock<Arc<dyn LeaseDesk>>,
}

/// What a request has reserved in budgets and taken from rates. It ends with the row of the request,
/// or when it is dropped.
pub struct Reservation {
    limits: Arc<SharedLimits>,
    rules: Arc<UserRules>,
    grant: Mutex<Option<Grant>>,
    started_at_ms: i64,
    /// The backend has answered with success, so that the request counts for the rate though it may
    /// have no row.
    is_served: AtomicBool,
}

/// A request in flight as far as limits of concurrency are concerned, until it is dropped.
pub struct Presence {
    limits: Arc<SharedLimits>,
    owners: Owners,
}

/// What an admitted request holds.
#[derive(Debug)]
pub struct Admitted {
    pub reservation: Arc<Reservation>,
    pub presence: Presence,
}

impl SharedLimits {
    #[must_use]
    pub fn new(calendar: Calendar) -> Arc<Self> {
        Arc::new(Self {
            limiter: Mutex::new(Limiter::new(calendar)),
            table: ArcSwap::default(),
            clock_start: Instant::now(),
            desk: OnceLock::new(),
        })
    }

    /// Returns the limits of a user; `None` without any.
    #[must_use]
    pub fn of_user(&self, user_id: i64) -> Option<Arc<UserRules>> {
        let table = self.table.load();
        if table.is_empty() {
            return None;
        }
        table.of_user(user_id).map(Arc::clone)
    }

    #[must_use]
    pub fn table(&self) -> Arc<LimitTable> {
        self.table.load_full()
    }

    /// Admits a request at a moment whose Unix time decides about windows, or says which limit it does
    /// not pass.
    ///
    /// # Errors
    /// As [`Limiter::admit`].
    pub fn admit(
        self: &Arc<Self>,
        rules: &Arc<UserRules>,
        demand: &Demand,
        at: Moment,
    ) -> Result<Admitted, Box<Refusal>> {
        let grant = self.lock().admit(rules, demand, at)?;
        Ok(self.admitted(rules, grant, at.unix_ms))
    }

    fn admitted(
        self: &Arc<Self>,
        rules: &Arc<UserRules>,
        grant: Grant,
        started_at_ms: i64,
    ) -> Admitted {
        let presence = Presence {
            limits: Arc::clone(self),
            owners: grant.owners(),
        };
        let reservation = Arc::new(Reservation {
            limits: Arc::clone(self),
            rules: Arc::clone(rules),
            grant: Mutex::new(Some(grant)),
            started_at_ms,
            is_served: AtomicBool::new(false),
        });
        Admitted {
            reservation,
            presence,
        }
    }

    /// Makes budgets those of several nodes, whose leases are asked for at `desk`.
    pub fn share_budgets(&self, desk: Arc<dyn LeaseDesk>) {
        // It is called once.
        let _ = self.desk.set(desk);
        self.lock().share_budgets();
    }

    /// Returns whether other nodes use the same budgets.
    #[must_use]
    pub fn shares_budgets(&self) -> bool {
        self.desk.get().is_some()
    }

    /// Asks for the leases that a request needs. Resolves when they are as large as they can be; the
    /// request is to be admitted once more then. Returns false if nothing was said for too long.
    pub async fn ask_for_leases(
        &self,
        rules: &Arc<UserRules>,
        amounts: Amounts,
        at_ms: i64,
    ) -> bool {
        let Some(desk) = self.desk.get() else {
            return true;
        };
        let (reply, answered) = oneshot::channel();
        desk.ask(LeaseAsk {
            rules: Arc::clone(rules),
            amounts,
            at_ms,
            reply,
        });
        // A desk that is gone gives nothing.
        tokio::time::timeout(DESK_PATIENCE, answered).await.is_ok()
    }

    /// Reserves what an object had reserved before the server was started again. Returns what ends
    /// it; `None` for a user without limits.
    pub fn restore(
        self: &Arc<Self>,
        user_id: i64,
        amounts: Amounts,
        started_at_ms: i64,
    ) -> Option<Arc<dyn RowHold>> {
        let rules = self.of_user(user_id)?;
        let at = self.moment(started_at_ms);
        let grant = self.lock().restore(&rules, amounts, at);
        Some(Arc::new(Reservation {
            limits: Arc::clone(self),
            rules,
            grant: Mutex::new(Some(grant)),
            started_at_ms,
            is_served: AtomicBool::new(true),
        }))
    }

    /// Takes a new table, and what was used since the beginning of each window that it needs.
    ///
    /// # Errors
    /// That of `read`; the table stays as it was.
    pub fn set_table<E>(
        &self,
        table: LimitTable,
        group_of: HashMap<i64, i64>,
        mut read: impl FnMut(WindowStart) -> Result<Vec<(i64, Amounts)>, E>,
    ) -> Result<(), E> {
        let now_ms = now_ms();
        let missing = {
            let mut limiter = self.lock();
            limiter.roll(now_ms);
            limiter.set_groups(&table, group_of);
            limiter.missing_windows(&table, now_ms)
        };
        // The lock is not held while the ledger is read.
        let mut loaded = Vec::new();
        for window in missing {
            loaded.push((window, read(window)?));
        }
        let mut limiter = self.lock();
        for (window, used) in loaded {
            limiter.load_window(window, used);
        }
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// Returns whether rows have to be booked, because there are budgets.
    #[must_use]
    pub fn has_budgets(&self) -> bool {
        !self.table.load().windows().is_empty()
    }

    /// Adds rows, or what adjustments add to them, to what their users have used: user, Unix time in
    /// milliseconds of the request, amounts. `counted` are the newest row and adjustment.
    pub fn book(
        &self,
        rows: impl IntoIterator<Item = (i64, i64, Amounts)>,
        counted: (i64, i64),
        now_ms: i64,
    ) {
        self.book_of(rows, counted, now_ms, false);
    }

    /// Adds rows of this process as [`SharedLimits::book`] does, and takes them from its leases.
    pub fn book_own(
        &self,
        rows: impl IntoIterator<Item = (i64, i64, Amounts)>,
        counted: (i64, i64),
        now_ms: i64,
    ) {
        self.book_of(rows, counted, now_ms, true);
    }

    fn book_of(
        &self,
        rows: impl IntoIterator<Item = (i64, i64, Amounts)>,
        counted: (i64, i64),
        now_ms: i64,
        is_own: bool,
    ) {
        let mut limiter = self.lock();
        limiter.roll(now_ms);
        for (user_id, started_at_ms, amounts) in rows {
            limiter.book(user_id, started_at_ms, amounts);
            if is_own {
                limiter.consume_leases(user_id, started_at_ms, amounts);
            }
        }
        limiter.note_counted(counted.0, counted.1);
    }

    /// Looks at the limiter, or changes it. The lock is held meanwhile.
    pub fn with<T>(&self, look: impl FnOnce(&mut Limiter) -> T) -> T {
        look(&mut self.lock())
    }

    /// Returns the moment of a Unix time in milliseconds, on the clock of this process.
    #[must_use]
    pub fn moment(&self, unix_ms: i64) -> Moment {
        self.moment_at(Instant::now(), unix_ms)
    }

    /// As [`SharedLimits::moment`], for one who has looked at the clock already.
    #[must_use]
    pub fn moment_at(&self, now: Instant, unix_ms: i64) -> Moment {
        let elapsed = now.saturating_duration_since(self.clock_start);
        Moment {
            unix_ms,
            clock_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Returns the limits that it was made under.
    #[must_use]
    pub fn rules(&self) -> &Arc<UserRules> {
        &self.rules
    }

    /// Returns what is reserved: nothing when it has ended.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        let grant = self.lock();
        grant.as_ref().map_or_else(Amounts::default, Grant::amounts)
    }

    /// Returns the Unix time in milliseconds that decides about windows.
    #[must_use]
    pub fn started_at_ms(&self) -> i64 {
        self.started_at_ms
    }

    /// Reserves more, when more is known of the request. If other nodes use the same budgets, this one may
    /// have to ask for a part of them first, for [`SharedLimits::ask_for_leases`].
    ///
    /// # Errors
    /// As [`Limiter::raise`]; what was reserved before stays.
    pub fn raise(&self, more: Amounts) -> Result<(), Box<Refusal>> {
        let mut grant = self.lock();
        let Some(grant) = grant.as_mut() else {
            return Ok(());
        };
        let at = self.limits.moment(self.started_at_ms);
        self.limits.lock().raise(&self.rules, grant, more, at)
    }

    /// Asks for the leases that more needs, as [`SharedLimits::ask_for_leases`] does.
    pub async fn ask_for_leases(&self, more: Amounts) -> bool {
        let limits = &self.limits;
        limits
            .ask_for_leases(&self.rules, more, self.started_at_ms)
            .await
    }

    /// Notes that the backend has answered with success.
    pub fn mark_served(&self) {
        self.is_served.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Grant>> {
        self.grant.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, tokens: i64, has_failed: bool) {
        if let Some(grant) = self.lock().take() {
            self.limits.lock().finish(&grant, tokens, has_failed);
        }
    }
}

impl RowHold for Reservation {
    fn settle(&self, tokens: i64, has_failed: bool) {
        self.end(tokens, has_failed);
    }
}

/// A request without a row gives its tokens back, and its place in the rate if it failed.
impl Drop for Reservation {
    fn drop(&mut self) {
        let is_served = self.is_served.load(Ordering::Relaxed);
        self.end(0, !is_served);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.limits.lock().leave(self.owners);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("user_id", &self.rules.user_id)
            .field("amounts", &self.amounts())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence")
            .field("owners", &self.owners)
            .finish_non_exhaustive()
    }
}
