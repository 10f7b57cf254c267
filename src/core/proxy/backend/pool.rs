//! Kept connections of one worker. The youngest is used first, so that the surplus of a burst ages
//! and goes.

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
    time::Duration,
};

use super::connection::Connection;

/// Longest time in the pool. It is less than the 75 s after which nginx and most servers close an
/// idle connection.
pub(super) const MAX_IDLE: Duration = Duration::from_secs(60);
const SWEEP_EVERY: Duration = Duration::from_secs(15);
/// Most connections that a worker keeps.
const MAX_KEPT: usize = 512;

pub(super) struct Pool {
    idle: RefCell<Vec<Connection>>,
}

impl Pool {
    /// Makes a pool, and the task that closes what has aged in it.
    pub(super) fn new() -> Rc<Self> {
        let pool = Rc::new(Self {
            idle: RefCell::default(),
        });
        actix_web::rt::spawn(close_aged(Rc::downgrade(&pool)));
        pool
    }

    /// Returns a connection that was alive when last looked at.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        while let Some(mut connection) = idle.pop() {
            if is_fit(&mut connection) {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(super) fn put(&self, mut connection: Connection) {
        connection.rest();
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_KEPT {
            idle.push(connection);
        }
    }
}

async fn close_aged(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let mut idle = pool.idle.borrow_mut();
        idle.retain_mut(is_fit);
    }
}

fn is_fit(connection: &mut Connection) -> bool {
    connection.active_at().elapsed() < MAX_IDLE && connection.is_quiet()
}
