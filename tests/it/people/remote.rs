//! `--server URL`: the commands that administer do over HTTP what they do on the file.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::*;
use crate::harness::{bind_silently, wait_until};

const TOKEN: &str = "a-long-admin-token";

/// Runs a command against a server. The database file of the settings does not exist, so that a
/// command which looked at it would fail.
fn run_remote(home: &Home, url: &str, token: Option<&str>, arguments: &[&str]) -> Ran {
    let mut command = home.command(arguments);
    command.env("DATABASE_URL", "sqlite:////nonexistent/none.db");
    command.env("LLMPROXY_SERVER", url);
    if let Some(token) = token {
        command.env("ADMIN_TOKEN", token);
    }
    Ran::of(&mut command)
}

fn url_of(proxy: &Proxy) -> String {
    format!("http://{}", proxy.address())
}

/// Replaces what differs between two runs: random keys and times.
fn normalised(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("llmp-") {
        let (before, key) = rest.split_at(start);
        out.push_str(before);
        let random = |c: char| !(c.is_ascii_hexdigit() || c == '…');
        let end = key[5..].find(random).map_or(key.len(), |end| end + 5);
        out.push_str("llmp-KEY");
        rest = &key[end..];
    }
    out.push_str(rest);
    let is_time = |text: &str| {
        text.len() == 20
            && text.ends_with('Z')
            && text.as_bytes()[10] == b'T'
            && text.starts_with("20")
    };
    let chars: Vec<char> = out.chars().collect();
    let (mut at, mut text) = (0, String::new());
    while at < chars.len() {
        let next: String = chars[at..].iter().take(20).collect();
        if is_time(&next) {
            text.push_str("TIME");
            at += 20;
        } else {
            text.push(chars[at]);
            at += 1;
        }
    }
    text
}

/// Every command that administers, in an order in which each has something to do. Some fail.
const COMMANDS: [&[&str]; 81] = [
    &["alert", "list"],
    &["alert", "list", "--json"],
    &["alert", "list", "--limit", "0"],
    &["user", "list"],
    &["user", "list", "--json"],
    &["user", "list", "--csv"],
    &["user", "list", "--table"],
    &["group", "list"],
    &["group", "add", "course-7"],
    &["group", "add", "course-7"],
    &["group", "add", "TOTAL"],
    &["group", "add", "course-8", "--json"],
    &["group", "list", "--json"],
    &["user", "add", "bob", "--group", "course-7"],
    &["user", "add", "bob"],
    &[
        "user",
        "add",
        "carol",
        "--json",
        "--label",
        "ci",
        "--expires",
        "2099-01-01",
    ],
    &["user", "add", "dave", "--group", "nowhere"],
    &["user", "add", "dave", "--expires", "soon"],
    &["user", "add", "dave", "--expires", "2001-01-01"],
    &["user", "add", "dave", "--key", "short"],
    &["user", "add", "dave", "--key", "sk-given-0123456789abcdef"],
    &["user", "add", "eve", "--key", "sk-given-0123456789abcdef"],
    &["user", "add", "erin", "frank", "--group", "course-8"],
    &["user", "add", "grace", "frank", "TOTAL"],
    &["user", "add", "--from", "good.csv"],
    &["user", "add", "--from", "bad.csv"],
    &["user", "list", "--group", "course-7"],
    &["user", "list", "--group", "nowhere"],
    &["user", "show", "bob"],
    &["user", "show", "bob", "--json"],
    &["user", "show", "nobody"],
    &["user", "set", "bob", "--group", "course-8"],
    &["user", "set", "bob", "--no-group"],
    &["user", "set", "bob", "--group", "nowhere"],
    &["user", "rename", "bob", "robert"],
    &["user", "rename", "bob", "robert"],
    &["user", "rename", "robert", "alice"],
    &["user", "rename", "robert", "-"],
    &["user", "rotate", "robert"],
    &["user", "rotate", "robert", "--grace", "24h", "--json"],
    &["user", "rotate", "robert", "--grace", "soon"],
    &["user", "rotate", "robert", "--key-id", "99"],
    &["user", "rotate", "sk-given-0123456789abcdef"],
    &["user", "forbid", "robert"],
    &["user", "list", "--inactive"],
    &["user", "allow", "robert", "--json"],
    &["user", "forbid", "nobody"],
    &["user", "forbid", "llmp-0123"],
    &["key", "add", "alice", "--label", "laptop"],
    &["key", "add", "nobody"],
    &["key", "list"],
    &["key", "list", "alice", "--csv"],
    &["key", "list", "nobody"],
    &[
        "key",
        "set",
        "1",
        "--label",
        "old",
        "--expires",
        "2099-12-31",
    ],
    &["key", "set", "1", "--expires", "never", "--json"],
    &["key", "set", "1", "--expires", "yesterday"],
    &["key", "set", "99", "--label", "x"],
    &["key", "revoke", "1"],
    &["key", "revoke", "1", "--json"],
    &["key", "revoke", "99"],
    &[
        "group", "set", "course-7", "--add", "alice", "--add", "robert",
    ],
    &["group", "set", "course-7", "--remove", "carol"],
    &["group", "show", "course-7"],
    &["group", "show", "nowhere"],
    &["group", "rename", "course-7", "course-9"],
    &["group", "delete", "course-9"],
    &["group", "delete", "course-9", "--yes"],
    &["user", "delete", "robert"],
    &["user", "delete", "robert", "--yes"],
    &["user", "delete", "robert", "--yes"],
    &["costs"],
    &["costs", "--json"],
    &["costs", "--by", "model,user", "--csv"],
    &["costs", "--by", "colour"],
    &["costs", "--user", "nobody"],
    &["costs", "--last-hours", "0"],
    &[
        "costs",
        "--start-time",
        "2026-02-09",
        "--end-time",
        "2026-02-08",
    ],
    &["price", "check"],
    &["price", "list", "gpt-4.1-mini", "--json"],
    &["user", "hash-keys"],
    &["user", "list", "--json"],
];

#[test]
fn every_command_prints_the_same_over_http_as_on_the_file() {
    let backend = Backend::chats(19, 10);
    let (proxy, key) = Home::new(&backend).serve_alice();
    proxy.chat(&key, ASK);
    // The server writes it once a minute, so that it does not do so again during the test.
    wait_until("the key's last use is written", PATIENCE, || {
        proxy.users()[0]["last_used_at"].is_string()
    });
    let file = home();
    proxy
        .database()
        .execute("VACUUM INTO ?1", [file.path("test.db").to_str().unwrap()])
        .unwrap();
    let good = "name,group,label\nheidi,course-7,\nivan,,server\n";
    let bad = "name,group\njudy,nowhere\nTOTAL,\n";
    for place in [&file, &*proxy] {
        std::fs::write(place.path("good.csv"), good).unwrap();
        std::fs::write(place.path("bad.csv"), bad).unwrap();
    }
    let url = url_of(&proxy);
    for arguments in COMMANDS {
        let on_file = file.cli(arguments);
        let remote = run_remote(&proxy, &url, None, arguments);
        let shown = |ran: &Ran| (normalised(&ran.stdout), ran.code, normalised(&ran.stderr));
        assert_eq!(shown(&remote), shown(&on_file), "{arguments:?}");
    }
}

#[test]
fn the_token_comes_from_the_environment_the_env_file_or_a_file() {
    let backend = Backend::chats(19, 10);
    let proxy = Home::new(&backend).set("ADMIN_TOKEN", TOKEN).serve();
    let url = url_of(&proxy);
    let home = home()
        .file("token", &format!("{TOKEN}\n"))
        .file("wrong", "another-admin-token\n")
        .file(
            "good.env",
            &format!("ADMIN_TOKEN={TOKEN}\nLLMPROXY_SERVER={url}\n"),
        );
    let list = ["user", "list", "--json"];
    let succeeds = |ran: Ran| {
        assert_eq!(
            (ran.code, ran.stdout.trim()),
            (Some(0), r#"{"users":[]}"#),
            "{ran:?}"
        );
    };
    succeeds(run_remote(&home, &url, Some(TOKEN), &list));
    succeeds(home.cli(&[&["--env-file", "good.env"], &list[..]].concat()));
    let of_file = [&list[..], &["--admin-token-file", "token"]].concat();
    succeeds(run_remote(&home, &url, None, &of_file));
    succeeds(run_remote(
        &home,
        &url,
        Some("another-admin-token"),
        &of_file,
    ));
    let by_flag = [
        &list[..],
        &["--server", &url, "--admin-token-file", "token"],
    ]
    .concat();
    succeeds(home.cli(&by_flag));
    for ran in [
        run_remote(&home, &url, None, &list),
        run_remote(&home, &url, Some("another-admin-token"), &list),
        run_remote(
            &home,
            &url,
            None,
            &[&list[..], &["--admin-token-file", "wrong"]].concat(),
        ),
    ] {
        ran.assert_one_line_error();
        assert!(ran.stderr.contains("admin token"), "{ran:?}");
        assert!(!ran.stderr.contains("another-admin"), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
    let missing = [&list[..], &["--admin-token-file", "nowhere"]].concat();
    let ran = run_remote(&home, &url, None, &missing);
    assert!(matches!(ran.code, Some(1 | 2)), "{ran:?}");
    assert!(ran.stderr.contains("nowhere"), "{ran:?}");
    let as_argument = [&list[..], &["--admin-token", TOKEN]].concat();
    assert_eq!(home.cli(&as_argument).code, Some(2), "never an argument");
}

#[test]
fn a_server_that_cannot_be_asked_is_an_error_in_one_line() {
    let (_socket, refusing) = bind_silently();
    let answers = |status: &'static str, content_type: &'static str, body: &'static str| {
        Backend::start(move |_, wire| wire.answer(status, &[("Content-Type", content_type)], body))
    };
    let html = answers("200 OK", "text/html", "<html>Welcome</html>");
    let json = answers("200 OK", "application/json", r#"{"data":[]}"#);
    let missing = answers("404 Not Found", "text/html", "<html>none</html>");
    let bad = answers("400 Bad Request", "text/html", "<html>bad</html>");
    let broken = Backend::start(|_, wire| {
        wire.head("200 OK", &[("Content-Length", "100")]);
        wire.write("{");
        wire.reset();
    });
    for (url, says) in [
        (format!("http://{refusing}"), "cannot reach"),
        ("http://llmproxy.invalid".to_owned(), "cannot reach"),
        (html.url(), "something else than llmproxy"),
        (json.url(), "something else than llmproxy"),
        (missing.url(), "404"),
        (bad.url(), "400"),
        (broken.url(), ""),
    ] {
        for arguments in [&["user", "list"][..], &["user", "add", "alice"]] {
            let ran = run_remote(&home(), &url, Some(TOKEN), arguments);
            ran.assert_one_line_error();
            assert!(ran.stderr.contains(says), "{url}: {ran:?}");
            assert!(ran.stderr.len() < 400, "{ran:?}");
            assert!(!ran.stderr.contains(TOKEN), "{ran:?}");
        }
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Backend::json(r#"{"users":[]}"#);
    let location = format!("{}/admin/list_users", elsewhere.url());
    let redirecting = Backend::start(move |_, wire| {
        wire.answer("307 Temporary Redirect", &[("Location", &location)], "");
    });
    for arguments in [&["user", "list"][..], &["user", "forbid", "alice"]] {
        let ran = run_remote(&home(), &redirecting.url(), Some(TOKEN), arguments);
        ran.assert_one_line_error();
        assert!(ran.stderr.contains("307"), "{ran:?}");
    }
    assert!(
        elsewhere.requests().is_empty(),
        "the token goes nowhere else"
    );
}

#[test]
fn an_address_that_is_none_is_refused() {
    for url in [
        "llmproxy.example",
        "ftp://llmproxy.example",
        "http://llmproxy.example?x=1",
        "http://root:secret@llmproxy.example",
    ] {
        let ran = home().cli(&["user", "list", "--server", url]);
        assert_eq!(ran.code, Some(2), "{url}: {ran:?}");
        assert!(
            ran.stderr.contains("LLMPROXY_SERVER") || ran.stderr.contains("--server"),
            "{ran:?}"
        );
        assert!(!ran.stderr.contains("secret"), "{ran:?}");
    }
}

/// Puts TLS before a server, with a certificate for `localhost`. Returns its port.
fn tls_before(address: std::net::SocketAddr) -> u16 {
    let certificate =
        CertificateDer::from_pem_slice(include_bytes!("../connect/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../connect/server.key")).unwrap();
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
            while !request.ends_with(b"\r\n\r\n") && tls.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
            }
            let mut server = TcpStream::connect(address).unwrap();
            server.set_read_timeout(Some(PATIENCE)).unwrap();
            let head = String::from_utf8_lossy(&request).into_owned();
            let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            let _ = server.write_all(head.as_bytes());
            let mut answer = Vec::new();
            let _ = server.read_to_end(&mut answer);
            let _ = tls.write_all(&answer);
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    });
    port
}

#[test]
fn a_server_is_reached_over_tls_with_ssl_cert_file() {
    let backend = Backend::chats(19, 10);
    let (proxy, _) = Home::new(&backend).set("ADMIN_TOKEN", TOKEN).serve_alice();
    let url = format!("https://localhost:{}", tls_before(proxy.address()));
    let trusting = home()
        .file("authority.pem", include_str!("../connect/authority.pem"))
        .set("SSL_CERT_FILE", "authority.pem");
    let ran = run_remote(&trusting, &url, Some(TOKEN), &["user", "list", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["users"][0]["username"], "alice");
    let distrusting = run_remote(&home(), &url, Some(TOKEN), &["user", "list"]);
    distrusting.assert_one_line_error();
    assert!(
        distrusting.stderr.contains("cannot reach"),
        "{distrusting:?}"
    );
}
