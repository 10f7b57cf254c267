//! A network between the ledger and its database: a relay on loopback that passes on each byte a
//! fixed time after it came, both ways. It stands in for netem, which many kernels lack, and limits
//! no bandwidth. Its threads end with the connections, the one that accepts with the process.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

const CHUNK_BYTES: usize = 64 << 10;

/// What came, and when it is due.
type Chunk = (Instant, Vec<u8>);

/// Starts the relay and returns its address.
pub fn start(server: SocketAddr, each_way: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // The client sees a connection that ends.
            let _ = connect(&client, server, each_way);
        }
    });
    Ok(address)
}

fn connect(client: &TcpStream, server: SocketAddr, each_way: Duration) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    for (from, to) in [(client, &server), (&server, client)] {
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || take(from, &sender, each_way));
        thread::spawn(move || pass_on(to, &receiver));
    }
    Ok(())
}

fn take(mut from: TcpStream, chunks: &Sender<Chunk>, each_way: Duration) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let chunk = (Instant::now() + each_way, buffer[..length].to_vec());
        if chunks.send(chunk).is_err() {
            return;
        }
    }
}

fn pass_on(mut to: TcpStream, chunks: &Receiver<Chunk>) {
    for (due, bytes) in chunks {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
