//! The context of a request: what is known of it before it goes to the backend.

use std::{rc::Rc, sync::Arc};

use actix_web::HttpRequest;

use super::recorder::ObjectRecorder;
use crate::{
    limits::{Demand, UserRules},
    model::ServiceTier,
    proxy::{
        admission::{Arrival, body_budget::BodyShare},
        body::BodyParts,
        request::AskedUsage,
        routes::Endpoint,
    },
    sight::LiveRequest,
};

/// What is known of a request before it goes to the backend.
pub struct RequestContext<'a> {
    pub request: &'a HttpRequest,
    /// What others may see of the request while it lives.
    pub live: Rc<LiveRequest>,
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
    /// The limits of the caller; `None` without any.
    pub rules: Option<Arc<UserRules>>,
    pub asked: AskedUsage,
    /// The model is not known before the body has passed, so that its price is asked for then.
    pub names_model_later: bool,
    /// What the requests of a batch can use together.
    pub batch_demand: Option<Demand>,
}

impl<'a> RequestContext<'a> {
    /// Makes the context of a request whose body has not been read.
    #[must_use]
    pub fn new(
        request: &'a HttpRequest,
        arrival: Arrival,
        endpoint: Endpoint,
        live: Rc<LiveRequest>,
    ) -> Self {
        Self {
            request,
            live,
            arrival,
            endpoint,
            model: String::new(),
            service_tier: None,
            body: BodyParts::default(),
            share: BodyShare::default(),
            recorder: None,
            rules: None,
            asked: AskedUsage::default(),
            names_model_later: false,
            batch_demand: None,
        }
    }

    /// Returns the Unix time in milliseconds at which the request arrived.
    #[must_use]
    pub fn started_at_ms(&self) -> i64 {
        self.live.id().at_ms()
    }
}
