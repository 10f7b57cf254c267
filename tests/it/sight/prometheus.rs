//! Prometheus itself: its linter and its server.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::monitoring::{ALERTS, PROMETHEUS, dashboard_expressions};
use super::scrape::{METRICS, OLD_FORMAT, Scrape};
use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, Connection, Home, Proxy, Ran, Request, alone, has_program,
    wait_until,
};

const TOKEN: &str = "a-long-admin-token";
/// Prometheus needs some seconds to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs promtool with a text on its standard input.
#[track_caller]
fn promtool(arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    Ran::end_of(child)
}

#[test]
fn the_linter_of_prometheus_accepts_the_figures_and_the_rules() {
    if !has_program("promtool") {
        return;
    }
    let backend = Backend::chats(3, 2);
    let (proxy, key) = Home::new(&backend)
        .set("METRICS_USERS", "true")
        .serve_alice();
    let odd = r#"{"model":"a \"b\" \\ c\nd","messages":[]}"#;
    for (key, body) in [(&*key, ASK), ("wrong", ASK), (&*key, odd)] {
        proxy.chat(key, body);
    }
    wait_until("they are counted", PATIENCE, || {
        Scrape::of(&proxy).sum("llmproxy_requests_total", &[]) == Some(3.0)
    });
    let answer = proxy.send(&Request::get(METRICS).header("Accept", OLD_FORMAT));
    let ran = promtool(&["check", "metrics"], &answer.text());
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{}", answer.text());
    let ran = Ran::of(Command::new("promtool").args(["check", "rules", ALERTS]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn each_rule_raises_its_alert_and_none_is_raised_in_peace() {
    if !has_program("promtool") {
        return;
    }
    let cases = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/sight/alerts_test.yml"
    );
    let ran = Ran::of(Command::new("promtool").args(["test", "rules", cases]));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let (rules, cases) = (
        std::fs::read_to_string(ALERTS),
        std::fs::read_to_string(cases),
    );
    let cases = cases.unwrap();
    for line in rules.unwrap().lines() {
        if let Some((_, name)) = line.split_once("alert: ") {
            assert!(
                cases.contains(&format!("alertname: {name}\n")),
                "{name} has no case"
            );
        }
    }
}

/// A running Prometheus that scrapes as `contrib/prometheus/prometheus.yml` says. It is killed when dropped.
struct Prometheus {
    child: Child,
    address: std::net::SocketAddr,
    directory: TempDir,
}

impl Prometheus {
    fn scraping(proxy: &Proxy) -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("token"), TOKEN).unwrap();
        std::fs::copy(ALERTS, path("alerts.yml")).unwrap();
        let example = std::fs::read_to_string(PROMETHEUS).unwrap();
        let mut config = example.clone();
        for (from, to) in [
            (
                "scrape_interval: 15s",
                "scrape_interval: 250ms\n  evaluation_interval: 1s".to_owned(),
            ),
            ("/etc/prometheus/llmproxy.token", path("token")),
            ("127.0.0.1:8000", proxy.address().to_string()),
        ] {
            assert!(config.contains(from), "{from}: {config}");
            config = config.replace(from, &to);
        }
        std::fs::write(path("prometheus.yml"), config).unwrap();
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let log = File::create(path("log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            address,
            directory,
        }
    }

    fn get(&self, target: &str) -> Option<Value> {
        let mut connection = Connection::try_open(self.address).ok()?;
        connection.send(&Request::get(target).header("Connection", "close"));
        let answer = connection.try_answer()?;
        let json: Value = serde_json::from_slice(&answer.body).ok()?;
        assert_eq!(json["status"], "success", "{target}: {json}");
        Some(json["data"].clone())
    }

    /// Returns the results of a query. Prometheus may not listen yet.
    fn query(&self, expression: &str) -> Option<Vec<Value>> {
        let encoded: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let data = self.get(&format!("/api/v1/query?query={encoded}"))?;
        data["result"].as_array().cloned()
    }

    /// Returns the value of a query that has one.
    fn value(&self, expression: &str) -> Option<f64> {
        let results = self.query(expression)?;
        results.first()?["value"][1].as_str()?.parse().ok()
    }

    #[track_caller]
    fn wait_for(&self, expression: &str, expected: f64) {
        let start = std::time::Instant::now();
        let mut found = None;
        #[allow(clippy::float_cmp)] // counts
        while found != Some(expected) {
            let log = || std::fs::read_to_string(self.directory.path().join("log"));
            assert!(
                start.elapsed() < PATIENCE,
                "{expression}: {found:?}, not {expected}: {:?}",
                log()
            );
            thread::sleep(Duration::from_millis(50));
            found = self.value(expression);
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_prometheus_that_scrapes_under_load_has_the_servers_figures() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 100;
    if !has_program("prometheus") {
        return;
    }
    let _alone = alone();
    let backend = Backend::chats(3, 2);
    let (proxy, key) = Home::new(&backend).set("ADMIN_TOKEN", TOKEN).serve_alice();
    let prometheus = Prometheus::scraping(&proxy);
    prometheus.wait_for("up{job=\"llmproxy\"}", 1.0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = proxy.open();
                for n in 0..REQUESTS {
                    let body = if n % 2 == 0 { ASK } else { ASK_STREAM };
                    connection.send(&Request::post(CHAT, body).key(&key));
                    assert_eq!(connection.answer().status, 200);
                }
            });
        }
    });
    assert_eq!(proxy.chat("wrong", ASK).status, 401);
    #[allow(clippy::cast_precision_loss)]
    let all = (CLIENTS * REQUESTS) as f64;
    prometheus.wait_for("sum(llmproxy_requests_total{status=\"200\"})", all);
    prometheus.wait_for("sum(llmproxy_tokens_total{type=\"input\"})", all * 3.0);
    prometheus.wait_for("sum(llmproxy_tokens_total{type=\"output\"})", all * 2.0);
    prometheus.wait_for("llmproxy_request_duration_seconds_count", all);
    prometheus.wait_for("llmproxy_request_duration_seconds_bucket{le=\"+Inf\"}", all);
    prometheus.wait_for("llmproxy_refused_total{reason=\"invalid_api_key\"}", 1.0);
    prometheus.wait_for("llmproxy_in_flight_requests", 0.0);
    prometheus.wait_for("min_over_time(up{job=\"llmproxy\"}[1m])", 1.0);
    // Every expression of the dashboard and every rule can be evaluated, and means something.
    for expression in dashboard_expressions() {
        let expression = expression
            .replace("$__rate_interval", "1m")
            .replace("\"$job\"", "\"llmproxy\"")
            .replace("\"$instance\"", "\".*\"");
        let may_be_empty = ["budget", "unpriced", "5..", "changes"];
        let is_expected = may_be_empty.iter().any(|part| expression.contains(part));
        // A rate is there from the second scrape of a series on.
        wait_until(&expression, PATIENCE, || {
            let results = prometheus.query(&expression).unwrap();
            is_expected || !results.is_empty()
        });
    }
    wait_until("all rules were evaluated", PATIENCE, || {
        let rules = prometheus.get("/api/v1/rules").unwrap();
        let rules = rules["groups"][0]["rules"].as_array().unwrap().clone();
        assert!(
            rules.iter().all(|rule| rule["lastError"].is_null()),
            "{rules:?}"
        );
        rules.len() > 10 && rules.iter().all(|rule| rule["health"] == "ok")
    });
}
