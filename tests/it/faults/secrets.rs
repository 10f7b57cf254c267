//! The backend's key, the admin token and users' keys appear in no log, no answer and no process list.

use std::cell::RefCell;

use crate::harness::{
    ASK, Backend, CHAT, Connection, Home, PATIENCE, Proxy, Request, Wire, ask, ask_stream,
    assert_openai_error, chat_completion, counted_stream, delta, wait_until,
};

/// Of forms that nothing else has, and of more characters than a mask shows.
const BACKEND_KEY: &str = "sk-proj-0123456789abcdefBACKENDKEY0123456789";
const ADMIN_TOKEN: &str = "admin-0123456789abcdefADMINTOKEN0123456789";

/// What backends say that refuse a key: OpenAI quotes its ends, others all of it.
fn refuses_the_key(wire: &mut Wire) {
    let quoting = format!(r#"{{"error":{{"message":"Incorrect API key: {BACKEND_KEY}"}}}}"#);
    let authenticate = format!("Bearer error=\"{BACKEND_KEY}\"");
    let headers = [
        ("Content-Type", "application/json"),
        ("WWW-Authenticate", authenticate.as_str()),
        ("X-Request-Id", BACKEND_KEY),
    ];
    wire.answer("401 Unauthorized", &headers, quoting);
}

fn faulty() -> Backend {
    Backend::start(|request, wire| match request.model().as_str() {
        "credentials" => refuses_the_key(wire),
        "garbage" => wire.write(format!("{BACKEND_KEY} nonsense\r\n\r\n")),
        "evil-head" => wire.write(format!("HTTP/1.1 200 OK\r\n{BACKEND_KEY}\r\n\r\n")),
        "evil-length" => wire.write(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {BACKEND_KEY}\r\n\r\n"
        )),
        "evil-chunk" => wire.write(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{BACKEND_KEY}\r\n"
        )),
        "reset" => wire.reset(),
        "close" => wire.close(),
        "truncated" => {
            wire.head("200 OK", &[("Content-Length", "100")]);
            wire.write("{\"half\":");
            wire.close();
        }
        "truncated-stream" => {
            wire.sse_head();
            wire.chunk(delta("Hello"));
            wire.reset();
        }
        "silent" => drop(wire.closed_by_peer_within(PATIENCE)),
        "busy" => wire.answer("429 Too Many Requests", &[("Retry-After", "1")], "{}"),
        _ if request.asks_to_stream() => wire.sse(&counted_stream(19, 10)),
        _ => wire.json(&chat_completion(19, 10)),
    })
}

/// A proxy that says all it can say, and everything that anybody was answered.
struct Watched {
    proxy: Proxy,
    answers: RefCell<Vec<u8>>,
}

impl Watched {
    fn send(&self, request: &Request) {
        let last = request.clone().header("Connection", "close");
        self.send_bytes(&last.bytes("localhost"));
    }

    fn send_bytes(&self, bytes: &[u8]) {
        let mut connection = Connection::open(self.proxy.address());
        connection.send_bytes(bytes);
        self.answers.borrow_mut().extend(connection.raw_rest());
    }

    fn answers(&self) -> String {
        String::from_utf8_lossy(&self.answers.borrow()).into_owned()
    }
}

#[test]
fn no_failure_shows_a_secret_in_logs_answers_or_lists() {
    let backend = faulty();
    let home = Home::new(&backend)
        .set("OPENAI_API_KEY", BACKEND_KEY)
        .set("ADMIN_TOKEN", ADMIN_TOKEN)
        .set("BACKEND_IDLE_TIMEOUT", "300ms")
        .set("RUST_LOG", "trace");
    let (alice, forbidden) = (home.user("alice"), home.user("mallory"));
    assert_eq!(home.cli(&["user", "forbid", "mallory"]).code, Some(0));
    let watched = Watched {
        proxy: home.serve(),
        answers: RefCell::default(),
    };
    backend_faults(&watched, &alice);
    client_faults(&watched, &alice, &forbidden);
    database_faults(&watched, &alice);
    let bob = admin_calls(&watched, &alice);

    let Watched { proxy, .. } = &watched;
    let answers = watched.answers();
    // All of it was seen: what is looked through below is not the silence of a test that did nothing.
    for code in [
        "backend_credentials",
        "backend_unreachable",
        "backend_broke_off",
        "backend_timeout",
        "backend_invalid_response",
        "invalid_api_key",
        "api_key_disabled",
        "invalid_admin_token",
        "ledger_unavailable",
        "username_taken",
        "HTTP/1.1 200",
        "HTTP/1.1 429",
        "HTTP/1.1 400",
    ] {
        assert!(answers.contains(code), "{code}");
    }
    let log = proxy.log();
    assert!(log.contains("TRACE") && log.contains("ERROR"));
    let listed = std::fs::read_to_string(format!("/proc/{}/cmdline", proxy.pid())).unwrap();
    assert!(listed.contains("serve"), "{listed:?}");
    for (place, text) in [
        ("log", &log),
        ("answers", &answers),
        ("process list", &listed),
    ] {
        for (whose, secret) in [
            ("the backend's", BACKEND_KEY),
            ("the admin's", ADMIN_TOKEN),
            ("alice's", &alice),
            ("mallory's", &forbidden),
            ("bob's", &bob),
        ] {
            // Neither whole nor all but its ends.
            let most = &secret[8..secret.len() - 6];
            if let Some(line) = text.lines().find(|line| line.contains(most)) {
                panic!("{whose} secret is in the {place}: {line:.500}");
            }
        }
    }
    eprintln!(
        "{} log lines, {} bytes of answers",
        log.lines().count(),
        answers.len()
    );
}

fn backend_faults(watched: &Watched, key: &str) {
    for model in [
        "fine",
        "credentials",
        "garbage",
        "evil-head",
        "evil-length",
        "evil-chunk",
        "reset",
        "close",
        "truncated",
        "truncated-stream",
        "silent",
        "busy",
    ] {
        for body in [ask(model), ask_stream(model)] {
            watched.send(&Request::post(CHAT, body).key(key));
        }
        let azure = Request::post(CHAT, ask(model)).header("api-key", key);
        watched.send(&azure);
    }
    watched.send(&Request::get("/v1/models").key(key));
    // A server of the same settings whose backend is not there.
    let nowhere = Home::with_backend_url("http://127.0.0.1:1")
        .set("OPENAI_API_KEY", BACKEND_KEY)
        .set("RUST_LOG", "trace");
    let key = nowhere.user("alice");
    let proxy = nowhere.serve();
    let answer = proxy.chat(&key, ASK);
    assert_eq!(
        assert_openai_error(&answer, 502)["code"],
        "backend_unreachable"
    );
    assert!(!proxy.log().contains(BACKEND_KEY) && !proxy.log().contains(&key));
    watched.answers.borrow_mut().extend(&answer.body);
}

fn client_faults(watched: &Watched, key: &str, forbidden: &str) {
    let post = |body: &str| Request::post(CHAT, body);
    let broken = &key[..key.len() - 1];
    for authorization in [
        "Bearer llmp-unknown",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "",
        "Bearer a b c",
        &format!("Bearer {forbidden}"),
        &format!("Bearer {key} {key}"),
        &format!("Bearer  {key}x"),
        &format!("Basic {key}"),
        &format!("{key} Bearer"),
        &format!("Bearer {broken}"),
        &format!("Bearer {BACKEND_KEY}"),
        &format!("Bearer {ADMIN_TOKEN}"),
        &format!("Bearer \u{e9}{key}"),
    ] {
        watched.send(&post(ASK).header("Authorization", authorization));
        watched.send(&post(ASK).header("api-key", authorization));
    }
    watched.send(&post(ASK).key(key).key(forbidden));
    watched.send(&post(ASK).key(key).header("api-key", forbidden));
    for body in [
        "",
        "{",
        "[]",
        "no json",
        "{\"model\":1}",
        "{\"model\":\"m\",\"stream\":\"x\"}",
    ] {
        watched.send(&post(body).key(key));
    }
    watched.send(&post(ASK).key(key).header("Content-Encoding", "gzip"));
    watched.send(&post(ASK).key(key).header("Content-Length", "9999999999999"));
    watched.send(&post(ASK).key(key).header("Transfer-Encoding", "chunked"));
    watched.send(&Request::new("DELETE", CHAT).key(key));
    watched.send(&Request::get("/v1/nowhere").key(key));
    // Heads that are no HTTP, with a key in them.
    watched.send_bytes(
        format!("GET /v1/models HTTP/1.1\r\nAuthorization: Bearer {key}\0\r\n\r\n").as_bytes(),
    );
    watched.send_bytes(
        format!("GET /v1/models HTTP/9.9\r\nAuthorization: Bearer {key}\r\n\r\n").as_bytes(),
    );
    watched.send_bytes(format!("{key} HTTP/1.1\r\n\r\n").as_bytes());
}

fn database_faults(watched: &Watched, key: &str) {
    let proxy = &watched.proxy;
    let break_ = "CREATE TRIGGER broken BEFORE INSERT ON usage_logs BEGIN SELECT RAISE(ABORT, 'no room'); END";
    proxy.writable_database().execute_batch(break_).unwrap();
    for body in [ask("fine"), ask_stream("fine"), ask("fine")] {
        watched.send(&Request::post(CHAT, body).key(key));
    }
    proxy
        .writable_database()
        .execute_batch("DROP TRIGGER broken")
        .unwrap();
    wait_until("requests are served again", PATIENCE, || {
        proxy.chat(key, ASK).status == 200
    });
    // Users that cannot be read.
    let rename = |from: &str, to: &str| format!("ALTER TABLE {from} RENAME TO {to}");
    proxy
        .writable_database()
        .execute_batch(&rename("users", "away"))
        .unwrap();
    watched.send(&Request::get("/admin/list_users").key(ADMIN_TOKEN));
    watched.send(&Request::post("/admin/gen_key", r#"{"username":"zoe"}"#).key(ADMIN_TOKEN));
    proxy
        .writable_database()
        .execute_batch(&rename("away", "users"))
        .unwrap();
}

/// Returns the key of a user made by HTTP. The two answers that show keys on purpose are no part of what is watched.
fn admin_calls(watched: &Watched, alice: &str) -> String {
    let add = |name: &str| Request::post("/admin/gen_key", format!(r#"{{"username":"{name}"}}"#));
    let bob = watched.proxy.send(&add("bob").key(ADMIN_TOKEN)).json()["api_key"].clone();
    let users = watched
        .proxy
        .send(&Request::get("/admin/list_users").key(ADMIN_TOKEN));
    assert!(users.text().contains(alice), "keys are shown to the admin");
    for token in ["", "wrong", BACKEND_KEY, alice, &ADMIN_TOKEN[1..]] {
        watched.send(&Request::get("/admin/list_users").key(token));
        watched.send(&add("eve").key(token));
    }
    watched.send(&Request::get("/admin/list_users").header("Authorization", ADMIN_TOKEN));
    watched.send(&add("bob").key(ADMIN_TOKEN));
    watched.send(&Request::get("/admin/list_costs").key(ADMIN_TOKEN));
    watched.send(&Request::get("/admin/list_costs?last_hours=x").key(ADMIN_TOKEN));
    watched.send(
        &Request::post("/admin/gen_key", format!("{{\"username\":\"{alice}")).key(ADMIN_TOKEN),
    );
    for access in ["forbid_key", "allow_key"] {
        let body = format!(r#"{{"api_key":"{alice}"}}"#);
        watched.send(&Request::post(&format!("/admin/{access}"), body).key(ADMIN_TOKEN));
    }
    let unknown = r#"{"api_key":"llmp-unknown"}"#;
    watched.send(&Request::post("/admin/forbid_key", unknown).key(ADMIN_TOKEN));
    bob.as_str().unwrap().to_owned()
}
