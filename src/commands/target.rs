//! What a command administers: the database file, or a running server over HTTP. Both run the same
//! operations.

use clap::ArgMatches;

use super::{
    WrongUsage,
    http::{self, HttpRequest, Refusal},
    note,
};
use crate::{
    admin::{AdminContext, AdminError, Operation, PriceFile, Today},
    config::{RemoteServer, TargetSettings, env_file::Variables},
    server::INVALID_ENTRIES,
    store::{IfMissing, Store},
};

/// What a command administers.
pub(super) enum Target {
    File(Box<AdminContext>),
    Server(Box<RemoteServer>),
}

impl Target {
    /// Opens the target that the settings name.
    pub(super) fn open(
        settings: &TargetSettings,
        matches: &ArgMatches,
        variables: &Variables,
        if_missing: IfMissing,
    ) -> anyhow::Result<Self> {
        if let Some(server) = settings.remote(matches, variables)? {
            return Ok(Self::Server(Box::new(server)));
        }
        let location = settings.database_location(matches)?;
        let store = Store::open(&location, if_missing)?;
        if store.is_new() {
            // The command may have been run in the wrong directory.
            note(&format!("created a new database at \"{location}\""));
        }
        Ok(Self::File(Box::new(AdminContext {
            store,
            key_storage: settings.key_storage(matches)?,
            calendar: settings.calendar(matches)?,
            prices: match settings.prices_file() {
                Some(path) => PriceFile::Unread(path),
                None => PriceFile::Read(None),
            },
            limits: None,
            sight: None,
            today: Today::default(),
            on_change: None,
        })))
    }

    /// Returns what is administered: an address or a file.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(context) => context.store.location().to_string(),
            Self::Server(server) => server.url.clone(),
        }
    }

    /// Runs an operation.
    pub(super) fn run<O: Operation>(&self, operation: O) -> anyhow::Result<O::Answer> {
        match self {
            Self::File(context) => context.run(operation).map_err(of_input),
            Self::Server(server) => ask(server, &operation),
        }
    }
}

/// Turns an error of the input into one of wrong usage. Flags are written with hyphens.
pub(super) fn of_input(error: AdminError) -> anyhow::Error {
    match error {
        AdminError::Field { field, message } => wrong_usage(field, &message),
        AdminError::UnknownMember(message) => WrongUsage(message).into(),
        other => other.into(),
    }
}

fn wrong_usage(field: &str, message: &str) -> anyhow::Error {
    let flag = field.replace('_', "-");
    let message = message.replace(field, &flag);
    let message = message.replace("_time", "-time");
    WrongUsage(message.replace("last_hours", "last-hours")).into()
}

/// Asks a server to run an operation.
fn ask<O: Operation>(server: &RemoteServer, operation: &O) -> anyhow::Result<O::Answer> {
    let members = serde_json::to_value(operation)?;
    let url = format!("{}{}", server.url, O::PATH);
    let request = HttpRequest {
        method: O::METHOD,
        url: &url,
        bearer: server.token.as_ref(),
        members,
        extra_roots: server.extra_roots.as_deref(),
    };
    let answer = http::send(request)?;
    answer.into_json(of_refusal)
}

/// Makes of a server's error what the same operation on the file makes of it.
fn of_refusal(refusal: Refusal) -> anyhow::Error {
    let Refusal {
        message,
        param,
        code,
    } = refusal;
    if code.as_deref() == Some(INVALID_ENTRIES) {
        let lines = message.lines().skip(1).map(str::to_owned);
        return AdminError::Entries(lines.collect()).into();
    }
    match param {
        Some(field) => wrong_usage(&field, &message),
        None => WrongUsage(message).into(),
    }
}
