//! The look-alike of OpenAI's API that `llmproxy demo` uses, on its own, to try and test llmproxy
//! without a key. `src/look_alike/` says what it can do.
//!
//!     cargo run --example backend -- --port 9000 [--host 127.0.0.1] [--key sk-…]

use std::io;

use clap::Parser;
use llmproxy::look_alike::{LookAlike, Settings};

/// A look-alike of OpenAI's API, to try and test llmproxy with
#[derive(Parser)]
struct Args {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The only key that is accepted; without it, any is, and so is none
    #[arg(long)]
    key: Option<String>,
}

fn main() -> io::Result<()> {
    let Args { host, port, key } = Args::parse();
    let mut backend = LookAlike::start(Settings { host, port, key })?;
    println!("listening on {}", backend.url());
    backend.wait()
}
