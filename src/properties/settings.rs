//! The settings as a whole. An input is written like an env file, with a `NAME=value` on each line. URLs,
//! times, names and keys have a property of their own.

use std::{ffi::OsString, time::Duration};

use super::typed::{SECRET, Typed, is_key};
use crate::{
    cli::{self, Command},
    config::{Config, env_file::Variables},
};

const SETTINGS: [&str; 25] = [
    "OPENAI_BACKEND_URL",
    "OPENAI_BASE_URL",
    "OPENAI_API_KEY",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "HOST",
    "PORT",
    "DATABASE_URL",
    "STORE_KEYS",
    "MAX_CONCURRENT_REQUESTS",
    "QUEUE_TIMEOUT",
    "ADMIN_TOKEN",
    "ADMIN_ALLOW",
    "LEDGER_SYNC",
    "ON_LEDGER_FAILURE",
    "SHUTDOWN_GRACE",
    "CLIENT_HEADER_TIMEOUT",
    "BACKEND_CONNECT_TIMEOUT",
    "BACKEND_IDLE_TIMEOUT",
    "STREAM_USAGE",
    "STATEFUL_ENDPOINTS",
    "SETTLE_INTERVAL",
    "MAX_BODY_SIZE",
    "RUST_LOG",
    "LOG_FORMAT",
];
const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// Whatever is typed becomes a valid setting, or an error of one line that shows no secret.
pub fn settings(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    env_file(input);
    serve(&Typed::of(&text));
}

/// The whole input as a file: variables, or an error that repeats nothing but a name.
fn env_file(input: &[u8]) {
    if let Err(error) = Variables::read(input) {
        let name = error.name.clone().unwrap_or_default();
        let message = error.to_string();
        assert!(!message.contains(char::is_control), "{message:?}");
        assert!(name.contains(SECRET) || !message.contains(SECRET));
        let lines = input.split(|byte| *byte == b'\n').count();
        assert!((1..=lines).contains(&error.line), "{message}");
    }
}

fn serve(typed: &Typed<'_>) {
    let flags = SETTINGS.iter().filter_map(|name| {
        let flag = name.to_ascii_lowercase().replace('_', "-");
        Some(format!("--{flag}={}", typed.value(name)?))
    });
    let args = ["llmproxy".to_owned(), "serve".to_owned()]
        .into_iter()
        .chain(flags)
        .map(OsString::from);
    let Ok((cli, matches)) = cli::parse(args, &Variables::default()) else {
        return;
    };
    let Command::Serve(settings) = cli.command else {
        panic!("`serve` is another command");
    };
    match Config::from_settings(&settings, &matches, &Variables::default()) {
        Ok(config) => {
            let is_hidden = typed.holds_secret(|name, _| is_key(name));
            assert!(!(is_hidden && format!("{config:?}").contains(SECRET)));
            check_config(&config);
        }
        Err(error) => {
            let message = error.to_string();
            typed.check_message(&message);
            let name = message.split([' ', '=']).next().unwrap_or_default();
            assert!(
                SETTINGS.contains(&name) || name.to_ascii_uppercase().ends_with("_PROXY"),
                "{message}"
            );
        }
    }
}

fn check_config(config: &Config) {
    let is_graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(is_graphic(config.backend_key.expose()));
    for text in [&config.organization, &config.project]
        .into_iter()
        .flatten()
    {
        assert!(!text.is_empty() && is_graphic(text));
    }
    if let Some(token) = &config.admin_token {
        assert!(!token.expose().is_empty() && is_graphic(token.expose()));
    }
    assert!(!config.host.is_empty() && is_graphic(&config.host));
    assert!(config.max_concurrent_requests <= 1_000_000);
    assert!((1024..=4 << 30).contains(&config.max_body_bytes));
    for wait in [config.queue_timeout, config.shutdown_grace] {
        assert!(wait <= YEAR);
    }
    for timeout in [
        config.client_header_timeout,
        config.connect_timeout,
        config.idle_timeout,
    ] {
        assert!(!timeout.is_zero() && timeout <= YEAR);
    }
    let database = config.database.to_string();
    assert!(!["", ":memory:"].contains(&&*database));
    if database.starts_with("postgres://") {
        assert!(!database.contains(char::is_control));
    } else {
        assert!(!database.contains('\0') && !database.ends_with('/'));
    }
    // What is shown of them in logs can be read back.
    for network in &config.admin_allow {
        assert_eq!(network.to_string().parse(), Ok(*network));
    }
}
