//! Programs that a test needs and a machine may lack.

use std::process::Command;

/// Set where every test must run, as in CI.
const NO_SKIP: &str = "LLMPROXY_TEST_NO_SKIP";

/// Says that a test is skipped, or fails if tests may not be skipped.
#[track_caller]
pub fn skip(why: &str) {
    let is_needed = std::env::var_os(NO_SKIP).is_some_and(|value| value == "1");
    assert!(!is_needed, "{why}, and {NO_SKIP}=1");
    eprintln!("skipped: {why}");
}

/// Returns whether a program is installed. If it is not, the test is skipped with a message, or fails if tests may not be skipped.
#[track_caller]
pub fn has_program(name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok();
    if !found {
        skip(&format!("{name} is not installed"));
    }
    found
}
