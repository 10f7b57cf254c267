//! The way to the webhook: signed, in order, once each, and nothing lost.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;
use crate::harness::{ASK, PATIENCE, Ran, Request, Turnstile};

#[test]
fn an_alert_is_posted_once_with_a_text_and_a_signature() {
    let (backend, webhook) = (Backend::chats(19, 10), taking());
    let proxy = home(&backend, &webhook).set("RUST_LOG", "trace").serve();
    let id = raise(&proxy);
    wait_until_all_are_sent(&proxy, 1);
    let requests = webhook.requests();
    assert_eq!(ids(&webhook), [id.as_str()]);
    let request = &requests[0];
    assert!(
        request
            .head
            .starts_with("POST /services/T0SECRETPATH?token=SECRETQUERY ")
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body = request.json();
    assert_eq!(body["text"], "This is a test alert of llmproxy");
    assert_eq!(
        (&body["event"], &body["id"]),
        (&"test".into(), &id.as_str().into())
    );
    assert!(body["at"].as_str().unwrap().ends_with('Z'), "{body}");

    let timestamp = request.header("x-llmproxy-timestamp").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{timestamp}.{}", request.text()).as_bytes());
    let hex = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
    let expected = format!("v1={hex}");
    assert_eq!(
        request.header("x-llmproxy-signature"),
        Some(expected.as_str())
    );
    assert_no_secret_in(&proxy);
}

#[test]
fn a_webhook_that_fails_gets_everything_later_once_and_in_order() {
    // Nothing but the fourth attempt succeeds at first.
    let attempts = AtomicUsize::new(0);
    let webhook = Backend::start(
        move |_, wire| match attempts.fetch_add(1, Ordering::Relaxed) {
            0 => wire.answer("500 Internal Server Error", &[], "no"),
            1 => wire.answer("307 Temporary Redirect", &[("Location", "/elsewhere")], ""),
            2 => wire.reset(),
            _ => wire.answer("204 No Content", &[], ""),
        },
    );
    let backend = Backend::chats(19, 10);
    let proxy = home(&backend, &webhook).set("RUST_LOG", "trace").serve();
    let raised: Vec<String> = (0..3).map(|_| raise(&proxy)).collect();
    wait_until("the redirect is reported", PATIENCE, || {
        let first = listed(&proxy)[0]["deliveries"][0].clone();
        first["last_error"]
            .as_str()
            .is_some_and(|error| error.contains("redirects are not followed"))
    });
    wait_until_all_are_sent(&proxy, 3);
    let first = raised[0].clone();
    let expected: Vec<String> = [first.clone(), first.clone(), first]
        .into_iter()
        .chain(raised)
        .collect();
    assert_eq!(ids(&webhook), expected);
    assert!(
        webhook
            .requests()
            .iter()
            .all(|request| request.target() == PATH)
    );
    assert_no_secret_in(&proxy);
}

#[test]
fn nothing_is_lost_if_the_server_is_killed_while_the_webhook_hangs() {
    let hangs = Arc::new(AtomicBool::new(true));
    let webhook = {
        let hangs = Arc::clone(&hangs);
        Backend::start(move |_, wire| {
            if hangs.load(Ordering::Relaxed) {
                wire.closed_by_peer_within(LONG);
                return wire.close();
            }
            wire.answer("200 OK", &[], "");
        })
    };
    let backend = Backend::chats(19, 10);
    let mut proxy = home(&backend, &webhook).serve();
    let raised: Vec<String> = (0..2).map(|_| raise(&proxy)).collect();
    webhook.wait_for_requests(1);
    proxy.kill9();
    hangs.store(false, Ordering::Relaxed);
    proxy.restart();
    wait_until_all_are_sent(&proxy, 2);
    // The webhook may have handled the first one before the kill; the id lets it drop the second.
    assert_eq!(ids(&webhook)[1..], raised);
}

#[test]
fn requests_and_other_webhooks_do_not_wait_for_one_that_hangs() {
    let turnstile = Arc::new(Turnstile::default());
    let hanging = {
        let turnstile = Arc::clone(&turnstile);
        Backend::start(move |_, wire| {
            turnstile.pass();
            wire.answer("200 OK", &[], "");
        })
    };
    let (backend, other) = (Backend::chats(19, 10), taking());
    let both = format!("{}, {}", webhook_url(&hanging), webhook_url(&other));
    let (proxy, key) = Home::new(&backend)
        .set("ALERT_WEBHOOK", &both)
        .serve_alice();
    let raised: Vec<String> = (0..3).map(|_| raise(&proxy)).collect();
    hanging.wait_for_requests(1);
    other.wait_for_requests(3);
    let start = Instant::now();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(hanging.requests().len(), 1);
    assert_eq!(ids(&other), raised);
    assert!(other.requests()[0].header("x-llmproxy-signature").is_none());
    turnstile.allow(3);
    wait_until_all_are_sent(&proxy, 6);
    assert_eq!(ids(&hanging), raised);
}

#[test]
fn two_servers_on_one_file_send_each_alert_once() {
    let (backend, webhook) = (Backend::chats(19, 10), taking());
    let proxy = home(&backend, &webhook).serve();
    let mut second = proxy.command(&["serve"]);
    let mut second = second.stderr(Stdio::null()).spawn().unwrap();
    let raised: Vec<String> = (0..8).map(|_| raise(&proxy)).collect();
    wait_until_all_are_sent(&proxy, 8);
    let _ = second.kill();
    let _ = second.wait();
    assert_eq!(ids(&webhook), raised);
}

#[test]
fn without_a_webhook_alerts_are_recorded_and_a_new_webhook_gets_none_of_the_past() {
    let (backend, webhook) = (Backend::chats(19, 10), taking());
    let plain = Home::new(&backend);
    assert_eq!(plain.cli(&["user", "add", "alice"]).code, Some(0));
    raise(&plain);
    let proxy = plain.set("ALERT_WEBHOOK", &webhook_url(&webhook)).serve();
    let second = raise(&proxy);
    wait_until_all_are_sent(&proxy, 1);
    assert_eq!(ids(&webhook), [second]);
    assert_eq!(listed(&proxy).len(), 2);
}

#[test]
fn the_admin_api_raises_and_lists_like_the_commands() {
    let (backend, webhook) = (Backend::chats(19, 10), taking());
    let proxy = home(&backend, &webhook).serve();
    let answer = proxy.send(&Request::post("/admin/test_alert", "{}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let url = format!("http://{}", proxy.address());
    let mut command = proxy.command(&["alert", "test"]);
    let ran = Ran::of(command.env("LLMPROXY_SERVER", &url));
    assert!(ran.stdout.contains("a running server"), "{ran:?}");
    wait_until_all_are_sent(&proxy, 2);
    let mut command = proxy.command(&["alert", "list", "--json"]);
    let remote = Ran::of(command.env("LLMPROXY_SERVER", &url));
    assert_eq!(remote.json(), proxy.get_json("/admin/list_alerts"));
    let delivery = &remote.json()["alerts"][0]["deliveries"][0];
    assert_eq!(delivery["webhook"], webhook.url(), "scheme and host only");
    let table = proxy.cli(&["alert", "list"]).stdout;
    assert!(
        table.contains("This is a test alert of llmproxy"),
        "{table}"
    );
    let csv = proxy.cli(&["alert", "list", "--csv"]).stdout;
    assert!(csv.starts_with("id,at,event,text,state,error\n"), "{csv}");
    let limited = proxy
        .cli(&["alert", "list", "--limit", "1", "--csv"])
        .stdout;
    assert_eq!(limited.trim_end().lines().count(), 2, "{limited}");
    assert_eq!(proxy.cli(&["alert", "list", "--limit", "0"]).code, Some(2));
}

#[test]
fn a_url_that_is_none_stops_the_start_and_is_not_shown() {
    let backend = Backend::chats(19, 10);
    let eleven: Vec<String> = (0..11).map(|n| format!("https://a/SECRET{n}")).collect();
    for urls in [
        "ftp://a/SECRET",
        "https://u:SECRET@a/b",
        "SECRET",
        &eleven.join(","),
    ] {
        let ran = Home::new(&backend).set("ALERT_WEBHOOK", urls).refused();
        ran.assert_one_line_error();
        assert!(ran.stderr.contains("ALERT_WEBHOOK"), "{ran:?}");
        assert!(!ran.stderr.contains("SECRET"), "{ran:?}");
    }
}

#[test]
fn a_webhook_that_is_slow_is_not_asked_twice_at_once() {
    let at_once = Arc::new(Mutex::new((0_usize, 0_usize)));
    let webhook = {
        let at_once = Arc::clone(&at_once);
        Backend::start(move |_, wire| {
            let begin = |(now, most): &mut (usize, usize)| {
                *now += 1;
                *most = (*most).max(*now);
            };
            begin(&mut at_once.lock().unwrap());
            std::thread::sleep(Duration::from_millis(300));
            at_once.lock().unwrap().0 -= 1;
            wire.answer("200 OK", &[], "x".repeat(200_000));
        })
    };
    let backend = Backend::chats(19, 10);
    let proxy = home(&backend, &webhook).serve();
    let raised: Vec<String> = (0..4).map(|_| raise(&proxy)).collect();
    wait_until_all_are_sent(&proxy, 4);
    assert_eq!(ids(&webhook), raised);
    assert_eq!(at_once.lock().unwrap().1, 1);
}
