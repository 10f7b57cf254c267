//! The endpoints that are served: which one a request is for, and how its body and its answer are
//! treated.

mod path;
mod table;
#[cfg(test)]
mod tests;

use actix_web::http::Method;
use smallvec::SmallVec;

use super::error::ApiError;
use crate::{
    model::ObjectKind,
    usage::{Content, Dialect, is_id},
};

use path::{as_read_carelessly, is_below, is_unambiguous};
use table::{CLOSED, CLOSED_LISTS, ENDPOINTS, STATEFUL};

pub const CHAT: &str = "/v1/chat/completions";
pub const MODELS: &str = "/v1/models";
/// Paths of the two endpoints whose objects may use their tokens later.
pub const RESPONSES: &str = "/v1/responses";
pub const BATCHES: &str = "/v1/batches";

/// One served endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The path, which is also the name in the ledger. A final `*` stands for any rest, a segment
    /// in braces for an id.
    pub path: &'static str,
    pub body: Body,
    pub metering: Metering,
    pub effect: ObjectEffect,
    /// The method; `*` is any.
    method: &'static str,
}

/// Ways to treat a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// There is none, or nothing in it matters here.
    Plain,
    /// JSON that is looked into.
    Json,
    /// JSON that is looked into, or no body.
    OptionalJson,
    /// JSON that is looked into; a streamed request is made to ask for usage.
    JsonAskingUsage,
    /// A form with files, which passes as it comes and is looked into on its way. JSON is accepted
    /// too.
    Form,
    /// Any body, for a backend of the operator's own.
    Any,
    /// A WebSocket.
    Socket,
}

/// Ways to book an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metering {
    /// The answer uses no tokens and gets no row.
    Free,
    /// Input and output are text: they are estimated if the backend reports no usage.
    Text,
    /// Only the input is text: it is estimated if the backend reports no usage.
    Input,
    /// The usage is what the backend reports, and nothing else.
    AsReported,
    /// The usage is what the backend reports, and images are counted.
    Images,
}

/// Effects of an answer on stored objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectEffect {
    Nothing,
    /// The answer's `id` is a new object.
    Made(ObjectKind),
    /// The answer is a response, new or looked at again. Its items and containers are remembered
    /// too, and what it used if it ran in the background.
    Response,
    /// The answer is a batch, new or looked at again. The files that it wrote are remembered too,
    /// and what it used.
    Batch,
    /// The answer has new items of a conversation.
    Items,
    /// The answer is a chat's. It and its audio are remembered if the request asks for them.
    Chat,
    /// The answer is an upload that became a file.
    UploadedFile,
    /// The answer is a list, of which the caller's own objects are shown only.
    Listed(ObjectKind),
    /// The object of the path is deleted.
    Forgotten,
}

/// Whether objects that users store at the backend can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stateful {
    Off,
    /// Stored objects are open to the user who stored them, and to no one else.
    #[default]
    Private,
}

/// The endpoint of a request, and the ids in its path that must be the caller's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route<'p> {
    pub endpoint: Endpoint,
    pub ids: Ids<'p>,
}

pub type Ids<'p> = SmallVec<[(ObjectKind, &'p str); 2]>;

/// The endpoints that this server serves.
#[derive(Debug, Default)]
pub struct Endpoints {
    extra: Vec<Endpoint>,
    stateful: Stateful,
}

/// Reasons why a path cannot be an extra endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraError {
    #[error("{0:?} is not a path such as /v1/rerank or /v1/score/*")]
    NoPath(String),
    #[error(
        "{0:?} stays closed: it hands out credentials, or holds what the users of a shared key have stored"
    )]
    Closed(String),
}

impl Endpoints {
    /// Reads a list of further paths, separated by commas or blanks. A `*` at the end of one stands
    /// for any rest.
    ///
    /// # Errors
    /// The first one that is no path, or that stays closed.
    pub fn with_extra(list: &str) -> Result<Self, ExtraError> {
        let paths = list
            .split([',', ' '])
            .map(str::trim)
            .filter(|path| !path.is_empty());
        let extra = paths.map(|path| {
            let stem = path.strip_suffix('*').unwrap_or(path);
            let own = ["/admin", "/health", "/ready", "/metrics", "/page"];
            let is_path = stem.len() > 1
                && stem.starts_with('/')
                && !stem.contains(['*', '?', '#', '{', '}'])
                && stem.bytes().all(|byte| byte.is_ascii_graphic())
                && is_unambiguous(stem.strip_suffix('/').unwrap_or(stem))
                && !own.iter().any(|own| is_below(stem, own));
            if !is_path {
                return Err(ExtraError::NoPath(path.to_owned()));
            }
            if is_closed(stem.trim_end_matches('/')) {
                return Err(ExtraError::Closed(path.to_owned()));
            }
            // The path lives as long as the process, like the others.
            Ok(table::extra(Box::leak(path.to_owned().into_boxed_str())))
        });
        Ok(Self {
            extra: extra.collect::<Result<_, _>>()?,
            stateful: Stateful::default(),
        })
    }

    /// Opens or closes what users store at the backend.
    #[must_use]
    pub fn with_stateful(mut self, stateful: Stateful) -> Self {
        self.stateful = stateful;
        self
    }

    #[must_use]
    pub fn stateful(&self) -> Stateful {
        self.stateful
    }

    /// Returns whether the path or the answer of a request concerns stored objects; its body may do
    /// so besides.
    #[must_use]
    pub fn concerns_objects(&self, route: &Route<'_>) -> bool {
        let has_effect = !matches!(
            route.endpoint.effect,
            ObjectEffect::Nothing | ObjectEffect::Chat
        );
        (has_effect || !route.ids.is_empty()) && self.stateful == Stateful::Private
    }

    /// Finds the endpoint of a request by its path as it came.
    ///
    /// # Errors
    /// 404 for a path that is not served or could be read as another one, 405 for another method.
    pub fn find<'p>(&self, method: &Method, path: &'p str) -> Result<Route<'p>, ApiError> {
        let mut allowed = Vec::new();
        for endpoint in self.in_order() {
            let Some(ids) = endpoint.ids_in(path) else {
                continue;
            };
            if ![method.as_str(), "*"].contains(&endpoint.method) {
                allowed.push(endpoint.method);
                continue;
            }
            // One of our own paths in its exact spelling can be read in one way only, and its ids
            // too.
            let is_extra = endpoint.method == "*";
            if endpoint.path.ends_with('*') && !is_unambiguous(path)
                || is_extra && (is_closed(path) || is_closed_list(method, path))
            {
                continue;
            }
            let endpoint = *endpoint;
            return Ok(Route { endpoint, ids });
        }
        if !allowed.is_empty() && is_unambiguous(path) && !is_closed_list(method, path) {
            return Err(ApiError::method_not_allowed(allowed.join(", ")));
        }
        Err(self.not_served(method, path))
    }

    /// Returns all endpoints in the order in which they are looked for.
    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.in_order()
    }

    fn in_order(&self) -> impl Iterator<Item = &Endpoint> {
        let stateful = match self.stateful {
            Stateful::Off => &[][..],
            Stateful::Private => &STATEFUL[..],
        };
        ENDPOINTS.iter().chain(stateful).chain(&self.extra)
    }

    fn not_served(&self, method: &Method, path: &str) -> ApiError {
        let mut stem = path;
        while let Some(shorter) = ["/", "%2F", "%2f"]
            .iter()
            .find_map(|slash| stem.strip_suffix(slash))
        {
            stem = shorter;
        }
        if stem != path && ENDPOINTS.iter().any(|endpoint| endpoint.path == stem) {
            return ApiError::unknown_url(method.as_str(), path);
        }
        let is_stateful = STATEFUL
            .iter()
            .any(|endpoint| endpoint.ids_in(path).is_some());
        if is_stateful && self.stateful == Stateful::Off {
            return ApiError::closed(
                "This endpoint is closed: what is stored behind it would be shared by all users of this proxy. Its operator \
                 can open it, to each user's own objects, with STATEFUL_ENDPOINTS=private.",
            );
        }
        if is_closed(path) {
            return ApiError::closed(
                "This endpoint is closed: it hands out credentials, or holds what all users of this proxy would share.",
            );
        }
        if is_closed_list(method, path) {
            return ApiError::closed(
                "This list is closed: it would show what all users of this proxy have stored. If you meant to ask a model, send \
                 a POST request.",
            );
        }
        ApiError::unknown_url(method.as_str(), path)
    }
}

impl Endpoint {
    /// Returns the method; `*` is any.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Returns the caller's ids in a path, or `None` if the path is not one of this endpoint.
    fn ids_in<'p>(&self, path: &'p str) -> Option<Ids<'p>> {
        if let Some(prefix) = self.path.strip_suffix('*') {
            let rest = path.strip_prefix(prefix)?;
            return (!rest.is_empty()).then(Ids::new);
        }
        if !self.path.contains('{') {
            return (path == self.path).then(Ids::new);
        }
        let mut ids = Ids::new();
        let mut segments = path.split('/');
        for pattern in self.path.split('/') {
            let segment = segments.next()?;
            if !pattern.starts_with('{') {
                if segment != pattern {
                    return None;
                }
                continue;
            }
            if !is_id(segment) {
                return None;
            }
            let word = pattern.trim_matches(['{', '}']);
            ids.extend(ObjectKind::parse(word).map(|kind| (kind, segment)));
        }
        segments.next().is_none().then_some(ids)
    }

    /// Returns whether the path is that of one object itself, and not of its parts.
    #[must_use]
    pub fn is_of_object(&self) -> bool {
        self.path.ends_with('}') && self.path.matches('{').count() == 1
    }

    /// Returns the kind of objects that the cursor of a list below an object must be, if it is
    /// known who owns them.
    #[must_use]
    pub fn cursor_kind(&self) -> Option<ObjectKind> {
        let last = self.path.rsplit('/').next()?;
        let is_list = self.is_list();
        match last {
            "items" | "input_items" if is_list => Some(ObjectKind::Item),
            "files" if is_list && self.path.starts_with("/v1/vector_stores/") => {
                Some(ObjectKind::File)
            }
            _ => None,
        }
    }

    /// Returns whether the answer is a list of stored objects, or of their parts.
    #[must_use]
    pub fn is_list(&self) -> bool {
        let is_of_parts = || {
            let last = self.path.rsplit('/').next().unwrap_or_default();
            self.path.contains('{')
                && matches!(last, "items" | "input_items" | "files" | "messages")
        };
        self.method == "GET" && (matches!(self.effect, ObjectEffect::Listed(_)) || is_of_parts())
    }

    /// Returns which names the usage objects of its answers have.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.path {
            CHAT | "/v1/completions" | "/v1/embeddings" | "/v1/moderations" => Dialect::Completions,
            "/v1/messages" => Dialect::Messages,
            _ if self.method == "*" => Dialect::Unknown,
            _ => Dialect::Responses,
        }
    }

    /// Returns what its tokens are of if the usage object does not say.
    #[must_use]
    pub fn content(&self) -> Content {
        match (self.path, self.metering) {
            ("/v1/audio/speech", _) => Content::AudioOutput,
            ("/v1/audio/transcriptions" | "/v1/audio/translations", _) => Content::AudioInput,
            (_, Metering::Images) => Content::ImageOutput,
            _ => Content::Text,
        }
    }

    /// Returns the names of the members by which a request limits its output, the preferred first.
    /// A backend of the operator's own may have any of them.
    #[must_use]
    pub fn output_limits(&self) -> &'static [&'static str] {
        match self.path {
            _ if self.body == Body::Any => {
                &["max_tokens", "max_completion_tokens", "max_output_tokens"]
            }
            _ if self.metering != Metering::Text => &[],
            CHAT => &["max_completion_tokens", "max_tokens"],
            "/v1/completions" | "/v1/messages" => &["max_tokens"],
            RESPONSES => &["max_output_tokens"],
            _ => &[],
        }
    }

    /// Returns the name of the member that is written into a request to limit its output, for an
    /// endpoint that is known to have one.
    #[must_use]
    pub fn own_output_limit(&self) -> Option<&'static str> {
        let is_known = self.body != Body::Any;
        self.output_limits().first().copied().filter(|_| is_known)
    }

    /// Returns whether its answers get rows.
    #[must_use]
    pub fn is_booked(&self) -> bool {
        self.metering != Metering::Free
    }
}

/// Returns whether a path stays closed, however a server may decode it.
fn is_closed(path: &str) -> bool {
    let plain = as_read_carelessly(path);
    let served = |path: &str| {
        let whole = format!("/v1{path}");
        ENDPOINTS.iter().any(|endpoint| endpoint.path == whole)
    };
    !served(&plain)
        && CLOSED.iter().any(|closed| match closed.strip_suffix("/*") {
            Some(stem) => plain != stem && is_below(&plain, stem),
            None => is_below(&plain, closed.trim_end_matches('*')),
        })
}

/// Returns whether a request is for a list that stays closed, however a server may decode its path.
fn is_closed_list(method: &Method, path: &str) -> bool {
    let reads = [Method::GET, Method::HEAD].contains(method);
    reads && CLOSED_LISTS.contains(&as_read_carelessly(path).as_str())
}
