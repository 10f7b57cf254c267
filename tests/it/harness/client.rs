//! A client that builds a request byte by byte and sees how its answer came and how it ended.

use std::fmt;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::{PATIENCE, reset};

#[derive(Clone)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Makes a POST whose body is labelled as JSON.
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        let request = Self::new("POST", target).header("Content-Type", "application/json");
        Self {
            body: body.into(),
            ..request
        }
    }

    /// Sets the body. Its framing is that of the headers.
    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    pub fn key(self, key: &str) -> Self {
        self.header("Authorization", &format!("Bearer {key}"))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let given = |name: &str| {
            self.headers
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case(name))
        };
        let mut fields = self.headers.clone();
        if !given("host") {
            fields.insert(0, ("Host".to_owned(), host.to_owned()));
        }
        let unframed = !given("content-length") && !given("transfer-encoding");
        if unframed && (!self.body.is_empty() || self.method == "POST") {
            fields.push(("Content-Length".to_owned(), self.body.len().to_string()));
        }
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in fields {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An answer with its complete body. `clean` is true if the body ended as its framing announced.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub clean: bool,
}

impl Answer {
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.clean { "" } else { " (broken off)" };
        write!(
            f,
            "{} {:?}\n{}{end}",
            self.status,
            self.headers,
            self.text()
        )
    }
}

enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
    Ended { clean: bool },
}

/// One connection to the proxy. Dropping it closes the connection.
pub struct Connection {
    stream: TcpStream,
    host: String,
    unread: Vec<u8>,
    decoded: Vec<u8>,
    framing: Framing,
}

impl Connection {
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).expect("the proxy accepts")
    }

    pub fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        Self::over(TcpStream::connect(address)?, address)
    }

    /// Connects from another address of this machine. On Linux all of 127.0.0.0/8 are.
    pub fn open_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into(), address).unwrap()
    }

    fn over(stream: TcpStream, address: SocketAddr) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let framing = Framing::Ended { clean: true };
        Ok(Self {
            stream,
            host: address.to_string(),
            unread: Vec::new(),
            decoded: Vec::new(),
            framing,
        })
    }

    /// Waits longer for the proxy than tests usually do.
    pub fn with_patience(self, patience: Duration) -> Self {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        self
    }

    pub fn port(&self) -> u16 {
        self.stream.local_addr().unwrap().port()
    }

    pub fn send(&mut self, request: &Request) {
        let bytes = request.bytes(&self.host);
        self.send_bytes(&bytes);
    }

    /// Sends bytes. A proxy that has refused the request and closed the connection is no error: its answer is checked instead.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends FIN. Answers can still be read.
    pub fn finish_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Returns every byte up to the end of the connection, framing included.
    pub fn raw_rest(&mut self) -> Vec<u8> {
        while self.fill().is_some() {}
        std::mem::take(&mut self.unread)
    }

    /// Closes the connection with RST.
    pub fn reset(self) {
        reset(&self.stream);
    }

    /// Returns the next head. Its body is then read by `read_some`, `event` or `rest`.
    #[track_caller]
    pub fn head(&mut self) -> Answer {
        self.try_head().expect("the proxy answers")
    }

    /// Returns the next head, or `None` if the connection ended before it came.
    pub fn try_head(&mut self) -> Option<Answer> {
        let head = self.take_through(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let answer = Answer {
            status,
            headers,
            body: Vec::new(),
            clean: false,
        };
        self.framing = if status < 200 || status == 204 || status == 304 {
            Framing::Ended { clean: true }
        } else if answer
            .header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            Framing::Chunked
        } else if let Some(length) = answer.header("content-length") {
            Framing::Length(length.parse().ok()?)
        } else {
            Framing::UntilClose
        };
        Some(answer)
    }

    /// Returns the next bytes of the body: as many as have come, or one chunk. `None` at its end.
    pub fn read_some(&mut self) -> Option<Vec<u8>> {
        match self.framing {
            Framing::Ended { .. } => None,
            Framing::Length(0) => self.ended(true),
            Framing::Length(left) => {
                if self.unread.is_empty() && self.fill().is_none() {
                    return self.ended(false);
                }
                let count = left.min(self.unread.len());
                self.framing = Framing::Length(left - count);
                Some(self.unread.drain(..count).collect())
            }
            Framing::Chunked => match self.take_chunk() {
                None => self.ended(false),
                Some(chunk) if chunk.is_empty() => self.ended(true),
                chunk => chunk,
            },
            Framing::UntilClose => {
                if self.unread.is_empty() && self.fill().is_none() {
                    return self.ended(true);
                }
                Some(std::mem::take(&mut self.unread))
            }
        }
    }

    /// Returns the next event of a stream, blank line included, as soon as its last byte has come.
    pub fn event(&mut self) -> Option<String> {
        loop {
            let ends = ["\n\n", "\r\n\r\n"].map(|end| {
                memchr::memmem::find(&self.decoded, end.as_bytes())
                    .map_or(usize::MAX, |at| at + end.len())
            });
            let end = ends[0].min(ends[1]);
            if end != usize::MAX {
                return Some(String::from_utf8(self.decoded.drain(..end).collect()).unwrap());
            }
            let more = self.read_some()?;
            self.decoded.extend_from_slice(&more);
        }
    }

    /// Returns the rest of the body, and whether it ended as its framing announced.
    pub fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut body = std::mem::take(&mut self.decoded);
        while let Some(bytes) = self.read_some() {
            body.extend_from_slice(&bytes);
        }
        (body, matches!(self.framing, Framing::Ended { clean: true }))
    }

    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("the proxy answers")
    }

    pub fn try_answer(&mut self) -> Option<Answer> {
        let head = self.try_head()?;
        let (body, clean) = self.rest();
        Some(Answer {
            body,
            clean,
            ..head
        })
    }

    fn ended(&mut self, clean: bool) -> Option<Vec<u8>> {
        self.framing = Framing::Ended { clean };
        None
    }

    /// Returns the next chunk. The last one is empty; its trailers are read.
    fn take_chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.take_through(b"\r\n")?;
        let size = String::from_utf8_lossy(&line);
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            while self.take_through(b"\r\n")?.len() > 2 {}
            return Some(Vec::new());
        }
        let mut chunk = self.take(size + 2)?;
        chunk.truncate(size);
        Some(chunk)
    }

    fn take_through(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.unread, mark) {
                return self.take(at + mark.len());
            }
            self.fill()?;
        }
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            self.fill()?;
        }
        Some(self.unread.drain(..length).collect())
    }

    /// Reads more bytes. `None` at the end of the connection, by FIN or RST. Silence for too long fails the test.
    fn fill(&mut self) -> Option<()> {
        let mut bytes = [0; 16384];
        match self.stream.read(&mut bytes) {
            Ok(0) => None,
            Ok(count) => {
                self.unread.extend_from_slice(&bytes[..count]);
                Some(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let patience = self.stream.read_timeout().unwrap().unwrap_or_default();
                panic!("nothing came from the proxy for {patience:?}")
            }
            Err(_) => None,
        }
    }
}
