//! Servers that commands talk to: one that they administer, one whose user asks, and OpenAI's
//! administration API.

use std::path::PathBuf;

use anyhow::Context;
use clap::ArgMatches;

use super::{
    AccountSettings, OPENAI_URL, SettingError, TargetSettings,
    env_file::Variables,
    extra_roots,
    reader::{Reader, given},
    table,
};
use crate::{
    model::{Calendar, Secret},
    store::{DatabaseLocation, keys::KeyStorage},
};

/// OpenAI's administration API.
#[derive(Debug)]
pub struct OpenAiAdmin {
    /// The address up to `/v1`, without a slash at the end.
    pub base_url: String,
    pub key: Secret,
}

/// Returns OpenAI's administration API, if `OPENAI_ADMIN_KEY` is set. It is at the backend's address.
///
/// # Errors
/// An error if the key or the address cannot be used.
pub fn openai_admin(variables: &Variables) -> anyhow::Result<Option<OpenAiAdmin>> {
    let set = |name: &str| variables.get(name).filter(|text| !text.trim().is_empty());
    let Some(key) = set("OPENAI_ADMIN_KEY") else {
        return Ok(None);
    };
    let key = key.trim();
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        anyhow::bail!(
            "OPENAI_ADMIN_KEY is not accepted: use printable ASCII characters without spaces"
        );
    }
    let url = set(table::OPENAI_BACKEND_URL.variable);
    let url = server_url(url.as_deref().unwrap_or(OPENAI_URL))
        .with_context(|| format!("{} is no URL", table::OPENAI_BACKEND_URL.variable))?;
    Ok(Some(OpenAiAdmin {
        base_url: format!("{}/v1", url.trim_end_matches("/v1")),
        key: Secret::new(key),
    }))
}

/// A running server that commands administer.
#[derive(Debug)]
pub struct RemoteServer {
    /// Scheme, host and port, without a path.
    pub url: String,
    pub token: Option<Secret>,
    /// `SSL_CERT_FILE`: root certificates to trust besides the embedded ones.
    pub extra_roots: Option<PathBuf>,
}

impl TargetSettings {
    /// Returns the server that is administered, unless it is the database file.
    ///
    /// # Errors
    /// [`SettingError`] for a URL or a token that cannot be used.
    pub fn remote(
        &self,
        matches: &ArgMatches,
        variables: &Variables,
    ) -> Result<Option<RemoteServer>, SettingError> {
        let Some(text) = given(self.server.as_deref()) else {
            return Ok(None);
        };
        let read = Reader { matches };
        let url = read.value(&table::LLMPROXY_SERVER, text, server_url)?;
        let token_of_file = match &self.admin_token_file {
            Some(path) => Some(read.secret_file(&table::ADMIN_TOKEN_FILE, path)?),
            None => None,
        };
        let token = token_of_file.or_else(|| variables.get(table::ADMIN_TOKEN.variable));
        Ok(Some(RemoteServer {
            url,
            token: read.admin_token(token.as_deref())?,
            extra_roots: extra_roots(variables),
        }))
    }

    /// Returns where the database is.
    ///
    /// # Errors
    /// [`SettingError`] if the setting names none.
    pub fn database_location(
        &self,
        matches: &ArgMatches,
    ) -> Result<DatabaseLocation, SettingError> {
        self.database.location(matches)
    }

    /// Returns what the database keeps of new keys.
    ///
    /// # Errors
    /// [`SettingError`] if the setting is neither of the two words.
    pub fn key_storage(&self, matches: &ArgMatches) -> Result<KeyStorage, SettingError> {
        self.keys.storage(matches)
    }

    /// Returns the calendar of the time zone.
    ///
    /// # Errors
    /// [`SettingError`] if there is no zone of the name.
    pub fn calendar(&self, matches: &ArgMatches) -> Result<Calendar, SettingError> {
        self.zone.calendar(matches)
    }

    /// Returns the file of prices.
    #[must_use]
    pub fn prices_file(&self) -> Option<PathBuf> {
        self.prices.path()
    }
}

/// Reads the URL of a server: scheme, host and port.
fn server_url(text: &str) -> Option<String> {
    let url = url::Url::parse(text.trim()).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    is_plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// Completes the address of a proxy. SDKs take it with `/v1`, and people forget that.
fn with_path(url: String) -> String {
    let authority = url.split_once("://").map_or(&*url, |(_, rest)| rest);
    if authority.contains('/') {
        url
    } else {
        url + "/v1"
    }
}

/// A proxy and a key for it.
#[derive(Debug)]
pub struct ProxyAccount {
    /// The proxy's address up to `/v1`, without a slash at the end.
    pub base_url: String,
    pub key: Secret,
    /// `SSL_CERT_FILE`: root certificates to trust besides the embedded ones.
    pub extra_roots: Option<PathBuf>,
}

impl AccountSettings {
    /// Returns address and key.
    ///
    /// # Errors
    /// [`SettingError`] if either is missing or cannot be used.
    pub fn account(
        &self,
        matches: &ArgMatches,
        variables: &Variables,
    ) -> Result<ProxyAccount, SettingError> {
        let read = Reader { matches };
        let base = &table::OPENAI_BASE_URL;
        let of_variable = variables.get(base.variable);
        let text = given(self.base_url.as_deref()).or_else(|| given(of_variable.as_deref()));
        let text = text.ok_or_else(|| {
            read.error(
                base.variable,
                None,
                "set it, or --base-url, to the address of the proxy",
            )
        })?;
        let base_url = read.value(base, text, |text| server_url(text).map(with_path))?;
        let variable = table::OPENAI_API_KEY.variable;
        let key = variables.get(variable);
        let key = given(key.as_deref()).ok_or_else(|| {
            read.error(
                variable,
                None,
                "set it to your key of the proxy, which begins with llmp-",
            )
        })?;
        Ok(ProxyAccount {
            base_url,
            key: Secret::new(key),
            extra_roots: extra_roots(variables),
        })
    }
}
