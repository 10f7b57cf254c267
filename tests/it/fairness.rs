//! One user with a long line holds up nobody else.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::harness::{
    Backend, CHAT, Home, Proxy, Request, alone, ask, chat_completion, wait_until,
};

const PERMITS: usize = 8;
const SERVICE: Duration = Duration::from_millis(100);
const BACKLOG: usize = 400;
const CLIENTS: usize = 9;
/// What this machine adds to a wait while two dozen threads of the test share its cores.
const TOLERANCE: Duration = Duration::from_millis(60);

/// Answers each request after the service time.
fn slow() -> Backend {
    Backend::start(|_, wire| {
        thread::sleep(SERVICE);
        wire.json(&chat_completion(10, 10));
    })
}

/// Asks once every 100 ms until told to stop, and notes how long each answer took beyond the
/// service time.
fn ask_now_and_then(proxy: &Proxy, key: &str, stop: &AtomicBool, waits: &Mutex<Vec<Duration>>) {
    let mut connection = proxy.open();
    let request = Request::post(CHAT, ask("seldom")).key(key);
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        connection.send(&request);
        assert_eq!(connection.answer().status, 200);
        let wait = started.elapsed().saturating_sub(SERVICE);
        waits.lock().unwrap().push(wait);
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn nine_users_wait_for_one_service_time_behind_another_users_long_line() {
    let _alone = alone();
    let backend = slow();
    let home = Home::new(&backend).set("MAX_CONCURRENT_REQUESTS", &PERMITS.to_string());
    let (proxy, crowd_key) = home.serve_alice();
    let keys: Vec<String> = (0..CLIENTS)
        .map(|n| proxy.user(&format!("user-{n}")))
        .collect();
    let crowd = Request::post(CHAT, ask("crowd")).key(&crowd_key);
    let mut line: Vec<_> = (0..BACKLOG).map(|_| proxy.start(&crowd)).collect();
    backend.wait_for_requests(PERMITS);

    let (stop, waits) = (AtomicBool::new(false), Mutex::default());
    let started = Instant::now();
    let before = backend.requests().len();
    let (took, served) = thread::scope(|scope| {
        for (n, key) in (0..).zip(&keys) {
            let (proxy, stop, waits) = (&proxy, &stop, &waits);
            scope.spawn(move || {
                // All at once would be more than the permits.
                thread::sleep(SERVICE * n / 4);
                ask_now_and_then(proxy, key, stop, waits);
            });
        }
        thread::sleep(Duration::from_secs(3));
        let (took, served) = (started.elapsed(), backend.requests().len() - before);
        stop.store(true, Ordering::Relaxed);
        (took, served)
    });
    for connection in &mut line {
        assert_eq!(connection.answer().status, 200, "nobody starves");
    }

    let mut waits = waits.into_inner().unwrap();
    waits.sort_unstable();
    let (middle, worst) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    let possible = took.as_secs_f64() / SERVICE.as_secs_f64() * PERMITS as f64;
    let throughput = served as f64 / possible;
    eprintln!(
        "{} waits: {middle:?} in the middle, {worst:?} at worst; {:.1} % of what the permits allow",
        waits.len(),
        throughput * 100.0
    );
    assert!(worst < SERVICE.mul_f64(1.1) + TOLERANCE, "{waits:?}");
    assert!(throughput > 0.9, "{served} of {possible}");
}

#[test]
fn a_failed_request_takes_nothing_from_its_user() {
    let backend = Backend::start(|request, wire| match request.model().as_str() {
        "busy" => wire.answer("429 Too Many Requests", &[], "{}"),
        _ => wire.json(&chat_completion(10, 10)),
    });
    let home = Home::new(&backend).set("MAX_CONCURRENT_REQUESTS", "1");
    let (proxy, key) = home.serve_alice();
    for _ in 0..20 {
        assert_eq!(proxy.chat(&key, &ask("busy")).status, 429);
        assert_eq!(proxy.chat(&key, &ask("good")).status, 200);
    }
    wait_until("all are booked", SERVICE * 100, || proxy.rows().len() == 40);
}
