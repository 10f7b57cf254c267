//! A full or read-only disk withholds answers and loses no row.

use std::fs::{File, Permissions, set_permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;

use super::crash::{Held, ask_until, assert_each_has_its_row, numbering};
use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, Home, PATIENCE, Proxy, Ran, Request, ask, ask_stream,
    assert_openai_error, in_own_namespaces, shell, wait_until,
};

/// Takes all the room that is left.
pub fn fill(filler: &Path) {
    let mut file = File::create(filler).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

fn is_refused(proxy: &Proxy, key: &str) -> bool {
    let answer = proxy.chat(key, ASK);
    answer.status == 503 && answer.header("retry-after").is_some()
}

#[test]
fn a_full_disk_withholds_answers_and_loses_no_row() {
    in_own_namespaces(a_full_disk_withholds_answers_and_loses_no_row, "2m", || {
        let backend = numbering();
        let (proxy, key) = Home::new(&backend).serve_alice();
        assert_eq!(proxy.chat(&key, ASK).status, 200);
        let filler = proxy.path("filler");
        for _ in 0..3 {
            fill(&filler);
            let withheld = proxy.chat(&key, ASK);
            let error = assert_openai_error(&withheld, 503);
            assert_eq!(error["code"], "ledger_unavailable");
            assert_no_service(&proxy, &key, &backend);
            std::fs::remove_file(&filler).unwrap();
            wait_until("requests are served again", PATIENCE, || {
                proxy.chat(&key, ASK).status == 200
            });
            let streamed = proxy.chat(&key, ASK_STREAM);
            assert!(streamed.clean && streamed.status == 200, "{streamed:?}");
        }
        // What the backend has answered is booked, each once: the withheld ones too, their tokens are spent.
        assert_eq!(proxy.rows().len(), backend.requests().len());
        let log = proxy.log();
        assert!(
            log.contains("full") && log.contains("writes again"),
            "{log}"
        );
        assert!(!log.contains("panicked"), "{log}");
        let errors = log.lines().filter(|line| line.contains("ERROR store"));
        assert_eq!(errors.count(), 3, "one each time: {log}");
    });
}

/// New requests are refused before the backend is asked, the rest of the server says what is wrong or works.
#[track_caller]
fn assert_no_service(proxy: &Proxy, key: &str, backend: &Backend) {
    let asked = backend.requests().len();
    for body in [ASK, ASK_STREAM] {
        let refused = proxy.chat(key, body);
        let error = assert_openai_error(&refused, 503);
        assert_eq!(error["code"], "ledger_unavailable");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
    }
    assert_eq!(backend.requests().len(), asked, "no tokens are spent");
    proxy.get_json("/health");
    let costs = proxy.get_json("/admin/list_costs");
    assert_eq!(costs["costs"][0]["username"], "alice");
    let add = Request::post("/admin/gen_key", r#"{"username":"bob"}"#);
    let answer = proxy.send(&add);
    assert_eq!(answer.status, 503, "{answer:?}");
    let ran = proxy.cli(&["user", "add", "bob"]);
    ran.assert_one_line_error();
    assert!(ran.stderr.contains("full"), "{ran:?}");
    assert!(ran.stderr.contains("make room"), "what to do: {ran:?}");
}

#[test]
fn a_disk_that_fills_up_repeatedly_under_load_loses_no_row() {
    in_own_namespaces(
        a_disk_that_fills_up_repeatedly_under_load_loses_no_row,
        "12m",
        || {
            let backend = numbering();
            let (proxy, key) = Home::new(&backend).serve_alice();
            let requests =
                [ask("a"), ask_stream("b")].map(|body| Request::post(CHAT, body).key(&key));
            let (stop, held) = (AtomicBool::new(false), Held::default());
            let port = AtomicU16::new(proxy.port());
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| ask_until(&stop, &port, &requests, &held));
                }
                for _ in 0..4 {
                    let before = held.count();
                    wait_until("answers arrive", PATIENCE, || held.count() > before + 100);
                    fill(&proxy.path("filler"));
                    wait_until("requests are refused", PATIENCE, || {
                        is_refused(&proxy, &key)
                    });
                    std::fs::remove_file(proxy.path("filler")).unwrap();
                }
                let before = held.count();
                wait_until("answers arrive again", PATIENCE, || {
                    held.count() > before + 100
                });
                stop.store(true, Ordering::Relaxed);
            });
            // Rows of withheld answers are written when the last ones are; those that were refused have none.
            wait_until("each answer of the backend is booked", PATIENCE, || {
                proxy.rows().len() == backend.requests().len()
            });
            assert_each_has_its_row(&proxy, &held);
        },
    );
}

#[test]
fn a_read_only_disk_is_a_one_line_error_at_start() {
    in_own_namespaces(a_read_only_disk_is_a_one_line_error_at_start, "4m", || {
        let home = Home::with_backend_url("http://127.0.0.1:9");
        let remount = |how: &str| {
            shell(&format!("mount -o remount,bind,{how} \"$TMPDIR\""));
        };
        remount("ro");
        let none = home.refused();
        none.assert_one_line_error();
        assert!(none.stderr.contains("test.db"), "{none:?}");
        remount("rw");
        home.user("alice");
        remount("ro");
        for ran in [
            home.refused(),
            home.cli(&["user", "add", "bob"]),
            home.cli(&["user", "forbid", "alice"]),
        ] {
            ran.assert_one_line_error();
            assert!(ran.stderr.contains("read-only"), "what to look at: {ran:?}");
        }
        // SQLite can read there if the last process left its -wal and -shm behind.
        let costs = home.cli(&["costs", "--all"]);
        assert!(
            costs.stdout.contains("alice") || costs.stderr.contains("read-only"),
            "{costs:?}"
        );
        remount("rw");
        home.serve().get_json("/health");
    });
}

#[test]
fn a_read_only_database_is_a_one_line_error_at_start() {
    let modes = [
        ("the file", 0o755, 0o444),
        ("the directory", 0o555, 0o666),
        ("either", 0o555, 0o444),
    ];
    for (what, directory, file) in modes {
        let home = Home::with_backend_url("http://127.0.0.1:9");
        home.user("alice");
        let Some(home) = bound_by_modes(home) else {
            return eprintln!("skipped: modes bind nobody here");
        };
        let set = |path: &str, mode| set_permissions(home.path(path), Permissions::from_mode(mode));
        set("test.db", file).unwrap();
        set("", directory).unwrap();
        let refused = home.refused();
        let added = home.cli(&["user", "add", "bob"]);
        set("", 0o755).unwrap();
        for ran in [refused, added] {
            ran.assert_one_line_error();
            assert!(
                ran.stderr.contains("test.db"),
                "may not write {what}: {ran:?}"
            );
        }
    }
}

/// The home of somebody whom modes bind: root has to become nobody first.
fn bound_by_modes(home: Home) -> Option<Home> {
    let id = Ran::of(Command::new("id").arg("-u"));
    if id.stdout.trim() != "0" {
        return Some(home);
    }
    let home = home.launched_by("exec setpriv --reuid=65534 --regid=65534 --clear-groups");
    let may_run = home.cli(&["--version"]).code == Some(0);
    may_run.then_some(home)
}
