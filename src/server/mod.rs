//! What the server answers itself: the admin API, the page, metrics, whether it is ready. The port is that
//! of `listener/`, and everything else goes to the proxy.

mod access;
mod admin;
pub mod alerts;
mod metrics;
mod own_usage;
mod pages;
mod ready;

use std::{io, sync::Arc, time::Duration};

use actix_web::{
    FromRequest, Handler, Resource, Responder,
    web::{self, ServiceConfig},
};

pub use access::AdminAccess;
pub use admin::{INVALID_ENTRIES, admin_routes};
pub use metrics::MetricsParts;
pub use own_usage::OwnUsage;
pub use ready::{NotReady, Readiness};

use crate::{
    admin::AdminContext,
    listener::{ListenerParts, Listening, OwnRoutes, ServerCertificate, Watchdog, to_proxy},
    model::{RequestId, now_ms},
    proxy::{
        admission::throttle::Throttle,
        backend::Connector,
        error::{ApiError, ErrorShape},
        state::Shared,
    },
};

/// Everything that the server needs.
pub struct ServerParts {
    pub shared: Arc<Shared>,
    pub connector: Arc<Connector>,
    pub admin: Arc<AdminParts>,
    pub metrics: Arc<MetricsParts>,
    /// `None` if nobody watches this process.
    pub watchdog: Option<Arc<Watchdog>>,
    /// Time limit for a client to send the head of a request.
    pub client_header_timeout: Duration,
    /// The certificate that the port speaks TLS with, if it does.
    pub tls: Option<Arc<ServerCertificate>>,
}

/// Everything that the admin API needs.
pub struct AdminParts {
    pub context: AdminContext,
    pub access: AdminAccess,
    pub throttle: Arc<Throttle>,
    pub max_body_bytes: usize,
}

/// Binds the sockets and prepares the workers. Nothing is served before [`Listening::run`] is
/// awaited.
///
/// # Errors
/// [`io::Error`] if the address cannot be bound.
pub fn listen(host: &str, port: u16, parts: ServerParts) -> io::Result<Listening> {
    let ServerParts {
        shared,
        connector,
        admin,
        metrics,
        watchdog,
        client_header_timeout,
        tls,
    } = parts;
    let pages = web::Data::new(pages::Pages::default());
    let (admin, metrics) = (web::Data::from(admin), web::Data::from(metrics));
    let add = move |config: &mut ServiceConfig| {
        config
            .app_data(admin.clone())
            .app_data(pages.clone())
            .app_data(metrics.clone())
            .app_data(web::Data::from(Arc::clone(&metrics.readiness)));
        add_own(config);
    };
    let parts = ListenerParts {
        shared,
        connector,
        watchdog,
        client_header_timeout,
        tls,
        own: OwnRoutes {
            may_be: may_be_own,
            add: Arc::new(add),
        },
    };
    crate::listener::listen(host, port, parts)
}

fn add_own(config: &mut ServiceConfig) {
    config
        .service(read_only("/health", ready::health))
        .service(read_only("/ready", ready::ready))
        .service(read_only("/metrics", metrics::handle))
        .service(admin::routes())
        .service(web::resource(own_usage::PATH).to(own_usage::handle))
        .service(
            web::resource(pages::ROOT)
                .route(web::get().to(pages::handle))
                .route(web::head().to(pages::handle))
                .default_service(to_proxy()),
        )
        .service(web::scope(pages::PREFIX).default_service(web::to(pages::handle)));
}

/// Returns whether a path may be one of the server's own, and not one of the proxy. A path with escapes
/// may, because services compare what they stand for.
fn may_be_own(path: &str) -> bool {
    !path.starts_with("/v1/") || path == own_usage::PATH || path.contains('%')
}

/// Makes the route of a path that is served for GET and HEAD.
fn read_only<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(web::to(|| async {
            let id = RequestId::new(now_ms());
            ApiError::method_not_allowed("GET, HEAD").to_response(ErrorShape::OpenAi, id)
        }))
}
