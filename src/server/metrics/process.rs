//! Figures of this process, by the names that Prometheus' own libraries use. They are read from
//! proc(5); where there is none, they are left out.

use std::fs;

/// The unit of times in `/proc/PID/stat`: `USER_HZ`, which is 100 on all platforms of Rust's Linux.
const TICKS_A_SECOND: f64 = 100.0;

/// What the system says of this process.
#[derive(Debug, Default)]
pub(super) struct ProcessFigures {
    /// Time that all threads have used, in seconds.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) max_files: Option<u64>,
}

impl ProcessFigures {
    /// Reads the figures. It blocks for a moment.
    pub(super) fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut figures = Self::of_texts(&text("/proc/self/stat"), &text("/proc/self/status"));
        let files = fs::read_dir("/proc/self/fd").ok();
        // One of them is the directory that is being read.
        figures.open_files = files.map(|files| (files.count() as u64).saturating_sub(1));
        #[cfg(unix)]
        {
            let limit = rlimit::getrlimit(rlimit::Resource::NOFILE).ok();
            figures.max_files = limit.map(|(soft, _)| soft);
        }
        figures
    }

    fn of_texts(stat: &str, status: &str) -> Self {
        // The second field is the name of the program in parentheses, which may have anything in it.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        // utime and stime are the fields 14 and 15 of proc_pid_stat(5).
        let ticks = |place: usize| fields.get(place - 3)?.parse::<u64>().ok();
        let of_status = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next()?.parse::<u64>().ok()
        };
        let bytes = |name| of_status(name).map(|kb| kb * 1_024);
        Self {
            cpu_seconds: ticks(14)
                .zip(ticks(15))
                .map(|(user, system)| seconds(user.saturating_add(system))),
            resident_bytes: bytes("VmRSS:"),
            virtual_bytes: bytes("VmSize:"),
            threads: of_status("Threads:"),
            ..Self::default()
        }
    }
}

#[allow(clippy::cast_precision_loss)] // exact for three million years
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_A_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_whatever_the_program_is_called() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 149 0 0 0 1250 25 0 0 20 0 6 0 100 1 1 0";
        let status = "Name:\ta\nVmSize:\t  2048 kB\nVmRSS:\t   100 kB\nThreads:\t6\n";
        let figures = ProcessFigures::of_texts(stat, status);
        assert_eq!(figures.cpu_seconds, Some(12.75));
        assert_eq!(figures.virtual_bytes, Some(2_097_152));
        assert_eq!(
            (figures.resident_bytes, figures.threads),
            (Some(102_400), Some(6))
        );
        let none = ProcessFigures::of_texts("", "");
        assert_eq!((none.cpu_seconds, none.threads), (None, None));
    }
}
