//! The server's log: one line per record, whatever a record contains, written to stderr by a thread of its own.
//!
//! A lone line is written at once. While lines pour in they are written together every [`GATHER`], because a system call a
//! line costs a busy proxy more than the line; and a stderr that nobody reads holds up no request.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

/// Pause between two writes of a busy log.
const GATHER: Duration = Duration::from_millis(20);
/// Lines that wait for a stderr that takes none; beyond it they are dropped and counted.
const MAX_WAITING_BYTES: usize = 4 << 20;
/// What a busy log's lines take between two writes; memory beyond it is given back.
const GATHERED_BYTES: usize = 64 << 10;

/// Writes what is left when dropped.
pub(super) struct LogGuard {
    queue: Arc<Queue>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Starts the log; `filter` was validated with the settings.
pub(super) fn start(filter: &str) -> LogGuard {
    let queue = Arc::new(Queue::default());
    let thread = {
        let queue = Arc::clone(&queue);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || queue.write_out())
            .ok()
    };
    // Without the thread, each line is written by the one who has it.
    queue.lock().is_closed = thread.is_none();
    env_logger::Builder::new()
        // Its lines at start say in four what this program says in one.
        .filter_module("actix_server", log::LevelFilter::Warn)
        // Its lines tell once more, as errors, and of nobody, what was told of an answer that broke off.
        .filter_module("actix_http::h1::dispatcher", log::LevelFilter::Off)
        .parse_filters(filter)
        .format(|out, record| {
            let time = humantime::format_rfc3339_millis(SystemTime::now());
            let (level, target) = (padded(record.level()), short_target(record.target()));
            write!(out, "{time} {level} {target}: ")?;
            let mut line = OneLine(&mut *out);
            std::fmt::Write::write_fmt(&mut line, *record.args()).map_err(io::Error::other)?;
            out.write_all(b"\n")
        })
        .target(env_logger::Target::Pipe(Box::new(Entry(Arc::clone(
            &queue,
        )))))
        .init();
    LogGuard { queue, thread }
}

/// Lines on their way to stderr.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    lines_lost: u64,
    /// The thread sleeps until there is a line.
    is_idle: bool,
    is_closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs until closed and empty.
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
                let note = format!("({lines_lost} log lines were lost: stderr was not read)\n");
                batch.extend_from_slice(note.as_bytes());
            }
            // There is nowhere to say that stderr is gone.
            let _ = io::stderr().lock().write_all(&batch);
            if is_last {
                return;
            }
            batch.clear();
            batch.shrink_to(GATHERED_BYTES);
            thread::sleep(GATHER);
        }
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to write.
            let _ = thread.join();
        }
    }
}

/// Where the logger puts its lines.
struct Entry(Arc<Queue>);

impl Write for Entry {
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

/// Replaces control characters as they pass, so that nothing a client sends can begin a line of its own.
struct OneLine<W>(W);

impl<W: Write> std::fmt::Write for OneLine<W> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        // Without a way out in the middle the compiler looks at many bytes at once.
        let is_harmless = |byte: &u8| (0x20..0x7f).contains(byte);
        if text
            .bytes()
            .fold(true, |all, byte| all & is_harmless(&byte))
        {
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

/// `llmproxy::proxy::answer` is `proxy`: the room is what an operator needs to know.
fn short_target(target: &str) -> &str {
    target
        .strip_prefix("llmproxy::")
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
    fn a_full_queue_drops_and_counts_and_never_waits() {
        let queue = Arc::new(Queue::default());
        let line = [b'x'; 1000];
        for _ in 0..MAX_WAITING_BYTES / 1000 + 7 {
            Entry(Arc::clone(&queue)).write_all(&line).unwrap();
        }
        let state = queue.lock();
        assert_eq!(state.lines_lost, 7);
        assert!(state.waiting.len() <= MAX_WAITING_BYTES);
    }
}
