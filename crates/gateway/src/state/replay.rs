//! A stored answer as the stream of events that it would have been, each text in one piece.

use lingate_dialect::json::{Fields, Node, Object};

/// Appends the events with a number above `after`.
pub(crate) fn write(response: Node<'_>, after: Option<u64>, out: &mut Vec<u8>) {
    let mut events = Events {
        next: 0,
        after,
        out,
    };
    let begun = begun(response);
    for kind in ["response.created", "response.in_progress"] {
        events.event(kind, |event| {
            event.value("response").extend_from_slice(&begun);
        });
    }
    let fields = response.fields().ok();
    let output = fields
        .as_ref()
        .and_then(|fields| fields.get("output")?.elements().ok());
    for (index, item) in (0..).zip(output.unwrap_or_default()) {
        write_item(item, index, &mut events);
    }
    let status = fields
        .as_ref()
        .and_then(|fields| fields.get("status")?.text());
    let kind = match status.as_deref() {
        Some("incomplete") => "response.incomplete",
        Some(_) | None => "response.completed",
    };
    events.event(kind, |event| {
        event
            .value("response")
            .extend_from_slice(response.raw().as_bytes());
    });
}

struct Events<'a> {
    next: u64,
    after: Option<u64>,
    out: &'a mut Vec<u8>,
}

impl Events<'_> {
    fn event(&mut self, kind: &str, write: impl FnOnce(&mut Object<'_>)) {
        let number = self.next;
        self.next += 1;
        if self.after.is_some_and(|after| number <= after) {
            return;
        }
        self.out.extend_from_slice(b"event: ");
        self.out.extend_from_slice(kind.as_bytes());
        self.out.extend_from_slice(b"\ndata: ");
        let at = self.out.len();
        {
            let mut event = Object::new(self.out);
            event.string("type", kind);
            event.u64("sequence_number", number);
            write(&mut event);
        }
        // What was stored with line breaks between its tokens would end the data.
        if self
            .out
            .get(at..)
            .is_some_and(|data| data.contains(&b'\n') || data.contains(&b'\r'))
        {
            let data = self.out.split_off(at);
            let compact = String::from_utf8(data).map(|data| lingate_dialect::json::compact(&data));
            self.out
                .extend_from_slice(compact.unwrap_or_default().as_bytes());
        }
        self.out.extend_from_slice(b"\n\n");
    }
}

/// The response object as it was before there was anything.
fn begun(response: Node<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Ok(fields) = response.fields() {
        let mut object = Object::new(&mut out);
        for (key, value) in fields.iter() {
            match key {
                "status" => object.string(key, "in_progress"),
                "output" => drop(object.array(key)),
                "usage" | "completed_at" | "incomplete_details" => object.null(key),
                _ => object.value(key).extend_from_slice(value.raw().as_bytes()),
            }
        }
    } else {
        out.extend_from_slice(b"{}");
    }
    out
}

fn write_item(item: Node<'_>, index: u64, events: &mut Events<'_>) {
    let Ok(fields) = item.fields() else { return };
    let kind = fields.get("type").and_then(Node::text).unwrap_or_default();
    let id = fields
        .get("id")
        .and_then(|id| id.string().ok())
        .unwrap_or_default();
    // What grows begins empty; everything else is there from the beginning.
    let grows: &[&str] = match &*kind {
        "message" => &["content"],
        "reasoning" => &["summary", "content"],
        "function_call" => &["arguments"],
        "custom_tool_call" => &["input"],
        _ => &[],
    };
    events.event("response.output_item.added", |event| {
        event.u64("output_index", index);
        let mut added = event.object("item");
        for (key, value) in fields.iter() {
            if grows.contains(&key) && value.is_array() {
                drop(added.array(key));
            } else if grows.contains(&key) && value.is_string() {
                added.string(key, "");
            } else if key == "status" {
                added.string(key, "in_progress");
            } else {
                added.value(key).extend_from_slice(value.raw().as_bytes());
            }
        }
    });
    let place = ItemPlace { id: &id, index };
    match &*kind {
        "message" => write_parts(&fields, "content", &place, events),
        "reasoning" => {
            write_parts(&fields, "summary", &place, events);
            write_parts(&fields, "content", &place, events);
        }
        "function_call" => {
            let names = ("response.function_call_arguments", "arguments");
            write_text(&fields, names, &place, events);
        }
        "custom_tool_call" => {
            let names = ("response.custom_tool_call_input", "input");
            write_text(&fields, names, &place, events);
        }
        _ => {}
    }
    events.event("response.output_item.done", |event| {
        event.u64("output_index", index);
        event.value("item").extend_from_slice(item.raw().as_bytes());
    });
}

struct ItemPlace<'a> {
    id: &'a str,
    index: u64,
}

impl ItemPlace<'_> {
    fn write(&self, event: &mut Object<'_>) {
        event.string("item_id", self.id);
        event.u64("output_index", self.index);
    }
}

fn write_text(
    fields: &Fields<'_>,
    (name, key): (&str, &str),
    place: &ItemPlace<'_>,
    events: &mut Events<'_>,
) {
    let text = fields.get(key).and_then(Node::text).unwrap_or_default();
    if !text.is_empty() {
        events.event(&format!("{name}.delta"), |event| {
            place.write(event);
            event.string("delta", &text);
        });
    }
    events.event(&format!("{name}.done"), |event| {
        place.write(event);
        if let Some(name) = fields.get("name").and_then(Node::text) {
            event.string("name", &name);
        }
        event.string(key, &text);
    });
}

fn write_parts(fields: &Fields<'_>, key: &str, place: &ItemPlace<'_>, events: &mut Events<'_>) {
    let parts = fields.get(key).and_then(|parts| parts.elements().ok());
    for (number, part) in (0..).zip(parts.unwrap_or_default()) {
        let Ok(inner) = part.fields() else { continue };
        let kind = inner.get("type").and_then(Node::text).unwrap_or_default();
        let (name, field) = match &*kind {
            "refusal" => ("response.refusal", "refusal"),
            "summary_text" => ("response.reasoning_summary_text", "text"),
            "reasoning_text" => ("response.reasoning_text", "text"),
            _ => ("response.output_text", "text"),
        };
        let summary = kind == "summary_text";
        let (part_name, number_name) = if summary {
            ("response.reasoning_summary_part", "summary_index")
        } else {
            ("response.content_part", "content_index")
        };
        let at = |event: &mut Object<'_>| {
            place.write(event);
            event.u64(number_name, number);
        };
        events.event(&format!("{part_name}.added"), |event| {
            at(event);
            let mut added = event.object("part");
            for (key, value) in inner.iter() {
                if key == field {
                    added.string(key, "");
                } else if matches!(key, "annotations" | "logprobs") && value.is_array() {
                    drop(added.array(key));
                } else {
                    added.value(key).extend_from_slice(value.raw().as_bytes());
                }
            }
        });
        let text = inner.get(field).and_then(Node::text).unwrap_or_default();
        let logprobs = |event: &mut Object<'_>| {
            if name == "response.output_text" {
                drop(event.array("logprobs"));
            }
        };
        if !text.is_empty() {
            events.event(&format!("{name}.delta"), |event| {
                at(event);
                event.string("delta", &text);
                logprobs(event);
            });
        }
        let annotations = inner
            .get("annotations")
            .and_then(|notes| notes.elements().ok());
        for (note_number, note) in (0..).zip(annotations.unwrap_or_default()) {
            events.event("response.output_text.annotation.added", |event| {
                at(event);
                event.u64("annotation_index", note_number);
                event
                    .value("annotation")
                    .extend_from_slice(note.raw().as_bytes());
            });
        }
        events.event(&format!("{name}.done"), |event| {
            at(event);
            event.string(field, &text);
            logprobs(event);
        });
        events.event(&format!("{part_name}.done"), |event| {
            at(event);
            event.value("part").extend_from_slice(part.raw().as_bytes());
        });
    }
}
