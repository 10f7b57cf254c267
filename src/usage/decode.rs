//! Decompresses a copy of an answer for the meter, when a backend compresses though it was asked not to.

use std::io::{self, Read, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;

use super::Encoding;

/// What Brotli decodes at a time.
const BROTLI_BUFFER_BYTES: usize = 4 * 1024;
/// zstd's decoder takes whole blocks: its input is kept, up to this, and decoded at the end.
const MAX_ZSTD_BYTES: usize = 1024 * 1024;
/// And no further than this.
const MAX_ZSTD_DECODED_BYTES: u64 = 64 * 1024 * 1024;

/// Feeds decoded bytes to a sink as they come. The sink must bound what it keeps: a small answer may decode to a huge one.
pub(super) enum Decoder<W: Write> {
    Identity(W),
    Gzip(Box<MultiGzDecoder<W>>),
    Deflate(Box<ZlibDecoder<W>>),
    Brotli(Box<DecompressorWriter<W>>),
    Zstd {
        sink: W,
        encoded: Vec<u8>,
    },
    /// An encoding that cannot be read: nothing reaches the sink.
    Unknown(W),
}

impl<W: Write> Decoder<W> {
    pub(super) fn new(encoding: Encoding, sink: W) -> Self {
        match encoding {
            Encoding::Identity => Self::Identity(sink),
            Encoding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Encoding::Deflate => Self::Deflate(Box::new(ZlibDecoder::new(sink))),
            Encoding::Brotli => {
                Self::Brotli(Box::new(DecompressorWriter::new(sink, BROTLI_BUFFER_BYTES)))
            }
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
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Deflate(decoder) => decoder.get_ref(),
            Self::Brotli(decoder) => decoder.get_ref(),
        }
    }

    pub(super) fn sink_mut(&mut self) -> &mut W {
        match self {
            Self::Identity(sink) | Self::Unknown(sink) | Self::Zstd { sink, .. } => sink,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
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
            Self::Brotli(decoder) => decoder.write_all(bytes),
            Self::Zstd { encoded, .. } => {
                if encoded.len() + bytes.len() > MAX_ZSTD_BYTES {
                    *encoded = Vec::new();
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                encoded.extend_from_slice(bytes);
                Ok(())
            }
            Self::Unknown(_) => Ok(()),
        }
    }

    /// The encoded bytes have ended.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let Self::Zstd { sink, encoded } = self else {
            return Ok(());
        };
        let decoder = StreamingDecoder::new(encoded.as_slice()).map_err(io::Error::other)?;
        io::copy(&mut decoder.take(MAX_ZSTD_DECODED_BYTES), sink).map(drop)
    }
}
