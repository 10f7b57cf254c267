//! Lists of users, keys and groups: on terminals of different widths, in pipes, and as CSV; and
//! questions that are asked on a terminal only.

use super::*;
use crate::harness::Terminal;

/// A home with long and short names, groups, labels and ends.
fn crowded() -> (Home, Vec<String>) {
    let home = home();
    let group = "machine-learning-for-beginners-2026-winter";
    run(&home, &["group", "add", group]);
    run(&home, &["group", "add", "b"]);
    let name = "alice.pleasance.liddell@wonderland.christchurch.example.org";
    let mut keys = vec![
        run(
            &home,
            &[
                "user",
                "add",
                name,
                "--group",
                group,
                "--expires",
                "2099-12-31",
            ],
        )
        .stdout,
        run(
            &home,
            &[
                "user",
                "add",
                "学生一号",
                "--label",
                "the old laptop in the laboratory",
            ],
        )
        .stdout,
        run(&home, &["user", "add", "x"]).stdout,
    ];
    keys.push(run(&home, &["key", "add", "x", "--label", "ci"]).stdout);
    run(&home, &["user", "forbid", "x"]);
    (home, keys.iter().map(|key| key.trim().to_owned()).collect())
}

/// Returns the number of columns that a line takes on a terminal.
fn columns(line: &str) -> usize {
    let is_wide = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    line.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

#[test]
fn lists_hold_in_80_and_in_40_columns() {
    let (home, keys) = crowded();
    for (arguments, unbroken) in [
        (&["user", "list"][..], &["active", "forbidden"][..]),
        (&["key", "list"], &["active", "forbidden"]),
        (&["group", "list"], &["users"]),
        (&["user", "show", "x"], &["forbidden"]),
    ] {
        for width in [40_u16, 80, 100, 200] {
            let ran = Terminal::of_columns(width).run(&mut home.command(arguments));
            assert_eq!(ran.code, Some(0), "{ran:?}");
            let shown = &ran.stdout;
            for line in shown.lines() {
                assert!(
                    columns(line) <= usize::from(width),
                    "{width}: {arguments:?}\n{shown}"
                );
            }
            for word in unbroken {
                assert!(
                    shown.contains(word),
                    "{word} {width} {arguments:?}\n{shown}"
                );
            }
            // A column that is shown has its values unbroken.
            if shown.lines().any(|line| line.contains("key ")) && arguments != ["group", "list"] {
                let key = &keys[2];
                let masked = format!("{}…{}", &key[..9], &key[key.len() - 4..]);
                let is_listed = shown.contains(&masked) || arguments == ["user", "list"];
                assert!(is_listed, "{masked} {width} {arguments:?}\n{shown}");
            }
            for key in &keys {
                assert!(!shown.contains(key.as_str()), "{shown}");
            }
        }
    }
}

#[test]
fn a_list_in_a_pipe_is_aligned_text_without_lines() {
    let (home, _) = crowded();
    for (arguments, header) in [
        (&["user", "list"][..], "id name"),
        (&["key", "list"], "id user"),
        (&["group", "list"], "id group"),
    ] {
        let ran = run(&home, arguments);
        let lines: Vec<&str> = ran.stdout.lines().collect();
        let words = |line: &str| line.split_whitespace().count();
        let first: Vec<&str> = lines[0].split_whitespace().collect();
        assert_eq!(first[..2].join(" "), header, "{ran:?}");
        assert!(!ran.stdout.contains(['│', '─', '┆']), "{ran:?}");
        if arguments != ["key", "list"] {
            for line in &lines {
                assert_eq!(words(line), words(lines[0]), "{ran:?}");
            }
        }
        let boxed = run(&home, &[arguments, &["--table"]].concat()).stdout;
        assert!(boxed.contains('│'), "{boxed}");
    }
    let sorted = std::process::Command::new("sh")
        .args([
            "-c",
            "\"$0\" user list | awk 'NR > 1 { print $2, $NF }' | sort",
        ])
        .arg(env!("CARGO_BIN_EXE_llmproxy"))
        .current_dir(home.path(""))
        .env("DATABASE_URL", home.database_url())
        .output()
        .unwrap();
    let sorted = String::from_utf8(sorted.stdout).unwrap();
    let mut lines = sorted.lines();
    assert!(
        lines.next().unwrap().ends_with("example.org active"),
        "{sorted}"
    );
    assert_eq!(lines.next(), Some("x forbidden"));
    assert_eq!(lines.next(), Some("学生一号 active"));
}

#[test]
fn csv_has_every_column_and_quotes_names() {
    let home = home();
    run(&home, &["user", "add", "Liddell, Alice"]);
    run(&home, &["user", "add", "--", "=1+1"]);
    let csv = run(&home, &["user", "list", "--csv"]).stdout;
    let mut lines = csv.lines();
    let header = "id,username,group,key,active_keys,created_at,expires_at,last_used_at,status";
    assert_eq!(lines.next(), Some(header));
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("1,\"Liddell, Alice\",,llmp-")
    );
    assert!(lines.next().unwrap().starts_with("2,'=1+1,,llmp-"));
    let csv = run(&home, &["key", "list", "--csv"]).stdout;
    let header = "id,username,label,key,created_at,expires_at,last_used_at,status";
    assert_eq!(csv.lines().next(), Some(header));
    let csv = run(&home, &["group", "list", "--csv"]).stdout;
    assert_eq!(
        csv.trim(),
        "id,name,users,created_at",
        "also of an empty list"
    );
}

#[test]
fn the_forms_of_a_list_exclude_each_other() {
    let home = home();
    home.user("alice");
    for list in [
        &["user", "list"][..],
        &["key", "list"],
        &["group", "list"],
        &["costs"],
    ] {
        for two in [
            ["--csv", "--json"],
            ["--table", "--csv"],
            ["--json", "--table"],
        ] {
            let ran = home.cli(&[list, &two].concat());
            assert_eq!(ran.code, Some(2), "{list:?} {two:?}: {ran:?}");
        }
    }
}

#[test]
fn a_deletion_asks_on_a_terminal() {
    let home = home();
    home.user("alice");
    run(&home, &["group", "add", "team"]);
    for (arguments, question) in [
        (["user", "delete", "alice"], "Delete user \"alice\""),
        (["group", "delete", "team"], "Delete group \"team\""),
    ] {
        for answer in ["\n", "n\n", "no\n", "maybe\n"] {
            let mut terminal = Terminal::of_columns(80);
            terminal.type_ahead(answer);
            let ran = terminal.run(&mut home.command(&arguments));
            assert_eq!(ran.code, Some(1), "{answer:?}: {ran:?}");
            assert!(ran.stdout.contains(question), "{ran:?}");
            assert!(ran.stdout.contains("nothing was changed"), "{ran:?}");
        }
        let mut terminal = Terminal::of_columns(80);
        terminal.type_ahead("y\n");
        let ran = terminal.run(&mut home.command(&arguments));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains("is deleted"), "{ran:?}");
    }
    assert!(home.users().is_empty());
}

#[test]
fn a_deletion_in_a_script_needs_yes() {
    let home = home();
    home.user("alice");
    run(&home, &["group", "add", "team"]);
    for arguments in [["user", "delete", "alice"], ["group", "delete", "team"]] {
        let ran = home.cli(&arguments);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("--yes"), "{ran:?}");
    }
    assert_eq!(home.users().len(), 1);
    run(&home, &["user", "delete", "alice", "--yes"]);
    run(&home, &["group", "delete", "team", "--yes"]);
}

#[test]
fn a_new_key_is_in_a_table_on_a_terminal_and_alone_in_a_pipe() {
    let home = home();
    let ran = Terminal::of_columns(80).run(&mut home.command(&["user", "add", "alice"]));
    let key = text(&home.users()[0], "api_key").to_owned();
    assert!(
        ran.stdout.contains(&key) && ran.stdout.contains("alice"),
        "{ran:?}"
    );
    let narrow = Terminal::of_columns(40).run(&mut home.command(&["user", "add", "bob"]));
    let key = text(&home.users()[1], "api_key").to_owned();
    let unwrapped = narrow.stdout.replace(['\r', '\n'], "");
    assert!(unwrapped.contains(&key), "the whole key: {narrow:?}");
    let alone = run(&home, &["user", "rotate", "alice"]).stdout;
    assert_eq!(alone.lines().count(), 1);
    assert!(alone.starts_with("llmp-"), "{alone}");
}
