//! Files that are no good, and places that cannot be written.

use super::{python::SQL, *};

#[test]
fn what_is_no_import_is_refused_in_one_line() {
    let (_backend, home) = home();
    let home = home
        .file("empty", "")
        .file("blank", " \n")
        .file("text", "once upon a time\n")
        .file("other.csv", "name,group\nalice,x\n")
        .file("short.csv", "token,key_alias\nabc\n")
        .file("broken.json", "[\n{\"token\":\"a\"},\n{]")
        .file("hashes.json", "{\"keys\":[\"0123\"]}")
        .file("cut.db", "SQLite format 3\0");
    std::fs::create_dir(home.path("dir")).unwrap();
    database(&home, "strange.db", "CREATE TABLE invoices (id INTEGER)");
    for (name, says) in [
        ("empty", "is empty"),
        ("blank", "is empty"),
        ("text", "no SQLite database, CSV or JSON"),
        ("other.csv", "no column token: it has name, group"),
        ("short.csv", "line 2: it has 1 columns"),
        ("broken.json", "line 3: the JSON is broken"),
        ("hashes.json", "return_full_object=true"),
        ("cut.db", "no SQLite database"),
        ("dir", "directory"),
        ("missing", "No such file"),
        (
            "strange.db",
            "its tables are invoices; accepted: SQLite of the Python service",
        ),
    ] {
        let error = refused(&home, &[name]);
        assert!(error.contains(says), "{name}: {error}");
        assert!(!home.path("test.db").exists(), "{name}");
    }
    let error = refused(&home, &["strange.db", "--format", "python"]);
    assert!(error.contains("no table users"), "{error}");
    let error = refused(&home, &["strange.db", "--format", "litellm"]);
    assert!(error.contains("wants CSV or JSON"), "{error}");
    let ran = home.cli(&["import", "strange.db", "--format", "mysql"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn a_damaged_database_is_refused_and_nothing_is_imported() {
    let (_backend, home) = home();
    let source = database(&home, "old.db", SQL);
    for n in 0..2_000 {
        let sql = "INSERT INTO usage_logs (user_id, model, input_tokens, output_tokens, created_at) VALUES (1, ?1, 1, 1, '2026-02-08')";
        source.execute(sql, [format!("model-{n}")]).unwrap();
    }
    drop(source);
    let bytes = bytes(&home, "old.db");
    std::fs::write(home.path("old.db"), &bytes[..bytes.len() / 2]).unwrap();
    let error = refused(&home, &["old.db", "--format", "python"]);
    assert!(error.contains("damaged"), "{error}");
    let users = home.cli(&["user", "list", "--json"]);
    assert!(!users.stdout.contains("alice"), "{users:?}");
}

#[test]
fn a_database_of_llmproxy_is_no_source() {
    let (_backend, home) = home();
    home.user("alice");
    let error = refused(&home, &["test.db"]);
    assert!(error.contains("database of llmproxy itself"), "{error}");
    // The Python service's file has the same name by default.
    let other = home.set("DATABASE_URL", "old.db");
    database(&other, "old.db", SQL);
    let error = refused(&other, &["old.db"]);
    assert!(error.contains("llmproxy import"), "{error}");
}

#[test]
fn an_import_over_a_server_is_refused_with_the_reason() {
    let (_backend, home) = home();
    database(&home, "old.db", SQL);
    let ran = home.cli(&["import", "old.db", "--server", "http://127.0.0.1:9"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("works on the database file"), "{ran:?}");
}

#[test]
fn a_database_in_wal_mode_is_read_where_nothing_can_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let (_backend, home) = home();
    std::fs::create_dir(home.path("there")).unwrap();
    let source = database(&home, "there/old.db", "PRAGMA journal_mode = WAL");
    source.execute_batch(SQL).unwrap();
    // While the other program has it open, what is only in its log comes, too.
    assert_eq!(import(&home, &["there/old.db", "--dry-run"])["new_rows"], 3);
    drop(source);
    let permissions = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(home.path("there"), permissions(0o555)).unwrap();
    let summary = import(&home, &["there/old.db"]);
    std::fs::set_permissions(home.path("there"), permissions(0o755)).unwrap();
    assert_eq!(summary["new_rows"], 3);
    let files = std::fs::read_dir(home.path("there")).unwrap().count();
    assert_eq!(files, 1, "nothing was left beside it");
}

#[test]
fn cells_of_any_kind_are_survived() {
    let (_backend, home) = home();
    let source = database(&home, "old.db", SQL);
    for value in [
        "NULL",
        "''",
        "x'ff00'",
        "1e308",
        "-1e308",
        "9e999",
        "'\u{202e}'",
        "zeroblob(1000000)",
    ] {
        let sql = format!(
            "INSERT INTO usage_logs (user_id, model, input_tokens, output_tokens, created_at) VALUES
             ({value}, 'm', 1, 1, '2026-02-08'), (1, {value}, 1, 1, '2026-02-08'), (1, 'm', {value}, 1, '2026-02-08'),
             (1, 'm', 1, {value}, '2026-02-08'), (1, 'm', 1, 1, {value})"
        );
        let _ = source.execute_batch(&sql);
    }
    let digits = "9".repeat(1_000_000);
    let sql = "INSERT INTO usage_logs (user_id, model, input_tokens, output_tokens, created_at) VALUES (1, 'm', ?1, 1, ?1)";
    source.execute(sql, [digits]).unwrap();
    import(&home, &["old.db"]);
    assert_consistent(&home);
    run(&home, &["costs"]);
}
