//! A terminal with a program on it that somebody looks at and types into.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::{PATIENCE, Terminal, wait_until};

/// A running program and what its terminal shows.
pub struct Screen {
    child: Child,
    person: File,
    program: File,
    seen: Arc<Mutex<vt100::Parser>>,
}

impl Screen {
    /// Starts a command on a terminal of its own.
    pub fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let (person, program, child) = Terminal::of_columns(columns).start(command, rows);
        let seen = Arc::new(Mutex::new(vt100::Parser::new(some(rows), some(columns), 0)));
        let mut reader = person.try_clone().unwrap();
        let screen = Arc::clone(&seen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                screen.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self {
            child,
            person,
            program,
            seen,
        }
    }

    /// Returns the text of the screen.
    pub fn text(&self) -> String {
        self.seen.lock().unwrap().screen().contents()
    }

    /// Waits until the screen contains a text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        let start = std::time::Instant::now();
        loop {
            let now = self.text();
            if now.contains(text) {
                return now;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{text:?} does not appear:\n{now}"
            );
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub fn type_keys(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.seen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(some(rows), some(columns));
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.person, size).unwrap();
    }

    /// Process id of the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the terminal is as a shell expects it: it echoes, and shows what was there before
    /// the program, with the cursor. The program has ended, but its last bytes may not be read yet.
    #[track_caller]
    pub fn wait_until_restored(&self) {
        wait_until("the terminal is restored", PATIENCE, || {
            let modes = tcgetattr(&self.program).unwrap().local_modes;
            let seen = self.seen.lock().unwrap();
            modes.contains(LocalModes::ECHO | LocalModes::ICANON)
                && !seen.screen().alternate_screen()
                && !seen.screen().hide_cursor()
        });
    }

    /// Waits for the end of the program.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        wait_until("the program ends", PATIENCE, || {
            self.child.try_wait().unwrap().is_some()
        });
        self.child.wait().unwrap()
    }
}

fn some(size: u16) -> NonZero<u16> {
    NonZero::new(size).unwrap()
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
