//! A pseudo-terminal on which a command runs.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::thread;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};

use super::Ran;

/// A terminal with a number of columns.
pub struct Terminal {
    /// The side of the person who sits before it.
    person: File,
    /// The side of the program.
    program: File,
}

impl Terminal {
    pub fn of_columns(columns: u16) -> Self {
        let person =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let program = rustix::fs::open(&name, flags, rustix::fs::Mode::empty()).unwrap();
        let size = Winsize {
            ws_row: 50,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&program, size).unwrap();
        Self {
            person: person.into(),
            program: program.into(),
        }
    }

    /// Types something that the program will read.
    pub fn type_ahead(&mut self, text: &str) {
        self.person.write_all(text.as_bytes()).unwrap();
    }

    /// Starts a command. Returns both sides, and the program.
    pub(super) fn start(self, command: &Command, rows: u16) -> (File, File, Child) {
        let mut size = tcgetwinsize(&self.program).unwrap();
        size.ws_row = rows;
        tcsetwinsize(&self.program, size).unwrap();
        let child = self.spawn(command);
        (self.person, self.program, child)
    }

    /// Spawns a command that has this as its controlling terminal, instead of the one that the tests
    /// were started from, whose size it would take.
    fn spawn(&self, command: &Command) -> Child {
        let mut detached = Command::new("setsid");
        detached
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args());
        detached
            .current_dir(command.get_current_dir().unwrap())
            .env_clear();
        let variables = command.get_envs();
        detached.envs(variables.filter_map(|(name, value)| Some((name, value?))));
        let side = || self.program.try_clone().unwrap();
        detached.stdin(side()).stdout(side()).stderr(side());
        // The command holds the terminal open too until it is dropped.
        detached.spawn().unwrap()
    }

    /// Runs a command to its end. All that appears is in `stdout`, with plain line ends.
    pub fn run(self, command: &mut Command) -> Ran {
        let mut child = self.spawn(command);
        drop(self.program);
        let mut person = self.person;
        let reader = thread::spawn(move || {
            let (mut shown, mut bytes) = (Vec::new(), [0; 4096]);
            // EIO is the end: nobody has the program's side open.
            while let Ok(count @ 1..) = person.read(&mut bytes) {
                shown.extend_from_slice(&bytes[..count]);
            }
            shown
        });
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), None);
        let shown = String::from_utf8(reader.join().unwrap()).unwrap();
        Ran {
            code: status.code(),
            stdout: shown.replace("\r\n", "\n"),
            stderr: String::new(),
        }
    }
}
