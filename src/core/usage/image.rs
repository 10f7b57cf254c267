//! Tokens of a picture, by OpenAI's rule for tiles (Images and vision guide, "Calculating costs").
//! The size of a picture that is in the request as base64 is read from its header.

use data_encoding::BASE64_NOPAD;

/// Tokens of a picture at low detail, whatever its size; also the tokens that are added to those of
/// its tiles.
const BASE_TOKENS: u64 = 85;
const TILE_TOKENS: u64 = 170;
const TILE_PIXELS: f64 = 512.0;
/// A picture is shrunk to fit into a square of this, and then until its shorter side has the
/// second.
const MAX_SIDE: f64 = 2048.0;
const MAX_SHORT_SIDE: f64 = 768.0;
/// The size that is assumed for a picture of unknown size: that of OpenAI's example.
const UNKNOWN_SIZE: Size = (1024, 1024);
/// Length of the beginning of a JPEG that is read, because a thumbnail and a colour profile may
/// stand before the size.
const MAX_HEADER_BYTES: usize = 128 * 1024;
/// Length of the beginning that contains the size in all the other formats.
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
    /// Returns the picture at an address, which may be a `data:` URL with the picture itself.
    pub(super) fn of_url(url: &str) -> Self {
        let data = url
            .strip_prefix("data:")
            .and_then(|rest| rest.split_once(','));
        Self {
            size: data.and_then(|(_, base64)| size_of(base64)),
            is_low: false,
        }
    }

    /// Returns the picture in bare base64; `None` if it has no known format.
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

/// Returns whether a string is base64 and no text: at least 64 characters, perhaps in a `data:`
/// URL.
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
            .all(|byte| standard_digit(byte).is_some())
}

/// Reads the size out of a picture's header. The crate reads at most the bytes that it is given and
/// allocates nothing, so a hostile header costs no more than its length.
fn size_of(base64: &str) -> Option<Size> {
    let mut header = decoded(base64, SHORT_HEADER_BYTES);
    if header.starts_with(b"\xff\xd8") {
        header = decoded(base64, MAX_HEADER_BYTES);
    }
    let size = imagesize::blob_size(&header).ok()?;
    Some((size.width.try_into().ok()?, size.height.try_into().ok()?))
}

/// Decodes the first bytes of base64 in either alphabet (RFC 4648), up to the first character that
/// belongs to none; a byte or two more than the limit at most.
fn decoded(base64: &str, limit_bytes: usize) -> Vec<u8> {
    let digits = base64.bytes().map_while(standard_digit);
    let mut digits: Vec<u8> = digits.take(limit_bytes.div_ceil(3) * 4).collect();
    if digits.len() % 4 == 1 {
        // Six bits are no byte.
        digits.pop();
    }
    BASE64_NOPAD.decode(&digits).unwrap_or_default()
}

/// Translates a digit of base64 into the standard alphabet; `None` for any other character.
fn standard_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => Some(byte),
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn base64(bytes: &[u8]) -> String {
        data_encoding::BASE64.encode(bytes)
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
    fn the_header_of_each_format_has_the_size() {
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
            b"GIF89a\x20\x03\x58\x02\xf7\0\0".to_vec(),
            webp,
            lossless.to_vec(),
            lossy.to_vec(),
            jpeg,
        ] {
            assert_eq!(size_of(&base64(&image)), Some((800, 600)), "{image:?}");
        }
    }

    #[test]
    fn addresses_and_non_pictures_get_the_default_size() {
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

    #[test]
    fn base64_is_decoded_as_far_as_it_is_valid() {
        for (base64, expected) in [
            ("AAEC_-8=", &b"\0\x01\x02\xff\xef"[..]),
            ("AAEC/+8", b"\0\x01\x02\xff\xef"),
            ("AAECA", b"\0\x01\x02"),
            ("AAEC AAEC", b"\0\x01\x02"),
            ("", b""),
        ] {
            assert_eq!(decoded(base64, 100), expected, "{base64}");
        }
        assert_eq!(decoded(&"A".repeat(1000), 48).len(), 48);
    }

    #[test]
    fn a_header_that_is_cut_off_or_never_ends_has_no_size() {
        let empty_segments = [&b"\xff\xd8"[..], &b"\xff\xe0\0\0".repeat(100_000)].concat();
        for header in [
            &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0"[..],
            b"\xff\xd8\xff\xe1\xff\xff",
            &empty_segments,
        ] {
            assert_eq!(size_of(&base64(header)), None);
        }
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
