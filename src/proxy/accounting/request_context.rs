//! The context of a request: what is known of it before it goes to the backend.

use actix_web::HttpRequest;

use super::recorder::ObjectRecorder;
use crate::{
    model::ServiceTier,
    proxy::{
        admission::{Arrival, body_budget::BodyShare},
        body::BodyParts,
        routes::Endpoint,
    },
};

/// What is known of a request before it goes to the backend.
pub struct RequestContext<'a> {
    pub request: &'a HttpRequest,
    pub arrival: Arrival,
    pub endpoint: Endpoint,
    /// Empty if the request names none.
    pub model: String,
    /// The class of service that the request asks for.
    pub service_tier: Option<ServiceTier>,
    pub body: BodyParts,
    /// The body's part of the budget for bodies.
    pub share: BodyShare,
    /// `None` if neither the request nor its answer concerns stored objects.
    pub recorder: Option<Box<ObjectRecorder>>,
}

impl<'a> RequestContext<'a> {
    /// Makes the context of a request whose body has not been read.
    #[must_use]
    pub fn new(request: &'a HttpRequest, arrival: Arrival, endpoint: Endpoint) -> Self {
        Self {
            request,
            arrival,
            endpoint,
            model: String::new(),
            service_tier: None,
            body: BodyParts::default(),
            share: BodyShare::default(),
            recorder: None,
        }
    }
}
