//! A backend is reached over TLS and through HTTP proxies.
//!
//! `authority.pem`, `server.pem` and `server.key` were made for this test: a certificate for `localhost`, signed by an
//! authority whose key was thrown away. They are valid until 2120.

mod addresses;
mod base_url;
mod keep_alive;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::harness::{ASK, Backend, Home, assert_openai_error, chat_completion};

/// A TLS server for the name `localhost` that answers each connection's first request, one connection after another.
/// Returns its port.
fn tls_backend() -> u16 {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("server.key")).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let session = ServerConnection::new(config.clone()).unwrap();
            let mut tls = StreamOwned::new(session, stream);
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(ASK.as_bytes()) && tls.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
            }
            let body = chat_completion(19, 10);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = tls.write_all((head + &body).as_bytes());
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    });
    port
}

fn trusting_the_authority(url: &str) -> Home {
    Home::with_backend_url(url)
        .file("authority.pem", include_str!("authority.pem"))
        .set("SSL_CERT_FILE", "authority.pem")
}

#[test]
fn a_tls_backend_is_reached_with_ssl_cert_file() {
    let (proxy, key) =
        trusting_the_authority(&format!("https://localhost:{}", tls_backend())).serve_alice();
    for _ in 0..3 {
        let answer = proxy.chat(&key, ASK);
        assert_eq!(
            (answer.status, answer.text()),
            (200, chat_completion(19, 10))
        );
    }
    assert_eq!(proxy.rows().len(), 3);
}

#[test]
fn a_tls_error_is_a_502_and_the_log_says_what_to_do() {
    let port = tls_backend();
    let no_tls = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain_port = no_tls.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in no_tls.incoming().map_while(Result::ok) {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let at = |place: String| Home::with_backend_url(&format!("https://{place}"));
    for (home, says) in [
        (at(format!("localhost:{port}")), "SSL_CERT_FILE"),
        (
            at(format!("127.0.0.1:{plain_port}")),
            "may have to begin with http://",
        ),
        (
            trusting_the_authority(&format!("https://127.0.0.1:{port}")),
            "not valid for name",
        ),
    ] {
        let (proxy, key) = home.serve_alice();
        let error = assert_openai_error(&proxy.chat(&key, ASK), 502);
        assert_eq!(error["type"], "server_error");
        proxy.wait_for_log(says);
    }
}

/// An HTTP proxy that stands for the backend too, whichever way it is asked to reach it.
fn forwarding() -> Backend {
    Backend::start(|request, wire| {
        if request.head.starts_with("CONNECT ") {
            wire.head("200 Connection established", &[]);
        } else {
            wire.json(&chat_completion(19, 10));
        }
    })
}

#[test]
fn http_proxy_is_used_for_a_plain_backend() {
    let forwarding = forwarding();
    let home =
        Home::with_backend_url("http://backend.invalid").set("HTTP_PROXY", &forwarding.url());
    let (proxy, key) = home.serve_alice();
    let answer = proxy.chat(&key, ASK);
    assert_eq!(
        (answer.status, answer.text()),
        (200, chat_completion(19, 10))
    );
    let target = forwarding.requests()[0].target().to_owned();
    assert!(
        [
            "backend.invalid:80",
            "http://backend.invalid/v1/chat/completions"
        ]
        .contains(&&*target),
        "{target}"
    );
}

#[test]
fn https_proxy_is_asked_for_a_tunnel_with_its_credentials() {
    let refusing = Backend::start(|_, wire| {
        wire.answer(
            "403 Forbidden",
            &[("Connection", "close")],
            "no tunnel for you",
        );
    });
    let with_credentials = refusing.url().replace("http://", "http://user:pass@");
    let home =
        Home::with_backend_url("https://backend.invalid").set("HTTPS_PROXY", &with_credentials);
    let (proxy, key) = home.serve_alice();
    let answer = proxy.chat(&key, ASK);
    assert_openai_error(&answer, 502);
    let seen = refusing.last();
    assert!(
        seen.head
            .starts_with("CONNECT backend.invalid:443 HTTP/1.1\r\n"),
        "{}",
        seen.head
    );
    assert_eq!(
        seen.header("proxy-authorization"),
        Some("Basic dXNlcjpwYXNz")
    );
    assert_eq!(
        seen.header("authorization"),
        None,
        "the backend's key is not for the proxy's eyes"
    );
    assert!(!proxy.log().contains("user:pass"), "{}", proxy.log());
}

#[test]
fn no_proxy_bypasses_the_http_proxy() {
    let forwarding = forwarding();
    let backend = Backend::json(chat_completion(1, 1));
    for no_proxy in ["127.0.0.1", "example.com,127.0.0.1", "*"] {
        let home = Home::new(&backend)
            .set("HTTP_PROXY", &forwarding.url())
            .set("NO_PROXY", no_proxy);
        let (proxy, key) = home.serve_alice();
        assert_eq!(
            proxy.chat(&key, ASK).text(),
            chat_completion(1, 1),
            "NO_PROXY={no_proxy}"
        );
    }
    assert!(forwarding.requests().is_empty());
}
