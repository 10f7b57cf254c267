//! How long a certificate is valid, read from its DER encoding (RFC 5280 section 4.1).

use jiff::Timestamp;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Returns the end of a certificate's validity in Unix milliseconds, or `None` if it cannot be read.
#[must_use]
pub(super) fn end_ms(der: &[u8]) -> Option<i64> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    // The version is missing in certificates of the first one.
    if let Some((_, behind)) = element(rest, VERSION) {
        rest = behind;
    }
    // Serial number, algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = element(rest, tag)?.1;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_, end) = time(validity)?;
    Some(time(end)?.0)
}

/// Returns the content of an element and what comes behind it, if it has this tag.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let length = digits.iter().try_fold(0_usize, |length, digit| {
            length.checked_mul(256)?.checked_add(usize::from(*digit))
        })?;
        (length, rest)
    };
    rest.split_at_checked(length)
}

/// Returns a time in Unix milliseconds and what comes behind it: `YYMMDDHHMMSSZ`, where 50 and above is
/// of the last century, or `YYYYMMDDHHMMSSZ`.
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (text, rest, century) = if let Some((text, rest)) = element(bytes, UTC_TIME) {
        let is_old = *text.first()? >= b'5';
        (text, rest, if is_old { "19" } else { "20" })
    } else {
        let (text, rest) = element(bytes, GENERALIZED_TIME)?;
        (text, rest, "")
    };
    let digits = format!("{century}{}", std::str::from_utf8(text).ok()?);
    let part = |from: usize, to: usize| digits.get(from..to);
    let (date, clock) = (
        format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?),
        format!("{}:{}:{}", part(8, 10)?, part(10, 12)?, part(12, 14)?),
    );
    let time: Timestamp = format!("{date}T{clock}Z").parse().ok()?;
    Some((time.as_millisecond(), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls_pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let pem = include_bytes!("../../../tests/it/connect/server.pem");
        let der = CertificateDer::from_pem_slice(pem).unwrap();
        let end: Timestamp = "2120-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(end_ms(&der), Some(end.as_millisecond()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            cut in 0_usize..700,
            place in 0_usize..700,
            value: u8,
        ) {
            let _ = end_ms(&bytes);
            let pem = include_bytes!("../../../tests/it/connect/server.pem");
            let mut der = CertificateDer::from_pem_slice(pem).unwrap().to_vec();
            let place = place.min(der.len() - 1);
            der[place] = value;
            let _ = end_ms(&der);
            let _ = end_ms(&der[..cut.min(der.len())]);
        }
    }
}
