//! Requests that are the same but for a number: of the key that is shown, of the user that is named.

use std::borrow::Cow;
use std::cell::Cell;

use memchr::memmem;

const MARK: &[u8] = b"########";

#[derive(Debug)]
pub(crate) struct Turns {
    bytes: Vec<u8>,
    /// Where the number stands.
    places: Vec<usize>,
    numbers: u32,
    next: Cell<u32>,
}

impl Turns {
    pub(crate) fn new(bytes: Vec<u8>, numbers: u32) -> Self {
        Self {
            places: memmem::find_iter(&bytes, MARK).collect(),
            bytes,
            numbers: numbers.max(1),
            next: Cell::new(0),
        }
    }

    /// The next request.
    pub(crate) fn next(&self) -> Cow<'_, [u8]> {
        if self.places.is_empty() {
            return Cow::Borrowed(&self.bytes);
        }
        let number = self.next.get();
        self.next.set((number + 1) % self.numbers);
        let digits = format!("{number:08}");
        let mut bytes = self.bytes.clone();
        for place in &self.places {
            bytes[*place..place + MARK.len()].copy_from_slice(&digits.as_bytes()[..MARK.len()]);
        }
        Cow::Owned(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_turns_in_all_places() {
        let turns = Turns::new(b"key-########, user-########.".to_vec(), 2);
        let next = || String::from_utf8(turns.next().into_owned()).unwrap();
        assert_eq!(next(), "key-00000000, user-00000000.");
        assert_eq!(next(), "key-00000001, user-00000001.");
        assert_eq!(next(), "key-00000000, user-00000000.");
        let same = Turns::new(b"nothing".to_vec(), 9);
        assert_eq!(*same.next(), *b"nothing");
    }
}
