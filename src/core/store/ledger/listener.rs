//! Hears of changes of users, keys, prices and limits as PostgreSQL announces them, on a connection of
//! its own. What it misses, the ledger's thread finds by asking.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    thread,
    time::Duration,
};

use postgres::{Client, fallible_iterator::FallibleIterator};

use super::queue::Shared;
use crate::store::{
    postgres::PostgresUrl,
    sql_error::{SqlError, describe},
};

/// The channel on which triggers announce changes.
const LISTEN: &str = "LISTEN llmproxy_users";
/// Interval between two looks whether the ledger still exists.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause before a broken connection is made again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Starts the thread. It ends some time after the ledger.
pub(super) fn start(url: Arc<PostgresUrl>, ledger: Weak<Shared>) {
    let run = move || {
        while ledger.strong_count() > 0 {
            if let Err(error) = listen(&url, &ledger) {
                log::warn!("ledger: cannot listen for changes, and asks for them instead: {error}");
            }
            thread::sleep(RETRY_PAUSE);
        }
    };
    if let Err(error) = thread::Builder::new()
        .name("listener".to_owned())
        .spawn(run)
    {
        log::warn!("ledger: cannot listen for changes, and asks for them instead: {error}");
    }
}

fn listen(url: &PostgresUrl, ledger: &Weak<Shared>) -> Result<(), SqlError> {
    let mut client = url.connect()?;
    client.batch_execute(LISTEN)?;
    // What was announced before is found by asking.
    announce(ledger, true);
    let ended = loop {
        if ledger.strong_count() == 0 {
            return Ok(());
        }
        let heard = hear(&mut client);
        match heard {
            Ok(true) => announce(ledger, true),
            Ok(false) if client.is_closed() => break "the connection broke".to_owned(),
            Ok(false) => {}
            Err(error) => break describe(&error),
        }
    };
    announce(ledger, false);
    Err(SqlError::Connect(ended))
}

/// Returns whether something is announced within a while.
fn hear(client: &mut Client) -> Result<bool, postgres::Error> {
    let mut notifications = client.notifications();
    let mut heard = notifications.timeout_iter(LOOK_EVERY);
    Ok(heard.next()?.is_some())
}

/// Wakes the ledger's thread, and tells it whether it will hear of the next change.
fn announce(ledger: &Weak<Shared>, hears: bool) {
    let Some(shared) = ledger.upgrade() else {
        return;
    };
    shared.hears.store(hears, Ordering::Relaxed);
    shared.has_heard.store(true, Ordering::Relaxed);
    let mut queue = shared.lock();
    queue.wake_at = None;
    drop(queue);
    shared.wake.notify_one();
}
