//! The figures: counted now, checked in, one beside the other.

use std::fmt;
use std::fs;
use std::io;

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/figures.txt"
);
const HEAD: &str = "# Instructions of llmproxy's own code, in user space; written by `cargo bench --bench instructions -- --write`.";
/// It comes in as many reads as the scheduler likes, and each costs: counts of the same code lay 10
/// % apart. A copy would be 50 %.
pub const BY_READS: &str = "request of 1 MB";
const TIMES_MORE_BY_READS: f64 = 4.0;
const COUNTED_WITH: &str = "# Counted with ";

pub struct Figures {
    /// What compiled and counted; empty when counted now.
    pub tools: String,
    lines: Vec<(String, u64)>,
}

impl Figures {
    pub fn new<const N: usize>(lines: [(&str, u64); N]) -> Self {
        Self {
            tools: String::new(),
            lines: lines.map(|(name, count)| (name.to_owned(), count)).into(),
        }
    }

    pub fn checked_in() -> io::Result<Self> {
        let text = fs::read_to_string(FILE)
            .map_err(|error| io::Error::other(format!("{FILE}: {error}")))?;
        let mut figures = Self::new([]);
        for line in text.lines() {
            if let Some(tools) = line.strip_prefix(COUNTED_WITH) {
                tools.clone_into(&mut figures.tools);
            } else if !line.starts_with('#') {
                let understood = line
                    .rsplit_once(' ')
                    .and_then(|(name, count)| Some((name.trim().to_owned(), count.parse().ok()?)));
                let not = || io::Error::other(format!("{FILE}: {line:?} is no name with a number"));
                figures.lines.push(understood.ok_or_else(not)?);
            }
        }
        Ok(figures)
    }

    pub fn write(&self, tools: &str) -> io::Result<()> {
        fs::write(FILE, format!("{HEAD}\n{COUNTED_WITH}{tools}\n{self}"))
    }

    /// A line a figure: now, checked in, the difference.
    pub fn beside(&self, checked_in: &Self) -> String {
        let lines = self
            .lines
            .iter()
            .map(|(name, now)| match checked_in.of(name) {
                Some(then) => format!(
                    "{name:<24}{now:>10}{then:>10}{:>+8.1} %\n",
                    percent(*now, then)
                ),
                None => format!("{name:<24}{now:>10}         –\n"),
            });
        format!(
            "{:<24}{:>10}{:>10}\n{}",
            "instructions",
            "now",
            "before",
            lines.collect::<String>()
        )
    }

    /// The names of those that cost too much more; one that is not checked in is none of them.
    pub fn costlier_than(&self, checked_in: &Self, tolerance_percent: f64) -> Vec<&str> {
        let costlier = self.lines.iter().filter(|(name, now)| {
            let tolerance = tolerance_percent * tolerance_of(name);
            let then = checked_in.of(name);
            then.is_some_and(|then| percent(*now, then) > tolerance)
        });
        costlier.map(|(name, _)| name.as_str()).collect()
    }

    fn of(&self, name: &str) -> Option<u64> {
        let found = self.lines.iter().find(|(known, _)| known == name);
        found.map(|(_, count)| *count)
    }
}

fn tolerance_of(name: &str) -> f64 {
    if name == BY_READS {
        TIMES_MORE_BY_READS
    } else {
        1.0
    }
}

#[allow(clippy::cast_precision_loss)] // far below 2^53
fn percent(now: u64, then: u64) -> f64 {
    (now as f64 / then as f64 - 1.0) * 100.0
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.lines {
            writeln!(out, "{name:<24}{count:>10}")?;
        }
        Ok(())
    }
}
