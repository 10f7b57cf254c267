//! What a picture counts, by OpenAI's rule for tiles (Images and vision guide, "Calculating costs"), and how large one is that
//! stands in a request as base64: its header says so.

/// At low detail, whatever its size; also what a picture counts before its tiles.
const BASE_TOKENS: u64 = 85;
const TILE_TOKENS: u64 = 170;
const TILE_PIXELS: f64 = 512.0;
/// A picture is shrunk to fit into a square of this, and then until its shorter side has the second.
const MAX_SIDE: f64 = 2048.0;
const MAX_SHORT_SIDE: f64 = 768.0;
/// Of a picture whose size nobody knows: that of OpenAI's example, 1024 by 1024.
const UNKNOWN_SIZE: Size = (1024, 1024);
/// A JPEG may have a thumbnail and a colour profile before its size.
const MAX_HEADER_BYTES: usize = 128 * 1024;
/// Enough for the size in all the other formats.
const SHORT_HEADER_BYTES: usize = 48;

/// Width and height.
type Size = (u32, u32);

/// A picture in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picture {
    size: Option<Size>,
    pub(super) is_low: bool,
}

impl Picture {
    /// Of an address, which may hold the picture itself.
    pub(super) fn of_url(url: &str) -> Self {
        let data = url
            .strip_prefix("data:")
            .and_then(|rest| rest.split_once(','));
        Self {
            size: data.and_then(|(_, base64)| size_of(base64)),
            is_low: false,
        }
    }

    /// Of bare base64; `None` where it is no picture of a known format.
    pub(super) fn of_base64(base64: &str) -> Option<Self> {
        size_of(base64).map(|size| Self {
            size: Some(size),
            is_low: false,
        })
    }

    pub(super) fn tokens(self) -> u64 {
        if self.is_low {
            return BASE_TOKENS;
        }
        let (width, height) = self.size.unwrap_or(UNKNOWN_SIZE);
        let long = f64::from(width.max(height)).max(1.0);
        let short = f64::from(width.min(height)).max(1.0);
        let fitted = (MAX_SIDE / long).min(1.0);
        let scale = fitted * (MAX_SHORT_SIDE / (short * fitted)).min(1.0);
        let (long, short) = (long * scale, short * scale);
        let tiles = (long / TILE_PIXELS).ceil() * (short / TILE_PIXELS).ceil();
        // At most 4 by 2.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let tiles = tiles.max(1.0) as u64;
        BASE_TOKENS + TILE_TOKENS * tiles
    }
}

/// Whether a string is what a program put there, and no words: at least a line of base64.
pub(super) fn is_base64(text: &str) -> bool {
    const LOOKED_AT: usize = 256;
    let text = match text.split_once(";base64,") {
        Some((head, data)) if head.starts_with("data:") => data,
        _ => text,
    };
    text.len() >= 64
        && text
            .bytes()
            .take(LOOKED_AT)
            .all(|byte| digit(byte).is_some())
}

fn size_of(base64: &str) -> Option<Size> {
    let header = decoded(base64, SHORT_HEADER_BYTES);
    if header.starts_with(b"\xff\xd8") {
        return jpeg_size(&decoded(base64, MAX_HEADER_BYTES));
    }
    let little = |at: usize, length: usize| Some(number(header.get(at..at + length)?.iter().rev()));
    let big = |at: usize| Some(number(header.get(at..at + 4)?.iter()));
    match header.as_slice() {
        // PNG specification, 11.2.2.
        [0x89, b'P', b'N', b'G', ..] => Some((big(16)?, big(20)?)),
        [b'G', b'I', b'F', b'8', ..] => Some((little(6, 2)?, little(8, 2)?)),
        // RFC 9649 section 2.
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => match header.get(12..16)? {
            b"VP8X" => Some((little(24, 3)? + 1, little(27, 3)? + 1)),
            b"VP8L" => {
                let bits = little(21, 4)?;
                Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
            }
            b"VP8 " => Some((little(26, 2)? & 0x3fff, little(28, 2)? & 0x3fff)),
            _ => None,
        },
        _ => None,
    }
}

/// From the frame header (ITU T.81, B.2.2), behind however many segments.
fn jpeg_size(jpeg: &[u8]) -> Option<Size> {
    let mut at = 2;
    loop {
        let &[0xff, marker, high, low] = jpeg.get(at..at + 4)? else {
            return None;
        };
        let is_frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if is_frame {
            let side = |at: usize| Some(number(jpeg.get(at..at + 2)?.iter()));
            return Some((side(at + 7)?, side(at + 5)?));
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
}

fn number<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    bytes.fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// The first bytes that base64 stands for, as far as it is any (RFC 4648).
fn decoded(base64: &str, limit: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in base64.bytes().map_while(digit) {
        bits = (bits << 6 | u32::from(digit)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
            if bytes.len() >= limit {
                break;
            }
        }
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in bytes.chunks(3) {
            let bits = three
                .iter()
                .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
                << (8 * (3 - three.len()));
            for place in 0..=three.len() {
                text.push(char::from(DIGITS[bits >> (18 - 6 * place) & 63]));
            }
        }
        text
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend(width.to_be_bytes());
        png.extend(height.to_be_bytes());
        png
    }

    #[test]
    fn the_figures_of_openai_s_guide() {
        for (size, is_low, tokens) in [
            (Some((1024, 1024)), false, 765),
            (Some((2048, 4096)), false, 1105),
            (Some((4096, 8192)), true, 85),
            (Some((512, 512)), false, 255),
            (Some((1, 1)), false, 255),
            (Some((0, 0)), false, 255),
            (Some((u32::MAX, 1)), false, 85 + 4 * 170),
            (None, false, 765),
        ] {
            assert_eq!(Picture { size, is_low }.tokens(), tokens, "{size:?}");
        }
    }

    #[test]
    fn the_header_of_each_format_tells_the_size() {
        let mut webp = b"RIFF....WEBPVP8X....\0\0\0\0".to_vec();
        webp.extend([0x1f, 0x03, 0, 0x57, 0x02, 0]);
        let lossless = b"RIFF....WEBPVP8L....\x2f\x1f\xc3\x95\x00";
        let lossy = b"RIFF....WEBPVP8 ....\0\0\0\x9d\x01\x2a\x20\x03\x58\x02";
        let jpeg = [
            b"\xff\xd8\xff\xe0\0\x06JFIF".as_slice(),
            b"\xff\xe1\x27\x12",
            &[b'x'; 10_000],
            b"\xff\xc2\0\x11\x08\x02\x58\x03\x20",
        ]
        .concat();
        for image in [
            png(800, 600),
            b"GIF89a\x20\x03\x58\x02".to_vec(),
            webp,
            lossless.to_vec(),
            lossy.to_vec(),
            jpeg,
        ] {
            assert_eq!(size_of(&base64(&image)), Some((800, 600)), "{image:?}");
        }
    }

    #[test]
    fn what_is_an_address_or_no_picture_has_the_size_of_the_example() {
        for url in [
            "https://example.com/a.png",
            "data:image/png;base64,",
            "data:application/pdf;base64,JVBERi0xLjQK",
            "data:",
            "",
        ] {
            assert_eq!(Picture::of_url(url).tokens(), 765, "{url}");
        }
        let url = format!("data:image/png;base64,{}", base64(&png(512, 512)));
        assert_eq!(Picture::of_url(&url).tokens(), 255);
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_size_or_none(head in 0usize..7, bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let heads: [&[u8]; 7] = [b"", b"\x89PNG", b"GIF8", b"RIFF....WEBPVP8X", b"RIFF....WEBPVP8L", b"RIFF....WEBPVP8 ", b"\xff\xd8\xff"];
            let base64 = base64(&[heads[head], &bytes].concat());
            let _ = Picture::of_base64(&base64).map(Picture::tokens);
            let _ = size_of(&String::from_utf8_lossy(&bytes));
        }
    }
}
