//! What a request says about stored state, and what that comes to: which targets can take it, and with which body.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use lingate_dialect::envelope::Envelope;
use lingate_dialect::json::{Array, Node, escape_into, raw};
use lingate_dialect::{ApiError, DialectId, ErrorKind, Malformed, hub};
use lingate_routing::{Plan, Snapshot};
use memchr::memmem;
use rustc_hash::FxHashMap;
use serde_json::value::RawValue;

use super::chain::{Chain, KnownItems, Place, write_item, write_output};
use super::record::Maker;
use crate::Gateway;
use crate::caller::Caller;
use crate::exchange::malformed;

/// Items that one request may refer to: each is looked up.
const MOST_REFERENCES: usize = 1000;

/// Stored state of one request of the Responses API.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) scope: String,
    /// The answer is to be kept.
    pub(crate) store: bool,
    /// And here, whoever else does.
    kept_here: bool,
    pub(crate) background: bool,
    /// The answer that the request continues.
    pub(crate) previous: Option<String>,
    /// The body with what it refers to written out, for whoever does not have it.
    written_out: Option<Bytes>,
    /// `input` as it is to be kept, where it differs from the body's.
    input: Option<Box<RawValue>>,
    /// The provider that has everything the body refers to.
    holder: Option<String>,
    /// It turned out that it has not.
    lost: AtomicBool,
    needs: Option<Needs>,
    /// The provider that alone has what the request continues.
    only: Option<String>,
    /// Who answered; set once, when somebody has.
    made: OnceLock<Maker>,
}

/// Why only an upstream of this dialect can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Needs {
    /// A field that only such an upstream understands.
    Field(&'static str),
    /// An operation that only such an upstream has.
    Compaction,
    /// An answer that is not here, but may be with the upstream.
    Previous(String),
    /// An item that is not here, but may be with the upstream.
    Item(String),
}

/// What the body says.
#[derive(Debug)]
struct Said {
    store: bool,
    background: bool,
    previous: Option<String>,
    needs: Option<Needs>,
    /// Ids of items that are referred to.
    references: Vec<String>,
}

/// A request of the Responses API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) body: &'a Bytes,
    pub(crate) snapshot: &'a Snapshot,
    /// In seconds since 1970.
    pub(crate) now: i64,
    /// A conversation is to be made shorter, not answered.
    pub(crate) compact: bool,
}

impl State {
    /// Reads the request, and looks up what it refers to.
    pub(crate) async fn read(
        gateway: &Gateway,
        asked: &Asked<'_>,
        caller: &Caller,
    ) -> Result<Self, ApiError> {
        let elsewhere = alone(gateway, caller);
        let said = Said::read(asked, elsewhere).map_err(|fault| malformed(&fault))?;
        let snapshot = asked.snapshot;
        let scope = caller.scope();
        let place = Place {
            shelf: &gateway.responses,
            scope: &scope,
            now: asked.now,
            most: snapshot.defaults.body_limit,
        };
        let mut needs = said.needs;
        let mut only = None;
        let mut holders: Vec<Option<String>> = Vec::new();
        let mut chain = None;
        if let Some(id) = &said.previous {
            match place.chain(id).await? {
                Some(found) => {
                    let holder = found.holder().map(str::to_owned);
                    if found.whole {
                        chain = Some(found);
                    } else {
                        needs.get_or_insert(Needs::Previous(id.clone()));
                        only.clone_from(&holder);
                    }
                    holders.push(holder);
                }
                None if elsewhere => {
                    needs.get_or_insert(Needs::Previous(id.clone()));
                }
                None => return Err(previous_not_found(id)),
            }
        }
        let mut items: FxHashMap<String, String> = FxHashMap::default();
        let mut known = KnownItems::default();
        let mut size = 0;
        for id in said.references {
            match place.item(&id, &mut known).await? {
                Some((item, maker)) => {
                    // The same one may be referred to many times.
                    size += item.len() as u64;
                    if size > place.most {
                        return Err(place.too_large("input"));
                    }
                    holders.push(maker.native.then(|| maker.provider.clone()));
                    items.entry(id).or_insert_with(|| item.clone());
                }
                None if elsewhere => {
                    needs.get_or_insert(Needs::Item(id));
                }
                None => return Err(item_not_found(&id)),
            }
        }
        let mut state = Self {
            scope,
            store: said.store,
            kept_here: said.store && snapshot.state.enabled,
            background: said.background,
            previous: said.previous,
            written_out: None,
            input: None,
            holder: None,
            lost: AtomicBool::new(false),
            needs,
            only,
            made: OnceLock::new(),
        };
        if chain.is_some() || !items.is_empty() {
            state
                .write_out(asked.body, chain.as_ref(), &items)
                .map_err(|fault| malformed(&fault))?;
        }
        // Only one that has all of it can do without.
        if let Some(Some(first)) = holders.first()
            && holders.iter().all(|holder| holder.as_ref() == Some(first))
        {
            state.holder = Some(first.clone());
        }
        Ok(state)
    }

    fn write_out(
        &mut self,
        body: &[u8],
        chain: Option<&Chain>,
        items: &FxHashMap<String, String>,
    ) -> Result<(), Malformed> {
        let mut envelope = Envelope::scan(body)?;
        let own = envelope.node("input")?;
        let own = own.map_or(Ok(Vec::new()), Node::one_or_many)?;
        let resolved = |item: Node<'_>, out: &mut Array<'_>| match reference(item)
            .and_then(|id| items.get(&id))
        {
            Some(item) => write_output(item, out),
            None => write_item(item, out),
        };
        if !items.is_empty() {
            let mut kept = Vec::new();
            {
                let mut out = Array::new(&mut kept);
                for item in &own {
                    resolved(*item, &mut out);
                }
            }
            self.input = String::from_utf8(kept).ok().and_then(raw);
        }
        let mut all = Vec::new();
        {
            let mut out = Array::new(&mut all);
            if let Some(chain) = chain {
                chain.write(&mut out);
            }
            for item in own {
                resolved(item, &mut out);
            }
        }
        let all = String::from_utf8(all).ok().and_then(raw);
        let all =
            all.ok_or_else(|| Malformed::new("input", "cannot be put behind what it continues"))?;
        envelope.set("input", &all);
        if chain.is_some() {
            envelope.remove("previous_response_id");
        }
        self.written_out = Some(Bytes::from(envelope.apply()));
        Ok(())
    }

    /// Leaves of the targets those that can take the request.
    pub(crate) fn narrow(&self, plan: &mut Plan) -> Result<(), ApiError> {
        let Some(needs) = &self.needs else {
            return Ok(());
        };
        let mut asked = String::new();
        plan.retain(|target| {
            let endpoint = target.provider.endpoints.get(target.endpoint);
            let speaks = endpoint.is_some_and(|at| at.dialect == DialectId::Responses);
            let has = self
                .only
                .as_ref()
                .is_none_or(|only| target.provider.name == *only);
            if asked.is_empty() {
                asked.clone_from(&target.provider.name);
            }
            speaks && has
        });
        if plan.legs.is_empty() {
            return Err(match (&self.only, &self.previous) {
                (Some(only), Some(previous)) => only_there(previous, only, &asked),
                _ => needs.refuse(&asked),
            });
        }
        Ok(())
    }

    /// It refers to what is stored, or asks for what only a store can do.
    pub(crate) fn goes_on(&self) -> bool {
        self.background
            || self.previous.is_some()
            || self.needs.is_some()
            || self.holder.is_some()
            || self.written_out.is_some()
    }

    /// The body for a provider, if it is not the caller's own; `None` as `provider`: for one of another dialect.
    pub(crate) fn body(&self, provider: Option<&str>) -> Option<&Bytes> {
        let has = provider.is_some() && provider == self.holder.as_deref();
        let has = has && !self.lost.load(Ordering::Relaxed);
        self.written_out.as_ref().filter(|_| !has)
    }

    /// Tells a request for an upstream of another dialect what is done here in its stead.
    pub(crate) fn tell(&self, request: &mut hub::Request) {
        if self.kept_here {
            // Not lost with an upstream that stores nothing.
            request.store = request.store.filter(|store| !store);
        }
        let Some(echo) = &mut request.responses else {
            return;
        };
        let mut told = vec![("store", Some(self.kept_here.to_string()))];
        // It was written out, and the answer names it all the same.
        if self.written_out.is_some() {
            told.push((
                "previous_response_id",
                self.previous.as_ref().map(|id| quoted(id)),
            ));
        }
        let fields = &mut Arc::make_mut(echo).fields;
        for (key, json) in told {
            if let Some(json) = json.and_then(raw) {
                fields.retain(|(known, _)| known != key);
                fields.push((key.to_owned(), json));
            }
        }
    }

    /// Whether `error` means that the provider has not what the request refers to, though it once had, and it can be written out.
    /// From now on it is.
    pub(crate) fn lost_by(&self, provider: &str, error: &ApiError) -> bool {
        let was_trusted = self.written_out.is_some() && self.body(Some(provider)).is_none();
        let about_state = || {
            let code = error.code.as_deref().unwrap_or_default();
            code.contains("previous_response")
                || error.param.as_deref() == Some("previous_response_id")
                || error.message.contains("previous_response_id")
                || error.message.contains("Previous response")
                || error.message.contains("Item with id")
        };
        let kind = matches!(
            error.kind,
            ErrorKind::BadRequest | ErrorKind::NotFound | ErrorKind::Unsupported
        );
        let lost = was_trusted && kind && about_state();
        if lost {
            self.lost.store(true, Ordering::Relaxed);
        }
        lost
    }

    /// Says who answered.
    pub(crate) fn made_by(&self, provider: &str, native: bool) {
        // A request is answered once.
        let _ = self.made.set(Maker {
            provider: provider.to_owned(),
            native,
        });
    }

    pub(crate) fn maker(&self) -> Option<&Maker> {
        self.made.get()
    }

    /// What is kept of the request.
    pub(crate) fn kept_input(&self, body: &[u8]) -> Option<Box<RawValue>> {
        if let Some(input) = &self.input {
            return Some(input.clone());
        }
        let envelope = Envelope::scan(body).ok()?;
        let input = envelope.node("input").ok()?;
        input.map_or_else(|| raw("[]"), |input| Some(input.to_raw()))
    }
}

impl Said {
    fn read(asked: &Asked<'_>, alone: bool) -> Result<Self, Malformed> {
        let envelope = Envelope::scan(asked.body)?;
        let flag = |key: &str| match envelope.node(key)? {
            None => Ok(None),
            Some(flag) => flag
                .require_bool()
                .map(Some)
                .map_err(|fault| fault.inside(key)),
        };
        let previous = match envelope.node("previous_response_id")? {
            None => None,
            Some(id) => Some(
                id.string()
                    .map_err(|fault| fault.inside("previous_response_id"))?,
            ),
        };
        let background = flag("background")? == Some(true);
        let mut needs = None;
        if asked.compact {
            needs = Some(Needs::Compaction);
        } else if background {
            needs = Some(Needs::Field("background"));
        } else {
            for key in ["prompt", "conversation"] {
                if envelope.node(key)?.is_some() {
                    needs = Some(Needs::Field(key));
                }
            }
        }
        let mut references = Vec::new();
        // Where a vendor's account is shared, none may pass unseen: words can be spelled with escapes, and the type left out.
        let suspicious = !alone || memmem::find(asked.body, b"\"item_reference\"").is_some();
        if suspicious && let Some(input) = envelope.node("input")? {
            references = input
                .one_or_many()?
                .into_iter()
                .filter_map(reference)
                .collect();
            if references.len() > MOST_REFERENCES {
                let message = format!("refers to more than {MOST_REFERENCES} items");
                return Err(Malformed::new("input", message));
            }
        }
        Ok(Self {
            store: flag("store")? != Some(false) && !asked.compact,
            background,
            previous,
            needs,
            references,
        })
    }
}

fn quoted(text: &str) -> String {
    let mut json = Vec::new();
    escape_into(&mut json, text);
    String::from_utf8(json).unwrap_or_default()
}

/// The id that an item refers to, if that is all it is. The type may be left out.
fn reference(item: Node<'_>) -> Option<String> {
    let fields = item.fields().ok()?;
    let is = match fields.get("type").filter(|kind| !kind.is_null()) {
        Some(kind) => kind.text()? == "item_reference",
        None => fields.get("role").is_none(),
    };
    is.then(|| fields.get("id")?.string().ok()).flatten()
}

impl Needs {
    fn refuse(&self, asked: &str) -> ApiError {
        match self {
            Self::Field(field) => ApiError::new(
                ErrorKind::Unsupported,
                format!(
                    "'{field}' needs an upstream that speaks the Responses API; '{asked}', which serves this model, does not"
                ),
            )
            .param(*field)
            .code("server_state_unavailable"),
            Self::Compaction => ApiError::new(
                ErrorKind::NotImplemented,
                format!(
                    "conversations are compacted by upstreams that speak the Responses API; '{asked}', which serves this model, does not"
                ),
            ),
            Self::Previous(id) => previous_not_found(id),
            Self::Item(id) => item_not_found(id),
        }
    }
}

/// Whether the caller shares no vendor account with other callers, so that what is not known here may be looked for there: nobody
/// else's could be found.
fn alone(gateway: &Gateway, caller: &Caller) -> bool {
    match caller {
        Caller::Open(_) | Caller::Passthrough(..) => true,
        Caller::Named(_) => gateway.governance.directory().len() == 1,
    }
}

fn previous_not_found(id: &str) -> ApiError {
    ApiError::new(
        ErrorKind::BadRequest,
        format!("Previous response with id '{id}' not found."),
    )
    .param("previous_response_id")
    .code("previous_response_not_found")
}

fn only_there(id: &str, provider: &str, asked: &str) -> ApiError {
    ApiError::new(
        ErrorKind::BadRequest,
        format!(
            "The response '{id}' is stored by '{provider}' alone and cannot be continued by '{asked}', which serves this model."
        ),
    )
    .param("previous_response_id")
    .code("previous_response_not_found")
}

fn item_not_found(id: &str) -> ApiError {
    ApiError::new(
        ErrorKind::NotFound,
        format!("Item with id '{id}' not found."),
    )
    .code("item_not_found")
    .param("input")
}
