//! A record in a file: a frame that is found again behind damage, and known to be whole.
//!
//! ```text
//! marker  3 bytes   f5 fa f5, which no UTF-8 and so no payload contains
//! kind    1 byte    D draft, F final
//! length  4 bytes   of the payload, little-endian
//! check   4 bytes   CRC-32 of everything else
//! id     16 bytes   of the request, big-endian: drafts find their finals without a look at the payload
//! payload           JSON
//! ```

use lingate_metering::Id;

const MARKER: [u8; 3] = [0xf5, 0xfa, 0xf5];
pub(crate) const HEAD: usize = 28;
/// Of a payload. A record is a few hundred bytes.
pub(crate) const LONGEST: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Draft,
    Final,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) id: Id,
    pub(crate) payload: &'a [u8],
}

impl Frame<'_> {
    pub(crate) fn length(&self) -> usize {
        HEAD + self.payload.len()
    }
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Whole(Frame<'a>),
    /// That many bytes are no frame.
    Damaged(usize),
    /// The last frame is not there to its end: the writer was stopped in the middle of it.
    Torn,
    /// More bytes are needed to tell.
    More,
}

/// Makes room for the head; the payload is written behind it, then [`seal`] is called.
pub(crate) fn begin(frame: &mut Vec<u8>) {
    frame.clear();
    frame.resize(HEAD, 0);
}

/// Writes the head before a payload that is complete.
pub(crate) fn seal(frame: &mut [u8], kind: Kind, id: Id) {
    let length = frame.len().saturating_sub(HEAD);
    // Cannot be cut off: whoever appends refuses what is longer than `LONGEST`.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let kind = match kind {
        Kind::Draft => b'D',
        Kind::Final => b'F',
    };
    frame[..3].copy_from_slice(&MARKER);
    frame[3] = kind;
    frame[4..8].copy_from_slice(&length.to_le_bytes());
    frame[12..HEAD].copy_from_slice(&id.as_u128().to_be_bytes());
    let check = check(frame);
    frame[8..12].copy_from_slice(&check.to_le_bytes());
}

/// Reads what stands at the beginning of `bytes`, which are not empty. `is_end`: nothing follows them.
pub(crate) fn read(bytes: &[u8], is_end: bool) -> Found<'_> {
    match candidate(bytes) {
        Candidate::Whole(frame) => return Found::Whole(frame),
        Candidate::Cut if !is_end => return Found::More,
        Candidate::Cut | Candidate::None => {}
    }
    // Whatever stands here is no frame: the next one begins with the next marker that a whole frame follows.
    let mut at = 1;
    while let Some(next) = find_marker(bytes, at) {
        match candidate(&bytes[next..]) {
            Candidate::Whole(_) => return Found::Damaged(next),
            Candidate::Cut if !is_end => return Found::Damaged(next),
            Candidate::Cut | Candidate::None => at = next + 1,
        }
    }
    let is_cut = matches!(candidate(bytes), Candidate::Cut);
    let is_blank = bytes.iter().all(|byte| *byte == 0);
    if is_end && (is_cut || is_blank) {
        Found::Torn
    } else {
        Found::Damaged(bytes.len())
    }
}

enum Candidate<'a> {
    Whole(Frame<'a>),
    /// May be a frame whose end is not there.
    Cut,
    None,
}

fn candidate(bytes: &[u8]) -> Candidate<'_> {
    let begins = bytes.len().min(MARKER.len());
    if bytes[..begins] != MARKER[..begins] {
        return Candidate::None;
    }
    let Some(head) = bytes.first_chunk::<HEAD>() else {
        return Candidate::Cut;
    };
    let kind = match head[3] {
        b'D' => Kind::Draft,
        b'F' => Kind::Final,
        _ => return Candidate::None,
    };
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    if length > LONGEST {
        return Candidate::None;
    }
    let Some(frame) = bytes.get(..HEAD + length) else {
        return Candidate::Cut;
    };
    if check(frame).to_le_bytes() != head[8..12] {
        return Candidate::None;
    }
    let id = head[12..]
        .iter()
        .fold(0, |id: u128, byte| id << 8 | u128::from(*byte));
    Candidate::Whole(Frame {
        kind,
        id: Id::from_u128(id),
        payload: &frame[HEAD..],
    })
}

/// Where a marker, or the beginning of one at the very end, stands at or behind `from`.
fn find_marker(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += bytes
            .get(at..)?
            .iter()
            .position(|byte| *byte == MARKER[0])?;
        let rest = &bytes[at..];
        let begins = rest.len().min(MARKER.len());
        if rest[..begins] == MARKER[..begins] {
            return Some(at);
        }
        at += 1;
    }
}

fn check(frame: &[u8]) -> u32 {
    let mut check = crc32fast::Hasher::new();
    check.update(&frame[..8]);
    check.update(&frame[12..]);
    check.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(number: u128, payload: &str) -> Vec<u8> {
        let mut frame = Vec::new();
        begin(&mut frame);
        frame.extend_from_slice(payload.as_bytes());
        let kind = if number.is_multiple_of(3) {
            Kind::Draft
        } else {
            Kind::Final
        };
        seal(&mut frame, kind, Id::from_u128(number));
        frame
    }

    /// The numbers of all whole frames, and how many places are not: read through a window of `window` bytes.
    fn scan(bytes: &[u8], window: usize) -> (Vec<u128>, usize) {
        let (mut at, mut whole, mut bad, mut was_bad) = (0, Vec::new(), 0, false);
        let mut wide = window;
        while at < bytes.len() {
            let end = bytes.len().min(at + wide);
            match read(&bytes[at..end], end == bytes.len()) {
                Found::Whole(frame) => {
                    whole.push(frame.id.as_u128());
                    at += frame.length();
                    (was_bad, wide) = (false, window);
                }
                Found::Damaged(length) => {
                    assert!(length > 0);
                    bad += usize::from(!was_bad);
                    was_bad = true;
                    at += length;
                    wide = window;
                }
                Found::Torn => {
                    bad += usize::from(!was_bad);
                    break;
                }
                Found::More => {
                    assert!(end < bytes.len());
                    wide *= 2;
                }
            }
        }
        (whole, bad)
    }

    fn file(payloads: &[String]) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for (number, payload) in payloads.iter().enumerate() {
            let begins = bytes.len();
            bytes.extend(frame(number as u128, payload));
            places.push(begins..bytes.len());
        }
        (bytes, places)
    }

    proptest! {
        #[test]
        fn what_is_not_damaged_is_read_once_and_what_is_is_told(
            payloads in proptest::collection::vec("\\PC{0,80}", 1..12),
            at in any::<prop::sample::Index>(),
            flip in 1..=255_u8,
            window in 30..400_usize,
        ) {
            let (mut bytes, places) = file(&payloads);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let rest: Vec<u128> = places.iter().enumerate()
                .filter(|(_, place)| !place.contains(&at))
                .map(|(number, _)| number as u128)
                .collect();
            prop_assert_eq!(scan(&bytes, window), (rest, 1));
        }

        #[test]
        fn a_file_cut_anywhere_is_read_up_to_the_cut(
            payloads in proptest::collection::vec("\\PC{0,80}", 1..12),
            at in any::<prop::sample::Index>(),
            window in 30..400_usize,
        ) {
            let (mut bytes, places) = file(&payloads);
            bytes.truncate(at.index(bytes.len() + 1));
            let whole: Vec<u128> = (0_u128..).zip(&places)
                .take_while(|(_, place)| place.end <= bytes.len())
                .map(|(number, _)| number)
                .collect();
            let is_torn = !bytes.is_empty() && places.iter().all(|place| place.end != bytes.len());
            prop_assert_eq!(scan(&bytes, window), (whole, usize::from(is_torn)));
        }

        #[test]
        fn bytes_taken_out_or_put_in_cost_no_other_frame(
            payloads in proptest::collection::vec("\\PC{0,80}", 2..12),
            at in any::<prop::sample::Index>(),
            junk in proptest::collection::vec(any::<u8>(), 0..40),
            gone in 0..40_usize,
            window in 30..400_usize,
        ) {
            let (bytes, places) = file(&payloads);
            let at = at.index(bytes.len());
            let until = (at + gone).min(bytes.len());
            let mut changed = bytes[..at].to_vec();
            changed.extend(&junk);
            changed.extend(&bytes[until..]);
            let rest: Vec<u128> = (0_u128..).zip(&places)
                .filter(|(_, place)| place.end <= at || place.start >= until)
                .map(|(number, _)| number)
                .collect();
            let (whole, bad) = scan(&changed, window);
            // A change inside of a frame may look like one beside it, which then is whole.
            prop_assert!(rest.iter().all(|number| whole.contains(number)));
            prop_assert!(whole.is_sorted_by(|one, next| one < next));
            let read: usize = whole.iter().map(|number| places[usize::try_from(*number).unwrap()].len()).sum();
            prop_assert_eq!(bad == 0, read == changed.len(), "every byte is read or told");
        }

        #[test]
        fn nothing_that_is_read_is_a_frame_by_chance(bytes in proptest::collection::vec(any::<u8>(), 0..400), window in 30..100_usize) {
            prop_assert_eq!(scan(&bytes, window).0, Vec::<u128>::new());
        }
    }
}
