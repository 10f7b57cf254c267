//! The backend behind every way that is measured: as cheap as can be, so that the time goes to the
//! proxy.
//!
//! A plain request gets one fixed answer of 845 bytes in one write. With `"stream":true` it gets
//! `x_events` events, `x_gap_ms` apart, each chunk a write of its own and stamped with its time;
//! with `x_bytes` one answer of that length, as fast as it is taken.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;

pub const PLAIN_ANSWER_BYTES: usize = 845;
pub const STAMP: &[u8] = b"\"x_sent_ns\":\"";
pub const STAMP_DIGITS: usize = 15;
/// The switches of a request stand in its first bytes, so that a long body costs no search.
const LOOKED_AT_BYTES: usize = 4096;

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Client and upstream share a process, and so this clock.
pub fn now_ns() -> u64 {
    u64::try_from(EPOCH.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Serves until the process ends.
pub fn start(threads: usize) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    for _ in 0..threads {
        let listener = listener.try_clone()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("upstream".into())
            .spawn(move || {
                runtime
                    .block_on(accept(listener))
                    .expect("the upstream accepts connections");
            })?;
    }
    listener.local_addr()
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that breaks is counted by the client as a failure.
        tokio::spawn(async move { serve(stream).await.ok() });
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let plain = plain_answer();
    let mut received = BytesMut::with_capacity(64 << 10);
    while let Some(asked) = read_request(&mut stream, &mut received).await? {
        match asked {
            Asked::Plain => stream.write_all(plain.as_bytes()).await?,
            Asked::Stream(asked) => write_stream(&mut stream, &asked).await?,
            Asked::Bytes(bytes) => write_bytes(&mut stream, bytes).await?,
        }
    }
    Ok(())
}

enum Asked {
    Plain,
    Stream(Stream),
    Bytes(usize),
}

struct Stream {
    events: u64,
    gap_ms: u64,
    usage: bool,
}

/// None when the other side has closed.
async fn read_request(
    stream: &mut TcpStream,
    received: &mut BytesMut,
) -> io::Result<Option<Asked>> {
    let head_bytes = loop {
        if let Some(end) = memmem::find(received, b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    };
    let body_bytes = content_length(&received[..head_bytes])?;
    received.advance(head_bytes);
    while received.len() < body_bytes.min(LOOKED_AT_BYTES) {
        if stream.read_buf(received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let asked = understand(&received[..body_bytes.min(LOOKED_AT_BYTES)]);
    let mut missing = body_bytes;
    loop {
        let step = missing.min(received.len());
        received.advance(step);
        missing -= step;
        if missing == 0 {
            return Ok(Some(asked));
        }
        received.reserve(64 << 10);
        if stream.read_buf(received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn content_length(head: &[u8]) -> io::Result<usize> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(head).map_err(io::Error::other)?;
    let header = request
        .headers
        .iter()
        .find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let value = header.and_then(|header| str::from_utf8(header.value).ok());
    let length = value.and_then(|value| value.parse().ok());
    length.ok_or_else(|| io::Error::other("a request without Content-Length"))
}

fn understand(body: &[u8]) -> Asked {
    if let Ok(bytes @ 1..) = usize::try_from(number_after(body, b"\"x_bytes\":")) {
        return Asked::Bytes(bytes);
    }
    if memmem::find(body, b"\"stream\":true").is_none() {
        return Asked::Plain;
    }
    Asked::Stream(Stream {
        events: number_after(body, b"\"x_events\":"),
        gap_ms: number_after(body, b"\"x_gap_ms\":"),
        usage: memmem::find(body, b"\"include_usage\"").is_some(),
    })
}

pub fn number_after(text: &[u8], name: &[u8]) -> u64 {
    let start = memmem::find(text, name).map_or(text.len(), |at| at + name.len());
    let digits = text[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

async fn write_stream(stream: &mut TcpStream, asked: &Stream) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
                x-request-id: req_bench\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut event = chunk(&format!("data: {}\n\n", event_json())).into_bytes();
    let stamp = memmem::find(&event, STAMP).map_or(0, |at| at + STAMP.len());
    let mut ticks = tokio::time::interval(Duration::from_millis(asked.gap_ms.max(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..asked.events {
        if asked.gap_ms > 0 {
            ticks.tick().await;
        } else {
            // Lets the other streams write, so that a proxy meets events one by one.
            tokio::task::yield_now().await;
        }
        let digits = format!("{:0STAMP_DIGITS$}", now_ns());
        event[stamp..stamp + STAMP_DIGITS].copy_from_slice(digits.as_bytes());
        stream.write_all(&event).await?;
    }
    if asked.usage {
        let usage = format!(
            r#"data: {{"id":"chatcmpl-bench","object":"chat.completion.chunk","choices":[],{USAGE}}}"#
        );
        stream
            .write_all(chunk(&format!("{usage}\n\n")).as_bytes())
            .await?;
    }
    stream
        .write_all(chunk("data: [DONE]\n\n").as_bytes())
        .await?;
    stream.write_all(b"0\r\n\r\n").await
}

/// What a picture in base64 looks like, of which nothing but the length matters.
async fn write_bytes(stream: &mut TcpStream, mut bytes: usize) -> io::Result<()> {
    const PIECE: &[u8] = &[b'A'; 64 << 10];
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    while bytes > 0 {
        let step = bytes.min(PIECE.len());
        stream.write_all(&PIECE[..step]).await?;
        bytes -= step;
    }
    Ok(())
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

const USAGE: &str = r#""usage":{"prompt_tokens":19,"completion_tokens":100,"total_tokens":119,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;

/// About as long as an event of OpenAI's is.
fn event_json() -> String {
    let stamp = "0".repeat(STAMP_DIGITS);
    format!(
        r#"{{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_b376dfbbd5","choices":[{{"index":0,"delta":{{"content":" token"}},"logprobs":null,"finish_reason":null}}],"x_sent_ns":"{stamp}"}}"#
    )
}

fn plain_answer() -> String {
    let start = r#"{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1741569952,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":""#;
    let end = format!(
        r#"","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],{USAGE},"service_tier":"default","system_fingerprint":"fp_b376dfbbd5"}}"#
    );
    let words = "word ".repeat(PLAIN_ANSWER_BYTES / 5);
    let content = &words[..PLAIN_ANSWER_BYTES - start.len() - end.len()];
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {PLAIN_ANSWER_BYTES}\r\n\
         x-request-id: req_bench\r\nopenai-processing-ms: 5\r\n\r\n{start}{content}{end}"
    )
}
