//! Operations on groups.

use serde::{Deserialize, Serialize};

use super::{
    AdminContext, AdminError, Member, Method, Operation,
    fields::{required, user_name},
    limit_changes::{LimitChanges, with_limits},
};
use crate::model::LimitScope;
use crate::store::{
    groups::{self, GroupEntry, GroupList},
    users::{self, UserEntry, UserFilter},
};

/// Makes a group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct AddGroup {
    pub name: Option<String>,
}

/// Lists all groups.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ListGroups {}

/// Shows a group with its users.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ShowGroup {
    pub name: Option<String>,
}

/// A group with its users.
#[derive(Debug, Serialize, Deserialize)]
pub struct GroupWithUsers {
    pub group: GroupEntry,
    pub users: Vec<UserEntry>,
}

/// Takes users into a group and out of it, all or none; sets limits that they share.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SetGroup {
    pub name: Option<String>,
    #[serde(default)]
    pub add: Vec<String>,
    #[serde(default)]
    pub remove: Vec<String>,
    #[serde(flatten)]
    pub limits: LimitChanges,
}

/// Gives a group another name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RenameGroup {
    pub name: Option<String>,
    pub new_name: Option<String>,
}

/// Deletes a group. Its users stay, without a group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct DeleteGroup {
    pub name: Option<String>,
}

impl Operation for AddGroup {
    type Answer = GroupEntry;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/add_group";
    const MEMBERS: &'static [Member] = &[Member::text("name")];

    fn run(self, context: &AdminContext) -> Result<GroupEntry, AdminError> {
        let name = user_name("name", &required("name", self.name)?)?;
        Ok(groups::add(&mut *context.connection()?, &name)?)
    }
}

impl Operation for ListGroups {
    type Answer = GroupList;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/list_groups";
    const MEMBERS: &'static [Member] = &[];

    fn run(self, context: &AdminContext) -> Result<GroupList, AdminError> {
        let groups = groups::list(&*context.connection()?)?;
        Ok(GroupList { groups })
    }
}

impl Operation for ShowGroup {
    type Answer = GroupWithUsers;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/show_group";
    const MEMBERS: &'static [Member] = &[Member::text("name")];

    fn run(self, context: &AdminContext) -> Result<GroupWithUsers, AdminError> {
        let name = required("name", self.name)?;
        with_users(context, &name)
    }
}

impl Operation for SetGroup {
    type Answer = GroupWithUsers;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/set_group";
    const MEMBERS: &'static [Member] = with_limits![
        Member::text("name"),
        Member::list("add"),
        Member::list("remove"),
    ];

    fn run(self, context: &AdminContext) -> Result<GroupWithUsers, AdminError> {
        let name = required("name", self.name)?;
        if self.add.is_empty() && self.remove.is_empty() && self.limits.is_empty() {
            let message = "add or remove is missing, and no limit is given";
            return Err(AdminError::field("add", message));
        }
        // A limit that cannot be read leaves the users as they were.
        self.limits.parse(&context.calendar)?;
        let mut connection = context.connection()?;
        if !self.add.is_empty() || !self.remove.is_empty() {
            users::move_all(&mut connection, &name, &self.add, &self.remove)?;
        }
        if !self.limits.is_empty() {
            let scope = LimitScope::Group(groups::find(&connection, &name)?);
            self.limits
                .apply(&mut connection, scope, &context.calendar)?;
        }
        with_users(context, &name)
    }
}

impl Operation for RenameGroup {
    type Answer = GroupEntry;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/rename_group";
    const MEMBERS: &'static [Member] = &[Member::text("name"), Member::text("new_name")];

    fn run(self, context: &AdminContext) -> Result<GroupEntry, AdminError> {
        let name = required("name", self.name)?;
        let new = user_name("new_name", &required("new_name", self.new_name)?)?;
        Ok(groups::rename(&mut *context.connection()?, &name, &new)?)
    }
}

impl Operation for DeleteGroup {
    type Answer = GroupEntry;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/delete_group";
    const MEMBERS: &'static [Member] = &[Member::text("name")];

    fn run(self, context: &AdminContext) -> Result<GroupEntry, AdminError> {
        let name = required("name", self.name)?;
        Ok(groups::delete(&mut *context.connection()?, &name)?)
    }
}

fn with_users(context: &AdminContext, name: &str) -> Result<GroupWithUsers, AdminError> {
    let connection = context.connection()?;
    let group = groups::entry(&connection, name)?;
    let filter = UserFilter {
        group: Some(group.name.clone()),
        is_inactive: false,
    };
    let users = users::list(&connection, &filter)?;
    Ok(GroupWithUsers { group, users })
}
