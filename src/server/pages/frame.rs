//! What all pages have around their content, and pages that are sent in two parts.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::error::BlockingError;
use askama::Template;
use bytes::Bytes;
use futures_core::Stream;

use super::{
    PageError,
    assets::{ICON, SCRIPT, STYLE},
    session::{Notice, Session, Subject},
};
use crate::{
    admin::AdminContext,
    model::{RequestId, now_ms},
    proxy::error::ApiError,
    server::admin,
};

/// The page that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    SignIn,
    Overview,
    Users,
    User,
    Own,
    Error,
}

impl Place {
    fn title(self) -> &'static str {
        match self {
            Self::SignIn => "Sign in",
            Self::Overview => "Overview",
            Self::Users => "Users",
            Self::User => "User",
            Self::Own => "Your usage",
            Self::Error => "Not done",
        }
    }
}

/// The parts of a page before and after its content.
pub(super) struct Frame {
    head: String,
    foot: String,
}

#[derive(Template)]
#[template(path = "head.html")]
struct Head<'a> {
    place: Place,
    style: &'a str,
    script: &'a str,
    icon: &'a str,
    visitor: Option<Visitor<'a>>,
}

struct Visitor<'a> {
    name: &'a str,
    is_operator: bool,
    csrf: &'a str,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticeBox {
    notice: Notice,
}

#[derive(Template)]
#[template(path = "foot.html")]
struct Foot<'a> {
    zone: &'a str,
    now: String,
    version: &'a str,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorContent<'a> {
    title: &'a str,
    message: String,
    request_id: String,
}

impl Frame {
    pub(super) fn new(
        place: Place,
        session: Option<&Session>,
        notice: Option<Notice>,
        context: &AdminContext,
    ) -> Result<Self, ApiError> {
        let visitor = session.map(|session| Visitor {
            name: match &session.subject {
                Subject::Operator { .. } => "Operator",
                Subject::User(caller) => &caller.username,
            },
            is_operator: matches!(session.subject, Subject::Operator { .. }),
            csrf: &session.csrf,
        });
        let mut head = render(&Head {
            place,
            style: &STYLE.path,
            script: &SCRIPT.path,
            icon: &ICON.path,
            visitor,
        })?;
        let foot = render(&Foot {
            zone: context.calendar.zone_name(),
            now: context.calendar.clock_time(now_ms()),
            version: env!("CARGO_PKG_VERSION"),
        })?;
        let notice = notice.map(|notice| render(&NoticeBox { notice }));
        let main = format!(
            "<main id=\"main\">{}",
            notice.transpose()?.unwrap_or_default()
        );
        head.push_str(&main);
        Ok(Self { head, foot })
    }

    /// Returns the page with its content.
    pub(super) fn whole(self, content: &str) -> String {
        [&self.head, content, &self.foot].concat()
    }
}

/// Renders a template.
///
/// # Errors
/// 503 if there is a mistake in the template, which tests find.
pub(super) fn render(template: &impl Template) -> Result<String, ApiError> {
    template.render().map_err(|error| {
        log::error!("page: cannot be rendered: {error}");
        admin::unavailable()
    })
}

/// Returns the content of a page that says what went wrong.
pub(super) fn error(error: &ApiError, id: RequestId) -> Result<String, ApiError> {
    let title = match error.status().as_u16() {
        401 | 403 => "Not allowed",
        404 => "Not found",
        409 => "Not done: it is taken",
        400..=499 => "Not done",
        _ => "Not possible at the moment",
    };
    render(&ErrorContent {
        title,
        message: sentence(&error.to_string()),
        request_id: id.to_string(),
    })
}

/// Returns a message as a sentence: on a command line it stands behind the name of the program.
pub(super) fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    let mut sentence: String = first.chain(chars).collect();
    if !sentence.ends_with(['.', '?', '!']) {
        sentence.push('.');
    }
    sentence
}

/// A page whose frame is sent while its content is made.
pub(super) struct LatePage<W> {
    head: Option<String>,
    foot: String,
    work: Option<Pin<Box<W>>>,
}

impl<W> LatePage<W> {
    pub(super) fn new(frame: Frame, work: Pin<Box<W>>) -> Self {
        let loading = r#"<p class="loading" role="status">Reading the ledger …</p>"#;
        Self {
            head: Some(frame.head + loading),
            foot: frame.foot,
            work: Some(work),
        }
    }
}

impl<W> Stream for LatePage<W>
where
    W: Future<Output = Result<Result<String, PageError>, BlockingError>>,
{
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(head.into())));
        }
        let Some(work) = self.work.as_mut() else {
            return Poll::Ready(None);
        };
        let Poll::Ready(built) = work.as_mut().poll(context) else {
            return Poll::Pending;
        };
        self.work = None;
        let built = built.unwrap_or(Err(PageError::Api(admin::unavailable())));
        let content = built.or_else(|failure| error(&failure.into(), RequestId::new(now_ms())));
        let page = content.unwrap_or_default() + &self.foot;
        Poll::Ready(Some(Ok(page.into())))
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;

    /// Returns what is sent, each part as it is sent.
    async fn parts(built: Result<String, PageError>) -> Vec<String> {
        let frame = Frame {
            head: "<head>".to_owned(),
            foot: "<foot>".to_owned(),
        };
        let mut page = Box::pin(LatePage::new(frame, Box::pin(future::ready(Ok(built)))));
        let mut parts = Vec::new();
        while let Some(Ok(part)) = future::poll_fn(|context| page.as_mut().poll_next(context)).await
        {
            parts.push(String::from_utf8_lossy(&part).into_owned());
        }
        parts
    }

    #[tokio::test]
    async fn a_late_page_begins_with_its_frame_and_ends_whatever_happens() {
        let sent = parts(Ok("<figures>".to_owned())).await;
        assert!(sent[0].starts_with("<head>") && sent[0].contains("Reading the ledger"));
        assert_eq!(sent[1..], ["<figures><foot>"]);
        let sent = parts(Err(PageError::Api(admin::unavailable()))).await;
        assert_eq!(sent.len(), 2);
        assert!(sent[1].contains("Not possible at the moment"), "{sent:?}");
        assert!(sent[1].ends_with("<foot>"), "{sent:?}");
    }

    #[test]
    fn a_message_is_a_sentence() {
        assert_eq!(sentence("no user is called x"), "No user is called x.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence(""), ".");
    }
}
