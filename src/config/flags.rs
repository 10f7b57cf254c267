//! The settings as clap reads them: flag, variable, help text. Nothing is parsed here; `mod.rs`
//! does that, so that a wrong value from a flag, the environment or `.env` gets one and the same
//! message.
//!
//! The first paragraph of a doc comment is the help of `-h`; all paragraphs are the help of
//! `--help`, the man page and docs/settings.md.

use std::fmt;

use clap::Args;

use super::table;

const BACKEND: &str = "Backend";
const SERVER: &str = "Server";
const DATABASE: &str = "Database";
const REMOTE: &str = "Remote server";
const ADMIN: &str = "Admin API";
const METRICS: &str = "Metrics";
const ALERTS: &str = "Alerts";
const LOG: &str = "Log";

/// Settings of `llmproxy serve` as written, before [`super::Config::from_settings`] reads them.
#[derive(Args)]
pub struct ServeSettings {
    /// URL of the server to forward to
    ///
    /// The path of each request is appended, with its /v1: a client's /v1/chat/completions goes to
    /// OPENAI_BACKEND_URL/v1/chat/completions. A path prefix in the URL is kept, and a final /v1
    /// makes no difference. The default is https://api.openai.com, unless OPENAI_BASE_URL is set.
    #[arg(long, env = table::OPENAI_BACKEND_URL.variable, hide_env_values = true, value_name = "URL", help_heading = BACKEND)]
    pub(super) openai_backend_url: Option<String>,

    /// URL of the server to forward to, as SDKs write it
    ///
    /// It replaces OPENAI_BACKEND_URL; to set both is an error. A path that begins with /v1/ is
    /// appended without its /v1: /v1/chat/completions goes to OPENAI_BASE_URL/chat/completions, as
    /// https://generativelanguage.googleapis.com/v1beta/openai needs it. Other paths, which
    /// EXTRA_ENDPOINTS may have, are appended unchanged after a final /v1 of the URL is taken off.
    /// Programs that use llmproxy read this variable too: a server that is started with theirs
    /// would be its own backend.
    #[arg(long, env = table::OPENAI_BASE_URL.variable, hide_env_values = true, value_name = "URL", help_heading = BACKEND)]
    pub(super) openai_base_url: Option<String>,

    /// Key for the backend (required; empty for a backend without keys)
    ///
    /// If it is empty (OPENAI_API_KEY=), requests go to the backend without Authorization. Other
    /// users of the machine can see flags: use the variable or `.env` instead.
    #[arg(long, env = table::OPENAI_API_KEY.variable, hide_env_values = true, value_name = "KEY", help_heading = BACKEND)]
    pub(super) openai_api_key: Option<String>,

    /// Organization to send to the backend as OpenAI-Organization
    #[arg(long, env = table::OPENAI_ORG_ID.variable, hide_env_values = true, value_name = "ID", help_heading = BACKEND)]
    pub(super) openai_org_id: Option<String>,

    /// Project to send to the backend as OpenAI-Project
    #[arg(long, env = table::OPENAI_PROJECT_ID.variable, hide_env_values = true, value_name = "ID", help_heading = BACKEND)]
    pub(super) openai_project_id: Option<String>,

    /// Time limit for connecting to the backend
    ///
    /// If the backend has several addresses, the next one is tried every 250 ms within this time.
    #[arg(long, env = table::BACKEND_CONNECT_TIMEOUT.variable, hide_env_values = true, default_value = table::BACKEND_CONNECT_TIMEOUT.default, value_name = "TIME", help_heading = BACKEND)]
    pub(super) backend_connect_timeout: String,

    /// Longest silence of the backend during a request
    ///
    /// It is measured before the first byte of the answer and between two bytes. The client gets
    /// 504, or its answer is broken off.
    #[arg(long, env = table::BACKEND_IDLE_TIMEOUT.variable, hide_env_values = true, default_value = table::BACKEND_IDLE_TIMEOUT.default, value_name = "TIME", help_heading = BACKEND)]
    pub(super) backend_idle_timeout: String,

    /// Whether to ask the backend for the usage of streams: ask, leave
    ///
    /// ask: `stream_options.include_usage` is added to streamed requests that lack it, and the
    /// extra event is removed from the answer. leave: nothing is added, for backends that do not
    /// know the option.
    #[arg(long, env = table::STREAM_USAGE.variable, hide_env_values = true, default_value = table::STREAM_USAGE.default, value_name = "ask|leave", help_heading = BACKEND)]
    pub(super) stream_usage: String,

    /// Whether users may store files, responses, batches and the like: private, off
    ///
    /// private: each user reaches only what the same user has stored. off: these paths get 404, and
    /// so do requests that refer to stored objects.
    #[arg(long, env = table::STATEFUL_ENDPOINTS.variable, hide_env_values = true, default_value = table::STATEFUL_ENDPOINTS.default, value_name = "private|off", help_heading = BACKEND)]
    pub(super) stateful_endpoints: String,

    /// Interval at which finished batches and background responses are looked for
    ///
    /// The server books their usage when they are done, also if no client asks for them. Objects
    /// older than an hour are looked at every tenth time, for eight days.
    #[arg(long, env = table::RECONCILE_INTERVAL.variable, hide_env_values = true, default_value = table::RECONCILE_INTERVAL.default, value_name = "TIME", help_heading = BACKEND)]
    pub(super) reconcile_interval: String,

    /// Further paths of the backend to serve
    ///
    /// A final * stands for any rest. Every method is served, and usage is booked if the answer has
    /// it.
    #[arg(long, env = table::EXTRA_ENDPOINTS.variable, hide_env_values = true, value_name = "PATHS", help_heading = BACKEND)]
    pub(super) extra_endpoints: Option<String>,

    #[command(flatten)]
    pub(super) listen: ListenSettings,

    /// Web pages whose programs may call the API from a browser
    ///
    /// It is about /v1 and the like, never about the admin API. A page sends the user's key itself;
    /// cookies are never sent along. * allows every page.
    #[arg(long, env = table::CORS_ORIGINS.variable, hide_env_values = true, value_name = "ORIGINS", help_heading = SERVER)]
    pub(super) cors_origins: Option<String>,

    /// Number of requests that the backend may have at once
    ///
    /// It counts the requests of all users; the others wait in line. A stream counts until its last
    /// byte. 0 means unlimited.
    #[arg(long, env = table::MAX_CONCURRENT_REQUESTS.variable, hide_env_values = true, default_value = table::MAX_CONCURRENT_REQUESTS.default, value_name = "N", help_heading = SERVER)]
    pub(super) max_concurrent_requests: String,

    /// Longest wait in line before a request gets 503
    #[arg(long, env = table::QUEUE_TIMEOUT.variable, hide_env_values = true, default_value = table::QUEUE_TIMEOUT.default, value_name = "TIME", help_heading = SERVER)]
    pub(super) queue_timeout: String,

    /// Keep the figures of limits from users
    ///
    /// With true, an answer to a refused request says which limit it is about, and not how much of it
    /// is used; and answers have no headers that say what is left of rates.
    #[arg(long, env = table::HIDE_LIMITS.variable, hide_env_values = true, default_value = table::HIDE_LIMITS.default, value_name = "true|false", help_heading = SERVER)]
    pub(super) hide_limits: String,

    /// Largest request body
    ///
    /// Forms with files are not limited, because they are not held in memory.
    #[arg(long, env = table::MAX_BODY_SIZE.variable, hide_env_values = true, default_value = table::MAX_BODY_SIZE.default, value_name = "SIZE", help_heading = SERVER)]
    pub(super) max_body_size: String,

    /// Time limit for a client to send the head of a request
    #[arg(long, env = table::CLIENT_HEADER_TIMEOUT.variable, hide_env_values = true, default_value = table::CLIENT_HEADER_TIMEOUT.default, value_name = "TIME", help_heading = SERVER)]
    pub(super) client_header_timeout: String,

    /// Time that answers have to finish after SIGTERM
    #[arg(long, env = table::SHUTDOWN_GRACE.variable, hide_env_values = true, default_value = table::SHUTDOWN_GRACE.default, value_name = "TIME", help_heading = SERVER)]
    pub(super) shutdown_grace: String,

    #[command(flatten)]
    pub(super) database: DatabaseSettings,

    /// Listen for changes that PostgreSQL announces
    ///
    /// With false, the server asks for changes of users, keys, prices and limits ten times a second: for
    /// PgBouncer in transaction mode, and for databases without LISTEN and NOTIFY. Of no use with SQLite.
    #[arg(long, env = table::DATABASE_NOTIFY.variable, hide_env_values = true, default_value = table::DATABASE_NOTIFY.default, value_name = "true|false", help_heading = DATABASE)]
    pub(super) database_notify: String,

    #[command(flatten)]
    pub(super) keys: KeySettings,

    #[command(flatten)]
    pub(super) zone: ZoneSettings,

    #[command(flatten)]
    pub(super) prices: PriceSettings,

    /// Age from which on rows are deleted
    ///
    /// Whole days are deleted when they ended so long ago. What they add up to stays, so that no
    /// report changes its totals. Without it, rows are kept for ever.
    #[arg(long, env = table::RETENTION.variable, hide_env_values = true, value_name = "AGE", help_heading = DATABASE)]
    pub(super) retention: Option<String>,

    /// When a usage row is safe: normal, full
    ///
    /// normal: rows survive a crash of the proxy. full: each commit waits for the disk, so that
    /// rows survive a power cut, too.
    #[arg(long, env = table::LEDGER_SYNC.variable, hide_env_values = true, default_value = table::LEDGER_SYNC.default, value_name = "normal|full", help_heading = DATABASE)]
    pub(super) ledger_sync: String,

    /// What to do while rows cannot be written: refuse, serve
    ///
    /// refuse: answers in flight are withheld and new requests get 503. serve: requests are
    /// answered, and up to 100,000 rows are kept in memory until they can be written.
    #[arg(long, env = table::ON_LEDGER_FAILURE.variable, hide_env_values = true, default_value = table::ON_LEDGER_FAILURE.default, value_name = "refuse|serve", help_heading = DATABASE)]
    pub(super) on_ledger_failure: String,

    /// Token that opens /admin to every machine
    ///
    /// Callers send it as `Authorization: Bearer TOKEN`, also from this machine. If neither
    /// ADMIN_TOKEN nor ADMIN_ALLOW is set, only programs on this machine may call /admin. Other
    /// users of the machine can see flags: use the variable or `.env` instead.
    #[arg(long, env = table::ADMIN_TOKEN.variable, hide_env_values = true, value_name = "TOKEN", help_heading = ADMIN)]
    pub(super) admin_token: Option<String>,

    /// Networks that may call /admin without a token
    ///
    /// The address of the connection counts, not one that a header claims. 0.0.0.0/0,::/0 opens
    /// /admin to everybody.
    #[arg(long, env = table::ADMIN_ALLOW.variable, hide_env_values = true, value_name = "NETWORKS", help_heading = ADMIN)]
    pub(super) admin_allow: Option<String>,

    /// Networks that may read /metrics without a token
    ///
    /// Without it, those may who may call /admin. The address of the connection counts, not one that
    /// a header claims.
    #[arg(long, env = table::METRICS_ALLOW.variable, hide_env_values = true, value_name = "NETWORKS", help_heading = METRICS)]
    pub(super) metrics_allow: Option<String>,

    /// Whether /metrics has figures of each user
    ///
    /// Each user has some ten time series then. With false, budgets of users are one figure: the
    /// largest part that any user has used.
    #[arg(long, env = table::METRICS_USERS.variable, hide_env_values = true, default_value = table::METRICS_USERS.default, value_name = "true|false", help_heading = METRICS)]
    pub(super) metrics_users: String,

    /// URLs that alerts are sent to, separated by commas
    ///
    /// Each gets a POST with JSON that has a `text` as Slack and others take it. Whoever knows such a
    /// URL can often post to it, and other users of the machine can see flags: use the variable or
    /// `.env` instead. Without it, alerts are only recorded for `llmproxy alert list`.
    #[arg(long, env = table::ALERT_WEBHOOK.variable, hide_env_values = true, value_name = "URLS", help_heading = ALERTS)]
    pub(super) alert_webhook: Option<String>,

    /// Secret that alerts are signed with
    ///
    /// The signature is an HMAC-SHA-256 of timestamp and body, in the header x-llmproxy-signature.
    /// Other users of the machine can see flags: use the variable or `.env` instead.
    #[arg(long, env = table::ALERT_SECRET.variable, hide_env_values = true, value_name = "SECRET", help_heading = ALERTS)]
    pub(super) alert_secret: Option<String>,

    /// What to log, as env_logger reads it
    ///
    /// `info,access=off` leaves out the line for each request.
    #[arg(long, env = table::RUST_LOG.variable, hide_env_values = true, default_value = table::RUST_LOG.default, value_name = "FILTER", help_heading = LOG)]
    pub(super) rust_log: String,

    /// Form of the log: text, json
    ///
    /// json: each line is an object with time, level, target, the message, and a member for each
    /// value that a line of text has as name=value.
    #[arg(long, env = table::LOG_FORMAT.variable, hide_env_values = true, default_value = table::LOG_FORMAT.default, value_name = "text|json", help_heading = LOG)]
    pub(super) log_format: String,
}

/// Written by hand, because the derived one would show the secrets.
impl fmt::Debug for ServeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeSettings").finish_non_exhaustive()
    }
}

/// Where the server listens, for itself and for those who ask it.
#[derive(Debug, Args)]
pub struct ListenSettings {
    /// Address to listen on
    ///
    /// 127.0.0.1 is this machine only, 0.0.0.0 every IPv4 network, :: every network.
    #[arg(long, env = table::HOST.variable, hide_env_values = true, default_value = table::HOST.default, value_name = "ADDRESS", help_heading = SERVER)]
    pub(super) host: String,

    /// Port to listen on
    ///
    /// 0 takes any free port; the log names it.
    #[arg(long, env = table::PORT.variable, hide_env_values = true, default_value = table::PORT.default, value_name = "PORT", help_heading = SERVER)]
    pub(super) port: String,

    /// Certificate to speak TLS with
    ///
    /// With it and TLS_KEY_FILE the port speaks https:// only, TLS 1.2 or newer. The files are read
    /// again within seconds when they change.
    #[arg(long, env = table::TLS_CERT_FILE.variable, hide_env_values = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath, help_heading = SERVER)]
    pub(super) tls_cert_file: Option<std::path::PathBuf>,

    /// Private key of the certificate
    #[arg(long, env = table::TLS_KEY_FILE.variable, hide_env_values = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath, help_heading = SERVER)]
    pub(super) tls_key_file: Option<std::path::PathBuf>,
}

/// Settings of `llmproxy init` as written.
#[derive(Debug, Args)]
pub struct InitSettings {
    /// URL of the server to forward to
    #[arg(long, env = table::OPENAI_BACKEND_URL.variable, hide_env_values = true, default_value = table::OPENAI_BACKEND_URL.default, value_name = "URL", value_hint = clap::ValueHint::Url, help_heading = BACKEND)]
    pub(super) openai_backend_url: String,

    #[command(flatten)]
    pub(super) database: DatabaseSettings,

    #[command(flatten)]
    pub(super) keys: KeySettings,
}

/// The database setting, which all commands share.
#[derive(Debug, Args)]
pub struct DatabaseSettings {
    /// Database of users and usage: a SQLite file, or postgres://USER@HOST/DATABASE
    ///
    /// A relative path begins at the working directory.
    #[arg(long, env = table::DATABASE_URL.variable, hide_env_values = true, default_value = table::DATABASE_URL.default, value_name = "URL", help_heading = DATABASE)]
    pub(super) database_url: String,
}

/// The setting of the commands that make keys.
#[derive(Debug, Args)]
pub struct KeySettings {
    /// What the database keeps of new keys: clear, hashed
    ///
    /// clear: the whole key, so that `llmproxy user list --json` shows it again. hashed: a hash, so
    /// that a key is shown only when it is made. `llmproxy user hash-keys` hashes the existing
    /// keys.
    #[arg(long, env = table::STORE_KEYS.variable, hide_env_values = true, default_value = table::STORE_KEYS.default, value_name = "clear|hashed", help_heading = DATABASE)]
    pub(super) store_keys: String,
}

/// The setting of the commands that have to do with days.
#[derive(Debug, Args)]
pub struct ZoneSettings {
    /// Time zone in which days, weeks and months begin
    ///
    /// Reports split and cut by it. Times without an offset in --start-time and --end-time are UTC
    /// all the same.
    #[arg(long, env = table::TIME_ZONE.variable, hide_env_values = true, default_value = table::TIME_ZONE.default, value_name = "ZONE", help_heading = DATABASE)]
    pub(super) time_zone: String,
}

/// The setting of the commands that price usage.
#[derive(Debug, Args)]
pub struct PriceSettings {
    /// File of prices that go before those in the program
    ///
    /// LiteLLM's file as it is, or any part of it. `llmproxy price fetch-file` gets the newest one.
    /// The server reads it when it starts. Prices of `llmproxy price set` go before both.
    #[arg(long, env = table::PRICES_FILE.variable, hide_env_values = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath, help_heading = DATABASE)]
    pub(super) prices_file: Option<std::path::PathBuf>,
}

/// The settings of the commands that administer: the database file, or a server that has it.
#[derive(Debug, Args)]
pub struct TargetSettings {
    #[command(flatten)]
    pub(super) database: DatabaseSettings,

    #[command(flatten)]
    pub(super) keys: KeySettings,

    #[command(flatten)]
    pub(super) zone: ZoneSettings,

    #[command(flatten)]
    pub(super) prices: PriceSettings,

    /// Administer a running server over HTTP instead of the database
    ///
    /// The server's ADMIN_TOKEN is read from the variable ADMIN_TOKEN, from `.env`, or from the file
    /// of --admin-token-file. It is never an argument, because other users of the machine can see
    /// those.
    #[arg(long, env = table::LLMPROXY_SERVER.variable, hide_env_values = true, value_name = "URL", help_heading = REMOTE)]
    pub(super) server: Option<String>,

    /// File that contains the ADMIN_TOKEN of the server
    #[arg(long, env = table::ADMIN_TOKEN_FILE.variable, hide_env_values = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath, help_heading = REMOTE)]
    pub(super) admin_token_file: Option<std::path::PathBuf>,
}

/// The settings of the command for a person who has only a key. The key is no flag.
#[derive(Debug, Args)]
pub struct AccountSettings {
    /// Address of the proxy, as SDKs take it: http://host:8000/v1
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url, help_heading = REMOTE)]
    pub(super) base_url: Option<String>,
}
