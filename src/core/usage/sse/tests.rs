use super::*;
use proptest::prelude::*;

/// Pushes a stream in the given pieces; returns the data seen and the bytes let through.
fn scan(policy: UsageOnlyEvents, reads: &[&[u8]]) -> (Vec<String>, String) {
    let mut scanner = Scanner::new(policy);
    let (mut seen, mut out) = (Vec::new(), Vec::new());
    let mut on_data = |event: Event<'_>| {
        seen.push(String::from_utf8_lossy(event.data).into_owned());
        if event.data == b"U" {
            EventKind::UsageOnly
        } else {
            EventKind::Content
        }
    };
    for read in reads {
        scanner.push(read, &mut on_data, &mut |piece| match piece {
            Piece::Held(bytes) => out.extend(bytes),
            Piece::Part(range) => out.extend(&read[range]),
        });
    }
    scanner.finish(&mut on_data, &mut |piece| {
        if let Piece::Held(bytes) = piece {
            out.extend(bytes);
        }
    });
    (seen, String::from_utf8(out).unwrap())
}

const STREAM: &[&str] = &[
    "data: a\n\n",
    ": note\n\n",
    "event: x\ndata:b\ndata: c\n\n",
    "data: U\n\n",
    "data: [DONE]\n\n",
];

fn with_line_ends(line_end: &str, leave_out: &str) -> String {
    let kept: String = STREAM
        .iter()
        .filter(|event| leave_out.is_empty() || !event.contains(leave_out))
        .copied()
        .collect();
    kept.replace('\n', line_end)
}

#[test]
fn any_split_and_any_line_end_give_the_same_events_and_bytes() {
    for line_end in ["\n", "\r\n", "\r"] {
        let stream = with_line_ends(line_end, "");
        let bytes = stream.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let reads = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let (seen, passed) = scan(UsageOnlyEvents::Pass, &reads);
                assert_eq!(seen, ["a", "b\nc", "U", "[DONE]"]);
                assert_eq!(passed, stream);
                let (seen, kept) = scan(UsageOnlyEvents::TakeOut, &reads);
                assert_eq!(seen, ["a", "b\nc", "U", "[DONE]"]);
                assert_eq!(
                    kept,
                    with_line_ends(line_end, "U"),
                    "split at {first} and {second} of {stream:?}"
                );
            }
        }
    }
}

#[test]
fn every_byte_alone_gives_the_same() {
    let stream = with_line_ends("\r\n", "");
    let reads: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
    let (seen, kept) = scan(UsageOnlyEvents::TakeOut, &reads);
    assert_eq!(seen, ["a", "b\nc", "U", "[DONE]"]);
    assert_eq!(kept, with_line_ends("\r\n", "U"));
}

#[test]
fn an_event_without_its_blank_line_counts_at_the_end() {
    assert_eq!(
        scan(UsageOnlyEvents::TakeOut, &[b"data: a\n\ndata: U"]),
        (vec!["a".into(), "U".into()], "data: a\n\n".into())
    );
    assert_eq!(
        scan(UsageOnlyEvents::TakeOut, &[b"data: a\n\ndata: b"]),
        (vec!["a".into(), "b".into()], "data: a\n\ndata: b".into())
    );
}

#[test]
fn a_line_without_end_is_let_go_and_forgotten() {
    for beginning in ["data: ", "x"] {
        let mut scanner = Scanner::new(UsageOnlyEvents::TakeOut);
        let mut on_event = |_: Event<'_>| EventKind::Content;
        let mut let_out = 0;
        let mut emit = |piece| {
            let_out += match piece {
                Piece::Held(bytes) => bytes.len(),
                Piece::Part(range) => range.len(),
            };
        };
        scanner.push(beginning.as_bytes(), &mut on_event, &mut emit);
        let read = vec![b'x'; 50_000];
        for _ in 0..100 {
            scanner.push(&read, &mut on_event, &mut emit);
            assert!(scanner.carry.len() <= MAX_EVENT_BYTES);
        }
        assert_eq!(let_out, beginning.len() + 100 * read.len());
    }
}

/// Pushes a stream read by read; what leaves with each.
fn let_out(policy: UsageOnlyEvents, reads: &[&str]) -> Vec<String> {
    let mut scanner = Scanner::new(policy);
    let mut on_event = |event: Event<'_>| match event.data {
        b"U" => EventKind::UsageOnly,
        _ => EventKind::Content,
    };
    let let_out = reads.iter().map(|read| {
        let mut out = Vec::new();
        scanner.push(read.as_bytes(), &mut on_event, &mut |piece| match piece {
            Piece::Held(bytes) => out.extend(bytes),
            Piece::Part(range) => out.extend(&read.as_bytes()[range]),
        });
        String::from_utf8(out).unwrap()
    });
    let_out.collect()
}

#[test]
fn lines_without_data_leave_with_their_read() {
    for reads in [
        [": keep-alive\n", ": keep-alive\n", "data: a\n\n"],
        ["event: x\r\n", "id: 1\r\n", "retry: 5\r\n\r\n"],
        [": half", " a comment", "\r: next\r"],
        ["eve", "nt: x\nda", "tum: x\n"],
    ] {
        let left = let_out(UsageOnlyEvents::TakeOut, &reads);
        if reads[1].ends_with("da") {
            assert_eq!(left, ["eve", "nt: x\n", "datum: x\n"]);
        } else {
            assert_eq!(left, reads);
        }
    }
    let left = let_out(
        UsageOnlyEvents::TakeOut,
        &["event: x\nda", "ta: U", "\n", "\n: c\n"],
    );
    assert_eq!(left, ["event: x\n", "", "", ": c\n"]);
}

#[test]
fn done_is_reported_and_leaves_as_its_line_ends() {
    for policy in [UsageOnlyEvents::TakeOut, UsageOnlyEvents::Pass] {
        for done in ["data: [DONE]\n", "data:[DONE] \r"] {
            let mut scanner = Scanner::new(policy);
            let (mut seen, mut out) = (Vec::new(), Vec::new());
            for read in [&done[..7], &done[7..], "\n"] {
                let before = seen.len();
                scanner.push(
                    read.as_bytes(),
                    &mut |event| {
                        seen.push(event.data.trim_ascii().to_vec());
                        EventKind::Done
                    },
                    &mut |piece| match piece {
                        Piece::Held(bytes) => out.extend(bytes),
                        Piece::Part(range) => out.extend(&read.as_bytes()[range]),
                    },
                );
                assert_eq!(seen.len() - before, usize::from(read.contains("ONE]")));
                if read.contains("ONE]") {
                    assert_eq!(out, done.as_bytes());
                }
            }
            assert_eq!(seen, [b"[DONE]"]);
        }
    }
}

#[test]
fn an_error_event_is_recognised_in_any_split() {
    let stream = "event: error\ndata: a\n\nevent: errors\ndata: b\n\nevent:error\n\ndata: c\n\nevent:error\nid: 1\ndata:d\n\n";
    for size in 1..stream.len() {
        let (mut scanner, mut named) = (Scanner::new(UsageOnlyEvents::TakeOut), Vec::new());
        for read in stream.as_bytes().chunks(size) {
            scanner.push(
                read,
                &mut |event| {
                    named.push((event.data.to_vec(), event.is_error_event));
                    EventKind::Content
                },
                &mut |_| {},
            );
        }
        let named: Vec<_> = named
            .iter()
            .map(|(data, named)| (data[0], *named))
            .collect();
        let expected = [(b'a', true), (b'b', false), (b'c', false), (b'd', true)];
        assert_eq!(named, expected, "in reads of {size}");
    }
}

#[test]
fn a_long_event_is_read_without_its_long_strings_in_any_split() {
    // Around the limit too: whether it is read completely must not depend on the split.
    for (string, is_text) in [("AAAA", false), ("a b ", true)] {
        for more in [0, 1, 2, 3, 200_000] {
            let filler = string.repeat((MAX_EVENT_BYTES - 60) / 4 + 12 + more);
            let stream = format!("data: {{\"a\":\"{filler}\",\"usage\":7}}\r\n\r\n");
            let read = |cuts: &[usize]| {
                let (mut scanner, mut seen) = (Scanner::new(UsageOnlyEvents::TakeOut), Vec::new());
                let mut from = 0;
                for cut in cuts.iter().copied().chain([stream.len()]) {
                    scanner.push(
                        &stream.as_bytes()[from..cut],
                        &mut |event| {
                            seen.push((event.data.to_vec(), event.left_out_bytes));
                            EventKind::Content
                        },
                        &mut |_| {},
                    );
                    from = cut;
                }
                seen
            };
            let whole = read(&[]);
            assert_eq!(whole.len(), 1);
            for back in 1..=5 {
                assert_eq!(read(&[stream.len() - back]), whole);
            }
            assert_eq!(read(&[10, 700_000]), whole);
            if more > 3 {
                assert_eq!(whole[0].0, b"{\"a\":\"\",\"usage\":7}");
                let text_bytes = if is_text { filler.len() as u64 } else { 0 };
                assert_eq!(whole[0].1, text_bytes);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_in_any_split_pass_unchanged(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "\r", "\n", "\n\n", "\r\n", " ", ":", "d", "a", "t", "U", "data", "data: ", "data:U", "data: U\n\n", "event: ", "[", "x", "\u{feff}",
            ]),
            0..60,
        ),
        cuts in prop::collection::vec(0usize..121, 0..6),
    ) {
        let bytes = parts.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let reads: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        // An event that comes byte by byte is read line by line, and not as a usual one.
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let whole = scan(UsageOnlyEvents::Pass, &[&bytes]);
        prop_assert_eq!(whole.1.as_bytes(), &bytes[..]);
        prop_assert_eq!(scan(UsageOnlyEvents::Pass, &reads), whole.clone());
        prop_assert_eq!(scan(UsageOnlyEvents::Pass, &single), whole);
        let whole = scan(UsageOnlyEvents::TakeOut, &[&bytes]);
        prop_assert_eq!(scan(UsageOnlyEvents::TakeOut, &reads), whole.clone());
        prop_assert_eq!(scan(UsageOnlyEvents::TakeOut, &single), whole);
    }
}
