//! Which fields of a request an upstream's refusal names, in the many words of the vendors.

use std::borrow::Cow;

use super::{Unwanted, is_essential};
use crate::json::{Fields, Node};
use crate::{ApiError, DialectId, ErrorKind};

/// Fields that one refusal may name, and the bytes of it that are looked at.
const MOST: usize = 8;
const LONGEST: usize = 16 << 10;
/// Bytes of the request that are read in search of what one refusal says: a caller may have an upstream repeat many words.
const READ: usize = 128 << 20;
/// What each step of the search counts for beside.
const STEP: usize = 16 << 10;
/// Fields of the request that are compared with a sentence.
const SPOKEN: usize = 1024;

/// What refusals say of a field that a model or a server does not know or take.
const PHRASES: [&str; 22] = [
    "unsupported parameter",
    "unsupported param",
    "unsupported value",
    "unsupported field",
    "not supported",
    "unsupported",
    "not support",
    "unrecognized",
    "unknown parameter",
    "unknown field",
    "unknown name",
    "unexpected keyword",
    "extra inputs are not permitted",
    "extra_forbidden",
    "extraneous key",
    "not permitted",
    "not a valid field",
    "cannot both be",
    "is deprecated for",
    "is not enabled",
    "use 'max_",
    "not allowed",
];

/// What a refusal says of a field that is taken otherwise.
const CONDITIONS: [&str; 7] = [
    "cannot both be",
    "only one of",
    "together with",
    "in combination",
    " when ",
    " if ",
    " unless ",
];

/// The fields of `request` (the body as it was sent, of this dialect) that `error`, read from `answer`, says are not taken. Fields that a
/// request cannot be without are never among them.
pub fn named(dialect: DialectId, error: &ApiError, answer: &[u8], request: &[u8]) -> Vec<Unwanted> {
    if !matches!(
        error.kind,
        ErrorKind::BadRequest | ErrorKind::Unsupported | ErrorKind::NotImplemented
    ) {
        return Vec::new();
    }
    let message = head(&error.message);
    let lower = message.to_ascii_lowercase();
    let code = error.code.as_deref().unwrap_or_default();
    // The field is known, and what the caller wrote in it is wrong: without it, the answer would have another form.
    if code == "invalid_json_schema" || lower.contains("invalid schema") {
        return Vec::new();
    }
    let Ok(fields) = Node::parse(request).and_then(Node::fields) else {
        return Vec::new();
    };
    let mut found = Found {
        request: fields,
        left: READ,
        list: Vec::new(),
    };
    let coded = ["unsupported", "unknown", "unrecognized"]
        .iter()
        .any(|word| code.starts_with(word));
    let by_value = code == "unsupported_value" && !lower.contains("only the default");

    found.locations(answer);
    found.python_locations(message);
    found.unknown_names(message);
    if found.list.is_empty() && (coded || PHRASES.iter().any(|phrase| lower.contains(phrase))) {
        if let Some(param) = &error.param {
            found.path(param, by_value);
        }
        if found.list.is_empty() {
            found.words(message, &lower, by_value);
        }
    }
    let passing = CONDITIONS.iter().any(|words| lower.contains(words));
    for field in &mut found.list {
        field.passing = passing;
        if field.path == "max_tokens" || field.path == "max_completion_tokens" {
            field.value = None;
        }
    }
    let renamed = found
        .list
        .iter()
        .find_map(|field| match field.path.as_str() {
            "max_tokens" if dialect == DialectId::Chat => Some("max_completion_tokens"),
            "max_completion_tokens" if dialect == DialectId::Chat => Some("max_tokens"),
            _ => None,
        });
    for field in &mut found.list {
        if field.path.starts_with("max_") && !lower.contains("at least") {
            field.instead = renamed.map(str::to_owned);
        }
    }
    found.list.retain(|field| {
        let segments: Vec<&str> = field.path.split('.').collect();
        field.instead.is_some() || !is_essential(&segments)
    });
    found.list
}

struct Found<'a> {
    request: Fields<'a>,
    /// Bytes of the request that may still be read.
    left: usize,
    list: Vec<Unwanted>,
}

impl Found<'_> {
    /// `{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted"}]}`, as FastAPI says.
    fn locations(&mut self, answer: &[u8]) {
        let Ok(fields) = Node::parse(answer).and_then(Node::fields) else {
            return;
        };
        let message = fields.get("message");
        let nested = message.and_then(|message| message.fields().ok()?.get("detail"));
        let Some(details) = fields
            .get("detail")
            .or(nested)
            .and_then(|detail| detail.elements().ok())
        else {
            return;
        };
        for detail in details.into_iter().take(MOST) {
            let Ok(detail) = detail.fields() else {
                continue;
            };
            let said = |key: &str| detail.get(key).and_then(Node::text).unwrap_or_default();
            let extra = said("type").contains("extra") || said("msg").contains("not permitted");
            let Some(places) = detail.get("loc").and_then(|loc| loc.elements().ok()) else {
                continue;
            };
            if extra {
                let words = places
                    .into_iter()
                    .filter_map(|place| {
                        place.text().or_else(|| place.number_text().map(Cow::Owned))
                    })
                    .filter(|word| *word != "body");
                let path: Vec<Cow<'_, str>> = words.collect();
                self.path(&path.join("."), false);
            }
        }
    }

    /// The same as Python prints it: `{'type': 'extra_forbidden', 'loc': ('body', 'seed'), …}`.
    fn python_locations(&mut self, message: &str) {
        if !message.contains("extra_forbidden") && !message.contains("not permitted") {
            return;
        }
        for piece in message.split("'loc':").skip(1).take(MOST) {
            let Some((_, rest)) = piece.split_once(['(', '[']) else {
                continue;
            };
            let Some((places, _)) = rest.split_once([')', ']']) else {
                continue;
            };
            let words: Vec<&str> = places
                .split(',')
                .map(|word| word.trim().trim_matches(['\'', '"']))
                .filter(|word| !word.is_empty() && *word != "body")
                .collect();
            self.path(&words.join("."), false);
        }
    }

    /// `Unknown name "seed" at 'generation_config': Cannot find field.`, as Google says, once for each.
    fn unknown_names(&mut self, message: &str) {
        for piece in message.split("Unknown name \"").skip(1).take(MOST) {
            let Some((name, rest)) = piece.split_once('"') else {
                continue;
            };
            let outer = rest
                .strip_prefix(" at '")
                .and_then(|rest| rest.split_once('\''))
                .map_or("", |(outer, _)| outer);
            self.path(&format!("{outer}.{name}"), false);
        }
    }

    /// Fields that are named in the middle of a sentence.
    fn words(&mut self, message: &str, lower: &str, by_value: bool) {
        // `messages.0.content.0.text.citations: Extra inputs are not permitted`
        if let Some((path, _)) = message.split_once(": ")
            && !path.contains(' ')
            && self.path(path, by_value)
        {
            return;
        }
        let names = |c: char| !(c.is_alphanumeric() || "_.-[]".contains(c));
        let words: Vec<&str> = message
            .split(names)
            .map(|word| word.trim_matches(['.', '-']))
            .filter(|word| !word.is_empty())
            .collect();
        // Of two that exclude each other, the later one goes.
        let last_only = lower.contains("cannot both be") || lower.contains("only one of");
        let before = self.list.len();
        // `Unrecognized request arguments supplied: logit_bias, seed`
        let tail = message.rsplit_once(": ").map_or("", |(_, tail)| tail);
        let listed = |tail: &str| tail.split(',').all(|word| !word.trim().contains(' '));
        if listed(tail) {
            for word in tail.split(',') {
                self.path(word.trim().trim_end_matches('.'), by_value);
            }
        }
        let before_it = std::iter::once("").chain(words.iter().copied());
        let announced =
            |word: &str| ["parameter", "argument", "field", "property", "param"].contains(&word);
        for (previous, word) in before_it.zip(&words) {
            let technical = word.contains('_') || word.chars().skip(1).any(char::is_uppercase);
            if technical || announced(previous) || quoted(message, word) {
                self.path(word, by_value);
            }
        }
        if self.list.len() == before {
            self.spoken(lower);
        }
        if last_only && self.list.len() > before + 1 {
            self.list.drain(before..self.list.len() - 1);
        }
    }

    /// `Thinking level is not supported for this model`: a name of several words, spoken.
    fn spoken(&mut self, lower: &str) {
        let mut paths = Vec::new();
        for (key, value) in self.request.iter() {
            if matches!(key, "messages" | "contents" | "input" | "tools" | "system") {
                continue;
            }
            gather(value, key.to_owned(), 0, &mut paths);
        }
        for path in paths {
            let last = path.rsplit('.').next().unwrap_or_default();
            let spoken = spoken(last);
            if spoken.contains(' ') && lower.contains(&spoken) {
                self.path(&path, false);
            }
        }
    }

    /// Adds what `said` leads to in the request; false when it leads nowhere.
    fn path(&mut self, said: &str, by_value: bool) -> bool {
        let segments: Vec<&str> = said
            .split(['.', '[', ']', '/', '$'])
            .map(|segment| segment.trim_matches(['\'', '"', '`', ' ', ',']))
            .filter(|segment| !segment.is_empty())
            .collect();
        let Some((path, node)) = resolve(&self.request, &segments, &mut self.left) else {
            return false;
        };
        if path.is_empty() || self.list.len() >= MOST {
            return false;
        }
        let field = Unwanted {
            path,
            value: by_value.then(|| node.raw().to_owned()),
            instead: None,
            passing: false,
        };
        if !self.list.iter().any(|known| known.path == field.path) {
            self.list.push(field);
        }
        true
    }
}

/// Follows `segments` from the whole request, and reads at most `left` bytes of it.
fn resolve<'a>(
    request: &Fields<'a>,
    segments: &[&str],
    left: &mut usize,
) -> Option<(String, Node<'a>)> {
    let mut path = Vec::new();
    let segments = segments.get(..segments.len().min(16))?;
    let node = follow_fields(request, segments, left, &mut path)?;
    path.reverse();
    Some((path.join("."), node))
}

/// Follows `segments` from `node`: names in either spelling, indexes, and tags of unions, which stand for nothing in the body.
/// `path` is what they lead through, the last one first.
fn follow<'a>(
    node: Node<'a>,
    segments: &[&str],
    left: &mut usize,
    path: &mut Vec<String>,
) -> Option<Node<'a>> {
    let (segment, rest) = segments.split_first()?;
    *left = left.checked_sub(STEP + node.raw().len())?;
    if let Ok(elements) = node.elements() {
        // An element as a whole is never what is refused.
        let index = segment.parse::<usize>().ok()?;
        let found = follow(*elements.get(index)?, rest, left, path)?;
        path.push("*".to_owned());
        return Some(found);
    }
    follow_fields(&node.fields().ok()?, segments, left, path)
}

fn follow_fields<'a>(
    fields: &Fields<'a>,
    segments: &[&str],
    left: &mut usize,
    path: &mut Vec<String>,
) -> Option<Node<'a>> {
    let (segment, rest) = segments.split_first()?;
    let mut names = vec![(*segment).to_owned(), camel(segment), snake(segment)];
    names.dedup();
    for name in names {
        let Some(inner) = fields.get(&name) else {
            continue;
        };
        let found = if rest.is_empty() {
            Some(inner)
        } else {
            follow(inner, rest, left, path)
        };
        if found.is_some() {
            path.push(name);
            return found;
        }
    }
    // Google counts the entries of a map: `properties[0].value`.
    if let Ok(index) = segment.parse::<usize>() {
        let (_, inner) = fields.iter().nth(index)?;
        let (&"value", rest) = rest.split_first()? else {
            return None;
        };
        let found = follow(inner, rest, left, path)?;
        path.push("*".to_owned());
        return Some(found);
    }
    follow_fields(fields, rest, left, path)
}

/// All fields of objects below `node`, three levels deep.
fn gather(node: Node<'_>, path: String, depth: u8, paths: &mut Vec<String>) {
    if depth < 2
        && paths.len() < SPOKEN
        && let Ok(fields) = node.fields()
    {
        for (key, value) in fields.iter() {
            gather(value, format!("{path}.{key}"), depth + 1, paths);
        }
    }
    if paths.len() < SPOKEN {
        paths.push(path);
    }
}

fn quoted(message: &str, word: &str) -> bool {
    ["'", "\"", "`"].iter().any(|mark| {
        message
            .split(mark)
            .skip(1)
            .step_by(2)
            .any(|inner| inner == word)
    })
}

fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut up = false;
    for c in name.chars() {
        if c == '_' {
            up = true;
        } else if std::mem::take(&mut up) {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn spoken(name: &str) -> String {
    snake(name).replace('_', " ")
}

fn head(message: &str) -> &str {
    let mut end = message.len().min(LONGEST);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hi","name":"A"}],"max_tokens":5,"temperature":0.2,"top_p":0.5,"stop":["x"],"seed":1,"presence_penalty":1,"reasoning_effort":"minimal","logit_bias":{},"parallel_tool_calls":true,"tools":[{"type":"function","function":{"name":"f","parameters":{},"strict":true}}],"stream_options":{"include_usage":true}}"#;
    const MESSAGES: &str = r#"{"model":"m","max_tokens":5,"system":"S","messages":[{"role":"user","content":[{"type":"text","text":"Hi","cache_control":{"type":"ephemeral","ttl":"1h"}}]}],"thinking":{"type":"enabled","budget_tokens":2000},"temperature":1,"top_p":0.9,"output_config":{"effort":"max"}}"#;
    const GEMINI: &str = r#"{"contents":[{"parts":[{"text":"Hi"}]}],"generationConfig":{"seed":1,"presencePenalty":1,"thinkingConfig":{"thinkingLevel":"LOW"}},"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","exclusiveMinimum":1}}}}]}]}"#;

    fn check(request: &str, status: u16, answer: &str, expect: &[&str]) {
        let dialect = match request {
            MESSAGES => DialectId::Messages,
            GEMINI => DialectId::Gemini,
            _ => DialectId::Chat,
        };
        let error = ApiError::decode(status, answer.as_bytes());
        let named = named(dialect, &error, answer.as_bytes(), request.as_bytes());
        let said: Vec<String> = named
            .into_iter()
            .map(|field| {
                let value = field.value.map(|value| format!("={value}"));
                let instead = field.instead.map(|name| format!(">{name}"));
                format!(
                    "{}{}{}{}",
                    if field.passing { "~" } else { "" },
                    field.path,
                    value.unwrap_or_default(),
                    instead.unwrap_or_default()
                )
            })
            .collect();
        assert_eq!(said, expect, "{answer}");
    }

    fn openai(message: &str, param: &str, code: &str) -> String {
        format!(
            r#"{{"error":{{"message":{message:?},"type":"invalid_request_error","param":{param},"code":{code}}}}}"#
        )
    }

    #[test]
    fn openai_names_a_parameter_and_sometimes_its_value() {
        for (message, param, code, expect) in [
            (
                "Unsupported parameter: 'temperature' is not supported with this model.",
                "\"temperature\"",
                "\"unsupported_parameter\"",
                "temperature",
            ),
            (
                "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
                "\"temperature\"",
                "\"unsupported_value\"",
                "temperature",
            ),
            (
                "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values are: 'low', 'medium', and 'high'.",
                "\"reasoning_effort\"",
                "\"unsupported_value\"",
                "reasoning_effort=\"minimal\"",
            ),
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                "\"max_tokens\"",
                "\"unsupported_parameter\"",
                "max_tokens>max_completion_tokens",
            ),
            (
                "Unknown parameter: 'seed'.",
                "\"seed\"",
                "\"unknown_parameter\"",
                "seed",
            ),
            (
                "Unknown parameter: 'tools[0].function.strict'.",
                "\"tools[0].function.strict\"",
                "\"unknown_parameter\"",
                "tools.*.function.strict",
            ),
            (
                "Unrecognized request argument supplied: parallel_tool_calls",
                "null",
                "null",
                "parallel_tool_calls",
            ),
            (
                "Unrecognized request arguments supplied: logit_bias, seed",
                "null",
                "null",
                "logit_bias seed",
            ),
            (
                "Argument not supported on this model: stop",
                "null",
                "null",
                "stop",
            ),
            (
                "Model grok-4 does not support parameter presencePenalty.",
                "null",
                "null",
                "presence_penalty",
            ),
            ("property 'seed' is unsupported", "null", "null", "seed"),
            (
                "'messages.0' : for 'role:user' the following must be satisfied[('messages.0' : property 'name' is unsupported)]",
                "null",
                "null",
                "",
            ),
            (
                "Extra inputs are not permitted, field: 'seed', value: 1",
                "null",
                "null",
                "seed",
            ),
            (
                "Unsupported parameter: 'model'",
                "\"model\"",
                "\"unsupported_parameter\"",
                "",
            ),
            (
                "Unsupported parameter: 'top_k'",
                "\"top_k\"",
                "\"unsupported_parameter\"",
                "",
            ),
            ("The content is too short", "\"temperature\"", "null", ""),
            (
                "Invalid schema for response_format 'x': In context=('properties', 'a'), 'allOf' is not permitted.",
                "\"logit_bias\"",
                "null",
                "",
            ),
            (
                "Invalid 'temperature': must be at most 2",
                "\"temperature\"",
                "\"invalid_value\"",
                "",
            ),
        ] {
            let expect: Vec<&str> = expect.split_whitespace().collect();
            check(CHAT, 400, &openai(message, param, code), &expect);
        }
        let other = openai(
            "Unsupported parameter: 'seed'",
            "\"seed\"",
            "\"unsupported_parameter\"",
        );
        check(CHAT, 429, &other, &[]);
        check(CHAT, 500, &other, &[]);
    }

    #[test]
    fn validators_give_the_place() {
        for (answer, expect) in [
            (
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":1},{"type":"extra_forbidden","loc":["body","messages",0,"user","name"],"msg":"Extra inputs are not permitted"}]}"#,
                "seed messages.*.name",
            ),
            (
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":1}]},"type":"invalid_request_error"}"#,
                "seed",
            ),
            (
                r#"{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'logit_bias'), 'msg': 'Extra inputs are not permitted', 'input': {}}]","type":"BadRequestError","param":null,"code":400}"#,
                "logit_bias",
            ),
            (
                r#"{"detail":[{"type":"missing","loc":["body","seed"],"msg":"Field required"}]}"#,
                "",
            ),
            (
                r##"{"message":"#: extraneous key [top_p] is not permitted"}"##,
                "top_p",
            ),
            (
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","messages"],"msg":"Extra inputs are not permitted"}]}"#,
                "",
            ),
        ] {
            let expect: Vec<&str> = expect.split_whitespace().collect();
            check(CHAT, 422, answer, &expect);
        }
    }

    #[test]
    fn anthropic_gives_a_path() {
        for (message, expect) in [
            (
                "output_config: Extra inputs are not permitted",
                "output_config",
            ),
            (
                "messages.0.content.0.text.cache_control.ephemeral.ttl: Extra inputs are not permitted",
                "messages.*.content.*.cache_control.ttl",
            ),
            (
                "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
                "~top_p",
            ),
            ("`temperature` is deprecated for this model.", "temperature"),
            ("max_tokens: Extra inputs are not permitted", ""),
            (
                "messages.0.content.0.text.text: Extra inputs are not permitted",
                "",
            ),
            ("system: Extra inputs are not permitted", ""),
        ] {
            let answer = format!(
                r#"{{"type":"error","error":{{"type":"invalid_request_error","message":{message:?}}}}}"#
            );
            let expect: Vec<&str> = expect.split_whitespace().collect();
            check(MESSAGES, 400, &answer, &expect);
        }
    }

    #[test]
    fn google_names_it_in_the_other_spelling() {
        for (message, expect) in [
            (
                r#"Invalid JSON payload received. Unknown name \"seed\" at 'generation_config': Cannot find field.\nInvalid JSON payload received. Unknown name \"exclusiveMinimum\" at 'tools[0].function_declarations[0].parameters.properties[0].value': Cannot find field."#,
                "generationConfig.seed tools.*.functionDeclarations.*.parameters.properties.*.exclusiveMinimum",
            ),
            (
                "Thinking level is not supported for this model.",
                "generationConfig.thinkingConfig.thinkingLevel",
            ),
            (
                "Presence penalty is not enabled for models/m",
                "generationConfig.presencePenalty",
            ),
            ("Penalty is not enabled for models/m", ""),
        ] {
            let answer = format!(
                r#"{{"error":{{"code":400,"message":"{message}","status":"INVALID_ARGUMENT"}}}}"#
            );
            let expect: Vec<&str> = expect.split_whitespace().collect();
            check(GEMINI, 400, &answer, &expect);
        }
    }

    #[test]
    fn what_a_caller_has_an_upstream_repeat_costs_little() {
        // Each level has the name in two spellings, and none leads anywhere.
        let nested = (0..14).fold("1".to_owned(), |inner, _| {
            format!(r#"{{"a_b":{inner},"aB":{{"c":1}}}}"#)
        });
        let long = "x".repeat(1 << 20);
        let request = format!(r#"{{"a_b":{nested},"user":"{long}"}}"#);
        let path = ["a_b"; 15].join(".");
        let words = "a_b.no ".repeat(2000);
        for message in [
            format!("Unsupported parameter: {path}.zz"),
            format!("Unsupported parameter, of all {words}"),
        ] {
            check(&request, 400, &openai(&message, "null", "null"), &[]);
        }
    }
}
