//! The head of an answer, and what it says of the body's framing (RFC 9112 section 6.3).

use std::mem::MaybeUninit;

use actix_web::http::{
    StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use bytes::BytesMut;

/// Longest head; most servers send less than 2 KiB.
pub(crate) const MAX_HEAD_BYTES: usize = 128 * 1024;
const MAX_HEADERS: usize = 160;
/// Headers that the client's answer has besides: the id of the request and what is left of rates. Room
/// for them is cheaper at once than by a larger table later.
const ADDED_HEADERS: usize = 7;

/// A complete head.
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// The length that the body has, or would have if it were sent.
    pub(crate) announced_length: Option<u64>,
    /// Another request may follow on this connection when the body has been read.
    pub(crate) keeps_alive: bool,
}

/// Ways in which the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// The kind of request that an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Request,
    /// The answer has no body, whatever its head announces.
    Head,
    Upgrade,
}

pub(crate) enum Parsed {
    Whole(Head),
    /// A 1xx answer, which was taken off the buffer.
    Interim,
    Partial,
}

impl Head {
    /// Takes a head off the front of what was read. The error is a text that says what is wrong
    /// with it.
    pub(crate) fn parse(read: &mut BytesMut, kind: RequestKind) -> Result<Parsed, &'static str> {
        // The array is not filled first: that would be 5 KB of writes for an answer with ten
        // headers.
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            read,
            &mut headers,
        );
        let length = match parsed {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(Parsed::Partial),
            Err(httparse::Error::TooManyHeaders) => return Err("too many headers"),
            Err(_) => return Err("no valid HTTP answer"),
        };
        if length > MAX_HEAD_BYTES {
            return Err("the head of its answer is too long");
        }
        let status = response
            .code
            .and_then(|code| StatusCode::from_u16(code).ok())
            .filter(|status| status.as_u16() < 600)
            .ok_or("no valid status")?;
        let is_switch = status == StatusCode::SWITCHING_PROTOCOLS;
        if is_switch && kind != RequestKind::Upgrade {
            return Err("it switched protocols unasked");
        }
        if status.is_informational() && !is_switch {
            let _ = read.split_to(length);
            return Ok(Parsed::Interim);
        }
        let http_1_1 = response.version == Some(1);
        // Positions are kept instead of borrows, so that the values can share the buffer instead of
        // being copied.
        let base = read.as_ptr().addr();
        // The list is filled and emptied where it is, because moving it copies its 2 kB.
        let mut spans: smallvec::SmallVec<[_; 32]> = smallvec::SmallVec::new();
        for header in response.headers.iter() {
            let name = HeaderName::from_bytes(header.name.as_bytes());
            let start = header.value.as_ptr().addr().wrapping_sub(base);
            spans.push((name, start..start + header.value.len()));
        }
        let bytes = read.split_to(length).freeze();
        let mut headers = HeaderMap::with_capacity(spans.len() + ADDED_HEADERS);
        for (name, span) in spans.drain(..) {
            let name = name.map_err(|_| "a header's name is not valid")?;
            let value = if span.is_empty() {
                HeaderValue::from_static("")
            } else {
                HeaderValue::from_maybe_shared(bytes.slice(span))
                    .map_err(|_| "a header's value is not valid")?
            };
            headers.append(name, value);
        }
        let (framing, is_clear) = if is_switch {
            // What follows is not HTTP any more.
            (Framing::UntilClose, false)
        } else {
            framing(status, &headers)?
        };
        let announced_length = framing.length();
        let framing = match kind {
            RequestKind::Head => Framing::Length(0),
            RequestKind::Request | RequestKind::Upgrade => framing,
        };
        let keeps_alive =
            http_1_1 && is_clear && framing != Framing::UntilClose && !says_close(&headers);
        Ok(Parsed::Whole(Self {
            status,
            headers,
            framing,
            announced_length,
            keeps_alive,
        }))
    }
}

impl Framing {
    fn length(self) -> Option<u64> {
        match self {
            Self::Length(length) => Some(length),
            Self::Chunked | Self::UntilClose => None,
        }
    }
}

/// Returns the framing, and whether it is the only one that is named. A connection whose answer
/// named two is not used again.
pub(crate) fn framing(
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<(Framing, bool), &'static str> {
    let length = content_length(headers)?;
    let mut codings = headers
        .get_all(header::TRANSFER_ENCODING)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty())
        .peekable();
    let has_codings = codings.peek().is_some();
    // Answers with these statuses never have a body, whatever their headers say.
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok((
            Framing::Length(0),
            !has_codings && length.is_none_or(|length| length == 0),
        ));
    }
    if has_codings {
        return match (codings.next(), codings.next()) {
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => {
                Ok((Framing::Chunked, length.is_none()))
            }
            // `gzip, chunked` as a transfer coding is legal but not used; passing it on would
            // change what the client reads.
            _ => Err("an unknown transfer coding"),
        };
    }
    Ok(match length {
        Some(length) => (Framing::Length(length), true),
        None => (Framing::UntilClose, true),
    })
}

/// Returns the length. Several equal lengths are one (RFC 9112 section 6.3 rule 5), different ones
/// are an attack or a fault.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut length = None;
    let values = headers
        .get_all(header::CONTENT_LENGTH)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii);
    for value in values {
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let this = std::str::from_utf8(value)
            .ok()
            .filter(|_| is_number)
            .and_then(|text| text.parse::<u64>().ok())
            .ok_or("its Content-Length is no number")?;
        if length.replace(this).is_some_and(|other| other != this) {
            return Err("it names two lengths");
        }
    }
    Ok(length)
}

fn says_close(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONNECTION)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<(Framing, bool), &'static str> {
        let mut read = BytesMut::from(text);
        match Head::parse(&mut read, RequestKind::Request)? {
            Parsed::Whole(head) => Ok((head.framing, head.keeps_alive)),
            Parsed::Interim => Err("interim"),
            Parsed::Partial => Err("partial"),
        }
    }

    #[test]
    fn the_framing_decides_whether_the_connection_is_kept() {
        for (headers, expected) in [
            ("Content-Length: 5", Ok((Framing::Length(5), true))),
            ("Content-Length: 5, 5", Ok((Framing::Length(5), true))),
            (
                "Content-Length: 5\r\nConnection: Keep-Alive, close",
                Ok((Framing::Length(5), false)),
            ),
            ("Transfer-Encoding: Chunked", Ok((Framing::Chunked, true))),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 5",
                Ok((Framing::Chunked, false)),
            ),
            ("X: y", Ok((Framing::UntilClose, false))),
            (
                "Content-Length: 5\r\nContent-Length: 6",
                Err("it names two lengths"),
            ),
            ("Content-Length: +5", Err("its Content-Length is no number")),
            (
                "Transfer-Encoding: gzip, chunked",
                Err("an unknown transfer coding"),
            ),
            (
                "Transfer-Encoding: chunked, chunked",
                Err("an unknown transfer coding"),
            ),
        ] {
            assert_eq!(
                parse(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n")),
                expected,
                "{headers}"
            );
        }
        assert_eq!(
            parse("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"),
            Ok((Framing::Length(5), false))
        );
        assert_eq!(
            parse("HTTP/1.1 204 No Content\r\n\r\n"),
            Ok((Framing::Length(0), true))
        );
    }

    #[test]
    fn interim_answers_are_taken_off_and_101_refused() {
        assert_eq!(parse("HTTP/1.1 100 Continue\r\n\r\n"), Err("interim"));
        assert_eq!(
            parse("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            Err("it switched protocols unasked")
        );
        assert_eq!(
            parse("SSH-2.0-OpenSSH_9.2\r\n"),
            Err("no valid HTTP answer")
        );
        assert_eq!(parse("HTTP/1.1 200 OK\r\nA: b\r\n"), Err("partial"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::parse(&mut BytesMut::from(&bytes[..]), RequestKind::Request);
            let mut with_start = BytesMut::from(&b"HTTP/1.1 200 OK\r\n"[..]);
            with_start.extend_from_slice(&bytes);
            let _ = Head::parse(&mut with_start, RequestKind::Upgrade);
        }
    }
}
