//! The properties of the reader of the backend's answers, whatever comes over the wire and in
//! whatever reads.

// These functions report a broken property by a panic.
#![allow(clippy::missing_panics_doc)]

use actix_web::http::header::HeaderMap;
use bytes::BytesMut;

use super::splits::each_split;
use crate::proxy::backend::{
    body::State,
    head::{Framing, Head, MAX_HEAD_BYTES, Parsed, RequestKind},
};

/// A head is read the same however it is split; it says what its lines say, and what follows it is
/// left for the body.
pub fn backend_head(input: &[u8]) {
    let whole = read_head(&[input]);
    each_split(input, |reads| assert_eq!(read_head(reads), whole));
    let HeadEnd::Whole(head) = whole else { return };

    assert!((200..600).contains(&head.status) && head.status != 101);
    let rest_bytes = head.rest.len();
    assert!(input.ends_with(&head.rest) && rest_bytes < input.len());
    let head_bytes = &input[..input.len() - rest_bytes];
    assert!(head_bytes.ends_with(b"\n"));
    for (_, value) in &head.headers {
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        assert!(memchr::memmem::find(head_bytes, value).is_some());
    }
    // The lines of the final answer are read by hand.
    let lines: Vec<&[u8]> = head_bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .collect();
    let start = lines.iter().rposition(|line| line.starts_with(b"HTTP/"));
    let lines = &lines[start.expect("a head has a status line")..];
    let values = |name: &str| -> Vec<String> {
        let fields = lines.iter().filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            let is_it = line[..at].eq_ignore_ascii_case(name.as_bytes());
            is_it.then(|| String::from_utf8_lossy(&line[at + 1..]))
        });
        fields
            .flat_map(|value| {
                value
                    .split(',')
                    .map(str::trim)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    match head.framing {
        Framing::Length(length) if ![204, 304].contains(&head.status) => {
            assert!(lengths.iter().all(|text| text.parse() == Ok(length)) && !lengths.is_empty());
            assert!(codings.iter().all(String::is_empty));
        }
        Framing::Length(length) => assert_eq!(length, 0),
        Framing::Chunked => {
            let named: Vec<_> = codings.iter().filter(|coding| !coding.is_empty()).collect();
            assert!(named.len() == 1 && named[0].eq_ignore_ascii_case("chunked"));
        }
        Framing::UntilClose => {
            assert!(!head.keeps_alive && lengths.is_empty());
        }
    }
    if head.keeps_alive {
        assert!(lines[0].starts_with(b"HTTP/1.1"));
        assert!(lengths.is_empty() || codings.iter().all(String::is_empty));
        assert!(
            !values("connection")
                .iter()
                .any(|option| option.eq_ignore_ascii_case("close"))
        );
    }
}

#[derive(Debug, PartialEq, Eq)]
enum HeadEnd {
    Partial,
    Malformed,
    Whole(SeenHead),
}

#[derive(Debug, PartialEq, Eq)]
struct SeenHead {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    framing: Framing,
    keeps_alive: bool,
    /// Bytes that were read after the head.
    rest: Vec<u8>,
}

/// Reads as a connection does: parses after each read, skips interim answers, and leaves the rest
/// for the body.
fn read_head(reads: &[&[u8]]) -> HeadEnd {
    let mut buffer = BytesMut::new();
    for (index, read) in reads.iter().enumerate() {
        buffer.extend_from_slice(read);
        while !buffer.is_empty() {
            match Head::parse(&mut buffer, RequestKind::Request) {
                Err(_) => return HeadEnd::Malformed,
                Ok(Parsed::Interim) => {}
                Ok(Parsed::Partial) if buffer.len() >= MAX_HEAD_BYTES => return HeadEnd::Malformed,
                Ok(Parsed::Partial) => break,
                Ok(Parsed::Whole(head)) => {
                    return HeadEnd::Whole(SeenHead {
                        status: head.status.as_u16(),
                        headers: seen(&head.headers),
                        framing: head.framing,
                        keeps_alive: head.keeps_alive,
                        rest: [&buffer, reads[index + 1..].concat().as_slice()].concat(),
                    });
                }
            }
        }
    }
    HeadEnd::Partial
}

fn seen(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut seen: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    seen.sort();
    seen
}

/// A body yields the same data, ends the same and leaves the same however it is split; its chunks
/// are those that a plain reading of the complete input finds.
pub fn backend_body(input: &[u8]) {
    let length = input.len() as u64;
    for framing in [
        Framing::Chunked,
        Framing::UntilClose,
        Framing::Length(length / 2),
        Framing::Length(length + 1),
    ] {
        let whole = read_body(framing, &[input]);
        each_split(input, |reads| assert_eq!(read_body(framing, reads), whole));
        match framing {
            Framing::Chunked => assert_eq!(whole, chunks(input)),
            Framing::UntilClose => assert_eq!(whole, (input.to_vec(), End::Open, vec![])),
            Framing::Length(expected) => {
                let here = usize::try_from(expected.min(length)).expect("at most the input");
                let end = if expected <= length {
                    End::Done
                } else {
                    End::Open
                };
                assert_eq!(whole, (input[..here].to_vec(), end, input[here..].to_vec()));
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The body's own end was read.
    Done,
    /// More bytes must come.
    Open,
    Malformed,
}

/// The data, how it ended, and what is left after the end.
type SeenBody = (Vec<u8>, End, Vec<u8>);

/// Reads as `Body` does, without its connection.
fn read_body(framing: Framing, reads: &[&[u8]]) -> SeenBody {
    let mut state = State::at_start(framing);
    let (mut buffer, mut data) = (BytesMut::new(), Vec::new());
    for read in reads {
        buffer.extend_from_slice(read);
        state.skip_framing(&mut buffer);
        while let Some(bytes) = state.take(&mut buffer) {
            assert!(!bytes.is_empty());
            data.extend_from_slice(&bytes);
            state.skip_framing(&mut buffer);
        }
    }
    match state {
        State::Done => (data, End::Done, buffer.to_vec()),
        State::Malformed(_) => (data, End::Malformed, vec![]),
        // What is still buffered is unfinished framing.
        _ => (data, End::Open, vec![]),
    }
}

/// Reads the chunked encoding of RFC 9112 section 7.1 from a complete input.
fn chunks(mut rest: &[u8]) -> SeenBody {
    let mut data = Vec::new();
    loop {
        let line = match line(rest, 1024) {
            Ok((line, after)) => {
                rest = after;
                line
            }
            Err(end) => return (data, end, vec![]),
        };
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let digits = std::str::from_utf8(digits.trim_ascii_end()).unwrap_or("x");
        let size = match u64::from_str_radix(digits, 16) {
            Ok(size) if !digits.starts_with('+') && digits.len() <= 15 => size,
            _ => return (data, End::Malformed, vec![]),
        };
        if size == 0 {
            break;
        }
        let here = usize::try_from(size).map_or(rest.len(), |size| size.min(rest.len()));
        data.extend_from_slice(&rest[..here]);
        rest = &rest[here..];
        match rest {
            _ if (here as u64) < size => return (data, End::Open, vec![]),
            [] | [b'\r'] => return (data, End::Open, vec![]),
            [b'\r', b'\n', after @ ..] => rest = after,
            _ => return (data, End::Malformed, vec![]),
        }
    }
    let mut trailer_bytes = 0;
    loop {
        match line(rest, 16 * 1024) {
            Ok((b"", after)) => return (data, End::Done, after.to_vec()),
            Ok((trailer, after)) => {
                trailer_bytes += trailer.len();
                rest = after;
            }
            Err(end) => return (data, end, vec![]),
        }
        if trailer_bytes > 16 * 1024 {
            return (data, End::Malformed, vec![]);
        }
    }
}

/// Returns a line that ends in CRLF, and what follows.
fn line(rest: &[u8], limit: usize) -> Result<(&[u8], &[u8]), End> {
    let Some(end) = rest.iter().take(limit).position(|byte| *byte == b'\n') else {
        let is_too_long = rest.len() >= limit;
        return Err(if is_too_long {
            End::Malformed
        } else {
            End::Open
        });
    };
    let line = rest[..end].strip_suffix(b"\r").ok_or(End::Malformed)?;
    Ok((line, &rest[end + 1..]))
}
