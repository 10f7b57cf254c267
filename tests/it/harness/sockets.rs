//! The kernel's view of the proxy's side of a connection. It is the only way to see from outside that the proxy has read a request
//! or noticed a disconnect. Linux only; elsewhere the tests pause instead.

use std::time::Duration;

use super::{Connection, PATIENCE, Proxy, wait_until};

/// Waits until the proxy has taken everything out of the connection's receive queue, and lets it act on that.
#[track_caller]
pub fn wait_until_proxy_read_all_of(connection: &Connection, proxy: &Proxy) {
    let read = |queue: u64| queue == 0;
    wait_until("the proxy reads the request", PATIENCE, || {
        receive_queue(connection.port(), proxy).is_none_or(read)
    });
    // Between the read and the request's place in line lie microseconds that nothing outside can see.
    std::thread::sleep(Duration::from_millis(20));
}

/// Waits until the proxy has closed its side of a connection that its client closed.
#[track_caller]
pub fn wait_until_proxy_let_go_of(client_port: u16, proxy: &Proxy) {
    wait_until("the proxy notices that its client left", PATIENCE, || {
        receive_queue(client_port, proxy).is_none()
    });
    std::thread::sleep(Duration::from_millis(if cfg!(target_os = "linux") {
        20
    } else {
        300
    }));
}

/// The bytes that wait unread on the proxy's side; `None` when the proxy holds no such connection.
fn receive_queue(client_port: u16, proxy: &Proxy) -> Option<u64> {
    // One socket a line: "sl local_address rem_address st tx_queue:rx_queue …", addresses as hex IP:PORT.
    // States 01 (established) and 08 (its client has closed, it has not) are those in which the proxy holds it.
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let ends_with_port = |address: &str, port: u16| address.ends_with(&format!(":{port:04X}"));
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, state, queues, ..] = fields[..] else {
            return None;
        };
        let proxy_port = proxy.address().port();
        let ours = ends_with_port(local, proxy_port) && ends_with_port(remote, client_port);
        let held = state == "01" || state == "08";
        let waiting = u64::from_str_radix(queues.split_once(':')?.1, 16).ok()?;
        (ours && held).then_some(waiting)
    })
}
