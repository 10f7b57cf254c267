//! Which process a server is, so that another one on the same machine sees whether it has ended.

use std::fs;

/// Returns what identifies this process on this machine: the boot, the namespace of process
/// numbers, the number, and when it started (proc(5)). `None` where there is no such file system.
pub(super) fn own_process() -> Option<String> {
    let pid = std::process::id();
    Some(format!("{} {pid} {}", machine()?, started(pid)?))
}

fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// Returns when a process started, in ticks since the boot: the 22nd field of its stat, the 20th
/// behind the name in parentheses.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}

/// Returns whether a process of this machine has certainly ended.
pub(super) fn has_ended(process: &str) -> bool {
    let Some(of_machine) = machine() else {
        return false;
    };
    let Some(rest) = process.strip_prefix(&of_machine) else {
        return false;
    };
    let mut words = rest.split_whitespace();
    let (Some(Ok(pid)), Some(start)) = (words.next().map(str::parse), words.next()) else {
        return false;
    };
    started(pid).as_deref() != Some(start)
}
