//! Where the backend tells no usage, a tokenizer counts; the true counts are those of the npm packages gpt-tokenizer 4.0.0
//! and js-tiktoken 1.0.21.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{
    ASK, Backend, CHAT, DONE, Home, PATIENCE, Request, alone, ask, ask_stream, chat_completion,
    delta, wait_until,
};

/// Texts, and how many tokens they have in o200k and in cl100k.
const TEXTS: [(&str, i64, i64); 3] = [
    (
        "The harbour master kept two clocks on his wall: one for the tide, and one for the trains. On most mornings they agreed about nothing. \"We're late again,\" he'd say, tapping the glass of the second one, and then he would walk down the 214 steps to the quay, where nobody had ever been late for anything. In 1987 the railway closed; the clock was left running, because it seemed rude to stop it.",
        90,
        93,
    ),
    (
        "村口的老槐树比任何一户人家都来得早。夏天的傍晚，大家搬着竹椅坐在树下，谈论收成、天气和谁家的孩子考上了大学。后来修了公路，年轻人一个接一个地走了，树却越长越高。去年秋天，有人在树干上挂了一块牌子，写着：“请勿攀爬，树龄三百二十年。”",
        105,
        152,
    ),
    (
        "पहाड़ी गाँव की डाकिया अब साइकिल से नहीं, बल्कि पैदल चलती है क्योंकि पुल पिछले मानसून में बह गया था। हर चिट्ठी को वह कपड़े में लपेटकर रखती है ताकि नमी न लगे। बच्चे दूर से ही उसकी घंटी पहचान लेते हैं और दौड़कर पूछते हैं कि आज किसके नाम की खबर आई है।",
        80,
        253,
    ),
];
/// Of "Hello!" with what is around it, in both.
const HELLO_TOKENS: i64 = 9;

fn assert_within_5_percent(count: i64, truth: i64) {
    assert!(
        (count - truth).abs() * 20 <= truth,
        "{count} tokens, in truth {truth}"
    );
}

/// A stream of a text, cut where no tokenizer would.
fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(3)
        .map(|three| delta(&three.iter().collect::<String>()))
        .collect()
}

#[test]
fn a_disconnected_stream_is_estimated_within_5_percent() {
    for (text, o200k, cl100k) in TEXTS {
        for (model, truth) in [("gpt-4o", o200k), ("gpt-4", cl100k), ("llama", o200k)] {
            let events = pieces(text);
            let count = events.len();
            let backend = Backend::start(move |_, wire| {
                wire.sse_head();
                wire.chunks(&events);
                let _ = wire.closed_by_peer_within(PATIENCE);
            });
            let (proxy, key) = Home::new(&backend).serve_alice();
            let mut client = proxy.start(&Request::post(CHAT, ask_stream(model)).key(&key));
            client.head();
            for _ in 0..count {
                client.event().unwrap();
            }
            drop(client);
            let row = proxy.only_row();
            assert_eq!(row.labels(), ["client_gone", "estimate"]);
            assert_eq!(row.input, HELLO_TOKENS, "{row:?}");
            assert_within_5_percent(row.output, truth);
        }
    }
}

#[test]
fn answers_without_usage_are_estimated_before_their_last_byte() {
    let (text, truth, _) = TEXTS[0];
    let backend = Backend::start(move |request, wire| {
        if request.asks_to_stream() {
            wire.sse_head();
            wire.chunks(pieces(text));
            wire.chunk(DONE);
            return wire.end();
        }
        let message = json!({"role": "assistant", "content": text});
        wire.json(&json!({"choices": [{"index": 0, "message": message}]}).to_string());
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    for turn in 0..20 {
        let body = match turn % 2 {
            0 => ask("gpt-4o"),
            _ => ask_stream("gpt-4o"),
        };
        assert!(proxy.chat(&key, &body).clean);
        let rows = proxy.rows();
        assert_eq!(rows.len(), turn + 1, "whole before its row was there");
        let row = &rows[turn];
        assert_eq!(row.labels(), ["completed", "estimate"]);
        assert_eq!((row.input, row.output), (HELLO_TOKENS, truth), "{row:?}");
        let line = format!("input={HELLO_TOKENS} output={truth} cached=0 source=estimate");
        wait_until("the access log has the numbers", PATIENCE, || {
            proxy.log().matches(&line).count() == turn + 1
        });
    }
}

#[test]
fn the_input_of_each_endpoint_is_counted() {
    let (text, o200k, cl100k) = TEXTS[0];
    for (path, body, truth) in [
        (
            "/v1/responses",
            json!({"model": "gpt-4o", "instructions": text, "input": text}),
            2 * o200k + 11,
        ),
        (
            "/v1/messages",
            json!({"model": "claude", "system": text, "messages": [{"role": "user", "content": text}]}),
            2 * o200k + 11,
        ),
        (
            "/v1/completions",
            json!({"model": "gpt-3.5-turbo-instruct", "prompt": text}),
            cl100k,
        ),
        (
            "/v1/embeddings",
            json!({"model": "text-embedding-3-small", "input": [text, text]}),
            2 * cl100k,
        ),
        (
            "/v1/embeddings",
            json!({"model": "text-embedding-3-small", "input": [[1, 2], [3]]}),
            3,
        ),
        (
            "/v1/audio/speech",
            json!({"model": "gpt-4o-mini-tts", "input": text, "voice": "alloy"}),
            o200k,
        ),
    ] {
        let backend = Backend::json("{}");
        let (proxy, key) = Home::new(&backend).serve_alice();
        let answer = proxy.send(&Request::post(path, body.to_string()).key(&key));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let row = proxy.only_row();
        assert_eq!(row.source, "estimate", "{row:?}");
        assert_eq!((row.input, row.output), (truth, 0), "{path}");
    }
}

#[test]
fn a_server_stopped_after_disconnects_books_all_estimates() {
    const CLIENTS: usize = 20;
    const TIMES: usize = 40;
    let _alone = alone();
    let (text, once, _) = TEXTS[0];
    let backend = Backend::start(move |_, wire| {
        wire.sse_head();
        wire.chunk(delta("Hello"));
        let _ = wire.closed_by_peer_within(PATIENCE);
    });
    let (mut proxy, key) = Home::new(&backend).serve_alice();
    let content = format!("{text}\n").repeat(TIMES);
    let body = json!({"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": content}]});
    let request = Request::post(CHAT, body.to_string()).key(&key);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = proxy.start(&request);
            client.head();
            client.event().unwrap();
            client
        })
        .collect();
    drop(clients);
    proxy.signal("TERM");
    let status = proxy.exit_within(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", proxy.log());
    let rows = proxy.rows();
    assert_eq!(rows.len(), CLIENTS);
    for row in rows {
        assert_eq!(row.labels(), ["client_gone", "estimate"]);
        assert_eq!(row.output, 1);
        assert_within_5_percent(row.input, i64::try_from(TIMES).unwrap() * (once + 1));
    }
}

#[test]
fn counting_hostile_text_delays_no_other_request() {
    let _alone = alone();
    let backend = Backend::start(|request, wire| {
        if request.model() == "hostile" {
            return wire.json(r#"{"choices":[]}"#);
        }
        wire.json(&chat_completion(19, 10));
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    // Characters of all scripts in no order: the slowest that was found.
    let mut state = 1_u32;
    let noise: String = (0..50_000)
        .filter_map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            char::from_u32(state % 0x11_0000)
        })
        .collect();
    let body =
        json!({"model": "hostile", "messages": [{"role": "user", "content": noise}]}).to_string();
    thread::scope(|scope| {
        let hostile: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| proxy.chat(&key, &body)))
            .collect();
        backend.wait_for_requests(3);
        let mut slowest = Duration::ZERO;
        for _ in 0..100 {
            let asked = Instant::now();
            assert_eq!(proxy.chat(&key, ASK).status, 200);
            slowest = slowest.max(asked.elapsed());
        }
        assert!(slowest < Duration::from_millis(500), "{slowest:?}");
        for thread in hostile {
            let answer = thread.join().unwrap();
            assert_eq!((answer.status, answer.clean), (200, true), "{answer:?}");
        }
    });
    let rows = proxy.rows();
    let hostile = rows.iter().filter(|row| row.source == "estimate");
    assert!(hostile.clone().all(|row| row.input > 25_000), "{rows:?}");
    assert_eq!((hostile.count(), rows.len()), (3, 103));
}
