//! Bodies that go out while they come in: forms with files of any size, of which no more than a
//! chunk is held at a time.

mod form;
mod form_limits;

use std::{
    fmt::Write,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use bytes::{Bytes, BytesMut};

use super::{
    accounting::{exchange::Exchange, request_context::RequestContext},
    admission::{
        auth::Caller,
        owners::{self, Owners},
    },
    backend::{OutgoingRequest, Upload, UploadBroke},
    error::ApiError,
    headers::BodyLength,
    request::{
        payload::{self, MinRateGuard},
        prepare::Expected,
    },
    response::{answer, backend_error::error_of},
    routes::Stateful,
    state::Worker,
};

use form::{Fields, PassingForm};
use form_limits::FormLimits;

/// Sends a body that goes out as it comes in, and makes the client's answer of the backend's. The
/// request has its permit while it uploads.
///
/// # Errors
/// 415 and 400 for a body that cannot pass like this, 429 for a user with too many uploads, and the
/// errors of admission, of its objects and of the backend.
pub async fn forward(
    worker: &Worker,
    context: RequestContext<'_>,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ApiError> {
    let shared = &worker.shared;
    let request = context.request;
    let headers = request.headers();
    check(headers)?;
    let upload_slot = shared.admission.uploads.enter(context.arrival.caller.id)?;
    let mut context = context;
    context.asked.form_bytes = match length_of(headers) {
        BodyLength::Known(bytes) | BodyLength::Json(bytes) => bytes,
        BodyLength::Chunked => 0,
    };
    context.names_model_later = true;
    let (endpoint, asked) = (context.endpoint, context.asked);
    let mut exchange = worker.admit(context).await?;
    let form_limits = exchange.reservation().map(|reservation| FormLimits {
        limits: Arc::clone(&shared.admission.limits),
        reservation: Arc::clone(reservation),
        endpoint,
        asked,
        seen_bytes: 0,
        model: None,
    });
    let head = shared.own_headers.head_for(request, length_of(headers));
    let outgoing = OutgoingRequest::of_head(head);
    let look_up = LookUp {
        owners: shared.admission.owners.clone(),
        caller: Arc::clone(exchange.caller()),
        stateful: shared.endpoints.stateful(),
    };
    let mut upload = ClientUpload::new(headers, payload, &mut exchange, look_up, form_limits);
    let sent = worker.backend.send_upload(&outgoing, &mut upload).await;
    let (fields, client_error) = (upload.fields(), upload.into_error());
    drop(upload_slot);
    exchange.set_model(fields.model.unwrap_or_default());
    let response = match sent {
        Ok(response) => response,
        Err(error) => {
            exchange.mark_unanswered();
            // A fault of the client's is reported as such.
            return Err(client_error.unwrap_or_else(|| error_of(&error)));
        }
    };
    let expected = Expected::unedited(fields.stream);
    let read_ahead = Bytes::new();
    answer::answer(
        response,
        read_ahead,
        exchange,
        worker.streams(),
        expected,
        None,
    )
    .await
}

/// A client's body on its way to the backend.
pub struct ClientUpload<'a> {
    look_up: LookUp,
    /// The check whether an object that the form refers to is the caller's own. The chunk with its
    /// id waits for it.
    looking_up: Option<Waiting>,
    /// More is being reserved for the form, whose model is known by now.
    raising: Option<Waiting>,
    held: Option<Bytes>,
    payload: &'a mut web::Payload,
    /// Hears when the whole body has gone: from then on the backend is at work.
    exchange: &'a mut Exchange,
    pace: MinRateGuard,
    form: Option<PassingForm>,
    length: BodyLength,
    stage: Stage,
    /// The reason why the upload was ended here.
    error: Option<ApiError>,
    /// `None` for a user without limits.
    limits: Option<FormLimits>,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Passing,
    /// Everything has come, and may end as soon as what it waits for is done.
    Checked,
    Ended,
}

/// What is needed to check objects that a form refers to.
pub struct LookUp {
    pub owners: Owners,
    pub caller: Arc<Caller>,
    pub stateful: Stateful,
}

/// What a chunk waits for before it goes on.
type Waiting = Pin<Box<dyn Future<Output = Result<(), ApiError>>>>;

impl<'a> ClientUpload<'a> {
    fn new(
        headers: &HeaderMap,
        payload: &'a mut web::Payload,
        exchange: &'a mut Exchange,
        look_up: LookUp,
        limits: Option<FormLimits>,
    ) -> Self {
        let content_type = headers.get(header::CONTENT_TYPE);
        Self {
            look_up,
            looking_up: None,
            raising: None,
            held: None,
            payload,
            exchange,
            pace: MinRateGuard::default(),
            form: content_type.and_then(|value| PassingForm::new(value.as_bytes())),
            length: length_of(headers),
            stage: Stage::Passing,
            error: None,
            limits,
        }
    }

    /// Returns what the form's fields said so far.
    pub fn fields(&self) -> Fields {
        self.form
            .as_ref()
            .map_or_else(Fields::default, |form| form.fields().clone())
    }

    pub fn into_error(self) -> Option<ApiError> {
        self.error
    }
}

/// Checks whether a body can pass as it comes.
///
/// # Errors
/// 415 for a compressed body, which could not be looked into; 426 for one that offers to be a
/// WebSocket.
pub fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    payload::refuse_encoded(headers)?;
    payload::refuse_websocket(headers)
}

/// Returns the length that the client announces. Without one, the body goes on chunked, as it came.
pub fn length_of(headers: &HeaderMap) -> BodyLength {
    match payload::content_length(headers) {
        Some(length) => BodyLength::Known(length),
        None if headers.contains_key(header::TRANSFER_ENCODING) => BodyLength::Chunked,
        None => BodyLength::Known(0),
    }
}

impl ClientUpload<'_> {
    fn refuse(&mut self, error: ApiError) -> Poll<Option<Result<Bytes, UploadBroke>>> {
        // The backend never gets the end of the body.
        self.error = Some(error);
        Poll::Ready(Some(Err(UploadBroke)))
    }

    /// Looks into a chunk. Returns what may go on when the objects that it refers to are checked.
    fn look_into(&mut self, chunk: Bytes) -> Result<Bytes, ApiError> {
        let Some(form) = &mut self.form else {
            return Ok(chunk);
        };
        let bytes = chunk.len() as u64;
        let (may_leave, references) = form.push(chunk).map_err(ambiguous)?;
        if let Some(limits) = &mut self.limits {
            self.raising = limits.look_at(form.fields(), bytes)?;
        }
        let Some(first) = references.first() else {
            return Ok(may_leave);
        };
        if self.look_up.stateful == Stateful::Off {
            return Err(owners::closed_reference(&first.member));
        }
        let (owners, caller) = (
            self.look_up.owners.clone(),
            Arc::clone(&self.look_up.caller),
        );
        self.looking_up = Some(Box::pin(async move {
            owners.check_references(&caller, &references).await
        }));
        Ok(may_leave)
    }
}

impl Upload for ClientUpload<'_> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadBroke>>> {
        loop {
            if let Some(raising) = &mut self.raising {
                let raised = ready!(raising.as_mut().poll(cx));
                self.raising = None;
                if let Err(error) = raised {
                    return self.refuse(error);
                }
            }
            if let Some(looking_up) = &mut self.looking_up {
                let owned = ready!(looking_up.as_mut().poll(cx));
                self.looking_up = None;
                if let Err(error) = owned {
                    return self.refuse(error);
                }
            }
            if let Some(chunk) = self.held.take() {
                return Poll::Ready(Some(Ok(match self.length {
                    BodyLength::Chunked => framed(&chunk),
                    BodyLength::Known(_) | BodyLength::Json(_) => chunk,
                })));
            }
            match self.stage {
                Stage::Passing => {}
                Stage::Checked => {
                    self.stage = Stage::Ended;
                    self.exchange.mark_sent();
                    return Poll::Ready(match self.length {
                        BodyLength::Chunked => Some(Ok(Bytes::from_static(b"0\r\n\r\n"))),
                        BodyLength::Known(_) | BodyLength::Json(_) => None,
                    });
                }
                Stage::Ended => return Poll::Ready(None),
            }
            match ready!(self.pace.poll_chunk(self.payload, cx)) {
                Ok(Some(chunk)) if chunk.is_empty() => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Ok(Some(chunk)) => match self.look_into(chunk) {
                    // An empty chunk would be the end of a chunked body.
                    Ok(chunk) => self.held = Some(chunk).filter(|chunk| !chunk.is_empty()),
                    Err(error) => return self.refuse(error),
                },
                Ok(None) => {
                    if let Some(Err(problem)) = self.form.as_ref().map(PassingForm::finish) {
                        return self.refuse(ambiguous(problem));
                    }
                    let fields = self.fields();
                    if let Some(limits) = &mut self.limits {
                        match limits.finish(&fields) {
                            Ok(raising) => self.raising = raising,
                            Err(error) => return self.refuse(error),
                        }
                    }
                    self.stage = Stage::Checked;
                }
                Err(error) => return self.refuse(error),
            }
        }
    }
}

fn ambiguous(problem: &str) -> ApiError {
    ApiError::invalid_request(
        StatusCode::BAD_REQUEST,
        None,
        format!("The form {problem}."),
    )
}

/// Frames a chunk (RFC 9112 section 7.1).
fn framed(chunk: &Bytes) -> Bytes {
    let mut framed = BytesMut::with_capacity(chunk.len() + 20);
    // Writing to memory cannot fail.
    let _ = write!(framed, "{:x}\r\n", chunk.len());
    framed.extend_from_slice(chunk);
    framed.extend_from_slice(b"\r\n");
    framed.freeze()
}
