//! Fields that bind a request to the dialect it came in: without them the answer would be another one, so a request that has one
//! is refused instead of sent without it.

use crate::hub::{PartBody, Request};
use crate::{At, DialectId, Refusal};

/// A field, whose it is, when it binds, and what to do about it.
struct Bound {
    of: DialectId,
    key: &'static str,
    binds: fn(&str) -> bool,
    advice: &'static str,
}

const BOUND: [Bound; 8] = [
    Bound {
        of: DialectId::Gemini,
        key: "cachedContent",
        binds: |_| true,
        advice: "names a cache that only Gemini can read; send the cached contents in `contents`, or choose a Gemini model",
    },
    Bound {
        of: DialectId::Gemini,
        key: "continuationToken",
        binds: |_| true,
        advice: "continues an answer that only its own Gemini model can continue",
    },
    Bound {
        of: DialectId::Gemini,
        key: "generationConfig.responseModalities",
        binds: |json| json.contains("IMAGE") || json.contains("AUDIO") || json.contains("VIDEO"),
        advice: "this upstream answers in text alone; leave it out, or choose a Gemini model",
    },
    Bound {
        of: DialectId::Responses,
        key: "previous_response_id",
        binds: |_| true,
        advice: "names an answer that OpenAI keeps; send the whole conversation in `input`, or choose a model that speaks Responses",
    },
    Bound {
        of: DialectId::Responses,
        key: "conversation",
        binds: |_| true,
        advice: "names a conversation that OpenAI keeps; send all of it in `input`, or choose a model that speaks Responses",
    },
    Bound {
        of: DialectId::Responses,
        key: "prompt",
        binds: |_| true,
        advice: "names a prompt that OpenAI keeps; send its text, or choose a model that speaks Responses",
    },
    Bound {
        of: DialectId::Responses,
        key: "background",
        binds: |json| json == "true",
        advice: "this upstream answers at once or not at all; leave it out, or choose a model that speaks Responses",
    },
    Bound {
        of: DialectId::Chat,
        key: "modalities",
        binds: |json| json.contains("\"audio\""),
        advice: "this upstream answers in text alone; ask for text, or choose a model of the Chat dialect",
    },
];

/// Items of Responses that stand for what is said elsewhere.
const BOUND_ITEMS: [(&str, &str); 2] = [
    (
        "item_reference",
        "names an item that OpenAI keeps; send the item itself",
    ),
    (
        "compaction",
        "holds the conversation in a form that OpenAI alone can read; send the messages themselves",
    ),
];

/// Refuses a request for `target` that is bound to another dialect.
pub(crate) fn refuse(request: &Request, target: DialectId) -> Result<(), Refusal> {
    for bound in BOUND.iter().filter(|bound| bound.of != target) {
        let given = request.extra.get(bound.of, bound.key);
        if given.is_some_and(|json| (bound.binds)(json.get())) {
            let at = At::Field(bound.key.to_owned());
            return Err(Refusal::new(at, bound.advice));
        }
    }
    if target == DialectId::Responses {
        return Ok(());
    }
    for part in request.turns.iter().flat_map(|turn| &turn.parts) {
        let PartBody::Opaque(opaque) = &part.body else {
            continue;
        };
        let bound = BOUND_ITEMS
            .iter()
            .find(|(kind, _)| opaque.of == DialectId::Responses && opaque.kind == *kind);
        if let Some((_, advice)) = bound {
            return Err(Refusal::new(part.at.clone(), *advice));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Losses, Quirks, Target};

    fn check(from: DialectId, body: &str, to: DialectId, expect: Option<&str>) {
        let request = from.dialect().decode_request(body.as_bytes()).unwrap();
        let quirks = Quirks::default();
        let target = Target {
            model: "m",
            quirks: &quirks,
            max_output: None,
            default_max_tokens: 100,
        };
        let refusal = to
            .dialect()
            .encode_request(&request, &target, &mut Losses::default())
            .err();
        let path = refusal.map(|refusal| from.dialect().locate(&refusal.at));
        assert_eq!(path.as_deref(), expect, "{body}");
    }

    #[test]
    fn what_only_one_dialect_can_do_is_refused_elsewhere() {
        let gemini = |field: &str| {
            format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"Hi"}}]}}],{field}}}"#)
        };
        let cached = gemini(r#""cachedContent":"cachedContents/x""#);
        check(
            DialectId::Gemini,
            &cached,
            DialectId::Chat,
            Some("cachedContent"),
        );
        check(
            DialectId::Gemini,
            &cached,
            DialectId::Messages,
            Some("cachedContent"),
        );
        check(DialectId::Gemini, &cached, DialectId::Gemini, None);
        let image = gemini(r#""generationConfig":{"responseModalities":["TEXT","IMAGE"]}"#);
        check(
            DialectId::Gemini,
            &image,
            DialectId::Chat,
            Some("generationConfig.responseModalities"),
        );
        let text = gemini(r#""generationConfig":{"responseModalities":["TEXT"]}"#);
        check(DialectId::Gemini, &text, DialectId::Chat, None);
        let chat = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"modalities":["text","audio"],"audio":{"voice":"a","format":"wav"}}"#;
        check(DialectId::Chat, chat, DialectId::Gemini, Some("modalities"));
        check(
            DialectId::Chat,
            chat,
            DialectId::Messages,
            Some("modalities"),
        );
        check(DialectId::Chat, chat, DialectId::Chat, None);
    }
}
