//! The body of an answer, written as its script says.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use tokio::{sync::mpsc, time::sleep};

use super::{
    script::Script,
    stats::{Served, Usage},
};

/// What is written at once.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// The final usage, if this reports it.
    pub(super) usage: Option<Usage>,
}

/// A body that follows a script. Only one piece waits at a time, so that each is a write of its own:
/// the server asks for the next one, has to wait, and flushes what it has.
pub(super) struct Playing {
    pieces: mpsc::Receiver<io::Result<Piece>>,
    size: BodySize,
    served: Served,
}

/// Makes the body of pieces.
pub(super) fn play(pieces: Vec<Piece>, size: BodySize, script: &Script, served: Served) -> Playing {
    let (sender, receiver) = mpsc::channel(1);
    let gap = Duration::from_millis(script.event_delay_ms);
    let breaks = script.break_after.is_some();
    let broken = || {
        Err(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "x_backend.break_after",
        ))
    };
    if breaks && pieces.is_empty() {
        // The server drops the head too if its first look at the body finds an error.
        let _ = sender.try_send(broken());
    }
    actix_web::rt::spawn(async move {
        let end = breaks.then(broken);
        for piece in pieces.into_iter().map(Ok).chain(end) {
            if !gap.is_zero() {
                sleep(gap).await;
            }
            if sender.send(piece).await.is_err() {
                // The client is gone.
                break;
            }
        }
    });
    Playing {
        pieces: receiver,
        size,
        served,
    }
}

impl MessageBody for Playing {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        self.pieces.poll_recv(cx).map_ok(|piece| {
            if let Some(usage) = piece.usage {
                self.served.count(0, usage);
            }
            piece.bytes
        })
    }
}
