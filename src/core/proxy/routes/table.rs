//! The table of endpoints, one line each.

use super::{
    Body::{self, Any, Form, Json, JsonAskingUsage, OptionalJson, Plain, Socket},
    Endpoint,
    Metering::{self, AsReported, Free, Images, Input, Text},
    ObjectEffect::{
        self, Batch, Chat, Forgotten, Items, Listed, Made, Nothing, Response, UploadedFile,
    },
};
use crate::model::ObjectKind;

// Each has one line, whatever its length.
#[rustfmt::skip]
pub(super) const ENDPOINTS: [Endpoint; 19] = [
    line("POST", "/v1/chat/completions", JsonAskingUsage, Text, Chat),
    line("POST", "/v1/completions", JsonAskingUsage, Text, Nothing),
    line("POST", "/v1/responses", Json, Text, Response),
    line("POST", "/v1/responses/input_tokens", Json, Free, Nothing),
    line("POST", "/v1/responses/compact", Json, Text, Response),
    line("POST", "/v1/embeddings", Json, Input, Nothing),
    line("POST", "/v1/moderations", Json, AsReported, Nothing),
    line("POST", "/v1/content_provenance_checks", Form, Free, Nothing),
    line("POST", "/v1/images/generations", Json, Images, Nothing),
    line("POST", "/v1/images/edits", Form, Images, Nothing),
    line("POST", "/v1/images/variations", Form, Images, Nothing),
    line("POST", "/v1/audio/speech", Json, Input, Nothing),
    line("POST", "/v1/audio/transcriptions", Form, AsReported, Nothing),
    line("POST", "/v1/audio/translations", Form, AsReported, Nothing),
    // This is Anthropic's API, which vLLM, llama.cpp and gateways serve too.
    line("POST", "/v1/messages", Json, Text, Nothing),
    line("POST", "/v1/messages/count_tokens", Json, Free, Nothing),
    line("GET", "/v1/realtime", Socket, AsReported, Nothing),
    line("GET", "/v1/models", Plain, Free, Nothing),
    line("GET", "/v1/models/*", Plain, Free, Nothing),
];

/// Endpoints that are served with `STATEFUL_ENDPOINTS=private`. A segment in braces is the id of
/// the caller's own object, or, if the braces are empty, of a part of the object before it. In the
/// order of lines, a path with a literal segment comes before one with an id in its place.
#[rustfmt::skip]
pub(super) const STATEFUL: [Endpoint; 65] = [
    line("GET", "/v1/chat/completions", Plain, Free, Listed(ObjectKind::ChatCompletion)),
    line("GET", "/v1/chat/completions/{chat_completion}", Plain, Free, Nothing),
    line("POST", "/v1/chat/completions/{chat_completion}", OptionalJson, Free, Nothing),
    line("DELETE", "/v1/chat/completions/{chat_completion}", Plain, Free, Forgotten),
    line("GET", "/v1/chat/completions/{chat_completion}/messages", Plain, Free, Nothing),
    line("GET", "/v1/responses/{response}", Plain, Free, Response),
    line("DELETE", "/v1/responses/{response}", Plain, Free, Forgotten),
    line("POST", "/v1/responses/{response}/cancel", Plain, Free, Response),
    line("GET", "/v1/responses/{response}/input_items", Plain, Free, Items),
    line("POST", "/v1/conversations", OptionalJson, Free, Made(ObjectKind::Conversation)),
    line("GET", "/v1/conversations/{conversation}", Plain, Free, Nothing),
    line("POST", "/v1/conversations/{conversation}", OptionalJson, Free, Nothing),
    line("DELETE", "/v1/conversations/{conversation}", Plain, Free, Forgotten),
    line("POST", "/v1/conversations/{conversation}/items", Json, Free, Items),
    line("GET", "/v1/conversations/{conversation}/items", Plain, Free, Items),
    line("GET", "/v1/conversations/{conversation}/items/{}", Plain, Free, Nothing),
    line("DELETE", "/v1/conversations/{conversation}/items/{}", Plain, Free, Nothing),
    line("POST", "/v1/files", Form, Free, Made(ObjectKind::File)),
    line("GET", "/v1/files", Plain, Free, Listed(ObjectKind::File)),
    line("GET", "/v1/files/{file}", Plain, Free, Nothing),
    line("DELETE", "/v1/files/{file}", Plain, Free, Forgotten),
    line("GET", "/v1/files/{file}/content", Plain, Free, Nothing),
    line("POST", "/v1/batches", Json, Free, Batch),
    line("GET", "/v1/batches", Plain, Free, Listed(ObjectKind::Batch)),
    line("GET", "/v1/batches/{batch}", Plain, Free, Batch),
    line("POST", "/v1/batches/{batch}/cancel", Plain, Free, Batch),
    line("POST", "/v1/vector_stores", OptionalJson, Free, Made(ObjectKind::VectorStore)),
    line("GET", "/v1/vector_stores", Plain, Free, Listed(ObjectKind::VectorStore)),
    line("GET", "/v1/vector_stores/{vector_store}", Plain, Free, Nothing),
    line("POST", "/v1/vector_stores/{vector_store}", OptionalJson, Free, Nothing),
    line("DELETE", "/v1/vector_stores/{vector_store}", Plain, Free, Forgotten),
    line("POST", "/v1/vector_stores/{vector_store}/search", Json, Free, Nothing),
    line("POST", "/v1/vector_stores/{vector_store}/files", Json, Free, Nothing),
    line("GET", "/v1/vector_stores/{vector_store}/files", Plain, Free, Nothing),
    line("GET", "/v1/vector_stores/{vector_store}/files/{file}", Plain, Free, Nothing),
    line("POST", "/v1/vector_stores/{vector_store}/files/{file}", OptionalJson, Free, Nothing),
    line("DELETE", "/v1/vector_stores/{vector_store}/files/{file}", Plain, Free, Nothing),
    line("GET", "/v1/vector_stores/{vector_store}/files/{file}/content", Plain, Free, Nothing),
    line("POST", "/v1/vector_stores/{vector_store}/file_batches", Json, Free, Nothing),
    line("GET", "/v1/vector_stores/{vector_store}/file_batches/{}", Plain, Free, Nothing),
    line("POST", "/v1/vector_stores/{vector_store}/file_batches/{}/cancel", Plain, Free, Nothing),
    line("GET", "/v1/vector_stores/{vector_store}/file_batches/{}/files", Plain, Free, Nothing),
    line("POST", "/v1/uploads", Json, Free, Made(ObjectKind::Upload)),
    line("POST", "/v1/uploads/{upload}/parts", Form, Free, Made(ObjectKind::Part)),
    line("POST", "/v1/uploads/{upload}/complete", Json, Free, UploadedFile),
    line("POST", "/v1/uploads/{upload}/cancel", Plain, Free, Nothing),
    line("POST", "/v1/containers", Json, Free, Made(ObjectKind::Container)),
    line("GET", "/v1/containers", Plain, Free, Listed(ObjectKind::Container)),
    line("GET", "/v1/containers/{container}", Plain, Free, Nothing),
    line("DELETE", "/v1/containers/{container}", Plain, Free, Forgotten),
    line("POST", "/v1/containers/{container}/files", Form, Free, Nothing),
    line("GET", "/v1/containers/{container}/files", Plain, Free, Nothing),
    line("GET", "/v1/containers/{container}/files/{}", Plain, Free, Nothing),
    line("DELETE", "/v1/containers/{container}/files/{}", Plain, Free, Nothing),
    line("GET", "/v1/containers/{container}/files/{}/content", Plain, Free, Nothing),
    line("POST", "/v1/videos", Form, AsReported, Made(ObjectKind::Video)),
    line("GET", "/v1/videos", Plain, Free, Listed(ObjectKind::Video)),
    line("POST", "/v1/videos/edits", Form, AsReported, Made(ObjectKind::Video)),
    line("POST", "/v1/videos/extensions", Form, AsReported, Made(ObjectKind::Video)),
    line("POST", "/v1/videos/characters", Form, AsReported, Made(ObjectKind::Character)),
    line("GET", "/v1/videos/characters/{character}", Plain, Free, Nothing),
    line("POST", "/v1/videos/{video}/remix", Form, AsReported, Made(ObjectKind::Video)),
    line("GET", "/v1/videos/{video}", Plain, Free, Nothing),
    line("DELETE", "/v1/videos/{video}", Plain, Free, Forgotten),
    line("GET", "/v1/videos/{video}/content", Plain, Free, Nothing),
];

/// Paths that no setting opens: they hand out credentials that go around this proxy, or hold what
/// the users of a shared key would see of each other. A `*` at the end stands for any rest that
/// begins a new segment, or none. [`STATEFUL`] is searched first.
pub(super) const CLOSED: [&str; 21] = [
    "/organization*",
    "/projects*",
    "/chatkit*",
    "/realtime/*",
    "/messages/*",
    "/responses/*",
    "/chat/completions/*",
    "/conversations*",
    "/files*",
    "/uploads*",
    "/batches*",
    "/vector_stores*",
    "/containers*",
    "/videos*",
    "/skills*",
    "/evals*",
    "/fine_tuning*",
    "/assistants*",
    "/threads*",
    "/audio/voices*",
    "/audio/voice_consents*",
];

/// Lists of what all users have stored. They are closed, although a POST to the same path is
/// served. OpenAI's API reference has no list of responses; if a backend has one, it lists those of
/// all users.
pub(super) const CLOSED_LISTS: [&str; 2] = ["/chat/completions", "/responses"];

const fn line(
    method: &'static str,
    path: &'static str,
    body: Body,
    metering: Metering,
    effect: ObjectEffect,
) -> Endpoint {
    Endpoint {
        path,
        body,
        metering,
        effect,
        method,
    }
}

/// Makes an endpoint of the operator's own, with any method.
pub(super) const fn extra(path: &'static str) -> Endpoint {
    line("*", path, Any, AsReported, Nothing)
}
