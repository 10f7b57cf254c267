//! What a scraper reads of `/metrics`.

use std::collections::BTreeMap;

use crate::harness::{Proxy, Request};

pub const METRICS: &str = "/metrics";
/// The header of scrapers that know the older text format only.
pub const OLD_FORMAT: &str = "text/plain;version=0.0.4";

/// A sample's labels, in their order.
pub type Labels = BTreeMap<String, String>;

/// All samples of an answer.
pub struct Scrape {
    pub text: String,
    samples: Vec<(String, Labels, f64)>,
}

impl Scrape {
    #[track_caller]
    pub fn of(proxy: &Proxy) -> Self {
        let answer = proxy.send(&Request::get(METRICS));
        assert_eq!(answer.status, 200, "{answer:?}");
        Self::parse(answer.text())
    }

    #[track_caller]
    pub fn parse(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(sample).collect();
        Self { text, samples }
    }

    pub fn samples(&self) -> impl Iterator<Item = &(String, Labels, f64)> {
        self.samples.iter()
    }

    /// Returns the sum of the samples of this name that have these labels among others; `None` if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &Labels| {
            let mut wanted = labels.iter();
            wanted.all(|(name, value)| sample.get(*name).is_some_and(|found| found == value))
        };
        let found = self.samples.iter();
        let found = found.filter(|(found, labels, _)| found == name && has(labels));
        found
            .map(|(_, _, value)| *value)
            .reduce(|sum, value| sum + value)
    }

    /// Returns the values of a label.
    pub fn values(&self, name: &str, label: &str) -> Vec<&str> {
        let mut values: Vec<&str> = self
            .samples
            .iter()
            .filter(|(found, _, _)| found == name)
            .filter_map(|(_, labels, _)| labels.get(label).map(String::as_str))
            .collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// Reads a line: a name, perhaps labels in braces, a value.
#[track_caller]
fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
    let Some((name, labels)) = series.split_once('{') else {
        return (series.to_owned(), Labels::new(), value);
    };
    let mut rest = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
    let mut labels = Labels::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        let (value, length) = unescaped(after);
        labels.insert(label.to_owned(), value);
        rest = after[length..].trim_start_matches(',');
    }
    (name.to_owned(), labels, value)
}

/// Reads the value of a label up to its quotation mark. Returns it, and how long it was.
fn unescaped(text: &str) -> (String, usize) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            '"' => return (value, place + 1),
            '\\' => match chars.next().unwrap().1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    panic!("no end: {text}");
}
