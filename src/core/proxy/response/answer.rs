//! The backend's answer becomes the client's. A short one is read to its end, booked and written in
//! one go; a stream, a long one or a slow one passes through the relay.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};
use bytes::Bytes;

use super::{
    WorkerStreams,
    relay::{DetachedReader, Relay},
};
use crate::proxy::{
    accounting::exchange::Exchange,
    backend::{Body, BodyError, Response},
    body::BytesCollector,
    error::{ANTHROPIC_REQUEST_ID, ApiError, REQUEST_ID, shortened},
    headers::keep_end_to_end,
    request::{
        media_type::{essence_of, is_json},
        prepare::Expected,
    },
};
use crate::{
    model::Outcome,
    usage::{Encoding, Meter, UsageOnlyEvents},
};

/// Length of what is kept of a backend's id of a request.
const MAX_REQUEST_ID_CHARS: usize = 200;
/// An answer up to this length is read to its end before it is passed on. One write for head and
/// body was measured to be 9 µs cheaper.
const MAX_COLLECTED_BYTES: usize = 1024 * 1024;
/// Longest wait for the rest of a short answer, from the backend's first pause on. Then what has
/// come is passed on, and the rest as it comes.
const MAX_WAIT: Duration = Duration::from_millis(20);

/// Makes the client's answer. `read_ahead` is what was read of the body before. `detached` reads on
/// if the client disconnects before the answer names its object.
pub async fn answer(
    response: Response,
    read_ahead: Bytes,
    mut exchange: Box<Exchange>,
    streams: &WorkerStreams,
    expected: Expected,
    detached: Option<DetachedReader>,
) -> Result<HttpResponse, ApiError> {
    let Response {
        status,
        headers,
        mut length,
        body,
    } = response;
    if status == StatusCode::UNAUTHORIZED {
        return Err(refused_credentials(exchange).await);
    }
    let request_id = headers
        .get(&REQUEST_ID)
        .or_else(|| headers.get(&ANTHROPIC_REQUEST_ID))
        .and_then(|id| id.to_str().ok())
        .map(|id| shortened(id, MAX_REQUEST_ID_CHARS).to_owned());
    let form = form_of(&headers, status, expected);
    let encoding = encoding_of(&headers);
    let policy = expected.usage_only_events;
    let meter = match form {
        Form::Events => Meter::events(policy, encoding, &streams.templates),
        Form::Undecided => Meter::undecided(policy, encoding, &streams.templates),
        Form::Json => Meter::json(encoding, length),
    };
    exchange.set_answer(status.as_u16(), request_id, meter);
    if may_report_missing(status, &headers) {
        exchange.mark_may_be_missing();
    }
    let takes_out = form != Form::Json && policy == UsageOnlyEvents::TakeOut;
    if takes_out && !body.is_complete() {
        // The events that are taken out change the length.
        length = None;
    }

    let headers = keep_end_to_end(headers);
    let too_long = length.is_some_and(|length| length > MAX_COLLECTED_BYTES as u64);
    let body = if !read_ahead.is_empty() {
        collect(body, read_ahead, exchange, streams, length, detached).await?
    } else if body.is_complete() {
        book_empty(exchange, length).await?
    } else if form == Form::Events {
        let relay = Relay::new(body, exchange, length, Bytes::new());
        relay.coalesced(streams.coalescer()).into_body(detached)
    } else if too_long {
        Relay::new(body, exchange, length, Bytes::new()).into_body(detached)
    } else {
        collect(body, read_ahead, exchange, streams, length, detached).await?
    };
    let mut response = HttpResponse::with_body(status, body);
    *response.headers_mut() = headers;
    Ok(response)
}

/// Answers that the backend refuses the operator's key. The backend's text quotes the key and stays
/// here. The row has the status that the client gets.
async fn refused_credentials(mut exchange: Box<Exchange>) -> ApiError {
    let error = ApiError::server(
        StatusCode::BAD_GATEWAY,
        "backend_credentials",
        "The backend refuses the key of this proxy. Its operator has to set a valid one.",
    )
    .never_retry()
    .with_cause(
        log::Level::Error,
        &"the backend refuses OPENAI_API_KEY: status=401: set the right key and restart",
    );
    exchange.report_refused_key(StatusCode::UNAUTHORIZED.as_u16());
    exchange.set_answer(error.status().as_u16(), None, Meter::opaque());
    if exchange.commit(Outcome::Completed).await.is_err() {
        exchange.mark_withheld();
        return ApiError::ledger_unavailable().retry_after(5);
    }
    error.already_logged()
}

/// Reads a short answer to its end and books it. A long or slow answer, or one that breaks off,
/// goes on as a relay.
async fn collect(
    mut body: Body,
    read_ahead: Bytes,
    mut exchange: Box<Exchange>,
    streams: &WorkerStreams,
    length: Option<u64>,
    detached: Option<DetachedReader>,
) -> Result<BoxBody, ApiError> {
    let mut collected = BytesCollector::of_announced(length.unwrap_or(0));
    if !read_ahead.is_empty() {
        let meter = exchange.meter();
        meter.push(read_ahead, &mut |bytes| collected.push(bytes));
    }
    let relayed = |body, exchange, collected: BytesCollector| {
        Relay::new(body, exchange, length, collected.into_bytes())
    };
    let mut pause: Option<Pin<Box<tokio::time::Sleep>>> = None;
    while !body.is_complete() {
        let read = poll_fn(|cx| match body.poll_read(cx) {
            Poll::Ready(read) => Poll::Ready(Collected::Read(read)),
            Poll::Pending => {
                let pause = pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(MAX_WAIT)));
                pause.as_mut().poll(cx).map(|()| Collected::Paused)
            }
        })
        .await;
        match read {
            Collected::Read(Some(Ok(bytes))) => {
                exchange
                    .meter()
                    .push(bytes, &mut |bytes| collected.push(bytes));
            }
            Collected::Read(None) => break,
            Collected::Read(Some(Err(error))) => {
                let relay = relayed(body, exchange, collected).broken(error);
                return Ok(relay.into_body(detached));
            }
            Collected::Paused => {
                return Ok(relayed(body, exchange, collected).into_body(detached));
            }
        }
        if body.is_complete() {
            break;
        }
        if exchange.meter().is_of_events() {
            return Ok(relayed(body, exchange, collected)
                .coalesced(streams.coalescer())
                .into_body(detached));
        }
        if collected.len_bytes() > MAX_COLLECTED_BYTES {
            return Ok(relayed(body, exchange, collected).into_body(detached));
        }
    }
    exchange.meter().finish(&mut |bytes| collected.push(bytes));
    match exchange.commit(Outcome::Completed).await {
        Ok(()) => Ok(collected.into_bytes().boxed()),
        Err(_) => Err(withheld_error(&mut exchange)),
    }
}

/// Returns the error of an answer whose row cannot be written, if nothing of it has been sent. The
/// tokens are spent, so that a retry would be paid twice.
fn withheld_error(exchange: &mut Exchange) -> ApiError {
    exchange.mark_withheld();
    ApiError::ledger_unavailable().never_retry()
}

/// Books an answer without a body: an empty one, or the answer to HEAD.
async fn book_empty(mut exchange: Box<Exchange>, length: Option<u64>) -> Result<BoxBody, ApiError> {
    match exchange.commit(Outcome::Completed).await {
        Ok(()) => Ok(BoxBody::new(HeadOnlyBody(length))),
        Err(_) => Err(withheld_error(&mut exchange)),
    }
}

/// A body that is announced and not sent, with the length that the backend announced.
struct HeadOnlyBody(Option<u64>);

impl MessageBody for HeadOnlyBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.0.map_or(BodySize::Stream, BodySize::Sized)
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}

enum Collected {
    Read(Option<Result<Bytes, BodyError>>),
    Paused,
}

/// How an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Events,
    Json,
    /// A stream was asked for and the answer is called JSON. It may be either.
    Undecided,
}

/// Returns the form of an answer by its type. An answer to a streamed request that has another type
/// than JSON is a stream with the wrong type.
fn form_of(headers: &HeaderMap, status: StatusCode, expected: Expected) -> Form {
    let essence = essence_of(headers);
    // Answers with these statuses have no body, whatever their headers say.
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Form::Json;
    }
    if essence.eq_ignore_ascii_case(b"text/event-stream") {
        return Form::Events;
    }
    if !expected.stream || !status.is_success() {
        return Form::Json;
    }
    if essence.eq_ignore_ascii_case(b"application/json") {
        Form::Undecided
    } else {
        Form::Events
    }
}

fn encoding_of(headers: &HeaderMap) -> Encoding {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING);
    match (
        encodings
            .next()
            .map(|value| value.as_bytes().trim_ascii().to_ascii_lowercase()),
        encodings.next(),
    ) {
        (None, _) => Encoding::Identity,
        (Some(encoding), None) => match encoding.as_slice() {
            b"" | b"identity" => Encoding::Identity,
            b"gzip" | b"x-gzip" => Encoding::Gzip,
            b"deflate" => Encoding::Deflate,
            b"br" => Encoding::Brotli,
            b"zstd" => Encoding::Zstd,
            _ => Encoding::Unknown,
        },
        (Some(_), Some(_)) => Encoding::Unknown,
    }
}

/// Returns whether an answer may say that there is no such object; it does if it contains the
/// object's id too. Other 404s are those of a gateway that cannot reach its backend, or of a
/// backend that does not know the path.
pub fn may_report_missing(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::NOT_FOUND
        && headers.contains_key(header::CONTENT_TYPE)
        && is_json(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.clone(), header::HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn an_answer_is_read_by_its_type_and_by_what_was_requested() {
        let plain = |media_type, status| (false, media_type, status);
        let stream = |media_type, status| (true, media_type, status);
        for ((stream, media_type, status), form) in [
            (plain("text/event-stream", 200), Form::Events),
            (plain("Text/Event-Stream; charset=utf-8", 200), Form::Events),
            (plain("application/json", 200), Form::Json),
            (plain("text/plain", 200), Form::Json),
            (stream("application/json", 200), Form::Undecided),
            (stream("Application/JSON;x=y", 200), Form::Undecided),
            (stream("text/plain", 200), Form::Events),
            (stream("", 200), Form::Events),
            (stream("text/plain", 500), Form::Json),
            (stream("text/event-stream", 500), Form::Events),
            (stream("text/event-stream", 204), Form::Json),
            (stream("text/event-stream", 304), Form::Json),
        ] {
            let expected = Expected::unedited(stream);
            let headers = headers(&[(header::CONTENT_TYPE, media_type)]);
            let status = StatusCode::from_u16(status).unwrap();
            let found = form_of(&headers, status, expected);
            assert_eq!(found, form, "{media_type:?}, {status}, stream: {stream}");
        }
    }

    #[test]
    fn an_encoding_is_known_only_if_it_is_the_only_one() {
        let encoding = |values: &[&'static str]| {
            let fields: Vec<_> = values
                .iter()
                .map(|v| (header::CONTENT_ENCODING, *v))
                .collect();
            encoding_of(&headers(&fields))
        };
        assert_eq!(encoding(&[]), Encoding::Identity);
        for (value, expected) in [
            ("", Encoding::Identity),
            ("identity", Encoding::Identity),
            (" GZIP ", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("deflate", Encoding::Deflate),
            ("br", Encoding::Brotli),
            ("zstd", Encoding::Zstd),
            ("gzip, br", Encoding::Unknown),
            ("compress", Encoding::Unknown),
        ] {
            assert_eq!(encoding(&[value]), expected, "{value}");
        }
        assert_eq!(encoding(&["gzip", "gzip"]), Encoding::Unknown);
    }

    #[test]
    fn only_a_404_in_json_may_report_a_missing_object() {
        let json = headers(&[(header::CONTENT_TYPE, "application/json")]);
        assert!(may_report_missing(StatusCode::NOT_FOUND, &json));
        assert!(!may_report_missing(StatusCode::GONE, &json));
        assert!(!may_report_missing(StatusCode::NOT_FOUND, &headers(&[])));
        let html = headers(&[(header::CONTENT_TYPE, "text/html")]);
        assert!(!may_report_missing(StatusCode::NOT_FOUND, &html));
    }
}
