//! Parses single settings, and builds the error of one that cannot be used.

use std::{net::IpAddr, time::Duration};

use clap::{ArgMatches, parser::ValueSource};
use ipnet::IpNet;

use super::table::{self, Setting};
use crate::{
    alerts::{MAX_WEBHOOKS, Webhook},
    model::Secret,
};

const MAX_TIME: Duration = Duration::from_secs(366 * 86_400);
/// Longest part of a value that an error repeats, in characters.
const MAX_SHOWN_CHARS: usize = 200;

/// A setting that cannot be used. One line names the variable, the value unless it is secret, and
/// what is accepted.
#[derive(Debug, thiserror::Error)]
#[error("{} {problem}", named(variable, .value.as_deref(), *from_flag))]
pub struct SettingError {
    variable: &'static str,
    /// `None` for a secret.
    value: Option<String>,
    /// The rest of the sentence.
    problem: String,
    /// Whether the value came from a flag, not from a variable.
    pub from_flag: bool,
}

impl SettingError {
    /// The error of a required setting that is not set.
    pub(super) fn missing(variable: &'static str, advice: &str) -> Self {
        Self {
            variable,
            value: None,
            problem: format!("is required: {advice}"),
            from_flag: false,
        }
    }
}

/// Names a setting as it was given, by its flag or by its variable, with the value.
fn named(variable: &str, value: Option<&str>, from_flag: bool) -> String {
    let value = value.map_or_else(String::new, |value| format!("={value:?}"));
    if from_flag {
        let flag = flag_id(variable).replace('_', "-");
        format!("--{flag}{value}")
    } else {
        format!("{variable}{value}")
    }
}

/// Returns the id of a setting's flag. Flags have the names of their variables, with one exception.
fn flag_id(variable: &str) -> String {
    match variable {
        name if name == table::LLMPROXY_SERVER.variable => "server".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

/// Returns the text of a setting without a default. `NAME=` in an env file means that it is not
/// set.
pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// Returns the text of a setting with a default. `NAME=` in an env file means the default.
pub(super) fn or_default<'a>(text: &'a str, setting: &Setting) -> &'a str {
    let text = text.trim();
    if text.is_empty() {
        setting.default
    } else {
        text
    }
}

/// Parses single settings.
pub(super) struct Reader<'a> {
    /// Says whether a value came from a flag.
    pub(super) matches: &'a ArgMatches,
}

impl Reader<'_> {
    pub(super) fn error(
        &self,
        variable: &'static str,
        value: Option<&str>,
        problem: impl Into<String>,
    ) -> SettingError {
        let id = flag_id(variable);
        let source = self
            .matches
            .try_contains_id(&id)
            .ok()
            .and_then(|_| self.matches.value_source(&id));
        SettingError {
            variable,
            // A URL with an @ or a query may contain a password, and libpq's other form names it.
            value: value
                .filter(|value| !value.contains(['@', '?']) && !value.contains("password"))
                .map(|value| value.chars().take(MAX_SHOWN_CHARS).collect()),
            problem: format!("is not accepted: {}", problem.into()),
            from_flag: source == Some(ValueSource::CommandLine),
        }
    }

    /// Builds the error that lists what is accepted. `value` is `None` for a secret.
    pub(super) fn not_accepted(&self, setting: &Setting, value: Option<&str>) -> SettingError {
        let problem = format!("use {}", setting.accepted);
        self.error(setting.variable, value, problem)
    }

    pub(super) fn value<T>(
        &self,
        setting: &Setting,
        text: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, SettingError> {
        parse(or_default(text, setting)).ok_or_else(|| self.not_accepted(setting, Some(text)))
    }

    pub(super) fn choice<T: Copy>(
        &self,
        setting: &Setting,
        text: &str,
        choices: [(&str, T); 2],
    ) -> Result<T, SettingError> {
        debug_assert_eq!(
            setting.accepted,
            format!("{} or {}", choices[0].0, choices[1].0)
        );
        self.value(setting, text, |text| {
            let found = choices
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(text));
            found.map(|(_, choice)| *choice)
        })
    }

    pub(super) fn time(&self, setting: &Setting, text: &str) -> Result<Duration, SettingError> {
        self.value(setting, text, |text| {
            let time = humantime::parse_duration(text).ok()?;
            (time <= MAX_TIME).then_some(time)
        })
    }

    /// Parses a time that must not be 0, because a timeout of nothing would end every request.
    pub(super) fn timeout(&self, setting: &Setting, text: &str) -> Result<Duration, SettingError> {
        let time = self.time(setting, text)?;
        if time.is_zero() {
            return Err(self.not_accepted(setting, Some(text)));
        }
        Ok(time)
    }

    /// Parses the backend's key. An empty text is a backend without keys.
    pub(super) fn backend_key(&self, text: Option<&str>) -> Result<Secret, SettingError> {
        let setting = &table::OPENAI_API_KEY;
        let Some(key) = text.map(str::trim) else {
            let advice = "set it to the backend's key, or to nothing (OPENAI_API_KEY=) for a backend without keys";
            return Err(SettingError::missing(setting.variable, advice));
        };
        self.graphic(setting, key, None).map(Secret::new)
    }

    pub(super) fn admin_token(&self, text: Option<&str>) -> Result<Option<Secret>, SettingError> {
        self.secret(&table::ADMIN_TOKEN, text)
    }

    /// Parses a secret. The error does not repeat it.
    pub(super) fn secret(
        &self,
        setting: &Setting,
        text: Option<&str>,
    ) -> Result<Option<Secret>, SettingError> {
        given(text)
            .map(|text| self.graphic(setting, text, None).map(Secret::new))
            .transpose()
    }

    /// Parses the URLs of webhooks. The error does not repeat them, because they are secrets.
    pub(super) fn webhooks(&self, text: Option<&str>) -> Result<Vec<Webhook>, SettingError> {
        let setting = &table::ALERT_WEBHOOK;
        let mut webhooks: Vec<Webhook> = Vec::new();
        let parts = text.unwrap_or_default().split(',').map(str::trim);
        for part in parts.filter(|part| !part.is_empty()) {
            let webhook = Webhook::parse(part).ok_or_else(|| self.not_accepted(setting, None))?;
            if webhooks.iter().all(|known| known.id() != webhook.id()) {
                webhooks.push(webhook);
            }
        }
        if webhooks.len() > MAX_WEBHOOKS {
            return Err(self.not_accepted(setting, None));
        }
        Ok(webhooks)
    }

    /// Reads a secret from a file. The error does not repeat it.
    pub(super) fn secret_file(
        &self,
        setting: &Setting,
        path: &std::path::Path,
    ) -> Result<String, SettingError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| self.error(setting.variable, Some(&shown), error.to_string()))?;
        Ok(text.trim().to_owned())
    }

    pub(super) fn header_value(
        &self,
        setting: &Setting,
        text: Option<&str>,
    ) -> Result<Option<String>, SettingError> {
        given(text)
            .map(|text| self.graphic(setting, text, Some(text)))
            .transpose()
    }

    /// Parses the value of a header. `shown` is the value for the error, `None` for a secret.
    ///
    /// No key and no token begins or ends with a quotation mark. One that does was quoted for a
    /// file, and the file was read by a program that takes quotation marks literally, such as
    /// `docker run --env-file`.
    fn graphic(
        &self,
        setting: &Setting,
        text: &str,
        shown: Option<&str>,
    ) -> Result<String, SettingError> {
        const QUOTES: [char; 3] = ['"', '\'', '`'];
        if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
            let advice = "it begins or ends with quotes; set it without them";
            return Err(self.error(setting.variable, shown, advice));
        }
        if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(text.to_owned());
        }
        Err(self.not_accepted(setting, shown))
    }

    pub(super) fn host(&self, text: &str) -> Result<String, SettingError> {
        self.value(&table::HOST, text, |text| {
            let text = text
                .strip_prefix('[')
                .and_then(|t| t.strip_suffix(']'))
                .unwrap_or(text);
            let is_name = text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
            (is_name || text.parse::<IpAddr>().is_ok()).then(|| text.to_owned())
        })
    }

    pub(super) fn networks(
        &self,
        setting: &Setting,
        text: Option<&str>,
    ) -> Result<Vec<IpNet>, SettingError> {
        let text = text.unwrap_or_default();
        text.split([',', ' '])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                let address = part.parse::<IpAddr>().map(IpNet::from);
                part.parse::<IpNet>()
                    .or(address)
                    .map_err(|_| self.not_accepted(setting, Some(text)))
            })
            .collect()
    }

    pub(super) fn log_filter(&self, text: &str) -> Result<String, SettingError> {
        self.value(&table::RUST_LOG, text, |text| {
            is_log_filter(text).then(|| text.to_owned())
        })
    }
}

/// Whether a filter consists of levels and of names that log something. `env_logger` would take a
/// misspelt level for the name of a module and log nothing.
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
