//! Form fields that refer to stored objects are checked in every spelling and every split.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::json;

use super::{Shelf, id_of, post, two_users, upload};
use crate::harness::{
    Answer, Backend, Home, PATIENCE, Proxy, Request, assert_openai_error, wait_until,
};

const KIND: &str = "multipart/form-data; boundary=XX";

fn send(proxy: &Proxy, key: &str, target: &str, body: &str) -> Answer {
    let request = Request::post(target, body)
        .without("content-type")
        .header("content-type", KIND)
        .key(key);
    proxy.send(&request)
}

fn part(head: &str, value: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n--XX--\r\n")
}

/// Alice's file and video, and a container of Bob's.
fn objects(shelf: &Shelf) -> (Proxy, [String; 2], [String; 3]) {
    let (proxy, alice, bob) = two_users(shelf);
    let file = upload(&proxy, &alice, "x");
    let video = id_of(&post(&proxy, &alice, "/v1/videos", &json!({"prompt": "x"})));
    let container = id_of(&post(&proxy, &bob, "/v1/containers", &json!({"name": "c"})));
    let files = format!("/v1/containers/{container}/files");
    (proxy, [alice, bob], [file, video, files])
}

#[test]
fn every_possible_reading_of_a_field_is_checked() {
    let shelf = Shelf::start();
    let (proxy, [alice, bob], [file, video, _]) = objects(&shelf);
    for (target, head, id) in [
        ("/v1/videos/edits", "name=\"video\"; filename=\"\"", &video),
        (
            "/v1/videos",
            "name=\"input_reference\"; filename=\"\"",
            &file,
        ),
        (
            "/v1/videos",
            "name=\"input_reference[]\"; filename=\"\"",
            &file,
        ),
        (
            "/v1/videos",
            "name=\"input_reference\"; filename*=UTF-8''a.png",
            &file,
        ),
        // formidable takes a part without a type for a value, whatever its file name.
        (
            "/v1/videos",
            "name=\"input_reference\"; filename=\"a.png\"",
            &file,
        ),
        (
            "/v1/videos",
            "name=\"inputReference\"; filename=\"\"",
            &file,
        ),
    ] {
        let asked = shelf.asked(target);
        let body = part(head, id);
        assert_openai_error(&send(&proxy, &bob, target, &body), 404);
        assert_eq!(shelf.asked(target), asked, "{head}");
        let own = send(&proxy, &alice, target, &body);
        assert_eq!(shelf.asked(target), asked + 1, "{head}: {}", own.text());
    }
    // A browser's field of files of which none was chosen, and a file.
    for (name, kind, value) in [
        (
            "name=\"input_reference\"; filename=\"\"",
            "application/octet-stream",
            "",
        ),
        (
            "name=\"file\"; filename=\"\"",
            "application/octet-stream",
            "",
        ),
        (
            "name=\"input_reference\"; filename=\"a.png\"",
            "image/png",
            "not an id",
        ),
    ] {
        let body = part(&format!("{name}\r\nContent-Type: {kind}"), value);
        let answer = send(&proxy, &bob, "/v1/videos", &body);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(shelf.backend.last().body, body.as_bytes());
    }
}

#[test]
fn a_field_name_in_another_style_is_recognised() {
    let shelf = Shelf::start();
    let (proxy, [_, bob], [file, video, files]) = objects(&shelf);
    for name in [
        "fileId",
        "file-id",
        "FILEID",
        "file.id",
        "file id",
        "file_id.",
        "file_id[]",
        "file_id[0]",
        "file_id[0][]",
        "fileIds[]",
        "[file_id]",
        "file[id",
        "x[file_id]",
        "data.file_id",
    ] {
        let answer = send(
            &proxy,
            &bob,
            &files,
            &part(&format!("name=\"{name}\""), &file),
        );
        assert_openai_error(&answer, 404);
    }
    for name in [
        "video[id]",
        "video.id",
        "video id",
        "video_id",
        "videoId",
        "Video",
        "video.",
    ] {
        let answer = send(
            &proxy,
            &bob,
            "/v1/videos/edits",
            &part(&format!("name=\"{name}\""), &video),
        );
        assert_openai_error(&answer, 404);
    }
    assert_eq!(shelf.asked(&files) + shelf.asked("/v1/videos/edits"), 0);
}

#[test]
fn a_malformed_part_head_or_delimiter_is_refused() {
    let shelf = Shelf::start();
    let (proxy, [_, bob], [file, _, files]) = objects(&shelf);
    let usual = part("name=\"note\"", "x");
    let hidden = format!("Content-Disposition: form-data; name=\"file_id\"\r\n\r\n{file}");
    let mut bodies = vec![
        // A delimiter in mid-line.
        part("name=\"note\"", &format!("x--XX\r\n{hidden}")),
        part("name=\"note\"", &format!("x--XX\n{hidden}")),
        part("name=\"note\"", "x--XX--"),
        part(
            "name=\"file\"; filename=\"a\"",
            &format!("x --XX\r\n{hidden}"),
        ),
        part("name=\"note\"; name=\"file_id\"", &file),
        part("name=\"_charset_\"", "utf-7"),
        usual.replace("Content-Disposition:", "Content-Disposition :"),
        usual.replace(
            "\r\n\r\nx",
            "\r\nContent-Type: multipart/mixed; boundary=YY\r\n\r\nx",
        ),
    ];
    for odd in [
        "\u{c}", "\u{b}", "\0", "\t", "\r", "\n", "\u{7f}", "\u{1c}", "\u{85}", "\u{9f}",
        "\u{2028}", "\u{2029}",
    ] {
        bodies.push(part(&format!("{odd}name=\"file_id\""), &file));
        bodies.push(part(&format!("name=\"file_id{odd}\""), &file));
        bodies.push(part(&format!("name=\"note\";{odd}name=\"file_id\""), &file));
        bodies.push(part(&format!("name=\"note\"; filename=\"a{odd}b\""), &file));
        bodies.push(part(&format!("name=\"note\"\r\nX-A: b{odd}c"), &file));
    }
    for odd in [
        "\u{a0}", "\u{2003}", "\u{3000}", "\u{feff}", "\u{200b}", "\u{ff3f}", "é",
    ] {
        bodies.push(part(&format!("name=\"file{odd}id\""), &file));
        bodies.push(part(&format!("name=\"{odd}file_id\""), &file));
        bodies.push(part(&format!("{odd}name=\"file_id\""), &file));
    }
    for name in [" file_id", "file_id "] {
        bodies.push(part(&format!("name=\"{name}\""), &file));
    }
    for body in bodies {
        let answer = send(&proxy, &bob, &files, &body);
        assert_eq!(answer.status, 400, "{body:?}: {}", answer.text());
    }
    assert_eq!(shelf.asked(&files), 0);
    // As macOS names a picture of the screen, and other names that people give.
    for name in ["Bild\u{202f}1.png", "Größe.txt", "日本.txt", "a b.c.txt"] {
        let body = part(
            &format!("name=\"file\"; filename=\"{name}\"\r\nContent-Type: image/png"),
            "x",
        );
        let answer = send(&proxy, &bob, &files, &body);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
}

/// A backend that keeps every byte it gets and never answers.
fn silent_backend() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let got: Arc<Mutex<Vec<u8>>> = Arc::default();
    let seen = Arc::clone(&got);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    seen.lock().unwrap().extend_from_slice(&bytes[..count]);
                }
                let _ = stream.flush();
            });
        }
    });
    (url, got)
}

#[test]
fn no_byte_of_an_id_leaves_before_it_is_checked() {
    for setting in ["off", "private"] {
        let (url, got) = silent_backend();
        let home = Home::with_backend_url(&url)
            .set("STATEFUL_ENDPOINTS", setting)
            .set("EXTRA_ENDPOINTS", "/v1/rerank");
        let (proxy, key) = home.serve_alice();
        let seen = || String::from_utf8_lossy(&got.lock().unwrap()).into_owned();
        let pieces = [
            "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbefore-it\r\n--XX\r\n\
             Content-Disposition: form-data; name=\"file_id\"\r\n\r\nhidd",
            "en-file",
            "-id\r\n",
            "--X",
        ];
        let mut connection = proxy.open();
        let request = Request::post("/v1/rerank", "")
            .without("content-type")
            .header("content-type", KIND)
            .header("transfer-encoding", "chunked")
            .key(&key);
        connection.send(&request);
        for piece in pieces {
            connection.send_bytes(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
            wait_until("what stands before the id leaves", PATIENCE, || {
                seen().contains("name=\"file_id\"")
            });
            // Each piece is on its way before the next is sent.
            thread::sleep(std::time::Duration::from_millis(20));
            assert!(!seen().contains("hidd"), "{setting}: {}", seen());
        }
        connection.send_bytes(b"7\r\nX--\r\n\r\n\r\n0\r\n\r\n");
        assert_openai_error(&connection.answer(), 404);
        assert!(!seen().contains("hidd"), "{setting}: {}", seen());
        assert!(seen().contains("before-it"));
    }
}

#[test]
fn file_content_is_forwarded_while_it_arrives() {
    let (url, got) = silent_backend();
    let (proxy, key) = Home::with_backend_url(&url).serve_alice();
    let mut connection = proxy.open();
    let request = Request::post("/v1/audio/transcriptions", "")
        .without("content-type")
        .header("content-type", KIND)
        .header("transfer-encoding", "chunked")
        .key(&key);
    connection.send(&request);
    let head = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    for piece in [head, "sound-1", "sound-2\r\n--X"] {
        connection.send_bytes(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
        wait_until("it has left", PATIENCE, || {
            String::from_utf8_lossy(&got.lock().unwrap()).contains(piece)
        });
    }
}

#[test]
fn an_own_id_passes_in_any_split_of_the_form() {
    let backend = Backend::json(r#"{"id":"file-7"}"#);
    let home = Home::new(&backend).set("STATEFUL_ENDPOINTS", "private");
    let (proxy, key) = home.serve_alice();
    let file = upload(&proxy, &key, "x");
    let body = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"input_reference[file_id]\"\r\n\r\n{file}\r\n\
         --XX\r\nContent-Disposition: form-data; name=\"video[id]\"; filename=\"\"\r\n\r\n\r\n\
         --XX\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nmore\r\n--XX--\r\n"
    );
    for size in [1, 7, 50, 1000] {
        let mut connection = proxy.open();
        let request = Request::post("/v1/videos", "")
            .without("content-type")
            .header("content-type", KIND)
            .header("transfer-encoding", "chunked")
            .key(&key);
        connection.send(&request);
        for piece in body.as_bytes().chunks(size) {
            connection.send_bytes(format!("{:x}\r\n", piece.len()).as_bytes());
            connection.send_bytes(&[piece, b"\r\n"].concat());
        }
        connection.send_bytes(b"0\r\n\r\n");
        let answer = connection.answer();
        assert_eq!(answer.status, 200, "{size}: {}", answer.text());
        assert_eq!(backend.last().body, body.as_bytes(), "{size}");
    }
}
