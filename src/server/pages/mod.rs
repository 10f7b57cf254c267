//! What a browser sees: the operator's pages and a user's own page. The server makes all HTML and SVG;
//! one small script keeps the live figures up to date. Everything shown or changed is an operation of
//! [`crate::admin`], so that the page cannot differ from the admin API and the command line.

mod assets;
mod changes;
mod chart;
mod figures;
mod format;
mod frame;
mod guard;
mod limits;
mod overview;
mod own;
mod people;
mod session;
mod signing;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::BoxBody,
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    web,
};

use super::{AdminParts, admin};
use crate::{
    admin::{AdminContext, AdminError, Operation},
    model::{RequestId, now_ms},
    proxy::{
        accounting::access_log::{log_admin, peer_of},
        error::{ApiError, ErrorShape, name_request},
        request::payload,
        state::Worker,
    },
};
use figures::Figures;
use frame::{Frame, Place};
use session::{Session, Sessions, Subject};

/// The path of the first page, and what all others are below.
pub(super) const ROOT: &str = "/";
pub(super) const PREFIX: &str = "/page";
/// What the script asks for.
const LIVE: &str = "/page/live";
/// The longest form.
const MAX_FORM_BYTES: usize = 16 * 1024;
/// A page that takes longer is begun before its figures are there.
const QUICK: Duration = Duration::from_millis(60);

/// Headers of every answer. Nothing but what this server sends is loaded or run.
static HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    // Without any referrer, browsers would not say either where a form comes from.
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("same-origin"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// What the pages keep between requests; shared by all workers.
#[derive(Default)]
pub(super) struct Pages {
    sessions: Sessions,
    figures: Figures,
}

/// One request to a page.
struct Visit {
    request: HttpRequest,
    worker: web::Data<Worker>,
    parts: web::Data<AdminParts>,
    pages: web::Data<Pages>,
    session: Option<Session>,
}

/// Answers a request for a page.
pub(super) async fn handle(
    request: HttpRequest,
    mut payload: web::Payload,
    worker: web::Data<Worker>,
    parts: web::Data<AdminParts>,
    pages: web::Data<Pages>,
) -> HttpResponse {
    let id = RequestId::new(now_ms());
    let mut visit = Visit {
        request,
        worker,
        parts,
        pages,
        session: None,
    };
    visit.session = visit.find_session();
    let mut response = match visit.serve(&mut payload).await {
        Ok(response) => response,
        Err(error) => {
            if error.status() == StatusCode::UNAUTHORIZED {
                let peer = peer_of(&visit.request).address();
                visit.parts.throttle.slow_down(peer).await;
            }
            payload::drain_body(visit.request.headers(), &mut payload).await;
            error.log_cause(id);
            visit.error_page(&error, id)
        }
    };
    for (name, value) in &HEADERS {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    if !response.headers().contains_key(header::CACHE_CONTROL) {
        let no_store = HeaderValue::from_static("no-store");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, no_store);
    }
    name_request(&mut response, id);
    log_admin(&visit.request, &response, id);
    response
}

impl Visit {
    /// Returns the session of the request, unless it may not go on: an operator may need a token by
    /// now, and a key may be forbidden, revoked or expired.
    fn find_session(&self) -> Option<Session> {
        let id = guard::session_id(self.request.headers())?;
        let is_use = self.request.path() != LIVE;
        let session = self.pages.sessions.find(id, is_use, Instant::now())?;
        let goes_on = match &session.subject {
            Subject::Operator { by_token: true } => true,
            Subject::Operator { by_token: false } => self.parts.access.trusts(&self.request),
            Subject::User(caller) => self.worker.shared.admission.keys.still_allows(caller),
        };
        if !goes_on {
            self.pages.sessions.end(&session);
        }
        goes_on.then_some(session)
    }

    async fn serve(&self, payload: &mut web::Payload) -> Result<HttpResponse, ApiError> {
        let (method, path) = (self.request.method(), self.request.path());
        if *method == Method::GET || *method == Method::HEAD {
            if let Some(answer) = assets::answer(path) {
                return Ok(answer);
            }
            return match path {
                ROOT => match self.session.as_ref().map(|session| &session.subject) {
                    None => signing::form(self, StatusCode::OK, None),
                    Some(Subject::Operator { .. }) => overview::page(self).await,
                    Some(Subject::User(caller)) => own::page(self, Arc::clone(caller)).await,
                },
                LIVE if self.session.is_none() => Ok(HttpResponse::Unauthorized().finish()),
                LIVE => overview::live(self).await,
                people::LIST | format::USER if self.session.is_none() => Ok(see_other(ROOT)),
                people::LIST => people::list(self).await,
                format::USER => people::show(self).await,
                _ => Err(ApiError::unknown_url(method.as_str(), path)),
            };
        }
        if *method != Method::POST {
            return Err(ApiError::method_not_allowed("GET, HEAD, POST"));
        }
        let form = self.read_form(payload).await?;
        match path {
            signing::SIGN_IN => signing::sign_in(self, &form).await,
            signing::SIGN_OUT => signing::sign_out(self, &form),
            _ if self.session.is_none() => Ok(see_other(ROOT)),
            _ => changes::change(self, path, &form).await,
        }
    }

    /// Returns the session of an operator.
    ///
    /// # Errors
    /// 403 for a session of a user, or none.
    fn operator(&self) -> Result<&Session, ApiError> {
        let session = self.session.as_ref();
        let operator = |session: &&Session| matches!(session.subject, Subject::Operator { .. });
        session.filter(operator).ok_or_else(|| {
            ApiError::forbidden(
                "operators_only",
                "This page is for operators. Sign out, and sign in with the admin token.",
            )
        })
    }

    async fn read_form(&self, payload: &mut web::Payload) -> Result<Form, ApiError> {
        let headers = self.request.headers();
        guard::check_origin(headers)?;
        guard::check_form(headers)?;
        let body = payload::read_body(headers, payload, MAX_FORM_BYTES, |_| Ok(())).await?;
        let body = body.joined();
        let fields = url::form_urlencoded::parse(&body);
        Ok(Form(fields.into_owned().collect()))
    }

    /// Runs an operation on the blocking pool.
    ///
    /// # Errors
    /// That of the operation, as the admin API answers it.
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Answer, ApiError> {
        let context = self.parts.context.clone();
        match web::block(move || context.run(operation)).await {
            Ok(answered) => answered.map_err(admin::of_admin),
            Err(_) => Err(admin::unavailable()),
        }
    }

    /// Makes a page on the blocking pool. If that takes long, its frame goes out before.
    async fn page(
        &self,
        place: Place,
        build: impl FnOnce(&AdminContext, &Figures) -> Result<String, PageError> + Send + 'static,
    ) -> Result<HttpResponse, ApiError> {
        let head = self.frame(place)?;
        let context = self.parts.context.clone();
        let pages = Arc::clone(&self.pages);
        let mut work = Box::pin(web::block(move || build(&context, &pages.figures)));
        let mut html = HttpResponse::Ok();
        html.content_type("text/html; charset=utf-8");
        match tokio::time::timeout(QUICK, &mut work).await {
            Ok(built) => {
                let built = built.unwrap_or(Err(PageError::Api(admin::unavailable())));
                let content = built.map_err(ApiError::from)?;
                Ok(html.body(head.whole(&content)))
            }
            Err(_) => Ok(html.streaming(frame::LatePage::new(head, work))),
        }
    }

    /// Returns the frame of a page, with the notice that the session has for it.
    fn frame(&self, place: Place) -> Result<Frame, ApiError> {
        let notice = self
            .session
            .as_ref()
            .and_then(|session| self.pages.sessions.take_notice(session));
        Frame::new(place, self.session.as_ref(), notice, &self.parts.context)
    }

    /// Reads sums again for the next page, behind this one.
    fn refresh_figures(&self) {
        let context = self.parts.context.clone();
        let pages = Arc::clone(&self.pages);
        actix_web::rt::spawn(web::block(move || pages.figures.refresh(&context)));
    }

    /// Answers with a page that says what went wrong.
    fn error_page(&self, error: &ApiError, id: RequestId) -> HttpResponse {
        let frame = self.frame(Place::Error);
        let page = frame.and_then(|frame| Ok(frame.whole(&frame::error(error, id)?)));
        let page = page.unwrap_or_else(|_| error.to_string());
        let mut response = error.to_response(ErrorShape::OpenAi, id);
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, html);
        // People sign in with a form.
        response.headers_mut().remove(header::WWW_AUTHENTICATE);
        response.set_body(BoxBody::new(page))
    }
}

/// Why a page could not be made.
enum PageError {
    Api(ApiError),
    Admin(AdminError),
}

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<AdminError> for PageError {
    fn from(error: AdminError) -> Self {
        Self::Admin(error)
    }
}

impl From<PageError> for ApiError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Api(error) => error,
            PageError::Admin(error) => admin::of_admin(error),
        }
    }
}

/// The fields of a form.
struct Form(Vec<(String, String)>);

impl Form {
    /// Returns the value of a field, trimmed. `None` for a field that is missing or empty.
    fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let (_, value) = fields.find(|(known, _)| known == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }
}

/// Sends the browser to a page, with GET.
fn see_other(to: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, to))
        .finish()
}
