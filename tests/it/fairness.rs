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

/// One request of a user who asks now and then.
struct Asked {
    model: String,
    /// Requests that the backend had seen when this one was sent.
    seen_before: usize,
    /// Time that the answer took beyond the service time.
    wait: Duration,
}

/// Asks now and then until told to stop.
fn ask_now_and_then(
    (proxy, backend): (&Proxy, &Backend),
    (user, key): (u32, &str),
    stop: &AtomicBool,
    asked: &Mutex<Vec<Asked>>,
) {
    // All at once would be more than the permits.
    thread::sleep(SERVICE * user / 4);
    let mut connection = proxy.open();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let model = format!("seldom-{user}-{n}");
        let seen_before = backend.requests().len();
        let started = Instant::now();
        connection.send(&Request::post(CHAT, ask(&model)).key(key));
        assert_eq!(connection.answer().status, 200);
        let wait = started.elapsed().saturating_sub(SERVICE);
        asked.lock().unwrap().push(Asked {
            model,
            seen_before,
            wait,
        });
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
    // A key that is new to the server waits for 100 ms before anything else.
    for key in &keys {
        assert_eq!(proxy.send(&Request::get("/v1/usage").key(key)).status, 200);
    }
    let crowd = Request::post(CHAT, ask("crowd")).key(&crowd_key);
    let mut line: Vec<_> = (0..BACKLOG).map(|_| proxy.start(&crowd)).collect();
    backend.wait_for_requests(PERMITS);

    let (stop, asked) = (AtomicBool::new(false), Mutex::default());
    let before = backend.requests().len();
    let started = Instant::now();
    let (took, served) = thread::scope(|scope| {
        for (user, key) in (0..).zip(&keys) {
            let (proxy, backend, stop, asked) = (&proxy, &backend, &stop, &asked);
            scope.spawn(move || ask_now_and_then((proxy, backend), (user, key), stop, asked));
        }
        thread::sleep(Duration::from_secs(3));
        let (took, served) = (started.elapsed(), backend.requests().len() - before);
        stop.store(true, Ordering::Relaxed);
        (took, served)
    });
    for connection in &mut line {
        assert_eq!(connection.answer().status, 200, "nobody starves");
    }

    let asked: Vec<Asked> = asked.into_inner().unwrap();
    let models: Vec<String> = backend.requests().iter().map(|seen| seen.model()).collect();
    let overtaken_by = |asked: &Asked| {
        let later = models[asked.seen_before..].iter();
        let ahead = later.take_while(|model| **model != asked.model);
        ahead.filter(|model| *model == "crowd").count()
    };
    let ahead: Vec<usize> = asked.iter().map(overtaken_by).collect();
    let most_ahead = ahead.iter().max().unwrap();
    let mut waits: Vec<Duration> = asked.iter().map(|asked| asked.wait).collect();
    waits.sort_unstable();
    let most = waits[waits.len() * 9 / 10];
    let possible = took.as_millis() * PERMITS as u128 / SERVICE.as_millis();
    let percent = served as u128 * 100 / possible;
    eprintln!(
        "{} waits: {:?} in the middle, {most:?} for nine of ten, {:?} at worst; the crowd overtook by {most_ahead} at most; \
         {percent} % of what the permits allow",
        waits.len(),
        waits[waits.len() / 2],
        waits[waits.len() - 1],
    );
    // One service time is that of as many requests as there are permits. Counted in requests it
    // does not depend on how busy the machine is.
    assert!(*most_ahead <= PERMITS, "{ahead:?}");
    assert!(most < SERVICE.mul_f64(1.1) + TOLERANCE, "{waits:?}");
    // A shared machine may stand still for some of the time.
    assert!(percent >= 60, "{served} of {possible}");
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
