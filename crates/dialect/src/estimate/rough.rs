//! A guess at a prompt's tokens from the bytes of its request, for when there is no time to read them: decisions that are corrected
//! once the truth is known.

use memchr::memmem;

use super::{Weights, whole};

/// Bytes of a string from which on it may be a picture, a document or sound: those are no text.
const LONG: usize = 4096;
/// Tokens that a picture or a document of unknown size is taken for.
const MEDIUM: f64 = 1_200.0;
/// Bytes of JSON that one word of a tokenizer stands for: names, braces and all that is no text of the prompt included.
const WORD: f64 = 6.0;
/// Characters that are not ASCII have two to four bytes.
const FOREIGN: f64 = 0.75;

/// What the bytes of a request's body tell of its prompt, whichever model it is for.
#[derive(Debug, Clone, Copy)]
pub struct Rough {
    ascii: usize,
    foreign: usize,
    media: usize,
    has_tools: bool,
}

impl Rough {
    /// Looks through all of the body.
    pub fn of(body: &[u8]) -> Self {
        let (media, skipped) = media(body);
        let foreign = body.iter().filter(|byte| !byte.is_ascii()).count();
        Self {
            ascii: body.len().saturating_sub(foreign).saturating_sub(skipped),
            foreign,
            media,
            has_tools: memmem::find(body, b"\"tools\"").is_some(),
        }
    }

    /// About how many tokens the prompt has.
    ///
    /// Of 2,119 recorded requests half are guessed within 22 %, nine in ten within 70 %; the middle one is guessed 1 % too high.
    pub fn tokens(&self, weights: &Weights) -> u64 {
        let word = weights.terms.word;
        // Of UTF-8 beyond ASCII most that is written has three bytes.
        let characters = self.foreign / 3;
        // What a vendor puts in front of tools can be more than a short request.
        let tools = if self.has_tools {
            weights.terms.tools
        } else {
            0.0
        };
        whole(
            number(self.ascii) * word / WORD
                + number(characters) * FOREIGN * word
                + number(self.media) * MEDIUM
                + tools,
        )
        .max(1)
    }
}

/// Pictures, documents and sound, and their bytes.
fn media(body: &[u8]) -> (usize, usize) {
    let (mut media, mut skipped) = (0, 0);
    if body.len() >= LONG {
        for mark in [";base64,", "\"data\""] {
            let mut rest = body;
            while let Some(at) = memmem::find(rest, mark.as_bytes()) {
                rest = rest.get(at + mark.len()..).unwrap_or_default();
                // Between the name and its value stand a colon, a quote and perhaps a space.
                let begin = rest.get(..4).unwrap_or(rest);
                let quote = begin.iter().position(|byte| *byte == b'"');
                rest = rest
                    .get(quote.map_or(0, |quote| quote + 1)..)
                    .unwrap_or_default();
                let end = memchr::memchr(b'"', rest).unwrap_or(rest.len());
                if end >= LONG {
                    skipped += end;
                    media += 1;
                }
                rest = rest.get(end..).unwrap_or_default();
            }
        }
    }
    (media, skipped)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bodies are shorter than the whole numbers of a float"
)]
fn number(count: usize) -> f64 {
    count as f64
}
