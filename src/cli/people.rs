//! The commands on users, keys and groups.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{
    limits::LimitArgs,
    output::{ListOutputArgs, OutputArgs},
};
use crate::config::TargetSettings;

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add users and print their new keys
    ///
    /// The key of one user is printed in a table on a terminal, and alone in a pipe. The keys of
    /// several users are printed as CSV in a pipe.
    #[command(after_long_help = USER_ADD_EXAMPLES)]
    Add(Box<UserAddArgs>),

    /// List users with masked keys
    #[command(after_long_help = USER_LIST_EXAMPLES)]
    List(UserListArgs),

    /// Show a user with all keys
    Show(UserArgs),

    /// Put a user into a group, or out of any; set limits
    #[command(after_long_help = USER_SET_EXAMPLES)]
    Set(Box<UserSetArgs>),

    /// Give a user another name
    ///
    /// Keys and usage stay the user's.
    Rename(UserRenameArgs),

    /// Delete a user for good
    ///
    /// All keys stop at once, and the name is free again. The usage stays booked under the name and
    /// is marked as that of a deleted user in reports. To stop a user for a while, use `forbid`.
    Delete(DeleteArgs),

    /// Give a user a new key in the place of the old one
    ///
    /// Without --grace the old key stops at once. If the user has several keys, the newest is
    /// replaced, or the one of --key-id. Label and end of the old key are the new one's.
    #[command(after_long_help = USER_ROTATE_EXAMPLES)]
    Rotate(Box<UserRotateArgs>),

    /// Stop all keys of a user at once
    ///
    /// The user and the usage so far stay in the database. It is no error to forbid a user twice.
    #[command(after_long_help = USER_FORBID_EXAMPLES)]
    Forbid(UserAccessArgs),

    /// Allow a forbidden user's keys again
    #[command(after_long_help = USER_ALLOW_EXAMPLES)]
    Allow(UserAccessArgs),

    /// Replace all stored keys by their hashes, which cannot be undone
    ///
    /// All keys go on working, but they cannot be shown again: lists show their first and last
    /// characters. New keys are hashed, too, and shown only when they are made. Older backups still
    /// contain the keys.
    #[command(after_long_help = USER_HASH_KEYS_EXAMPLES)]
    HashKeys(HashKeysArgs),
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Give a user a further key and print it
    #[command(after_long_help = KEY_ADD_EXAMPLES)]
    Add(Box<KeyAddArgs>),

    /// List keys with their ids, masked
    List(KeyListArgs),

    /// Change label or end of a key
    #[command(after_long_help = KEY_SET_EXAMPLES)]
    Set(KeySetArgs),

    /// Stop one key for good
    ///
    /// The user's other keys go on working. It is no error to revoke a key twice.
    #[command(after_long_help = KEY_REVOKE_EXAMPLES)]
    Revoke(KeyArgs),
}

#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a group
    Add(GroupArgs),

    /// List all groups with the number of their users
    List(ListArgs),

    /// Show a group with its users
    Show(GroupArgs),

    /// Take users into a group, or out of it; set limits that they share
    #[command(after_long_help = GROUP_SET_EXAMPLES)]
    Set(Box<GroupSetArgs>),

    /// Give a group another name
    Rename(GroupRenameArgs),

    /// Delete a group; its users stay
    Delete(GroupDeleteArgs),
}

#[derive(Debug, Args)]
pub struct UserAddArgs {
    /// Names of the new users: 1 to 128 characters each
    #[arg(value_name = "NAME", required_unless_present = "from", value_hint = ValueHint::Other)]
    pub names: Vec<String>,

    /// Add the users of a CSV file: all or none
    ///
    /// The header line names the columns: name, and any of group, label, key, expires and the limits,
    /// such as budget or requests_per_minute. Several budgets are separated by `;`. `-` reads standard
    /// input. The new keys are printed as CSV.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["names", "key", "group", "expires", "label", "budget", "requests_per_minute", "tokens_per_minute", "concurrent", "models", "deny_models", "max_output_tokens", "weight", "unpriced", "watch", "extra", "until"], value_hint = ValueHint::FilePath)]
    pub from: Option<PathBuf>,

    /// Write the new keys into a new file that only you can read, instead of printing them
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub keys_to: Option<PathBuf>,

    /// Put the users into this group
    #[arg(long, value_name = "GROUP", value_hint = ValueHint::Other)]
    pub group: Option<String>,

    #[command(flatten)]
    pub options: KeyOptionArgs,

    #[command(flatten)]
    pub limits: LimitArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

/// What a new key is told.
#[derive(Debug, Args)]
pub struct KeyOptionArgs {
    /// Use this key instead of a random one; `-` reads it from standard input
    ///
    /// At least 20 printable ASCII characters. Other users of the machine can see arguments.
    #[arg(long, value_name = "KEY", value_hint = ValueHint::Other)]
    pub key: Option<String>,

    /// Note what the key is for
    #[arg(long, value_name = "TEXT", value_hint = ValueHint::Other)]
    pub label: Option<String>,

    /// Let the key expire after a time such as 90d, or at a date such as 2027-03-31
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub expires: Option<String>,
}

#[derive(Debug, Args)]
pub struct UserListArgs {
    /// Show only users who are in this group
    #[arg(long, value_name = "GROUP", value_hint = ValueHint::Other)]
    pub group: Option<String>,

    /// Show only users who cannot use the proxy: forbidden, or without a key that works
    #[arg(long)]
    pub inactive: bool,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct UserArgs {
    /// Name of the user, or one of the keys
    #[arg(value_name = "NAME", value_hint = ValueHint::Other)]
    pub name: String,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct UserSetArgs {
    /// Name of the user
    #[arg(value_name = "NAME", value_hint = ValueHint::Other)]
    pub name: String,

    /// Put the user into this group
    #[arg(long, value_name = "GROUP", value_hint = ValueHint::Other)]
    pub group: Option<String>,

    /// Take the user out of the group
    #[arg(long, conflicts_with = "group")]
    pub no_group: bool,

    #[command(flatten)]
    pub limits: LimitArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct UserRenameArgs {
    /// Name of the user
    #[arg(value_name = "OLD", value_hint = ValueHint::Other)]
    pub old: String,

    /// The new name: 1 to 128 characters
    #[arg(value_name = "NEW", value_hint = ValueHint::Other)]
    pub new: String,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Name of the user
    #[arg(value_name = "NAME", value_hint = ValueHint::Other)]
    pub name: String,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct UserRotateArgs {
    /// Name of the user, or the key that is to be replaced
    #[arg(value_name = "NAME|KEY", value_hint = ValueHint::Other)]
    pub name: String,

    /// Let the old key work on for a time such as 24h
    #[arg(long, value_name = "TIME", default_value = "0", value_hint = ValueHint::Other)]
    pub grace: String,

    /// Replace the key with this id; `llmproxy key list NAME` shows ids
    #[arg(long, value_name = "ID", value_hint = ValueHint::Other)]
    pub key_id: Option<i64>,

    #[command(flatten)]
    pub options: KeyOptionArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct UserAccessArgs {
    /// Name of the user, or one of the keys
    #[arg(value_name = "NAME|KEY", value_hint = ValueHint::Other)]
    pub who: String,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct HashKeysArgs {
    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct KeyAddArgs {
    /// Name of the user
    #[arg(value_name = "NAME", value_hint = ValueHint::Other)]
    pub name: String,

    #[command(flatten)]
    pub options: KeyOptionArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct KeyListArgs {
    /// Show only this user's keys
    #[arg(value_name = "NAME", value_hint = ValueHint::Other)]
    pub name: Option<String>,

    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct KeySetArgs {
    /// The key's id, or the key itself
    #[arg(value_name = "ID|KEY", value_hint = ValueHint::Other)]
    pub key: String,

    /// Note what the key is for; an empty text removes the note
    #[arg(long, value_name = "TEXT", required_unless_present = "expires", value_hint = ValueHint::Other)]
    pub label: Option<String>,

    /// Let the key expire after a time such as 90d, or at a date; `never` removes the end
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    pub expires: Option<String>,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The key's id, or the key itself; `-` reads the key from standard input
    #[arg(value_name = "ID|KEY", value_hint = ValueHint::Other)]
    pub key: String,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub output: ListOutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct GroupArgs {
    /// Name of the group
    #[arg(value_name = "NAME", value_hint = ValueHint::Other)]
    pub name: String,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct GroupSetArgs {
    /// Name of the group
    #[arg(value_name = "NAME", value_hint = ValueHint::Other)]
    pub name: String,

    /// Take this user into the group; may be given several times
    #[arg(long, value_name = "USER", value_hint = ValueHint::Other)]
    pub add: Vec<String>,

    /// Take this user out of the group; may be given several times
    #[arg(long, value_name = "USER", value_hint = ValueHint::Other)]
    pub remove: Vec<String>,

    #[command(flatten)]
    pub limits: LimitArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct GroupRenameArgs {
    /// Name of the group
    #[arg(value_name = "OLD", value_hint = ValueHint::Other)]
    pub old: String,

    /// The new name: 1 to 128 characters
    #[arg(value_name = "NEW", value_hint = ValueHint::Other)]
    pub new: String,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

#[derive(Debug, Args)]
pub struct GroupDeleteArgs {
    /// Name of the group
    #[arg(value_name = "NAME", value_hint = ValueHint::Other)]
    pub name: String,

    /// Do not ask
    #[arg(long)]
    pub yes: bool,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub target: TargetSettings,
}

pub(super) const USER_EXAMPLES: &str = "\
Examples:
  llmproxy user add alice
  llmproxy user rotate alice --grace 24h
  llmproxy user forbid alice";

const USER_LIST_EXAMPLES: &str = "\
Examples:
  llmproxy user list
  llmproxy user list --group course-7 --csv
  llmproxy user list --json --database-url sqlite:////var/lib/llmproxy/llm_proxy.db";

const USER_SET_EXAMPLES: &str = "\
Examples:
  llmproxy user set alice --group course-7
  llmproxy user set alice --budget 20usd/month --requests-per-minute 60
  llmproxy user set alice --extra 10usd --until 2026-12-31
  llmproxy user set alice --no-group";

const USER_ROTATE_EXAMPLES: &str = "\
Examples:
  llmproxy user rotate alice
  llmproxy user rotate alice --grace 24h
  KEY=$(llmproxy user rotate alice --key-id 12)";

const USER_FORBID_EXAMPLES: &str = "\
Examples:
  llmproxy user forbid alice
  llmproxy user forbid llmp-...";

const USER_ALLOW_EXAMPLES: &str = "\
Examples:
  llmproxy user allow alice";

const USER_HASH_KEYS_EXAMPLES: &str = "\
Examples:
  llmproxy user hash-keys";

const USER_ADD_EXAMPLES: &str = "\
Examples:
  llmproxy user add alice
  KEY=$(llmproxy user add alice)
  llmproxy user add alice bob --group course-7 --expires 2027-03-31
  llmproxy user add --from students.csv --keys-to keys.csv";

pub(super) const KEY_EXAMPLES: &str = "\
Examples:
  llmproxy key add alice --label laptop
  llmproxy key list alice
  llmproxy key revoke 12";

const KEY_ADD_EXAMPLES: &str = "\
Examples:
  llmproxy key add alice --label laptop
  KEY=$(llmproxy key add alice --expires 90d)";

const KEY_SET_EXAMPLES: &str = "\
Examples:
  llmproxy key set 12 --label 'old laptop'
  llmproxy key set 12 --expires 30d
  llmproxy key set 12 --expires never";

const KEY_REVOKE_EXAMPLES: &str = "\
Examples:
  llmproxy key revoke 12
  llmproxy key revoke - < leaked-key.txt";

pub(super) const GROUP_EXAMPLES: &str = "\
Examples:
  llmproxy group add course-7
  llmproxy group set course-7 --add alice --add bob
  llmproxy costs --month --by group";

const GROUP_SET_EXAMPLES: &str = "\
Examples:
  llmproxy group set course-7 --add alice --add bob
  llmproxy group set course-7 --budget 500usd/total
  llmproxy group set course-7 --remove alice";
