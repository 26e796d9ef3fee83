//! An authenticator: the code of this moment for a secret (RFC 6238, SHA-1, 30 seconds, six digits).

use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac;

/// `secret`: in base 32, as authenticators are told.
pub fn totp(secret: &str) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    code(&decoded(secret), since.unwrap_or_default().as_secs() / 30)
}

fn code(secret: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag.last().copied().unwrap_or(0) & 15);
    let four = tag.iter().skip(at).take(4);
    let number = four.fold(0, |number, byte| number << 8 | u32::from(*byte));
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let five = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => continue,
        };
        bits = bits << 5 | u32::from(five);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, of which the last six digits.
        let secret = decoded("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(secret, b"12345678901234567890");
        assert_eq!(code(&secret, 59 / 30), "287082");
        assert_eq!(code(&secret, 1_111_111_109 / 30), "081804");
    }
}
