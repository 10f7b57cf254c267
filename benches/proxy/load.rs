//! The clients: a raw HTTP/1.1 client on keep-alive connections, a request at a time on each.
//!
//! It checks every answer (status, length or number of events, a clean end): a fast wrong answer is
//! a failure.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::upstream::{self, STAMP};

/// Far beyond any answer's time here: a hanging proxy is a failure, not a hanging benchmark.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Job {
    pub address: SocketAddr,
    pub request: Bytes,
    pub expected: Expected,
    pub connections: usize,
    /// The connections start spread over this time, so that paced streams do not march in step.
    pub spread: Duration,
    /// Each connection begins requests until then, and makes at least one.
    pub duration: Duration,
}

#[derive(Clone, Copy)]
pub enum Expected {
    Plain,
    Events(u64),
}

#[derive(Default)]
pub struct Outcome {
    pub answered: u64,
    pub elapsed: Duration,
    pub latencies_ns: Vec<u64>,
    /// From the upstream's write of an event to its arrival here.
    pub delays_ns: Vec<u64>,
    pub failures: Vec<String>,
}

impl Outcome {
    fn join(&mut self, other: Self) {
        self.answered += other.answered;
        self.latencies_ns.extend(other.latencies_ns);
        self.delays_ns.extend(other.delays_ns);
        self.failures.extend(other.failures);
    }
}

/// Runs the job on threads of its own and waits for its last answer.
pub fn run(job: &Job, threads: usize) -> io::Result<Outcome> {
    let started = Instant::now();
    let mut running = Vec::new();
    for thread in 0..threads.min(job.connections) {
        let job = job.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        running.push(thread::spawn(move || {
            runtime.block_on(run_share(&job, thread, threads, started))
        }));
    }
    let mut total = Outcome::default();
    for thread in running {
        total.join(
            thread
                .join()
                .map_err(|_| io::Error::other("a thread of the load panicked"))?,
        );
    }
    total.elapsed = started.elapsed();
    Ok(total)
}

async fn run_share(job: &Job, thread: usize, threads: usize, started: Instant) -> Outcome {
    let mut tasks = tokio::task::JoinSet::new();
    for number in (thread..job.connections).step_by(threads) {
        let job = job.clone();
        let part = u32::try_from(number).unwrap_or(0);
        let wait = job.spread * part / u32::try_from(job.connections).unwrap_or(1);
        tasks.spawn(async move {
            tokio::time::sleep(wait).await;
            run_connection(&job, started).await
        });
    }
    let mut total = Outcome::default();
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok(outcome) => total.join(outcome),
            Err(error) => total.failures.push(error.to_string()),
        }
    }
    total
}

async fn run_connection(job: &Job, started: Instant) -> Outcome {
    const FAILURES_MAX: usize = 3;
    let mut outcome = Outcome::default();
    let mut connection = None;
    loop {
        let begun = Instant::now();
        let request = one_request(&mut connection, job, &mut outcome.delays_ns);
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(())) => {
                outcome.answered += 1;
                let latency_ns = begun.elapsed().as_nanos();
                outcome
                    .latencies_ns
                    .push(u64::try_from(latency_ns).unwrap_or(u64::MAX));
            }
            Ok(Err(error)) => outcome.failures.push(error.to_string()),
            Err(late) => outcome.failures.push(late.to_string()),
        }
        if started.elapsed() >= job.duration || outcome.failures.len() >= FAILURES_MAX {
            return outcome;
        }
    }
}

async fn one_request(
    kept: &mut Option<Connection>,
    job: &Job,
    delays_ns: &mut Vec<u64>,
) -> io::Result<()> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(job.address).await?,
    };
    connection.stream.write_all(&job.request).await?;
    let reusable = connection.read_answer(job.expected, delays_ns).await?;
    *kept = reusable.then_some(connection);
    Ok(())
}

struct Connection {
    stream: TcpStream,
    received: BytesMut,
}

enum Framing {
    Length(usize),
    Chunked,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            received: BytesMut::with_capacity(16 << 10),
        })
    }

    /// Says whether the connection may be used again.
    async fn read_answer(
        &mut self,
        expected: Expected,
        delays_ns: &mut Vec<u64>,
    ) -> io::Result<bool> {
        let (framing, reusable) = self.read_head().await?;
        let mut body = Body {
            expected,
            carry: Vec::new(),
            bytes: 0,
            events: 0,
            done: false,
        };
        match framing {
            Framing::Length(length) => self.take(length, &mut body, delays_ns).await?,
            Framing::Chunked => loop {
                let size = self.chunk_size().await?;
                self.take(size, &mut body, delays_ns).await?;
                self.line_end().await?;
                if size == 0 {
                    break;
                }
            },
        }
        body.check()?;
        Ok(reusable)
    }

    async fn read_head(&mut self) -> io::Result<(Framing, bool)> {
        let head_bytes = loop {
            if let Some(end) = memmem::find(&self.received, b"\r\n\r\n") {
                break end + 4;
            }
            self.receive().await?;
        };
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        response
            .parse(&self.received[..head_bytes])
            .map_err(io::Error::other)?;
        if response.code != Some(200) {
            let text = String::from_utf8_lossy(&self.received);
            return Err(io::Error::other(format!("not a 200: {text}")));
        }
        let value = |name: &str| {
            let header = response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name));
            header.and_then(|header| str::from_utf8(header.value).ok())
        };
        let framing = match value("content-length").map(str::parse) {
            Some(Ok(length)) => Framing::Length(length),
            Some(Err(error)) => return Err(io::Error::other(error)),
            None if value("transfer-encoding") == Some("chunked") => Framing::Chunked,
            None => return Err(io::Error::other("neither Content-Length nor chunked")),
        };
        let reusable = value("connection") != Some("close");
        self.received.advance(head_bytes);
        Ok((framing, reusable))
    }

    async fn take(
        &mut self,
        mut bytes: usize,
        body: &mut Body,
        delays_ns: &mut Vec<u64>,
    ) -> io::Result<()> {
        while bytes > 0 {
            if self.received.is_empty() {
                self.receive().await?;
            }
            let step = bytes.min(self.received.len());
            body.push(&self.received[..step], delays_ns);
            self.received.advance(step);
            bytes -= step;
        }
        Ok(())
    }

    async fn chunk_size(&mut self) -> io::Result<usize> {
        let line_bytes = loop {
            if let Some(end) = memmem::find(&self.received, b"\r\n") {
                break end;
            }
            self.receive().await?;
        };
        let line = str::from_utf8(&self.received[..line_bytes]).map_err(io::Error::other)?;
        let size = usize::from_str_radix(line, 16).map_err(io::Error::other)?;
        self.received.advance(line_bytes + 2);
        Ok(size)
    }

    async fn line_end(&mut self) -> io::Result<()> {
        while self.received.len() < 2 {
            self.receive().await?;
        }
        self.received.advance(2);
        Ok(())
    }

    async fn receive(&mut self) -> io::Result<()> {
        self.received.reserve(4 << 10);
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::Error::other("closed before the answer's end")),
            _ => Ok(()),
        }
    }
}

struct Body {
    expected: Expected,
    carry: Vec<u8>,
    bytes: usize,
    events: u64,
    done: bool,
}

impl Body {
    fn push(&mut self, bytes: &[u8], delays_ns: &mut Vec<u64>) {
        self.bytes += bytes.len();
        if let Expected::Plain = self.expected {
            return;
        }
        let now_ns = upstream::now_ns();
        self.carry.extend_from_slice(bytes);
        while let Some(end) = memmem::find(&self.carry, b"\n\n") {
            let event = &self.carry[..end];
            if memmem::find(event, STAMP).is_some() {
                self.events += 1;
                delays_ns.push(now_ns.saturating_sub(upstream::number_after(event, STAMP)));
            }
            self.done |= event == b"data: [DONE]";
            self.carry.drain(..end + 2);
        }
    }

    fn check(&self) -> io::Result<()> {
        match self.expected {
            Expected::Plain if self.bytes == upstream::PLAIN_ANSWER_BYTES => Ok(()),
            Expected::Plain => Err(io::Error::other(format!(
                "an answer of {} bytes",
                self.bytes
            ))),
            Expected::Events(events) if self.events == events && self.done => Ok(()),
            Expected::Events(_) => Err(io::Error::other(format!(
                "{} events, [DONE]: {}",
                self.events, self.done
            ))),
        }
    }
}
