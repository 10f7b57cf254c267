//! What is measured, in the order of the table, and what the requests look like.

use std::time::Duration;

use clap::ValueEnum;

use crate::load::{Expected, Job};
use crate::targets::Target;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Case {
    Plain,
    Stream,
    Slow,
    Large,
    One,
    Memory,
    Readers,
    Ledger,
    LedgerPostgres,
    Costs,
    Start,
}

impl Case {
    pub fn title(self) -> &'static str {
        match self {
            Self::Plain => "plain chat, 64 connections",
            Self::Stream => "streams of 100 events, 64 connections",
            Self::Slow => "500 streams of 50 events, one every 20 ms",
            Self::Large => "plain chat with a picture of 1 MB, 8 connections",
            Self::One => "plain chat, one connection",
            Self::Memory => "memory",
            Self::Readers => "200 slow readers of 50 MB each",
            Self::Ledger => "ledger alone, 64 writers",
            Self::LedgerPostgres => "ledger alone, on PostgreSQL",
            Self::Costs => "costs --by-model over all rows",
            Self::Start => "start and binary",
        }
    }

    /// Whether it is measured on the processes that take the loads.
    pub fn needs_targets(self) -> bool {
        !matches!(
            self,
            Self::Readers | Self::Ledger | Self::LedgerPostgres | Self::Costs
        )
    }

    /// None for what is not a matter of load.
    pub fn load(self) -> Option<Load> {
        match self {
            Self::Plain => Some(Load::plain(64, PLAIN_BODY)),
            Self::Stream => Some(Load::streams(64, 100, 0)),
            Self::Slow => Some(Load::streams(500, 50, 20)),
            Self::Large => Some(Load::plain(8, &large_body())),
            Self::One => Some(Load::plain(1, PLAIN_BODY)),
            Self::Memory
            | Self::Readers
            | Self::Ledger
            | Self::LedgerPostgres
            | Self::Costs
            | Self::Start => None,
        }
    }
}

pub struct Load {
    pub expected: Expected,
    /// Between two events; at no pace they come as fast as they can.
    pub gap: Option<Duration>,
    connections: usize,
    /// Paced streams start spread over the length of one, lest they march in step.
    spread: Duration,
    body: String,
}

impl Load {
    pub fn first_answer() -> Self {
        Self::plain(1, PLAIN_BODY)
    }

    /// Each sends one event and then is silent for three seconds.
    pub fn open_streams() -> Self {
        Self {
            spread: Duration::from_millis(500),
            ..Self::streams(500, 2, 3000)
        }
    }

    pub fn job(&self, target: &Target, duration: Duration) -> Job {
        Job {
            address: target.address,
            request: http_request(target, &self.body).into(),
            expected: self.expected,
            connections: self.connections,
            spread: self.spread,
            duration,
        }
    }

    fn plain(connections: usize, body: &str) -> Self {
        let body = body.to_owned();
        Self {
            expected: Expected::Plain,
            gap: None,
            connections,
            spread: Duration::ZERO,
            body,
        }
    }

    fn streams(connections: usize, events: u64, gap_ms: u64) -> Self {
        let switches = format!(r#","stream":true,"x_events":{events},"x_gap_ms":{gap_ms}}}"#);
        Self {
            expected: Expected::Events(events),
            gap: (gap_ms > 0).then(|| Duration::from_millis(gap_ms)),
            connections,
            spread: Duration::from_millis(gap_ms * events),
            body: PLAIN_BODY.trim_end_matches('}').to_owned() + &switches,
        }
    }
}

/// In the order of the Python SDK: `model` and `stream` stand behind the messages.
const PLAIN_BODY: &str = r#"{"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Say in one sentence what a reverse proxy is good for, please."}],"model":"gpt-4o-mini","temperature":0.2}"#;

/// A picture in base64, as vision models take it.
fn large_body() -> String {
    let picture = "iVBORw0KGgoAAAANSUhEUgAA".repeat(1_000_000 / 24);
    format!(
        r#"{{"messages":[{{"role":"user","content":[{{"type":"text","text":"What is this?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}]}}],"model":"gpt-4o-mini","temperature":0.2}}"#
    )
}

/// For an answer of so many bytes, as fast as the upstream can send it.
pub fn request_for_bytes(target: &Target, bytes: u64) -> Vec<u8> {
    let switch = format!(r#","x_bytes":{bytes}}}"#);
    let body = PLAIN_BODY.trim_end_matches('}').to_owned() + &switch;
    http_request(target, &body)
}

/// With the headers that the Python SDK sends.
fn http_request(target: &Target, body: &str) -> Vec<u8> {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\n\
         Host: {}\r\n\
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
         Authorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        target.address,
        target.key,
        body.len(),
    )
    .into_bytes()
}
