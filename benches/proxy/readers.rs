//! Two hundred who read a long answer slowly: what a proxy must keep of it is its own choice, for
//! the backend sends as fast as it is let.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::cases::request_for_bytes;
use crate::targets::Target;

const READERS: usize = 200;
const ANSWER_BYTES: u64 = 50_000_000;
/// Each of them, in a second.
const PACE_BYTES: usize = 64 << 10;
const READ_FOR: Duration = Duration::from_secs(4);
/// The kernel's buffers would take megabytes of an answer off the proxy's hands.
const RECEIVE_BUFFER_BYTES: u32 = 64 << 10;
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How long a proxy may take to book those who left.
const BOOKED_WITHIN: Duration = Duration::from_secs(10);

/// By how many bytes the target grew at most while they read, having answered one request before.
/// Its readers are counted as answered: each was sent a head.
pub fn growth_bytes(target: &mut Target) -> io::Result<u64> {
    let before = target.memory_bytes()?;
    let (address, request) = (target.address, request_for_bytes(target, ANSWER_BYTES));
    let readers = thread::spawn(move || read_slowly(address, &request));
    let mut most = before;
    while !readers.is_finished() {
        most = most.max(target.memory_bytes()?);
        thread::sleep(SAMPLE_EVERY);
    }
    readers
        .join()
        .map_err(|_| io::Error::other("the readers panicked"))??;
    target.answered += READERS as u64;
    let left = Instant::now();
    while target
        .rows_in_ledger()?
        .is_some_and(|rows| rows < target.answered)
        && left.elapsed() < BOOKED_WITHIN
    {
        thread::sleep(SAMPLE_EVERY);
    }
    Ok(most - before)
}

/// All of them at once, on one thread; then all hang up.
fn read_slowly(address: SocketAddr, request: &[u8]) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..READERS {
            let request = request.to_vec();
            readers.spawn(read_one(address, request));
        }
        while let Some(reader) = readers.join_next().await {
            reader.map_err(io::Error::other)??;
        }
        Ok(())
    })
}

async fn read_one(address: SocketAddr, request: Vec<u8>) -> io::Result<()> {
    const STEPS_A_SECOND: u32 = 10;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    let mut stream = socket.connect(address).await?;
    stream.write_all(&request).await?;
    let mut piece = vec![0; PACE_BYTES / STEPS_A_SECOND as usize];
    read_piece(&mut stream, &mut piece).await?;
    if !piece.starts_with(b"HTTP/1.1 200 ") {
        let text = String::from_utf8_lossy(&piece).into_owned();
        return Err(io::Error::other(format!("not a 200: {text}")));
    }
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / STEPS_A_SECOND);
    let begun = Instant::now();
    while begun.elapsed() < READ_FOR {
        ticks.tick().await;
        read_piece(&mut stream, &mut piece).await?;
    }
    Ok(())
}

async fn read_piece(stream: &mut TcpStream, piece: &mut [u8]) -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(30);
    tokio::time::timeout(PATIENCE, stream.read_exact(piece)).await??;
    Ok(())
}
