//! What `llmproxy init` asks for and writes.

use std::path::PathBuf;

use clap::ArgMatches;

use super::{
    InitSettings, SettingError,
    env_file::Variables,
    extra_roots,
    reader::{Reader, or_default},
    table,
};
use crate::{
    model::Secret,
    proxy::backend::BackendUrl,
    store::{DatabaseLocation, keys::KeyStorage},
};

/// The backend that is meant unless another one is set.
pub const OPENAI_URL: &str = table::OPENAI_BACKEND_URL.default;

/// What a new env file says, but for the key.
#[derive(Debug)]
pub struct InitConfig {
    pub backend_url: BackendUrl,
    pub database: DatabaseLocation,
    /// `DATABASE_URL`, if it is not the default.
    pub own_database_url: Option<String>,
    pub key_storage: KeyStorage,
    /// `SSL_CERT_FILE`: root certificates to trust besides the embedded ones.
    pub extra_roots: Option<PathBuf>,
}

impl InitSettings {
    /// Parses the settings.
    ///
    /// # Errors
    /// [`SettingError`] of the first one that cannot be used.
    pub fn read(
        &self,
        matches: &ArgMatches,
        variables: &Variables,
    ) -> Result<InitConfig, SettingError> {
        let read = Reader { matches };
        let setting = &table::OPENAI_BACKEND_URL;
        let text = or_default(&self.openai_backend_url, setting);
        // As for the server, which refuses both at once.
        let is_default = text == setting.default;
        let database_url = or_default(&self.database.database_url, &table::DATABASE_URL);
        Ok(InitConfig {
            backend_url: match variables.get(table::OPENAI_BASE_URL.variable) {
                Some(base) if is_default && !base.trim().is_empty() => {
                    read.value(&table::OPENAI_BASE_URL, &base, |text| {
                        BackendUrl::of_base(text).ok()
                    })?
                }
                _ => read.value(setting, text, |text| text.parse().ok())?,
            },
            database: self.database.location(matches)?,
            own_database_url: (database_url != table::DATABASE_URL.default)
                .then(|| database_url.to_owned()),
            key_storage: self.keys.storage(matches)?,
            extra_roots: extra_roots(variables),
        })
    }

    /// Parses a backend's key.
    ///
    /// # Errors
    /// [`SettingError`] without the key if it cannot be one.
    pub fn key(&self, text: &str, matches: &ArgMatches) -> Result<Secret, SettingError> {
        Reader { matches }.backend_key(Some(text))
    }
}
