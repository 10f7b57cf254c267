//! The page at `/`, over HTTP and in a browser.

mod browser;
mod changes;
mod figures;
mod sessions;

use std::fmt::Write;

use crate::harness::{Answer, Backend, Home, Proxy, Request};

/// The admin token of these tests.
const TOKEN: &str = "a-long-admin-token";
/// Texts that would run, or break out of their place, if they were not escaped.
const HOSTILE: &str = "<script>alert(1)</script>";
const HOSTILE_GROUP: &str = r#""><img src=x onerror=alert(2)>"#;
const HOSTILE_MODEL: &str = "'><svg onload=alert(3)>&amp;";

/// The first users that [`fill`] adds.
const NAMES: [&str; 12] = [
    "alice", "bob", "carol", "dmitri", "esra", "farid", "grace", "hiroshi", "ines", "jonas",
    "kofi", "lena",
];

/// A proxy whose operator has a token, and the backend behind it.
fn proxy() -> (Backend, Proxy) {
    let backend = Backend::chats(7, 3);
    let proxy = Home::new(&backend).set("ADMIN_TOKEN", TOKEN).serve();
    (backend, proxy)
}

/// A browser without a screen: it keeps the cookie of its session and sends what a browser would.
pub struct Visitor<'a> {
    proxy: &'a Proxy,
    cookie: Option<String>,
}

impl<'a> Visitor<'a> {
    fn new(proxy: &'a Proxy) -> Self {
        Self {
            proxy,
            cookie: None,
        }
    }

    /// Signs in with the token or a key.
    #[track_caller]
    pub fn signed_in(proxy: &'a Proxy, secret: &str) -> Self {
        let mut visitor = Self::new(proxy);
        let answer = visitor.post("/page/sign-in", &[("secret", secret)]);
        assert_eq!(answer.status, 303, "{answer:?}");
        visitor
    }

    fn request(&self, request: Request) -> Request {
        match &self.cookie {
            Some(cookie) => request.header("Cookie", cookie),
            None => request,
        }
    }

    fn get(&self, path: &str) -> Answer {
        self.proxy.send(&self.request(Request::get(path)))
    }

    /// Returns a page, which must be there.
    #[track_caller]
    pub fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.clean, "{answer:?}");
        answer.text()
    }

    /// Sends a form from a page of the server.
    fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let own = format!("http://{}", self.proxy.address());
        let request = form(path, fields).header("Origin", &own);
        let answer = self.proxy.send(&self.request(request));
        if let Some(cookie) = answer.header("set-cookie") {
            let cookie = cookie.split(';').next().unwrap_or_default();
            self.cookie = (!cookie.ends_with('=')).then(|| cookie.to_owned());
        }
        answer
    }

    /// Sends a form with the value that the session's pages have, and returns the page after it.
    #[track_caller]
    fn change(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let csrf = self.csrf();
        let mut fields = fields.to_vec();
        fields.push(("csrf", &csrf));
        let answer = self.post(path, &fields);
        assert_eq!(answer.status, 303, "{answer:?}");
        let to = answer.header("location").unwrap().to_owned();
        self.page(&to)
    }

    #[track_caller]
    fn csrf(&self) -> String {
        let page = self.page("/");
        between(&page, "name=\"csrf\" value=\"", "\"").to_owned()
    }
}

/// Makes the request of a form, without anything that says where it comes from.
fn form(path: &str, fields: &[(&str, &str)]) -> Request {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .with_body(body)
}

/// Returns what stands between two texts.
#[track_caller]
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before:?} in {text}"));
    rest.split_once(after).unwrap().0
}

/// Adds users in groups, and a month of usage of each.
fn fill(home: &Home, users: usize) {
    let run = |arguments: &[&str]| {
        let ran = home.cli(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
    };
    for group in ["Physics 101", "Compilers", "Staff"] {
        run(&["group", "add", group]);
    }
    let mut lines = "name,group\n".to_owned();
    for nth in 0..users {
        let name = match NAMES.get(nth) {
            Some(name) => (*name).to_owned(),
            None => format!("student-{nth:04}"),
        };
        let group = ["Physics 101", "Compilers", "Staff", ""][nth % 4];
        let _ = writeln!(lines, "{name},{group}");
    }
    std::fs::write(home.path("users.csv"), lines).unwrap();
    run(&["user", "add", "--from", "users.csv"]);
    run(&["user", "set", "alice", "--budget", "30usd/month"]);
    run(&["user", "set", "bob", "--budget", "2usd/day"]);
    run(&[
        "user",
        "set",
        "carol",
        "--budget",
        "2Mtokens/day",
        "--watch",
    ]);
    run(&["user", "set", "alice", "--requests-per-minute", "60"]);
    run(&["user", "set", "alice", "--models", "gpt-4.1*,o4-mini"]);
    run(&["group", "set", "Compilers", "--budget", "200usd/month"]);
    run(&["user", "forbid", "farid"]);
    let database = home.writable_database();
    database
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999),
             spread AS (SELECT i, abs((i * 2654435761) % 1000003) AS r FROM n)
             INSERT INTO usage_logs (started_at_ms, user_id, key_id, endpoint, model, input_tokens, output_tokens,
                 cached_tokens, reasoning_tokens, status, outcome, usage_source, duration_ms, cost_nano_usd)
             SELECT strftime('%s', 'now') * 1000 - ((r * 7919) % 2678400) * 1000 - 1000, user, user, '/v1/chat/completions',
                 CASE i % 4 WHEN 0 THEN 'gpt-4.1' WHEN 1 THEN 'gpt-4.1-mini' WHEN 2 THEN 'o4-mini' ELSE 'gpt-5' END,
                 800 + r % 9000, 50 + r % 1900, r % 700, 0, 200, 'completed', 'backend', 300 + r % 9000,
                 (800 + r % 9000) * 2000 + (50 + r % 1900) * 8000
             FROM (SELECT i, r, 1 + (r * r / 1000) % 10 % (1 + r % 12) AS user FROM spread)
             WHERE (strftime('%w', (strftime('%s', 'now') - (r * 7919) % 2678400), 'unixepoch') NOT IN ('0', '6') OR r % 3 = 0)",
        )
        .unwrap();
}
