//! A request body without the fields that its upstream refuses.

use super::{Unwanted, is_essential};
use crate::json::{Node, Object};
use crate::{At, Dialect, Losses, Setting};

/// Leaves `unwanted` out of `body`, a request of the dialect `of`; what was there is noted in `losses` with `note`.
pub fn strip(
    body: Vec<u8>,
    of: &dyn Dialect,
    unwanted: &[Unwanted],
    note: &str,
    losses: &mut Losses,
) -> Vec<u8> {
    let mut body = body;
    for field in unwanted {
        let segments: Vec<&str> = field.path.split('.').collect();
        if field.instead.is_none() && is_essential(&segments) {
            continue;
        }
        let Ok(whole) = Node::parse(&body) else {
            return body;
        };
        let mut cut = Cut { field, met: false };
        let mut out = Vec::with_capacity(body.len());
        cut.write(whole, &segments, &mut out);
        if !cut.met {
            continue;
        }
        body = out;
        if field.instead.is_none() {
            let at = place(of, &segments);
            losses.push(at, "", note);
        }
    }
    body
}

/// The setting that a path stands for, so that a caller is told in its own words.
fn place(of: &dyn Dialect, segments: &[&str]) -> At {
    let path = segments.join(".");
    let known = Setting::ALL.into_iter().find(|setting| {
        let place = of.locate(&At::Setting(*setting));
        let within = || {
            let rest = path.strip_prefix(&place);
            rest.is_some_and(|rest| rest.starts_with('.') && !rest.starts_with(".*"))
        };
        path == place || within()
    });
    let setting = match segments.first() {
        // Google writes the limit inside of its configuration, Chat under two names.
        Some(&"max_completion_tokens") => Some(Setting::MaxOutput),
        Some(&"top_logprobs") => Some(Setting::Logprobs),
        _ => known,
    };
    setting.map_or(At::Field(path), At::Setting)
}

struct Cut<'a> {
    field: &'a Unwanted,
    met: bool,
}

impl Cut<'_> {
    /// Writes `node` without what lies at `path` below it.
    fn write(&mut self, node: Node<'_>, path: &[&str], out: &mut Vec<u8>) {
        let Some((first, rest)) = path.split_first() else {
            out.extend_from_slice(node.raw().as_bytes());
            return;
        };
        if let Ok(fields) = node.fields() {
            let mut object = Object::new(out);
            for (key, value) in fields.iter() {
                if *first != "*" && *first != key {
                    object.value(key).extend_from_slice(value.raw().as_bytes());
                    continue;
                }
                if !rest.is_empty() {
                    let before = self.met;
                    self.met = false;
                    let mut inner = Vec::with_capacity(value.raw().len());
                    self.write(value, rest, &mut inner);
                    // An object that held nothing else goes with it.
                    if !(self.met && inner == b"{}") {
                        object.value(key).extend_from_slice(&inner);
                    }
                    self.met |= before;
                } else if self.is_refused(value) {
                    self.met = true;
                    if let Some(instead) = &self.field.instead
                        && fields.get(instead).is_none()
                    {
                        object
                            .value(instead)
                            .extend_from_slice(value.raw().as_bytes());
                    }
                } else {
                    object.value(key).extend_from_slice(value.raw().as_bytes());
                }
            }
        } else if *first == "*"
            && let Ok(elements) = node.elements()
        {
            let mut array = crate::json::Array::new(out);
            for element in elements {
                self.write(element, rest, array.value());
            }
        } else {
            out.extend_from_slice(node.raw().as_bytes());
        }
    }

    fn is_refused(&self, value: Node<'_>) -> bool {
        self.field
            .value
            .as_deref()
            .is_none_or(|refused| refused == value.raw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DialectId;

    fn check(dialect: DialectId, body: &str, field: Unwanted, expect: &str, lost: &[&str]) {
        let mut losses = Losses::default();
        let of = dialect.dialect();
        let out = strip(body.into(), of, &[field], "dropped", &mut losses);
        assert_eq!(String::from_utf8(out).unwrap(), expect);
        assert_eq!(losses.paths(DialectId::Gemini.dialect()), lost);
    }

    #[test]
    fn one_field_goes_and_every_other_byte_stays() {
        let body = r#"{"model":"m","messages":[{"role":"user","name":"A","content":"a\u0062"},{"role":"user","content":"c"}],"temperature":0.50,"max_tokens":5,"stream_options":{"include_usage":true}}"#;
        let of = DialectId::Chat;
        check(
            of,
            body,
            Unwanted::field("temperature"),
            r#"{"model":"m","messages":[{"role":"user","name":"A","content":"a\u0062"},{"role":"user","content":"c"}],"max_tokens":5,"stream_options":{"include_usage":true}}"#,
            &["generationConfig.temperature"],
        );
        check(
            of,
            body,
            Unwanted::field("messages.*.name"),
            r#"{"model":"m","messages":[{"role":"user","content":"a\u0062"},{"role":"user","content":"c"}],"temperature":0.50,"max_tokens":5,"stream_options":{"include_usage":true}}"#,
            &["messages.*.name"],
        );
        check(
            of,
            body,
            Unwanted::field("stream_options.include_usage"),
            r#"{"model":"m","messages":[{"role":"user","name":"A","content":"a\u0062"},{"role":"user","content":"c"}],"temperature":0.50,"max_tokens":5}"#,
            &["stream_options.include_usage"],
        );
        for kept in [
            "messages",
            "model",
            "max_tokens",
            "messages.*.content",
            "seed",
            "messages.*.seed",
        ] {
            check(of, body, Unwanted::field(kept), body, &[]);
        }
    }

    #[test]
    fn a_field_is_renamed_without_a_loss_and_refused_by_its_value() {
        let of = DialectId::Chat;
        let body = r#"{"model":"m","max_tokens":5,"reasoning_effort":"minimal"}"#;
        let renamed = Unwanted {
            instead: Some("max_completion_tokens".into()),
            ..Unwanted::field("max_tokens")
        };
        check(
            of,
            body,
            renamed,
            r#"{"model":"m","max_completion_tokens":5,"reasoning_effort":"minimal"}"#,
            &[],
        );
        let valued = |value: &str| Unwanted {
            value: Some(value.into()),
            ..Unwanted::field("reasoning_effort")
        };
        check(of, body, valued("\"high\""), body, &[]);
        check(
            of,
            body,
            valued("\"minimal\""),
            r#"{"model":"m","max_tokens":5}"#,
            &["generationConfig.thinkingConfig"],
        );
    }
}
