//! Parse, run, turn an error into one line and an exit code.

#![forbid(unsafe_code)]

use std::{io::Write, process::ExitCode};

use llmproxy::{cli, commands};

// Small allocations of many sizes from every worker: measured 10–20 % less CPU per request than glibc's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let variables = match cli::variables(std::env::args_os()) {
        Ok(variables) => variables,
        Err(error) => return fail(&error, 1),
    };
    let (args, sources) = match cli::parse(std::env::args_os(), &variables) {
        Ok(parsed) => parsed,
        Err(error) => match cli::variable_not_utf8(&error, std::env::args_os()) {
            Some(name) => return fail(&anyhow::anyhow!("{name} is not UTF-8"), 1),
            // clap prints help and version on stdout with 0, wrong usage on stderr with 2.
            None => error.exit(),
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

/// Prints the whole chain of causes in one line, whatever characters a cause contains.
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    let line: String = format!("{error:#}")
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    // Where nobody can be told, the exit code is left.
    let _ = writeln!(std::io::stderr(), "llmproxy: {line}");
    ExitCode::from(code)
}
