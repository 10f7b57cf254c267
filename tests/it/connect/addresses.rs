//! If a backend's name has several addresses, a silent one costs a quarter of a second (RFC 8305).

use std::time::{Duration, Instant};

use crate::harness::{
    ASK, Backend, CHAT, Home, Proxy, Request, chat_completion, in_own_namespaces, shell,
};

/// A name with a black hole for its first address: packets go to a machine that is not there. Behind it comes
/// another address.
fn name_with_a_black_hole(behind_it: &str) {
    shell(
        "ip link add hole0 type veth peer name hole1 && ip link set hole0 up && ip link set hole1 up \
         && ip -6 addr add 2001:db8::2/64 dev hole0 nodad \
         && ip -6 neigh add 2001:db8::1 lladdr 02:00:00:00:00:01 dev hole0 \
         && ip -6 neigh add 2001:db8::3 lladdr 02:00:00:00:00:03 dev hole0",
    );
    shell(&format!(
        "printf '127.0.0.1 localhost\\n2001:db8::1 backend.test\\n{behind_it} backend.test\\n' > \"$TMPDIR/hosts\" \
         && mount --bind \"$TMPDIR/hosts\" /etc/hosts"
    ));
}

/// A backend that closes after each answer, so that each request needs a connection.
fn closing() -> Backend {
    Backend::start(|_, wire| {
        let json = ("Content-Type", "application/json");
        let close = ("Connection", "close");
        wire.answer("200 OK", &[json, close], chat_completion(1, 1));
        wire.close();
    })
}

fn time_of_a_chat(proxy: &Proxy, key: &str) -> Duration {
    let started = Instant::now();
    let answer = proxy.send(&Request::post(CHAT, ASK).key(key));
    assert_eq!(answer.status, 200, "{answer:?}");
    started.elapsed()
}

#[test]
fn a_black_holed_first_address_costs_a_quarter_of_a_second_once() {
    in_own_namespaces(
        a_black_holed_first_address_costs_a_quarter_of_a_second_once,
        "16m",
        || {
            name_with_a_black_hole("127.0.0.1");
            let backend = closing();
            let port = backend.authority().replace("127.0.0.1:", "");
            let home = Home::with_backend_url(&format!("http://backend.test:{port}"));
            let (proxy, key) = home.serve_alice();
            let first = time_of_a_chat(&proxy, &key);
            assert!(
                (Duration::from_millis(200)..Duration::from_secs(2)).contains(&first),
                "{first:?}"
            );
            for _ in 0..5 {
                let next = time_of_a_chat(&proxy, &key);
                assert!(next < Duration::from_millis(200), "{next:?}");
            }
        },
    );
}

#[test]
fn only_black_holes_are_a_502_within_the_connect_timeout() {
    in_own_namespaces(
        only_black_holes_are_a_502_within_the_connect_timeout,
        "16m",
        || {
            name_with_a_black_hole("2001:db8::3");
            let home = Home::with_backend_url("http://backend.test:9")
                .set("BACKEND_CONNECT_TIMEOUT", "700ms");
            let (proxy, key) = home.serve_alice();
            let started = Instant::now();
            let answer = proxy.send(&Request::post(CHAT, ASK).key(&key));
            assert_eq!(answer.status, 502, "{answer:?}");
            let took = started.elapsed();
            let expected = Duration::from_millis(650)..Duration::from_secs(3);
            assert!(expected.contains(&took), "{took:?}");
        },
    );
}
