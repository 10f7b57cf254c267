//! A body that arrives at less than 1 kB/s is cut off and delays nobody.

use std::time::{Duration, Instant};

use super::{answer_for, assert_serves, one_place};
use crate::harness::{Backend, CHAT, Home, Request, ask, assert_openai_error};

#[test]
fn a_body_slower_than_1_kb_per_s_is_cut_off_after_30_s() {
    let backend = Backend::start(|request, wire| wire.json(&answer_for(&request.model())));
    let (proxy, key, _) = one_place(Home::new(&backend));
    let announced = |bytes: &str| {
        let request = Request::post(CHAT, "").key(&key);
        proxy.start(&request.header("Content-Length", bytes))
    };
    let start = Instant::now();
    let mut silent = announced("1000");
    let mut dripping = announced("1000000");
    // Slow, and yet fast enough: ten times the least pace.
    let (paced, piece) = (ask("fine"), " ".repeat(1_000));
    let mut steady = announced(&(paced.len() + 320 * piece.len()).to_string());
    let mut served = 0;
    for turn in 0..320 {
        steady.send_bytes(piece.as_bytes());
        dripping.send_bytes(b" ");
        if turn % 20 == 0 {
            let asked = Instant::now();
            assert_serves(&proxy, &key, "slow bodies");
            assert!(
                asked.elapsed() < Duration::from_secs(2),
                "nobody waits for them"
            );
            served += 1;
        }
        // The pace itself.
        let due = Duration::from_millis(100) * (turn + 1);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    }
    for slow in [&mut silent, &mut dripping] {
        let error = assert_openai_error(&slow.answer(), 408);
        assert_eq!(error["code"], "request_timeout");
    }
    eprintln!("cut by {:?}", start.elapsed());
    steady.send_bytes(paced.as_bytes());
    assert_eq!(steady.answer().text(), answer_for("fine"));
    assert_eq!(
        backend.requests().len(),
        served + 1,
        "what is cut goes nowhere"
    );
    assert_eq!(proxy.rows().len(), served + 1);
}
