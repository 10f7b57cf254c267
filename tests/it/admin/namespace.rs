//! Another host, in a network of its own, is refused unless it is allowed or has the token.

use std::net::{IpAddr, SocketAddr};

use super::assert_admin_error;
use crate::harness::{
    Answer, Backend, Connection, Home, PATIENCE, Proxy, Request, in_own_namespaces, shell,
    wait_until,
};

const USERS: &str = "/admin/list_users";
const TOKEN: &str = "a-long-admin-token";
/// The server's addresses; the test has .1 and ::1. Both networks are set aside for examples.
const SERVER: [&str; 2] = ["192.0.2.2", "2001:db8::2"];

fn home() -> (Backend, Home) {
    let backend = Backend::json("{}");
    let home = Home::new(&backend).launched_by("exec unshare -n");
    (backend, home)
}

/// Lays a cable into the network of the server.
fn connect(proxy: &Proxy) {
    let (pid, [v4, v6]) = (proxy.pid(), SERVER);
    shell(&format!(
        "(ip link del here 2>&1) >/dev/null; ip link add here type veth peer name there netns {pid} \
         && ip addr add 192.0.2.1/24 dev here && ip addr add 2001:db8::1/64 dev here nodad && ip link set here up \
         && nsenter --net=/proc/{pid}/ns/net sh -c 'ip link set lo up && ip addr add {v4}/24 dev there \
            && ip addr add {v6}/64 dev there nodad && ip link set there up'"
    ));
    let reached = || call(proxy, v4, &Request::get("/health")).is_some();
    wait_until("the server is reached", PATIENCE, reached);
}

/// The answer to a call from the other end of the cable.
fn call(proxy: &Proxy, to: &str, request: &Request) -> Option<Answer> {
    let to: IpAddr = to.parse().unwrap();
    let mut connection = Connection::try_open(SocketAddr::new(to, proxy.port())).ok()?;
    connection.send(request);
    Some(connection.answer())
}

#[track_caller]
fn assert_refused(answer: &Answer) {
    let message = assert_admin_error(answer, 403);
    assert!(
        message.contains("ADMIN_TOKEN") && message.contains("ADMIN_ALLOW"),
        "{message}"
    );
}

#[test]
fn another_host_is_403_whatever_headers_it_sends() {
    in_own_namespaces(another_host_is_403_whatever_headers_it_sends, "8m", || {
        for (host, addresses) in [("0.0.0.0", &SERVER[..1]), ("::", &SERVER[..])] {
            let (_backend, home) = home();
            let proxy = home.set("HOST", host).serve();
            connect(&proxy);
            for to in addresses {
                let call = |request: &Request| call(&proxy, to, request).unwrap();
                assert_eq!(call(&Request::get("/health")).status, 200, "{to}");
                for name in ["localhost", "127.0.0.1", "[::1]", to] {
                    assert_refused(&call(&Request::get(USERS).header("Host", name)));
                }
                let local = Request::get(USERS).header("Host", "localhost");
                for (name, value) in [
                    ("X-Forwarded-For", "127.0.0.1"),
                    ("Forwarded", "for=127.0.0.1"),
                    ("X-Real-IP", "::1"),
                    ("Authorization", "Bearer "),
                ] {
                    assert_refused(&call(&local.clone().header(name, value)));
                }
                let add = Request::post("/admin/gen_key", r#"{"username":"mallory"}"#);
                assert_refused(&call(&add.header("Host", "localhost")));
                assert_refused(&call(&Request::get("/admin/nothing")));
            }
            assert!(proxy.users().is_empty(), "nothing was done");
        }
    });
}

#[test]
fn another_host_needs_the_right_token() {
    in_own_namespaces(another_host_needs_the_right_token, "8m", || {
        let (_backend, home) = home();
        let proxy = home
            .set("HOST", "0.0.0.0")
            .set("ADMIN_TOKEN", TOKEN)
            .serve();
        connect(&proxy);
        let call = |request: &Request| call(&proxy, SERVER[0], request).unwrap();
        assert_admin_error(&call(&Request::get(USERS)), 401);
        assert_admin_error(&call(&Request::get(USERS).header("Host", "localhost")), 401);
        assert_admin_error(&call(&Request::get(USERS).key("a-wrong-admin-token")), 401);
        assert_eq!(call(&Request::get(USERS).key(TOKEN)).status, 200);
        let add = Request::post("/admin/gen_key", r#"{"username":"alice"}"#);
        assert_eq!(call(&add.key(TOKEN)).status, 200);
    });
}

#[test]
fn another_host_is_allowed_by_its_own_address_only() {
    in_own_namespaces(
        another_host_is_allowed_by_its_own_address_only,
        "8m",
        || {
            for (allowed, to, status) in [
                ("192.0.2.0/24", SERVER[0], 200),
                // The address of a host behind an IPv4 connection to an IPv6 socket is still its IPv4 address.
                ("192.0.2.1/32,198.51.100.0/24", SERVER[0], 200),
                ("2001:db8::/64", SERVER[1], 200),
                ("192.0.2.2/32", SERVER[0], 403),
                ("198.51.100.0/24,2001:db8::/64", SERVER[0], 403),
                ("192.0.2.0/24,2001:db8:1::/64", SERVER[1], 403),
            ] {
                let (_backend, home) = home();
                let proxy = home.set("HOST", "::").set("ADMIN_ALLOW", allowed).serve();
                connect(&proxy);
                let answer = call(&proxy, to, &Request::get(USERS)).unwrap();
                assert_eq!(answer.status, status, "{allowed} to {to}: {answer:?}");
            }
        },
    );
}
