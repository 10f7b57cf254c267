//! Decompresses a copy of an answer for the meter, when a backend compresses though it was asked not to.

use std::io::{self, Write};

use flate2::write::{MultiGzDecoder, ZlibDecoder};

use super::Encoding;

/// Feeds decoded bytes to a sink as they come. The sink must bound what it keeps: a small answer may decode to a huge one.
pub(super) enum Decoder<W: Write> {
    Identity(W),
    Gzip(Box<MultiGzDecoder<W>>),
    Deflate(Box<ZlibDecoder<W>>),
    /// An encoding that cannot be read: nothing reaches the sink.
    Unknown(W),
}

impl<W: Write> Decoder<W> {
    pub(super) fn new(encoding: Encoding, sink: W) -> Self {
        match encoding {
            Encoding::Identity => Self::Identity(sink),
            Encoding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Encoding::Deflate => Self::Deflate(Box::new(ZlibDecoder::new(sink))),
            Encoding::Unknown => Self::Unknown(sink),
        }
    }

    pub(super) fn sink(&self) -> &W {
        match self {
            Self::Identity(sink) | Self::Unknown(sink) => sink,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Deflate(decoder) => decoder.get_ref(),
        }
    }

    pub(super) fn sink_mut(&mut self) -> &mut W {
        match self {
            Self::Identity(sink) | Self::Unknown(sink) => sink,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        }
    }

    /// Decodes as far as the bytes reach, so that an event is seen when it passes and not with the next one.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Identity(sink) => sink.write_all(bytes),
            Self::Gzip(decoder) => {
                decoder.write_all(bytes)?;
                decoder.flush()
            }
            Self::Deflate(decoder) => {
                decoder.write_all(bytes)?;
                decoder.flush()
            }
            Self::Unknown(_) => Ok(()),
        }
    }
}
