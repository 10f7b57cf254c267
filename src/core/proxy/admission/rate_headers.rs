//! The headers by which a user learns what is left of the own rates, in OpenAI's names and form.

use std::cell::RefCell;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use crate::limits::RateState;

/// The names of the headers of both units, in OpenAI's spelling.
static RATE_HEADERS: [[HeaderName; 3]; 2] = [
    [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
];

/// Room for four values of usual length.
const RATE_VALUES_BYTES: usize = 64;

thread_local! {
    /// The limits of each unit whose header was made last, with its value: many users have the same,
    /// and they hardly ever change.
    static LIMIT_VALUES: RefCell<[Option<(i64, HeaderValue)>; 2]> = const { RefCell::new([None, None]) };
}

/// Returns a limit of a unit as the value of its header.
fn limit_value(unit: usize, limit: i64) -> HeaderValue {
    LIMIT_VALUES.with_borrow_mut(|values| match &values[unit] {
        Some((of, value)) if *of == limit => value.clone(),
        _ => {
            let value = HeaderValue::from(limit);
            values[unit] = Some((limit, value.clone()));
            value
        }
    })
}

/// Gives the headers of what is left in requests and in tokens to `take`.
pub(super) fn each(states: [Option<RateState>; 2], mut take: impl FnMut(HeaderName, HeaderValue)) {
    // What changes shares one buffer, which is cheaper than one for each value.
    let mut text = String::with_capacity(RATE_VALUES_BYTES);
    let ends = states.map(|state| {
        let RateState {
            remaining,
            reset_ms,
            ..
        } = state?;
        push_number(&mut text, remaining);
        let middle = text.len();
        push_span(&mut text, reset_ms);
        Some((middle, text.len()))
    });
    let text = Bytes::from(text);
    let mut start = 0;
    for (unit, (state, ends)) in states.into_iter().zip(ends).enumerate() {
        let (Some(state), Some((middle, end))) = (state, ends) else {
            continue;
        };
        let value = |place| HeaderValue::from_maybe_shared(text.slice(place));
        let [limit, remaining, reset] = &RATE_HEADERS[unit];
        take(limit.clone(), limit_value(unit, state.limit));
        if let (Ok(left), Ok(until)) = (value(start..middle), value(middle..end)) {
            take(remaining.clone(), left);
            take(reset.clone(), until);
        }
        start = end;
    }
}

/// Gives the backend's headers, which are about the shared key, other names.
pub(super) fn rename_those_of_backend(headers: &mut HeaderMap) {
    let of_backend: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-ratelimit-"))
        .cloned()
        .collect();
    for name in of_backend {
        let upstream = name.as_str().replacen("x-", "x-upstream-", 1);
        let values: Vec<HeaderValue> = headers.remove(&name).collect();
        if let Ok(upstream) = HeaderName::from_bytes(upstream.as_bytes()) {
            for value in values {
                headers.append(upstream.clone(), value);
            }
        }
    }
}

/// Returns a span of time in OpenAI's form.
pub(super) fn span_text(ms: u64) -> String {
    let mut text = String::new();
    push_span(&mut text, ms);
    text
}

/// Writes a span of time in OpenAI's form: `20ms`, `1.5s`, `6m0s`, `1h0m5s`. It is put together by
/// hand, because two are in each answer to a user with rates.
fn push_span(text: &mut String, ms: u64) {
    let seconds = ms / 1_000;
    if ms < 1_000 {
        push_number(text, ms);
        text.push_str("ms");
        return;
    }
    if ms < 60_000 {
        push_number(text, seconds);
        let fraction = ms % 1_000;
        if fraction > 0 {
            // Its first digit is that of a larger number, so that zeros before it are kept.
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(1_000 + fraction).trim_end_matches('0');
            text.push('.');
            text.push_str(&digits[1..]);
        }
        text.push('s');
        return;
    }
    if ms >= 3_600_000 {
        push_number(text, seconds / 3_600);
        text.push('h');
    }
    push_number(text, seconds / 60 % 60);
    text.push('m');
    push_number(text, seconds % 60);
    text.push('s');
}

fn push_number(text: &mut String, number: impl itoa::Integer) {
    text.push_str(itoa::Buffer::new().format(number));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_openai_does() {
        for (ms, text) in [
            (0, "0ms"),
            (20, "20ms"),
            (999, "999ms"),
            (1_500, "1.5s"),
            (2_030, "2.03s"),
            (10_005, "10.005s"),
            (59_000, "59s"),
            (360_000, "6m0s"),
            (3_605_000, "1h0m5s"),
            (90_000_000, "25h0m0s"),
        ] {
            assert_eq!(span_text(ms), text);
        }
    }
}
