//! Answers: proofs of the upstream become tokens in the client's own form, between decoder and encoder.

use std::sync::Arc;

use super::token::{Content, Sealed, Spelling, hash};
use super::{Item, Origin, Proof, Thought, Vault, Witness, Words, form, kept_name, large_name};
use crate::hub::{self, Choice, Delta, Event, Opaque, Open, Part, PartBody, Response};
use crate::{At, DialectId, messages};

/// The longest text of a thought that is remembered, in bytes.
const LONGEST: usize = 1 << 20;

/// What waits for a call at once, in bytes, and what is kept for the calls of one answer, in tokens and bytes. What is beyond that is
/// given up: no answer has as much, and an upstream could send it without end.
const WAITS: usize = 4 << 20;
const KEPT: (usize, usize) = (256, 4 << 20);

/// Tokens that would be longer are put into the store, and their name travels.
const TRAVELS: usize = 24 << 10;

/// Whether the client has a place for a proof of reasoning, and shows the text beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    Shown,
    Blank,
    /// The client asked for no reasoning, and a part that it does not know could confuse it.
    None,
}

impl Slot {
    pub fn of(request: &hub::Request, client: DialectId) -> Self {
        match (client, request.reasoning.show) {
            (DialectId::Messages | DialectId::Responses, Some(true)) => Self::Shown,
            (DialectId::Messages, None) => Self::None,
            (
                DialectId::Messages | DialectId::Responses | DialectId::Chat | DialectId::Gemini,
                _,
            ) => Self::Blank,
        }
    }
}

/// Seals the proofs of one answer. Fed events in order, or a whole answer.
#[derive(Debug)]
pub struct Sealer {
    desk: Desk,
    /// The next index of a part towards the client.
    next: u32,
    open: Vec<Growing>,
    /// A call that has opened and of which nothing else is known yet.
    held: Option<Held>,
    /// A proof without a text behind the last text: told only when something follows, since no answer of Messages ends so.
    trailing: Option<(u32, Opaque)>,
    witness: Option<Witness>,
}

#[derive(Debug)]
struct Held {
    theirs: u32,
    choice: u32,
    id: String,
    part: Open,
}

#[derive(Debug)]
struct Growing {
    theirs: u32,
    /// `None`: the client has not been told yet.
    ours: Option<u32>,
    choice: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Thought {
        text: String,
        redacted: bool,
        proof: Option<Opaque>,
        /// The client's own proof went through.
        native: bool,
    },
    Call {
        id: String,
        items: Vec<Item>,
        arguments: String,
    },
    Other,
}

impl Sealer {
    pub fn new(vault: Arc<Vault>, origin: Origin, client: DialectId, slot: Slot) -> Self {
        Self {
            desk: Desk {
                vault,
                origin,
                client,
                slot,
                pending: Vec::new(),
                spoke: Vec::new(),
                told: 0,
                calls: Vec::new(),
            },
            next: 0,
            open: Vec::new(),
            held: None,
            trailing: None,
            witness: None,
        }
    }

    /// `witness` is told of the proofs that go to the client as they are.
    #[must_use]
    pub fn with_witness(mut self, witness: Witness) -> Self {
        self.witness = Some(witness);
        self
    }

    fn attest(&mut self, proof: &Opaque) {
        if let Some(witness) = self.witness.as_mut()
            && let Some(token) = form::token_of(proof)
        {
            witness.see(&token);
        }
    }

    /// Appends what stands for `event` towards the client. Parts may be added, so their indexes are given anew.
    pub fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        if let Some(held) = self.held.take() {
            let proof = match &event {
                Event::Delta {
                    index,
                    delta: Delta::Proof(proof),
                } if *index == held.theirs && proof.of != self.desk.client => Some(proof.clone()),
                _ => None,
            };
            let proved = proof.is_some();
            self.call(held, proof, out);
            if proved {
                return;
            }
        }
        match event {
            Event::Open {
                index,
                choice,
                part,
            } => self.opens(index, choice, part, out),
            Event::Delta { index, delta } => self.grows(index, delta, out),
            Event::Close { index } => self.closes(index, out),
            Event::Finish { choice, finish } => {
                self.trailing = None;
                if let Some(proof) = self.desk.ends(choice) {
                    self.alone(choice, proof, out);
                }
                out.push(Event::Finish { choice, finish });
            }
            Event::Start { .. }
            | Event::Usage(_)
            | Event::ServiceTier(_)
            | Event::Logprobs { .. }
            | Event::Error(_) => out.push(event),
        }
    }

    fn opens(&mut self, theirs: u32, choice: u32, part: Open, out: &mut Vec<Event>) {
        if let Some((choice, proof)) = self.trailing.take() {
            self.alone(choice, proof, out);
        }
        let kind = match part {
            Open::ToolCall { ref id, .. } => {
                self.held = Some(Held {
                    theirs,
                    choice,
                    id: id.clone(),
                    part,
                });
                return;
            }
            Open::Reasoning { redacted } => {
                self.open.push(Growing {
                    theirs,
                    ours: None,
                    choice,
                    kind: Kind::Thought {
                        text: String::new(),
                        redacted,
                        proof: None,
                        native: false,
                    },
                });
                return;
            }
            Open::Text | Open::Refusal | Open::Media(_) | Open::Opaque(_) => {
                self.desk.speaks(choice);
                Kind::Other
            }
        };
        let ours = self.open_part(choice, part, out);
        self.open.push(Growing {
            theirs,
            ours: Some(ours),
            choice,
            kind,
        });
    }

    fn open_part(&mut self, choice: u32, part: Open, out: &mut Vec<Event>) -> u32 {
        let index = self.next;
        self.next = index.saturating_add(1);
        out.push(Event::Open {
            index,
            choice,
            part,
        });
        index
    }

    /// A proof without a thought.
    fn alone(&mut self, choice: u32, proof: Opaque, out: &mut Vec<Event>) {
        let redacted = proof.kind == "redacted_thinking";
        let index = self.open_part(choice, Open::Reasoning { redacted }, out);
        out.push(Event::Delta {
            index,
            delta: Delta::Proof(proof),
        });
        out.push(Event::Close { index });
    }

    fn call(&mut self, held: Held, proof: Option<Opaque>, out: &mut Vec<Event>) {
        let Held {
            theirs,
            choice,
            id,
            part,
        } = held;
        let plan = self.desk.call(choice, &id, proof);
        if let Some(proof) = plan.before {
            self.alone(choice, proof, out);
        }
        let index = self.open_part(choice, part, out);
        if let Some(proof) = plan.on {
            out.push(Event::Delta {
                index,
                delta: Delta::Proof(proof),
            });
        }
        self.open.push(Growing {
            theirs,
            ours: Some(index),
            choice,
            kind: Kind::Call {
                id,
                items: plan.items,
                arguments: String::new(),
            },
        });
    }

    fn grows(&mut self, theirs: u32, delta: Delta, out: &mut Vec<Event>) {
        let client = self.desk.client;
        if let Delta::Proof(proof) = &delta
            && proof.of == client
        {
            self.attest(proof);
        }
        let Some(at) = self.open.iter().rposition(|part| part.theirs == theirs) else {
            return;
        };
        let Some(part) = self.open.get_mut(at) else {
            return;
        };
        let choice = part.choice;
        let mut redacted = false;
        let delta = match (&mut part.kind, delta) {
            (Kind::Thought { proof, .. }, Delta::Proof(found)) if found.of != client => {
                *proof = Some(found);
                return;
            }
            (
                Kind::Thought {
                    text,
                    redacted: is_redacted,
                    native,
                    ..
                },
                delta,
            ) => {
                redacted = *is_redacted;
                *native |= matches!(delta, Delta::Proof(_));
                if let Delta::Reasoning(more) = &delta
                    && text.len() <= LONGEST
                {
                    text.push_str(more);
                }
                delta
            }
            (Kind::Call { id, items, .. }, Delta::Proof(found)) if found.of != client => {
                let Some(proof) = self.desk.late(choice, id, found, items) else {
                    return;
                };
                Delta::Proof(proof)
            }
            (Kind::Other, Delta::Proof(found)) if found.of != client => return,
            (Kind::Call { arguments, .. }, Delta::Arguments(more)) => {
                if self.desk.vault.keep.is_some() && arguments.len() <= LONGEST {
                    arguments.push_str(&more);
                }
                Delta::Arguments(more)
            }
            (Kind::Call { .. } | Kind::Other, delta) => delta,
        };
        let index = if let Some(index) = part.ours {
            index
        } else {
            let index = self.open_part(choice, Open::Reasoning { redacted }, out);
            if let Some(part) = self.open.get_mut(at) {
                part.ours = Some(index);
            }
            index
        };
        out.push(Event::Delta { index, delta });
    }

    fn closes(&mut self, theirs: u32, out: &mut Vec<Event>) {
        let Some(at) = self.open.iter().rposition(|part| part.theirs == theirs) else {
            return;
        };
        let Growing {
            ours, choice, kind, ..
        } = self.open.remove(at);
        let mut index = ours;
        if let Kind::Call { id, arguments, .. } = &kind {
            self.desk.called(choice, id, arguments);
        }
        if let Kind::Thought {
            text,
            redacted,
            proof,
            native,
        } = kind
        {
            let known = !native && text.len() <= LONGEST;
            let sealed = known
                .then(|| self.desk.thought(choice, &text, proof, redacted))
                .flatten();
            match sealed {
                Some(Place::Behind(proof)) if ours.is_none() => {
                    self.trailing = Some((choice, proof));
                    return;
                }
                Some(Place::Here(proof) | Place::Behind(proof)) => {
                    let place = ours.unwrap_or_else(|| {
                        self.open_part(choice, Open::Reasoning { redacted }, out)
                    });
                    index = Some(place);
                    out.push(Event::Delta {
                        index: place,
                        delta: Delta::Proof(proof),
                    });
                }
                None if ours.is_none() => {
                    index = Some(self.open_part(choice, Open::Reasoning { redacted }, out));
                }
                Some(Place::Elsewhere) | None => {}
            }
        }
        if let Some(index) = index {
            out.push(Event::Close { index });
        }
    }

    /// Seals the proofs of a whole answer.
    pub fn response(mut self, response: &mut Response) {
        for choice in &mut response.choices {
            self.choice(choice);
        }
    }

    fn choice(&mut self, choice: &mut Choice) {
        let number = choice.index;
        let mut out: Vec<Part> = Vec::with_capacity(choice.parts.len());
        let mut trailing: Option<Part> = None;
        for mut part in std::mem::take(&mut choice.parts) {
            out.extend(trailing.take());
            let native = match &part.body {
                PartBody::Reasoning(thought) => thought.proof.clone(),
                PartBody::ToolCall(call) => call.proof.clone(),
                PartBody::Text(_)
                | PartBody::Media(_)
                | PartBody::ToolResult(_)
                | PartBody::Refusal(_)
                | PartBody::Opaque(_) => None,
            };
            if let Some(proof) = native.filter(|proof| proof.of == self.desk.client) {
                self.attest(&proof);
            }
            match &mut part.body {
                PartBody::Reasoning(thought) => {
                    let native = thought
                        .proof
                        .as_ref()
                        .is_some_and(|proof| proof.of == self.desk.client);
                    let sealed = if native || thought.text.len() > LONGEST {
                        None
                    } else {
                        let proof = thought.proof.take();
                        self.desk
                            .thought(number, &thought.text, proof, thought.redacted)
                    };
                    match sealed {
                        Some(Place::Behind(proof)) if thought.text.is_empty() => {
                            thought.proof = Some(proof);
                            trailing = Some(part);
                            continue;
                        }
                        Some(Place::Here(proof) | Place::Behind(proof)) => {
                            thought.proof = Some(proof);
                        }
                        Some(Place::Elsewhere) if thought.text.is_empty() => continue,
                        Some(Place::Elsewhere) | None => {}
                    }
                }
                PartBody::ToolCall(call) => {
                    let foreign = call
                        .proof
                        .as_ref()
                        .is_some_and(|proof| proof.of != self.desk.client);
                    let proof = if foreign { call.proof.take() } else { None };
                    let plan = self.desk.call(number, &call.id, proof);
                    out.extend(plan.before.map(|proof| alone(proof, &part.at)));
                    if plan.on.is_some() {
                        call.proof = plan.on;
                    }
                    self.desk.called(number, &call.id, &call.arguments);
                }
                PartBody::Text(_)
                | PartBody::Refusal(_)
                | PartBody::Media(_)
                | PartBody::Opaque(_) => self.desk.speaks(number),
                PartBody::ToolResult(_) => {}
            }
            out.push(part);
        }
        out.extend(
            self.desk
                .ends(number)
                .map(|proof| alone(proof, &At::Request)),
        );
        choice.parts = out;
    }
}

fn alone(proof: Opaque, at: &At) -> Part {
    let thought = hub::Thought {
        text: String::new(),
        redacted: proof.kind == "redacted_thinking",
        proof: Some(proof),
    };
    Part::new(PartBody::Reasoning(thought), at.clone())
}

/// Decides what is sealed and where it goes; the same for streams and whole answers.
#[derive(Debug)]
struct Desk {
    vault: Arc<Vault>,
    origin: Origin,
    client: DialectId,
    slot: Slot,
    /// Thoughts that travel with the next call of their choice, or with its end.
    pending: Vec<(u32, Item)>,
    /// Choices that have said something since their last call.
    spoke: Vec<u32>,
    /// Tokens told as thoughts.
    told: u64,
    calls: Vec<Calls>,
}

/// What is kept for the calls of one choice.
#[derive(Debug)]
struct Calls {
    choice: u32,
    /// The id of its first call.
    first: String,
    /// Known once that call is whole.
    name: Option<String>,
    /// By the id of the call that they stand before.
    tokens: Vec<(String, String)>,
}

/// Where the token of a thought goes.
enum Place {
    Here(Opaque),
    /// Behind a text, and without one of its own.
    Behind(Opaque),
    /// With the next call.
    Elsewhere,
}

/// What is told of a call's proofs.
#[derive(Default)]
struct Plan {
    before: Option<Opaque>,
    on: Option<Opaque>,
    items: Vec<Item>,
}

impl Desk {
    fn speaks(&mut self, choice: u32) {
        if !self.spoke.contains(&choice) {
            self.spoke.push(choice);
        }
    }

    /// A thought that is over, with the upstream's proof; `None`: there is nothing to seal.
    fn thought(
        &mut self,
        choice: u32,
        text: &str,
        proof: Option<Opaque>,
        redacted: bool,
    ) -> Option<Place> {
        if self.origin.dialect == self.client {
            return None;
        }
        let proof = match (proof, self.origin.dialect) {
            (Some(proof), of) => (proof.of == of).then(|| Some(sealable(proof)))?,
            (None, _) if text.trim().is_empty() => return None,
            // The words themselves are demanded back by some vendors.
            (None, DialectId::Chat) => None,
            // A thought that nobody signed goes back as it came.
            (None, DialectId::Messages) => Some(Proof {
                kind: messages::SIGNATURE.to_owned(),
                json: "\"\"".to_owned(),
            }),
            // Nobody asks for it back; where a proof is part of the form, a token tells that it is no vendor's own.
            (None, DialectId::Gemini | DialectId::Responses) if self.in_place() => None,
            (None, DialectId::Gemini | DialectId::Responses) => return None,
        };
        let after_text = self.spoke.contains(&choice);
        let shown = match self.slot {
            Slot::Shown => text,
            Slot::Blank | Slot::None => "",
        };
        let item = Item::Thought(Thought {
            words: match (self.origin.dialect, self.client) {
                // Its items hold their text.
                (DialectId::Responses, _) => Words::Whole(String::new()),
                // Its clients may not touch the text beside a signature.
                (_, DialectId::Messages) if !shown.is_empty() && !redacted => {
                    Words::Seen(hash(text.as_bytes()))
                }
                _ => Words::Whole(text.to_owned()),
            },
            proof,
            redacted,
            after_text,
        });
        if !self.in_place() {
            let waiting: usize = self.pending.iter().map(|(_, item)| item.size()).sum();
            if self.pending.len() < KEPT.0 && waiting + item.size() <= WAITS {
                self.pending.push((choice, item));
            }
            return Some(Place::Elsewhere);
        }
        let token = self.token("", vec![item], Spelling::Plain);
        let own = self.of_thought(&token, shown, redacted)?;
        Some(
            if text.is_empty() && after_text && self.client == DialectId::Messages {
                Place::Behind(own)
            } else {
                Place::Here(own)
            },
        )
    }

    /// Whether thoughts keep their tokens; elsewhere clients drop thoughts, so tokens go with the calls.
    fn in_place(&self) -> bool {
        match self.client {
            DialectId::Messages | DialectId::Responses => self.slot != Slot::None,
            DialectId::Chat | DialectId::Gemini => false,
        }
    }

    /// A call that begins.
    fn call(&mut self, choice: u32, id: &str, proof: Option<Opaque>) -> Plan {
        self.spoke.retain(|spoke| *spoke != choice);
        if self.origin.dialect == self.client {
            return Plan::default();
        }
        let id = form::call_id(self.client, id).into_owned();
        if !self.calls.iter().any(|calls| calls.choice == choice) {
            self.calls.push(Calls {
                choice,
                first: id.clone(),
                name: None,
                tokens: Vec::new(),
            });
        }
        let mut items = self.take(choice);
        let thoughts = items.len();
        if let Some(proof) = proof.filter(|proof| proof.of == self.origin.dialect) {
            items.push(Item::Call {
                id: id.clone(),
                proof: sealable(proof),
            });
        }
        if items.is_empty() {
            return Plan::default();
        }
        let mut plan = Plan::default();
        match self.client {
            DialectId::Messages | DialectId::Responses if self.in_place() => {
                let token = self.token(&id, items, Spelling::Plain);
                plan.before = self.of_thought(&token, "", false);
            }
            DialectId::Messages | DialectId::Responses => self.keep(choice, &id, &items),
            DialectId::Gemini => {
                let token = self.token(&id, items.clone(), Spelling::Base64);
                plan.on = form::of_call(self.client, &token);
                plan.items = items;
            }
            DialectId::Chat => {
                // Most clients of Chat drop what they do not know.
                self.keep(choice, &id, &items);
                let (before, on) = items.split_at(thoughts);
                if before.iter().any(Item::is_proved) {
                    let token = self.token(&id, before.to_vec(), Spelling::Plain);
                    plan.before = self.of_thought(&token, "", false);
                }
                if !on.is_empty() {
                    let token = self.token(&id, on.to_vec(), Spelling::Base64);
                    plan.on = form::of_call(self.client, &token);
                }
                plan.items = items;
            }
        }
        plan
    }

    /// A call's proof that comes when the call is open already.
    fn late(
        &mut self,
        choice: u32,
        id: &str,
        proof: Opaque,
        items: &mut Vec<Item>,
    ) -> Option<Opaque> {
        if proof.of != self.origin.dialect || self.origin.dialect == self.client {
            return None;
        }
        let id = form::call_id(self.client, id).into_owned();
        let call = Item::Call {
            id: id.clone(),
            proof: sealable(proof),
        };
        items.push(call.clone());
        match self.client {
            DialectId::Messages | DialectId::Responses => {
                self.keep(choice, &id, items);
                None
            }
            DialectId::Gemini => {
                let token = self.token(&id, items.clone(), Spelling::Base64);
                form::of_call(self.client, &token)
            }
            DialectId::Chat => {
                self.keep(choice, &id, items);
                let token = self.token(&id, vec![call], Spelling::Base64);
                form::of_call(self.client, &token)
            }
        }
    }

    /// What is left when a choice ends, as the proof of a thought without words.
    fn ends(&mut self, choice: u32) -> Option<Opaque> {
        let mut items = self.take(choice);
        // Words are demanded back beside tool calls only.
        items.retain(Item::is_proved);
        if items.is_empty() || self.slot == Slot::None {
            return None;
        }
        let token = self.token("", items, form::spelling(self.client));
        self.of_thought(&token, "", false)
    }

    fn of_thought(&mut self, token: &str, text: &str, redacted: bool) -> Option<Opaque> {
        let ordinal = self.told;
        self.told = ordinal.saturating_add(1);
        form::of_thought(self.client, token, text, redacted, ordinal)
    }

    fn take(&mut self, choice: u32) -> Vec<Item> {
        let (own, others) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(of, _)| *of == choice);
        self.pending = others;
        let own: Vec<(u32, Item)> = own;
        own.into_iter().map(|(_, item)| item).collect()
    }

    fn token(&self, anchor: &str, items: Vec<Item>, spelling: Spelling) -> String {
        let whole = self.sealed(anchor, Content::Items(items), spelling);
        let Some(keep) = self.vault.keep.as_ref().filter(|_| whole.len() > TRAVELS) else {
            return whole;
        };
        let name = hash(whole.as_bytes());
        keep.put(large_name(&name), whole.into_bytes());
        self.sealed(anchor, Content::Kept(name), spelling)
    }

    fn sealed(&self, anchor: &str, content: Content, spelling: Spelling) -> String {
        let sealed = Sealed {
            origin: self.origin.clone(),
            anchor: anchor.to_owned(),
            content,
        };
        self.vault.key().seal(&sealed, self.client, spelling)
    }

    /// Remembers what belongs to a call, in one place for all calls of an answer.
    fn keep(&mut self, choice: u32, id: &str, items: &[Item]) {
        if self.vault.keep.is_none() {
            return;
        }
        let token = self.sealed(id, Content::Items(items.to_vec()), Spelling::Plain);
        if let Some(calls) = self.calls.iter_mut().find(|calls| calls.choice == choice) {
            calls.tokens.retain(|(known, _)| known != id);
            let size: usize = calls.tokens.iter().map(|(_, token)| token.len()).sum();
            if calls.tokens.len() < KEPT.0 && size + token.len() <= KEPT.1 {
                calls.tokens.push((id.to_owned(), token));
                self.put(choice);
            }
        }
    }

    /// A call that is whole: what it was called with is known now.
    fn called(&mut self, choice: u32, id: &str, arguments: &str) {
        let id = form::call_id(self.client, id);
        let calls = self.calls.iter_mut();
        let mut first = calls.filter(|calls| calls.choice == choice && calls.first == id);
        if let Some(calls) = first.next().filter(|calls| calls.name.is_none()) {
            calls.name = Some(kept_name(&id, arguments));
            self.put(choice);
        }
    }

    /// Puts what is to be kept into the store, once its name is known.
    fn put(&self, choice: u32) {
        let calls = self.calls.iter().find(|calls| calls.choice == choice);
        if let Some(keep) = &self.vault.keep
            && let Some(calls) = calls.filter(|calls| !calls.tokens.is_empty())
            && let Some(name) = &calls.name
        {
            let tokens = calls.tokens.iter().map(|(_, token)| token.as_str());
            let tokens: Vec<&str> = tokens.collect();
            keep.put(name.clone(), tokens.join("\n").into_bytes());
        }
    }
}

impl Item {
    /// About how many bytes it holds.
    fn size(&self) -> usize {
        match self {
            Self::Thought(thought) => {
                let words = match &thought.words {
                    Words::Whole(text) => text.len(),
                    Words::Seen(hash) => hash.len(),
                };
                let proof = thought.proof.as_ref();
                words + proof.map_or(0, |proof| proof.json.len())
            }
            Self::Call { id, proof } => id.len() + proof.json.len(),
        }
    }

    /// Whether there is more to it than words.
    pub(super) fn is_proved(&self) -> bool {
        match self {
            Self::Thought(thought) => thought.proof.is_some(),
            Self::Call { .. } => true,
        }
    }
}

fn sealable(proof: Opaque) -> Proof {
    Proof {
        kind: proof.kind,
        json: proof.json.get().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Keep;

    #[derive(Debug)]
    struct Nowhere;

    impl Keep for Nowhere {
        fn put(&self, _name: String, value: Vec<u8>) {
            assert!(value.len() <= 2 * WAITS);
        }
    }

    #[test]
    fn what_an_upstream_sends_without_end_is_not_held() {
        let vault = Vault::new(Arc::new(|| [7; 32]), "caller", Some(Arc::new(Nowhere)));
        let origin = Origin {
            provider: "p".into(),
            dialect: DialectId::Messages,
            model: "m".into(),
        };
        let client = DialectId::Chat;
        let mut sealer = Sealer::new(Arc::new(vault), origin, client, Slot::Blank);
        let mut out = Vec::new();
        let mut tell = |index: u32, part: Open, delta: Delta| {
            let choice = 0;
            let open = Event::Open {
                index,
                choice,
                part,
            };
            for event in [open, Event::Delta { index, delta }, Event::Close { index }] {
                sealer.event(event, &mut out);
                out.clear();
            }
            let waiting = sealer.desk.pending.iter().map(|(_, item)| item.size());
            let kept = sealer.desk.calls.iter().flat_map(|calls| &calls.tokens);
            (waiting.sum::<usize>(), kept.count())
        };
        for index in 0..100 {
            let part = Open::Reasoning { redacted: false };
            let (waiting, _) = tell(index, part, Delta::Reasoning("x".repeat(256 << 10)));
            assert!(waiting <= WAITS);
        }
        for index in 100..1500 {
            let redacted = Open::Reasoning { redacted: true };
            let proof = Opaque {
                of: DialectId::Messages,
                kind: "redacted_thinking".into(),
                json: crate::json::raw("\"YQ==\"").unwrap(),
            };
            tell(2 * index, redacted, Delta::Proof(proof));
            let call = Open::ToolCall {
                id: format!("toolu_{index}"),
                name: "f".into(),
                custom: false,
            };
            let (_, kept) = tell(2 * index + 1, call, Delta::Arguments("{}".into()));
            assert!(kept <= KEPT.0);
        }
    }
}
