//! What the kernel knows of processes and of the machine.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// The kernel counts in `USER_HZ`, which is 100 on every Linux that Rust runs on.
const TICK_MS: u64 = 10;

pub struct Stat {
    pub parent: u64,
    pub cpu: Duration,
    /// Of children that have ended and were waited for, and of theirs.
    pub children_cpu: Duration,
}

/// Of this process and of those it has started and waited for.
pub fn own_cpu() -> io::Result<Duration> {
    let stat = stat_of(std::process::id())?;
    Ok(stat.cpu + stat.children_cpu)
}

/// See proc_pid_stat(5); the name, which may hold spaces, ends with the last parenthesis.
pub fn stat_of(pid: u32) -> io::Result<Stat> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let number = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
    };
    let cpu = |user, system| {
        let ticks = number(user)? + number(system)?;
        Some(Duration::from_millis(TICK_MS * ticks))
    };
    match (number(1), cpu(11, 12), cpu(13, 14)) {
        (Some(parent), Some(cpu), Some(children_cpu)) => Ok(Stat {
            parent,
            cpu,
            children_cpu,
        }),
        _ => Err(io::Error::other(format!(
            "/proc/{pid}/stat is not understood: {stat}"
        ))),
    }
}

/// The processes whose parent this is.
pub fn children_of(parent: u32) -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        // A process may end between the listing and the look at it.
        if let Some((pid, Ok(stat))) = pid.map(|pid| (pid, stat_of(pid)))
            && stat.parent == u64::from(parent)
        {
            children.push(pid);
        }
    }
    Ok(children)
}

pub fn memory_of(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other(format!("no Pss of process {pid}")))
}

/// Time that processes took on all cores since the machine started. Interrupts, to which the
/// loopback's share of TCP may be booked, are nobody's and are left out.
pub fn busy() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    let user_nice_system = first.split_whitespace().skip(1).take(3);
    let ticks = user_nice_system.filter_map(|ticks| ticks.parse::<u64>().ok());
    Ok(Duration::from_millis(TICK_MS * ticks.sum::<u64>()))
}

pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned()
}

/// Where a file in `directory` would go; None where `df` cannot say.
pub fn free_bytes(directory: &Path) -> Option<i64> {
    let output = Command::new("df").arg("-Pk").arg(directory).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let kib: i64 = text
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(kib * 1024)
}

/// Cores, their kind, the kernel.
pub fn describe() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    format!("{} cores of {model}, Linux {}", cores(), kernel.trim())
}

pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// For thousands of sockets; where the limit cannot be raised, connections fail and the report says
/// so.
pub fn raise_file_limit() {
    let pid = std::process::id().to_string();
    let _ = Command::new("prlimit")
        .args(["--pid", &pid, "--nofile=65536:"])
        .stderr(Stdio::null())
        .status();
}
