//! The terminal while `top` has it. Whatever ends the program, the terminal is left as it was: on a
//! return, an error, a panic, and SIGTERM, SIGHUP and SIGINT.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ratatui::DefaultTerminal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{state::Top, view};

/// The terminal in raw mode, on its alternate screen. Dropping it restores the terminal.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    /// The signal that came, or 0.
    signal: Arc<AtomicUsize>,
}

impl Screen {
    /// Takes the terminal. A panic restores it before its message is printed.
    ///
    /// # Errors
    /// If the terminal cannot be used.
    pub(super) fn enter() -> io::Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGHUP, SIGINT, SIGTERM] {
            let value = usize::try_from(number).unwrap_or(1);
            signal_hook::flag::register_usize(number, Arc::clone(&signal), value)?;
        }
        Ok(Self {
            terminal: ratatui::try_init()?,
            signal,
        })
    }

    /// Returns the signal that asks the program to end.
    pub(super) fn signal(&self) -> Option<i32> {
        let signal = self.signal.load(Ordering::Relaxed);
        i32::try_from(signal).ok().filter(|signal| *signal != 0)
    }

    /// Returns the height of the terminal in lines.
    pub(super) fn rows(&self) -> usize {
        self.terminal.size().map_or(24, |size| size.height.into())
    }

    /// Draws what has changed.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn draw(&mut self, top: &mut Top) -> io::Result<()> {
        self.terminal.draw(|frame| view::draw(frame, top))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody left to tell if the terminal is gone.
        let _ = ratatui::try_restore();
    }
}

/// Ends the process as the signal does where nobody catches it, so that its parent sees it.
///
/// # Errors
/// If the system does not know the signal.
pub(super) fn end_by(signal: i32) -> anyhow::Result<()> {
    Ok(signal_hook::low_level::emulate_default_handler(signal)?)
}
