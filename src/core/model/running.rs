//! What is noted of a request that runs for longer than a second, so that the requests of a killed
//! server can be booked.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{RequestId, ServiceTier};

/// A request that runs, and what it has used so far.
#[derive(Debug, Clone)]
pub struct RunningRequest {
    pub note: Arc<Note>,
    pub request_id: RequestId,
    pub user_id: i64,
    pub key_id: i64,
    /// Unix time in milliseconds when the request arrived.
    pub started_at_ms: i64,
    pub endpoint: &'static str,
    pub model: String,
    pub service_tier: Option<ServiceTier>,
    /// Status of the answer, or 499 while there is none.
    pub status: u16,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Output tokens a second since the note before.
    pub tokens_per_second: u64,
    /// Unix time in milliseconds of these numbers.
    pub noted_at_ms: i64,
    /// The numbers come from a measurement of this moment, or wait for none. Others count by length,
    /// and never replace measured ones of the same moment.
    pub is_measured: bool,
}

/// The note of one request. The ledger's thread writes no note of a request that has ended, so that
/// it does not matter in which order the two reach it.
#[derive(Debug)]
pub struct Note {
    id: u64,
    has_ended: AtomicBool,
    is_handed_over: AtomicBool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Note {
    /// Makes the note of a request that has just begun.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            has_ended: AtomicBool::new(false),
            is_handed_over: AtomicBool::new(false),
        })
    }

    /// Returns its number among the requests of this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Notes that the ledger is asked to write it.
    pub fn mark_handed_over(&self) {
        self.is_handed_over.store(true, Ordering::Relaxed);
    }

    /// Returns whether the ledger was asked to write it, so that it has to be deleted.
    #[must_use]
    pub fn is_handed_over(&self) -> bool {
        self.is_handed_over.load(Ordering::Relaxed)
    }

    /// Notes that the request has ended. Called on the ledger's thread only.
    pub fn mark_ended(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }
}
