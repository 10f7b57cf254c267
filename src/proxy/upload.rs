//! A body that goes out while it comes in: forms with files of any size, of which no more than a chunk is held at a time.

use std::{
    fmt::Write,
    task::{Context, Poll, ready},
};

use actix_web::{
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use bytes::{Bytes, BytesMut};

use super::{
    ApiError,
    backend::{Upload, UploadBroke},
    exchange::Exchange,
    form::{Fields, FormScan},
    headers::BodyLength,
    payload::{self, Pace},
};

/// A client's body on its way to the backend.
pub(super) struct ClientUpload<'a> {
    payload: &'a mut web::Payload,
    /// Told when all has gone: from then on the backend is at work.
    exchange: &'a mut Exchange,
    pace: Pace,
    form: Option<FormScan>,
    length: BodyLength,
    has_ended: bool,
    /// Why the client broke off.
    error: Option<ApiError>,
}

impl<'a> ClientUpload<'a> {
    pub(super) fn new(
        headers: &HeaderMap,
        payload: &'a mut web::Payload,
        exchange: &'a mut Exchange,
    ) -> Self {
        let content_type = headers.get(header::CONTENT_TYPE);
        Self {
            payload,
            exchange,
            pace: Pace::default(),
            form: content_type.and_then(|value| FormScan::new(value.as_bytes())),
            length: length_of(headers),
            has_ended: false,
            error: None,
        }
    }

    /// What the form's fields said so far.
    pub(super) fn fields(&self) -> Fields {
        self.form
            .as_ref()
            .map_or_else(Fields::default, |form| form.fields().clone())
    }

    pub(super) fn into_error(self) -> Option<ApiError> {
        self.error
    }
}

/// Whether a body can pass as it comes.
///
/// # Errors
/// 415 for a compressed one, which could not be looked into; 400 for one that offers to be a WebSocket.
pub(super) fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    payload::refuse_encoded(headers)?;
    payload::refuse_websocket(headers)
}

/// Its own length where the client announces one; else it is chunked, as it came.
pub(super) fn length_of(headers: &HeaderMap) -> BodyLength {
    match payload::content_length(headers) {
        Some(length) => BodyLength::Known(length),
        None if headers.contains_key(header::TRANSFER_ENCODING) => BodyLength::Chunked,
        None => BodyLength::Known(0),
    }
}

impl Upload for ClientUpload<'_> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadBroke>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        match ready!(self.pace.poll_chunk(self.payload, cx)) {
            // Chunked, nothing at all would be the end.
            Ok(Some(chunk)) if chunk.is_empty() => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(Some(chunk)) => {
                if let Some(form) = &mut self.form {
                    form.push(&chunk);
                    if let Some(field) = &form.fields().refers {
                        // The backend never sees the form's end.
                        self.error = Some(refers(field));
                        return Poll::Ready(Some(Err(UploadBroke)));
                    }
                }
                Poll::Ready(Some(Ok(match self.length {
                    BodyLength::Known(_) => chunk,
                    BodyLength::Chunked => framed(&chunk),
                })))
            }
            Ok(None) => {
                self.has_ended = true;
                self.exchange.asked();
                Poll::Ready(match self.length {
                    BodyLength::Known(_) => None,
                    BodyLength::Chunked => Some(Ok(Bytes::from_static(b"0\r\n\r\n"))),
                })
            }
            Err(error) => {
                self.error = Some(error);
                Poll::Ready(Some(Err(UploadBroke)))
            }
        }
    }
}

/// What a form refers to is not looked up: JSON can say the same, and is read before anything goes out.
fn refers(field: &str) -> ApiError {
    ApiError::invalid_request(
        StatusCode::BAD_REQUEST,
        None,
        "A form cannot refer to stored objects here; send the request as JSON, or the file itself.",
    )
    .with_param(field.to_owned())
}

/// RFC 9112 section 7.1.
fn framed(chunk: &Bytes) -> Bytes {
    let mut framed = BytesMut::with_capacity(chunk.len() + 20);
    // Writing to memory cannot fail.
    let _ = write!(framed, "{:x}\r\n", chunk.len());
    framed.extend_from_slice(chunk);
    framed.extend_from_slice(b"\r\n");
    framed.freeze()
}
