//! When a failing ledger is worth an alert: once for each time that it fails, and at most once a
//! minute if it fails and recovers all the time.

use std::time::{Duration, Instant};

use super::{Alert, AlertSink};

/// Least time between two alerts of a failing ledger.
const QUIET: Duration = Duration::from_secs(60);

/// What operators know about the ledger's state.
#[derive(Debug, Default)]
pub struct LedgerFailure {
    /// When the failure began that is going on.
    since: Option<Instant>,
    /// Whether an alert of it was raised.
    is_reported: bool,
    last_report: Option<Instant>,
}

impl LedgerFailure {
    /// Notes that an attempt to write failed. It is called at each one.
    pub fn failed(&mut self, now: Instant, reason: &dyn std::fmt::Display, sink: &AlertSink) {
        self.since.get_or_insert(now);
        let is_quiet = self
            .last_report
            .is_some_and(|last| now.saturating_duration_since(last) < QUIET);
        if self.is_reported || is_quiet {
            return;
        }
        self.is_reported = true;
        self.last_report = Some(now);
        sink.push(Alert::LedgerFailing {
            reason: reason.to_string(),
        });
    }

    /// Notes that the ledger was written.
    pub fn recovered(&mut self, now: Instant, sink: &AlertSink) {
        let since = self.since.take();
        if std::mem::take(&mut self.is_reported)
            && let Some(since) = since
        {
            sink.push(Alert::LedgerRecovered {
                failing: now.saturating_duration_since(since),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(sink: &AlertSink) -> Vec<&'static str> {
        let queued = sink.queued();
        sink.remove(&queued);
        queued.iter().map(|queued| queued.alert.event()).collect()
    }

    #[test]
    fn each_failure_is_reported_once_and_so_is_its_end() {
        let (mut failure, sink) = (LedgerFailure::default(), AlertSink::default());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..5 {
            failure.failed(at(second), &"no room", &sink);
        }
        assert_eq!(events(&sink), ["ledger_failing"]);
        failure.recovered(at(5), &sink);
        failure.recovered(at(6), &sink);
        assert_eq!(events(&sink), ["ledger_recovered"]);
    }

    #[test]
    fn a_ledger_that_flaps_is_reported_once_a_minute() {
        let (mut failure, sink) = (LedgerFailure::default(), AlertSink::default());
        let start = Instant::now();
        for second in 0..=100 {
            failure.failed(start + Duration::from_secs(second), &"no room", &sink);
            failure.recovered(start + Duration::from_secs(second), &sink);
        }
        assert_eq!(events(&sink).len(), 4);
    }

    #[test]
    fn a_failure_that_began_in_the_quiet_minute_is_reported_after_it() {
        let (mut failure, sink) = (LedgerFailure::default(), AlertSink::default());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        failure.failed(at(0), &"no room", &sink);
        failure.recovered(at(1), &sink);
        events(&sink);
        failure.failed(at(2), &"no room", &sink);
        assert_eq!(events(&sink), [""; 0]);
        failure.failed(at(60), &"no room", &sink);
        assert_eq!(events(&sink), ["ledger_failing"]);
    }
}
