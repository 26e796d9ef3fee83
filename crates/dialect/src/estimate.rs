//! An estimate of how many tokens a request has, without any vendor's tokenizer: from kinds of characters and parts.

use crate::hub::{Media, MediaKind, Part, PartBody, Request, Source, ToolBody};

/// Tokens that a vendor adds around each message.
const MESSAGE: u64 = 4;
/// Tokens around each tool's declaration.
const TOOL: u64 = 12;
/// An image of usual size.
const IMAGE: u64 = 1_300;

/// An estimate of the prompt's tokens: instructions, turns, tools and media. Takes time in proportion to the text.
pub fn tokens(request: &Request) -> u64 {
    let system: u64 = request.system.iter().map(part).sum();
    let turns: u64 = request
        .turns
        .iter()
        .map(|turn| MESSAGE + turn.parts.iter().map(part).sum::<u64>())
        .sum();
    let tools: u64 = request
        .tools
        .iter()
        .map(|declared| tool(&declared.body))
        .sum();
    3 + system + turns + tools
}

fn tool(body: &ToolBody) -> u64 {
    let described =
        |name: &str, description: Option<&str>| TOOL + text(name) + description.map_or(0, text);
    match body {
        ToolBody::Function {
            name,
            description,
            parameters,
            strict: _,
        } => {
            described(name, description.as_deref())
                + parameters.as_ref().map_or(0, |schema| text(schema.get()))
        }
        ToolBody::Custom {
            name,
            description,
            format,
        } => {
            described(name, description.as_deref())
                + format.as_ref().map_or(0, |format| text(format.0.get()))
        }
        ToolBody::WebSearch(_) | ToolBody::WebFetch | ToolBody::CodeExecution => 300,
        ToolBody::Opaque(opaque) => TOOL + text(opaque.json.get()),
    }
}

fn part(part: &Part) -> u64 {
    match &part.body {
        PartBody::Text(said) => text(&said.text),
        PartBody::Refusal(said) => text(said),
        PartBody::Media(shown) => media(shown),
        PartBody::Reasoning(thought) => text(&thought.text),
        PartBody::ToolCall(call) => 8 + text(&call.name) + text(&call.arguments),
        PartBody::ToolResult(result) => 8 + result.parts.iter().map(self::part).sum::<u64>(),
        PartBody::Opaque(opaque) => text(opaque.json.get()),
    }
}

fn media(media: &Media) -> u64 {
    match (&media.source, media.kind) {
        (Source::Text(said), _) => text(said),
        (Source::Parts(parts), _) => parts.iter().map(self::media).sum(),
        (_, MediaKind::Image) => IMAGE,
        // A page of PDF has about 50 kB of base64 and is read as text and image.
        (Source::Base64(data), MediaKind::Document) => 1_500 * (data.len() as u64).div_ceil(50_000),
        // About 32 tokens a second, at 16 kB a second of compressed sound.
        (Source::Base64(data), MediaKind::Audio) => (data.len() as u64).div_ceil(500),
        (Source::Base64(data), MediaKind::Video) => (data.len() as u64).div_ceil(400),
        (
            Source::Url(_) | Source::File(_),
            MediaKind::Document | MediaKind::Audio | MediaKind::Video,
        ) => 3_000,
    }
}

/// Tokens of a text, in quarters: words by length, digits by threes, one for most other signs.
fn text(text: &str) -> u64 {
    let mut quarters = 0_u64;
    let mut letters = 0_u64;
    let mut digits = 0_u64;
    let word = |letters: u64| {
        if letters == 0 {
            0
        } else {
            4 + letters.saturating_sub(5) * 4 / 5
        }
    };
    for c in text.chars() {
        if c.is_ascii_alphabetic() {
            letters += 1;
            continue;
        }
        quarters += word(letters);
        letters = 0;
        if c.is_ascii_digit() {
            digits += 1;
            continue;
        }
        quarters += digits.div_ceil(3) * 4;
        digits = 0;
        quarters += match c {
            ' ' => 0,
            '\n' | '\t' => 2,
            c if c.is_ascii() => 3,
            '\u{3000}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7af}'
            | '\u{f900}'..='\u{faff}'
            | '\u{ff00}'..='\u{ffef}' => 3,
            '\u{1f000}'..='\u{1faff}' => 8,
            _ => 2,
        };
    }
    quarters += word(letters) + digits.div_ceil(3) * 4;
    quarters.div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::At;
    use crate::hub::{Extra, Role, Turn};

    #[test]
    fn text_is_near_what_tokenizers_say() {
        // Counts of o200k for these texts, as published examples have them: 10, 12, 5.
        let near = |said: &str, truth: u64| {
            let guess = text(said);
            assert!(
                guess * 2 >= truth && guess <= truth * 2,
                "{said}: {guess} against {truth}"
            );
        };
        near("The quick brown fox jumps over the lazy dog.", 10);
        near("{\"city\": \"Paris\", \"days\": 3}", 12);
        near("今天天气很好", 5);
        assert_eq!(text(""), 0);
    }

    #[test]
    fn every_piece_counts() {
        let turn = |said: &str| Turn {
            role: Role::User,
            parts: vec![Part::text(said, At::Request)],
            extra: Extra::default(),
        };
        let one = Request {
            turns: vec![turn("Hello there")],
            ..Request::default()
        };
        let two = Request {
            turns: vec![turn("Hello there"), turn("Hello there")],
            ..Request::default()
        };
        assert!(tokens(&two) > tokens(&one));
    }
}
