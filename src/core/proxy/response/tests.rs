//! An answer on its way from a backend's socket to the client's body, with a real ledger.

use std::{
    future::{Future, poll_fn},
    path::PathBuf,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    body::{BoxBody, MessageBody},
    http::{Method, header::HeaderValue},
    test::TestRequest,
};
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::LocalSet,
};

use crate::{
    limits::SharedLimits,
    model::Calendar,
    proxy::admission::{
        Applicant,
        demand::{Conditions, PriceDesk},
        limits::RequestLimits,
    },
};

use super::{WorkerStreams, answer::answer};
use crate::{
    alerts::AlertSink,
    model::{ApiKey, KeyHolder, RequestId},
    proxy::{
        accounting::{
            estimator::Estimator,
            exchange::{Exchange, WorkerAccounting},
            request_context::RequestContext,
        },
        admission::{
            AdmissionControl, auth::KeyTable, body_budget::BodyBudget, gate::Drain, gate::Gate,
            gate::UploadShares, owners::Owners,
        },
        backend::{Backend, BackendSettings, OutgoingRequest, connector},
        request::prepare::Expected,
        routes::Endpoints,
    },
    sight::Sight,
    store::{
        DatabaseLocation, IfMissing, Store,
        ledger::{LedgerThread, OnFailure, ServerLinks, Sync, WorkerLedger},
    },
    usage::UsageOnlyEvents,
};

const CHAT: &str = "/v1/chat/completions";
const DELTA: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":10}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const EVENTS_UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
const EVENTS_OF_LENGTH: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000\r\n\r\n";
/// Long enough for anything that does happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer that has begun: the backend's side of its connection, the client's body, and the
/// ledger.
struct Passage {
    backend: TcpStream,
    body: BoxBody,
    ledger: LedgerThread,
    store: Store,
    dir: tempfile::TempDir,
}

impl Passage {
    /// Begins a streamed answer by this head.
    async fn begin(head: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let location = DatabaseLocation::parse(dir.path().join("x.db").to_str().unwrap()).unwrap();
        let store = Store::open(&location, IfMissing::Create).unwrap();
        let ledger = LedgerThread::start(
            &store,
            Sync::Normal,
            OnFailure::Refuse,
            ServerLinks::default(),
        )
        .unwrap();
        let exchange = exchange(&store, &ledger).await;

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let settings = BackendSettings {
            url: url.parse().unwrap(),
            http_proxy: None,
            connect_timeout: PATIENCE,
            idle_timeout: PATIENCE,
        };
        let client = Backend::new(connector(settings, None).unwrap());
        let request = OutgoingRequest::of_head("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let answering = async {
            let (mut backend, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            assert!(backend.read(&mut request).await.unwrap() > 0);
            backend.write_all(head.as_bytes()).await.unwrap();
            backend
        };
        let (response, backend) = tokio::join!(client.send(&request, || {}), answering);
        let expected = Expected {
            stream: true,
            usage_only_events: UsageOnlyEvents::TakeOut,
        };
        let streams = WorkerStreams::new();
        let response = answer(
            response.unwrap(),
            Bytes::new(),
            exchange,
            &streams,
            expected,
            None,
        );
        let body = response.await.unwrap().into_body();
        Self {
            backend,
            body,
            ledger,
            store,
            dir,
        }
    }

    async fn write(&mut self, text: &str) {
        self.backend.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next piece for the client, the text of an error, or `None` at the end.
    async fn next(&mut self) -> Option<Result<String, String>> {
        let next = poll_fn(|cx| Pin::new(&mut self.body).poll_next(cx));
        let next = tokio::time::timeout(PATIENCE, next).await;
        let next = next.expect("something comes")?;
        Some(match next {
            Ok(bytes) => Ok(String::from_utf8(bytes.to_vec()).unwrap()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Whether the client gets nothing for a while.
    async fn is_silent(&mut self) -> bool {
        let next = poll_fn(|cx| Pin::new(&mut self.body).poll_next(cx));
        let limit = Duration::from_millis(100);
        tokio::time::timeout(limit, next).await.is_err()
    }

    /// Outcome, input and output tokens of each row.
    fn rows(&self) -> Vec<(String, i64, i64)> {
        let connection = self.store.connection().unwrap();
        let mut select = connection
            .file()
            .prepare("SELECT outcome, input_tokens, output_tokens FROM usage_logs")
            .unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Ends the ledger, which has written everything.
    fn end(self) {
        assert_eq!(self.ledger.close(), 0, "rows that were not written");
    }

    async fn outcome_of_the_only_row(&self) -> String {
        for _ in 0..1_000 {
            if let [(outcome, ..)] = &self.rows()[..] {
                return outcome.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no row was written");
    }
}

/// The account of a request by the only user.
async fn exchange(store: &Store, ledger: &LedgerThread) -> Box<Exchange> {
    let api_key = ApiKey::from_text("llmp-key");
    let keys = KeyTable::default();
    let holder = KeyHolder {
        key_id: 1,
        key_hash: api_key.hash(),
        user_id: 1,
        username: "alice".to_owned(),
        is_active: true,
        expires_at_ms: None,
        is_revoked: false,
    };
    keys.refresh(|| Ok(vec![holder])).unwrap();
    let drain = Arc::<Drain>::default();
    let admission = AdmissionControl {
        keys: Arc::new(keys),
        owners: Owners {
            store: store.clone(),
            giving: crate::proxy::admission::given_ids::GivenIds::default(),
        },
        gate: Gate::new(0, PATIENCE, Arc::clone(&drain)),
        drain,
        uploads: UploadShares::new(0),
        bodies: BodyBudget::new(1024),
        throttle: Arc::default(),
        limits: Arc::new(RequestLimits {
            shared: SharedLimits::new(Calendar::default()),
            prices: PriceDesk::default(),
            hides_numbers: false,
        }),
    };
    let request = TestRequest::post()
        .uri(CHAT)
        .insert_header(("api-key", HeaderValue::from_static("llmp-key")))
        .to_http_request();
    let arrival = admission.identify(request.headers()).await.unwrap();
    let endpoints = Endpoints::default();
    let endpoint = endpoints.find(&Method::POST, CHAT).unwrap().endpoint;
    let accounting = Rc::new(WorkerAccounting {
        running: Rc::default(),
        ledger: WorkerLedger::new(ledger.handle()),
        estimator: Estimator::new(ledger.handle()),
        refusals: Rc::default(),
        alerts: AlertSink::default(),
    });
    let live = Sight::default().worker().enter(CHAT, RequestId::new(0));
    let context = RequestContext::new(&request, arrival, endpoint, live);
    let applicant = Applicant {
        user_id: 1,
        rules: None,
        conditions: Conditions {
            endpoint,
            model: "",
            tier: None,
            is_batch: false,
            at_ms: 0,
        },
        asked: &context.asked,
        names_model_later: false,
        batch_demand: None,
        live: &context.live,
    };
    let admission = admission.admit(applicant).await.unwrap();
    let mut exchange = Exchange::start(context, accounting, admission, 0);
    exchange.mark_sent();
    exchange
}

fn run(test: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn each_event_passes_before_the_backend_sends_the_next() {
    run(async {
        let mut passage = Passage::begin(EVENTS_UNTIL_CLOSE).await;
        for n in 0..3 {
            let event = DELTA.replace("Hello", &n.to_string());
            passage.write(&event).await;
            assert_eq!(passage.next().await, Some(Ok(event)));
            assert_eq!(passage.rows(), []);
        }
        // The usage was asked for by the proxy only.
        passage.write(&[USAGE, DONE].concat()).await;
        assert_eq!(passage.next().await, Some(Ok(DONE.to_owned())));
        assert_eq!(passage.rows(), [("completed".to_owned(), 19, 10)]);
        passage.backend.shutdown().await.unwrap();
        assert_eq!(passage.next().await, None);
        assert_eq!(passage.rows().len(), 1, "it is booked once");
        passage.end();
    });
}

#[test]
fn the_last_event_waits_for_its_row() {
    run(async {
        let mut passage = Passage::begin(EVENTS_UNTIL_CLOSE).await;
        let other = passage.store.own_connection().unwrap();
        let writing = other.write().unwrap();
        passage.write(&[DELTA, USAGE].concat()).await;
        assert_eq!(passage.next().await, Some(Ok(DELTA.to_owned())));
        passage.write(DONE).await;
        assert!(passage.is_silent().await);
        assert_eq!(passage.rows(), []);
        drop(writing);
        assert_eq!(passage.next().await, Some(Ok(DONE.to_owned())));
        assert_eq!(passage.rows(), [("completed".to_owned(), 19, 10)]);
        passage.end();
    });
}

#[test]
fn an_answer_that_cannot_be_booked_breaks_off_without_its_end() {
    run(async {
        let mut passage = Passage::begin(EVENTS_UNTIL_CLOSE).await;
        let file: PathBuf = passage.dir.path().join("x.db");
        let away = passage.dir.path().join("away.db");
        std::fs::rename(&file, &away).unwrap();
        passage.write(&[DELTA, USAGE].concat()).await;
        assert_eq!(passage.next().await, Some(Ok(DELTA.to_owned())));
        passage.write(DONE).await;
        assert!(matches!(passage.next().await, Some(Err(_))));
        assert_eq!(passage.next().await, None);
        std::fs::rename(&away, &file).unwrap();
        let outcome = passage.outcome_of_the_only_row().await;
        assert_eq!(outcome, "completed", "the tokens are spent");
        passage.end();
    });
}

#[test]
fn an_answer_that_the_backend_breaks_off_ends_with_an_error() {
    run(async {
        let mut passage = Passage::begin(EVENTS_OF_LENGTH).await;
        passage.write(DELTA).await;
        assert_eq!(passage.next().await, Some(Ok(DELTA.to_owned())));
        passage.backend.shutdown().await.unwrap();
        let error = passage.next().await.unwrap().unwrap_err();
        assert!(error.contains("broke off"), "{error}");
        assert_eq!(passage.next().await, None);
        assert_eq!(passage.outcome_of_the_only_row().await, "backend_broke");
        passage.end();
    });
}

#[test]
fn dropping_the_body_books_the_answer_as_client_gone() {
    run(async {
        let mut passage = Passage::begin(EVENTS_UNTIL_CLOSE).await;
        passage.write(DELTA).await;
        assert_eq!(passage.next().await, Some(Ok(DELTA.to_owned())));
        passage.body = BoxBody::new(());
        assert_eq!(passage.outcome_of_the_only_row().await, "client_gone");
        passage.end();
    });
}
