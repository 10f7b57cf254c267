//! How long a file of prices takes to read, and how much memory: `cargo bench --bench prices FILE`.
//! LiteLLM's whole file is in its Python package:
//! `litellm/model_prices_and_context_window_backup.json`.

use std::{env, fs, time::Instant};

use llmproxy::prices::{Catalog, snapshot};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 50;

fn main() {
    // `cargo bench` passes `--bench`.
    let Some(path) = env::args().skip(1).find(|arg| !arg.starts_with('-')) else {
        eprintln!("say which file: cargo bench --bench prices FILE");
        return;
    };
    let before = resident_kb("VmRSS");
    let started = Instant::now();
    let built_in = snapshot();
    let micros = started.elapsed().as_micros();
    let after = resident_kb("VmRSS");
    println!(
        "snapshot: {} models, {} bytes kept, {micros} µs, {} kB resident",
        built_in.len(),
        built_in.heap_bytes(),
        after - before
    );

    let json = fs::read(&path).expect("a file of prices");
    let with_file = resident_kb("VmRSS");
    let prices = Catalog::parse(&json).expect("prices");
    println!(
        "file: {} models, {} bytes kept; {} kB resident for the file, {} kB more at the peak",
        prices.len(),
        prices.heap_bytes(),
        with_file - after,
        resident_kb("VmHWM") - with_file
    );
    drop(json);
    println!(
        "afterwards: {} kB more than before",
        resident_kb("VmRSS") - after
    );

    let json = fs::read(&path).expect("a file of prices");
    let mut times: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            Catalog::parse(&json).expect("prices");
            started.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    println!(
        "parse: {} µs at best, {} µs in the middle, {} µs at worst of {ROUNDS}",
        times[0],
        times[ROUNDS / 2],
        times[ROUNDS - 1]
    );
    let started = Instant::now();
    for price in built_in.iter() {
        assert!(built_in.get(price.name()).is_some());
    }
    let nanos = started.elapsed().as_nanos() / built_in.len() as u128;
    println!("look-up: {nanos} ns");
}

/// Returns a line of `/proc/self/status` in kilobytes; 0 where there is none.
fn resident_kb(name: &str) -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
