//! Requests: tokens that came back become the upstream's own proofs again, where they may, and are dropped where not.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::token::{Content, Opened, Sealed, hash, looks_like};
use super::{Found, Item, Origin, Proof, Thought, Vault, Words, form, kept_name, large_name};
use crate::hub::{self, Opaque, Part, PartBody, Request, Role, ToolCall, Turn};
use crate::json::{self, Array, Node};
use crate::{At, DialectId, Losses, chat};

/// What becomes of the state of reasoning in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Carried,
    /// The upstream refused it: nothing that a vendor signed is sent, its own included.
    Dropped,
    /// The upstream asks for reasoning that was not sent; where it is not known, a blank stands in for it.
    Demanded,
}

impl Vault {
    /// Whether [`Self::open`] could change anything: what the history holds of reasoning, or a call that it may lack.
    pub fn concerns(request: &Request) -> bool {
        let mut turns = request.turns.iter();
        turns.any(|turn| {
            turn.role == Role::Assistant
                && (turn.extra.get(DialectId::Chat, chat::DETAILS).is_some()
                    || turn.parts.iter().any(|part| match &part.body {
                        PartBody::Reasoning(_) | PartBody::ToolCall(_) => true,
                        PartBody::Text(_)
                        | PartBody::Media(_)
                        | PartBody::ToolResult(_)
                        | PartBody::Refusal(_)
                        | PartBody::Opaque(_) => false,
                    }))
        })
    }

    /// The names of what the store may know of a request, for [`Self::open`].
    pub fn wants(&self, request: &Request, client: DialectId, to: &Origin) -> Vec<String> {
        let door = Door {
            vault: self,
            client,
            to,
            state: State::Carried,
            found: &Found::default(),
        };
        let mut names = Vec::new();
        if self.keep.is_some() && client != to.dialect {
            for turn in &request.turns {
                if turn.role == Role::Assistant {
                    door.wants(turn, &mut names);
                }
            }
        }
        names
    }

    /// Opens the tokens of a request that came in the dialect `client` and goes to `to`. What did not come from there is
    /// dropped, and so are proofs of the client's own dialect when `to` speaks another one. `found`: what the store has of what
    /// [`Self::wants`] named.
    pub fn open(
        &self,
        request: &mut Request,
        client: DialectId,
        to: &Origin,
        state: State,
        found: &Found,
        losses: &mut Losses,
    ) {
        let door = Door {
            vault: self,
            client,
            to,
            state,
            found,
        };
        for (index, turn) in (0..).zip(&mut request.turns) {
            if turn.role == Role::Assistant {
                door.turn(turn, index, losses);
            }
        }
    }
}

/// Leaves all reasoning of earlier answers out of a request.
pub fn leave_out(request: &mut Request) {
    for turn in &mut request.turns {
        turn.extra
            .fields
            .retain(|field| field.of != DialectId::Chat || field.key != chat::DETAILS);
        turn.parts
            .retain(|part| !matches!(part.body, PartBody::Reasoning(_)));
        for part in &mut turn.parts {
            if let PartBody::ToolCall(call) = &mut part.body {
                call.proof = None;
            }
        }
    }
}

/// Where a request came from, and where it goes.
struct Door<'a> {
    vault: &'a Vault,
    client: DialectId,
    to: &'a Origin,
    state: State,
    found: &'a Found,
}

/// A turn as it is put together again.
struct Parts {
    /// The dialect that proofs are restored to.
    of: DialectId,
    /// Up to the last call, and the thoughts that came before any text since.
    list: Vec<Part>,
    /// What else came since.
    since: Vec<Part>,
    /// Proofs of calls that came before their calls.
    waiting: Vec<(String, Proof)>,
}

impl Door<'_> {
    fn turn(&self, turn: &mut Turn, index: u32, losses: &mut Losses) {
        let at = turn.parts.first().map_or(At::Turn { turn: index }, |part| {
            crate::arrange::turn_of(&part.at)
        });
        let details_at = At::Field(format!("messages.{index}.{}", chat::DETAILS));
        let mut details: Vec<(String, Vec<Item>)> = Vec::new();
        for token in self.details(turn) {
            if let Some((anchor, items)) = self.unsealed(&token, &details_at, losses) {
                details.push((anchor, items));
            }
        }
        if details.is_empty() && tokens_in(turn).is_empty() {
            details = self.kept(turn);
        }
        let mut anchors: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut thoughts: Vec<Vec<Item>> = Vec::new();
        for (place, (anchor, items)) in details.into_iter().enumerate() {
            anchors.entry(anchor).or_default().push(place);
            thoughts.push(items);
        }
        // The first one of an anchor is the first to go.
        for places in anchors.values_mut() {
            places.reverse();
        }
        let mut parts = Parts::new(self.to.dialect);
        for part in std::mem::take(&mut turn.parts) {
            match part.body {
                PartBody::Reasoning(_) => self.thought(part, &mut parts, losses),
                PartBody::ToolCall(_) => {
                    let anchored = |id: &str| {
                        let place = anchors.get_mut(id)?.pop()?;
                        thoughts.get_mut(place).map(std::mem::take)
                    };
                    self.call(part, anchored, &mut parts, losses);
                }
                PartBody::Text(_)
                | PartBody::Media(_)
                | PartBody::ToolResult(_)
                | PartBody::Refusal(_)
                | PartBody::Opaque(_) => parts.since.push(part),
            }
        }
        for item in thoughts.into_iter().flatten() {
            parts.restore(item, None, &at, losses);
        }
        parts.list.append(&mut parts.since);
        turn.parts = parts.list;
    }

    /// Takes the tokens out of the `reasoning_details` of a Chat message; the client's other details stay.
    fn details(&self, turn: &mut Turn) -> Vec<String> {
        if self.client != DialectId::Chat {
            return Vec::new();
        }
        let fields = &mut turn.extra.fields;
        let is_details =
            |field: &hub::ExtraField| field.of == DialectId::Chat && field.key == chat::DETAILS;
        let Some(at) = fields.iter().position(is_details) else {
            return Vec::new();
        };
        let Some(field) = fields.get(at) else {
            return Vec::new();
        };
        let node = Node::from(&*field.json);
        let (tokens, others) = split_details(node);
        if !tokens.is_empty() {
            let field = fields.remove(at);
            if let Some(json) = others {
                fields.insert(at, hub::ExtraField { json, ..field });
            }
        }
        tokens
    }

    /// A thought, or a token in a thought's clothes.
    fn thought(&self, part: Part, parts: &mut Parts, losses: &mut Losses) {
        let PartBody::Reasoning(thought) = &part.body else {
            return;
        };
        let same = self.client == self.to.dialect;
        let Some(proof) = &thought.proof else {
            // Words that nobody signed are not repeated to another vendor as the model's own.
            if same {
                parts.since.push(part);
            }
            return;
        };
        let Some(token) = form::token_of(proof) else {
            // An item that shows what was thought, and proves nothing.
            if same {
                parts.since.push(part);
            }
            return;
        };
        match self.read(&token) {
            Opened::Other => {
                if same && self.state != State::Dropped && proof.of == self.client {
                    parts.since.push(part);
                } else {
                    let note = if same {
                        "dropped: the upstream refused it"
                    } else {
                        "dropped: reasoning that another vendor signed"
                    };
                    losses.push(part.at.clone(), "", note);
                }
            }
            Opened::Broken => losses.push(part.at.clone(), "", NOT_OURS),
            Opened::Ours(sealed) => {
                let Some(items) = self.usable(sealed, &part.at, losses) else {
                    return;
                };
                for item in items {
                    match self.client {
                        DialectId::Messages | DialectId::Responses => {
                            parts.in_place(item, &thought.text, &part.at, losses);
                        }
                        DialectId::Chat | DialectId::Gemini => {
                            parts.restore(item, Some(&thought.text), &part.at, losses);
                        }
                    }
                }
            }
        }
    }

    fn call(
        &self,
        mut part: Part,
        anchored: impl FnOnce(&str) -> Option<Vec<Item>>,
        parts: &mut Parts,
        losses: &mut Losses,
    ) {
        let PartBody::ToolCall(call) = &mut part.body else {
            return;
        };
        let mut items = Vec::new();
        if let Some(proof) = call.proof.take() {
            let token = form::token_of(&proof);
            match token.map_or(Opened::Other, |token| self.read(&token)) {
                Opened::Other => {
                    let native = self.client == self.to.dialect && proof.of == self.client;
                    if native && self.state != State::Dropped {
                        call.proof = Some(proof);
                    } else {
                        losses.push(
                            part.at.clone(),
                            proof.kind,
                            "dropped: another vendor signed it",
                        );
                    }
                }
                Opened::Broken => losses.push(part.at.clone(), proof.kind, NOT_OURS),
                Opened::Ours(sealed) => {
                    items.extend(self.usable(sealed, &part.at, losses).unwrap_or_default());
                }
            }
        }
        let thoughts = anchored(&call.id).unwrap_or_default();
        if !thoughts.is_empty() {
            items.splice(0..0, thoughts);
        }
        let at = part.at.clone();
        for item in items {
            parts.restore(item, None, &at, losses);
        }
        let PartBody::ToolCall(call) = &mut part.body else {
            return;
        };
        if call.proof.is_none() {
            let own = parts.waiting.iter().position(|(id, _)| *id == call.id);
            let place = own.or((!parts.waiting.is_empty()).then_some(0));
            call.proof = place
                .map(|place| parts.waiting.remove(place).1)
                .and_then(|proof| opaque(parts.of, proof));
        }
        parts.list.append(&mut parts.since);
        parts.list.push(part);
    }

    fn wants(&self, turn: &Turn, names: &mut Vec<String>) {
        let details = turn.extra.get(DialectId::Chat, chat::DETAILS);
        let mut tokens =
            details.map_or_else(Vec::new, |details| split_details(Node::from(details)).0);
        tokens.append(&mut tokens_in(turn));
        if tokens.is_empty() {
            names.extend(first_call(turn).into_iter().flat_map(kept_names));
        }
        for token in tokens {
            if let Opened::Ours(Sealed {
                content: Content::Kept(name),
                ..
            }) = self.read(&token)
            {
                names.push(large_name(&name));
            }
        }
    }

    /// What the store remembers of the calls of a turn, each with the call that it stands before.
    fn kept(&self, turn: &Turn) -> Vec<(String, Vec<Item>)> {
        let found = first_call(turn)
            .into_iter()
            .flat_map(kept_names)
            .find_map(|name| self.found.get(&name));
        let tokens = found.and_then(|bytes| std::str::from_utf8(bytes).ok());
        tokens
            .into_iter()
            .flat_map(str::lines)
            // What is merely remembered is no loss when it cannot be used.
            .filter_map(|token| self.unsealed(token, &At::Request, &mut Losses::default()))
            .collect()
    }

    fn unsealed(&self, token: &str, at: &At, losses: &mut Losses) -> Option<(String, Vec<Item>)> {
        match self.read(token) {
            Opened::Ours(sealed) => {
                let anchor = sealed.anchor.clone();
                Some((anchor, self.usable(sealed, at, losses)?))
            }
            Opened::Broken | Opened::Other => {
                losses.push(at.clone(), "", NOT_OURS);
                None
            }
        }
    }

    fn read(&self, token: &str) -> Opened {
        if !looks_like(token) {
            return Opened::Other;
        }
        match self.vault.key().open(token, self.client) {
            // Some clients of Chat write their requests in the form of Responses.
            Opened::Broken if self.client == DialectId::Responses => {
                self.vault.key().open(token, DialectId::Chat)
            }
            opened => opened,
        }
    }

    /// The items of a token, if they were made where the request goes.
    fn usable(&self, sealed: Sealed, at: &At, losses: &mut Losses) -> Option<Vec<Item>> {
        let Origin {
            provider,
            dialect,
            model,
        } = &sealed.origin;
        let items = match sealed.content {
            Content::Items(items) => items,
            Content::Kept(name) => {
                let token = self
                    .found
                    .get(&large_name(&name))
                    .and_then(|bytes| std::str::from_utf8(bytes).ok());
                match token.map(|token| self.read(token)) {
                    Some(Opened::Ours(Sealed {
                        content: Content::Items(items),
                        origin,
                        ..
                    })) if origin == sealed.origin => items,
                    _ => {
                        let note = "dropped: too old, its reasoning is no longer in the store";
                        losses.push(at.clone(), "", note);
                        return None;
                    }
                }
            }
        };
        let route = *provider == self.to.provider && *dialect == self.to.dialect;
        // A newer model of Anthropic's may read an older one's; the others bind to the model.
        let model = *dialect == DialectId::Messages || *model == self.to.model;
        let proved = items.iter().any(Item::is_proved);
        if !route || proved && !model {
            let note = format!("dropped: reasoning of {provider}, which no other takes");
            losses.push(at.clone(), "", note);
            return None;
        }
        if proved && self.state == State::Dropped {
            losses.push(at.clone(), "", "dropped: the upstream refused it");
            return None;
        }
        Some(items)
    }
}

const NOT_OURS: &str = "dropped: a proof of reasoning that was changed, or sealed by another gateway or for another caller";

impl Parts {
    fn new(of: DialectId) -> Self {
        Self {
            of,
            list: Vec::new(),
            since: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Puts what was restored where the token stands.
    fn in_place(&mut self, item: Item, seen: &str, at: &At, losses: &mut Losses) {
        match item {
            Item::Call { id, proof } => self.waiting.push((id, proof)),
            Item::Thought(thought) => {
                if let Some(part) = rebuilt(self.of, thought, seen, at, losses) {
                    self.since.push(part);
                }
            }
        }
    }

    /// Puts what was restored where it stood in the answer: behind the last call, before or after what was said since.
    fn restore(&mut self, item: Item, seen: Option<&str>, at: &At, losses: &mut Losses) {
        match item {
            Item::Call { id, proof } => self.waiting.push((id, proof)),
            Item::Thought(thought) => {
                let after_text = thought.after_text;
                let Some(part) = rebuilt(self.of, thought, seen.unwrap_or_default(), at, losses)
                else {
                    return;
                };
                if after_text {
                    self.since.push(part);
                } else {
                    self.list.push(part);
                }
            }
        }
    }
}

fn rebuilt(
    of: DialectId,
    thought: Thought,
    seen: &str,
    at: &At,
    losses: &mut Losses,
) -> Option<Part> {
    let text = match thought.words {
        Words::Whole(text) => text,
        Words::Seen(known) if hash(seen.as_bytes()) == known => seen.to_owned(),
        Words::Seen(_) => {
            losses.push(
                at.clone(),
                "",
                "dropped: the text beside its proof was changed",
            );
            return None;
        }
    };
    let proof = match thought.proof {
        Some(proof) => Some(opaque(of, proof)?),
        None => None,
    };
    let thought = hub::Thought {
        text,
        proof,
        redacted: thought.redacted,
    };
    Some(Part::new(PartBody::Reasoning(thought), at.clone()))
}

fn opaque(of: DialectId, proof: Proof) -> Option<Opaque> {
    Some(Opaque {
        of,
        kind: proof.kind,
        json: json::raw(proof.json)?,
    })
}

/// The tokens on the thoughts and calls of a turn.
fn tokens_in(turn: &Turn) -> Vec<String> {
    let tokens = turn.parts.iter().filter_map(|part| {
        let proof = match &part.body {
            PartBody::Reasoning(thought) => thought.proof.as_ref(),
            PartBody::ToolCall(call) => call.proof.as_ref(),
            PartBody::Text(_)
            | PartBody::Media(_)
            | PartBody::ToolResult(_)
            | PartBody::Refusal(_)
            | PartBody::Opaque(_) => None,
        };
        let token = proof.and_then(form::token_of)?;
        looks_like(&token).then(|| token.into_owned())
    });
    tokens.collect()
}

fn first_call(turn: &Turn) -> Option<&ToolCall> {
    turn.parts.iter().find_map(|part| match &part.body {
        PartBody::ToolCall(call) => Some(call),
        PartBody::Text(_)
        | PartBody::Media(_)
        | PartBody::Reasoning(_)
        | PartBody::ToolResult(_)
        | PartBody::Refusal(_)
        | PartBody::Opaque(_) => None,
    })
}

/// The names under which a call's tokens may lie: Gemini CLI puts the tool's name in front of ids.
fn kept_names(call: &ToolCall) -> Vec<String> {
    let bare = call
        .id
        .strip_prefix(call.name.as_str())
        .and_then(|id| id.strip_prefix("__"));
    [Some(call.id.as_str()), bare]
        .into_iter()
        .flatten()
        .map(|id| kept_name(id, &call.arguments))
        .collect()
}

/// The tokens among `reasoning_details`, and the list of all others, if there are any.
fn split_details(details: Node<'_>) -> (Vec<String>, Option<Box<RawValue>>) {
    let mut tokens = Vec::new();
    let mut rest = Vec::new();
    let mut others = Array::new(&mut rest);
    for detail in details.elements().unwrap_or_default() {
        let data = detail
            .fields()
            .ok()
            .and_then(|fields| fields.get("data")?.text());
        match data.filter(|data| looks_like(data)) {
            Some(token) => tokens.push(token.into_owned()),
            None => others.value().extend_from_slice(detail.raw().as_bytes()),
        }
    }
    let empty = others.is_empty();
    drop(others);
    let rest = (!empty)
        .then(|| json::raw(String::from_utf8(rest).ok()?))
        .flatten();
    (tokens, rest)
}
