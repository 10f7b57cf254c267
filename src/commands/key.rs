//! `llmproxy key …`: single keys of users.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use clap::ArgMatches;

use super::{
    print, print_json, print_list, print_table, read_secret_line, tables, target::Target,
    user::key_options,
};
use crate::{
    admin::{AddKey, ListKeys, RevokeKey, SetKey},
    cli::people::{KeyAddArgs, KeyArgs, KeyListArgs, KeySetArgs},
    config::env_file::Variables,
    store::IfMissing,
};

/// Length of the shortest key.
const MIN_KEY_CHARS: usize = 20;

pub(super) fn add(
    args: &KeyAddArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let issued = target.run(AddKey {
        username: Some(args.name.clone()),
        options: key_options(&args.options)?,
    })?;
    let text = if args.output.json {
        serde_json::to_string(&issued)?
    } else if std::io::stdout().is_terminal() {
        let width = comfy_table::Table::new().width();
        tables::issued(std::slice::from_ref(&issued)).boxed(width)
    } else {
        issued.api_key.clone()
    };
    // A closed pipe is an error here, because its reader has not got the key.
    writeln!(std::io::stdout(), "{text}").with_context(|| {
        format!(
            "key {} exists now, but cannot be printed; revoke it with `llmproxy key revoke {0}`",
            issued.key_id
        )
    })
}

pub(super) fn list(
    args: &KeyListArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let list = target.run(ListKeys {
        username: args.name.clone(),
    })?;
    let listing = tables::keys(&list.keys);
    print_list(&args.output, &list, &listing, "no keys yet")
}

pub(super) fn set(
    args: &KeySetArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let (key_id, api_key) = selector(&args.key)?;
    let label = args.label.clone();
    let expires = args.expires.clone();
    let key = target.run(SetKey {
        key_id,
        api_key,
        label: label.map(|text| (!text.trim().is_empty()).then_some(text)),
        expires: expires.map(|text| (text.trim() != "never").then_some(text)),
    })?;
    if args.output.json {
        return print_json(&key);
    }
    print_table(&tables::keys(std::slice::from_ref(&key)))
}

pub(super) fn revoke(
    args: &KeyArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let (key_id, api_key) = selector(&args.key)?;
    let key = target.run(RevokeKey { key_id, api_key })?;
    if args.output.json {
        return print_json(&key);
    }
    print(&format!(
        "key {} ({}) of {:?} is revoked",
        key.id, key.key, key.username
    ))
}

/// Tells an id from a key, which may be on standard input.
fn selector(text: &str) -> anyhow::Result<(Option<i64>, Option<String>)> {
    let text = match text.trim() {
        "-" => read_secret_line()?,
        other => other.to_owned(),
    };
    // A key may consist of digits, but has more of them than an id.
    let id = text.parse().ok().filter(|_| text.len() < MIN_KEY_CHARS);
    Ok(match id {
        Some(id) => (Some(id), None),
        None => (None, Some(text)),
    })
}
