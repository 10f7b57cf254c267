//! What docs/monitoring.md, the dashboard and the rules name is what a server has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::scrape::Scrape;
use crate::harness::{ASK, Backend, Home, PATIENCE, Proxy, ask, wait_until};
use crate::limits::set_limits;

pub const ALERTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/prometheus/alerts.yml");
pub const PROMETHEUS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/contrib/prometheus/prometheus.yml"
);
const DASHBOARD: &str = include_str!("../../../contrib/grafana/llmproxy.json");
const PAGE: &str = include_str!("../../../docs/monitoring.md");

/// Labels that Prometheus adds.
const LABELS_OF_PROMETHEUS: [&str; 2] = ["job", "instance"];

/// Names of samples, and the labels of each.
type Names = BTreeMap<String, BTreeSet<String>>;

/// A server that has something of everything.
fn proxy_with_all() -> (Backend, Proxy) {
    let backend = Backend::chats(3, 2);
    let (proxy, key) = Home::new(&backend)
        .set("METRICS_USERS", "true")
        .serve_alice();
    set_limits(
        &proxy,
        &["user", "set", "alice", "--budget", "1000requests/day"],
    );
    for body in [ASK, &ask("of-no-price")] {
        assert_eq!(proxy.chat(&key, body).status, 200);
    }
    assert_eq!(proxy.chat("wrong", ASK).status, 401);
    wait_until("all are counted", PATIENCE, || {
        Scrape::of(&proxy).sum("llmproxy_requests_total", &[]) == Some(3.0)
    });
    (backend, proxy)
}

fn names(scrape: &Scrape) -> Names {
    let mut names = Names::new();
    for (name, labels, _) in scrape.samples() {
        let known = names.entry(name.clone()).or_default();
        known.extend(labels.keys().cloned());
    }
    names
}

/// Returns the words of a text that a predicate says are names of metrics.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("llmproxy_") || word.starts_with("process_"))
}

pub fn dashboard_expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let annotations = dashboard["annotations"]["list"].as_array().unwrap();
    let expressions = targets.chain(annotations).map(|one| &one["expr"]);
    expressions
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// Returns the expressions of the rules: those of one line, and those that are folded over several.
fn rule_expressions() -> Vec<String> {
    let rules = std::fs::read_to_string(ALERTS).unwrap();
    let after = rules.split("expr:").skip(1);
    let until_next = after.map(|text| {
        let lines = text.lines();
        let is_next = |line: &&str| {
            !line.trim_start().starts_with("for:") && !line.trim_start().starts_with("labels:")
        };
        lines.take_while(is_next).collect::<Vec<_>>().join(" ")
    });
    until_next.collect()
}

/// Checks that all metrics of an expression exist, and that each label which it names is one of theirs.
#[track_caller]
fn assert_known(names: &Names, expression: &str) {
    let mut labels: BTreeSet<&str> = LABELS_OF_PROMETHEUS.into();
    let mut metrics = 0;
    for word in words(expression) {
        let found = names.get(word);
        let found = found.unwrap_or_else(|| panic!("{word} is no metric: {expression}"));
        labels.extend(found.iter().map(String::as_str));
        metrics += 1;
    }
    assert!(metrics > 0 || expression.contains("up{"), "{expression}");
    for named in labels_of(expression) {
        assert!(labels.contains(named), "{named} is no label: {expression}");
    }
}

/// Returns the labels in braces, and those of `by (…)`.
fn labels_of(expression: &str) -> Vec<&str> {
    let in_parts = |open: &'static str, close: char| {
        let parts = expression.split(open).skip(1);
        parts.filter_map(move |part| part.split(close).next())
    };
    let matchers = in_parts("{", '}').flat_map(|part| part.split(','));
    let matched = matchers.map(|matcher| matcher.split(['=', '!']).next().unwrap());
    let grouped = in_parts("by (", ')').flat_map(|part| part.split(','));
    let all = matched.chain(grouped).map(str::trim);
    all.filter(|label| !label.is_empty()).collect()
}

#[test]
fn the_dashboard_and_the_rules_use_what_a_server_has() {
    let (_backend, proxy) = proxy_with_all();
    let names = names(&Scrape::of(&proxy));
    let dashboard = dashboard_expressions();
    assert!(dashboard.len() >= 14, "{dashboard:?}");
    let rules = rule_expressions();
    assert!(rules.len() >= 10, "{rules:?}");
    for expression in dashboard.iter().chain(&rules) {
        assert_known(&names, expression);
    }
    // The texts of panels and alerts name labels of their expressions.
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let legend = target["legendFormat"].as_str().unwrap();
            let named = legend.split("{{").skip(1);
            for label in named.filter_map(|part| part.split("}}").next()) {
                let expression = target["expr"].as_str().unwrap();
                assert!(
                    expression.contains(label) || label == "instance",
                    "{legend}: {expression}"
                );
            }
        }
    }
}

#[test]
fn the_table_of_the_page_has_every_name_and_label() {
    let (_backend, proxy) = proxy_with_all();
    let scrape = Scrape::of(&proxy);
    let histograms: Vec<&str> = scrape
        .samples()
        .filter_map(|(name, _, _)| name.strip_suffix("_bucket"))
        .collect();
    // A histogram is one line of the table.
    let mut found = Names::new();
    for (name, mut labels) in names(&scrape) {
        let parts = ["_bucket", "_sum", "_count"].into_iter();
        let base = parts.filter_map(|suffix| name.strip_suffix(suffix));
        let base = base.into_iter().find(|base| histograms.contains(base));
        labels.remove("le");
        let name = base.map_or(name.clone(), str::to_owned);
        found.entry(name).or_default().extend(labels);
    }
    let lines = PAGE
        .lines()
        .filter(|line| line.starts_with("| `llmproxy_") || line.starts_with("| `process_"));
    let mut documented = Names::new();
    for line in lines {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let (name, labels) = (cells.next().unwrap(), cells.next().unwrap());
        let labels = labels
            .split(',')
            .map(|label| label.trim().trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        documented.insert(name.trim_matches('`').to_owned(), labels.collect());
    }
    assert_eq!(documented, found);
}
