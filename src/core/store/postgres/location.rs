//! `DATABASE_URL` of a PostgreSQL database, in the form of libpq
//! (postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS).

use std::{fmt, fs, io, path::PathBuf, sync::Arc, time::Duration};

use percent_encoding::percent_decode_str;
use postgres::{
    Client, Config,
    config::{Host, SslMode},
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};

use super::connect::{Hosts, shown_host};
use crate::store::sql_error::SqlError;

/// Time for a connection to each host, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time that sent data may wait for the server's acknowledgement. A cut network is noticed then.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time of silence after which the kernel asks whether the server is still there, the interval at which
/// it asks again, and how often. A network that was cut while an answer was on its way is noticed by
/// that only, and requests wait for it.
const KEEPALIVE: Duration = Duration::from_secs(4);
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(2);
const KEEPALIVES: u32 = 3;

/// Where a PostgreSQL database is, and how to sign in. Its `Debug` and its text have no password.
pub struct PostgresUrl {
    hosts: Hosts,
    /// The URL, with the password.
    text: String,
    /// The hosts and the database, as messages name them.
    shown: String,
}

/// Why a text is no URL of a PostgreSQL database. The text is not repeated, because it may hold a
/// password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostgresError {
    #[error("{0}")]
    Invalid(String),
    #[error(
        "sslmode is one of disable, prefer, require (encrypted, any certificate that a known authority signed for the host) and verify-full, which is the same here"
    )]
    SslMode,
    #[error("sslrootcert {path:?}: {reason}")]
    RootCertificate { path: PathBuf, reason: String },
    #[error(
        "it has more than one `@`: write that of a user name or password as %40, and `:`, `/`, `?`, `#`, `%` as %3A, %2F, %3F, %23, %25"
    )]
    Unescaped,
    #[error("it names no host; write postgres://USER:PASSWORD@HOST/DATABASE")]
    NoHost,
}

impl PostgresUrl {
    /// Reads a URL that begins with `postgres://` or `postgresql://`.
    ///
    /// # Errors
    /// [`PostgresError`], which does not repeat the URL.
    pub fn parse(url: &str) -> Result<Self, PostgresError> {
        let text = url.to_owned();
        // The client would read anything else as a list of options.
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(PostgresError::NoHost);
        }
        let (url, own) = take_own_parameters(url)?;
        let mut config: Config = url
            .parse()
            .map_err(|error: postgres::Error| PostgresError::Invalid(invalid(&error)))?;
        if config.get_hosts().is_empty() {
            return Err(PostgresError::NoHost);
        }
        let has_at = |host: &Host| matches!(host, Host::Tcp(name) if name.contains('@'));
        // The rest of the password would be shown as the host.
        if url.matches('@').count() > 1 || config.get_hosts().iter().any(has_at) {
            return Err(PostgresError::Unescaped);
        }
        let ssl_mode = match (own.ssl_mode, &own.root_certificate) {
            (Some(mode), _) => mode,
            (None, Some(_)) => SslMode::Prefer,
            (None, None) => default_ssl_mode(&config),
        };
        config.ssl_mode(ssl_mode);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(ACKNOWLEDGE_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("llmproxy");
        }
        let is_left_open = |name: &str| !has_parameter(&url, name);
        if is_left_open("keepalives_idle") {
            config.keepalives_idle(KEEPALIVE);
        }
        if is_left_open("keepalives_interval") {
            config.keepalives_interval(KEEPALIVE_AGAIN);
        }
        if is_left_open("keepalives_retries") {
            config.keepalives_retries(KEEPALIVES);
        }
        let roots = match ssl_mode {
            // They are never looked at.
            SslMode::Disable => RootCertStore::empty(),
            _ => roots(own.root_certificate)?,
        };
        let tls = Arc::new(client_config(roots)?);
        let shown = shown(&config);
        Ok(Self {
            hosts: Hosts::new(&config, tls, own.password_file),
            text,
            shown,
        })
    }

    /// Connects to the first host that takes writes.
    pub(in crate::store) fn connect(&self) -> Result<Client, SqlError> {
        self.hosts.connect()
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({:?})", self.shown)
    }
}

impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Parameters that the client does not know, or reads otherwise.
struct OwnParameters {
    ssl_mode: Option<SslMode>,
    root_certificate: Option<PathBuf>,
    password_file: Option<PathBuf>,
}

/// Takes such parameters out of a URL.
fn take_own_parameters(url: &str) -> Result<(String, OwnParameters), PostgresError> {
    let mut own = OwnParameters {
        ssl_mode: None,
        root_certificate: None,
        password_file: None,
    };
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), own));
    };
    let mut others = Vec::new();
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = || {
            let value = percent_decode_str(value).decode_utf8_lossy();
            value.into_owned()
        };
        match name {
            "sslmode" => {
                own.ssl_mode = Some(match value().as_str() {
                    "disable" => SslMode::Disable,
                    "allow" | "prefer" => SslMode::Prefer,
                    // The certificate is checked in any case.
                    "require" | "verify-ca" | "verify-full" => SslMode::Require,
                    _ => return Err(PostgresError::SslMode),
                });
            }
            "sslrootcert" if value() == "system" => {}
            "sslrootcert" => own.root_certificate = Some(PathBuf::from(value())),
            "passfile" => own.password_file = Some(PathBuf::from(value())),
            // There is one for writes only.
            "target_session_attrs"
                if matches!(value().as_str(), "any" | "primary" | "read-write") => {}
            _ => others.push(parameter),
        }
    }
    let url = match others.as_slice() {
        [] => base.to_owned(),
        others => format!("{base}?{}", others.join("&")),
    };
    Ok((url, own))
}

/// Returns whether a URL has a parameter.
fn has_parameter(url: &str, name: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut names = query
        .split('&')
        .filter_map(|parameter| parameter.split('=').next());
    names.any(|known| known == name)
}

/// Returns whether to encrypt where the URL says nothing: not on the machine itself, where Debian's server
/// has a certificate that nobody has signed; else if the server can.
fn default_ssl_mode(config: &Config) -> SslMode {
    let is_local = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            let address = name.parse::<std::net::IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    if is_local {
        SslMode::Disable
    } else {
        SslMode::Prefer
    }
}

/// Returns what is wrong with a URL, without its values.
fn invalid(error: &postgres::Error) -> String {
    let reason = match std::error::Error::source(error) {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    };
    // It names an option that is unknown.
    reason.replace(char::is_control, "\u{fffd}")
}

/// Returns the authorities whose certificates count.
fn roots(root_certificate: Option<PathBuf>) -> Result<RootCertStore, PostgresError> {
    let mut roots = RootCertStore::empty();
    match root_certificate {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let refused = |reason: String| PostgresError::RootCertificate {
                path: path.clone(),
                reason,
            };
            let pem = fs::read(&path).map_err(|error: io::Error| refused(error.to_string()))?;
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let certificates = certificates.map_err(|error| refused(error.to_string()))?;
            if certificates.is_empty() {
                return Err(refused("the file has no certificate".to_owned()));
            }
            for certificate in certificates {
                let added = roots.add(certificate);
                added.map_err(|error| refused(error.to_string()))?;
            }
        }
    }
    Ok(roots)
}

fn client_config(roots: RootCertStore) -> Result<ClientConfig, PostgresError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| PostgresError::Invalid(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Returns the hosts and the database as messages name them.
fn shown(config: &Config) -> String {
    let places = 0..config.get_hosts().len();
    let hosts: Vec<String> = places.map(|place| shown_host(config, place)).collect();
    let database = config
        .get_dbname()
        .or(config.get_user())
        .unwrap_or_default();
    let slash = if database.is_empty() { "" } else { "/" };
    // Logs and errors show it.
    format!("postgres://{}{slash}{database}", hosts.join(",")).replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_user_and_password() {
        let url =
            PostgresUrl::parse("postgres://me:pa55word@a,b:6000/ledger?sslmode=disable").unwrap();
        assert_eq!(
            url.to_string(),
            "postgres://a:5432,b:6000/ledger".replace(":5432", "")
        );
        assert!(!format!("{url:?}").contains("pa55word"));
        let shown = |url: &str| PostgresUrl::parse(url).unwrap().to_string();
        assert_eq!(shown("postgres://host"), "postgres://host");
        assert_eq!(shown("postgres://host/a%0ab"), "postgres://host/a\u{fffd}b");
    }

    #[test]
    fn parameters_of_tls_are_those_of_libpq() {
        let mode = |text: &str| {
            let url = format!("postgresql://u:secret1@h/d?connect_timeout=3&sslmode={text}");
            PostgresUrl::parse(&url).map(|url| url.hosts.ssl_mode())
        };
        assert_eq!(mode("disable"), Ok(SslMode::Disable));
        assert_eq!(mode("prefer"), Ok(SslMode::Prefer));
        assert_eq!(mode("require"), Ok(SslMode::Require));
        assert_eq!(mode("verify-full"), Ok(SslMode::Require));
        assert_eq!(mode("maybe"), Err(PostgresError::SslMode));
        let unsaid = |host: &str| {
            let url = PostgresUrl::parse(&format!("postgres://u@{host}/d")).unwrap();
            url.hosts.ssl_mode()
        };
        assert_eq!(unsaid("db.example.org"), SslMode::Prefer);
        assert_eq!(unsaid("127.0.0.1,db.example.org"), SslMode::Prefer);
        for local in ["localhost", "127.0.0.1", "%2Frun%2Fpostgresql"] {
            assert_eq!(unsaid(local), SslMode::Disable, "{local}");
        }
        for url in [
            "postgres:///d",
            "postgres://u:secret1@h:port/d",
            "postgres://u:secret1@h/d?nonsense=1",
            "postgres://u:secret1@h/d?sslrootcert=/missing.pem",
        ] {
            let error = PostgresUrl::parse(url).unwrap_err().to_string();
            assert!(!error.contains("secret1"), "{error}");
        }
    }
}
