# Daily commands. The commands in README.md do not need this file.

# Lists the commands.
default:
    @just --list

# Runs the server with the settings of .env.
serve:
    cargo run --release --locked -- serve

# Runs all tests, or those whose names contain a word.
test name="":
    cargo test --locked {{ name }}

# Runs the tests of the store and the black-box tests on a private PostgreSQL server, made of the programs on the machine.
test-postgres name="":
    LLMPROXY_TEST_DATABASE=postgres cargo test --locked --lib store::{{ name }}
    LLMPROXY_TEST_DATABASE=postgres cargo test --locked --test it {{ name }}

# Checks formatting and lints, as CI does.
lint:
    cargo fmt --all --check
    cargo clippy --locked --all-targets -- -D warnings

# Writes completions/, man/ and docs/settings.md again, after a change of the command line.
generate:
    cargo run --locked -- generate .

# Counts the instructions of the hot path and compares them with those checked in. Needs valgrind.
instructions:
    cargo bench --locked --bench instructions

# Lists the functions that a start runs, which the linker lays side by side. Needs valgrind, and is due when an idle server
# has grown.
start-order:
    cargo bench --locked --config profile.release.package.llmproxy.strip=false --bench instructions -- --order .cargo/start.ld

# Compares throughput and latency with nginx. Needs nginx.
bench:
    cargo bench --locked --bench proxy -- --seconds 2

# Runs each fuzz target for some seconds.
fuzz seconds="15":
    fuzz/run {{ seconds }}

# Builds archives, packages, bills of materials and checksums of both architectures into target/dist/.
release *architectures:
    contrib/release {{ architectures }}

# Installs, runs and upgrades the Debian package in a bare Debian. Needs root and a release build.
packages:
    .ci/packages

# Runs all that a change must pass.
ci:
    .ci/run
