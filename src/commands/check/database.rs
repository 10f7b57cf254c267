//! Can the database be written, is there room, and does every model have a price?

use std::{io, path::Path};

use super::{Finding, Verdict};
use crate::{
    admin::{AdminContext, CheckPrices, PriceFile},
    config::Config,
    store::{IfMissing, Store, StoreError, keys, keys::KeyStorage},
};

/// Free space below which rows will soon fail to be written.
const LEAST_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// Free space below which it is time to make room.
const LOW_FREE_BYTES: u64 = 1024 * 1024 * 1024;
/// Models that a message names.
const MAX_NAMED: usize = 5;

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let location = &config.database;
    let mut findings = Vec::new();
    if let Some(path) = location.file() {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        findings.push(directory_check(directory));
        findings.extend(free_space(directory));
    }
    match Store::open(location, IfMissing::Refuse) {
        Ok(store) => {
            findings.push(writable(&store));
            findings.extend(location.file().and_then(mode));
            findings.extend(clear_keys(&store, config.key_storage));
            findings.push(prices(&store, config));
        }
        Err(StoreError::Missing { .. } | StoreError::EmptyDatabase { .. }) => {
            findings.push(Finding::new(
                "database",
                Verdict::Ok,
                format!("{location} has no tables yet: they are made when needed"),
            ));
        }
        Err(error @ (StoreError::Older { .. } | StoreError::OlderSchema { .. })) => {
            findings.push(Finding::new(
                "database",
                Verdict::Warning,
                error.to_string(),
            ));
        }
        Err(error) => findings.push(Finding::new("database", Verdict::Failed, error.to_string())),
    }
    findings
}

/// SQLite makes files beside the database.
fn directory_check(directory: &Path) -> Finding {
    let shown = directory.display();
    match tempfile::Builder::new()
        .prefix(".llmproxy-check-")
        .tempfile_in(directory)
    {
        Ok(_) => Finding::new("directory", Verdict::Ok, format!("{shown} can be written")),
        Err(error) => Finding::new(
            "directory",
            Verdict::Failed,
            format!(
                "{shown} cannot be written ({}): SQLite makes files beside the database",
                error.kind()
            ),
        ),
    }
}

#[cfg(unix)]
fn free_bytes(directory: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(directory)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

fn free_space(directory: &Path) -> Option<Finding> {
    let free = free_bytes(directory).ok()?;
    let shown = bytesize::ByteSize::b(free).display().iec();
    let (verdict, advice) = if free < LEAST_FREE_BYTES {
        (Verdict::Failed, "; requests get 503 when the disk is full")
    } else if free < LOW_FREE_BYTES {
        (Verdict::Warning, "; a million requests take about 200 MiB")
    } else {
        (Verdict::Ok, "")
    };
    Some(Finding::new(
        "disk",
        verdict,
        format!("{shown} free in {}{advice}", directory.display()),
    ))
}

fn writable(store: &Store) -> Finding {
    let path = store.location();
    match store.try_write() {
        Ok(()) => Finding::new("database", Verdict::Ok, format!("{path} can be written")),
        Err(error) => Finding::new(
            "database",
            Verdict::Failed,
            store.explain(error).to_string(),
        ),
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> Option<Finding> {
    super::surroundings::readable_by_others(path).map(|mode| {
        let path = path.display();
        Finding::new(
            "database",
            Verdict::Warning,
            format!("others can read {path}, which holds keys (mode {mode:04o}): chmod 600 {path}"),
        )
    })
}

#[cfg(not(unix))]
fn mode(_: &Path) -> Option<Finding> {
    None
}

fn clear_keys(store: &Store, storage: KeyStorage) -> Option<Finding> {
    let clear = store
        .connection()
        .and_then(|connection| keys::in_clear(&connection))
        .ok()?;
    (storage == KeyStorage::Hashed && clear > 0).then(|| {
        Finding::new(
            "keys",
            Verdict::Warning,
            format!("STORE_KEYS=hashed, but {clear} older keys are stored in clear text: `llmproxy user hash-keys` hashes them"),
        )
    })
}

fn prices(store: &Store, config: &Config) -> Finding {
    let context = AdminContext {
        prices: match &config.prices_file {
            Some(path) => PriceFile::Unread(path.clone()),
            None => PriceFile::Read(None),
        },
        ..AdminContext::of_store(store.clone())
    };
    let models = match context.run(CheckPrices::default()) {
        Ok(found) => found.models,
        Err(error) => return Finding::new("prices", Verdict::Failed, error.to_string()),
    };
    if models.is_empty() {
        return Finding::new(
            "prices",
            Verdict::Ok,
            "every model in the ledger has a price",
        );
    }
    let named: Vec<&str> = models
        .iter()
        .take(MAX_NAMED)
        .map(|found| &*found.model)
        .collect();
    let more = if models.len() > MAX_NAMED {
        ", …"
    } else {
        ""
    };
    Finding::new(
        "prices",
        Verdict::Warning,
        format!(
            "no price for {} of the models in the ledger: {}{more}; `llmproxy price check` lists them",
            models.len(),
            named.join(", ")
        ),
    )
}
