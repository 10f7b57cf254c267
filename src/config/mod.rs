//! Every setting once: flag, variable, default, meaning, validation. No value leaves this file unparsed.

use std::{ffi::OsString, fmt, net::IpAddr, path::PathBuf, time::Duration};

use clap::{ArgMatches, Args, parser::ValueSource};
use ipnet::IpNet;

use crate::{
    env_file::Variables,
    model::Secret,
    proxy::{
        StreamUsage,
        backend::{BACKEND_URL, BASE_URL, BackendUrl, HttpProxy},
        endpoint::{Endpoints, Stateful},
    },
    store::{
        DatabasePath,
        ledger::{OnFailure, Sync},
        users::KeyStorage,
    },
};

const DEFAULT_BACKEND_URL: &str = "https://api.openai.com";
const DEFAULT_HOST: &str = "0.0.0.0";
const DEFAULT_PORT: &str = "8000";
const DEFAULT_DATABASE_URL: &str = "sqlite+aiosqlite:///./llm_proxy.db";
const DEFAULT_STORE_KEYS: &str = "clear";
const DEFAULT_MAX_CONCURRENT: &str = "500";
const DEFAULT_LEDGER_SYNC: &str = "normal";
const DEFAULT_ON_LEDGER_FAILURE: &str = "refuse";
const DEFAULT_SHUTDOWN_GRACE: &str = "30s";
const DEFAULT_CONNECT_TIMEOUT: &str = "10s";
const DEFAULT_IDLE_TIMEOUT: &str = "600s";
const DEFAULT_QUEUE_TIMEOUT: &str = "600s";
const DEFAULT_HEADER_TIMEOUT: &str = "15s";
const DEFAULT_STATEFUL: &str = "private";
const DEFAULT_SETTLE_INTERVAL: &str = "60s";
const DEFAULT_STREAM_USAGE: &str = "ask";
const DEFAULT_MAX_BODY_SIZE: &str = "64MiB";
const DEFAULT_LOG: &str = "info";

/// Settings of `llmproxy serve` as written, before [`Config::from_settings`] reads them.
#[derive(Args)]
pub struct ServeSettings {
    /// Server to forward to, http or https: the client's path is appended, /v1 included; a final /v1 here makes no difference. Default, without
    /// --openai-base-url: https://api.openai.com
    #[arg(long, env = BACKEND_URL, hide_env_values = true, value_name = "URL")]
    openai_backend_url: Option<String>,

    /// Instead of --openai-backend-url, with the meaning that SDKs give it: the client's path is appended, without its /v1
    #[arg(long, env = BASE_URL, hide_env_values = true, value_name = "URL")]
    openai_base_url: Option<String>,

    /// The backend's key (required; empty: no Authorization goes to the backend). Flags show in `ps`: prefer the variable or .env
    #[arg(
        long,
        env = "OPENAI_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    openai_api_key: Option<String>,

    /// Sent to the backend as OpenAI-Organization
    #[arg(long, env = "OPENAI_ORG_ID", hide_env_values = true, value_name = "ID")]
    openai_org_id: Option<String>,

    /// Sent to the backend as OpenAI-Project
    #[arg(
        long,
        env = "OPENAI_PROJECT_ID",
        hide_env_values = true,
        value_name = "ID"
    )]
    openai_project_id: Option<String>,

    /// Address to listen on
    #[arg(long, env = "HOST", hide_env_values = true, default_value = DEFAULT_HOST, value_name = "ADDRESS")]
    host: String,

    /// Port to listen on; 0: any free port, the log line says which
    #[arg(long, env = "PORT", hide_env_values = true, default_value = DEFAULT_PORT, value_name = "PORT")]
    port: String,

    #[command(flatten)]
    database: DatabaseSettings,

    #[command(flatten)]
    keys: KeySettings,

    /// Requests at the backend at once, the rest wait in line; 0: unlimited
    #[arg(long, env = "MAX_CONCURRENT_REQUESTS", hide_env_values = true, default_value = DEFAULT_MAX_CONCURRENT, value_name = "N")]
    max_concurrent_requests: String,

    /// How long a request may wait in line before it gets 503
    #[arg(long, env = "QUEUE_TIMEOUT", hide_env_values = true, default_value = DEFAULT_QUEUE_TIMEOUT, value_name = "TIME")]
    queue_timeout: String,

    /// Token that opens /admin from everywhere, as `Authorization: Bearer`. Prefer the variable or .env
    #[arg(
        long,
        env = "ADMIN_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    admin_token: Option<String>,

    /// Networks that may call /admin without a token, for example 10.0.0.0/8,::1; 0.0.0.0/0,::/0 is everybody
    #[arg(
        long,
        env = "ADMIN_ALLOW",
        hide_env_values = true,
        value_name = "CIDRS"
    )]
    admin_allow: Option<String>,

    /// normal: rows survive a crash of the proxy; full: each commit waits for the disk and survives a power cut
    #[arg(long, env = "LEDGER_SYNC", hide_env_values = true, default_value = DEFAULT_LEDGER_SYNC, value_name = "normal|full")]
    ledger_sync: String,

    /// While rows cannot be written: refuse requests, or serve and keep the rows in memory
    #[arg(long, env = "ON_LEDGER_FAILURE", hide_env_values = true, default_value = DEFAULT_ON_LEDGER_FAILURE, value_name = "refuse|serve")]
    on_ledger_failure: String,

    /// How long answers may finish after SIGTERM
    #[arg(long, env = "SHUTDOWN_GRACE", hide_env_values = true, default_value = DEFAULT_SHUTDOWN_GRACE, value_name = "TIME")]
    shutdown_grace: String,

    /// How long a client may take to send the head of a request
    #[arg(long, env = "CLIENT_HEADER_TIMEOUT", hide_env_values = true, default_value = DEFAULT_HEADER_TIMEOUT, value_name = "TIME")]
    client_header_timeout: String,

    /// How long a connection to the backend may take
    #[arg(long, env = "BACKEND_CONNECT_TIMEOUT", hide_env_values = true, default_value = DEFAULT_CONNECT_TIMEOUT, value_name = "TIME")]
    backend_connect_timeout: String,

    /// Longest silence of the backend, before its first byte and between two
    #[arg(long, env = "BACKEND_IDLE_TIMEOUT", hide_env_values = true, default_value = DEFAULT_IDLE_TIMEOUT, value_name = "TIME")]
    backend_idle_timeout: String,

    /// ask: add `stream_options.include_usage` to streamed requests that lack it; leave: for backends that do not know it
    #[arg(long, env = "STREAM_USAGE", hide_env_values = true, default_value = DEFAULT_STREAM_USAGE, value_name = "ask|leave")]
    stream_usage: String,

    /// Further paths of this backend, such as /v1/rerank,/v1/score,/tokenize; a final * stands for any rest
    #[arg(
        long,
        env = "EXTRA_ENDPOINTS",
        hide_env_values = true,
        value_name = "PATHS"
    )]
    extra_endpoints: Option<String>,

    /// Files, stored responses, conversations, batches and the like: open to each user's own, or closed (private, off)
    #[arg(long, env = "STATEFUL_ENDPOINTS", hide_env_values = true, default_value = DEFAULT_STATEFUL, value_name = "private|off")]
    stateful_endpoints: String,

    /// How often finished batches and background responses are looked for that nobody has looked at
    #[arg(long, env = "SETTLE_INTERVAL", hide_env_values = true, default_value = DEFAULT_SETTLE_INTERVAL, value_name = "TIME")]
    settle_interval: String,

    /// Longest request body
    #[arg(long, env = "MAX_BODY_SIZE", hide_env_values = true, default_value = DEFAULT_MAX_BODY_SIZE, value_name = "SIZE")]
    max_body_size: String,

    /// What is logged, as env_logger reads it: error, warn, info, debug, trace, off
    #[arg(long, env = "RUST_LOG", hide_env_values = true, default_value = DEFAULT_LOG, value_name = "FILTER")]
    rust_log: String,
}

/// Where the database is: the one setting that all commands share.
#[derive(Debug, Args)]
pub struct DatabaseSettings {
    /// Database file: sqlite:///relative.db, sqlite:////absolute.db or a bare path
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, default_value = DEFAULT_DATABASE_URL, value_name = "URL")]
    database_url: String,
}

/// What the database keeps of new keys: for the commands that make some.
#[derive(Debug, Args)]
pub struct KeySettings {
    /// clear: the database keeps whole keys, `list` shows them again; hashed: only hashes, a key is shown once
    #[arg(long, env = "STORE_KEYS", hide_env_values = true, default_value = DEFAULT_STORE_KEYS, value_name = "clear|hashed")]
    store_keys: String,
}

/// All settings of the server, valid.
#[derive(Debug)]
pub struct Config {
    pub backend_url: BackendUrl,
    pub backend_key: Secret,
    pub organization: Option<String>,
    pub project: Option<String>,
    pub host: String,
    pub port: u16,
    pub database: DatabasePath,
    pub key_storage: KeyStorage,
    /// 0: unlimited.
    pub max_concurrent_requests: usize,
    pub queue_timeout: Duration,
    pub settle_interval: Duration,
    pub admin_token: Option<Secret>,
    pub admin_allow: Vec<IpNet>,
    pub ledger_sync: Sync,
    pub on_ledger_failure: OnFailure,
    pub shutdown_grace: Duration,
    pub client_header_timeout: Duration,
    pub connect_timeout: Duration,
    pub idle_timeout: Duration,
    pub stream_usage: StreamUsage,
    pub endpoints: Endpoints,
    pub max_body_bytes: usize,
    pub log_filter: String,
    /// `HTTPS_PROXY` or `HTTP_PROXY`, when it applies to the backend.
    pub http_proxy: Option<HttpProxy>,
    /// `SSL_CERT_FILE`: root certificates to trust besides the embedded ones.
    pub extra_roots: Option<PathBuf>,
}

/// A setting that cannot be used: one line that names the variable, the value unless secret, and what is accepted.
#[derive(Debug, thiserror::Error)]
#[error("{variable}{} {problem}", shown(.value.as_deref()))]
pub struct SettingError {
    variable: &'static str,
    /// `None` for a secret.
    value: Option<String>,
    /// The rest of the sentence.
    problem: String,
    /// It was given as a flag, not as a variable.
    pub from_flag: bool,
}

impl Config {
    /// Reads all settings.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn from_settings(
        settings: &ServeSettings,
        matches: &ArgMatches,
        variables: &Variables,
    ) -> Result<Self, SettingError> {
        let read = Reader { matches };
        let backend_url = backend_url(settings, &read)?;
        let http_proxy = HttpProxy::for_backend(&backend_url, |name| variables.get(name))
            .map_err(|(variable, problem)| read.error(variable, None, problem))?;
        Ok(Self {
            http_proxy,
            backend_key: read.backend_key(settings.openai_api_key.as_deref())?,
            organization: read.header_value("OPENAI_ORG_ID", settings.openai_org_id.as_deref())?,
            project: read
                .header_value("OPENAI_PROJECT_ID", settings.openai_project_id.as_deref())?,
            host: read.host(&settings.host)?,
            port: read.value(
                "PORT",
                &settings.port,
                DEFAULT_PORT,
                "a number from 0 to 65535",
                |text| text.parse().ok(),
            )?,
            database: settings.database.path(matches)?,
            key_storage: settings.keys.storage(matches)?,
            max_concurrent_requests: read.value(
                "MAX_CONCURRENT_REQUESTS",
                &settings.max_concurrent_requests,
                DEFAULT_MAX_CONCURRENT,
                "a number from 0 (unlimited) to 1000000",
                |text| text.parse().ok().filter(|n| *n <= 1_000_000),
            )?,
            settle_interval: read.timeout(
                "SETTLE_INTERVAL",
                &settings.settle_interval,
                DEFAULT_SETTLE_INTERVAL,
            )?,
            queue_timeout: read.duration(
                "QUEUE_TIMEOUT",
                &settings.queue_timeout,
                DEFAULT_QUEUE_TIMEOUT,
            )?,
            admin_token: read.admin_token(settings.admin_token.as_deref())?,
            admin_allow: read.networks(settings.admin_allow.as_deref())?,
            ledger_sync: read.choice(
                "LEDGER_SYNC",
                &settings.ledger_sync,
                DEFAULT_LEDGER_SYNC,
                [("normal", Sync::Normal), ("full", Sync::Full)],
            )?,
            on_ledger_failure: read.choice(
                "ON_LEDGER_FAILURE",
                &settings.on_ledger_failure,
                DEFAULT_ON_LEDGER_FAILURE,
                [("refuse", OnFailure::Refuse), ("serve", OnFailure::Serve)],
            )?,
            shutdown_grace: read.duration(
                "SHUTDOWN_GRACE",
                &settings.shutdown_grace,
                DEFAULT_SHUTDOWN_GRACE,
            )?,
            client_header_timeout: read.timeout(
                "CLIENT_HEADER_TIMEOUT",
                &settings.client_header_timeout,
                DEFAULT_HEADER_TIMEOUT,
            )?,
            connect_timeout: read.timeout(
                "BACKEND_CONNECT_TIMEOUT",
                &settings.backend_connect_timeout,
                DEFAULT_CONNECT_TIMEOUT,
            )?,
            idle_timeout: read.timeout(
                "BACKEND_IDLE_TIMEOUT",
                &settings.backend_idle_timeout,
                DEFAULT_IDLE_TIMEOUT,
            )?,
            stream_usage: read.choice(
                "STREAM_USAGE",
                &settings.stream_usage,
                DEFAULT_STREAM_USAGE,
                [("ask", StreamUsage::Ask), ("leave", StreamUsage::Leave)],
            )?,
            endpoints: endpoints(settings, &read)?,
            max_body_bytes: read.value(
                "MAX_BODY_SIZE",
                &settings.max_body_size,
                DEFAULT_MAX_BODY_SIZE,
                "a size from 1 KiB to 4 GiB such as 64MiB, 500kB or 1048576",
                |text| {
                    let bytes = text.parse::<bytesize::ByteSize>().ok()?.as_u64();
                    usize::try_from(bytes)
                        .ok()
                        .filter(|n| (1024..=4 << 30).contains(n))
                },
            )?,
            log_filter: read.log_filter(&settings.rust_log)?,
            extra_roots: extra_roots(variables),
            backend_url,
        })
    }
}

/// Where the backend is: one of two settings says it.
fn backend_url(settings: &ServeSettings, read: &Reader<'_>) -> Result<BackendUrl, SettingError> {
    let backend = given(settings.openai_backend_url.as_deref());
    match (backend, given(settings.openai_base_url.as_deref())) {
        (Some(_), Some(_)) => Err(read.error(
            BASE_URL,
            None,
            format!(
                "{BACKEND_URL} is set too; keep {BASE_URL} for a URL to which SDKs append /chat/completions, \
                 {BACKEND_URL} for one to which /v1/chat/completions is appended"
            ),
        )),
        (None, Some(base)) => BackendUrl::of_base(base)
            .map_err(|error| read.error(BASE_URL, Some(base), error.to_string())),
        (backend, None) => {
            let text = backend.unwrap_or(DEFAULT_BACKEND_URL);
            let url = text.parse::<BackendUrl>();
            url.map_err(|error| read.error(BACKEND_URL, Some(text), error.to_string()))
        }
    }
}

fn extra_roots(variables: &Variables) -> Option<PathBuf> {
    const NAME: &str = "SSL_CERT_FILE";
    // A path need not be UTF-8.
    let in_file = || variables.in_file(NAME).map(OsString::from);
    let path = std::env::var_os(NAME).or_else(in_file);
    path.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The endpoints that two settings open.
fn endpoints(settings: &ServeSettings, read: &Reader<'_>) -> Result<Endpoints, SettingError> {
    let list = settings.extra_endpoints.as_deref().unwrap_or_default();
    let endpoints = Endpoints::with_extra(list)
        .map_err(|e| read.error("EXTRA_ENDPOINTS", Some(list), e.to_string()))?;
    let stateful = read.choice(
        "STATEFUL_ENDPOINTS",
        &settings.stateful_endpoints,
        DEFAULT_STATEFUL,
        [("off", Stateful::Off), ("private", Stateful::Private)],
    )?;
    Ok(endpoints.with_stateful(stateful))
}

impl KeySettings {
    /// What is kept of new keys.
    ///
    /// # Errors
    /// When the setting is none of the two words.
    pub fn storage(&self, matches: &ArgMatches) -> Result<KeyStorage, SettingError> {
        Reader { matches }.choice(
            "STORE_KEYS",
            &self.store_keys,
            DEFAULT_STORE_KEYS,
            [("clear", KeyStorage::Clear), ("hashed", KeyStorage::Hashed)],
        )
    }
}

impl DatabaseSettings {
    /// The database's path.
    ///
    /// # Errors
    /// When the URL is none of the accepted forms.
    pub fn path(&self, matches: &ArgMatches) -> Result<DatabasePath, SettingError> {
        let read = Reader { matches };
        let text = or_default(&self.database_url, DEFAULT_DATABASE_URL);
        DatabasePath::parse(text)
            .map_err(|error| read.error("DATABASE_URL", Some(text), error.to_string()))
    }
}

/// Written by hand: the derived one would show the secrets.
impl fmt::Debug for ServeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeSettings").finish_non_exhaustive()
    }
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(String::new, |value| format!("={value:?}"))
}

/// The text of a setting without a default; `NAME=` in an env file means that it is not set.
fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// `NAME=` in an env file means the default.
fn or_default<'a>(text: &'a str, default: &'a str) -> &'a str {
    let text = text.trim();
    if text.is_empty() { default } else { text }
}

/// Reads single settings and knows where their values came from.
struct Reader<'a> {
    matches: &'a ArgMatches,
}

impl Reader<'_> {
    fn error(
        &self,
        variable: &'static str,
        value: Option<&str>,
        problem: impl Into<String>,
    ) -> SettingError {
        let id = variable.to_ascii_lowercase();
        let source = self
            .matches
            .try_contains_id(&id)
            .ok()
            .and_then(|_| self.matches.value_source(&id));
        SettingError {
            variable,
            // A URL with an @ or a query may hold a password.
            value: value
                .filter(|value| !value.contains(['@', '?']))
                .map(|value| value.chars().take(200).collect()),
            problem: format!("is not usable: {}", problem.into()),
            from_flag: source == Some(ValueSource::CommandLine),
        }
    }

    fn value<T>(
        &self,
        variable: &'static str,
        text: &str,
        default: &str,
        accepted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, SettingError> {
        parse(or_default(text, default))
            .ok_or_else(|| self.error(variable, Some(text), format!("accepted is {accepted}")))
    }

    fn choice<T: Copy>(
        &self,
        variable: &'static str,
        text: &str,
        default: &str,
        choices: [(&str, T); 2],
    ) -> Result<T, SettingError> {
        let accepted = format!("{} or {}", choices[0].0, choices[1].0);
        self.value(variable, text, default, &accepted, |text| {
            let found = choices
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(text));
            found.map(|(_, choice)| *choice)
        })
    }

    fn duration(
        &self,
        variable: &'static str,
        text: &str,
        default: &str,
    ) -> Result<Duration, SettingError> {
        self.value(
            variable,
            text,
            default,
            "a time such as 30s, 2m or 500ms, up to 1 year",
            |text| {
                let duration = humantime::parse_duration(text).ok()?;
                (duration <= Duration::from_secs(366 * 86_400)).then_some(duration)
            },
        )
    }

    /// A timeout of nothing would end every request.
    fn timeout(
        &self,
        variable: &'static str,
        text: &str,
        default: &str,
    ) -> Result<Duration, SettingError> {
        let duration = self.duration(variable, text, default)?;
        if duration.is_zero() {
            return Err(self.error(
                variable,
                Some(text),
                "accepted is a time above 0 such as 30s or 500ms",
            ));
        }
        Ok(duration)
    }

    fn backend_key(&self, text: Option<&str>) -> Result<Secret, SettingError> {
        let Some(key) = text.map(str::trim) else {
            return Err(SettingError {
                variable: "OPENAI_API_KEY",
                value: None,
                problem: "is required: set it to the backend's key, or to nothing (OPENAI_API_KEY=) for a backend without one"
                    .to_owned(),
                from_flag: false,
            });
        };
        self.graphic("OPENAI_API_KEY", key, None).map(Secret::new)
    }

    fn admin_token(&self, text: Option<&str>) -> Result<Option<Secret>, SettingError> {
        given(text)
            .map(|text| self.graphic("ADMIN_TOKEN", text, None).map(Secret::new))
            .transpose()
    }

    fn header_value(
        &self,
        variable: &'static str,
        text: Option<&str>,
    ) -> Result<Option<String>, SettingError> {
        given(text)
            .map(|text| self.graphic(variable, text, Some(text)))
            .transpose()
    }

    /// What may stand in a header. `shown` is the value for the error, `None` for a secret.
    ///
    /// No key and no token begins or ends with a quote. One that does was quoted for a file's sake and read by a program that
    /// takes quotes as they stand, such as `docker run --env-file`.
    fn graphic(
        &self,
        variable: &'static str,
        text: &str,
        shown: Option<&str>,
    ) -> Result<String, SettingError> {
        const QUOTES: [char; 3] = ['"', '\'', '`'];
        if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
            let advice = "it begins or ends with quotes; set it without them";
            return Err(self.error(variable, shown, advice));
        }
        if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(text.to_owned());
        }
        let accepted = "accepted are printable ASCII characters without spaces";
        Err(self.error(variable, shown, accepted))
    }

    fn host(&self, text: &str) -> Result<String, SettingError> {
        self.value(
            "HOST",
            text,
            DEFAULT_HOST,
            "an IP address or a host name",
            |text| {
                let text = text
                    .strip_prefix('[')
                    .and_then(|t| t.strip_suffix(']'))
                    .unwrap_or(text);
                let is_name = text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
                (is_name || text.parse::<IpAddr>().is_ok()).then(|| text.to_owned())
            },
        )
    }

    fn networks(&self, text: Option<&str>) -> Result<Vec<IpNet>, SettingError> {
        let text = text.unwrap_or_default();
        text.split([',', ' '])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                let address = part.parse::<IpAddr>().map(IpNet::from);
                part.parse::<IpNet>().or(address).map_err(|_| {
                    let accepted =
                        "accepted is a list of networks such as 10.0.0.0/8,192.168.1.5,::1";
                    self.error("ADMIN_ALLOW", Some(text), accepted)
                })
            })
            .collect()
    }

    fn log_filter(&self, text: &str) -> Result<String, SettingError> {
        let accepted = "a level (error, warn, info, debug, trace, off) or target=level pairs";
        self.value("RUST_LOG", text, DEFAULT_LOG, accepted, |text| {
            is_log_filter(text).then(|| text.to_owned())
        })
    }
}

/// `env_logger` would take a misspelt level for the name of a module and be silent; here a level must be a level, and a
/// bare name one that logs.
fn is_log_filter(text: &str) -> bool {
    const NAMES: [&str; 7] = [
        "llmproxy", "access", "actix", "rustls", "tokio", "mio", "tracing",
    ];
    let directives = text.split('/').next().unwrap_or_default();
    directives.split(',').map(str::trim).all(|directive| {
        let (name, level) = match directive.split_once('=') {
            Some((name, level)) => (Some(name), Some(level.trim())),
            None if directive.parse::<log::LevelFilter>().is_ok() => return true,
            None => (Some(directive), None),
        };
        let is_level = level.is_none_or(|level| level.parse::<log::LevelFilter>().is_ok());
        let is_name = name.is_some_and(|name| {
            level.is_some() || NAMES.iter().any(|known| name.starts_with(known))
        });
        is_level && is_name
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_a_valid_setting_or_an_error_of_one_line(
            name in prop::sample::select(vec![
                "OPENAI_API_KEY", "HOST", "PORT", "DATABASE_URL", "MAX_CONCURRENT_REQUESTS", "ADMIN_TOKEN", "ADMIN_ALLOW",
                "SHUTDOWN_GRACE", "BACKEND_IDLE_TIMEOUT", "MAX_BODY_SIZE", "RUST_LOG",
            ]),
            value in "[0-9]{0,22}( ?[a-zA-Z./:,\\[\\]-]{1,8}|\\PC{0,8}){0,3}",
        ) {
            crate::properties::settings(format!("{name}={value}\nOPENAI_API_KEY=k").as_bytes());
        }
    }
}
