//! The port itself speaks TLS, and programs in browsers may call the API.
//!
//! `second.pem` and `second.key` were made for these tests: a certificate for `localhost` that vouches
//! for itself.

mod cors;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};

use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, DONE, Home, PATIENCE, Proxy, chat_completion, wait_until,
};

const AUTHORITY: &str = include_str!("../connect/authority.pem");
const CERTIFICATE: &str = include_str!("../connect/server.pem");
const KEY: &str = include_str!("../connect/server.key");
const SECOND: &str = include_str!("second.pem");
const SECOND_KEY: &str = include_str!("second.key");

fn with_tls(backend: &Backend) -> Home {
    Home::new(backend)
        .file("server.pem", CERTIFICATE)
        .file("server.key", KEY)
        .set("TLS_CERT_FILE", "server.pem")
        .set("TLS_KEY_FILE", "server.key")
}

/// Opens a connection that trusts a certificate. `versions` and `protocols` are those that the client
/// offers.
fn open(
    proxy: &Proxy,
    trusted: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
    protocols: &[&str],
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let bytes = |name: &&str| name.as_bytes().to_vec();
    config.alpn_protocols = protocols.iter().map(bytes).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(proxy.address())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut tls = StreamOwned::new(session, stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}

fn open_trusting(
    proxy: &Proxy,
    trusted: &str,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    open(proxy, trusted, rustls::ALL_VERSIONS, &[])
}

/// Sends a request that ends its connection and returns everything that comes.
fn exchange(mut tls: StreamOwned<ClientConnection, TcpStream>, request: &str) -> String {
    tls.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn chat(key: &str, body: &str) -> String {
    format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn chats_go_over_tls_of_both_versions_and_http_1_1_only() {
    let backend = Backend::chats(19, 10);
    let (proxy, key) = with_tls(&backend).serve_alice();
    assert!(proxy.log().contains("listening on https://127.0.0.1:"));
    for (version, number) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let tls = open(&proxy, AUTHORITY, &[version], &["h2", "http/1.1"]).unwrap();
        assert_eq!(tls.conn.protocol_version(), Some(number));
        assert_eq!(tls.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        let answer = exchange(tls, &chat(&key, ASK));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with(&chat_completion(19, 10)), "{answer}");
    }
    let only_h2 = open(&proxy, AUTHORITY, rustls::ALL_VERSIONS, &["h2"]);
    assert!(only_h2.is_err(), "HTTP/2 is not offered");
    let stream = exchange(
        open_trusting(&proxy, AUTHORITY).unwrap(),
        &chat(&key, ASK_STREAM),
    );
    assert!(stream.contains(DONE.trim_end()), "{stream}");
    wait_until("all are booked", PATIENCE, || proxy.rows().len() == 3);
}

#[test]
fn a_client_without_tls_gets_no_answer_and_the_peer_is_known() {
    let backend = Backend::chats(19, 10);
    let (proxy, key) = with_tls(&backend).serve_alice();
    let mut plain = TcpStream::connect(proxy.address()).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(chat(&key, ASK).as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    // The admin API is open to this machine, which the server sees through TLS, too.
    let answer = exchange(
        open_trusting(&proxy, AUTHORITY).unwrap(),
        "GET /admin/list_users HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(proxy.rows().is_empty());
}

#[test]
fn commands_reach_a_server_with_tls() {
    let backend = Backend::chats(19, 10);
    let (proxy, _) = with_tls(&backend)
        .file("authority.pem", AUTHORITY)
        .set("SSL_CERT_FILE", "authority.pem")
        .serve_alice();
    let server = format!("https://localhost:{}", proxy.port());
    let listed = proxy.cli(&["user", "list", "--server", &server, "--json"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert_eq!(listed.json()["users"][0]["username"], "alice");
}

#[test]
fn a_changed_certificate_is_taken_and_a_broken_one_is_not() {
    let backend = Backend::chats(19, 10);
    let (proxy, key) = with_tls(&backend).serve_alice();
    let kept = open_trusting(&proxy, AUTHORITY).unwrap();

    std::fs::write(proxy.path("server.pem"), "no certificate").unwrap();
    proxy.wait_for_log("tls: the changed certificate cannot be used, the old one stays");
    drop(open_trusting(&proxy, AUTHORITY).unwrap());

    // As a renewal does it: new files that replace the old ones.
    std::fs::write(proxy.path("new.key"), SECOND_KEY).unwrap();
    std::fs::write(proxy.path("new.pem"), SECOND).unwrap();
    std::fs::rename(proxy.path("new.key"), proxy.path("server.key")).unwrap();
    std::fs::rename(proxy.path("new.pem"), proxy.path("server.pem")).unwrap();
    wait_until("the second certificate", PATIENCE, || {
        open_trusting(&proxy, SECOND).is_ok()
    });
    let answer = exchange(open_trusting(&proxy, SECOND).unwrap(), &chat(&key, ASK));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // An open connection goes on.
    let answer = exchange(kept, &chat(&key, ASK));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start() {
    let backend = Backend::chats(19, 10);
    for (certificate, key, said) in [
        (
            None,
            Some("server.key"),
            "TLS_KEY_FILE is not accepted: TLS_CERT_FILE is missing",
        ),
        (
            Some("server.pem"),
            None,
            "TLS_CERT_FILE is not accepted: TLS_KEY_FILE is missing",
        ),
        (
            Some("nowhere.pem"),
            Some("server.key"),
            "cannot read the certificate \"nowhere.pem\"",
        ),
        (
            Some("server.pem"),
            Some("server.pem"),
            "cannot read the private key \"server.pem\"",
        ),
        (
            Some("server.key"),
            Some("server.key"),
            "there is no certificate in it",
        ),
        (
            Some("server.pem"),
            Some("second.key"),
            "is not that of the certificate",
        ),
    ] {
        let mut home = with_tls(&backend)
            .file("second.key", SECOND_KEY)
            .unset("TLS_CERT_FILE")
            .unset("TLS_KEY_FILE");
        if let Some(certificate) = certificate {
            home = home.set("TLS_CERT_FILE", certificate);
        }
        if let Some(key) = key {
            home = home.set("TLS_KEY_FILE", key);
        }
        let refused = home.refused();
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(said), "{said}: {refused:?}");
        assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
        assert!(!home.path("test.db").exists());
    }
}

#[test]
fn a_server_with_tls_stops_when_it_is_told_to() {
    let backend = Backend::chats(19, 10);
    let (mut proxy, key) = with_tls(&backend).serve_alice();
    let idle = open_trusting(&proxy, AUTHORITY).unwrap();
    let answer = exchange(open_trusting(&proxy, AUTHORITY).unwrap(), &chat(&key, ASK));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    proxy.signal("TERM");
    assert!(proxy.exit_within(PATIENCE).unwrap().success());
    drop(idle);
}

#[test]
fn a_health_check_takes_the_certificate_as_it_is() {
    let backend = Backend::chats(19, 10);
    let proxy = with_tls(&backend).serve();
    let port = proxy.port().to_string();
    let healthy = with_tls(&backend).set("PORT", &port).cli(&["health"]);
    assert_eq!(healthy.code, Some(0), "{healthy:?}");
    let without_tls = Home::new(&backend).set("PORT", &port).cli(&["health"]);
    without_tls.assert_one_line_error();
    let checked = with_tls(&backend).set("PORT", &port).cli(&["check"]);
    assert!(
        checked.stdout.contains("a server of llmproxy has"),
        "{checked:?}"
    );
}
