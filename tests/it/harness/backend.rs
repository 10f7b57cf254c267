//! A backend that answers each request by a script: any bytes, any delays, any way to end a connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{PATIENCE, Turnstile, chat_completion, counted_stream, reset, wait_until};

pub struct Backend {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Arc<Seen>>>>,
    open: Arc<Mutex<Vec<Weak<TcpStream>>>>,
    stopping: Arc<AtomicBool>,
}

impl Backend {
    /// Starts a backend. `script` is called once per request, on the thread of the request's connection.
    pub fn start(script: impl Fn(&Seen, &mut Wire) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let backend = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            open: Arc::default(),
            stopping: Arc::default(),
        };
        let (seen, open, stopping) = (
            backend.seen.clone(),
            backend.open.clone(),
            backend.stopping.clone(),
        );
        let script = Arc::new(script);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                if stopping.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let stream = Arc::new(stream);
                open.lock().unwrap().push(Arc::downgrade(&stream));
                let (seen, script) = (seen.clone(), script.clone());
                thread::spawn(move || serve(connection, stream, &seen, &*script));
            }
        });
        backend
    }

    /// Answers every request with this JSON.
    pub fn json(body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |_, wire| wire.json(&body))
    }

    /// Answers every request with these events, each in a chunk of its own.
    pub fn sse<E: AsRef<[u8]>>(events: impl IntoIterator<Item = E>) -> Self {
        let events: Vec<Vec<u8>> = events
            .into_iter()
            .map(|event| event.as_ref().to_vec())
            .collect();
        Self::start(move |_, wire| wire.sse(&events))
    }

    /// Answers streamed chats with events and others with JSON, with these numbers of tokens.
    pub fn chats(input: u64, output: u64) -> Self {
        Self::start(move |request, wire| {
            if request.asks_to_stream() {
                wire.sse(&counted_stream(input, output));
            } else {
                wire.json(&chat_completion(input, output));
            }
        })
    }

    /// Answers each chat of 7 and 3 tokens when the turnstile lets it pass.
    pub fn held() -> (Self, Arc<Turnstile>) {
        let turnstile = Arc::new(Turnstile::default());
        let passed = Arc::clone(&turnstile);
        let backend = Self::start(move |_, wire| {
            if passed.pass() {
                wire.json(&chat_completion(7, 3));
            }
        });
        (backend, turnstile)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    pub fn requests(&self) -> Vec<Arc<Seen>> {
        self.seen.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn last(&self) -> Arc<Seen> {
        self.requests().pop().expect("the backend saw a request")
    }

    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) {
        wait_until(
            &format!("the backend sees {count} requests"),
            PATIENCE,
            || self.requests().len() >= count,
        );
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        for stream in self.open.lock().unwrap().iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// One request as it came, byte for byte.
pub struct Seen {
    /// The number of the connection that it came on.
    pub connection: usize,
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        lines
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn asks_to_stream(&self) -> bool {
        self.json()["stream"] == true
    }

    /// Returns the requested model, by which scripts choose their behaviour.
    pub fn model(&self) -> String {
        self.json()["model"].as_str().unwrap_or_default().to_owned()
    }
}

/// The script's side of a connection. Writing to a client that has left is no error: the test checks the client's side.
pub struct Wire {
    stream: Arc<TcpStream>,
    unread: Vec<u8>,
    open: bool,
}

impl Wire {
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = (&*self.stream).write_all(bytes.as_ref());
    }

    /// Sends a head without a framing header, unless `headers` has one.
    pub fn head(&mut self, status: &str, headers: &[(&str, &str)]) {
        self.write(head(status, headers));
    }

    /// Sends an answer in a single write. The proxy then sees the head together with the body.
    pub fn answer(&mut self, status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let length = body.len().to_string();
        let headers = [headers, &[("Content-Length", length.as_str())]].concat();
        self.write([&head(status, &headers), body].concat());
    }

    pub fn json(&mut self, body: &str) {
        self.answer("200 OK", &[("Content-Type", "application/json")], body);
    }

    pub fn sse_head(&mut self) {
        self.head(
            "200 OK",
            &[
                ("Content-Type", "text/event-stream"),
                ("Transfer-Encoding", "chunked"),
            ],
        );
    }

    pub fn chunk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let mut frame = format!("{:x}\r\n", bytes.len()).into_bytes();
        frame.extend_from_slice(bytes);
        frame.extend_from_slice(b"\r\n");
        self.write(frame);
    }

    /// Sends each piece in a chunk of its own.
    pub fn chunks<E: AsRef<[u8]>>(&mut self, pieces: impl IntoIterator<Item = E>) {
        for piece in pieces {
            self.chunk(piece);
        }
    }

    pub fn end(&mut self) {
        self.write("0\r\n\r\n");
    }

    pub fn sse<E: AsRef<[u8]>>(&mut self, events: &[E]) {
        self.sse_head();
        self.chunks(events);
        self.end();
    }

    /// Sends FIN. Nothing can be sent after it.
    pub fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.open = false;
    }

    /// Sends RST when the script returns, as a crashed backend does.
    pub fn reset(&mut self) {
        reset(&self.stream);
        self.open = false;
    }

    /// Returns how long it took the proxy to close this connection, or `None` if it took longer than `limit`.
    pub fn closed_by_peer_within(&mut self, limit: Duration) -> Option<Duration> {
        let start = Instant::now();
        self.stream.set_read_timeout(Some(limit)).unwrap();
        let mut byte = [0];
        let outcome = (&*self.stream).read(&mut byte);
        self.stream.set_read_timeout(None).unwrap();
        match outcome {
            Ok(1) => {
                self.unread.push(byte[0]);
                None
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            Ok(_) | Err(_) => Some(start.elapsed()),
        }
    }
}

fn head(status: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in headers {
        head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn serve(
    connection: usize,
    stream: Arc<TcpStream>,
    seen: &Mutex<Vec<Arc<Seen>>>,
    script: &dyn Fn(&Seen, &mut Wire),
) {
    let _ = stream.set_nodelay(true);
    let mut wire = Wire {
        stream,
        unread: Vec::new(),
        open: true,
    };
    while wire.open {
        let Some(request) = read_request(connection, &mut wire) else {
            return;
        };
        let request = Arc::new(request);
        seen.lock().unwrap().push(request.clone());
        script(&request, &mut wire);
    }
}

fn read_request(connection: usize, wire: &mut Wire) -> Option<Seen> {
    let head = take_through(wire, b"\r\n\r\n")?;
    let mut request = Seen {
        connection,
        head: String::from_utf8_lossy(&head).into_owned(),
        body: Vec::new(),
    };
    if request.header("transfer-encoding").is_some() {
        loop {
            let line = take_through(wire, b"\r\n")?;
            let length = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).ok()?;
            let mut chunk = take(wire, length + 2)?;
            chunk.truncate(length);
            if chunk.is_empty() {
                break;
            }
            request.body.append(&mut chunk);
        }
    } else if let Some(length) = request.header("content-length") {
        request.body = take(wire, length.parse().ok()?)?;
    }
    Some(request)
}

fn take_through(wire: &mut Wire, mark: &[u8]) -> Option<Vec<u8>> {
    loop {
        if let Some(at) = memchr::memmem::find(&wire.unread, mark) {
            return take(wire, at + mark.len());
        }
        fill(wire)?;
    }
}

fn take(wire: &mut Wire, length: usize) -> Option<Vec<u8>> {
    while wire.unread.len() < length {
        fill(wire)?;
    }
    Some(wire.unread.drain(..length).collect())
}

fn fill(wire: &mut Wire) -> Option<()> {
    let mut bytes = [0; 16384];
    let count = (&*wire.stream)
        .read(&mut bytes)
        .ok()
        .filter(|count| *count > 0)?;
    wire.unread.extend_from_slice(&bytes[..count]);
    Some(())
}
