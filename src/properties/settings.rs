//! Texts that an operator types: settings, time ranges, names, keys. An input is written like an
//! env file, with a `NAME=value` on each line.

use std::{ffi::OsString, time::Duration};

use crate::{
    cli::{self, Command},
    config::{Config, env_file::Variables},
    model::{ApiKey, TimeError, TimeRange, UserName, format_utc},
    proxy::{
        admission::auth::bearer,
        backend::{BASE_URL, BackendUrl, HttpProxy},
    },
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
/// Stands for a secret in the seeds.
const SECRET: &str = "pa55word";
/// 2026-02-08T00:00:00Z
const NOW_MS: i64 = 1_770_508_800_000;
const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// Whatever is typed becomes a valid setting, or an error of one line that shows no secret.
pub fn settings(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let typed = Typed(
        text.lines()
            .filter_map(|line| line.split_once('='))
            .collect(),
    );
    env_file(input);
    serve(&typed);
    http_proxy(&typed);
    time_range(
        typed.value("last_hours"),
        typed.value("start_time"),
        typed.value("end_time"),
    );
    if let Some(name) = typed.value("username") {
        user_name(name);
    }
    if let Some(text) = typed.value("api_key") {
        key(text);
    }
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

struct Typed<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Typed<'a> {
    fn value(&self, wanted: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| *value)
    }

    /// Returns whether [`SECRET`] stands where a secret belongs and nowhere else.
    fn holds_secret(&self, belongs: impl Fn(&str, &str) -> bool) -> bool {
        let mut secrets = self.0.iter().filter(|(_, value)| value.contains(SECRET));
        let all_belong = secrets.clone().all(|(name, value)| belongs(name, value));
        secrets.next().is_some() && all_belong
    }

    /// Returns the message for an operator about a setting that cannot be used.
    fn check_message(&self, message: &str) {
        assert!(!message.contains(char::is_control), "{message:?}");
        let is_hidden = self.holds_secret(|name, value| is_key(name) || has_password(value));
        assert!(!(is_hidden && message.contains(SECRET)), "{message}");
    }
}

fn is_key(name: &str) -> bool {
    ["OPENAI_API_KEY", "ADMIN_TOKEN"].contains(&name)
}

/// Returns whether a text is a URL with [`SECRET`] in the place of user and password only.
fn has_password(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once("://") else {
        return false;
    };
    rest.split_once('@').is_some_and(|(user, host)| {
        user.contains(SECRET) && !scheme.contains(SECRET) && !host.contains(SECRET)
    })
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
    check_backend(&config.backend_url);
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
    assert!(!database.contains('\0') && !database.ends_with('/'));
    assert!(!["", ":memory:"].contains(&&*database));
    // What is shown of them in logs can be read back.
    for network in &config.admin_allow {
        assert_eq!(network.to_string().parse(), Ok(*network));
    }
}

fn check_backend(url: &BackendUrl) {
    assert!(!url.host.is_empty() && !url.host.contains(['[', ']', '/', '@']));
    assert!(url.authority.contains(&url.host));
    for path in [&url.prefix, &url.v1] {
        assert!(!path.ends_with('/'), "{url:?}");
        assert!(path.is_empty() || path.starts_with('/'), "{url:?}");
    }
    let in_request_line = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(
        in_request_line(&url.prefix) && in_request_line(&url.v1) && in_request_line(&url.authority),
        "{url:?}"
    );
    let text = url.to_string();
    let again = if url.variable == BASE_URL {
        BackendUrl::of_base(&text)
    } else {
        text.parse()
    };
    let again = again.expect("what was accepted, is again");
    // A backend URL with `/v1/v1` loses one `/v1` each time.
    if url.variable == BASE_URL || !url.prefix.ends_with("/v1") {
        assert_eq!(again, *url);
    }
}

fn http_proxy(typed: &Typed<'_>) {
    for backend in [
        "http://api.corp.example:8080",
        "https://[::1]",
        "http://10.1.2.3/v1",
    ] {
        let backend: BackendUrl = backend.parse().expect("a good URL");
        let found = HttpProxy::for_backend(&backend, |name| {
            typed.value(&name.to_ascii_uppercase()).map(str::to_owned)
        });
        match found {
            Ok(None) => {}
            Ok(Some(proxy)) => {
                assert!(!proxy.host.is_empty());
                let header = proxy.authorization.unwrap_or_default();
                assert!(!header.contains(char::is_control));
            }
            Err((_, problem)) => typed.check_message(&problem),
        }
    }
}

fn time_range(last_hours: Option<&str>, start_time: Option<&str>, end_time: Option<&str>) {
    match TimeRange::parse(last_hours, start_time, end_time, NOW_MS) {
        Ok(range) => {
            assert_eq!(
                range.start_ms().is_some(),
                start_time.or(last_hours).is_some()
            );
            assert_eq!(range.end_ms().is_some(), end_time.is_some());
            if let (Some(start), Some(end)) = (range.start_ms(), range.end_ms()) {
                // Two instants within one millisecond have no whole one between them.
                assert!(start <= end + 1, "{range:?}");
            }
            for ms in [range.start_ms(), range.end_ms()].into_iter().flatten() {
                let text = format_utc(ms);
                let again = TimeRange::parse(None, Some(&text), None, NOW_MS);
                assert_eq!(again.map(|range| range.start_ms()), Ok(Some(ms)), "{text}");
            }
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains(error.field()) && !message.contains(char::is_control));
            assert!(error != TimeError::Combined || last_hours.is_some());
        }
    }
}

fn user_name(text: &str) {
    if let Ok(name) = UserName::parse(text) {
        let name = name.as_str();
        assert!(text.contains(name) && name.trim() == name);
        assert!((1..=128).contains(&name.chars().count()));
        assert!(!name.contains(char::is_control));
        assert_eq!(
            UserName::parse(name).as_ref().map(UserName::as_str),
            Ok(name)
        );
    }
}

fn key(text: &str) {
    let key = ApiKey::from_text(text);
    assert_eq!(key.hash(), ApiKey::hash_of(text.as_bytes()));
    let masked = key.masked();
    assert!(masked.chars().count() <= 14 || key.is_masked(), "{masked}");
    assert!(masked != text || key.is_masked());
    assert_eq!(ApiKey::from_text(masked.clone()).masked(), masked);
    if let Some(token) = bearer(format!("Bearer {text}").as_bytes()) {
        assert_eq!(token, text.as_bytes().trim_ascii());
        assert!(!token.is_empty() && !token.contains(&b' '));
    }
}
