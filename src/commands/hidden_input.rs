//! Reads a secret from a terminal that does not show it.

use std::io::{self, Write};

use ratatui::crossterm::{
    event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    terminal::{disable_raw_mode, enable_raw_mode},
};

/// The terminal without an echo. Dropping it restores the terminal.
struct RawMode;

impl RawMode {
    fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = disable_raw_mode();
    }
}

/// Asks a question and reads a line that is not shown.
///
/// # Errors
/// If the terminal cannot be used, and [`io::ErrorKind::Interrupted`] for Ctrl-C and Ctrl-D.
pub(super) fn ask(question: &str) -> io::Result<String> {
    let mut stderr = io::stderr();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let line = {
        let _raw = RawMode::enter()?;
        read_line()
    };
    writeln!(stderr)?;
    line
}

fn read_line() -> io::Result<String> {
    let mut line = String::new();
    loop {
        let (code, modifiers) = match event::read()? {
            Event::Key(KeyEvent {
                code,
                modifiers,
                kind: KeyEventKind::Press | KeyEventKind::Repeat,
                ..
            }) => (code, modifiers),
            Event::Paste(text) => {
                line.push_str(&text);
                continue;
            }
            _ => continue,
        };
        let is_control = modifiers.contains(KeyModifiers::CONTROL);
        match code {
            // A line feed is Ctrl-J here.
            KeyCode::Enter | KeyCode::Char('j') if code == KeyCode::Enter || is_control => {
                return Ok(line);
            }
            KeyCode::Char('c' | 'd') if is_control => {
                return Err(io::ErrorKind::Interrupted.into());
            }
            KeyCode::Char('u') if is_control => line.clear(),
            KeyCode::Char(c) if !is_control => line.push(c),
            KeyCode::Backspace => {
                line.pop();
            }
            _ => {}
        }
    }
}
