//! The table of settings: variable, default and accepted values of each, for parsing, error
//! messages and docs/settings.md. The flags and their meanings are in `flags.rs`, the types of the
//! values in `mod.rs`.

/// A setting with a flag, a variable and a line of `.env`.
#[derive(Debug)]
pub struct Setting {
    pub variable: &'static str,
    /// Value of an unset or empty variable. Empty if there is none.
    pub default: &'static str,
    /// Noun phrase that completes "use …". Every other value stops the start.
    pub accepted: &'static str,
}

/// A setting that is read from the environment and `.env` only, because other programs read it too.
#[derive(Debug)]
pub struct VariableOnly {
    /// Names, separated by commas.
    pub variables: &'static str,
    pub meaning: &'static str,
    pub accepted: &'static str,
}

const TIME: &str = "a time such as 30s, 2m or 500ms, from 0s up to 1 year";
const TIMEOUT: &str = "a time above 0s such as 30s, 2m or 500ms, up to 1 year";
const NETWORKS: &str =
    "networks and addresses separated by commas or spaces, such as 10.0.0.0/8,192.168.1.5,::1";
const HEADER_VALUE: &str =
    "printable ASCII characters without spaces, not beginning or ending with a quotation mark";

const fn setting(variable: &'static str, default: &'static str, accepted: &'static str) -> Setting {
    Setting {
        variable,
        default,
        accepted,
    }
}

pub const OPENAI_BACKEND_URL: Setting = setting(
    crate::proxy::backend::BACKEND_URL,
    "https://api.openai.com",
    "an http:// or https:// URL such as https://api.openai.com or http://127.0.0.1:8080/prefix, \
     without user, password, query and fragment",
);
pub const OPENAI_BASE_URL: Setting = setting(
    crate::proxy::backend::BASE_URL,
    "",
    "an http:// or https:// URL such as https://api.openai.com/v1 or http://127.0.0.1:8080/v1beta/openai, \
     without user, password, query and fragment",
);
pub const OPENAI_API_KEY: Setting = setting(
    "OPENAI_API_KEY",
    "",
    "printable ASCII characters without spaces, not beginning or ending with a quotation mark, or an empty value",
);
pub const OPENAI_ORG_ID: Setting = setting("OPENAI_ORG_ID", "", HEADER_VALUE);
pub const OPENAI_PROJECT_ID: Setting = setting("OPENAI_PROJECT_ID", "", HEADER_VALUE);
pub const BACKEND_CONNECT_TIMEOUT: Setting = setting("BACKEND_CONNECT_TIMEOUT", "10s", TIMEOUT);
pub const BACKEND_IDLE_TIMEOUT: Setting = setting("BACKEND_IDLE_TIMEOUT", "600s", TIMEOUT);
pub const STREAM_USAGE: Setting = setting("STREAM_USAGE", "ask", "ask or leave");
pub const STATEFUL_ENDPOINTS: Setting = setting("STATEFUL_ENDPOINTS", "private", "private or off");
pub const RECONCILE_INTERVAL: Setting = setting("RECONCILE_INTERVAL", "60s", TIMEOUT);
pub const EXTRA_ENDPOINTS: Setting = setting(
    "EXTRA_ENDPOINTS",
    "",
    "paths separated by commas or spaces, such as /v1/rerank,/v1/score/*,/tokenize; not /admin, /health, /ready, /metrics, and paths that \
     stay closed because they hand out credentials or hold what users have stored",
);
pub const HOST: Setting = setting("HOST", "0.0.0.0", "an IP address or a host name");
pub const PORT: Setting = setting("PORT", "8000", "a number from 0 to 65535");
pub const TLS_CERT_FILE: Setting = setting(
    "TLS_CERT_FILE",
    "",
    "the path of a PEM file with the server's certificate and those that vouch for it",
);
pub const TLS_KEY_FILE: Setting = setting(
    "TLS_KEY_FILE",
    "",
    "the path of a PEM file with the private key of the certificate",
);
pub const CORS_ORIGINS: Setting = setting(
    "CORS_ORIGINS",
    "",
    "* or origins separated by commas or spaces, such as https://app.example,http://localhost:5173",
);
pub const MAX_BODY_SIZE: Setting = setting(
    "MAX_BODY_SIZE",
    "64MiB",
    "a size from 1 KiB to 4 GiB such as 64MiB, 500kB or 1048576",
);
pub const CLIENT_HEADER_TIMEOUT: Setting = setting("CLIENT_HEADER_TIMEOUT", "15s", TIMEOUT);
pub const MAX_CONCURRENT_REQUESTS: Setting = setting(
    "MAX_CONCURRENT_REQUESTS",
    "500",
    "a number from 0 (unlimited) to 1000000",
);
pub const QUEUE_TIMEOUT: Setting = setting("QUEUE_TIMEOUT", "600s", TIME);
pub const HIDE_LIMITS: Setting = setting("HIDE_LIMITS", "false", "true or false");
pub const SHUTDOWN_GRACE: Setting = setting("SHUTDOWN_GRACE", "30s", TIME);
pub const DATABASE_URL: Setting = setting(
    "DATABASE_URL",
    "sqlite+aiosqlite:///./llm_proxy.db",
    "sqlite:///relative.db, sqlite:////absolute/path.db, sqlite+aiosqlite:///./llm_proxy.db, sqlite://relative.db, \
     sqlite:relative.db, a bare path or postgres://USER:PASSWORD@HOST/DATABASE",
);
pub const DATABASE_NOTIFY: Setting = setting("DATABASE_NOTIFY", "true", "true or false");
pub const STORE_KEYS: Setting = setting("STORE_KEYS", "clear", "clear or hashed");
pub const TIME_ZONE: Setting = setting(
    "TIME_ZONE",
    "UTC",
    "the IANA name of a time zone, such as Europe/Berlin, America/New_York or UTC",
);
pub const PRICES_FILE: Setting = setting(
    "PRICES_FILE",
    "",
    "the path of a JSON file in the form of LiteLLM's model_prices_and_context_window.json, or any part of it",
);
pub const RETENTION: Setting = setting(
    "RETENTION",
    "",
    "an age of at least a day, such as 400d or 2years",
);
pub const LEDGER_SYNC: Setting = setting("LEDGER_SYNC", "normal", "normal or full");
pub const ON_LEDGER_FAILURE: Setting = setting("ON_LEDGER_FAILURE", "refuse", "refuse or serve");
pub const ADMIN_TOKEN: Setting = setting("ADMIN_TOKEN", "", HEADER_VALUE);
pub const ALERT_WEBHOOK: Setting = setting(
    "ALERT_WEBHOOK",
    "",
    "up to ten http:// or https:// URLs separated by commas, without user, password and fragment",
);
pub const ALERT_SECRET: Setting = setting("ALERT_SECRET", "", HEADER_VALUE);
pub const LLMPROXY_SERVER: Setting = setting(
    "LLMPROXY_SERVER",
    "",
    "the http:// or https:// URL of a running llmproxy, such as http://127.0.0.1:8000",
);
pub const ADMIN_TOKEN_FILE: Setting = setting(
    "ADMIN_TOKEN_FILE",
    "",
    "the path of a file that has nothing but the token",
);
pub const ADMIN_ALLOW: Setting = setting("ADMIN_ALLOW", "", NETWORKS);
pub const METRICS_ALLOW: Setting = setting("METRICS_ALLOW", "", NETWORKS);
pub const METRICS_USERS: Setting = setting("METRICS_USERS", "false", "true or false");
pub const LOG_FORMAT: Setting = setting("LOG_FORMAT", "text", "text or json");
pub const RUST_LOG: Setting = setting(
    "RUST_LOG",
    "info",
    "a level (error, warn, info, debug, trace, off) or target=level pairs, separated by commas",
);

/// Every setting that has a flag.
pub const SETTINGS: [&Setting; 40] = [
    &OPENAI_BACKEND_URL,
    &OPENAI_BASE_URL,
    &OPENAI_API_KEY,
    &OPENAI_ORG_ID,
    &OPENAI_PROJECT_ID,
    &BACKEND_CONNECT_TIMEOUT,
    &BACKEND_IDLE_TIMEOUT,
    &STREAM_USAGE,
    &STATEFUL_ENDPOINTS,
    &RECONCILE_INTERVAL,
    &EXTRA_ENDPOINTS,
    &HOST,
    &PORT,
    &TLS_CERT_FILE,
    &TLS_KEY_FILE,
    &CORS_ORIGINS,
    &MAX_BODY_SIZE,
    &CLIENT_HEADER_TIMEOUT,
    &MAX_CONCURRENT_REQUESTS,
    &QUEUE_TIMEOUT,
    &HIDE_LIMITS,
    &SHUTDOWN_GRACE,
    &DATABASE_URL,
    &DATABASE_NOTIFY,
    &STORE_KEYS,
    &TIME_ZONE,
    &PRICES_FILE,
    &RETENTION,
    &LEDGER_SYNC,
    &ON_LEDGER_FAILURE,
    &ADMIN_TOKEN,
    &ADMIN_ALLOW,
    &METRICS_ALLOW,
    &METRICS_USERS,
    &ALERT_WEBHOOK,
    &ALERT_SECRET,
    &LLMPROXY_SERVER,
    &ADMIN_TOKEN_FILE,
    &LOG_FORMAT,
    &RUST_LOG,
];

/// Every setting without a flag.
pub const VARIABLES_ONLY: [VariableOnly; 4] = [
    VariableOnly {
        variables: "HTTPS_PROXY, HTTP_PROXY",
        meaning: "HTTP proxy on the way to an https:// or http:// backend. The names in lower case come first.",
        accepted: "http://[user:password@]host:port",
    },
    VariableOnly {
        variables: "NO_PROXY",
        meaning: "Backends that are reached without the HTTP proxy: * or a list of hosts, addresses and networks, separated by \
                  commas, each with an optional port. A host stands for all names below it, too.",
        accepted: "any list; an entry that is none of these matches no backend",
    },
    VariableOnly {
        variables: "OPENAI_ADMIN_KEY",
        meaning: "Admin key of OpenAI, with which `llmproxy reconcile` asks for the costs. The server does not read it.",
        accepted: "printable ASCII characters without spaces",
    },
    VariableOnly {
        variables: "SSL_CERT_FILE",
        meaning: "File of root certificates to trust besides the embedded ones.",
        accepted: "the path of a readable PEM file",
    },
];

/// The setting of a variable.
#[must_use]
pub fn setting_of(variable: &str) -> Option<&'static Setting> {
    SETTINGS
        .into_iter()
        .find(|setting| setting.variable == variable)
}
