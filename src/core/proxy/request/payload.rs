//! Takes a request's body as it comes in: reads it up to a limit and at a least rate, or drains it
//! before a refusal.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::{
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use bytes::Bytes;
use futures_core::Stream;
use tokio::time::{Sleep, sleep};

use crate::proxy::{
    body::{BodyBuilder, BodyParts},
    error::ApiError,
};

/// A body up to this length is read to its end before a refusal, so that the connection can be used
/// again.
const MAX_DRAINED_BYTES: usize = 64 * 1024;
/// Longest time for draining a body.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(1);
/// A body must come at 1 kB/s at least, which is checked every 30 s.
const RATE_WINDOW: Duration = Duration::from_secs(30);
const MIN_BYTES_PER_WINDOW: usize = 30_000;

/// Reads a body to its end.
///
/// # Errors
/// The error that `make_room` returns for the length so far; 413 above `limit_bytes`, without
/// reading on; 400 if the client breaks off; 415 for a compressed body; 426 for an offer of a
/// WebSocket.
pub async fn read_body(
    headers: &HeaderMap,
    payload: &mut web::Payload,
    limit_bytes: usize,
    mut make_room: impl FnMut(usize) -> Result<(), ApiError>,
) -> Result<BodyParts, ApiError> {
    refuse_encoded(headers)?;
    refuse_websocket(headers)?;
    let announced = content_length(headers).unwrap_or(0);
    if announced > limit_bytes as u64 {
        return Err(too_large(limit_bytes));
    }
    let mut body = BodyBuilder::of_announced(announced);
    let mut pace = MinRateGuard::default();
    while let Some(chunk) = pace.next_chunk(payload).await? {
        let length = body.len_bytes() + chunk.len();
        if length > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        make_room(length)?;
        body.push(chunk);
    }
    Ok(body.into_parts())
}

/// Reads and discards the body of a request that should have none. It does not go on; left unread,
/// it would be taken for the client's next request.
///
/// # Errors
/// 413 for a long one, else as [`read_body`].
pub async fn discard_body(headers: &HeaderMap, payload: &mut web::Payload) -> Result<(), ApiError> {
    refuse_encoded(headers)?;
    refuse_websocket(headers)?;
    let mut pace = MinRateGuard::default();
    let mut dropped = 0;
    while let Some(chunk) = pace.next_chunk(payload).await? {
        dropped += chunk.len();
        if dropped > MAX_DRAINED_BYTES {
            return Err(too_large(MAX_DRAINED_BYTES));
        }
    }
    Ok(())
}

/// Returns whether a request announces a body that is not empty, or may not be.
pub fn announces_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || content_length(headers).is_some_and(|length| length > 0)
}

/// Reads the rest of a small body. A large one costs its connection, because closing is cheaper
/// than reading on.
pub async fn drain_body(headers: &HeaderMap, payload: &mut web::Payload) {
    let is_long = content_length(headers).is_some_and(|length| length > MAX_DRAINED_BYTES as u64);
    if is_long || offers_websocket(headers) {
        return;
    }
    let drain = async {
        let mut drained = 0;
        while drained <= MAX_DRAINED_BYTES
            && let Ok(Some(chunk)) = next_chunk(payload).await
        {
            drained += chunk.len();
        }
    };
    // A body that does not come in time costs its connection too.
    let _ = tokio::time::timeout(MAX_DRAIN_TIME, drain).await;
}

/// Refuses a client that holds its place by sending a byte now and then.
#[derive(Default)]
pub struct MinRateGuard {
    has_waited: bool,
    /// Set while the client is waited for.
    window_ends: Option<Pin<Box<Sleep>>>,
    bytes_in_window: usize,
}

impl MinRateGuard {
    /// Returns the next chunk, or 408 for a client that is too slow.
    async fn next_chunk(&mut self, payload: &mut web::Payload) -> Result<Option<Bytes>, ApiError> {
        poll_fn(|cx| self.poll_chunk(payload, cx)).await
    }

    pub fn poll_chunk(
        &mut self,
        payload: &mut web::Payload,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, ApiError>> {
        if let Poll::Ready(chunk) = Pin::new(&mut *payload).poll_next(cx) {
            let chunk = chunk.transpose().map_err(|_| broken_off())?;
            self.bytes_in_window += chunk.as_ref().map_or(0, Bytes::len);
            return Poll::Ready(Ok(chunk));
        }
        // A handler is polled once before the bytes that came with the head are there. That needs
        // no timer.
        if !std::mem::replace(&mut self.has_waited, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            let window_ends = self
                .window_ends
                .get_or_insert_with(|| Box::pin(sleep(RATE_WINDOW)));
            ready!(window_ends.as_mut().poll(cx));
            if self.bytes_in_window < MIN_BYTES_PER_WINDOW {
                return Poll::Ready(Err(ApiError::invalid_request(
                    StatusCode::REQUEST_TIMEOUT,
                    Some("request_timeout"),
                    "The request body came too slowly: less than 1 kB/s for 30 s.",
                )));
            }
            self.window_ends = None;
            self.bytes_in_window = 0;
        }
    }
}

async fn next_chunk(payload: &mut web::Payload) -> Result<Option<Bytes>, ApiError> {
    let chunk = poll_fn(|cx| Pin::new(&mut *payload).poll_next(cx)).await;
    chunk.transpose().map_err(|_| broken_off())
}

fn broken_off() -> ApiError {
    ApiError::invalid_request(
        StatusCode::BAD_REQUEST,
        None,
        "The request body broke off or was malformed.",
    )
}

/// Returns whether a request offers to become a WebSocket. actix takes everything after such a
/// request for its body.
pub fn offers_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(header::UPGRADE).any(|value| {
        value
            .as_bytes()
            .to_ascii_lowercase()
            .windows(9)
            .any(|part| part == b"websocket")
    })
}

/// Refuses a WebSocket where it is not served.
pub fn refuse_websocket(headers: &HeaderMap) -> Result<(), ApiError> {
    if offers_websocket(headers) {
        return Err(ApiError::no_websocket());
    }
    Ok(())
}

pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Refuses a compressed body, because it cannot be looked into.
pub fn refuse_encoded(headers: &HeaderMap) -> Result<(), ApiError> {
    let encoded = headers.get_all(header::CONTENT_ENCODING).any(|value| {
        !value
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"identity")
    });
    if encoded {
        return Err(ApiError::invalid_request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Some("unsupported_content_encoding"),
            "Compressed request bodies are not supported; send the body without Content-Encoding.",
        ));
    }
    Ok(())
}

fn too_large(limit_bytes: usize) -> ApiError {
    ApiError::invalid_request(
        StatusCode::PAYLOAD_TOO_LARGE,
        Some("request_too_large"),
        format!("The request body is larger than this proxy takes here: {limit_bytes} bytes."),
    )
}
