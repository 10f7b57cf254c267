//! What an operator should know: the events, their texts and their JSON, the webhooks that get it,
//! and the queue through which workers and the ledger report it. Nothing here does input or output;
//! `store/alerts.rs` keeps alerts, and `server/alerts/` sends them.

mod back_off;
mod event;
mod ledger_failure;
mod signature;
mod sink;
mod webhook;

pub use back_off::{GIVE_UP_AFTER, pause_after};
pub use event::{Alert, AlertId, BudgetScope, RaisedAlert, plain_text};
pub use ledger_failure::LedgerFailure;
pub use signature::signature;
pub use sink::{AlertSink, QueuedAlert};
pub use webhook::{MAX_WEBHOOKS, Webhook};
