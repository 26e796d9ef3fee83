//! Reads a stream. Servers of this dialect leave out, repeat and reorder events; what comes out is in order.

mod items;

use self::items::Items;
use super::response::{created, incomplete_reason, used};
use super::{error, finish, usage};
use crate::framing::Frame;
use crate::hub::Event;
use crate::json::{Fields, Node};
use crate::{ApiError, Decoder, ErrorKind, Malformed};

/// The state of one streamed answer.
#[derive(Debug, Default)]
pub(super) struct ResponsesDecoder {
    started: bool,
    phase: Phase,
    items: Items,
    /// Searches that items told of: an ending need not repeat them.
    searches: u64,
    /// The ending told what was used.
    told: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Running,
    Complete,
    /// Over without an ending.
    Over,
}

impl Decoder for ResponsesDecoder {
    fn told_at_the_end(&self) -> bool {
        self.told
    }

    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let data = frame.data.trim_ascii();
        if self.phase != Phase::Running || data.is_empty() || data.starts_with("[DONE]") {
            return Ok(());
        }
        let node = Node::parse(data.as_bytes())?;
        let fields = node
            .fields()
            .map_err(|fault| Malformed::new("", format!("not an event of a stream: {fault}")))?;
        let kind = fields.get("type").and_then(Node::text).unwrap_or_default();
        // An error in the form of an HTTP answer.
        let bare = kind.is_empty() && fields.get("error").is_some();
        if kind == "error" || bare || frame.event == "error" {
            self.phase = Phase::Over;
            out.push(Event::Error(error::event(data)));
            return Ok(());
        }
        match kind.as_ref() {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(response) = fields.get("response") {
                    self.start(response, out);
                }
                Ok(())
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.done"
            | "response.cancelled" => {
                let response = fields
                    .get("response")
                    .ok_or_else(|| Malformed::new("response", "is required"))?;
                self.ending(response, &kind, out)
            }
            _ if fields.get("object").and_then(Node::text).as_deref() == Some("response") => {
                self.ending(node, "", out)
            }
            kind => self.piece(kind, &fields, out),
        }
    }

    fn end(&mut self, out: &mut Vec<Event>) -> bool {
        if self.phase == Phase::Running {
            self.items.close_all(out);
            self.phase = Phase::Over;
        }
        self.phase == Phase::Complete
    }
}

impl ResponsesDecoder {
    fn start(&mut self, response: Node<'_>, out: &mut Vec<Event>) {
        if self.started {
            return;
        }
        self.started = true;
        let fields = response.fields().unwrap_or_default();
        let text = |key: &str| {
            let text = fields.get(key).and_then(Node::text)?;
            Some(text.into_owned()).filter(|text| !text.is_empty())
        };
        let id = text("id");
        self.items.answer = id.clone().unwrap_or_default();
        out.push(Event::Start {
            id,
            model: text("model").unwrap_or_default(),
            created: created(&fields),
        });
    }

    /// Some servers begin without saying so.
    fn begin(&mut self, out: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            out.push(Event::Start {
                id: None,
                model: String::new(),
                created: None,
            });
        }
    }

    /// An event about an item, or one that nobody here knows.
    fn piece(
        &mut self,
        kind: &str,
        fields: &Fields<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let Some(kind) = kind.strip_prefix("response.") else {
            return Ok(());
        };
        let place = items::Place::of(fields);
        match kind {
            "output_item.added" => {
                let Some(item) = fields.get("item").filter(|item| item.is_object()) else {
                    return Ok(());
                };
                self.begin(out);
                self.items.added(&place, item, out)
            }
            "output_item.done" => {
                let Some(item) = fields.get("item").filter(|item| item.is_object()) else {
                    return Ok(());
                };
                self.begin(out);
                self.searches += u64::from(usage::is_search(item));
                self.items.done(&place, item, out)
            }
            _ => {
                let Some(piece) = items::Piece::of(kind, fields) else {
                    return Ok(());
                };
                self.begin(out);
                self.items.piece(&place, piece, out)
            }
        }
    }

    /// The last event, which repeats the answer: what was not told before is told from it.
    fn ending(
        &mut self,
        node: Node<'_>,
        kind: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let fields = node.fields()?;
        self.start(node, out);
        if let Some(mut told) = used(&fields) {
            if fields.get("tool_usage").is_none_or(Node::is_null) {
                told.searches = told.searches.max(self.searches);
            }
            self.told = true;
            out.push(Event::Usage(told));
        }
        let failed = error::inside(node, &fields);
        if failed.is_some() || kind == "response.failed" {
            self.phase = Phase::Over;
            let unsaid = || {
                let message = "the upstream's answer failed, and it does not say why";
                ApiError::new(ErrorKind::Upstream, message)
            };
            out.push(Event::Error(failed.unwrap_or_else(unsaid)));
            return Ok(());
        }
        for (index, item) in fields
            .get("output")
            .and_then(|output| output.elements().ok())
            .unwrap_or_default()
            .into_iter()
            .enumerate()
        {
            self.items.repeated(index, item, out)?;
        }
        self.items.close_all(out);
        if let Some(tier) = fields.get("service_tier").and_then(Node::text) {
            out.push(Event::ServiceTier(tier.into_owned()));
        }
        let status = fields.get("status").and_then(Node::text);
        let status = match (kind, status.as_deref()) {
            ("response.incomplete", _) => Some("incomplete"),
            ("response.cancelled", _) => Some("cancelled"),
            // Some servers leave the status of the first event in the last one.
            ("response.completed" | "response.done", None | Some("in_progress" | "queued")) => {
                Some("completed")
            }
            (_, status) => status,
        };
        let finish = finish::read(
            status,
            incomplete_reason(&fields).as_deref(),
            self.items.holds,
        );
        out.push(Event::Finish { choice: 0, finish });
        self.phase = Phase::Complete;
        Ok(())
    }
}
