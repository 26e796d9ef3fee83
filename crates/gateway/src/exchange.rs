//! One caller's request for an answer: what its door, its headers and its body say.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::HeaderMap;
use lingate_dialect::envelope::Envelope;
use lingate_dialect::estimate::Rough;
use lingate_dialect::framing::Framing;
use lingate_dialect::json::{Node, escape_into};
use lingate_dialect::model_tag::{self, Tagged};
use lingate_dialect::{ApiError, DialectId, ErrorKind, Malformed, Mint, hub};
use lingate_routing::{Auth, Snapshot};
use lingate_upstream::Payload;
use serde_json::value::RawValue;

use crate::attempt::Failure;
use crate::caller::Caller;
use crate::doors::AnswerDoor;
use crate::facts::{Found, Reading, Told};
use crate::ledger::Said;
use crate::state::State;

/// A request for an answer. Decoded into the hub only when a target speaks another dialect.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) mint: Mint,
    /// What the caller is answered in.
    pub(crate) dialect: DialectId,
    /// What its body is written in: some clients of Chat send the body of Responses to Chat's path, and read Chat's answers.
    pub(crate) written: DialectId,
    /// How the caller wants a streamed answer to be framed.
    pub(crate) framing: Framing,
    /// As the caller named it; [`Self::routed_model`] decides where the request goes.
    pub(crate) model: String,
    /// The model that a tag in the text named. The body has none any more.
    tagged: Option<String>,
    /// What the caller's key has instead of the model that is asked for.
    mapped: Option<String>,
    /// A limit of the caller's has put another model in place of the one that was asked for.
    gave_way: bool,
    /// How much it may take, in its own words.
    pub(crate) said: Said,
    /// What it uses counts against limits, or is charged.
    pub(crate) metered: bool,
    pub(crate) stream: bool,
    pub(crate) body: Bytes,
    pub(crate) headers: HeaderMap,
    /// Without the credential.
    pub(crate) query: String,
    /// A conversation is to be made shorter, not answered (Responses).
    pub(crate) compact: bool,
    /// What it refers to of earlier answers, and whether its own is to be kept (Responses).
    pub(crate) state: Option<State>,
    /// Whose request it is, for what is sealed and stored.
    pub(crate) scope: String,
    pub(crate) snapshot: Arc<Snapshot>,
    model_in_path: bool,
    /// The path names the model, and the body names none or another.
    body_differs: bool,
    /// Where the body names the model; a range of `body`.
    model_place: Option<Range<usize>>,
    decoded: OnceLock<Result<hub::Request, ApiError>>,
    rough: OnceLock<Rough>,
    found: Found,
}

impl Exchange {
    /// Reads the model and whether to stream; nothing else of the body is looked at yet.
    pub(crate) fn new(
        door: AnswerDoor,
        mint: Mint,
        headers: HeaderMap,
        query: String,
        body: Bytes,
        snapshot: Arc<Snapshot>,
    ) -> Result<Self, ApiError> {
        let envelope = Envelope::scan(&body).map_err(|fault| malformed(&fault))?;
        let model_in_path = door.model.is_some();
        let in_path = door.model.as_deref();
        let body_differs = in_path.is_some() && envelope.text("model").as_deref() != in_path;
        let model = match door.model {
            Some(model) => model,
            None => model_of(envelope.node("model").map_err(|fault| malformed(&fault))?)?,
        };
        short_enough(&model)?;
        let stream = match (
            door.stream,
            envelope.node("stream").map_err(|fault| malformed(&fault))?,
        ) {
            (Some(stream), _) => stream,
            (None, None) => false,
            (None, Some(stream)) if stream.is_null() => false,
            (None, Some(stream)) => stream
                .require_bool()
                .map_err(|fault| malformed(&fault.inside("stream")))?,
        };
        let has = |key: &str| envelope.place(key).is_some();
        let written = if door.dialect == DialectId::Chat && has("input") && !has("messages") {
            DialectId::Responses
        } else {
            door.dialect
        };
        let said = Said::read(written, &envelope, &body, &headers);
        let mut model_place = envelope.place("model");
        let tagged = model_tag(&snapshot, &body, written);
        let (tagged, body) = match tagged {
            Some(Tagged { model, body }) => {
                let envelope = Envelope::scan(&body).map_err(|fault| malformed(&fault))?;
                model_place = envelope.place("model");
                (Some(model), Bytes::from(body))
            }
            None => (None, body),
        };
        let sse =
            door.dialect != DialectId::Gemini || query.split('&').any(|pair| pair == "alt=sse");
        let framing = if sse {
            Framing::Sse
        } else {
            Framing::JsonArray
        };
        Ok(Self {
            mint,
            dialect: door.dialect,
            written,
            framing,
            model,
            tagged,
            mapped: None,
            gave_way: false,
            said,
            metered: false,
            stream,
            body,
            headers,
            query,
            compact: door.compact,
            state: None,
            scope: String::new(),
            snapshot,
            model_in_path,
            body_differs,
            model_place,
            decoded: OnceLock::new(),
            rough: OnceLock::new(),
            found: Found::default(),
        })
    }

    /// The same request once more, from the beginning; nothing is stored for it. `None` where it has to do with what is stored.
    pub(crate) fn copy(&self) -> Option<Self> {
        let goes_on = self.state.as_ref().is_some_and(State::goes_on);
        if self.compact || goes_on {
            return None;
        }
        let mut envelope = Envelope::scan(&self.body).ok()?;
        let stores = match self.written {
            // Unless it is told not to.
            DialectId::Responses => true,
            DialectId::Chat => envelope.place("store").is_some(),
            DialectId::Messages | DialectId::Gemini => false,
        };
        let (body, model_place) = if stores {
            let no = RawValue::from_string("false".to_owned()).ok()?;
            envelope.set("store", &no);
            let body = Bytes::from(envelope.apply());
            let place = Envelope::scan(&body).ok()?.place("model");
            (body, place)
        } else {
            (self.body.clone(), self.model_place.clone())
        };
        Some(Self {
            mint: self.mint,
            dialect: self.dialect,
            written: self.written,
            framing: self.framing,
            model: self.model.clone(),
            tagged: self.tagged.clone(),
            mapped: self.mapped.clone(),
            gave_way: self.gave_way,
            said: self.said.clone(),
            metered: false,
            stream: self.stream,
            body,
            headers: self.headers.clone(),
            query: self.query.clone(),
            compact: false,
            state: None,
            scope: self.scope.clone(),
            snapshot: Arc::clone(&self.snapshot),
            model_in_path: self.model_in_path,
            body_differs: self.body_differs,
            model_place,
            decoded: OnceLock::new(),
            rough: OnceLock::new(),
            found: Found::default(),
        })
    }

    /// The model that decides where the request goes: what the caller's key has for it, else the one that a tag in the text names,
    /// else the one that the request does. Answers name the last.
    pub(crate) fn routed_model(&self) -> &str {
        let mapped = self.mapped.as_deref().or(self.tagged.as_deref());
        mapped.unwrap_or(&self.model)
    }

    /// The model that the caller must be allowed to ask for: the one that a tag names, else the one that the request does.
    fn asked_model(&self) -> &str {
        self.tagged.as_deref().unwrap_or(&self.model)
    }

    /// Refuses the request if the caller may not ask for its model, and looks up what its key has for it. Call it before anything is
    /// asked of the exchange.
    pub(crate) fn asked_by(&mut self, caller: &Caller) -> Result<(), ApiError> {
        caller.may_ask_for(self.asked_model())?;
        if caller.principal().is_choosy() {
            self.asks_for_no_other(caller)?;
        }
        self.mapped = caller
            .principal()
            .mapped(self.asked_model())
            .map(str::to_owned);
        Ok(())
    }

    /// Some upstreams take further models out of the body, and read its keys in any case: all of those must be allowed, too.
    fn asks_for_no_other(&self, caller: &Caller) -> Result<(), ApiError> {
        let envelope = Envelope::scan(&self.body).map_err(|fault| malformed(&fault))?;
        let mut models = 0;
        for (key, json) in envelope.fields() {
            let lower = key.to_ascii_lowercase();
            if lower == "model" {
                models += 1;
                if models > 1 || key != "model" {
                    let message = "is there twice, or in other letters than `model`: servers do not agree on which they read";
                    return Err(malformed(&Malformed::new(key, message)));
                }
            }
            let names = matches!(lower.as_str(), "models" | "fallbacks" | "fallback_models");
            if !names {
                continue;
            }
            let list = Node::parse(json.as_bytes()).and_then(Node::one_or_many);
            for other in list.map_err(|fault| malformed(&fault.inside(key)))? {
                let inner = other.fields().ok();
                let inner = inner.as_ref().and_then(|fields| fields.get("model"));
                if let Some(model) = inner.unwrap_or(other).text() {
                    caller.may_ask_for(&model)?;
                }
            }
        }
        Ok(())
    }

    /// Another model is asked instead, since limits of the one that was asked for are reached.
    pub(crate) fn give_way_to(&mut self, model: String) {
        self.mapped = Some(model);
        self.gave_way = true;
        // Some of what was found is of the model.
        self.found = Found::default();
    }

    /// The names that limits may know the request's model by, beside the one that its upstream does. What is asked instead of another model
    /// does not go by the name of that one.
    pub(crate) fn names(&self) -> [&str; 2] {
        let routed = self.routed_model();
        let asked = if self.gave_way { routed } else { &self.model };
        [routed, asked]
    }

    /// Whether a tag in the text names the model, and not the request.
    pub(crate) fn model_is_from_text(&self) -> bool {
        self.tagged.is_some()
    }

    /// What routes may ask of the request. Nothing is looked for before one does.
    pub(crate) fn facts<'a>(&'a self, caller: &'a Caller) -> Told<'a> {
        Told {
            caller,
            headers: &self.headers,
            body: self.body_for(None),
            model: self.routed_model(),
            now: self.mint.now,
            request: Reading::Lazy(self),
            found: &self.found,
        }
    }

    /// Whether the body must name a model, and names another than this one.
    pub(crate) fn body_wants(&self, model: &str) -> bool {
        let in_body = !self.model_in_path || self.dialect != DialectId::Gemini;
        in_body && (self.model != model || self.body_differs)
    }

    /// The body for a provider that speaks the caller's dialect, or (`None`) for one that does not.
    pub(crate) fn body_for(&self, provider: Option<&str>) -> &Bytes {
        let written_out = self.state.as_ref().and_then(|state| state.body(provider));
        written_out.unwrap_or(&self.body)
    }

    /// The same body with another model; every other byte stays as it is.
    pub(crate) fn with_model(&self, body: &Bytes, model: &str) -> Result<Payload, ApiError> {
        let own = body.as_ptr() == self.body.as_ptr();
        let Some((before, after)) =
            self.model_place.as_ref().filter(|_| own).and_then(|place| {
                Some((self.body.get(..place.start)?, self.body.get(place.end..)?))
            })
        else {
            let mut envelope = Envelope::scan(body).map_err(|fault| malformed(&fault))?;
            envelope.set_text("model", model);
            return Ok(Payload::from(Bytes::from(envelope.apply())));
        };
        let mut name = Vec::with_capacity(model.len() + 2);
        escape_into(&mut name, model);
        let [before, after] = [before, after].map(|part| self.body.slice_ref(part));
        Ok(Payload::from_iter([before, Bytes::from(name), after]))
    }

    /// What a guess at the prompt's tokens begins with; the bytes are looked through once, whoever guesses and for which model.
    pub(crate) fn rough(&self) -> &Rough {
        self.rough.get_or_init(|| Rough::of(self.body_for(None)))
    }

    /// The request in the hub; decoded once, however many attempts there are.
    pub(crate) fn decoded(&self) -> Result<&hub::Request, Failure> {
        let decoded = self.decoded.get_or_init(|| {
            let mut request = self
                .written
                .dialect()
                .decode_request(self.body_for(None))
                .map_err(|fault| malformed(&fault))?;
            request.model.clone_from(&self.model);
            request.stream = self.stream;
            if let Some(state) = &self.state {
                state.tell(&mut request);
            }
            Ok(request)
        });
        decoded
            .as_ref()
            .map_err(|error| Failure::of_request(error.clone()))
    }
}

/// The model that the body names in a tag, where such tags are obeyed. A caller's own key belongs to one vendor, and no text may
/// send it to another.
pub(crate) fn model_tag(snapshot: &Snapshot, body: &[u8], written: DialectId) -> Option<Tagged> {
    let obeyed = snapshot.defaults.subagent_tag && snapshot.auth != Auth::Passthrough;
    obeyed.then(|| model_tag::take(body, written)).flatten()
}

/// Bytes of a model's name: it is logged, and remembered with what fails. No model has a longer one, not even one that is a path.
const LONGEST_MODEL: usize = 512;

/// Refuses a name that is none.
pub(crate) fn short_enough(model: &str) -> Result<(), ApiError> {
    if model.len() <= LONGEST_MODEL {
        return Ok(());
    }
    let message = format!(
        "has {} bytes, and a model's name has at most {LONGEST_MODEL}",
        model.len()
    );
    Err(malformed(&Malformed::new("model", message)))
}

fn model_of(node: Option<Node<'_>>) -> Result<String, ApiError> {
    let model = node
        .filter(|node| !node.is_null())
        .ok_or_else(|| Malformed::new("model", "is required: name the model that shall answer"));
    let model = model
        .and_then(|node| node.string().map_err(|fault| fault.inside("model")))
        .map_err(|fault| malformed(&fault))?;
    if model.trim().is_empty() {
        return Err(malformed(&Malformed::new(
            "model",
            "is empty: name the model that shall answer",
        )));
    }
    Ok(model)
}

/// A body that cannot be read, as an error that names the field.
pub(crate) fn malformed(fault: &Malformed) -> ApiError {
    let error = ApiError::new(ErrorKind::BadRequest, fault.to_string());
    if fault.path.is_empty() {
        error
    } else {
        error.param(fault.path.clone())
    }
}

#[cfg(test)]
mod tests {
    use lingate_routing::Facts as _;

    use super::*;

    fn exchange(snapshot: Snapshot, body: &'static str) -> Exchange {
        let door = AnswerDoor {
            dialect: DialectId::Chat,
            model: None,
            stream: None,
            compact: false,
        };
        let mint = Mint { now: 0, id: 1 };
        let body = Bytes::from_static(body.as_bytes());
        let (headers, query) = (HeaderMap::new(), String::new());
        Exchange::new(door, mint, headers, query, body, Arc::new(snapshot)).unwrap()
    }

    #[test]
    fn the_body_is_decoded_when_a_fact_of_it_is_asked_for() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
        let exchange = exchange(Snapshot::default(), body);
        let caller = Caller::open();
        let facts = exchange.facts(&caller);
        let outside = (facts.key(), facts.tenant(), facts.header("x-tier"));
        assert_eq!(outside, (None, None, None));
        assert!(facts.tags().is_empty());
        assert!(facts.clock("UTC").is_some());
        assert!(exchange.decoded.get().is_none(), "decoded for nothing");
        assert_eq!(facts.last_text(), "Hi");
        assert!(exchange.decoded.get().is_some());
    }

    #[test]
    fn a_body_that_cannot_be_decoded_tells_nothing() {
        let exchange = exchange(
            Snapshot::default(),
            r#"{"model":"m","messages":7,"metadata":{"tags":["a"]},"tools":[{}]}"#,
        );
        let caller = Caller::open();
        let facts = exchange.facts(&caller);
        assert_eq!((facts.tokens(), facts.max_output()), (0, None));
        assert_eq!((facts.thinking(), facts.images()), (false, false));
        assert!(facts.tools().is_empty() && facts.tags().is_empty());
        assert_eq!((facts.last_text().as_ref(), facts.prefix()), ("", 0));
        assert_eq!((facts.user(), facts.session()), (None, None));
        assert!(exchange.decoded().is_err());
    }

    #[test]
    fn a_tag_decides_where_it_is_obeyed() {
        let body = r#"{"messages":[{"role":"user","content":"<lingate-model>b</lingate-model>Hi"}],"model":"a"}"#;
        let without = r#"{"messages":[{"role":"user","content":"Hi"}],"model":"a"}"#;
        let tagged = exchange(Snapshot::default(), body);
        assert_eq!((tagged.routed_model(), tagged.model.as_str()), ("b", "a"));
        assert_eq!(tagged.body, without);
        let renamed = tagged.with_model(&tagged.body, "c").unwrap().joined();
        assert_eq!(renamed, without.replace("\"a\"", "\"c\""));

        let mut off = Snapshot::default();
        off.defaults.subagent_tag = false;
        let passthrough = Snapshot {
            auth: Auth::Passthrough,
            ..Snapshot::default()
        };
        for snapshot in [off, passthrough] {
            let exchange = exchange(snapshot, body);
            assert_eq!(exchange.routed_model(), "a");
            assert_eq!(exchange.body, body);
        }
    }
}
