//! Networks and disks of a test's own: the test runs itself again in new namespaces, which end with it. Linux only; needs root,
//! or unprivileged user namespaces.

use std::any::type_name;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::Ran;

/// Set in the process that runs inside.
const INSIDE: &str = "LLMPROXY_TEST_INSIDE";
/// Root may make namespaces, and so may anybody in a user namespace.
const WAYS: [&str; 2] = ["-mn", "-Urmn"];
/// More than any test inside takes.
const LIMIT: Duration = Duration::from_mins(3);

/// Runs `body` where it may set up networks and mounts, with a temporary directory of size `disk` (as in `2m`). `test` is the test
/// function that calls this. The test is skipped with a message if namespaces cannot be made.
#[track_caller]
pub fn in_own_namespaces<T: Fn()>(_test: T, disk: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let scratch = TempDir::new().unwrap();
    // The mount hides the directory from the inside only; outside it stays empty, to be removed.
    let enter = format!("mount -t tmpfs -o size={disk} none \"$TMPDIR\" && ip link set lo up");
    let outside = |way: &str, then: &str| {
        let mut command = Command::new("unshare");
        let script = format!("{enter} && {then}");
        command.args([way, "sh", "-c", &script]);
        command.env("TMPDIR", scratch.path()).env(INSIDE, "1");
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let may = |way: &&str| {
        let then = "ip link add probe0 type veth peer name probe1";
        outside(way, then).status().is_ok_and(|s| s.success())
    };
    let Some(way) = WAYS.into_iter().find(may) else {
        return eprintln!("skipped: namespaces need root, or user namespaces for everybody");
    };
    let (_, test) = type_name::<T>().split_once("::").unwrap();
    let mut command = outside(way, "exec \"$0\" \"$@\"");
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    let ran = Ran::end_within(LIMIT, command.spawn().unwrap());
    eprint!("{}", ran.stderr);
    let passed = ran.code == Some(0) && ran.stdout.contains("1 passed");
    assert!(passed, "{}\n{}", ran.stdout, ran.stderr);
}

/// Runs a line of shell that must succeed.
#[track_caller]
pub fn shell(line: &str) {
    let ran = Ran::of(Command::new("sh").args(["-c", line]));
    assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
}
