//! How an answer is booked. Pure: it depends on what the request does to stored objects, on the
//! account of the object that it looks at, and on what is known when the answer ends.

use crate::{
    model::{Account, Extent},
    proxy::routes::{BATCHES, ObjectEffect, RESPONSES},
    store::accounts::AccountState,
    usage::AnswerObjects,
};

/// How an answer is booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Booking {
    /// A row of its own.
    Row,
    /// No row: the endpoint is free, the object was billed before, or there is nothing to add.
    Nothing,
    /// No row yet. What has passed is kept with this account, which stays open.
    Kept(Account),
    /// The row that closes this account, unless another has closed it. `endpoint` is the one that
    /// made the object, if that is another.
    Bill {
        account: Account,
        extent: Extent,
        endpoint: Option<&'static str>,
    },
    /// The row that was prepared before the object was deleted.
    Unfinished,
}

/// What is known when an answer ends.
// Facts are independent of each other.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// There is an answer with a status of success.
    pub is_success: bool,
    /// Answers of the endpoint get rows.
    pub is_booked_endpoint: bool,
    /// The id of the object that the path identifies.
    pub path_id: Option<&'a str>,
    /// The answer is a response that runs in the background.
    pub is_background: bool,
    /// The request deletes an object that is not done; what it has used was estimated before.
    pub deletes_unfinished: bool,
    /// What the answer says of its object.
    pub stored: Option<&'a AnswerObjects>,
    /// When the object was made, in milliseconds since the epoch, if the answer made it and it is
    /// remembered.
    pub made_at_ms: Option<i64>,
    /// The answer reports its usage, and its last word on it has come.
    pub reports_usage: bool,
    /// Text has passed that is in no count so far.
    pub has_passed_text: bool,
}

impl Booking {
    /// Returns how an answer is booked that concerns no stored objects.
    #[must_use]
    pub fn by_endpoint(is_booked: bool) -> Self {
        if is_booked { Self::Row } else { Self::Nothing }
    }
}

/// Decides how an answer is booked. A response that reports its usage is done, whatever its status
/// says.
#[must_use]
pub fn booking(effect: ObjectEffect, account: AccountState, facts: &Facts<'_>) -> Booking {
    let as_usual = Booking::by_endpoint(facts.is_booked_endpoint);
    if !facts.is_success {
        return as_usual;
    }
    if facts.deletes_unfinished {
        return Booking::Unfinished;
    }
    let is_retrieval = facts.path_id.is_some();
    let endpoint = match effect {
        ObjectEffect::Response if facts.is_background || is_retrieval => RESPONSES,
        ObjectEffect::Batch => BATCHES,
        ObjectEffect::Response if !facts.reports_usage => {
            return bill_interrupted(facts).unwrap_or(as_usual);
        }
        _ => return as_usual,
    };
    if is_retrieval && account == AccountState::Closed {
        return Booking::Nothing;
    }
    let answer_id = facts.stored.and_then(|stored| stored.id.as_deref());
    let Some(id) = facts.path_id.or(answer_id) else {
        // An object without an id cannot be asked for again, so that this is all that will be
        // known.
        return as_usual;
    };
    let account = Account {
        id: id.to_owned(),
        made_at_ms: facts.made_at_ms.filter(|_| !is_retrieval),
    };
    let is_batch = effect == ObjectEffect::Batch;
    let is_done = |stored: &AnswerObjects| stored.is_final() || facts.reports_usage && !is_batch;
    if !facts.stored.is_some_and(is_done) {
        // A retrieval without new text adds nothing, and a batch has no text.
        let adds_nothing = is_batch || is_retrieval && !facts.has_passed_text;
        return if adds_nothing {
            Booking::Nothing
        } else {
            Booking::Kept(account)
        };
    }
    let status = facts.stored.and_then(|stored| stored.status.as_deref());
    Booking::Bill {
        account,
        extent: if status == Some("cancelled") {
            Extent::Cut
        } else {
            Extent::Complete
        },
        endpoint: Some(endpoint),
    }
}

/// Books an answer that reports no usage as cut, if it is not done: it may go on at the backend and
/// be read complete later, and what it reports then beyond this is booked too.
fn bill_interrupted(facts: &Facts<'_>) -> Option<Booking> {
    let (stored, made_at_ms) = facts.stored.zip(facts.made_at_ms)?;
    let id = stored.id.as_ref().filter(|_| !stored.is_final())?;
    Some(Booking::Bill {
        account: Account {
            id: id.clone(),
            made_at_ms: Some(made_at_ms),
        },
        extent: Extent::Cut,
        endpoint: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE_AT_MS: i64 = 5;

    /// Returns a successful answer of a booked endpoint.
    fn success() -> Facts<'static> {
        Facts {
            is_success: true,
            is_booked_endpoint: true,
            ..Facts::default()
        }
    }

    fn stored(status: &str) -> AnswerObjects {
        AnswerObjects {
            id: Some("resp_1".to_owned()),
            status: Some(status.to_owned()),
            ..AnswerObjects::default()
        }
    }

    fn account(id: &str, made_at_ms: Option<i64>) -> Account {
        Account {
            id: id.to_owned(),
            made_at_ms,
        }
    }

    fn bill(account: Account, extent: Extent, endpoint: Option<&'static str>) -> Booking {
        Booking::Bill {
            account,
            extent,
            endpoint,
        }
    }

    fn check(effect: ObjectEffect, state: AccountState, facts: &Facts<'_>, expected: &Booking) {
        let booked = booking(effect, state, facts);
        assert_eq!(booked, *expected, "{effect:?} {state:?} {facts:?}");
    }

    use AccountState::{Closed, Estimated, Open};
    use ObjectEffect::{Batch, Chat, Forgotten, Nothing, Response};

    #[test]
    fn an_endpoint_without_objects_books_by_its_own_rule() {
        let free = Facts {
            is_booked_endpoint: false,
            ..success()
        };
        for effect in [Nothing, Chat, Forgotten] {
            check(effect, Closed, &success(), &Booking::Row);
            check(effect, Closed, &free, &Booking::Nothing);
        }
    }

    #[test]
    fn an_error_is_booked_by_the_rule_of_its_endpoint() {
        let done = stored("completed");
        for effect in [Nothing, Response, Batch, Forgotten] {
            for path_id in [None, Some("resp_1")] {
                let error = Facts {
                    is_success: false,
                    deletes_unfinished: true,
                    stored: Some(&done),
                    path_id,
                    ..success()
                };
                check(effect, Open, &error, &Booking::Row);
            }
        }
    }

    #[test]
    fn deleting_an_unfinished_object_books_its_estimate() {
        let deletion = Facts {
            deletes_unfinished: true,
            path_id: Some("resp_1"),
            ..success()
        };
        check(Forgotten, Open, &deletion, &Booking::Unfinished);
    }

    #[test]
    fn a_response_that_reports_its_usage_is_a_row() {
        for status in ["completed", "in_progress"] {
            let stored = stored(status);
            let facts = Facts {
                stored: Some(&stored),
                reports_usage: true,
                ..success()
            };
            check(Response, Closed, &facts, &Booking::Row);
        }
    }

    #[test]
    fn a_response_without_usage_is_cut_if_it_may_go_on() {
        let (running, done) = (stored("in_progress"), stored("completed"));
        let unidentified = AnswerObjects::default();
        let cut = bill(account("resp_1", Some(MADE_AT_MS)), Extent::Cut, None);
        for (stored, made_at_ms, expected) in [
            (Some(&running), Some(MADE_AT_MS), &cut),
            (Some(&running), None, &Booking::Row),
            (Some(&done), Some(MADE_AT_MS), &Booking::Row),
            (Some(&unidentified), Some(MADE_AT_MS), &Booking::Row),
            (None, Some(MADE_AT_MS), &Booking::Row),
        ] {
            let facts = Facts {
                stored,
                made_at_ms,
                ..success()
            };
            check(Response, Closed, &facts, expected);
        }
    }

    #[test]
    fn a_background_response_is_kept_until_it_is_done() {
        let (queued, done) = (stored("queued"), stored("completed"));
        let made = account("resp_1", Some(MADE_AT_MS));
        let facts = |stored, reports_usage| Facts {
            stored: Some(stored),
            made_at_ms: Some(MADE_AT_MS),
            is_background: true,
            reports_usage,
            ..success()
        };
        let kept = Booking::Kept(made.clone());
        let billed = bill(made, Extent::Complete, Some(RESPONSES));
        check(Response, Closed, &facts(&queued, false), &kept);
        check(Response, Closed, &facts(&queued, true), &billed);
        check(Response, Closed, &facts(&done, false), &billed);
        let unidentified = Facts {
            stored: None,
            ..facts(&done, true)
        };
        check(Response, Closed, &unidentified, &Booking::Row);
    }

    #[test]
    fn a_poll_bills_an_open_account_once() {
        let (running, done, cancelled) = (
            stored("in_progress"),
            stored("completed"),
            stored("cancelled"),
        );
        let look = |stored, has_passed_text| Facts {
            path_id: Some("resp_1"),
            stored: Some(stored),
            // The time is that of an object which the answer makes; a look makes none.
            made_at_ms: Some(MADE_AT_MS),
            is_booked_endpoint: false,
            has_passed_text,
            ..success()
        };
        let known = || account("resp_1", None);
        let complete = bill(known(), Extent::Complete, Some(RESPONSES));
        let cut = bill(known(), Extent::Cut, Some(RESPONSES));
        let kept = Booking::Kept(known());
        for state in [Open, Estimated] {
            check(Response, state, &look(&done, false), &complete);
            check(Response, state, &look(&cancelled, false), &cut);
            check(Response, state, &look(&running, false), &Booking::Nothing);
            check(Response, state, &look(&running, true), &kept);
        }
        check(Response, Closed, &look(&done, true), &Booking::Nothing);
    }

    #[test]
    fn a_batch_is_billed_when_it_is_done_and_not_before() {
        let (running, done) = (stored("in_progress"), stored("completed"));
        let facts = |stored, path_id| Facts {
            stored: Some(stored),
            path_id,
            reports_usage: true,
            is_booked_endpoint: false,
            ..success()
        };
        let billed = bill(account("batch_1", None), Extent::Complete, Some(BATCHES));
        check(Batch, Open, &facts(&running, None), &Booking::Nothing);
        check(
            Batch,
            Open,
            &facts(&running, Some("batch_1")),
            &Booking::Nothing,
        );
        check(Batch, Open, &facts(&done, Some("batch_1")), &billed);
        check(
            Batch,
            Closed,
            &facts(&done, Some("batch_1")),
            &Booking::Nothing,
        );
    }
}
