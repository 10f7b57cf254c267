//! `llmproxy usage`: what a person has used who has only a key.

use clap::ArgMatches;
use serde_json::{Map, Value};

use super::{
    WrongUsage, costs,
    http::{self, HttpRequest},
    note, print, print_raw_list,
    tables::{self, CostLines},
};
use crate::{
    admin::Method, cli::money::UsageArgs, config::env_file::Variables, model::Dimension,
    server::OwnUsage,
};

pub(super) fn run(
    args: &UsageArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let by =
        Dimension::parse_list(&args.by).map_err(|error| WrongUsage(format!("--by: {error}")))?;
    let account = args.account.account(matches, variables)?;
    let mut members = Map::new();
    let window = serde_json::to_value(costs::window(&args.window))?;
    if let Value::Object(window) = window {
        members.extend(window);
    }
    members.insert("by".to_owned(), Value::from(args.by.clone()));
    let url = format!("{}/usage", account.base_url);
    let answer = http::send(HttpRequest {
        method: Method::Get,
        url: &url,
        bearer: Some(&account.key),
        members: Value::Object(members),
        extra_roots: account.extra_roots.as_deref(),
    })?;
    if args.output.json && answer.status.is_success() {
        return print(String::from_utf8_lossy(&answer.body).trim_end());
    }
    let usage: OwnUsage = answer.into_json(|refusal| WrongUsage(refusal.message).into())?;
    let name = usage.username.clone();
    let limits = usage.limits.clone();
    let lines = CostLines::of_split(usage.into_report(), &by);
    if lines.is_empty() && !args.output.csv {
        print(&format!("{name:?} used nothing in this period"))?;
    } else {
        let listing = lines.listing(None);
        print_raw_list(&args.output, &listing, &listing)?;
    }
    if !limits.is_empty() && !args.output.csv {
        let listing = tables::limits(&limits);
        print_raw_list(&args.output, &listing, &listing)?;
    }
    for (model, price) in &lines.priced_as {
        note(&format!(
            "{model} has no price of its own; that of {price} was taken"
        ));
    }
    Ok(())
}
