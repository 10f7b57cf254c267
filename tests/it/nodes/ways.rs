//! Ways to a database: through PgBouncer, with TLS, with a password, none at all, and by a copy.

use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use super::{Crowd, Nodes, backend_of_hundred, chat};
use crate::harness::{
    Bouncer, Home, PATIENCE, PostgresDatabase, PostgresServer, Setup, alone, has_postgres,
    has_program, wait_until,
};

const CERTIFICATE: &str = include_str!("../tls/second.pem");
const KEY: &str = include_str!("../tls/second.key");
const AUTHORITY: &str = include_str!("../connect/authority.pem");

/// Each transaction may go to another connection, nothing is prepared, and nothing is announced.
#[test]
fn everything_works_through_pgbouncer_in_transaction_mode() {
    if !has_postgres() || !has_program("pgbouncer") {
        return;
    }
    let _alone = alone();
    let backend = backend_of_hundred();
    let bouncer = Bouncer::start();
    let database = PostgresDatabase::new();
    let url = bouncer.url(&database);
    let settings = [("DATABASE_URL", &*url), ("DATABASE_NOTIFY", "false")];
    let nodes = Nodes::start_on(&backend, 2, database, &settings);
    let key = nodes.user("alice", &["--budget", "5000tokens/day"]);
    let crowd = Crowd::start(&nodes.proxies, &key, 10);
    wait_until(
        "the budget is nearly used up",
        Duration::from_secs(30),
        || nodes.booked().1 >= 4_600,
    );
    thread::sleep(Duration::from_millis(500));
    let served = crowd.end();
    let (rows, tokens, repeated) = nodes.booked();
    assert!((4_600..=5_000).contains(&tokens), "{tokens}");
    assert_eq!((rows, repeated), (served, 0));
    let changed = Instant::now();
    assert_eq!(nodes.desk.cli(&["user", "forbid", "alice"]).code, Some(0));
    for node in &nodes.proxies {
        wait_until("the node knows it", PATIENCE, || {
            node.chat(&key, &chat(70)).status == 403
        });
    }
    eprintln!("forbidden everywhere after {:?}", changed.elapsed());
    for command in [
        &["costs"][..],
        &["user", "list"],
        &["limits"],
        &["log"],
        &["db", "size"],
    ] {
        let ran = nodes.desk.cli(command);
        assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
    }
    nodes.assert_consistent();
}

#[test]
fn a_database_that_cannot_be_used_is_a_one_line_error_without_the_password() {
    let backend = backend_of_hundred();
    for (url, part) in [
        ("postgres://u:pa55word@127.0.0.1:1/d", "Connection refused"),
        ("postgres://u:pa55word@127.0.0.1/d?sslmode=maybe", "sslmode"),
        (
            "postgres://u:pa55word@127.0.0.1/d?sslrootcert=/missing.pem",
            "/missing.pem",
        ),
        ("postgres://u:pa55word@127.0.0.1:port/d", "port"),
        ("postgres://u:x@pa55word@127.0.0.1/d", "%40"),
        (
            "host=127.0.0.1 user=u password=pa55word dbname=d",
            "postgres://USER",
        ),
        ("postgres://u:pa55word@127.0.0.1/d?nonsense=1", "nonsense"),
    ] {
        let home = Home::new(&backend).set("DATABASE_URL", url);
        for ran in [home.cli(&["user", "list"]), home.refused()] {
            assert!(matches!(ran.code, Some(1 | 2)), "{url}: {ran:?}");
            assert_eq!(ran.stderr.trim_end().lines().count(), 1, "{url}: {ran:?}");
            assert!(ran.stderr.contains(part), "{url}: {ran:?}");
            assert!(!ran.stderr.contains("pa55word"), "{url}: {ran:?}");
        }
    }
}

/// Whatever looks at it says why, `check` before anything is started.
#[test]
fn a_database_that_cannot_hold_our_tables_is_refused_with_the_reason() {
    if !has_postgres() {
        return;
    }
    let backend = backend_of_hundred();
    let server = PostgresServer::start();
    let mut admin = server.connect("postgres");
    for sql in [
        "CREATE DATABASE foreign_tables",
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
        "CREATE DATABASE of_others",
        "CREATE USER guest",
    ] {
        admin.batch_execute(sql).unwrap();
    }
    let mut others = server.connect("foreign_tables");
    others.batch_execute("CREATE TABLE mine (id INT)").unwrap();
    // Up to PostgreSQL 14 everybody may.
    let mut others = server.connect("of_others");
    others
        .batch_execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        .unwrap();
    let of_guest = server.url("of_others").replace("llmproxy@", "guest@");
    for (url, part) in [
        (server.url("foreign_tables"), "did not make"),
        (server.url("latin"), "LATIN1"),
        (of_guest, "the user guest may not make tables"),
    ] {
        let home = Home::new(&backend).set("DATABASE_URL", &url);
        for ran in [home.cli(&["user", "list"]), home.refused()] {
            assert_eq!(ran.stderr.trim_end().lines().count(), 1, "{ran:?}");
            assert!(ran.stderr.contains(part), "{url}: {ran:?}");
        }
        let checked = home.cli(&["check"]);
        assert_eq!(checked.code, Some(1), "{checked:?}");
        assert!(checked.stdout.contains(part), "{checked:?}");
    }
}

/// One of them makes the tables, and the others wait for it.
#[test]
fn nodes_that_start_at_once_on_an_empty_database_all_serve() {
    if !has_postgres() {
        return;
    }
    let _alone = alone();
    let backend = backend_of_hundred();
    for _ in 0..3 {
        let database = PostgresDatabase::new();
        let url = database.url();
        let home = || Home::new(&backend).set("DATABASE_URL", &url);
        let (proxies, added) = thread::scope(|scope| {
            let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| home().serve())).collect();
            let command = scope.spawn(|| home().cli(&["user", "add", "alice"]));
            let proxies: Vec<_> = starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect();
            (proxies, command.join().unwrap())
        });
        assert_eq!(added.code, Some(0), "{added:?}");
        let key = added.stdout.trim_end();
        for node in &proxies {
            wait_until("each node knows the key", PATIENCE, || {
                node.chat(key, &chat(70)).status == 200
            });
        }
    }
}

/// A host may take a connection and then say nothing: a server whose processes stand still, or a forwarder
/// whose target is gone.
#[test]
fn a_host_that_says_nothing_is_passed_over_in_seconds() {
    if !has_postgres() {
        return;
    }
    let backend = backend_of_hundred();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let database = PostgresDatabase::new();
    let url = database.url();
    let (before, behind) = url.split_once('@').unwrap();
    // Its first `@` is behind the user, and the host ends at the next `/`.
    let (host, rest) = behind.split_once('/').unwrap();
    let url_of = |hosts: &str| format!("{before}@{hosts}/{rest}");
    let limit = |url: &str| {
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}connect_timeout=1")
    };

    let alone = limit(&url_of(&silent.to_string()));
    let home = Home::new(&backend).set("DATABASE_URL", &alone);
    let began = Instant::now();
    let ran = home.cli(&["costs"]);
    ran.assert_one_line_error();
    assert!(
        ran.stderr.contains("the server has said nothing for 6 s"),
        "{ran:?}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );

    // The silent one is asked once: what follows begins with the one that answered.
    let both = limit(&url_of(&format!("{silent},{host}")));
    let home = Home::new(&backend).set("DATABASE_URL", &both);
    assert_eq!(home.cli(&["user", "add", "alice"]).code, Some(0));
}

#[test]
fn a_copy_goes_on_until_the_target_is_used() {
    if !has_postgres() {
        return;
    }
    let backend = backend_of_hundred();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let (source, target) = (proxy.database_url(), PostgresDatabase::new());
    let copy = || proxy.cli(&["db", "copy", "--from", &source, "--to", &target.url()]);
    for count in 1..=2 {
        assert_eq!(proxy.chat(&key, &chat(70)).status, 200);
        wait_until("it is booked", PATIENCE, || proxy.rows().len() == count);
        let copied = copy();
        assert!(
            copied.stdout.contains(": 1 new rows; it has 1 users"),
            "{copied:?}"
        );
    }
    let home = Home::new(&backend).set("DATABASE_URL", &target.url());
    assert_eq!(home.cli(&["user", "add", "bob"]).code, Some(0));
    let refused = copy();
    refused.assert_one_line_error();
    assert!(
        refused.stderr.contains("was used since it was copied"),
        "{refused:?}"
    );
    // And one that was never a copy.
    let own = PostgresDatabase::new();
    let home = Home::new(&backend).set("DATABASE_URL", &own.url());
    assert_eq!(home.cli(&["user", "add", "bob"]).code, Some(0));
    let refused = proxy.cli(&["db", "copy", "--from", &source, "--to", &own.url()]);
    refused.assert_one_line_error();
    assert!(refused.stderr.contains("of its own"), "{refused:?}");
}

/// Returns whether the connections of llmproxy to a server are encrypted: all or none of them.
fn is_encrypted(server: &PostgresServer) -> bool {
    let sql = "SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name = 'llmproxy'";
    let row = server.connect("postgres").query_one(sql, &[]).unwrap();
    let (all, encrypted): (i64, i64) = (row.get(0), row.get(1));
    assert!(
        all > 0 && (encrypted == all || encrypted == 0),
        "{encrypted} of {all}"
    );
    encrypted > 0
}

#[test]
fn a_connection_is_encrypted_and_the_certificate_checked() {
    if !has_postgres() {
        return;
    }
    let backend = backend_of_hundred();
    let setup = Setup {
        tls: Some((CERTIFICATE, KEY)),
        ..Setup::default()
    };
    let server = PostgresServer::start_as(&setup);
    // The certificate is for `localhost`, and vouches for itself.
    let url = server.url("postgres").replace("127.0.0.1", "localhost");
    let home = |parameters: &str| {
        Home::new(&backend)
            .file("second.pem", CERTIFICATE)
            .file("authority.pem", AUTHORITY)
            .set("DATABASE_URL", &format!("{url}?{parameters}"))
    };
    for parameters in [
        "sslmode=require&sslrootcert=second.pem",
        "sslmode=verify-full&sslrootcert=second.pem",
        "sslrootcert=second.pem",
    ] {
        let (proxy, key) = home(parameters).serve_alice();
        assert_eq!(proxy.chat(&key, &chat(70)).status, 200, "{parameters}");
        assert!(is_encrypted(&server), "{parameters}");
        assert_eq!(
            proxy.cli(&["user", "delete", "alice", "--yes"]).code,
            Some(0)
        );
    }
    for parameters in [
        "sslmode=require",
        "sslmode=require&sslrootcert=authority.pem",
        "sslmode=prefer&sslrootcert=authority.pem",
    ] {
        let refused = home(parameters).cli(&["user", "list"]);
        refused.assert_one_line_error();
        assert!(
            refused.stderr.contains("certificate"),
            "{parameters}: {refused:?}"
        );
        assert!(
            refused.stderr.contains("sslrootcert=FILE"),
            "{parameters}: {refused:?}"
        );
    }
    let (_proxy, _) = home("sslmode=disable").serve_alice();
    assert!(!is_encrypted(&server));
}

#[test]
fn a_server_without_tls_is_refused_if_encryption_is_required() {
    if !has_postgres() {
        return;
    }
    let backend = backend_of_hundred();
    let server = PostgresServer::start();
    let url = format!("{}?sslmode=require", server.url("postgres"));
    let refused = Home::new(&backend)
        .set("DATABASE_URL", &url)
        .cli(&["user", "list"]);
    refused.assert_one_line_error();
    assert!(refused.stderr.contains("TLS"), "{refused:?}");
}

#[test]
fn a_password_needs_to_be_in_no_url() {
    if !has_postgres() {
        return;
    }
    let backend = backend_of_hundred();
    let setup = Setup {
        password: Some("pa:55word"),
        ..Setup::default()
    };
    let server = PostgresServer::start_as(&setup);
    let url = server.url("postgres");
    let home = || Home::new(&backend).set("DATABASE_URL", &url);
    let list = ["user", "list"];
    let refused = home().cli(&list);
    refused.assert_one_line_error();
    assert!(refused.stderr.contains("set PGPASSWORD"), "{refused:?}");
    let wrong = home().set("PGPASSWORD", "other").cli(&list);
    wrong.assert_one_line_error();
    assert!(wrong.stderr.contains("authentication failed"), "{wrong:?}");
    assert!(!wrong.stderr.contains("other"), "{wrong:?}");
    let by_variable = home().set("PGPASSWORD", "pa:55word");
    assert_eq!(by_variable.cli(&["user", "add", "alice"]).code, Some(0));

    let line = format!("127.0.0.1:{}:*:llmproxy:pa\\:55word\n", server.port);
    let by_file = home()
        .file("passwords", &line)
        .set("PGPASSFILE", "passwords");
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(by_file.path("passwords"), mode(0o644)).unwrap();
    let open_to_all = by_file.cli(&list);
    assert_eq!(open_to_all.code, Some(1));
    assert!(open_to_all.stderr.contains("chmod 600"), "{open_to_all:?}");
    std::fs::set_permissions(by_file.path("passwords"), mode(0o600)).unwrap();
    assert_eq!(by_file.cli(&list).code, Some(0));
    let named = home().file("own", &line);
    std::fs::set_permissions(named.path("own"), mode(0o600)).unwrap();
    let with_name = format!("{url}?passfile=own");
    let copied = named.cli(&[
        "db",
        "copy",
        "--from",
        &with_name,
        "--to",
        "sqlite:///copy.db",
    ]);
    assert_eq!(copied.code, Some(0), "{copied:?}");
}
