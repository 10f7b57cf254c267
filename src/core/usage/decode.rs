//! Decompresses a copy of an answer for the meter, when a backend compresses though it was asked
//! not to.

use std::io::{self, Read, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;

/// Length of the pieces in which Brotli decodes.
const BROTLI_BUFFER_BYTES: usize = 4 * 1024;
/// The longest decoded answer, and how much longer it may be for each encoded byte. Repeated text
/// comes near neither; a few hundred bytes made for it decode to a gigabyte, for seconds.
const MAX_DECODED_BYTES: u64 = 4 * 1024 * 1024;
const MAX_DECODED_PER_BYTE: u64 = 100;
/// The longest encoded answer in zstd. The decoder takes complete blocks, so its input is kept and
/// decoded at the end.
const MAX_ZSTD_BYTES: usize = 1024 * 1024;
/// The longest decoded answer in zstd.
const MAX_ZSTD_DECODED_BYTES: u64 = 64 * 1024 * 1024;

/// `Content-Encoding` of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    Unknown,
}

/// Feeds decoded bytes to a sink as they come. The sink must bound what it keeps: a small answer
/// may decode to a long one.
pub(super) enum Decoder<W: Write> {
    Identity(W),
    Gzip(Box<MultiGzDecoder<BoundedSink<W>>>),
    Deflate(Box<ZlibDecoder<BoundedSink<W>>>),
    Brotli(Box<DecompressorWriter<BoundedSink<W>>>),
    Zstd {
        sink: W,
        encoded: Vec<u8>,
    },
    /// An encoding that cannot be read: nothing reaches the sink.
    Unknown(W),
}

/// A sink that fails if an answer decodes to more than it may.
pub(super) struct BoundedSink<W> {
    sink: W,
    left_bytes: u64,
}

impl<W: Write> Decoder<W> {
    pub(super) fn new(encoding: Encoding, sink: W) -> Self {
        let bounded = |sink| BoundedSink {
            sink,
            left_bytes: MAX_DECODED_BYTES,
        };
        match encoding {
            Encoding::Identity => Self::Identity(sink),
            Encoding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(bounded(sink)))),
            Encoding::Deflate => Self::Deflate(Box::new(ZlibDecoder::new(bounded(sink)))),
            Encoding::Brotli => Self::Brotli(Box::new(DecompressorWriter::new(
                bounded(sink),
                BROTLI_BUFFER_BYTES,
            ))),
            Encoding::Zstd => Self::Zstd {
                sink,
                encoded: Vec::new(),
            },
            Encoding::Unknown => Self::Unknown(sink),
        }
    }

    pub(super) fn sink(&self) -> &W {
        match self {
            Self::Identity(sink) | Self::Unknown(sink) | Self::Zstd { sink, .. } => sink,
            Self::Gzip(decoder) => &decoder.get_ref().sink,
            Self::Deflate(decoder) => &decoder.get_ref().sink,
            Self::Brotli(decoder) => &decoder.get_ref().sink,
        }
    }

    pub(super) fn sink_mut(&mut self) -> &mut W {
        match self {
            Self::Identity(sink) | Self::Unknown(sink) | Self::Zstd { sink, .. } => sink,
            Self::Gzip(decoder) => &mut decoder.get_mut().sink,
            Self::Deflate(decoder) => &mut decoder.get_mut().sink,
            Self::Brotli(decoder) => &mut decoder.get_mut().sink,
        }
    }

    /// Returns whether the answer is decoded only when it has ended.
    pub(super) fn decodes_at_end(&self) -> bool {
        matches!(self, Self::Zstd { .. })
    }

    /// Decodes as far as the bytes reach, so that an event is seen when it passes and not with the
    /// next one.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Identity(sink) => sink.write_all(bytes),
            Self::Gzip(decoder) => {
                decoder.get_mut().allow(bytes);
                decoder.write_all(bytes)?;
                decoder.flush()
            }
            Self::Deflate(decoder) => {
                decoder.get_mut().allow(bytes);
                decoder.write_all(bytes)?;
                decoder.flush()
            }
            Self::Brotli(decoder) => {
                decoder.get_mut().allow(bytes);
                decoder.write_all(bytes)
            }
            Self::Zstd { encoded, .. } => {
                if encoded.len() + bytes.len() > MAX_ZSTD_BYTES {
                    *encoded = Vec::new();
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                encoded.extend_from_slice(bytes);
                Ok(())
            }
            Self::Unknown(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Decodes the rest when the encoded bytes have ended.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let Self::Zstd { sink, encoded } = self else {
            return Ok(());
        };
        let decoder = StreamingDecoder::new(encoded.as_slice()).map_err(io::Error::other)?;
        io::copy(&mut decoder.take(MAX_ZSTD_DECODED_BYTES), sink).map(drop)
    }
}

impl<W> BoundedSink<W> {
    fn allow(&mut self, encoded: &[u8]) {
        let more = (encoded.len() as u64).saturating_mul(MAX_DECODED_PER_BYTE);
        self.left_bytes = self.left_bytes.saturating_add(more);
    }
}

impl<W: Write> Write for BoundedSink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left_bytes.checked_sub(bytes.len() as u64);
        self.left_bytes = left.ok_or(io::ErrorKind::FileTooLarge)?;
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
