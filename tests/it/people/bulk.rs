//! `user add --from`: many users of a CSV file, all or none.

use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use super::*;
use crate::harness::alone;

/// Runs `user add --from` on a file with these bytes.
fn add_from(home: Home, csv: &str, flags: &[&str]) -> (Home, Ran) {
    let home = home.file("users.csv", csv);
    let ran = home.cli(&[&["user", "add", "--from", "users.csv"], flags].concat());
    (home, ran)
}

/// Returns the records of CSV without its header.
fn records(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let record = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
    reader.records().map(Result::unwrap).map(record).collect()
}

fn names(home: &Home) -> Vec<String> {
    let users = home.users();
    users
        .iter()
        .map(|user| text(user, "username").to_owned())
        .collect()
}

#[test]
fn a_thousand_users_are_added_in_seconds() {
    let _alone = alone();
    let home = home();
    run(&home, &["group", "add", "course-7"]);
    let mut csv = b"name,group,expires\n".to_vec();
    for n in 0..1000 {
        writeln!(csv, "student-{n:04},course-7,2099-03-31").unwrap();
    }
    let csv = String::from_utf8(csv).unwrap();
    let start = Instant::now();
    let (home, ran) = add_from(home, &csv, &[]);
    let took = start.elapsed();
    eprintln!("1,000 users: {took:?}");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let header = ran.stdout.lines().next().unwrap();
    assert_eq!(header, "username,api_key,key_id,group,label,expires_at");
    let issued = records(&ran.stdout);
    assert_eq!(issued.len(), 1000);
    assert_eq!(issued[999][0], "student-0999");
    assert!(issued[999][1].starts_with("llmp-"));
    let users = run(&home, &["user", "list", "--group", "course-7", "--json"]).json();
    assert_eq!(users["users"].as_array().unwrap().len(), 1000);
    assert_eq!(users["users"][0]["expires_at"], "2099-03-31T00:00:00Z");
}

#[test]
fn files_of_spreadsheets_are_read() {
    let key = "sk-imported-0123456789abcdef";
    let csv = format!(
        "\u{feff}Username,Label,Key,Group\r\n\"Liddell, Alice\",\"a \"\"small\"\" laptop\",,course-7\r\n bob , ,{key},\r\n"
    );
    let home = home();
    run(&home, &["group", "add", "course-7"]);
    let (home, ran) = add_from(home, &csv, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let issued = records(&ran.stdout);
    assert_eq!(issued[0][0], "Liddell, Alice");
    assert_eq!(issued[0][4], "a \"small\" laptop");
    assert_eq!(issued[1][..2], ["bob".to_owned(), key.to_owned()]);
    assert_eq!(names(&home), ["Liddell, Alice", "bob"]);
    assert_eq!(home.users()[0]["group"], "course-7");
    assert_eq!(home.users()[1]["group"], Value::Null);
}

#[test]
fn every_mistake_is_named_by_line_and_no_user_is_added() {
    let home = home();
    home.user("taken");
    run(
        &home,
        &["user", "add", "eve", "--key", "sk-of-eve-0123456789abcdef"],
    );
    let csv = "\
name,group,key,expires,label
good,,,,
taken,,,,
good,,,,
,,,,
TOTAL,,,,
a,nowhere,,,
b,,short,,
c,,sk-of-eve-0123456789abcdef,,
d,,sk-twice-0123456789abcdef,,
e,,sk-twice-0123456789abcdef,,
f,,,2020-01-01,
g,,,soon,
al\u{200b}ice,,,,
\"two
lines\",,,,
h,,,,a\u{7}label
";
    let (home, ran) = add_from(home, csv, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.stdout, "");
    for (line, reason) in [
        (3, "taken"),
        (4, "line 2"),
        (5, "empty"),
        (6, "TOTAL"),
        (7, "no group is called \"nowhere\""),
        (8, "at least 20 characters"),
        (9, "key is known already"),
        (11, "line 10"),
        (12, "in the past"),
        (13, "90d"),
        (14, "U+200B"),
        (15, "control characters"),
        (17, "label must not contain control characters"),
    ] {
        let place = format!("line {line}: ");
        let named = ran.stderr.lines().find(|text| text.contains(&place));
        let named = named.unwrap_or_else(|| panic!("{place}: {ran:?}"));
        assert!(named.contains(reason), "{line}: {named}");
    }
    for good in [2, 10] {
        assert!(!ran.stderr.contains(&format!("line {good}: ")), "{ran:?}");
    }
    assert!(!ran.stderr.contains("0123456789"), "no key: {ran:?}");
    assert_eq!(names(&home), ["taken", "eve"]);
    assert_eq!(
        run(&home, &["key", "list", "--csv"]).stdout.lines().count(),
        3
    );
}

#[test]
fn twenty_mistakes_are_named_and_the_rest_counted() {
    let lines = "total\n".repeat(33);
    let (_, ran) = add_from(home(), &format!("name\n{lines}"), &[]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stderr.matches(": line ").count(), 20, "{ran:?}");
    assert!(ran.stderr.contains("13 more"), "{ran:?}");
}

#[test]
fn a_header_with_a_mistake_is_refused() {
    for (csv, says) in [
        ("name,grop\na,b\n", "did you mean \"group\"?"),
        ("nmae\na\n", "did you mean \"name\"?"),
        (
            "name,nickname\na,b\n",
            "known are name, group, label, key, expires",
        ),
        ("group,expires\na,90d\n", "no column \"name\""),
        ("name,name\na,b\n", "two columns"),
        ("name\n", "no users"),
        ("", "no column \"name\""),
        ("name,group\na\n", "line 2"),
        ("name,group\na,\nb,c,d\n", "line 3"),
    ] {
        let (home, ran) = add_from(home(), csv, &[]);
        ran.assert_one_line_error();
        assert!(ran.stderr.contains(says), "{csv:?}: {ran:?}");
        assert!(!home.path("test.db").exists(), "{csv:?}");
    }
    let bytes = home().path("users.csv");
    std::fs::create_dir_all(bytes.parent().unwrap()).unwrap();
    let home = home();
    std::fs::write(home.path("users.csv"), b"name\nJos\xe9\n").unwrap();
    let ran = home.cli(&["user", "add", "--from", "users.csv"]);
    ran.assert_one_line_error();
    assert!(
        ran.stderr.contains("line 2") && ran.stderr.contains("UTF-8"),
        "{ran:?}"
    );
}

#[test]
fn a_file_without_header_does_not_show_its_keys() {
    let key = "llmp-0123456789abcdef0123456789abcdef0123456789abcdef";
    let (_, ran) = add_from(home(), &format!("{key},alice\n"), &[]);
    ran.assert_one_line_error();
    assert!(!ran.stderr.contains(key), "{ran:?}");
}

#[test]
fn keys_go_to_a_new_file_that_only_its_owner_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let (home, ran) = add_from(
        home().launched_by("umask 0; exec"),
        "name\nalice\nbob\n",
        &["--keys-to", "keys.csv"],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.stdout.contains("llmp-"), "{ran:?}");
    let mode = home.path("keys.csv").metadata().unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let written = std::fs::read_to_string(home.path("keys.csv")).unwrap();
    assert_eq!(records(&written)[0][1], text(&home.users()[0], "api_key"));
    // It is not overwritten, and no user is added.
    let ran = home.cli(&["user", "add", "carol", "--keys-to", "keys.csv"]);
    ran.assert_one_line_error();
    assert_eq!(names(&home), ["alice", "bob"]);
    let still = std::fs::read_to_string(home.path("keys.csv")).unwrap();
    assert_eq!(still, written);
}

#[test]
fn a_file_for_keys_is_not_left_behind_if_no_user_was_added() {
    let (home, ran) = add_from(home(), "name\nTOTAL\n", &["--keys-to", "keys.csv"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(!home.path("keys.csv").exists());
    let (home, ran) = add_from(home, "name\nalice\n", &["--keys-to", "keys.csv"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(names(&home), ["alice"]);
}

#[test]
fn json_can_go_to_the_file_for_keys_too() {
    let flags = ["--keys-to", "keys.json", "--json"];
    let (home, ran) = add_from(home(), "name\nalice\n", &flags);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.stdout.contains("llmp-"), "{ran:?}");
    let written = std::fs::read_to_string(home.path("keys.json")).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["users"][0]["username"], "alice");
}

#[test]
fn a_minus_reads_standard_input() {
    let home = home();
    let mut command = home.command(&["user", "add", "--from", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"name\nalice\nbob\n").unwrap();
    drop(stdin);
    let ran = Ran::end_of(child);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(records(&ran.stdout).len(), 2);
    assert_eq!(names(&home), ["alice", "bob"]);
}

#[test]
fn several_names_are_added_together_or_not_at_all() {
    let home = home();
    home.user("bob");
    let ran = home.cli(&["user", "add", "alice", "bob", "carol"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("bob"), "{ran:?}");
    assert_eq!(names(&home), ["bob"]);
    let ran = run(
        &home,
        &["user", "add", "alice", "carol", "--expires", "90d"],
    );
    assert_eq!(records(&ran.stdout).len(), 2);
    let shared = ["user", "add", "x", "y", "--key", "sk-0123456789abcdef0123"];
    assert_eq!(home.cli(&shared).code, Some(2));
}

#[test]
fn the_api_names_each_entry_with_a_mistake() {
    let (_backend, proxy, _) = proxy();
    let users = r#"{"users":[{"username":"bob"},{"username":"alice"},{"username":"TOTAL"}]}"#;
    let answer = proxy.send(&Request::post("/admin/add_users", users));
    assert_eq!(answer.status, 400, "{answer:?}");
    let message = message_of(&answer, "invalid_entries");
    for mistake in ["entry 2: ", "entry 3: "] {
        assert!(message.contains(mistake), "{message}");
    }
    assert_eq!(names(&proxy), ["alice"]);
    let users = r#"{"users":[{"username":"bob","group":null,"label":"x"},{"username":"carol"}]}"#;
    let answer = proxy.send(&Request::post("/admin/add_users", users));
    assert_eq!(answer.status, 200, "{answer:?}");
    let issued = answer.json();
    for user in issued["users"].as_array().unwrap() {
        assert_eq!(proxy.chat(text(user, "api_key"), ASK).status, 200);
    }
}
