//! Requests that are found again at the upstream and in the ledger, and answers whose numbers are theirs alone.

use lingate_testkit::{Received, Script, Step};
use serde_json::{Value, json};

use crate::wire::Dialect;
use crate::world::Asked;

/// The number of a request. It stands in the prompt, which the upstream sees, and is the end user, which the record keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mark(pub(super) usize);

/// The header that names the end user where a body has no place for one.
pub(super) const USER: &str = "x-openwebui-user-id";

const WORD: &str = "mark-";

impl Mark {
    pub(super) fn name(self) -> String {
        format!("{WORD}{:05}", self.0)
    }

    /// That of a text that holds one.
    pub(super) fn within(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(WORD)?;
        rest.get(..5)?.parse().ok().map(Self)
    }

    pub(super) fn of(received: &Received) -> Option<Self> {
        Self::within(&String::from_utf8_lossy(&received.body))
    }

    /// Tokens of the prompt, as the upstream counts them: no more than the gateway takes it for.
    pub(super) fn input(self) -> u64 {
        5 + self.0 as u64 % 7
    }

    /// Tokens of a whole answer, as the upstream counts them.
    pub(super) fn output(self) -> u64 {
        50 + self.0 as u64 % 97
    }

    /// A request with this mark, of at most 200 tokens of answer.
    pub(super) fn request(self, dialect: Dialect, model: &str, stream: bool) -> Value {
        let text = dialect.request(model, stream).to_string();
        let text = text.replace("\"Hi\"", &format!("\"Hi {}\"", self.name()));
        let mut body: Value = serde_json::from_str(&text).unwrap();
        match dialect {
            Dialect::Chat | Dialect::Messages => body["max_tokens"] = json!(200),
            Dialect::Gemini => body["generationConfig"] = json!({"maxOutputTokens": 200}),
            Dialect::Responses => body["max_output_tokens"] = json!(200),
        }
        body
    }

    /// The whole answer to it.
    pub(super) fn whole(self, dialect: Dialect) -> Script {
        let mut answer = dialect.whole();
        self.count(&mut answer);
        Script::json(200, answer.to_string())
    }

    /// The streamed answer, with so many pieces of content more than usual.
    pub(super) fn events(self, asked: &Asked<'_>, more: usize) -> Vec<String> {
        let dialect = asked.dialect;
        let mut events: Vec<String> = dialect.events();
        let content = events[dialect.opening()].clone();
        let at = dialect.opening();
        events.splice(at..at, vec![content; more]);
        let mut events: Vec<String> = events.iter().map(|event| self.counted(event)).collect();
        let asks = asked.received.json()["stream_options"]["include_usage"] == true;
        if dialect == Dialect::Chat && asks {
            let mut usage = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-vendor", "choices": [],
                "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}});
            self.count(&mut usage);
            let end = events.len() - 1;
            events.insert(end, format!("data: {usage}\n\n"));
        }
        events
    }

    /// The good answer, as it was asked for.
    pub(super) fn good(self, asked: &Asked<'_>) -> Script {
        if asked.stream {
            Script::events(self.events(asked, 0))
        } else {
            self.whole(asked.dialect)
        }
    }

    /// The beginning of an answer: so many pieces of content, and then nothing more.
    pub(super) fn beginning(self, asked: &Asked<'_>, pieces: usize) -> Script {
        let mut events = self.events(asked, pieces);
        events.truncate(asked.dialect.opening() + pieces);
        Script::events(events).then(Step::Stall)
    }

    fn counted(self, event: &str) -> String {
        let line = |line: &str| match line.strip_prefix("data: {") {
            Some(_) => {
                let mut value: Value = serde_json::from_str(&line["data: ".len()..]).unwrap();
                self.count(&mut value);
                format!("data: {value}\n")
            }
            None => format!("{line}\n"),
        };
        event.lines().map(line).collect()
    }

    /// Puts this one's numbers where a vendor tells usage. What stands in front of an answer is told of its beginning and stays.
    fn count(self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields.iter_mut() {
                    let told = value.as_u64().unwrap_or_default();
                    match key.as_str() {
                        "prompt_tokens" | "input_tokens" | "promptTokenCount" => {
                            *value = json!(self.input());
                        }
                        "completion_tokens" | "output_tokens" if told == 4 => {
                            *value = json!(self.output());
                        }
                        // The third piece of a stream is its last.
                        "candidatesTokenCount" if told >= 3 => *value = json!(self.output()),
                        "total_tokens" => *value = json!(self.input() + self.output()),
                        "totalTokenCount" if told >= 6 => {
                            *value = json!(self.input() + self.output());
                        }
                        "totalTokenCount" => *value = json!(self.input() + told - 3),
                        _ => self.count(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.count(item)),
            _ => {}
        }
    }
}
