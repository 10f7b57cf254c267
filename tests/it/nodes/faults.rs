//! Nodes, connections and servers that are killed under load.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Crowd, Nodes, assert_booked, backend_of_hundred};
use crate::harness::{
    Backend, Home, PATIENCE, PostgresServer, Proxy, alone, has_postgres, wait_until,
};

/// Nodes on a server of their own, whose address is in the URL.
fn on_own_server(backend: &Backend, url: &str) -> (Home, Vec<Proxy>) {
    let home = || Home::new(backend).set("DATABASE_URL", url);
    let desk = home();
    (desk, (0..2).map(|_| home().serve()).collect())
}

#[test]
fn connections_that_break_in_mid_commit_lose_and_repeat_no_row() {
    if !has_postgres() {
        return;
    }
    let _alone = alone();
    let backend = backend_of_hundred();
    let nodes = Nodes::start(&backend, 2);
    let key = nodes.user("alice", &[]);
    let crowd = Crowd::start(&nodes.proxies, &key, 8);
    let mut admin = nodes.database.connect();
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut killed = 0;
    for _ in 0..15 {
        thread::sleep(Duration::from_millis(200));
        killed += admin.query_one(kill, &[]).unwrap().get::<_, i64>(0);
    }
    let served = crowd.end();
    assert!(killed > 10, "{killed} connections were killed");
    assert_booked(served, &mut nodes.database.connect(), &nodes.desk);
}

#[test]
fn nodes_that_are_killed_under_load_book_each_complete_answer_once() {
    if !has_postgres() {
        return;
    }
    let _alone = alone();
    let backend = backend_of_hundred();
    let mut nodes = Nodes::start(&backend, 3);
    let key = nodes.user("alice", &[]);
    let crowd = Crowd::start(&nodes.proxies, &key, 6);
    let victim = nodes.proxies.pop().unwrap();
    thread::sleep(Duration::from_millis(700));
    let mut victim = victim;
    victim.kill9();
    thread::sleep(Duration::from_millis(700));
    let served = crowd.end();
    assert_booked(served, &mut nodes.database.connect(), &nodes.desk);
}

#[test]
fn a_database_server_that_is_killed_and_comes_back_loses_no_row() {
    if !has_postgres() {
        return;
    }
    let _alone = alone();
    let backend = backend_of_hundred();
    let mut server = PostgresServer::start();
    let (desk, nodes) = on_own_server(&backend, &server.url("postgres"));
    let key = desk.user("alice");
    let crowd = Crowd::start(&nodes, &key, 6);
    let list_users = || {
        for node in &nodes {
            let listed = node.get_json("/admin/list_users");
            assert_eq!(listed["users"][0]["username"], "alice");
        }
    };
    for _ in 0..2 {
        list_users();
        thread::sleep(Duration::from_millis(700));
        server.kill();
        thread::sleep(Duration::from_millis(500));
        server.launch();
    }
    // The connections that served it before are broken.
    list_users();
    thread::sleep(Duration::from_millis(1_500));
    let served = crowd.end();
    assert_booked(served, &mut server.connect("postgres"), &desk);
}

#[test]
fn a_fail_over_to_a_synchronous_standby_loses_no_acknowledged_row() {
    if !has_postgres() {
        return;
    }
    let _alone = alone();
    let backend = backend_of_hundred();
    let mut primary = PostgresServer::start();
    let standby = PostgresServer::standby_of(&primary);
    let url = format!(
        "postgres://llmproxy@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        primary.port, standby.port
    );
    let (desk, nodes) = on_own_server(&backend, &url);
    let key = desk.user("alice");
    let crowd = Crowd::start(&nodes, &key, 6);
    thread::sleep(Duration::from_secs(1));
    primary.kill();
    standby.promote();
    let promoted = Instant::now();
    wait_until("rows are booked again", PATIENCE, || {
        let recent = "SELECT count(*) FROM usage_logs WHERE started_at_ms > \
             (SELECT max(started_at_ms) FROM usage_logs) - 100 AND started_at_ms > $1";
        let since = i64::try_from(
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_millis(),
        )
        .unwrap()
            - 500;
        let found = standby.connect("postgres").query_one(recent, &[&since]);
        found.is_ok_and(|row| row.get::<_, i64>(0) > 0)
    });
    eprintln!("booked again {:?} after the promotion", promoted.elapsed());
    thread::sleep(Duration::from_secs(1));
    let served = crowd.end();
    assert_booked(served, &mut standby.connect("postgres"), &desk);
}
