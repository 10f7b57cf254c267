//! Both ends of the wire in one thread, in step: nothing is sent before what was sent last has come
//! out at the other side. So each event costs the proxy a read and a write of its own, every time,
//! however slow it is.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use memchr::memmem;

/// Under callgrind; a proxy that hangs is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Wire {
    client: TcpStream,
    listener: TcpListener,
    /// The proxy's connection, once it has made one.
    backend: Option<TcpStream>,
    plain: Vec<u8>,
    stream: Vec<u8>,
    large: Vec<u8>,
    buffer: Vec<u8>,
}

impl Wire {
    pub fn new(client: TcpStream, listener: TcpListener, key: &str) -> io::Result<Self> {
        ready(&client)?;
        let picture = "iVBORw0KGgoAAAANSUhEUgAA".repeat(1_000_000 / 24);
        Ok(Self {
            client,
            listener,
            backend: None,
            plain: request(key, QUESTION, ""),
            stream: request(key, QUESTION, r#","stream":true"#),
            large: request(key, &picture, ""),
            buffer: Vec::new(),
        })
    }

    pub fn plain(&mut self) -> io::Result<()> {
        let request = std::mem::take(&mut self.plain);
        self.exchange(&request)?;
        self.plain = request;
        Ok(())
    }

    pub fn large(&mut self) -> io::Result<()> {
        let request = std::mem::take(&mut self.large);
        self.exchange(&request)?;
        self.large = request;
        Ok(())
    }

    fn exchange(&mut self, request: &[u8]) -> io::Result<()> {
        self.ask(request)?;
        self.answer(plain_answer().as_bytes())?;
        read_message(&mut self.client, &mut self.buffer)?;
        self.check_head()
    }

    pub fn stream(&mut self, events: u64) -> io::Result<()> {
        let request = std::mem::take(&mut self.stream);
        self.ask(&request)?;
        self.stream = request;
        self.answer(STREAM_HEAD.as_bytes())?;
        self.await_in_answer(b"\r\n\r\n")?;
        self.check_head()?;
        let event = chunk(EVENT);
        for _ in 0..events {
            self.answer(event.as_bytes())?;
            self.await_in_answer(b"\n\n")?;
        }
        let end = chunk(&usage_event()) + &chunk("data: [DONE]\n\n") + "0\r\n\r\n";
        self.answer(end.as_bytes())?;
        self.await_in_answer(b"\r\n0\r\n\r\n")
    }

    /// Sends a request and takes what the proxy makes of it.
    fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        self.client.write_all(request)?;
        let mut backend = match self.backend.take() {
            Some(backend) => backend,
            None => accept(&self.listener)?,
        };
        read_message(&mut backend, &mut self.buffer)?;
        self.backend = Some(backend);
        Ok(())
    }

    fn answer(&mut self, bytes: &[u8]) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::NotConnected);
        self.backend.as_mut().ok_or_else(gone)?.write_all(bytes)
    }

    /// Reads on until the text has come; what comes behind it in the same read is the framing of a
    /// chunk.
    fn await_in_answer(&mut self, text: &[u8]) -> io::Result<()> {
        self.buffer.clear();
        while memmem::find(&self.buffer, text).is_none() {
            read_some(&mut self.client, &mut self.buffer)?;
        }
        Ok(())
    }

    fn check_head(&self) -> io::Result<()> {
        if self.buffer.starts_with(b"HTTP/1.1 200 ") {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&self.buffer);
        Err(io::Error::other(format!("not a 200: {text}")))
    }
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (backend, _) = listener.accept()?;
    ready(&backend)?;
    Ok(backend)
}

fn ready(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

/// A head and a body of the length that it names.
fn read_message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    let head_bytes = loop {
        if let Some(end) = memmem::find(buffer, b"\r\n\r\n") {
            break end + 4;
        }
        read_some(stream, buffer)?;
    };
    let head = str::from_utf8(&buffer[..head_bytes]).map_err(io::Error::other)?;
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: Option<usize> = length.and_then(|(_, value)| value.trim().parse().ok());
    let body_bytes =
        length.ok_or_else(|| io::Error::other(format!("no Content-Length: {head}")))?;
    while buffer.len() < head_bytes + body_bytes {
        read_some(stream, buffer)?;
    }
    Ok(())
}

fn read_some(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 16 << 10];
    match stream.read(&mut piece)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        read => {
            buffer.extend_from_slice(&piece[..read]);
            Ok(())
        }
    }
}

const QUESTION: &str = "Say in one sentence what a reverse proxy is good for, please.";

/// With the headers that the Python SDK sends, `model` behind the messages as there.
fn request(key: &str, content: &str, switches: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"{content}"}}],"model":"gpt-4o-mini","temperature":0.2{switches}}}"#
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\n\
         Host: 127.0.0.1:9000\r\n\
         Accept-Encoding: gzip, deflate\r\n\
         Connection: keep-alive\r\n\
         Accept: application/json\r\n\
         Content-Type: application/json\r\n\
         User-Agent: OpenAI/Python 2.8.0\r\n\
         X-Stainless-Lang: python\r\n\
         X-Stainless-Package-Version: 2.8.0\r\n\
         X-Stainless-OS: Linux\r\n\
         X-Stainless-Arch: x64\r\n\
         X-Stainless-Async: async:asyncio\r\n\
         Authorization: Bearer {key}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

const USAGE: &str = r#""usage":{"prompt_tokens":19,"completion_tokens":100,"total_tokens":119,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;

fn plain_answer() -> String {
    let words = "word ".repeat(60);
    let body = format!(
        r#"{{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1741569952,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"message":{{"role":"assistant","content":"{words}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],{USAGE}}}"#
    );
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         x-request-id: req_bench\r\nopenai-processing-ms: 5\r\n\r\n{body}",
        body.len()
    )
}

const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
    x-request-id: req_bench\r\nTransfer-Encoding: chunked\r\n\r\n";
/// About as long as an event of OpenAI's is.
const EVENT: &str = concat!(
    r#"data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_b376dfbbd5","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}]}"#,
    "\n\n"
);

fn usage_event() -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"choices\":[],{USAGE}}}\n\n"
    )
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}
