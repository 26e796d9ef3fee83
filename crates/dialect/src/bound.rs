//! Fields that bind a request to the dialect it came in: without them the answer would be another one, so a request that has one
//! is refused instead of sent without it.

use crate::hub::Request;
use crate::{At, DialectId, Refusal};

/// A field, whose it is, when it binds, and what to do about it.
struct Bound {
    of: DialectId,
    key: &'static str,
    binds: fn(&str) -> bool,
    advice: &'static str,
}

const BOUND: [Bound; 4] = [
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
        of: DialectId::Chat,
        key: "modalities",
        binds: |json| json.contains("\"audio\""),
        advice: "this upstream answers in text alone; ask for text, or choose a model of the Chat dialect",
    },
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
