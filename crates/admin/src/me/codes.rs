//! Codes of a second factor: six digits that follow from a secret and the time, as RFC 6238 has it (SHA-1, 30 seconds), and the form in
//! which authenticators take the secret.

use ring::hmac;

/// Seconds that a code is for.
const STEP: i64 = 30;

/// The step that a moment (in milliseconds) is in.
pub(super) fn step(now: i64) -> i64 {
    now.div_euclid(1000).div_euclid(STEP)
}

/// The code of a step.
pub(super) fn code(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let hash = tag.as_ref();
    let at = usize::from(hash.last().copied().unwrap_or(0) & 15);
    let four = hash.get(at..at + 4).and_then(|four| four.try_into().ok());
    let number = u32::from_be_bytes(four.unwrap_or_default());
    (number & 0x7fff_ffff) % 1_000_000
}

/// The step whose code this is, of the present one and its neighbours: clocks go wrong.
pub(super) fn step_of(secret: &[u8], given: &str, now: i64) -> Option<i64> {
    let given: String = given.chars().filter(|c| !c.is_whitespace()).collect();
    if given.len() != 6 || !given.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let given: u32 = given.parse().ok()?;
    let present = step(now);
    [present - 1, present, present + 1]
        .into_iter()
        .rfind(|step| code(secret, *step) == given)
}

/// Base 32 (RFC 4648), without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits = |place: usize| {
        let bit = |bit: usize| {
            let byte = bytes.get(bit / 8).copied().unwrap_or(0);
            usize::from(byte >> (7 - bit % 8) & 1)
        };
        (0..5).fold(0, |number, next| number << 1 | bit(place * 5 + next))
    };
    (0..(bytes.len() * 8).div_ceil(5))
        .map(|place| char::from(LETTERS.get(bits(place)).copied().unwrap_or(b'A')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (seconds, expect) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let now = seconds * 1000;
            assert_eq!(step_of(secret, expect, now), Some(step(now)), "{seconds}");
            assert_eq!(step_of(secret, expect, now + 30_000), Some(step(now)));
            assert_eq!(step_of(secret, expect, now + 90_000), None);
        }
        for bad in ["", "28708", "2870822", "28708x"] {
            assert_eq!(step_of(secret, bad, 59_000), None, "{bad}");
        }
        assert_eq!(step_of(secret, "287 082", 59_000), Some(1));
    }

    #[test]
    fn secrets_are_written_in_base_32() {
        for (text, expect) in [
            ("", ""),
            ("f", "MY"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(text.as_bytes()), expect);
        }
    }
}
