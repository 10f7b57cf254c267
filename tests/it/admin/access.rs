//! Only this machine, allowed addresses and holders of the token may call the admin API.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use super::assert_admin_error;
use crate::harness::{
    ASK, Answer, Backend, CHAT, Connection, Home, Proxy, Request, assert_guesses_are_slowed_down,
    chat_completion,
};

const USERS: &str = "/admin/list_users";

fn home() -> (Backend, Home) {
    let backend = Backend::json(chat_completion(1, 1));
    let home = Home::new(&backend);
    (backend, home)
}

/// Checks a refusal, and that it tells the operator the two ways out.
#[track_caller]
fn assert_refused(answer: &Answer) {
    let message = assert_admin_error(answer, 403);
    assert!(
        message.contains("ADMIN_TOKEN") && message.contains("ADMIN_ALLOW"),
        "{message}"
    );
}

fn with_token(proxy: &Proxy, token: &str) -> Answer {
    proxy.send(&Request::get(USERS).key(token))
}

/// The machine's address on its network, if it has one.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // No packet is sent: this only makes the kernel choose the address that it would send from.
    socket.connect("192.0.2.77:9").ok()?;
    socket
        .local_addr()
        .ok()
        .map(|address| address.ip())
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[test]
fn this_machine_may_call_by_any_of_its_own_names() {
    let (_backend, home) = home();
    let proxy = home.serve();
    let port = proxy.address().port();
    for name in ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"] {
        for host in [name.to_owned(), format!("{name}:{port}")] {
            assert_eq!(
                proxy
                    .send(&Request::get(USERS).header("Host", &host))
                    .status,
                200,
                "Host: {host}"
            );
        }
    }
}

#[test]
fn this_machine_is_recognised_behind_an_ipv6_socket() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let (_backend, home) = home();
    let proxy = home.set("HOST", "::").serve();
    // The peer of the first is ::ffff:127.0.0.1.
    for address in ["127.0.0.1", "::1"] {
        let address = SocketAddr::new(address.parse().unwrap(), proxy.port());
        let mut connection = Connection::open(address);
        connection.send(&Request::get(USERS).header("Host", "localhost"));
        assert_eq!(connection.answer().status, 200, "{address}");
        connection.send(&Request::get(USERS).header("Host", "evil.example"));
        assert_refused(&connection.answer());
    }
}

/// RFC 9112, 3.2: which of the two a reverse proxy has looked at, nobody knows.
#[test]
fn two_host_headers_are_400() {
    let (_backend, home) = home();
    let token = "a-long-admin-token";
    let pairs = [
        ["localhost", "localhost"],
        ["localhost", "evil.example"],
        ["evil.example", "localhost"],
    ];
    for home in [home, self::home().1.set("ADMIN_TOKEN", token)] {
        let proxy = home.serve();
        for [first, second] in pairs {
            let twice = |request: Request| {
                request
                    .key(token)
                    .header("Host", first)
                    .header("Host", second)
            };
            for request in [
                Request::get(USERS),
                Request::post("/admin/gen_key", r#"{"username":"mallory"}"#),
            ] {
                assert_eq!(proxy.send(&twice(request)).status, 400, "{first}, {second}");
            }
        }
        assert!(proxy.users().is_empty(), "nothing was done");
    }
}

#[test]
fn no_admin_answer_is_readable_by_another_origin() {
    let token = "a-long-admin-token";
    let (_backend, home) = home();
    for home in [home, self::home().1.set("ADMIN_TOKEN", token)] {
        let proxy = home.serve();
        for path in [
            "gen_key",
            "list_users",
            "list_costs",
            "forbid_key",
            "allow_key",
            "nothing",
            "",
        ] {
            for method in ["OPTIONS", "GET", "HEAD", "POST", "PUT"] {
                for origin in ["https://evil.example", "null", "http://localhost:3000"] {
                    let request = Request::new(method, &format!("/admin/{path}"))
                        .header("Content-Type", "application/json")
                        .header("Content-Length", "0")
                        .header("Origin", origin)
                        .header("Access-Control-Request-Method", "POST")
                        .header(
                            "Access-Control-Request-Headers",
                            "content-type,authorization",
                        )
                        .header("Access-Control-Request-Private-Network", "true");
                    for request in [request.clone().key(token), request] {
                        let head = proxy.start(&request).head();
                        let grants = head.headers.iter().find(|(name, _)| {
                            name.to_ascii_lowercase().starts_with("access-control-")
                        });
                        assert_eq!(grants, None, "{method} {path}: {head:?}");
                        let preflight = method == "OPTIONS";
                        assert!(!preflight || head.status >= 400, "{path}: {head:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_foreign_host_name_is_403() {
    let (_backend, home) = home();
    let proxy = home.serve();
    // What a web page sends whose name was made to point at this machine.
    for host in [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.1",
        "[::2]",
    ] {
        assert_refused(&proxy.send(&Request::get(USERS).header("Host", host)));
    }
    let attack =
        Request::post("/admin/gen_key", r#"{"username":"mallory"}"#).header("Host", "evil.example");
    assert_refused(&proxy.send(&attack));
    assert_eq!(
        proxy.get_json(USERS)["users"].as_array().unwrap().len(),
        0,
        "nothing was done"
    );
}

#[test]
fn a_forwarded_request_is_403() {
    let (_backend, home) = home();
    let proxy = home.serve();
    let forwarding = [
        ("Forwarded", "for=127.0.0.1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Host", "localhost"),
        ("X-Forwarded-Proto", "https"),
        ("x-real-ip", "127.0.0.1"),
    ];
    for (name, value) in forwarding {
        assert_refused(&proxy.send(&Request::get(USERS).header(name, value)));
    }
}

#[test]
fn another_address_than_loopback_is_403_until_it_is_allowed() {
    let Some(own) = own_address() else {
        eprintln!("skipped: this machine has no address but loopback");
        return;
    };
    let (_backend, home) = home();
    let proxy = home.set("HOST", "0.0.0.0").serve();
    let port = proxy.address().port();
    let call = |host: &str, port: u16| {
        let mut connection = Connection::open(SocketAddr::new(own, port));
        connection.send(&Request::get(USERS).header("Host", host));
        connection.answer()
    };
    assert_refused(&call("localhost", port));
    assert_refused(&call(&own.to_string(), port));
    assert_eq!(
        proxy.get_json(USERS)["users"].as_array().unwrap().len(),
        0,
        "loopback still may"
    );

    let (_backend, home) = self::home();
    let proxy = home
        .set("HOST", "0.0.0.0")
        .set("ADMIN_ALLOW", &format!("10.99.0.0/16,{own}/32"))
        .serve();
    assert_eq!(call(&own.to_string(), proxy.address().port()).status, 200);
}

#[test]
fn an_allowed_network_of_everybody_opens_the_admin_side() {
    let (_backend, home) = home();
    let proxy = home.set("ADMIN_ALLOW", "0.0.0.0/0,::/0").serve();
    assert_eq!(proxy.send(&Request::get(USERS)).status, 200);
    assert_eq!(
        proxy
            .send(&Request::get(USERS).header("Host", "llm.example"))
            .status,
        200
    );
}

#[test]
fn an_allowed_network_matches_the_peer_not_its_headers() {
    let (_backend, home) = home();
    let proxy = home.set("ADMIN_ALLOW", "10.0.0.0/8").serve();
    assert_eq!(
        proxy.send(&Request::get(USERS)).status,
        200,
        "loopback may as before"
    );
    assert_refused(&proxy.send(&Request::get(USERS).header("X-Forwarded-For", "10.1.2.3")));
    assert_refused(&proxy.send(&Request::get(USERS).header("Host", "10.1.2.3")));
}

#[test]
fn with_a_token_set_every_caller_needs_just_the_token() {
    let (_backend, home) = home();
    let (proxy, key) = home.set("ADMIN_TOKEN", "a-long-admin-token").serve_alice();
    let wrong = [
        "a-long-admin-toke",
        "a-long-admin-token2",
        "A-LONG-ADMIN-TOKEN",
        "x",
        &key,
        crate::harness::BACKEND_KEY,
    ];
    for token in wrong {
        let answer = with_token(&proxy, token);
        assert_admin_error(&answer, 401);
        assert!(
            !format!("{answer:?}").contains("a-long-admin"),
            "{answer:?}"
        );
    }
    let none = proxy.send(&Request::get(USERS));
    assert_admin_error(&none, 401);
    assert_eq!(with_token(&proxy, "a-long-admin-token").status, 200);
    let from_afar = Request::get(USERS).key("a-long-admin-token");
    let from_afar = from_afar
        .header("Host", "llm.example")
        .header("X-Forwarded-For", "203.0.113.9");
    assert_eq!(proxy.send(&from_afar).status, 200);
}

#[test]
fn wrong_tokens_are_slowed_down_and_right_ones_are_not() {
    let (_backend, home) = home();
    let proxy = home.set("ADMIN_TOKEN", "a-long-admin-token").serve();
    let with_token = |token: &str| Request::get(USERS).key(token);
    let (guess, right) = (
        with_token("a-guessed-token"),
        with_token("a-long-admin-token"),
    );
    assert_guesses_are_slowed_down(&proxy, &guess, &right);
}

#[test]
fn the_token_opens_the_admin_side_only_and_is_never_logged() {
    let (backend, home) = home();
    let (proxy, _) = home
        .set("ADMIN_TOKEN", "a-long-admin-token")
        .set("RUST_LOG", "debug")
        .serve_alice();
    assert_eq!(
        proxy
            .send(&Request::post(CHAT, ASK).key("a-long-admin-token"))
            .status,
        401
    );
    with_token(&proxy, "a-long-admin-token");
    with_token(&proxy, "a-wrong-admin-token");
    assert!(backend.requests().is_empty());
    assert!(!proxy.log().contains("admin-token"), "{}", proxy.log());
}
