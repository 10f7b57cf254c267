//! The log of the server: one line for each record, whatever the record contains. A thread of its
//! own writes it to stderr, so that a stderr that is not read delays no request.
//!
//! A single line is written at once. The lines of a busy log are written together every
//! [`WRITE_INTERVAL`], because a system call for each line costs a busy proxy more than the line
//! itself.

mod json;

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use crate::{config::LogFormat, model::is_printable_ascii};

/// Time between two writes of a busy log.
const WRITE_INTERVAL: Duration = Duration::from_millis(20);
/// Size of the lines that may wait for stderr. Further lines are dropped and counted.
const MAX_WAITING_BYTES: usize = 4 << 20;
/// Size of the buffer that is kept between two writes.
const MAX_KEPT_BYTES: usize = 64 << 10;

/// Writes the waiting lines when it is dropped.
pub(super) struct LogGuard {
    queue: Arc<Queue>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Starts the log. `filter` was checked with the settings.
pub(super) fn start(filter: &str, log_format: LogFormat) -> LogGuard {
    let queue = Arc::new(Queue::default());
    let thread = {
        let queue = Arc::clone(&queue);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || queue.write_out())
            .ok()
    };
    // If the thread cannot be started, each line is written by the thread that logs it.
    queue.lock().is_closed = thread.is_none();
    env_logger::Builder::new()
        // Its four lines at the start repeat this program's one.
        .filter_module("actix_server", log::LevelFilter::Warn)
        // Its lines repeat, as errors and without the user, what was logged about an answer that
        // broke off.
        .filter_module("actix_http::h1::dispatcher", log::LevelFilter::Off)
        .parse_filters(&for_both_packages(filter))
        .format(move |out, record| {
            let time = humantime::format_rfc3339_millis(SystemTime::now());
            let target = short_target(record.target());
            if log_format == LogFormat::Json {
                let message = record.args().to_string();
                return json::write_line(out, &time, record.level(), target, &message);
            }
            let level = padded(record.level());
            write!(out, "{time} {level} {target}: ")?;
            let mut line = OneLine(&mut *out);
            std::fmt::Write::write_fmt(&mut line, *record.args()).map_err(io::Error::other)?;
            out.write_all(b"\n")
        })
        .target(env_logger::Target::Pipe(Box::new(QueueWriter(Arc::clone(
            &queue,
        )))))
        .init();
    LogGuard { queue, thread }
}

/// Lets a filter of a room, such as `llmproxy::proxy=debug`, hold in both packages.
fn for_both_packages(filter: &str) -> String {
    let directives = filter.split(',').map(|directive| {
        match directive.trim_start().strip_prefix("llmproxy::") {
            Some(room) => format!("{directive},llmproxy_core::{room}"),
            None => directive.to_owned(),
        }
    });
    directives.collect::<Vec<_>>().join(",")
}

/// The lines that wait for stderr.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    lines_lost: u64,
    /// Whether the thread sleeps until a line comes.
    is_idle: bool,
    is_closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes lines until the queue is closed and empty.
    fn write_out(&self) {
        let mut batch = Vec::new();
        loop {
            let mut state = self.lock();
            while state.waiting.is_empty() && !state.is_closed {
                state.is_idle = true;
                state = self
                    .filled
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            state.is_idle = false;
            let is_last = state.is_closed;
            std::mem::swap(&mut batch, &mut state.waiting);
            let lines_lost = std::mem::take(&mut state.lines_lost);
            drop(state);
            if lines_lost > 0 {
                let note =
                    format!("lost log lines because stderr was not read: lines={lines_lost}\n");
                batch.extend_from_slice(note.as_bytes());
            }
            // If stderr is closed, there is no place for an error.
            let _ = io::stderr().lock().write_all(&batch);
            if is_last {
                return;
            }
            batch.clear();
            batch.shrink_to(MAX_KEPT_BYTES);
            thread::sleep(WRITE_INTERVAL);
        }
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // If the thread panicked, its lines are lost.
            let _ = thread.join();
        }
    }
}

/// The writer that the logger writes its lines to.
struct QueueWriter(Arc<Queue>);

impl Write for QueueWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.is_closed {
            io::stderr().lock().write_all(line)?;
        } else if state.waiting.len() + line.len() > MAX_WAITING_BYTES {
            state.lines_lost += 1;
        } else {
            state.waiting.extend_from_slice(line);
            if std::mem::take(&mut state.is_idle) {
                self.0.filled.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Replaces control characters by spaces, so that text from a client cannot begin a line.
struct OneLine<W>(W);

impl<W: Write> std::fmt::Write for OneLine<W> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if is_printable_ascii(text.as_bytes()) {
            return self
                .0
                .write_all(text.as_bytes())
                .map_err(|_| std::fmt::Error);
        }
        for (index, part) in text.split(char::is_control).enumerate() {
            let gap: &[u8] = if index > 0 { b" " } else { b"" };
            let written = self
                .0
                .write_all(gap)
                .and_then(|()| self.0.write_all(part.as_bytes()));
            written.map_err(|_| std::fmt::Error)?;
        }
        Ok(())
    }
}

fn padded(level: log::Level) -> &'static str {
    match level {
        log::Level::Error => "ERROR",
        log::Level::Warn => "WARN ",
        log::Level::Info => "INFO ",
        log::Level::Debug => "DEBUG",
        log::Level::Trace => "TRACE",
    }
}

/// Shortens `llmproxy_core::proxy::response::answer` to `proxy`, which is enough for an operator.
fn short_target(target: &str) -> &str {
    let of_package = |name| target.strip_prefix(name);
    of_package("llmproxy_core::")
        .or_else(|| of_package("llmproxy::"))
        .map_or(target, |room| room.split("::").next().unwrap_or(room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        use std::fmt::Write as _;
        let mut out = Vec::new();
        let hostile = "\n\u{1b}[2J";
        write!(OneLine(&mut out), "a{hostile}b ü\u{85}").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a  [2Jb ü ");
    }

    #[test]
    fn a_filter_of_a_room_holds_wherever_the_room_is() {
        for (filter, both) in [
            ("info,access=off", "info,access=off"),
            (
                "warn,llmproxy::proxy=debug",
                "warn,llmproxy::proxy=debug,llmproxy_core::proxy=debug",
            ),
        ] {
            assert_eq!(for_both_packages(filter), both);
        }
        for target in ["llmproxy::server::pages", "llmproxy_core::server::pages"] {
            assert_eq!(short_target(target), "server");
        }
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_never_waits() {
        let queue = Arc::new(Queue::default());
        let line = [b'x'; 1000];
        for _ in 0..MAX_WAITING_BYTES / 1000 + 7 {
            QueueWriter(Arc::clone(&queue)).write_all(&line).unwrap();
        }
        let state = queue.lock();
        assert_eq!(state.lines_lost, 7);
        assert!(state.waiting.len() <= MAX_WAITING_BYTES);
    }
}
