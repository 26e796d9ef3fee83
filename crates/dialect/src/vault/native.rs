//! Proofs in a dialect's own form, found in bytes that nobody decodes, and the names that they are remembered by.

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::DialectId;
use crate::envelope::string_end;
use crate::fnv::fnv64;
use crate::json::Node;

/// Is told the fingerprint of each proof that an upstream gives.
pub struct Witness(Box<dyn FnMut(u64) + Send>);

impl Witness {
    pub fn new(told: impl FnMut(u64) + Send + 'static) -> Self {
        Self(Box::new(told))
    }

    pub(super) fn see(&mut self, proof: &str) {
        (self.0)(fingerprint(proof));
    }

    /// Looks through a JSON text.
    pub fn tell(&mut self, dialect: DialectId, json: &[u8]) {
        proofs_in(dialect, json, &mut |proof| (self.0)(fingerprint(proof)));
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}

/// Calls `found` with each proof in a JSON text of this dialect, a request, an answer or a frame. What merely looks like one, inside
/// of a text, is found too.
pub fn proofs_in(dialect: DialectId, json: &[u8], found: &mut dyn FnMut(&str)) {
    let fields: &[Finder<'_>] = match dialect {
        DialectId::Messages => &FIELDS.messages,
        DialectId::Responses => &FIELDS.responses,
        DialectId::Gemini => &FIELDS.gemini,
        DialectId::Chat => &FIELDS.chat,
    };
    for field in fields {
        for at in field.find_iter(json) {
            let value = || {
                let after = json.get(at + field.needle().len()..)?.trim_ascii_start();
                let after = after.strip_prefix(b":")?.trim_ascii_start();
                let string = after.get(..string_end(after, 0)?)?;
                Node::parse(string).ok().filter(|_| string.len() > SHORTEST)
            };
            if let Some(proof) = value().as_ref().and_then(|node| node.text()) {
                found(&proof);
            }
        }
    }
}

/// The fields that hold proofs.
struct Fields {
    messages: [Finder<'static>; 2],
    responses: [Finder<'static>; 1],
    gemini: [Finder<'static>; 2],
    chat: [Finder<'static>; 3],
}

/// Each event of a stream is searched: the searches are made ready once.
static FIELDS: LazyLock<Fields> = LazyLock::new(|| Fields {
    messages: ["\"signature\"", "\"data\""].map(Finder::new),
    responses: ["\"encrypted_content\""].map(Finder::new),
    gemini: ["\"thoughtSignature\"", "\"thought_signature\""].map(Finder::new),
    chat: ["\"thought_signature\"", "\"signature\"", "\"data\""].map(Finder::new),
});

/// Shorter ones are no proofs.
const SHORTEST: usize = 16;

/// The same for a proof in either alphabet of base64, padded or not.
pub fn fingerprint(proof: &str) -> u64 {
    let plain: String = proof
        .trim_end_matches('=')
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    fnv64(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_found_where_their_dialect_has_them() {
        let check = |dialect, json: &str, expect: &[&str]| {
            let mut all = Vec::new();
            proofs_in(dialect, json.as_bytes(), &mut |proof| {
                all.push(proof.to_owned());
            });
            assert_eq!(all, expect, "{json}");
        };
        let long = "EqQBCgIYAhIMq0rJ0dYb";
        check(
            DialectId::Messages,
            &format!(r#"{{"delta":{{"type":"signature_delta","signature" : "{long}\/"}}}}"#),
            &[&format!("{long}/")],
        );
        check(
            DialectId::Messages,
            &format!(r#"{{"signature":"","x":"\"signature\":\"{long}\"","data":"{long}"}}"#),
            &[long],
        );
        check(
            DialectId::Gemini,
            &format!(r#"{{"thoughtSignature":"{long}"}}"#),
            &[long],
        );
        check(
            DialectId::Responses,
            &format!(r#"{{"encrypted_content":"{long}","signature":"{long}","#),
            &[long],
        );
        check(DialectId::Chat, r#"{"data":"#, &[]);
    }

    #[test]
    fn a_fingerprint_is_of_the_bytes() {
        assert_eq!(fingerprint("ab+/cd=="), fingerprint("ab-_cd"));
        assert_ne!(fingerprint("abc"), fingerprint("abd"));
    }
}
