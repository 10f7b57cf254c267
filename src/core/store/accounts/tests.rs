use super::*;
use crate::store::objects::{
    forget, remember,
    tests::{assert_indexed, object, with_database},
};

fn row(input: u64, output: u64, source: UsageSource) -> UsageRow {
    UsageRow {
        user_id: 1,
        key_id: 1,
        started_at_ms: 1_000,
        endpoint: "/v1/responses",
        model: "m".to_owned(),
        served_model: None,
        usage: Usage {
            input,
            output,
            ..Usage::default()
        },
        service_tier: None,
        is_batch: false,
        estimated: EstimatedTokens::default(),
        status: 200,
        outcome: Outcome::Completed,
        source,
        duration_ms: 1,
        first_byte_ms: None,
        wait_ms: 0,
        request_id: None,
        backend_request_id: None,
        hold: None,
    }
}

/// What happens to an account, in this order.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The answer that made the object ends: tokens in and out that it is taken to have used.
    Kept(u64, u64),
    /// A later look at the object ends: tokens in and out that it showed.
    Passed(u64, u64),
    Billed(u64, u64, UsageSource, Extent),
    Forgotten,
}

/// Input and output tokens that are billed, row by row.
fn billed(made_at_ms: i64, steps: &[Step]) -> Vec<(u64, u64)> {
    let mut billed = Vec::new();
    with_database(|connection| {
        remember(connection, &object("r", 1)).unwrap();
        let new = Account {
            id: "r".to_owned(),
            made_at_ms: Some(made_at_ms),
        };
        let known = Account::of_known("r");
        for step in steps {
            let done = match *step {
                Step::Kept(input, output) => {
                    let row = row(input, output, UsageSource::Estimate);
                    keep(connection, &new, &row, Progress::End)
                        .unwrap()
                        .map(Cow::into_owned)
                }
                Step::Passed(input, output) => {
                    let row = row(input, output, UsageSource::Estimate);
                    keep(connection, &known, &row, Progress::End)
                        .unwrap()
                        .map(Cow::into_owned)
                }
                Step::Billed(input, output, source, extent) => {
                    let row = row(input, output, source);
                    bill(connection, &known, &row, extent)
                        .unwrap()
                        .map(Cow::into_owned)
                }
                Step::Forgotten => {
                    forget(connection, "r", 1).unwrap();
                    None
                }
            };
            billed.extend(done.map(|row| (row.usage.input, row.usage.output)));
        }
    });
    billed
}

#[test]
fn an_account_is_billed_once_and_with_the_larger_numbers() {
    use Extent::{Complete, Cut};
    use Step::{Billed, Forgotten, Kept, Passed};
    use UsageSource::{Backend, Estimate, None as Untold};
    for (steps, expected) in [
        // The backend's word about a whole response counts, whatever was kept.
        (
            &[Kept(9, 300), Billed(10, 20, Backend, Complete)][..],
            &[(10, 20)][..],
        ),
        (
            &[
                Billed(10, 20, Backend, Complete),
                Billed(10, 20, Backend, Complete),
            ],
            &[(10, 20)],
        ),
        (
            &[Billed(10, 20, Backend, Complete), Kept(9, 300)],
            &[(10, 20)],
        ),
        // If the response was cut off, the larger of the kept and the reported number is billed.
        (&[Kept(9, 300), Billed(0, 0, Estimate, Cut)], &[(9, 300)]),
        (&[Kept(9, 300), Billed(0, 0, Backend, Cut)], &[(9, 300)]),
        (&[Kept(9, 3), Billed(10, 20, Backend, Cut)], &[(10, 20)]),
        (
            &[Kept(9, 300), Billed(0, 0, Estimate, Complete)],
            &[(9, 300)],
        ),
        // What passes after the account was closed is billed too.
        (
            &[Kept(9, 0), Billed(0, 5, Estimate, Cut), Kept(9, 300)],
            &[(9, 5), (0, 295)],
        ),
        (
            &[Billed(0, 0, Estimate, Cut), Passed(0, 300), Passed(0, 300)],
            &[(0, 0), (0, 300)],
        ),
        (
            &[
                Kept(9, 0),
                Billed(0, 0, Estimate, Cut),
                Forgotten,
                Kept(9, 300),
            ],
            &[(9, 0), (0, 300)],
        ),
        (
            &[
                Billed(9, 5, Estimate, Cut),
                Billed(9, 50, Backend, Complete),
                Kept(9, 300),
            ],
            &[(9, 5), (0, 45)],
        ),
        // A batch without usage has its row.
        (&[Billed(0, 0, Untold, Complete)], &[(0, 0)]),
    ] {
        assert_eq!(billed(1, steps), expected, "{steps:?}");
    }
    // The id is that of another object, which was made at another time.
    for (steps, expected) in [
        (&[Kept(9, 300)][..], &[(9, 300)][..]),
        (&[Passed(9, 300)], &[]),
    ] {
        assert_eq!(billed(2, steps), expected, "{steps:?}");
    }
}

#[test]
fn a_late_report_of_more_work_opens_the_account() {
    with_database(|connection| {
        let mut response = object("r", 1);
        response.is_billed = true;
        remember(connection, &response).unwrap();
        let state = || account_state(connection, "r").unwrap();
        assert_eq!(state(), AccountState::Closed);
        response.is_billed = false;
        response.made_at_ms = 2;
        remember(connection, &response).unwrap();
        assert_eq!(state(), AccountState::Closed, "it is another answer's");
        response.made_at_ms = 1;
        remember(connection, &response).unwrap();
        assert_eq!(state(), AccountState::Open);
        let estimate = row(1, 1, UsageSource::Estimate);
        let account = Account::of_known("r");
        bill(connection, &account, &estimate, Extent::Cut).unwrap();
        assert_eq!(state(), AccountState::Estimated);
        assert_eq!(
            account_state(connection, "unknown").unwrap(),
            AccountState::Closed
        );
    });
}

#[test]
fn an_aborted_response_is_billed_at_once_and_its_excess_later() {
    with_database(|connection| {
        let mut response = object("r", 1);
        response.is_billed = true;
        remember(connection, &response).unwrap();
        let bill_as = |made_at_ms, output, source, extent| {
            let account = Account {
                id: "r".to_owned(),
                made_at_ms,
            };
            let row = row(9, output, source);
            let billed = bill(connection, &account, &row, extent).unwrap();
            billed.map(|row| (row.usage.input, row.usage.output))
        };
        let later = |output| bill_as(None, output, UsageSource::Backend, Extent::Complete);
        assert_eq!(later(300), None, "it was billed by what made it");
        let cut = bill_as(Some(1), 5, UsageSource::Estimate, Extent::Cut);
        assert_eq!(cut, Some((9, 5)));
        assert_eq!(
            account_state(connection, "r").unwrap(),
            AccountState::Estimated
        );
        assert_eq!(later(300), Some((0, 295)));
        assert_eq!(later(300), None);
        let other = bill_as(Some(2), 7, UsageSource::Estimate, Extent::Cut);
        assert_eq!(other, Some((9, 7)), "it is another answer's");
    });
}

#[test]
fn kept_counts_are_estimates_and_reported_ones_are_not() {
    for (source, output, expected) in [
        (UsageSource::Backend, 20, (0, 300)),
        (UsageSource::Backend, 400, (0, 0)),
        (UsageSource::Estimate, 400, (0, 390)),
    ] {
        with_database(|connection| {
            remember(connection, &object("r", 1)).unwrap();
            let account = Account::of_known("r");
            let kept = row(9, 300, UsageSource::Estimate);
            keep(connection, &account, &kept, Progress::End).unwrap();
            let mut reported = row(10, output, source);
            if source == UsageSource::Estimate {
                reported.estimated.output = 390;
            }
            let billed = bill(connection, &account, &reported, Extent::Cut);
            let billed = billed.unwrap().unwrap();
            let EstimatedTokens { input, output } = billed.estimated;
            assert_eq!((input, output), expected, "{billed:?}");
            assert_eq!(billed.source == UsageSource::Estimate, expected.1 > 0);
        });
    }
}

#[test]
fn each_query_has_an_index() {
    with_database(|connection| {
        let by_id = [ACCOUNT, UPDATE_ACCOUNT, STATE, ONE_PENDING];
        assert_indexed(connection, &by_id);
        assert_indexed(connection, &[ALL_PENDING, EXPIRED]);
    });
}
