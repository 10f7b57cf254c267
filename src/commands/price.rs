//! `llmproxy price …`: prices of models.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::ArgMatches;
use serde_json::Value;

use super::{
    WrongUsage,
    http::{self, HttpRequest},
    note, print, print_json, print_list, print_table, tables,
    target::Target,
};
use crate::{
    admin::{CheckPrices, ListPrices, Method, PriceEntry, SetPrice, UnsetPrice},
    cli::money::{FetchFileArgs, PriceCheckArgs, PriceListArgs, PriceSetArgs, PriceUnsetArgs},
    config::env_file::Variables,
    prices::{Catalog, Changes, compare, snapshot},
    store::IfMissing,
};

/// The most models and prices that are named where a new file differs from the old one.
const MAX_NAMED: usize = 10;

pub(super) fn list(
    args: &PriceListArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let list = target.run(ListPrices {
        model: args.model.clone(),
    })?;
    let listing = match &list.prices[..] {
        [price] if args.model.is_some() => tables::price(price),
        prices => tables::prices(prices),
    };
    print_list(
        &args.output,
        &list,
        &listing,
        "no model like that has a price",
    )
}

pub(super) fn check(
    args: &PriceCheckArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let check = target.run(CheckPrices {})?;
    let listing = tables::unpriced(&check.models);
    print_list(
        &args.output,
        &check,
        &listing,
        "all requests in the ledger have a price",
    )?;
    if check.models.iter().any(|model| model.has_price) {
        note("some of these have a price by now: `llmproxy costs reprice` books it");
    }
    Ok(())
}

pub(super) fn set(
    args: &PriceSetArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let mut fields = BTreeMap::new();
    for assignment in &args.fields {
        let Some((name, value)) = assignment.split_once('=') else {
            let message = format!("{assignment:?} is no NAME=USD");
            return Err(WrongUsage(message).into());
        };
        fields.insert(name.trim().to_owned(), Value::from(value.trim()));
    }
    let target = Target::open(&args.target, matches, variables, IfMissing::Create)?;
    let price = target.run(SetPrice {
        model: Some(args.model.clone()),
        like: args.like.clone(),
        input: args.input.clone(),
        cached: args.cached.clone(),
        output: args.output_price.clone(),
        fields,
        from: args.from.clone(),
    })?;
    print_price(&price, args.output.json)
}

pub(super) fn unset(
    args: &PriceUnsetArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let list = target.run(UnsetPrice {
        model: Some(args.model.clone()),
    })?;
    if args.output.json {
        return print_json(&list);
    }
    match &list.prices[..] {
        [] => print(&format!("{:?} has no price now", args.model)),
        [price, ..] => print_price(price, false),
    }
}

fn print_price(price: &PriceEntry, is_json: bool) -> anyhow::Result<()> {
    if is_json {
        return print_json(price);
    }
    print_table(&tables::price(price))
}

/// Gets a price file, checks it, and puts it in the place of the old one.
pub(super) fn fetch_file(args: &FetchFileArgs, variables: &Variables) -> anyhow::Result<()> {
    let json = fetch(&args.from, variables)?;
    let from = &args.from;
    let new = Catalog::parse(&json).map_err(|error| anyhow::anyhow!("{from}: {error}"))?;
    if new.is_empty() {
        bail!("{from} has no prices");
    }
    let old = match std::fs::read(&args.file) {
        Ok(old) => Catalog::parse(&old).unwrap_or_default(),
        Err(_) => Catalog::default(),
    };
    let old = if old.is_empty() { snapshot() } else { old };
    let changes = compare(&old, &new);
    describe(&changes);
    if changes.needs_confirmation() && !args.yes {
        bail!(
            "the file was not written, because it lacks models or changes prices a lot; write it with --yes if that is right"
        );
    }
    replace(&args.file, &json)?;
    print(&format!(
        "wrote the prices of {} models to \"{}\"; set PRICES_FILE to it and restart the server",
        new.len(),
        args.file.display()
    ))
}

fn fetch(from: &str, variables: &Variables) -> anyhow::Result<Vec<u8>> {
    if !from.starts_with("http://") && !from.starts_with("https://") {
        return std::fs::read(from).with_context(|| format!("cannot read \"{from}\""));
    }
    let extra_roots = crate::config::extra_roots(variables);
    let answer = http::send(HttpRequest {
        method: Method::Get,
        url: from,
        bearer: None,
        members: Value::Null,
        extra_roots: extra_roots.as_deref(),
    })?;
    if !answer.status.is_success() {
        bail!("{from} answered {}", answer.status);
    }
    Ok(answer.body)
}

/// Says on stderr what is lost or far off.
fn describe(changes: &Changes) {
    if !changes.lost.is_empty() {
        let (lost, all) = (changes.lost.len(), changes.old_models);
        let named = changes.lost.iter().take(MAX_NAMED);
        let named: Vec<&str> = named.map(String::as_str).collect();
        let more = if lost > MAX_NAMED { ", …" } else { "" };
        note(&format!(
            "{lost} of {all} models are missing: {}{more}",
            named.join(", ")
        ));
    }
    let far = &changes.changed_threefold;
    for change in far.iter().take(MAX_NAMED) {
        note(&format!(
            "{}: {} was {} and is {}",
            change.model,
            change.field.name(),
            change.old,
            change.new
        ));
    }
    if far.len() > MAX_NAMED {
        note(&format!("and {} more prices", far.len() - MAX_NAMED));
    }
}

/// Replaces a file in one step, so that nobody reads half of it.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary: PathBuf = path.with_file_name(name);
    let written = std::fs::File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    written.with_context(|| {
        // What was written of it is of no use.
        let _ = std::fs::remove_file(&temporary);
        format!("cannot write \"{}\"", path.display())
    })
}
