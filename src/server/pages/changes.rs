//! What an operator changes with a form. Each form is one operation of the admin API; the next page
//! says how it went.

use actix_web::HttpResponse;

use super::{
    Form, Visit,
    format::user_href,
    frame::sentence,
    guard,
    people::LIST,
    see_other,
    session::{Notice, Session},
};
use crate::{
    admin::{
        AllowKey, ForbidKey, GenerateKey, KeyOptions, LimitChanges, RotateKey, SetUser, UserOrKey,
    },
    model::Secret,
    proxy::error::ApiError,
};

pub(super) const ADD: &str = "/page/user/add";
const ROTATE: &str = "/page/user/rotate";
const FORBID: &str = "/page/user/forbid";
const ALLOW: &str = "/page/user/allow";
const BUDGET: &str = "/page/user/budget";
const NO_BUDGET: &str = "/page/user/no-budget";

/// Makes a change.
pub(super) async fn change(
    visit: &Visit,
    path: &str,
    form: &Form,
) -> Result<HttpResponse, ApiError> {
    let session = visit.operator()?;
    if !session.has_csrf(form.get("csrf").unwrap_or_default()) {
        return Err(guard::no_csrf());
    }
    let name = form.owned("name");
    let made = match path {
        ADD => add(visit, form, name.clone()).await,
        ROTATE => rotate(visit, form, name.clone()).await,
        FORBID => forbid(visit, name.clone()).await,
        ALLOW => allow(visit, name.clone()).await,
        BUDGET => match budget_text(form) {
            Some(budget) => set_budget(visit, form, name.clone(), budget).await,
            None => Ok(Notice::Failed("Enter an amount.".to_owned())),
        },
        NO_BUDGET => remove_budgets(visit, name.clone()).await,
        _ => return Err(ApiError::unknown_url("POST", path)),
    };
    let to = match (path, &name) {
        (ADD, _) | (_, None) => LIST.to_owned(),
        (_, Some(name)) => user_href(name),
    };
    finish(visit, session, made, &to)
}

/// Keeps the notice for the next page. What the operator can mend is said there; the rest is an error.
fn finish(
    visit: &Visit,
    session: &Session,
    made: Result<Notice, ApiError>,
    to: &str,
) -> Result<HttpResponse, ApiError> {
    let notice = match made {
        Ok(notice) => notice,
        Err(error) if error.status().is_client_error() => {
            Notice::Failed(sentence(&error.to_string()))
        }
        Err(error) => return Err(error),
    };
    visit.pages.sessions.set_notice(session, notice);
    Ok(see_other(to))
}

async fn add(visit: &Visit, form: &Form, name: Option<String>) -> Result<Notice, ApiError> {
    let added = visit
        .run(GenerateKey {
            username: Some(name.unwrap_or_default()),
            options: KeyOptions {
                expires: form.owned("expires"),
                ..KeyOptions::default()
            },
            group: form.owned("group"),
            limits: LimitChanges {
                budget: budget_text(form).into_iter().collect(),
                ..LimitChanges::default()
            },
        })
        .await?;
    Ok(Notice::NewKey {
        note: match &added.expires_at {
            Some(at) => format!("It works at once, until {at}."),
            None => "It works at once.".to_owned(),
        },
        username: added.username,
        key: Secret::new(added.api_key),
    })
}

async fn rotate(visit: &Visit, form: &Form, name: Option<String>) -> Result<Notice, ApiError> {
    let rotated = visit
        .run(RotateKey {
            username: name,
            grace: form.owned("grace"),
            ..RotateKey::default()
        })
        .await?;
    let old = match &rotated.replaced {
        None => "There was no other key.".to_owned(),
        Some(old) => match &old.expires_at {
            Some(at) if old.revoked_at.is_none() => format!("The old one works until {at}."),
            _ => "The old one has stopped.".to_owned(),
        },
    };
    Ok(Notice::NewKey {
        note: format!("It works at once. {old}"),
        username: rotated.new.username,
        key: Secret::new(rotated.new.api_key),
    })
}

fn of_name(username: Option<String>) -> UserOrKey {
    UserOrKey {
        username,
        api_key: None,
    }
}

async fn forbid(visit: &Visit, name: Option<String>) -> Result<Notice, ApiError> {
    let status = visit.run(ForbidKey(of_name(name))).await?;
    let name = status.username;
    Ok(Notice::Done(format!(
        "{name} is forbidden: all keys have stopped."
    )))
}

async fn allow(visit: &Visit, name: Option<String>) -> Result<Notice, ApiError> {
    let status = visit.run(AllowKey(of_name(name))).await?;
    let name = status.username;
    Ok(Notice::Done(format!(
        "{name} is allowed again: the keys work."
    )))
}

/// Returns the budget that a form has, as the command line takes it; `None` without an amount.
fn budget_text(form: &Form) -> Option<String> {
    let amount = form.get("amount")?;
    let (unit, window) = (form.get("unit")?, form.get("window")?);
    Some(format!("{amount}{unit}/{window}"))
}

async fn set_budget(
    visit: &Visit,
    form: &Form,
    name: Option<String>,
    budget: String,
) -> Result<Notice, ApiError> {
    let changes = LimitChanges {
        watch: form.get("watch").map(|_| true),
        budget: vec![budget.clone()],
        ..LimitChanges::default()
    };
    let user = set_limits(visit, name, changes).await?;
    Ok(Notice::Done(format!("The budget of {user} is {budget}.")))
}

async fn remove_budgets(visit: &Visit, name: Option<String>) -> Result<Notice, ApiError> {
    let changes = LimitChanges {
        budget: vec!["none".to_owned()],
        ..LimitChanges::default()
    };
    let user = set_limits(visit, name, changes).await?;
    Ok(Notice::Done(format!("{user} has no budget of their own.")))
}

async fn set_limits(
    visit: &Visit,
    username: Option<String>,
    limits: LimitChanges,
) -> Result<String, ApiError> {
    let user = visit
        .run(SetUser {
            username,
            group: None,
            limits,
        })
        .await?;
    Ok(user.username)
}
