//! Answers in an encoding that was not asked for: the client gets what came, the meter reads what
//! it can.

use std::io::Write;

use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};

use crate::usage::{AnswerText, Counts, Encoding, Meter, Templates, UsageOnlyEvents};

/// Promises that any bytes in any encoding pass as they came, and that a compressed answer is read
/// like the same one uncompressed.
pub fn decode(bytes: &[u8]) {
    for encoding in [
        Encoding::Gzip,
        Encoding::Deflate,
        Encoding::Brotli,
        Encoding::Zstd,
        Encoding::Unknown,
    ] {
        for shape in [Shape::Json, Shape::Events] {
            let cut = bytes.len() / 3;
            let (_, out) = read(shape, encoding, &[&bytes[..cut], &bytes[cut..]]);
            assert!(out == bytes, "{encoding:?} changed the bytes");
        }
    }
    for shape in [Shape::Json, Shape::Events] {
        let (expected, _) = read(shape, Encoding::Identity, &[bytes]);
        for (encoding, encoded) in [
            (Encoding::Gzip, gzip(bytes)),
            (Encoding::Deflate, deflate(bytes)),
        ] {
            for read_bytes in [1, 7, encoded.len()] {
                let reads: Vec<&[u8]> = encoded.chunks(read_bytes).collect();
                let (said, out) = read(shape, encoding, &reads);
                assert_eq!(said, expected, "{encoding:?}");
                assert!(out == encoded, "{encoding:?} changed the bytes");
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Shape {
    Json,
    Events,
}

type Said = (Counts, Option<String>, AnswerText, bool);

fn read(shape: Shape, encoding: Encoding, reads: &[&[u8]]) -> (Said, Vec<u8>) {
    let mut meter = match shape {
        Shape::Json => Meter::json(encoding, None),
        Shape::Events => Meter::events(UsageOnlyEvents::TakeOut, encoding, &Templates::default()),
    };
    let mut out = Vec::new();
    for read in reads {
        meter.push(Bytes::copy_from_slice(read), &mut |bytes| {
            out.extend_from_slice(&bytes);
        });
    }
    meter.finish(&mut |bytes| out.extend_from_slice(&bytes));
    let generated = meter.take_generated();
    let reading = meter.reading();
    let said = (
        reading.counts().clone(),
        reading.model.clone(),
        generated,
        reading.done,
    );
    (said, out)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("writing to a vector");
    encoder.finish().expect("writing to a vector")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("writing to a vector");
    encoder.finish().expect("writing to a vector")
}
