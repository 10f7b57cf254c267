//! Commands, their output and their exit codes.

use std::process::Stdio;

use serde_json::Value;

use super::home;
use crate::harness::{ASK, Backend, Home, Ran, chat_completion};

#[test]
fn help_and_version_end_with_0() {
    let home = home();
    let version = home.cli(&["--version"]);
    assert_eq!(version.code, Some(0));
    // A release names its commit, too.
    let start = concat!("llmproxy ", env!("CARGO_PKG_VERSION"), " (");
    let schema = version.stdout.trim().strip_prefix(start);
    assert!(
        schema.is_some_and(|rest| rest.contains("schema ")),
        "{version:?}"
    );
    let commands: [&[&str]; 7] = [
        &["--help"],
        &["serve", "--help"],
        &["user", "--help"],
        &["user", "add", "--help"],
        &["user", "forbid", "--help"],
        &["user", "list", "--help"],
        &["costs", "--help"],
    ];
    for command in commands {
        let help = home.cli(command);
        assert_eq!(help.code, Some(0), "{command:?}: {help:?}");
        assert!(help.stdout.contains("Usage:"), "{command:?}: {help:?}");
        assert!(
            !help.stdout.contains(crate::harness::BACKEND_KEY),
            "the environment's secrets are not shown: {help:?}"
        );
    }
    let serve = home.cli(&["serve", "--help"]).stdout;
    for variable in [
        "OPENAI_BACKEND_URL",
        "OPENAI_API_KEY",
        "MAX_CONCURRENT_REQUESTS",
        "ADMIN_TOKEN",
        "STREAM_USAGE",
    ] {
        assert!(serve.contains(variable), "{variable}: {serve}");
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let home = home();
    let wrong: [&[&str]; 10] = [
        &[],
        &["nothing"],
        &["user"],
        &["user", "add"],
        &["user", "add", "a", "--from", "b.csv"],
        &["user", "forbid"],
        &["serve", "--no-such-flag"],
        &["costs", "--last-hours"],
        &["costs", "--last-hours", "many"],
        &["costs", "--last-hours", "1", "--start-time", "2026-02-08"],
    ];
    for arguments in wrong {
        let ran = home.cli(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(
            !ran.stderr.is_empty() && !ran.stderr.contains("panicked"),
            "{ran:?}"
        );
    }
}

#[test]
fn a_failed_command_ends_with_1_and_one_line_that_says_why() {
    let home = home();
    home.user("alice");
    let failing: [(&[&str], &str); 5] = [
        (&["user", "add", "alice"], "alice"),
        (&["user", "add", " alice "], "alice"),
        (&["user", "forbid", "mallory"], "mallory"),
        (&["user", "allow", "mallory"], "mallory"),
        (&["costs", "--user", "mallory"], "mallory"),
    ];
    for (arguments, about) in failing {
        let ran = home.cli(arguments);
        ran.assert_one_line_error();
        assert!(ran.stderr.contains(about), "{ran:?}");
        assert_eq!(ran.stdout, "", "{ran:?}");
    }
    let unknown_key = home.cli(&[
        "user",
        "forbid",
        "llmp-0123456789abcdefghijklmnopqrstuvwxyz",
    ]);
    unknown_key.assert_one_line_error();
}

#[test]
fn invalid_names_and_times_are_refused() {
    let home = home();
    home.user("alice");
    let long = "a".repeat(129);
    let refused: [&[&str]; 6] = [
        &["user", "add", ""],
        &["user", "add", "   "],
        &["user", "add", "a\nb"],
        &["user", "add", &long],
        &["costs", "--start-time", "yesterday"],
        &[
            "costs",
            "--start-time",
            "2026-02-09",
            "--end-time",
            "2026-02-08",
        ],
    ];
    for arguments in refused {
        let ran = home.cli(arguments);
        assert!(matches!(ran.code, Some(1 | 2)), "{arguments:?}: {ran:?}");
        assert!(
            !ran.stderr.is_empty() && !ran.stderr.contains("panicked"),
            "{ran:?}"
        );
    }
    assert_eq!(home.users().len(), 1);
}

#[test]
fn forbid_and_allow_can_be_repeated() {
    let home = home();
    let key = home.user("alice");
    let active = || home.users()[0]["is_active"].clone();
    for who in ["alice", &key] {
        for (command, then) in [
            ("forbid", false),
            ("forbid", false),
            ("allow", true),
            ("allow", true),
        ] {
            let ran = home.cli(&["user", command, who]);
            assert_eq!(
                (ran.code, active()),
                (Some(0), Value::from(then)),
                "{command} {who}: {ran:?}"
            );
            assert!(
                !(ran.stdout + &ran.stderr).contains(&key),
                "a key is masked on screen"
            );
        }
    }
}

#[test]
fn every_command_can_print_json() {
    let home = home();
    let added = home.cli(&["user", "add", "alice", "--json"]).json();
    assert_eq!(added["username"], "alice");
    assert!(added["api_key"].as_str().unwrap().starts_with("llmp-"));
    for command in [
        &["user", "forbid", "alice", "--json"],
        &["user", "allow", "alice", "--json"],
    ] {
        assert!(home.cli(command).json().is_object());
    }
    assert_eq!(
        home.cli(&["costs", "--json"]).json()["costs"][0]["username"],
        "alice"
    );
    assert_eq!(home.users()[0]["username"], "alice");
}

#[test]
fn times_at_the_limits_are_accepted() {
    let home = home();
    home.user("alice");
    for time in [
        "9999-12-31",
        "9999-12-31T23:59:59Z",
        "2026-02-08T24:00:00Z",
        "2026-02-08T24:00",
    ] {
        let ran = home.cli(&["costs", "--end-time", time]);
        assert_eq!(ran.code, Some(0), "{time}: {ran:?}");
    }
    let ran = home.cli(&["costs", "--last-hours", "99999999999"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("at most"), "{ran:?}");
}

#[test]
fn a_user_name_is_read_alike_by_every_command() {
    let home = home();
    home.user("alice");
    for arguments in [
        &["user", "forbid", " alice "][..],
        &["costs", "--user", " alice "],
    ] {
        let ran = home.cli(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn a_dimension_given_twice_makes_one_column() {
    let backend = Backend::json(chat_completion(19, 10));
    let (proxy, key) = Home::new(&backend).serve_alice();
    proxy.chat(&key, ASK);
    for (by, columns) in [
        ("user,user", "username"),
        ("model,user,model", "model,username"),
    ] {
        let csv = proxy.cli(&["costs", "--csv", "--by", by]).stdout;
        let header = csv.lines().next().unwrap();
        assert!(header.starts_with(&format!("{columns},total_")), "{header}");
        let ran = proxy.cli(&["costs", "--json", "--by", by]);
        assert_eq!(ran.stdout.matches("\"username\"").count(), 1, "{ran:?}");
    }
}

#[test]
fn a_key_that_could_not_be_printed_is_reported_as_created() {
    for (storage, hint) in [("clear", "user list --json"), ("hashed", "cannot be shown")] {
        for arguments in [
            &["user", "add", "alice"][..],
            &["user", "add", "alice", "--json"],
        ] {
            let home = home().set("STORE_KEYS", storage);
            home.user("bob");
            let full = std::fs::File::options()
                .write(true)
                .open("/dev/full")
                .unwrap();
            let child = home
                .command(arguments)
                .stdout(full)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let ran = Ran::end_of(child);
            ran.assert_one_line_error();
            for word in ["alice", "exists now", hint] {
                assert!(ran.stderr.contains(word), "{word}: {ran:?}");
            }
            let users = home.cli(&["user", "list", "--json"]).json();
            assert_eq!(users["users"][1]["username"], "alice");
        }
    }
}

fn assert_fits_80_columns(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_users_table_has_name_masked_key_date_and_status() {
    let home = home();
    let keys = [home.user("alice"), home.user("bob")];
    home.cli(&["user", "forbid", "bob"]);
    let list = home.cli(&["user", "list"]);
    assert_fits_80_columns(&list);
    for key in keys {
        assert!(!list.stdout.contains(&key), "{list:?}");
        assert!(
            !list.stdout.contains(&key[key.len() / 2..]),
            "not even half of it: {list:?}"
        );
    }
    let this_year = jiff::Timestamp::now().to_string()[..4].to_owned();
    for word in ["alice", "bob", "llmp-", &this_year] {
        assert!(list.stdout.contains(word), "{word}: {list:?}");
    }
    let says_forbidden = |name: &str| {
        let line = list
            .stdout
            .lines()
            .find(|line| line.contains(name))
            .unwrap()
            .to_lowercase();
        line.contains("forbidden") || line.contains("disabled")
    };
    assert!(
        says_forbidden("bob") && !says_forbidden("alice"),
        "{list:?}"
    );
}

#[test]
fn the_costs_table_has_the_exact_numbers() {
    let backend = Backend::json(chat_completion(15_432, 678));
    let (proxy, key) = Home::new(&backend).serve_alice();
    proxy.user("bob");
    proxy.chat(&key, ASK);
    let digits = |ran: &Ran| ran.stdout.replace([',', '_', '\'', '\u{202f}'], "");
    for arguments in [
        &["costs"][..],
        &["costs", "--by-model"],
        &["costs", "--all"],
        &["costs", "--last-hours", "1", "--user", "alice"],
    ] {
        let ran = proxy.cli(arguments);
        assert_fits_80_columns(&ran);
        for word in ["alice", "15432", "678"] {
            assert!(
                digits(&ran).contains(word),
                "{arguments:?}: {word}: {}",
                ran.stdout
            );
        }
        assert_eq!(
            ran.stdout.contains("gpt-4.1-mini"),
            arguments.contains(&"--by-model"),
            "{}",
            ran.stdout
        );
        assert_eq!(
            ran.stdout.contains("bob"),
            arguments.contains(&"--all"),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn a_reader_that_stops_early_causes_no_panic() {
    let home = home();
    home.user("alice");
    for arguments in [
        &["user", "list"][..],
        &["user", "list", "--json"],
        &["costs"],
        &["user", "add", "bob"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = home
            .command(arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let ran = Ran::end_of(child);
        assert!(!ran.stderr.contains("panicked"), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn non_unicode_arguments_cause_no_panic() {
    use std::os::unix::ffi::OsStringExt;
    let home = home();
    let odd = std::ffi::OsString::from_vec(vec![b'a', 0xff, b'b']);
    for arguments in [
        &["user", "add"][..],
        &["user", "forbid"],
        &["costs", "--user"],
        &["costs", "--start-time"],
    ] {
        let ran = Ran::of(home.command(arguments).arg(&odd));
        assert!(matches!(ran.code, Some(1 | 2)), "{arguments:?}: {ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    }
}

#[test]
fn a_closed_standard_output_is_an_error() {
    let home = home();
    home.user("alice");
    let home = home.launched_by("exec >&-; exec");
    for command in [
        &["user", "list"][..],
        &["user", "list", "--json"],
        &["costs", "--all"],
        &["price", "list"],
        &["man"],
        &["completions", "bash"],
    ] {
        let ran = home.cli(command);
        assert_eq!(ran.code, Some(1), "{command:?}: {ran:?}");
        assert!(ran.stderr.contains("No space left on device"), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let home = home();
    home.user("alice");
    let shell = "set -o pipefail 2>/dev/null; \"$0\" price list | head -n 1";
    let mut command = home.command(&[]);
    let binary = command.get_program().to_owned();
    command = std::process::Command::new("bash");
    command
        .args(["-c", shell])
        .arg(binary)
        .current_dir(home.path(""));
    command.env("DATABASE_URL", home.database_url());
    assert!(command.status().unwrap().success());
}
