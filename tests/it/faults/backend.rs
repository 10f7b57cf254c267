//! Every failure of a backend is reported to its client and affects no other request.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::json;

use super::{answer_for, assert_no_leak, assert_serves, files_in_peace, one_place};
use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, DONE, Home, PATIENCE, Request, Row, Wire, alone, ask,
    ask_stream, bind_silently, delta, usage_event,
};

/// One way to fail, chosen by its name as the model.
struct Fault {
    name: &'static str,
    rounds: usize,
    seen: Seen,
    act: fn(&mut Wire),
}

/// What the client sees of a fault.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Seen {
    Status(u16),
    /// The answer's head, and an end that cannot be taken for one.
    BreakingOff,
}

const fn fault(name: &'static str, seen: Seen, act: fn(&mut Wire)) -> Fault {
    let rounds = 10;
    Fault {
        name,
        rounds,
        seen,
        act,
    }
}

/// Takes 300 ms each time.
const fn silence(name: &'static str, seen: Seen, act: fn(&mut Wire)) -> Fault {
    Fault {
        rounds: 2,
        ..fault(name, seen, act)
    }
}

const BAD: Seen = Seen::Status(502);
const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

fn wait_for_the_proxy(wire: &mut Wire) {
    wire.closed_by_peer_within(PATIENCE);
}

fn chunked(wire: &mut Wire, rest: &str) {
    wire.write([CHUNKED, rest].concat());
}

const FAULTS: &[Fault] = &[
    fault("closes", BAD, Wire::close),
    fault("resets", BAD, Wire::reset),
    silence("is silent", Seen::Status(504), wait_for_the_proxy),
    silence("is silent in its head", Seen::Status(504), |wire| {
        wire.write("HTTP/1.1 200 OK\r\nContent-Ty");
        wait_for_the_proxy(wire);
    }),
    silence("is silent in its body", Seen::BreakingOff, |wire| {
        wire.head("200 OK", &[("Content-Length", "100")]);
        wire.write("{\"half\":");
        wait_for_the_proxy(wire);
    }),
    silence("is silent in a chunk", Seen::BreakingOff, |wire| {
        chunked(wire, "40\r\n{\"half\":");
        wait_for_the_proxy(wire);
    }),
    silence("is silent after an event", Seen::BreakingOff, |wire| {
        wire.sse_head();
        wire.chunk(delta("Hello"));
        wait_for_the_proxy(wire);
    }),
    fault("resets in a stream", Seen::BreakingOff, |wire| {
        wire.sse_head();
        wire.chunk(delta("Hello"));
        wire.reset();
    }),
    fault("ends short of its length", Seen::BreakingOff, |wire| {
        wire.head("200 OK", &[("Content-Length", "100")]);
        wire.write("{\"half\":");
        wire.close();
    }),
    fault("ends without a last chunk", Seen::BreakingOff, |wire| {
        chunked(wire, "2\r\n{}\r\n");
        wire.close();
    }),
    fault("ends in a chunk", Seen::BreakingOff, |wire| {
        chunked(wire, "ff\r\n{}");
        wire.close();
    }),
    fault("ends in the last chunk", Seen::BreakingOff, |wire| {
        chunked(wire, "2\r\n{}\r\n0\r\n");
        wire.close();
    }),
    fault("chunk longer than its size", Seen::BreakingOff, |wire| {
        chunked(wire, "2\r\n{}{}{}\r\n0\r\n\r\n");
    }),
    fault("chunk without a size", Seen::BreakingOff, |wire| {
        chunked(wire, "2\r\n{}\r\n\r\n");
    }),
    fault("chunk of size zz", Seen::BreakingOff, |wire| {
        chunked(wire, "2\r\n{}\r\nzz\r\n");
    }),
    fault("chunk of size -1", Seen::BreakingOff, |wire| {
        chunked(wire, "2\r\n{}\r\n-1\r\n");
    }),
    fault("chunk of size 2^68", Seen::BreakingOff, |wire| {
        chunked(wire, "2\r\n{}\r\nfffffffffffffffff\r\n");
    }),
    fault("chunk of size 2^60", Seen::BreakingOff, |wire| {
        chunked(wire, "2\r\n{}\r\nfffffffffffffff\r\nabc");
        wire.close();
    }),
    fault("bare line feeds", Seen::BreakingOff, |wire| {
        chunked(wire, "2\n{}\n0\n\n");
    }),
    fault("size line without end", Seen::BreakingOff, |wire| {
        chunked(wire, &format!("2;{}", "x".repeat(100_000)));
    }),
    fault("trailers without end", Seen::BreakingOff, |wire| {
        chunked(
            wire,
            &format!("2\r\n{{}}\r\n0\r\n{}", "X: y\r\n".repeat(100_000)),
        );
    }),
    fault("garbage", BAD, |wire| {
        wire.write("\0\u{1}\u{2}nonsense\r\n\r\n");
    }),
    fault("mail server", BAD, |wire| wire.write("220 ESMTP\r\n\r\n")),
    fault("HTTP/0.9", BAD, |wire| {
        wire.write("{\"no\":\"head\"}\r\n\r\n");
    }),
    fault("HTTP/2", BAD, |wire| {
        wire.write("HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    }),
    fault("status 999", BAD, |wire| {
        wire.write("HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\n{}");
    }),
    fault("two lengths", BAD, |wire| {
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ");
    }),
    fault("two lengths in one", BAD, |wire| {
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n{} ");
    }),
    fault("negative length", BAD, |wire| {
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}");
    }),
    fault("length of 2^70", BAD, |wire| {
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 1180591620717411303424\r\n\r\n{}");
    }),
    fault("coding gzip, chunked", BAD, |wire| {
        wire.write(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        );
    }),
    fault("coding chunked twice", BAD, |wire| {
        wire.write(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        );
    }),
    fault("unasked 101", BAD, |wire| {
        wire.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    }),
    fault("NUL in a header", BAD, |wire| {
        wire.write("HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 2\r\n\r\n{}");
    }),
    fault("folded header", BAD, |wire| {
        wire.write(
            "HTTP/1.1 200 OK\r\nX-Folded: a\r\n Content-Length: 0\r\nContent-Length: 2\r\n\r\n{}",
        );
    }),
    fault("head of 1 MB", BAD, |wire| {
        wire.write(format!(
            "HTTP/1.1 200 OK\r\nX-Big: {}\r\nContent-Length: 2\r\n\r\n{{}}",
            "x".repeat(1_000_000)
        ));
    }),
    fault("500 headers", BAD, |wire| {
        wire.write(format!(
            "HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\n{{}}",
            "X: y\r\n".repeat(500)
        ));
    }),
    fault("interim answers only", BAD, |wire| {
        wire.write("HTTP/1.1 102 Processing\r\n\r\n".repeat(1_000));
    }),
];

#[test]
fn every_fault_is_reported_and_frees_permit_and_descriptors() {
    let backend = Backend::start(|request, wire| {
        let model = request.model();
        match FAULTS.iter().find(|fault| fault.name == model) {
            Some(fault) => (fault.act)(wire),
            None => wire.json(&answer_for(&model)),
        }
    });
    let (proxy, key, files) = one_place(Home::new(&backend));
    for fault in FAULTS {
        for round in 0..fault.rounds {
            let asked = if round % 2 == 0 { ask } else { ask_stream };
            let answer = proxy.chat(&key, &asked(fault.name));
            let name = fault.name;
            match fault.seen {
                Seen::Status(status) => assert_eq!(
                    (answer.status, answer.clean),
                    (status, true),
                    "{name}: {answer:?}"
                ),
                Seen::BreakingOff => assert_eq!(
                    (answer.status, answer.clean),
                    (200, false),
                    "{name}: {answer:?}"
                ),
            }
            assert!(!answer.text().contains("panicked"), "{name}: {answer:?}");
            assert_serves(&proxy, &key, name);
        }
        assert_no_leak(&proxy, files);
    }
    let rounds = |of: fn(&Fault) -> bool| -> usize {
        let faults = FAULTS.iter().filter(|fault| of(fault));
        faults.map(|fault| fault.rounds).sum()
    };
    let rows = proxy.rows();
    let count = |outcome: &str| rows.iter().filter(|row| row.outcome == outcome).count();
    let broken = rounds(|fault| fault.seen == Seen::BreakingOff);
    assert_eq!(
        [count("completed"), count("backend_broke"), rows.len()],
        [rounds(|_| true), broken, rounds(|_| true) + broken],
        "each answer has its row, and what was none has none"
    );
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
}

#[test]
fn a_backend_that_was_down_is_used_as_soon_as_it_listens() {
    let (socket, address) = bind_silently();
    let url = format!("http://{address}");
    let (proxy, key, files) = one_place(Home::with_backend_url(&url));
    for body in [ASK, ASK_STREAM].repeat(20) {
        assert_eq!(proxy.chat(&key, body).status, 502);
    }
    assert_no_leak(&proxy, files);
    socket.listen(16).unwrap();
    thread::spawn(move || refuse_uploads(&socket.into()));
    assert_serves(&proxy, &key, "refused connections");
    assert_eq!(proxy.rows().len(), 1, "what reached nobody has no row");
}

#[test]
fn a_413_and_close_during_an_upload_reaches_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || refuse_uploads(&listener));
    let (proxy, key, files) = one_place(Home::with_backend_url(&url));
    let body = ask(&"m".repeat(12_000_000));
    for _ in 0..3 {
        let answer = proxy.chat(&key, &body);
        assert_eq!(
            (answer.status, answer.text().as_str(), answer.clean),
            (413, r#"{"error":"too large"}"#, true)
        );
        assert_serves(&proxy, &key, "an early answer");
    }
    assert_no_leak(&proxy, files);
}

/// A backend that answers an upload by its head and closes with most of it unread, which resets the connection.
fn refuse_uploads(listener: &TcpListener) {
    while let Ok((stream, _)) = listener.accept() {
        thread::spawn(move || refuse_upload(stream));
    }
}

fn refuse_upload(mut stream: TcpStream) -> Option<()> {
    let mut read = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        let end = loop {
            if let Some(end) = memchr::memmem::find(&read, b"\r\n\r\n") {
                break end + 4;
            }
            let count = stream.read(&mut bytes).ok().filter(|count| *count > 0)?;
            read.extend_from_slice(&bytes[..count]);
        };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let length = head.split_once("content-length: ")?.1;
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        if length > 1_000_000 {
            let _ = stream.write_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\nContent-Length: 21\r\nConnection: close\r\n\r\n{\"error\":\"too large\"}");
            return None;
        }
        while read.len() < end + length {
            let count = stream.read(&mut bytes).ok().filter(|count| *count > 0)?;
            read.extend_from_slice(&bytes[..count]);
        }
        read.drain(..end + length);
        let body = answer_for("fine");
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((head + &body).as_bytes()).ok()?;
    }
}

// === Framings ===

const FRAMINGS: usize = 12;

/// The answer to `model`, and behind it, where the framing allows, bytes that belong to nobody.
fn framed(framing: usize, model: &str, streamed: bool, wire: &mut Wire) {
    let body = if streamed {
        [&delta(model), &usage_event(19, 10), DONE].concat()
    } else {
        answer_for(model)
    };
    let kind = if streamed {
        "Content-Type: text/event-stream\r\n"
    } else {
        "Content-Type: application/json\r\n"
    };
    let length = body.len();
    let (front, back) = body.split_at(length / 2);
    let (front_bytes, back_bytes) = (front.len(), back.len());
    let chunks = format!("{front_bytes:x}\r\n{front}\r\n{back_bytes:x}\r\n{back}\r\n0\r\n\r\n");
    let stray = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"for\":\"none\"}";
    let ok = "HTTP/1.1 200 OK\r\n";
    match framing {
        0 => wire.write(format!("{ok}{kind}Content-Length: {length}\r\n\r\n{body}")),
        1 => wire.write(format!("{ok}{kind}Transfer-Encoding: chunked\r\n\r\n{chunks}")),
        2 => {
            wire.write(format!("{ok}{kind}\r\n{front}"));
            wire.write(back);
            wire.close();
        }
        3 => {
            wire.write(format!("HTTP/1.0 200 OK\r\n{kind}\r\n{body}"));
            wire.close();
        }
        4 => wire.write(format!(
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n{kind}Content-Length: {length}\r\n\r\n{body}{stray}"
        )),
        5 => wire.write(format!(
            "{ok}{kind}Content-Length: {length}\r\nContent-Length: {length}\r\n\r\n{body}"
        )),
        6 => wire.write(format!(
            "{ok}{kind}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{stray}"
        )),
        7 => wire.write(format!("{ok}{kind}Content-Length: {length}\r\n\r\n{body}{stray}")),
        // With the answer's last bytes, not after them: an answer before its request cannot be told from one to it.
        8 => {
            wire.write(format!("{ok}{kind}Content-Length: {length}\r\n\r\n{front}"));
            wire.write(format!("{back}{stray}"));
        }
        9 => wire.write(format!(
            "{ok}{kind}Transfer-Encoding: chunked\r\n\r\n{chunks}{stray}"
        )),
        10 => {
            wire.write(format!("{ok}{kind}Transfer-Encoding: chunked\r\n\r\n{chunks}"));
            wire.close();
        }
        _ => {
            wire.write(format!(
                "{ok}{kind}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}{stray}"
            ));
        }
    }
}

#[test]
fn fifty_users_get_their_own_answers_in_any_mix_of_framings() {
    const USERS: usize = 50;
    const REQUESTS: usize = 24;
    let _alone = alone();
    let backend = Backend::start(|request, wire| {
        let model = request.model();
        let framing = model.rsplit('-').next().unwrap().parse().unwrap_or(0);
        framed(framing, &model, request.asks_to_stream(), wire);
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let keys: Vec<String> = (0..USERS)
        .map(|user| {
            let body = json!({ "username": format!("user {user}") }).to_string();
            let made = proxy.send(&Request::post("/admin/gen_key", body));
            made.json()["api_key"].as_str().unwrap().to_owned()
        })
        .collect();
    let files = files_in_peace(&proxy);
    thread::scope(|scope| {
        for (user, key) in keys.iter().enumerate() {
            let proxy = &proxy;
            scope.spawn(move || {
                let mut connection = proxy.open();
                for n in 0..REQUESTS {
                    let model = format!("{user}-{n}-{}", (user + n) % FRAMINGS);
                    let streamed = n >= FRAMINGS;
                    let asked = if streamed { ask_stream } else { ask };
                    connection.send(&Request::post(CHAT, asked(&model)).key(key));
                    let answer = connection.answer();
                    let expected = if streamed {
                        [&delta(&model), DONE].concat()
                    } else {
                        answer_for(&model)
                    };
                    assert_eq!(
                        (answer.status, answer.text(), answer.clean),
                        (200, expected, true),
                        "{model}"
                    );
                }
            });
        }
    });
    let rows = proxy.rows();
    assert_eq!(rows.len(), USERS * REQUESTS);
    assert!(
        rows.iter().all(|row| row.tokens() == [19, 10, 0, 0]),
        "{rows:?}"
    );
    let costs = proxy.get_json("/admin/list_costs");
    let costs = costs["costs"].as_array().unwrap();
    let exact = costs
        .iter()
        .filter(|user| user["total_requests"] == REQUESTS);
    assert_eq!(exact.count(), USERS, "{costs:?}");
    let answer = proxy.chat(&key, &ask("x-0"));
    assert_eq!(answer.text(), answer_for("x-0"));
    // Each worker keeps as many connections as were in use at once.
    assert_no_leak(&proxy, files + USERS);
}

#[test]
fn an_answer_without_a_body_is_not_followed_by_one() {
    assert_bodiless(ask);
}

#[test]
fn a_bodiless_answer_to_a_streamed_request_stays_bodiless() {
    assert_bodiless(ask_stream);
}

/// What the client reads after such an answer is the next answer, on its own connection and on anybody's.
#[track_caller]
fn assert_bodiless(asked: fn(&str) -> String) {
    let backend = Backend::start(|request, wire| match request.model().as_str() {
        "204" => wire.write("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
        "204 chunked" => {
            wire.write("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        }
        "304" => wire.write("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"),
        "empty" => wire.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nhello"),
        model => wire.json(&answer_for(model)),
    });
    let (proxy, key, files) = one_place(Home::new(&backend));
    for (model, status) in [
        ("204", 204),
        ("204 chunked", 204),
        ("304", 304),
        ("empty", 200),
    ] {
        for _ in 0..5 {
            let mut connection = proxy.open();
            connection.send(&Request::post(CHAT, asked(model)).key(&key));
            let answer = connection.answer();
            assert_eq!((answer.status, answer.body.len()), (status, 0), "{model}");
            connection.send(&Request::post(CHAT, ask("fine")).key(&key));
            let next = connection.try_answer().map(|answer| answer.text());
            assert_eq!(next, Some(answer_for("fine")), "after {model}");
        }
    }
    assert_no_leak(&proxy, files);
}

#[test]
fn interim_answers_split_anywhere_are_passed_over() {
    let backend = Backend::start(|request, wire| {
        if request.model() == "fine" {
            return wire.json(&answer_for("fine"));
        }
        let body = answer_for("interim");
        let length = body.len();
        let all = format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX-Step: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 7\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let size: usize = request.model().parse().unwrap();
        for piece in all.as_bytes().chunks(size) {
            wire.write(piece);
        }
    });
    let (proxy, key, files) = one_place(Home::new(&backend));
    for size in [1, 7, 20, 47, 60, 1000] {
        let answer = proxy.chat(&key, &ask(&size.to_string()));
        assert_eq!(
            (answer.status, answer.text(), answer.header("link")),
            (200, answer_for("interim"), None)
        );
        assert_serves(&proxy, &key, "interim answers");
    }
    assert_no_leak(&proxy, files);
}

#[test]
fn a_head_of_100_kb_and_one_of_150_headers_pass() {
    let backend = Backend::start(|request, wire| {
        let body = answer_for("fine");
        let length = body.len();
        let headers = match request.model().as_str() {
            "large" => format!("X-Big: {}\r\n", "x".repeat(100_000)),
            "many" => {
                let headers: Vec<String> = (0..150).map(|n| format!("X-{n}: {n}\r\n")).collect();
                headers.concat()
            }
            _ => String::new(),
        };
        wire.write(format!(
            "HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ));
    });
    let (proxy, key, _) = one_place(Home::new(&backend));
    let large = proxy.chat(&key, &ask("large"));
    assert_eq!(large.header("x-big").map(str::len), Some(100_000));
    let many = proxy.chat(&key, &ask("many"));
    assert!((0..150).all(|n| many.header(&format!("x-{n}")) == Some(&n.to_string())));
    assert_eq!(
        (large.text(), many.text()),
        (answer_for("fine"), answer_for("fine"))
    );
    assert_serves(&proxy, &key, "large heads");
}

// === Large and odd contents ===

#[test]
fn events_of_megabytes_pass_and_the_usage_behind_them_counts() {
    let events: Vec<String> = [1_000, 1_100_000, 5_000_000]
        .iter()
        .map(|size| delta(&"x".repeat(*size)))
        .collect();
    let all = events.concat();
    let backend = Backend::start(move |_, wire| {
        wire.sse_head();
        for event in &events {
            wire.chunks(event.as_bytes().chunks(100_000));
        }
        // Together with the end of a large one.
        wire.chunk(usage_event(19, 10) + DONE);
        wire.end();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let answer = proxy.chat(&key, ASK_STREAM);
    assert!(
        answer.clean && answer.text() == all + DONE,
        "{} bytes",
        answer.body.len()
    );
    let row = proxy.only_row();
    assert_eq!(
        (row.tokens(), row.labels()),
        ([19, 10, 0, 0], ["completed", "backend"])
    );
}

#[test]
fn endless_events_and_answers_pass_in_bounded_memory() {
    const BYTES: usize = 60_000_000;
    let _alone = alone();
    let backend = Backend::start(|request, wire| {
        let piece = "x".repeat(100_000);
        if request.asks_to_stream() {
            wire.sse_head();
            wire.chunk("data: ");
        } else {
            wire.head(
                "200 OK",
                &[
                    ("Content-Type", "application/json"),
                    ("Transfer-Encoding", "chunked"),
                ],
            );
            wire.chunk("{\"x\":\"");
        }
        for _ in 0..BYTES / piece.len() {
            wire.chunk(&piece);
        }
        wire.end();
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let before = proxy.memory_kb("VmHWM");
    for (body, head) in [(ASK_STREAM, 6), (ASK, 6)] {
        let answer = proxy.chat(&key, body);
        assert_eq!((answer.status, answer.clean), (200, true));
        assert_eq!(answer.body.len(), BYTES + head);
        let peak = proxy.memory_kb("VmHWM");
        eprintln!("60 MB without end: VmHWM from {before} kB to {peak} kB");
        // There is no usage in it: the tokenizer's vocabulary, 40 MB, is a part of this.
        assert!(peak < before + 60_000, "{before} kB before, {peak} kB now");
    }
    let rows = proxy.rows();
    let labels: Vec<_> = rows.iter().map(Row::labels).collect();
    assert_eq!(labels, [["completed", "estimate"]; 2], "{rows:?}");
}

#[test]
fn absurd_usage_is_booked_without_overflow_or_panic() {
    let odd = [
        "null",
        "[]",
        "\"many\"",
        "17",
        "{}",
        r#"{"prompt_tokens":null,"completion_tokens":null}"#,
        r#"{"prompt_tokens":"19","completion_tokens":true}"#,
        r#"{"prompt_tokens":-19,"completion_tokens":-10,"total_tokens":-29}"#,
        r#"{"prompt_tokens":19.9,"completion_tokens":1e3}"#,
        r#"{"prompt_tokens":1e999,"completion_tokens":-1e999}"#,
        r#"{"prompt_tokens":[19],"completion_tokens":{"x":1}}"#,
        r#"{"prompt_tokens":9223372036854775807,"completion_tokens":9223372036854775807}"#,
        r#"{"prompt_tokens":9223372036854775807,"completion_tokens":9223372036854775807}"#,
        r#"{"prompt_tokens":4611686018427387904,"completion_tokens":9007199254740991}"#,
        r#"{"prompt_tokens":4611686018427387904,"completion_tokens":9007199254740991}"#,
        r#"{"prompt_tokens":1099511627775,"completion_tokens":1099511627775}"#,
        r#"{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615,"total_tokens":1}"#,
        r#"{"prompt_tokens":99999999999999999999999999,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":9223372036854775807},"completion_tokens_details":{"reasoning_tokens":-5}}"#,
        r#"{"prompt_tokens":5,"prompt_tokens_details":[],"completion_tokens_details":"x","completion_tokens":6}"#,
    ];
    let backend = Backend::start(move |request, wire| {
        let n: usize = request.model().parse().unwrap();
        let usage = odd[n];
        if request.asks_to_stream() {
            wire.sse(&[
                delta("Hello"),
                format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n"),
                DONE.to_owned(),
            ]);
        } else {
            wire.json(&format!(r#"{{"choices":[],"usage":{usage}}}"#));
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for (n, usage) in odd.iter().enumerate() {
        for asked in [ask, ask_stream] {
            let answer = proxy.chat(&key, &asked(&n.to_string()));
            assert_eq!(
                (answer.status, answer.clean),
                (200, true),
                "{usage}: {answer:?}"
            );
        }
    }
    let rows = proxy.rows();
    assert_eq!(rows.len(), 2 * odd.len(), "{}", proxy.log());
    for row in &rows {
        let usage = odd[row.model.as_ref().unwrap().parse::<usize>().unwrap()];
        assert!(
            row.tokens().iter().all(|tokens| *tokens >= 0),
            "{usage}: {row:?}"
        );
        assert!(
            row.cached <= row.input && row.reasoning <= row.output,
            "{usage}: {row:?}"
        );
        assert_eq!(row.outcome, "completed", "{usage}: {row:?}");
        assert!(
            ["backend", "estimate"].contains(&row.source.as_str()),
            "{usage}: {row:?}"
        );
        eprintln!("{usage} -> {:?} {}", row.tokens(), row.source);
    }
    // The sums of what overflows are still numbers, on both ways to ask.
    let costs = proxy.get_json("/admin/list_costs?by_model=true");
    let alice = &costs["costs"][0];
    assert!(
        alice["total_input_tokens"]
            .as_i64()
            .is_some_and(|sum| sum > 0),
        "{costs}"
    );
    let ran = proxy.cli(&["costs", "--by-model", "--last-hours", "1", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let log = proxy.log();
    assert!(
        !log.contains("panicked") && !log.contains("overflow"),
        "{log}"
    );
}
