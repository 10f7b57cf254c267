//! Importing again: nothing is doubled, and what is new comes.

use super::{
    python::{ALICE, SQL},
    *,
};

fn digest(home: &Home) -> String {
    let sql = "SELECT (SELECT group_concat(id || username || is_active) FROM users) || (SELECT group_concat(id || hex(hash)) FROM keys) \
        || (SELECT group_concat(id || started_at_ms) FROM usage_logs)";
    home.database()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

#[test]
fn the_same_import_again_adds_nothing() {
    let (_backend, home) = home();
    database(&home, "old.db", SQL);
    import(&home, &["old.db"]);
    let before = digest(&home);
    std::fs::copy(home.path("old.db"), home.path("copy.db")).unwrap();
    for name in ["old.db", "copy.db"] {
        let summary = import(&home, &[name]);
        assert_eq!(
            (&summary["new_users"], &summary["new_rows"]),
            (&0.into(), &0.into())
        );
        assert_eq!(
            (&summary["known_users"], &summary["known_rows"]),
            (&2.into(), &3.into())
        );
    }
    assert_eq!(digest(&home), before);
    let ran = run(&home, &["import", "old.db"]);
    assert!(ran.stdout.contains("nothing is new"), "{ran:?}");
}

#[test]
fn what_was_added_there_since_comes_and_what_was_changed_here_stays() {
    let (_backend, home) = home();
    let source = database(&home, "old.db", SQL);
    import(&home, &["old.db"]);
    run(&home, &["user", "rename", "alice", "alice.liddell"]);
    run(&home, &["user", "allow", "bob"]);
    source
        .execute_batch(
            "INSERT INTO usage_logs VALUES (4, 1, 'gpt-4.1-mini', 7, 3, 0, '2026-02-10 10:00:00'), (5, 3, 'gpt-4.1-mini', 1, 1, 0, '2026-02-10 10:00:00');
             INSERT INTO users VALUES (3, 'carol', 'llmp-c1b2c3d4e5f60718293a4b5c6d7e8f90', NULL, 1);",
        )
        .unwrap();
    let summary = import(&home, &["old.db"]);
    assert_eq!(
        (&summary["new_users"], &summary["new_rows"]),
        (&1.into(), &2.into())
    );
    assert_eq!(sums(&home, "alice.liddell").0, 3007);
    assert_eq!(sums(&home, "carol").3, 1);
    assert_eq!(home.users()[1]["is_active"], true, "allowed here");
    assert_consistent(&home);
}

#[test]
fn a_user_who_was_deleted_here_does_not_come_back() {
    let (_backend, home) = home();
    database(&home, "old.db", SQL);
    import(&home, &["old.db"]);
    run(&home, &["user", "delete", "bob", "--yes"]);
    let summary = import(&home, &["old.db"]);
    assert_eq!(
        (&summary["new_users"], &summary["left_out_users"]),
        (&0.into(), &1.into())
    );
    assert_eq!(home.users().len(), 1);
}

#[test]
fn a_user_who_was_added_by_hand_gets_the_past() {
    let (_backend, home) = home();
    run(&home, &["user", "add", "alice", "--key", ALICE]);
    database(&home, "old.db", SQL);
    let summary = import(&home, &["old.db"]);
    assert_eq!(
        (&summary["new_users"], &summary["known_users"]),
        (&1.into(), &1.into())
    );
    assert_eq!(sums(&home, "alice").0, 3000);
    assert_eq!(import(&home, &["old.db"])["new_rows"], 0);
}
