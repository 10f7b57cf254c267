//! Which functions run when a server starts, idles for a while and stops, as a script for the linker.

use std::{collections::BTreeSet, fs, io, path::Path, thread, time::Duration};

use super::server::{Server, Start};

/// Time in which what runs now and then has run.
const IDLE: Duration = Duration::from_secs(3);
/// Fewer names are those of a stripped binary.
const FEWEST: usize = 500;

const HEAD: &str = "\
/* The functions that every start runs, side by side: see `order_functions` in build.rs. Written by
     just start-order */
SECTIONS
{
  .text.start : {
";
const TAIL: &str = "  }
}
INSERT BEFORE .text;
";

/// Writes the script.
pub fn write(file: &Path) -> io::Result<()> {
    let server = Server::start(Start::First)?;
    thread::sleep(IDLE);
    let written = server.stop()?;
    let text = fs::read_to_string(written.path())?;
    let names: BTreeSet<String> = text.lines().filter_map(function).map(pattern).collect();
    if names.len() < FEWEST {
        return Err(io::Error::other(
            "the binary has no names: see start-order in justfile",
        ));
    }
    let mut script = HEAD.to_owned();
    for name in &names {
        // What a compiler takes for cold is in sections of another name.
        let line = format!("    *(.text.{name} .text.unlikely.{name})\n");
        script.push_str(&line);
    }
    script.push_str(TAIL);
    fs::write(file, script)?;
    println!("{} functions in {}", names.len(), file.display());
    Ok(())
}

/// Returns the function that a line of callgrind's file names for the first time: `fn=(12) name`, or
/// `fn=(12) name'2` where it calls itself.
fn function(line: &str) -> Option<&str> {
    let named = line.strip_prefix("fn=(").or(line.strip_prefix("cfn=("))?;
    let (_, name) = named.split_once(") ")?;
    let name = name.split_once('\'').map_or(name, |(name, _)| name);
    // An address, or "(below main)".
    (!name.starts_with("0x") && !name.starts_with('(')).then_some(name)
}

/// Returns a pattern for the name with any compiler: a name of Rust has a hash of each crate
/// (`CsjrHSEGnQ3l9_`) and may have a number that each link gives anew (`.4711`), one of C may have a
/// suffix (`.isra.0`).
fn pattern(name: &str) -> String {
    let Some(of_rust) = name.strip_prefix("_R") else {
        let (stem, suffix) = name.split_once('.').unwrap_or((name, ""));
        return format!("{stem}{}", if suffix.is_empty() { "" } else { ".*" });
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (of_rust, suffix) = match of_rust.rsplit_once('.') {
        Some((stem, number)) if is_number(number) => (stem, ".*"),
        _ => (of_rust, ""),
    };
    let mut parts = of_rust.split("Cs");
    let mut pattern = format!("_R{}", parts.next().unwrap_or_default());
    for part in parts {
        match part.split_once('_') {
            Some((hash, rest)) if hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                pattern.push_str("Cs*_");
                pattern.push_str(rest);
            }
            _ => {
                pattern.push_str("Cs");
                pattern.push_str(part);
            }
        }
    }
    pattern + suffix
}
