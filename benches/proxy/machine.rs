//! What the kernel knows of processes and of the machine.

use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// The kernel counts in `USER_HZ`, which is 100 on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

pub struct Stat {
    pub parent: u32,
    pub cpu: Duration,
}

pub fn own_cpu() -> io::Result<Duration> {
    Ok(stat_of(std::process::id())?.cpu)
}

/// See proc_pid_stat(5); the name, which may hold spaces, ends with the last parenthesis.
pub fn stat_of(pid: u32) -> io::Result<Stat> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let number = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u32>().ok())
    };
    match (number(1), number(11), number(12)) {
        (Some(parent), Some(user), Some(system)) => Ok(Stat {
            parent,
            cpu: TICK * (user + system),
        }),
        _ => Err(io::Error::other(format!(
            "/proc/{pid}/stat is not understood: {stat}"
        ))),
    }
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

/// Time that all cores of the machine were busy since it started.
pub fn machine_busy() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    // cpu user nice system idle iowait irq softirq …
    let ticks: Vec<u64> = first
        .split_whitespace()
        .skip(1)
        .filter_map(|t| t.parse().ok())
        .collect();
    let busy: u64 = [0, 1, 2, 5, 6]
        .iter()
        .filter_map(|&index| ticks.get(index))
        .sum();
    Ok(TICK * u32::try_from(busy).unwrap_or(u32::MAX))
}

pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned()
}

/// Cores, their kind, and who takes part.
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

/// For thousands of sockets; where the limit cannot be raised, connections fail and the report says so.
pub fn raise_file_limit() {
    let pid = std::process::id().to_string();
    let _ = Command::new("prlimit")
        .args(["--pid", &pid, "--nofile=65536:"])
        .stderr(Stdio::null())
        .status();
}
