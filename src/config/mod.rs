//! Every setting once: variable, default and accepted values (`table.rs`), flag and meaning
//! (`flags.rs`), type and validation (here and in `reader.rs`). No value leaves this module
//! unparsed; `cli` and `commands` read them, and the other rooms take values.

pub mod env_file;
mod flags;
mod init;
mod reader;
mod remote;
mod spelling;
pub mod table;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{ArgMatches, Args, FromArgMatches, builder::Resettable};
use ipnet::IpNet;

pub use flags::{
    AccountSettings, DatabaseSettings, InitSettings, KeySettings, ListenSettings, PriceSettings,
    ServeSettings, TargetSettings, ZoneSettings,
};
pub use init::{InitConfig, OPENAI_URL};
pub use reader::SettingError;
pub use remote::{OpenAiAdmin, ProxyAccount, RemoteServer, openai_admin};
pub use spelling::{misspelt_name, unknown_names};

use self::{
    env_file::Variables,
    reader::{Reader, given, or_default},
};
use crate::{
    alerts::Webhook,
    model::{Calendar, Secret},
    proxy::{
        backend::{BackendUrl, HttpProxy, UrlError},
        cors::CorsOrigins,
        request::prepare::StreamUsage,
        routes::{Endpoints, Stateful},
    },
    store::{
        DatabaseLocation,
        keys::KeyStorage,
        ledger::{OnFailure, Sync},
    },
};

/// All settings of the server, parsed.
#[derive(Debug)]
pub struct Config {
    pub backend_url: BackendUrl,
    pub backend_key: Secret,
    pub organization: Option<String>,
    pub project: Option<String>,
    pub host: String,
    pub port: u16,
    /// `TLS_CERT_FILE` and `TLS_KEY_FILE`.
    pub tls_files: Option<(PathBuf, PathBuf)>,
    pub cors: Option<CorsOrigins>,
    pub database: DatabaseLocation,
    pub key_storage: KeyStorage,
    /// The path of `PRICES_FILE`.
    pub prices_file: Option<PathBuf>,
    /// The calendar of the zone in `TIME_ZONE`.
    pub calendar: Calendar,
    /// 0 means unlimited.
    pub max_concurrent_requests: usize,
    pub queue_timeout: Duration,
    pub reconcile_interval: Duration,
    pub admin_token: Option<Secret>,
    pub admin_allow: Vec<IpNet>,
    pub metrics_allow: Vec<IpNet>,
    /// Users have time series of their own.
    pub metrics_users: bool,
    pub alert_webhooks: Vec<Webhook>,
    pub alert_secret: Option<Secret>,
    /// Age from which on rows are deleted. `None` keeps them.
    pub database_notify: bool,
    pub retention: Option<Duration>,
    pub ledger_sync: Sync,
    pub on_ledger_failure: OnFailure,
    pub shutdown_grace: Duration,
    pub client_header_timeout: Duration,
    pub connect_timeout: Duration,
    pub idle_timeout: Duration,
    pub stream_usage: StreamUsage,
    pub hide_limits: bool,
    pub endpoints: Endpoints,
    pub max_body_bytes: usize,
    pub log_filter: String,
    pub log_format: LogFormat,
    /// `HTTPS_PROXY` or `HTTP_PROXY`, if it applies to the backend.
    pub http_proxy: Option<HttpProxy>,
    /// `SSL_CERT_FILE`: root certificates to trust besides the embedded ones.
    pub extra_roots: Option<PathBuf>,
}

/// Length below which an admin token is warned of.
const MIN_TOKEN_CHARS: usize = 16;

impl Config {
    /// Returns a sentence for each setting that is allowed, lets strangers in, and may be a mistake.
    #[must_use]
    pub fn open_doors(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.admin_allow.is_empty() {
            let networks: Vec<String> = self.admin_allow.iter().map(ToString::to_string).collect();
            warnings.push(format!(
                "the admin API, which shows all keys, is open without a token: ADMIN_ALLOW={:?}",
                networks.join(",")
            ));
        }
        let short = |token: &Secret| token.expose().len() < MIN_TOKEN_CHARS;
        if self.admin_token.as_ref().is_some_and(short) {
            warnings.push(format!(
                "ADMIN_TOKEN has fewer than {MIN_TOKEN_CHARS} characters and can be guessed: make one with `openssl rand -hex 24`"
            ));
        }
        warnings
    }
}

/// Forms of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// An object on each line.
    Json,
}

impl Config {
    /// Parses all settings.
    ///
    /// # Errors
    /// [`SettingError`] of the first setting that cannot be used.
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
            organization: read
                .header_value(&table::OPENAI_ORG_ID, settings.openai_org_id.as_deref())?,
            project: read.header_value(
                &table::OPENAI_PROJECT_ID,
                settings.openai_project_id.as_deref(),
            )?,
            host: settings.listen.host(&read)?,
            port: settings.listen.port(&read)?,
            tls_files: settings.listen.tls_files(&read)?,
            cors: given(settings.cors_origins.as_deref())
                .map(|text| read.value(&table::CORS_ORIGINS, text, CorsOrigins::parse))
                .transpose()?,
            database: settings.database.location(matches)?,
            key_storage: settings.keys.storage(matches)?,
            calendar: settings.zone.calendar(matches)?,
            prices_file: settings.prices.path(),
            max_concurrent_requests: read.value(
                &table::MAX_CONCURRENT_REQUESTS,
                &settings.max_concurrent_requests,
                |text| text.parse().ok().filter(|n| *n <= 1_000_000),
            )?,
            reconcile_interval: read.timeout(
                &table::RECONCILE_INTERVAL,
                &reconcile_interval(settings, variables),
            )?,
            queue_timeout: read.time(&table::QUEUE_TIMEOUT, &settings.queue_timeout)?,
            admin_token: read.admin_token(settings.admin_token.as_deref())?,
            admin_allow: read.networks(&table::ADMIN_ALLOW, settings.admin_allow.as_deref())?,
            metrics_allow: read
                .networks(&table::METRICS_ALLOW, settings.metrics_allow.as_deref())?,
            metrics_users: read.choice(
                &table::METRICS_USERS,
                &settings.metrics_users,
                [("true", true), ("false", false)],
            )?,
            alert_webhooks: read.webhooks(settings.alert_webhook.as_deref())?,
            alert_secret: read.secret(&table::ALERT_SECRET, settings.alert_secret.as_deref())?,
            database_notify: read.choice(
                &table::DATABASE_NOTIFY,
                &settings.database_notify,
                [("true", true), ("false", false)],
            )?,
            retention: given(settings.retention.as_deref())
                .map(|text| read.value(&table::RETENTION, text, retention_age))
                .transpose()?,
            ledger_sync: read.choice(
                &table::LEDGER_SYNC,
                &settings.ledger_sync,
                [("normal", Sync::Normal), ("full", Sync::Full)],
            )?,
            on_ledger_failure: read.choice(
                &table::ON_LEDGER_FAILURE,
                &settings.on_ledger_failure,
                [("refuse", OnFailure::Refuse), ("serve", OnFailure::Serve)],
            )?,
            shutdown_grace: read.time(&table::SHUTDOWN_GRACE, &settings.shutdown_grace)?,
            client_header_timeout: read.timeout(
                &table::CLIENT_HEADER_TIMEOUT,
                &settings.client_header_timeout,
            )?,
            connect_timeout: read.timeout(
                &table::BACKEND_CONNECT_TIMEOUT,
                &settings.backend_connect_timeout,
            )?,
            idle_timeout: read
                .timeout(&table::BACKEND_IDLE_TIMEOUT, &settings.backend_idle_timeout)?,
            stream_usage: read.choice(
                &table::STREAM_USAGE,
                &settings.stream_usage,
                [("ask", StreamUsage::Ask), ("leave", StreamUsage::Leave)],
            )?,
            hide_limits: read.choice(
                &table::HIDE_LIMITS,
                &settings.hide_limits,
                [("true", true), ("false", false)],
            )?,
            log_format: read.choice(
                &table::LOG_FORMAT,
                &settings.log_format,
                [("text", LogFormat::Text), ("json", LogFormat::Json)],
            )?,
            endpoints: endpoints(settings, &read)?,
            max_body_bytes: read.value(&table::MAX_BODY_SIZE, &settings.max_body_size, |text| {
                let bytes = text.parse::<bytesize::ByteSize>().ok()?.as_u64();
                usize::try_from(bytes)
                    .ok()
                    .filter(|n| (1024..=4 << 30).contains(n))
            })?,
            log_filter: read.log_filter(&settings.rust_log)?,
            extra_roots: extra_roots(variables),
            backend_url,
        })
    }
}

impl ServeSettings {
    /// Returns the settings that these flags and the defaults make, whatever the environment and
    /// `.env` say.
    ///
    /// # Errors
    /// An error of clap, or [`SettingError`], in a flag that cannot be used.
    pub fn of_flags<'a>(flags: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Config> {
        let command = Self::augment_args(clap::Command::new("serve"))
            .no_binary_name(true)
            .mut_args(|arg| arg.env(Resettable::Reset));
        let matches = command.try_get_matches_from(flags)?;
        let settings = Self::from_arg_matches(&matches)?;
        let mut config = Config::from_settings(&settings, &matches, &Variables::default())?;
        config.http_proxy = None;
        config.extra_roots = None;
        Ok(config)
    }
}

/// Parses the URL of the backend, which one of two settings has.
fn backend_url(settings: &ServeSettings, read: &Reader<'_>) -> Result<BackendUrl, SettingError> {
    let (backend, base) = (&table::OPENAI_BACKEND_URL, &table::OPENAI_BASE_URL);
    let not_usable = |setting: &table::Setting, text: &str, error: UrlError| match error {
        UrlError::NotAUrl | UrlError::NotABaseUrl | UrlError::Scheme => {
            read.not_accepted(setting, Some(text))
        }
        other => read.error(setting.variable, Some(text), other.to_string()),
    };
    let backend_text = given(settings.openai_backend_url.as_deref());
    match (backend_text, given(settings.openai_base_url.as_deref())) {
        (Some(_), Some(_)) => Err(read.error(
            base.variable,
            None,
            format!(
                "{0} is set, too; keep {1} if SDKs would append /chat/completions to your URL, \
                 or {0} if they would append /v1/chat/completions",
                backend.variable, base.variable
            ),
        )),
        (None, Some(text)) => {
            BackendUrl::of_base(text).map_err(|error| not_usable(base, text, error))
        }
        (text, None) => {
            let text = text.unwrap_or(backend.default);
            text.parse()
                .map_err(|error| not_usable(backend, text, error))
        }
    }
}

/// Where a server on this machine listens.
#[derive(Debug)]
pub struct ListenAddress {
    pub host: String,
    pub port: u16,
    pub has_tls: bool,
}

impl ListenSettings {
    /// Returns where the server listens.
    ///
    /// # Errors
    /// [`SettingError`] of the first setting that cannot be used.
    pub fn address(&self, matches: &ArgMatches) -> Result<ListenAddress, SettingError> {
        let read = Reader { matches };
        Ok(ListenAddress {
            host: self.host(&read)?,
            port: self.port(&read)?,
            has_tls: self.tls_files(&read)?.is_some(),
        })
    }

    fn host(&self, read: &Reader<'_>) -> Result<String, SettingError> {
        read.host(&self.host)
    }

    fn port(&self, read: &Reader<'_>) -> Result<u16, SettingError> {
        read.value(&table::PORT, &self.port, |text| text.parse().ok())
    }

    /// Returns the files of the certificate and of its key, which make no sense without each other.
    fn tls_files(&self, read: &Reader<'_>) -> Result<Option<(PathBuf, PathBuf)>, SettingError> {
        let given =
            |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        let (certificate, key) = (&table::TLS_CERT_FILE, &table::TLS_KEY_FILE);
        let missing = |has: &table::Setting, lacks: &table::Setting| {
            let problem = format!("{} is missing; TLS needs both", lacks.variable);
            read.error(has.variable, None, problem)
        };
        match (given(&self.tls_cert_file), given(&self.tls_key_file)) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (Some(_), None) => Err(missing(certificate, key)),
            (None, Some(_)) => Err(missing(key, certificate)),
        }
    }
}

/// Reads an age of at least a day.
fn retention_age(text: &str) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let age = humantime::parse_duration(text.trim()).ok()?;
    (age >= DAY).then_some(age)
}

/// Returns the file of `SSL_CERT_FILE`: root certificates to trust besides the embedded ones.
#[must_use]
pub fn extra_roots(variables: &Variables) -> Option<PathBuf> {
    const NAME: &str = "SSL_CERT_FILE";
    // A path need not be UTF-8.
    let in_file = || variables.in_file(NAME).map(OsString::from);
    let path = std::env::var_os(NAME).or_else(in_file);
    path.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Returns the text of `RECONCILE_INTERVAL`, or that of `SETTLE_INTERVAL`, its former name, if only
/// this is set.
fn reconcile_interval(settings: &ServeSettings, variables: &Variables) -> String {
    let setting = &table::RECONCILE_INTERVAL;
    let is_unset =
        settings.reconcile_interval == setting.default && variables.get(setting.variable).is_none();
    let former = variables.get("SETTLE_INTERVAL").filter(|_| is_unset);
    former.unwrap_or_else(|| settings.reconcile_interval.clone())
}

/// Builds the table of endpoints, which two settings change.
fn endpoints(settings: &ServeSettings, read: &Reader<'_>) -> Result<Endpoints, SettingError> {
    let list = settings.extra_endpoints.as_deref().unwrap_or_default();
    let endpoints = Endpoints::with_extra(list).map_err(|error| {
        let variable = table::EXTRA_ENDPOINTS.variable;
        read.error(variable, Some(list), error.to_string())
    })?;
    let stateful = read.choice(
        &table::STATEFUL_ENDPOINTS,
        &settings.stateful_endpoints,
        [("private", Stateful::Private), ("off", Stateful::Off)],
    )?;
    Ok(endpoints.with_stateful(stateful))
}

/// The variable that names the database, and its default.
pub const DATABASE_VARIABLE: &str = table::DATABASE_URL.variable;
pub const DEFAULT_DATABASE: &str = table::DATABASE_URL.default;

impl PriceSettings {
    /// Returns the path of the file. An empty one counts as unset.
    fn path(&self) -> Option<PathBuf> {
        let given = self.prices_file.clone();
        given.filter(|path| !path.as_os_str().is_empty())
    }
}

impl ZoneSettings {
    /// Returns the calendar of the time zone.
    ///
    /// # Errors
    /// [`SettingError`] if there is no zone of the name.
    pub fn calendar(&self, matches: &ArgMatches) -> Result<Calendar, SettingError> {
        Reader { matches }.value(&table::TIME_ZONE, &self.time_zone, Calendar::of_zone)
    }
}

impl KeySettings {
    /// Returns what the database keeps of new keys.
    ///
    /// # Errors
    /// [`SettingError`] if the setting is neither of the two words.
    pub fn storage(&self, matches: &ArgMatches) -> Result<KeyStorage, SettingError> {
        Reader { matches }.choice(
            &table::STORE_KEYS,
            &self.store_keys,
            [("clear", KeyStorage::Clear), ("hashed", KeyStorage::Hashed)],
        )
    }
}

impl DatabaseSettings {
    /// Returns where the database is.
    ///
    /// # Errors
    /// [`SettingError`] if the URL has none of the accepted forms.
    pub fn location(&self, matches: &ArgMatches) -> Result<DatabaseLocation, SettingError> {
        let setting = &table::DATABASE_URL;
        let text = or_default(&self.database_url, setting);
        DatabaseLocation::parse(text).map_err(|error| {
            Reader { matches }.error(setting.variable, Some(text), error.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_and_the_flags_have_the_same_settings_and_defaults() {
        let command = crate::cli::Cli::command();
        let flags: Vec<_> = crate::cli::with_settings(&command)
            .into_iter()
            .filter_map(|argument| {
                let variable = argument.get_env()?.to_str()?;
                let default = argument.get_default_values().first();
                Some((variable, default.and_then(|default| default.to_str())))
            })
            .collect();
        assert_eq!(flags.len(), table::SETTINGS.len());
        for (variable, default) in flags {
            let setting = table::setting_of(variable).expect(variable);
            // Its own default depends on OPENAI_BASE_URL.
            let is_url = variable == table::OPENAI_BACKEND_URL.variable;
            assert!(is_url || default.unwrap_or_default() == setting.default);
        }
    }

    #[test]
    fn the_services_settings_have_known_names() {
        let file = include_str!("../../contrib/systemd/llmproxy.env");
        let names = file.lines().filter_map(|line| {
            let (name, _) = line.trim_start_matches('#').split_once('=')?;
            (!name.contains(' ')).then_some(name)
        });
        let known = |name: &str| {
            table::SETTINGS
                .iter()
                .any(|setting| setting.variable == name)
        };
        assert_eq!(names.clone().find(|name| !known(name)), None);
        assert!(names.count() > 3);
    }

    #[test]
    fn env_example_lists_every_setting_with_its_default() {
        let example = include_str!("../../.env.example");
        for setting in table::SETTINGS {
            let assignment = format!("{}={}", setting.variable, setting.default);
            let is_there = example.lines().any(|line| {
                let line = line.trim_start_matches('#');
                line == assignment || setting.default.is_empty() && line.starts_with(&assignment)
            });
            assert!(is_there, "{assignment}");
        }
    }

    #[test]
    fn the_database_urls_of_the_table_are_those_of_the_error() {
        let error = DatabaseLocation::parse("mysql://").unwrap_err().to_string();
        assert!(error.ends_with(table::DATABASE_URL.accepted), "{error}");
    }

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
