//! `llmproxy user …`. The commands change the database file, and a running server notices it.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use clap::ArgMatches;

use super::{WrongUsage, note, open_existing, print, print_json, tables};
use crate::{
    cli::{UserAccessArgs, UserAddArgs, UserHashKeysArgs, UserListArgs},
    model::{ApiKey, UserName},
    store::{
        IfMissing, PooledConnection, Store, StoreError,
        users::{self, KeyAccess, KeyStatus, UserList, UserSelector},
    },
};

pub(super) fn add(args: &UserAddArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let path = args.database.path(matches)?;
    let name = UserName::parse(&args.name).map_err(|error| WrongUsage(error.to_string()))?;
    let storage = args.keys.storage(matches)?;
    let store = Store::open(&path, IfMissing::Create)?;
    if store.is_new() {
        // The command may have been run in the wrong directory.
        note(&format!(
            "created a new database at \"{}\"",
            path.as_path().display()
        ));
    }
    let new =
        users::add(&*store.connection()?, &name, storage).map_err(|error| store.explain(error))?;
    let text = if args.output.json {
        serde_json::to_string(&new)?
    } else if std::io::stdout().is_terminal() {
        tables::new_key(&new)
    } else {
        new.api_key
    };
    // A closed pipe is an error here, because its reader has not got the key.
    writeln!(std::io::stdout(), "{text}").with_context(|| {
        let name = name.as_str();
        let way = way_to_the_key(&store, name);
        format!("user {name:?} exists now, but the key cannot be printed; {way}")
    })
}

/// Says how an operator can see a key that could not be printed.
fn way_to_the_key(store: &Store, name: &str) -> &'static str {
    let find = |connection: PooledConnection| {
        users::find(&connection, &UserSelector::Name(name.to_owned()))
    };
    match store.connection().and_then(find) {
        Ok(user) if user.api_key.is_masked() => {
            "keys are hashed, so it cannot be shown again: add a user of another name"
        }
        _ => "`llmproxy user list --json` shows it",
    }
}

pub(super) fn list(args: &UserListArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let store = open_existing(&args.database.path(matches)?)?;
    let users = users::list(&*store.connection()?).map_err(|error| store.explain(error))?;
    if args.output.json {
        print_json(&UserList::from(users))
    } else if users.is_empty() {
        print("no users yet: add one with `llmproxy user add NAME`")
    } else {
        print(&tables::users(&users))
    }
}

/// Hashes the keys, which cannot be undone.
pub(super) fn hash_keys(args: &UserHashKeysArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let store = open_existing(&args.database.path(matches)?)?;
    let hashed =
        users::hash_keys(&mut *store.connection()?).map_err(|error| store.explain(error))?;
    let keys = if hashed == 1 { "key" } else { "keys" };
    print(&format!(
        "hashed {hashed} {keys}; new keys are stored as hashes, too, and all keys go on working"
    ))
}

pub(super) fn forbid(args: &UserAccessArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    set_access(args, matches, KeyAccess::Forbidden)
}

pub(super) fn allow(args: &UserAccessArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    set_access(args, matches, KeyAccess::Allowed)
}

fn set_access(
    args: &UserAccessArgs,
    matches: &ArgMatches,
    access: KeyAccess,
) -> anyhow::Result<()> {
    let store = open_existing(&args.database.path(matches)?)?;
    let status =
        set_access_of(&store, args.who.trim(), access).map_err(|error| store.explain(error))?;
    if args.output.json {
        return print_json(&status);
    }
    let word = if status.is_active {
        "allowed"
    } else {
        "forbidden"
    };
    print(&format!("the key of {:?} is {word}", status.username))
}

/// Finds the user by a key if the text looks like one, or else by name.
fn set_access_of(store: &Store, who: &str, access: KeyAccess) -> Result<KeyStatus, StoreError> {
    let connection = store.connection()?;
    let by_name = UserSelector::Name(who.to_owned());
    if !ApiKey::looks_like_one(who) {
        return users::set_access(&connection, &by_name, access);
    }
    match users::set_access(
        &connection,
        &UserSelector::Key(ApiKey::from_text(who)),
        access,
    ) {
        // The error about a name would repeat the key.
        Err(StoreError::UnknownKey) => {
            users::set_access(&connection, &by_name, access).map_err(|error| match error {
                StoreError::UnknownUser { .. } => StoreError::UnknownKey,
                other => other,
            })
        }
        other => other,
    }
}
