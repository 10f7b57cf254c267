//! The server's own pruning: a thread that deletes rows when they are older than `RETENTION`.

use crate::store::sql::Connection;
use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{Store, StoreError, prune};
use crate::model::{Calendar, now_ms};

/// Time between two looks. Rows come of age once a day, when a day ends.
const INTERVAL: Duration = Duration::from_secs(15 * 60);

/// The thread. It ends when this is dropped.
pub struct Retention {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Stop {
    is_stopping: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn is_set(&self) -> bool {
        *self
            .is_stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a time, or until it is set.
    fn wait(&self, time: Duration) {
        let is_stopping = self
            .is_stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(is_stopping, time, |is_stopping| !*is_stopping);
        drop(waited);
    }
}

impl Retention {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the database cannot be opened, or the system gives no thread.
    pub fn start(store: &Store, calendar: Calendar, age: Duration) -> Result<Self, StoreError> {
        let connection = store.own_connection()?;
        let stop = Arc::new(Stop::default());
        let is_stopping = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("retention".to_owned())
            .spawn(move || {
                while !is_stopping.is_set() {
                    match prune_once(&connection, &calendar, age, &is_stopping) {
                        Ok(0) => {}
                        Ok(rows) => log::info!("retention: deleted old rows: rows={rows}"),
                        Err(error) => {
                            log::warn!(
                                "retention: cannot delete old rows, will try again: {error}"
                            );
                        }
                    }
                    is_stopping.wait(INTERVAL);
                }
            })
            .map_err(|reason| StoreError::Unavailable {
                place: store.location().to_string(),
                reason: format!("cannot start the thread of RETENTION: {reason}"),
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Retention {
    fn drop(&mut self) {
        *self
            .stop
            .is_stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // If it panicked, the next start goes on.
            let _ = thread.join();
        }
    }
}

fn prune_once(
    connection: &Connection,
    calendar: &Calendar,
    age: Duration,
    stop: &Stop,
) -> Result<u64, StoreError> {
    let before_ms = prune::cutoff_ms(calendar, age, now_ms());
    let plan = prune::plan(connection, calendar, before_ms)?;
    if plan.rows == 0 {
        return Ok(0);
    }
    let deleted = prune::delete(connection, calendar, &plan, |_| !stop.is_set())?;
    prune::give_back(connection, || !stop.is_set())?;
    Ok(deleted)
}
