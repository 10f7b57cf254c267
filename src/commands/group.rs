//! `llmproxy group …`: groups of users.

use clap::ArgMatches;

use super::{confirm, print, print_json, print_list, print_table, tables, target::Target};
use crate::{
    admin::{
        AddGroup, DeleteGroup, GroupWithUsers, ListGroups, ListLimits, RenameGroup, SetGroup,
        ShowGroup,
    },
    cli::people::{GroupArgs, GroupDeleteArgs, GroupRenameArgs, GroupSetArgs, ListArgs},
    config::env_file::Variables,
    store::IfMissing,
};

pub(super) fn add(
    args: &GroupArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Create)?;
    let group = target.run(AddGroup {
        name: Some(args.name.clone()),
    })?;
    if args.output.json {
        return print_json(&group);
    }
    print(&format!("group {:?} is made", group.name))
}

pub(super) fn list(
    args: &ListArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let list = target.run(ListGroups {})?;
    let listing = tables::groups(&list.groups);
    let if_empty = "no groups yet: make one with `llmproxy group add NAME`";
    print_list(&args.output, &list, &listing, if_empty)
}

pub(super) fn show(
    args: &GroupArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let shown = target.run(ShowGroup {
        name: Some(args.name.clone()),
    })?;
    print_group(&shown, args.output.json)
}

pub(super) fn set(
    args: &GroupSetArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let changed = target.run(SetGroup {
        name: Some(args.name.clone()),
        add: args.add.clone(),
        remove: args.remove.clone(),
        limits: args.limits.changes(),
    })?;
    let changes_limits = !args.limits.changes().is_empty();
    let changes_users = !(args.add.is_empty() && args.remove.is_empty());
    if args.output.json || changes_users || !changes_limits {
        print_group(&changed, args.output.json)?;
    }
    if args.output.json || !changes_limits {
        return Ok(());
    }
    let list = target.run(ListLimits {
        username: None,
        group: Some(changed.group.name.clone()),
    })?;
    if list.limits.is_empty() {
        return print("the group has no limits");
    }
    print_table(&tables::limits(&list.limits))
}

pub(super) fn rename(
    args: &GroupRenameArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let group = target.run(RenameGroup {
        name: Some(args.old.clone()),
        new_name: Some(args.new.clone()),
    })?;
    if args.output.json {
        return print_json(&group);
    }
    print(&format!("{:?} is called {:?} now", args.old, group.name))
}

pub(super) fn delete(
    args: &GroupDeleteArgs,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let target = Target::open(&args.target, matches, variables, IfMissing::Refuse)?;
    let shown = target.run(ShowGroup {
        name: Some(args.name.clone()),
    })?;
    let (name, users) = (&shown.group.name, shown.group.users);
    confirm(
        args.yes,
        &format!("Delete group {name:?}? Its {users} users stay, without a group."),
    )?;
    let deleted = target.run(DeleteGroup {
        name: Some(name.clone()),
    })?;
    if args.output.json {
        return print_json(&deleted);
    }
    print(&format!("group {name:?} is deleted"))
}

fn print_group(shown: &GroupWithUsers, is_json: bool) -> anyhow::Result<()> {
    if is_json {
        return print_json(shown);
    }
    print_table(&tables::groups(std::slice::from_ref(&shown.group)))?;
    if shown.users.is_empty() {
        return print("no users are in it");
    }
    print_table(&tables::users(&shown.users))
}
