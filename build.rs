//! Packs the relocations of the static binary (16,000 of them: 0.4 MB of the file that a start-up
//! reads, and an idle server keeps) wherever the C library that is linked in can unpack them; puts the
//! functions of the start side by side; adds what runs before Rust's runtime; and tells the program which
//! commit it is built of, for `llmproxy --version`.

use std::{env, path::Path, process::Command};

/// glibc's release notes, version 2.36: the first that applies `DT_RELR`. An older one would start
/// unrelocated and crash.
const FIRST_GLIBC: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if links_own_glibc() && glibc_version().is_some_and(|version| version >= FIRST_GLIBC) {
        // A linker that does not know it warns and goes on.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    order_functions();
    report_closed_stdout();
    println!("cargo::rerun-if-env-changed=LLMPROXY_COMMIT");
    // Packagers build without a repository, and say it themselves.
    let given = env::var("LLMPROXY_COMMIT").ok();
    let commit = given.or_else(commit).unwrap_or_default();
    println!("cargo::rustc-env=LLMPROXY_COMMIT={commit}");
}

/// Lays out the functions that every start runs side by side in the release binary. The kernel maps files in
/// pieces of 64 kB, so that an idle server would keep most of the code in memory otherwise. Names that a
/// compiler writes in another way stay where they were.
fn order_functions() {
    const ORDER: &str = ".cargo/start.ld";
    println!("cargo::rerun-if-changed={ORDER}");
    let is = |name, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release")
        && is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && linker_knows_scripts()
        && let Ok(root) = env::var("CARGO_MANIFEST_DIR")
    {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{root}/{ORDER}");
    }
}

/// Returns whether the linker takes a script that adds to its own. LLVM's, which is Rust's default here, and
/// GNU's do; faster ones that somebody has chosen refuse it.
fn linker_knows_scripts() -> bool {
    let chosen = ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_LINKER", "LD_PRELOAD"]
        .map(|name| env::var(name).unwrap_or_default())
        .join(" ");
    !["mold", "wild", "gold"]
        .iter()
        .any(|name| chosen.contains(name))
}

/// Links the few lines of C that run before Rust's runtime. They are no library, which a linker would
/// leave out.
fn report_closed_stdout() {
    const SOURCE: &str = "src/native/closed_stdout.c";
    println!("cargo::rerun-if-changed={SOURCE}");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    for object in cc::Build::new().file(SOURCE).compile_intermediates() {
        println!("cargo::rustc-link-arg-bins={}", object.display());
    }
}

/// Returns the commit of the checkout. It is looked for in release builds only, because others would
/// be compiled again after each commit.
fn commit() -> Option<String> {
    if env::var("PROFILE").as_deref() != Ok("release") {
        return None;
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // It moves with each commit and each checkout.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=10", "HEAD"])
}

/// Not another machine's, whose version cannot be asked here.
fn links_own_glibc() -> bool {
    let is = |name, value: &str| env::var(name).is_ok_and(|found| found == value);
    is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && env::var("TARGET").is_ok_and(|target| is("HOST", &target))
}

/// `getconf` is a part of glibc; it says "glibc 2.36".
fn glibc_version() -> Option<(u32, u32)> {
    let output = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.trim().strip_prefix("glibc ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
