//! `llmproxy serve` opens the ledger, prepares the backend, listens, and closes them in reverse
//! order.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use anyhow::{Context, bail};
use clap::ArgMatches;

use super::logging;
use crate::{
    admin::{AdminContext, PriceFile, Today},
    alerts::{AlertSink, Webhook},
    config::{Config, ServeSettings, env_file::Variables},
    limits::SharedLimits,
    listener::{Listening, Notifier, ServerCertificate, Watchdog, until_signalled},
    prices::Catalog,
    proxy::{
        accounting::estimator::Estimator,
        admission::{
            AdmissionControl,
            auth::KeyTable,
            body_budget::BodyBudget,
            demand::PriceDesk,
            gate::{Drain, Gate, UploadShares},
            given_ids::GivenIds,
            limits::RequestLimits,
            owners::Owners,
            throttle::Throttle,
        },
        backend::{BackendSettings, BackendUrl, Connector, connector, tls_config},
        headers::OwnHeaders,
        request::usage_option::UsageOptionRefusals,
        state::Shared,
    },
    server::{
        AdminAccess, AdminParts, MetricsParts, Readiness, ServerParts,
        alerts::{self as alert_sender, AlertParts, save_rest},
        listen,
    },
    sight::Sight,
    store::{
        self, Store, StoreError, alerts,
        keys::{self, KeyStorage},
        ledger::{Ledger, LedgerThread, ServerLinks},
        prices,
        retention::Retention,
    },
};

pub(super) fn run(
    settings: &ServeSettings,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    let config = Config::from_settings(settings, matches, variables)?;
    let _log = logging::start(&config.log_filter, config.log_format);
    if let Some(warning) = variables.exposure() {
        log::warn!("{warning}");
    }
    serve_with(config, |_| ())
}

/// Serves until a signal comes or the server is told to stop. `on_listening` is called when the
/// server can be reached.
pub(super) fn serve_with(
    config: Config,
    on_listening: impl FnOnce(&Listening),
) -> anyhow::Result<()> {
    for warning in config.open_doors() {
        log::warn!("{warning}");
    }
    // Each request takes two descriptors, and the soft limit is often 1,024. If it cannot be
    // raised, it stays.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let connector = connect_settings(&config)?;
    let price_file = config
        .prices_file
        .as_deref()
        .map(PriceFile::read)
        .transpose()?;
    let tls = certificate(&config)?;
    let store = Store::open_for_server(&config.database)?;
    if config.key_storage == KeyStorage::Hashed {
        warn_of_clear_keys(&store)?;
    }
    // Before anything is raised, so that the webhooks get it.
    alerts::register(&*store.connection()?, &config.alert_webhooks)
        .map_err(|error| store.explain(error))?;
    let sink = AlertSink::default();
    let sight = Arc::new(Sight::default());
    let keys = Arc::new(KeyTable::default());
    let limits = Arc::new(RequestLimits {
        shared: SharedLimits::new(config.calendar.clone()),
        prices: PriceDesk::default(),
        hides_numbers: config.hide_limits,
    });
    let links = links(
        &keys,
        &limits,
        price_file.clone(),
        &sink,
        &sight,
        config.database_notify,
    );
    let ledger = LedgerThread::start(&store, config.ledger_sync, config.on_ledger_failure, links)?;
    let retention = config
        .retention
        .map(|age| Retention::start(&store, config.calendar.clone(), age))
        .transpose()?;
    let estimator = Estimator::new(ledger.handle());
    let webhooks = config.alert_webhooks.clone();
    let served = serve(
        config,
        &connector,
        &store,
        Admitting {
            keys: &keys,
            limits: &limits,
        },
        Files { price_file, tls },
        Booking {
            ledger: ledger.handle(),
            estimator: estimator.clone(),
            sight,
            sink: sink.clone(),
        },
        on_listening,
    );
    drop(retention);
    // Some rows may still wait for the ledger, and some of them for an estimate.
    let (waiting, unwritten) = (estimator.clone(), ledger.handle());
    let closed = until_signalled(move || {
        estimator.close();
        ledger.close()
    });
    if let Err(error) = save_rest(&store, &sink, &webhooks) {
        log::warn!("alerts: some could not be saved: {error}");
    }
    let lost = match closed.context("cannot close the ledger")? {
        Ok(lost) => lost,
        Err(name) => match waiting.waiting() + unwritten.backlog() {
            0 => bail!("{name} again: ended at once; all rows are written"),
            rows => bail!(
                "{name} again: {rows} usage {} that could not yet be written to \"{}\" {} lost",
                if rows == 1 { "row" } else { "rows" },
                store.location(),
                if rows == 1 { "is" } else { "are" }
            ),
        },
    };
    if lost > 0 {
        let rows = if lost == 1 { "row" } else { "rows" };
        bail!(
            "{lost} usage {rows} could not be written to \"{}\"",
            store.location()
        );
    }
    served
}

/// What was read of files.
struct Files {
    price_file: Option<Catalog>,
    tls: Option<Arc<ServerCertificate>>,
}

/// Reads the certificate that the settings name, and warns of its end.
fn certificate(config: &Config) -> anyhow::Result<Option<Arc<ServerCertificate>>> {
    let Some((certificate, key)) = &config.tls_files else {
        return Ok(None);
    };
    let certificate = ServerCertificate::read(certificate, key)?;
    if let Some(warning) = certificate.warning() {
        log::warn!("{warning}");
    }
    Ok(Some(certificate))
}

/// Returns what the ledger's thread keeps equal to the database, and what it tells.
fn links(
    keys: &Arc<KeyTable>,
    limits: &Arc<RequestLimits>,
    price_file: Option<Catalog>,
    sink: &AlertSink,
    sight: &Sight,
    listens: bool,
) -> ServerLinks {
    let (changed, used) = (Arc::clone(keys), Arc::clone(keys));
    let (desk, file) = (Arc::clone(limits), price_file.clone());
    let desk_after = Arc::clone(limits);
    let needs_prices = Arc::new(AtomicBool::new(false));
    let still_needed = Arc::clone(&needs_prices);
    ServerLinks {
        price_file,
        limits: Some(Arc::clone(&limits.shared)),
        alerts: sink.clone(),
        sight: Some(Arc::clone(sight.ledger())),
        // A budget in dollars without prices would refuse everything. So they come before the first limit,
        // and go after the last one.
        before_limits: Box::new(move |connection| {
            let has_limits = !store::limits::read_all(connection)?.subjects.is_empty();
            needs_prices.store(has_limits, Ordering::Relaxed);
            if has_limits {
                let book = prices::book(connection, file.clone())?;
                desk.prices.set_book(Some(Arc::new(book)));
            }
            Ok(())
        }),
        on_change: Box::new(move |connection| {
            if !still_needed.load(Ordering::Relaxed) {
                desk_after.prices.set_book(None);
            }
            changed.refresh(|| keys::holders(connection))
        }),
        take_uses: Box::new(move || used.take_uses()),
        listens,
    }
}

/// What the ledger's thread keeps equal to the database for those who admit requests.
struct Admitting<'a> {
    keys: &'a Arc<KeyTable>,
    limits: &'a Arc<RequestLimits>,
}

/// What takes rows, and what counts them.
struct Booking {
    ledger: Ledger,
    estimator: Estimator,
    sight: Arc<Sight>,
    sink: AlertSink,
}

fn serve(
    config: Config,
    connector: &Arc<Connector>,
    store: &Store,
    Admitting { keys, limits }: Admitting<'_>,
    Files { price_file, tls }: Files,
    Booking {
        ledger,
        estimator,
        sight,
        sink,
    }: Booking,
    on_listening: impl FnOnce(&Listening),
) -> anyhow::Result<()> {
    let drain = Arc::new(Drain::default());
    let throttle = Arc::new(Throttle::default());
    let admission = AdmissionControl {
        keys: Arc::clone(keys),
        owners: Owners {
            giving: GivenIds::default(),
            store: store.clone(),
        },
        gate: Gate::new(
            config.max_concurrent_requests,
            config.queue_timeout,
            Arc::clone(&drain),
        ),
        drain: Arc::clone(&drain),
        uploads: UploadShares::new(config.max_concurrent_requests),
        bodies: BodyBudget::new(config.max_body_bytes),
        limits: Arc::clone(limits),
        throttle: Arc::clone(&throttle),
    };
    let alert_parts = alert_parts(&config, store, sink.clone())?;
    let shared = Shared {
        endpoints: config.endpoints,
        admission,
        ledger: ledger.clone(),
        estimator,
        alerts: sink,
        sight: Arc::clone(&sight),
        cors: config.cors.clone(),
        own_headers: Arc::new(OwnHeaders::new(
            &config.backend_url,
            connector.plain_proxy(),
            &config.backend_key,
            config.organization.as_deref(),
            config.project.as_deref(),
        )),
        stream_usage: config.stream_usage,
        usage_option_refusals: Arc::new(UsageOptionRefusals::default()),
        max_body_bytes: config.max_body_bytes,
        reconcile_interval: config.reconcile_interval,
        has_reconciler: AtomicBool::new(false),
    };
    let context = AdminContext {
        store: store.clone(),
        key_storage: config.key_storage,
        calendar: config.calendar.clone(),
        prices: PriceFile::Read(price_file),
        limits: Some(Arc::clone(&limits.shared)),
        sight: Some(Arc::clone(&sight)),
        today: Today::default(),
        on_change: Some(refresh(&ledger, keys)),
    };
    let metrics = MetricsParts {
        sight,
        ledger: ledger.clone(),
        limits: Arc::clone(&limits.shared),
        connector: Arc::clone(connector),
        readiness: Arc::new(Readiness::new(ledger.clone(), Arc::clone(&drain))),
        context: context.clone(),
        networks: config.metrics_allow.clone(),
        shows_users: config.metrics_users,
        started_at: SystemTime::now(),
        names: Mutex::default(),
    };
    let admin = AdminParts {
        context,
        access: AdminAccess::new(config.admin_token.as_ref(), config.admin_allow.clone()),
        max_body_bytes: config.max_body_bytes,
        throttle,
    };
    let watchdog = Watchdog::from_env();
    let parts = ServerParts {
        shared: Arc::new(shared),
        connector: Arc::clone(connector),
        admin: Arc::new(admin),
        metrics: Arc::new(metrics),
        watchdog: watchdog.clone(),
        client_header_timeout: config.client_header_timeout,
        tls,
    };
    actix_web::rt::System::new().block_on(async {
        let listening = listen(&config.host, config.port, parts).map_err(|error| {
            let (host, port, advice) = (&config.host, config.port, listen_advice(&error));
            anyhow::Error::new(error).context(format!("cannot listen on {host}:{port}; {advice}"))
        })?;
        announce(&listening, &config.backend_url, store);
        on_listening(&listening);
        alert_sender::start(alert_parts);
        let notifier = Arc::new(Notifier::from_env());
        notifier.ready(&format!("Serving on {}:{}", config.host, config.port));
        if let Some(watchdog) = watchdog {
            watchdog.start(Arc::clone(&notifier), ledger);
        }
        listening
            .run(drain, config.shutdown_grace, &notifier)
            .await
            .context("the server failed")
    })
}

/// Says in the log where the server listens.
fn announce(listening: &Listening, backend: &BackendUrl, store: &Store) {
    for address in &listening.addresses {
        log::info!(
            "listening on {}://{address} backend={} database=\"{}\"",
            listening.scheme,
            backend,
            store.location()
        );
    }
}

/// Returns what the sender of alerts needs.
fn alert_parts(config: &Config, store: &Store, sink: AlertSink) -> anyhow::Result<AlertParts> {
    let needs_tls = config.alert_webhooks.iter().any(Webhook::is_https);
    let tls = needs_tls
        .then(|| tls_config(config.extra_roots.as_deref()))
        .transpose()?;
    Ok(AlertParts {
        store: store.clone(),
        sink,
        webhooks: config.alert_webhooks.clone(),
        secret: config.alert_secret.clone(),
        tls,
    })
}

/// Returns what makes a change of the admin API hold before it is answered: limits, prices and keys, in the
/// order in which the ledger's thread reads them. If that cannot look, keys are read at least.
fn refresh(
    ledger: &Ledger,
    keys: &Arc<KeyTable>,
) -> Arc<dyn Fn(&store::sql::Connection) + Send + Sync> {
    let (ledger, keys) = (ledger.clone(), Arc::clone(keys));
    Arc::new(move |connection| {
        if ledger.look_for_changes() {
            return;
        }
        if let Err(error) = keys.refresh(|| keys::holders(connection)) {
            let error = error.to_string();
            log::error!("admin: cannot refresh the keys: error={error:?}");
        }
    })
}

/// Says what to try if the address cannot be bound.
fn listen_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "stop the program that uses the port, or set PORT to another one"
        }
        io::ErrorKind::PermissionDenied => {
            "set PORT to a number above 1023, or give the program the right to use this one"
        }
        // The address belongs to another machine, or the name has none; the latter has no error
        // number.
        kind if kind == io::ErrorKind::AddrNotAvailable || error.raw_os_error().is_none() => {
            "set HOST to an address of this machine, such as 127.0.0.1 or 0.0.0.0"
        }
        _ => "set HOST and PORT to an address and a port of this machine",
    }
}

/// Warns of existing keys in clear text, because `STORE_KEYS` is about new keys only.
fn warn_of_clear_keys(store: &Store) -> Result<(), StoreError> {
    let clear = keys::in_clear(&*store.connection()?)?;
    if clear > 0 {
        log::warn!(
            "STORE_KEYS=hashed, but older keys are stored in clear text: hash them with `llmproxy user hash-keys`, which cannot be undone: keys={clear}"
        );
    }
    Ok(())
}

fn connect_settings(config: &Config) -> anyhow::Result<Arc<Connector>> {
    let settings = BackendSettings {
        url: config.backend_url.clone(),
        http_proxy: config.http_proxy.clone(),
        connect_timeout: config.connect_timeout,
        idle_timeout: config.idle_timeout,
    };
    Ok(connector(settings, config.extra_roots.as_deref())?)
}
