//! `llmproxy user …`. The commands change the database file or ask a server to; a running server
//! notices changes of the file.

mod key_file;
mod user_file;

use std::io::{IsTerminal, Write};

use anyhow::Context;
use clap::ArgMatches;

use key_file::KeyFile;
use user_file::lines_of;

use super::{
    WrongUsage, confirm, note, print, print_json, print_list, print_table, read_secret_line,
    tables, target::Target,
};
use crate::{
    admin::{
        AddUsers, AdminError, AllowKey, DeleteUser, ForbidKey, GenerateKey, HashKeys, KeyOptions,
        ListLimits, ListUsers, Operation, RenameUser, RotateKey, SetUser, ShowUser, UserLine,
        UserOrKey,
    },
    cli::people::{
        DeleteArgs, HashKeysArgs, KeyOptionArgs, UserAccessArgs, UserAddArgs, UserArgs,
        UserListArgs, UserRenameArgs, UserRotateArgs, UserSetArgs,
    },
    config::env_file::Variables,
    model::{ApiKey, without_keys},
    store::{
        IfMissing,
        keys::{IssuedKey, KeyState, RotatedKey},
        users::KeyStatus,
    },
};

pub(super) fn add(
    args: &UserAddArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let lines = match &args.from {
        Some(path) => lines_of(path)?,
        None => lines_of_names(args)?,
    };
    // Before the users exist: a file that cannot be made must not cost them their keys.
    let file = args.keys_to.as_deref().map(KeyFile::create).transpose()?;
    let target = Target::open(&args.target, matches, variables, IfMissing::Create)?;
    let is_one = args.from.is_none() && lines.len() == 1;
    let issued = if is_one {
        vec![target.run(one(lines)?)?]
    } else {
        let added = target.run(AddUsers { users: lines });
        added.map_err(name_each_mistake)?.users
    };
    let json = match &issued[..] {
        _ if !args.output.json => None,
        [key] if is_one => Some(serde_json::to_string(key)?),
        keys => Some(serde_json::to_string(
            &serde_json::json!({ "users": keys }),
        )?),
    };
    if let Some(file) = file {
        let path = file.keep(&match json {
            Some(json) => json,
            None => tables::issued(&issued).csv()?,
        })?;
        let users = if issued.len() == 1 { "user" } else { "users" };
        let count = issued.len();
        return print(&format!(
            "added {count} {users}; the keys are in \"{}\"",
            path.display()
        ));
    }
    let text = match json {
        Some(json) => json,
        None => text_of(&issued, is_one)?,
    };
    // A closed pipe is an error here, because its reader has not got the key.
    writeln!(std::io::stdout(), "{text}").with_context(|| {
        let name = issued.first().map_or("", |key| key.username.as_str());
        format!(
            "user {name:?} exists now, but the key cannot be printed; {}",
            way_to_the_key(&target, name)
        )
    })
}

/// Says how an operator can see a key that could not be printed.
fn way_to_the_key(target: &Target, name: &str) -> &'static str {
    let show = ShowUser {
        username: Some(name.to_owned()),
    };
    match target.run(show) {
        Ok(shown) if shown.user.api_key.is_none() => {
            "keys are hashed, so it cannot be shown again: get a new one with `llmproxy user rotate`"
        }
        _ => "`llmproxy user list --json` shows it",
    }
}

/// Formats new keys: a table on a terminal; in a pipe the key alone, or CSV for several.
fn text_of(issued: &[IssuedKey], is_one: bool) -> anyhow::Result<String> {
    if std::io::stdout().is_terminal() {
        let width = comfy_table::Table::new().width();
        return Ok(tables::issued(issued).boxed(width));
    }
    match issued {
        [key] if is_one => Ok(key.api_key.clone()),
        keys => tables::issued(keys).csv(),
    }
}

/// Prints what is wrong with each line, and returns the error of the whole.
fn name_each_mistake(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<AdminError>() {
        Some(AdminError::Entries(lines)) => {
            for line in lines {
                note(line);
            }
            anyhow::anyhow!("no user was added, because of these mistakes")
        }
        _ => error,
    }
}

fn one(mut lines: Vec<UserLine>) -> anyhow::Result<GenerateKey> {
    let line = lines.pop().context("no name was given")?;
    Ok(GenerateKey {
        username: Some(line.username),
        group: line.group,
        options: line.options,
        limits: line.limits,
    })
}

fn lines_of_names(args: &UserAddArgs) -> anyhow::Result<Vec<UserLine>> {
    let options = key_options(&args.options)?;
    if options.key.is_some() && args.names.len() > 1 {
        return Err(
            WrongUsage("--key is for one user; several cannot share a key".to_owned()).into(),
        );
    }
    let line = |name: &String| UserLine {
        username: name.clone(),
        group: args.group.clone(),
        options: options.clone(),
        limits: args.limits.changes(),
        line: None,
    };
    Ok(args.names.iter().map(line).collect())
}

/// Returns the options of a new key; the key itself may be on standard input.
pub(super) fn key_options(args: &KeyOptionArgs) -> anyhow::Result<KeyOptions> {
    let key = match args.key.as_deref() {
        Some("-") => Some(read_secret_line()?),
        other => other.map(str::to_owned),
    };
    Ok(KeyOptions {
        key,
        label: args.label.clone(),
        expires: args.expires.clone(),
    })
}

pub(super) fn list(
    args: &UserListArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let list = target.run(ListUsers {
        group: args.group.clone(),
        inactive: args.inactive.then_some(true),
    })?;
    let is_filtered = args.group.is_some() || args.inactive;
    let if_empty = if is_filtered {
        "no user is like that"
    } else {
        "no users yet: add one with `llmproxy user add NAME`"
    };
    let listing = tables::users(&list.users);
    print_list(&args.output, &list, &listing, if_empty)
}

pub(super) fn show(
    args: &UserArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let shown = target.run(ShowUser {
        username: Some(args.name.clone()),
    })?;
    if args.output.json {
        return print_json(&shown);
    }
    print_table(&tables::users(std::slice::from_ref(&shown.user)))?;
    print_table(&tables::keys(&shown.keys))
}

pub(super) fn set(
    args: &UserSetArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let has_group = args.group.is_some() || args.no_group;
    let limits = args.limits.changes();
    let has_limits = !limits.is_empty();
    let user = target.run(SetUser {
        username: Some(args.name.clone()),
        group: has_group.then(|| args.group.clone()),
        limits,
    })?;
    if args.output.json {
        return print_json(&user);
    }
    let name = &user.username;
    if has_limits {
        let list = target.run(ListLimits {
            username: Some(name.clone()),
            group: None,
        })?;
        if list.limits.is_empty() {
            print(&format!("no limits apply to {name:?}"))?;
        } else {
            print_table(&tables::limits(&list.limits))?;
        }
    }
    if !has_group {
        return Ok(());
    }
    match &user.group {
        Some(group) => print(&format!("{name:?} is in the group {group:?}")),
        None => print(&format!("{name:?} is in no group")),
    }
}

pub(super) fn rename(
    args: &UserRenameArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let user = target.run(RenameUser {
        username: Some(args.old.clone()),
        new_username: Some(args.new.clone()),
    })?;
    if args.output.json {
        return print_json(&user);
    }
    let old = without_keys(&args.old);
    print(&format!("{old:?} is called {:?} now", user.username))
}

pub(super) fn delete(
    args: &DeleteArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let shown = target.run(ShowUser {
        username: Some(args.name.clone()),
    })?;
    let name = &shown.user.username;
    confirm(
        args.yes,
        &format!("Delete user {name:?} for good? All keys stop; the usage stays booked."),
    )?;
    let deleted = target.run(DeleteUser {
        username: Some(name.clone()),
    })?;
    if args.output.json {
        return print_json(&deleted);
    }
    print(&format!(
        "user {name:?} is deleted; the usage stays booked under the name"
    ))
}

pub(super) fn rotate(
    args: &UserRotateArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let rotated = target.run(RotateKey {
        username: Some(args.name.clone()),
        key_id: args.key_id,
        api_key: None,
        grace: Some(args.grace.clone()),
        options: key_options(&args.options)?,
    })?;
    let text = if args.output.json {
        serde_json::to_string(&rotated)?
    } else {
        text_of(std::slice::from_ref(&rotated.new), true)?
    };
    writeln!(std::io::stdout(), "{text}").with_context(|| {
        let name = &rotated.new.username;
        format!(
            "the key of {name:?} is replaced, but the new one cannot be printed; {}",
            way_to_the_key(&target, name)
        )
    })?;
    if !args.output.json {
        explain_rotation(&rotated);
    }
    Ok(())
}

/// Says on stderr what became of the old key, and which keys go on working.
fn explain_rotation(rotated: &RotatedKey) {
    let name = &rotated.new.username;
    match &rotated.replaced {
        None => note(&format!("{name:?} had no key that worked")),
        Some(old) if old.status == KeyState::Revoked => {
            note(&format!("key {} ({}) has stopped", old.id, old.key));
        }
        Some(old) => {
            let until = old.expires_at.as_deref().unwrap_or("-");
            note(&format!("key {} ({}) works until {until}", old.id, old.key));
        }
    }
    if rotated.other_active_keys > 0 {
        let count = rotated.other_active_keys;
        let keys = if count == 1 { "key" } else { "keys" };
        note(&format!(
            "{count} other {keys} of {name:?} go on working; `llmproxy key list` shows them"
        ));
    }
}

/// Hashes the keys, which cannot be undone.
pub(super) fn hash_keys(
    args: &HashKeysArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    // A script that was written before there was a question goes on working.
    if std::io::stdin().is_terminal() {
        confirm(
            args.yes,
            &format!(
                "Replace all keys in {} by hashes? No key can be shown again, and this cannot be undone.",
                target.name()
            ),
        )?;
    }
    let hashed = target.run(HashKeys {})?;
    if args.output.json {
        return print_json(&hashed);
    }
    let count = hashed.hashed;
    let keys = if count == 1 { "key" } else { "keys" };
    print(&format!(
        "hashed {count} {keys}; new keys are stored as hashes, too, and all keys go on working"
    ))
}

pub(super) fn forbid(
    args: &UserAccessArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    set_access(args, matches, variables, ForbidKey)
}

pub(super) fn allow(
    args: &UserAccessArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    set_access(args, matches, variables, AllowKey)
}

fn set_access<O: Operation<Answer = KeyStatus>>(
    args: &UserAccessArgs,
    matches: &ArgMatches,
    variables: &Variables,
    operation: impl Fn(UserOrKey) -> O,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let text = args.who.trim().to_owned();
    let who = if ApiKey::looks_like_one(&text) {
        UserOrKey {
            api_key: Some(text),
            ..UserOrKey::default()
        }
    } else {
        UserOrKey {
            username: Some(text),
            ..UserOrKey::default()
        }
    };
    let status = target.run(operation(who))?;
    if args.output.json {
        return print_json(&status);
    }
    let word = if status.is_active {
        "allowed"
    } else {
        "forbidden"
    };
    print(&format!("the keys of {:?} are {word}", status.username))
}
