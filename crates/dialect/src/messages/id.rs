//! Ids of tool calls, as Anthropic spells them: letters, digits, `_` and `-`.

use std::borrow::Cow;

use crate::fnv::fnv32;

/// Longer ids of other vendors are cut, so that every host takes them.
const LONGEST: usize = 64;

/// Spells `id`; a pure function, so that a call and its result stay a pair.
pub(crate) fn spell(id: &str) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !id.is_empty() && id.len() <= LONGEST && id.bytes().all(fits) {
        return Cow::Borrowed(id);
    }
    if id.is_empty() {
        return Cow::Borrowed("call");
    }
    let mut spelled: String = id
        .chars()
        .map(|c| {
            if u8::try_from(c).is_ok_and(fits) {
                c
            } else {
                '_'
            }
        })
        .collect();
    if spelled.len() > LONGEST {
        let hash = format!("_{:08x}", fnv32(id));
        spelled.truncate(LONGEST - hash.len());
        spelled.push_str(&hash);
    }
    Cow::Owned(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_must_change_changes() {
        for (id, expect) in [
            ("toolu_01A-b", "toolu_01A-b"),
            ("functions.get:0", "functions_get_0"),
            ("", "call"),
            ("é", "_"),
        ] {
            assert_eq!(spell(id), expect);
        }
        let long = "x".repeat(70);
        assert_eq!(spell(&long).len(), LONGEST);
        assert_ne!(spell(&long), spell(&"x".repeat(71)));
    }
}
