//! What is simulated: how nodes are built, and what is asked of them.

/// What is built, and what could be.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Design {
    /// The lock is held until the disk has the commit.
    pub flushes_in_lock: bool,
    /// Transactions of several statements are round trips while the lock is held.
    pub talks_in_lock: bool,
    /// Each node sums up rows, instead of one.
    pub all_nodes_sum: bool,
    /// Seconds after which a lease that is not used is given back.
    pub lease_idle_seconds: f64,
    /// The requests of a user go to one node, instead of any.
    pub users_stay: bool,
    /// Each node reads the rows of all others, instead of sums of the users that it has leases of.
    pub reads_all_rows: bool,
}

/// What is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub nodes: usize,
    pub requests_per_second: f64,
    /// Each user has a budget.
    pub has_budgets: bool,
    pub seconds: f64,
}
