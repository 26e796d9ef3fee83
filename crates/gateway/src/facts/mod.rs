//! What a request tells those who decide where it goes. A fact is looked for when it is first asked for; what takes long to find
//! is found once, however many routes ask.

mod session;

use std::borrow::Cow;
use std::sync::OnceLock;

use http::HeaderMap;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lingate_dialect::hub::{
    self, Effort, Media, MediaKind, Part, PartBody, Role, Source, ToolBody,
};
use lingate_dialect::json::Node;
use lingate_dialect::{estimate, prefix};
use lingate_routing::{Clock, Facts};
use memchr::memmem;

pub(crate) use session::end_user;

use crate::caller::Caller;
use crate::exchange::Exchange;

/// The header with which a request tags itself: words between commas.
const TAGS: &str = "x-lingate-tags";

/// Tags of a request that are looked at, beside those of the caller's key, and tools that it offers: each condition is held against
/// all of them, and vendors take fewer.
const MOST_TAGS: usize = 64;
const MOST_TOOLS: usize = 1024;

/// Bytes of the last message that routes look at.
const LONGEST_TEXT: usize = 16 << 10;

/// The facts of one request. A body that cannot be decoded tells none; what is wrong with it is told by the attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// The model that is asked for.
    pub(crate) model: &'a str,
    /// Seconds since 1970.
    pub(crate) now: i64,
    pub(crate) request: Reading<'a>,
    pub(crate) found: &'a Found,
}

/// The body in the hub.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reading<'a> {
    Done(&'a hub::Request),
    /// Decoded when a fact of it is asked for.
    Lazy(&'a Exchange),
}

/// The facts that were asked for already.
#[derive(Debug, Default)]
pub(crate) struct Found {
    tags: OnceLock<Vec<String>>,
    tokens: OnceLock<u64>,
    images: OnceLock<bool>,
    last_text: OnceLock<String>,
    session: OnceLock<Option<String>>,
    prefix: OnceLock<u64>,
}

impl<'a> Told<'a> {
    fn request(&self) -> Option<&'a hub::Request> {
        match self.request {
            Reading::Done(request) => Some(request),
            Reading::Lazy(exchange) => exchange.decoded().ok(),
        }
    }

    /// The tags in the body's labels, as clients of other gateways send them: a list, or words between commas.
    fn labels(&self) -> Vec<String> {
        // Most bodies have none and need not be decoded for that.
        if memmem::find(self.body, b"\"tags\"").is_none() {
            return Vec::new();
        }
        let Some(request) = self.request() else {
            return Vec::new();
        };
        let label = request.metadata.iter().find(|(key, _)| key == "tags");
        let own = request.extra.fields.iter();
        let own = own.filter(|field| field.key == "metadata.tags");
        let said = match label {
            Some((_, value)) => Some(Cow::Borrowed(value.as_str())),
            None => own.map(|field| field.json.get()).next().map(|json| {
                Node::parse(json.as_bytes())
                    .ok()
                    .and_then(Node::text)
                    .unwrap_or(Cow::Borrowed(json))
            }),
        };
        let Some(said) = said else {
            return Vec::new();
        };
        let list = Node::parse(said.as_bytes()).and_then(Node::elements);
        match list {
            Ok(list) => list
                .into_iter()
                .filter_map(|tag| tag.string().ok())
                .take(MOST_TAGS)
                .collect(),
            Err(_) => words(&said).take(MOST_TAGS).map(str::to_owned).collect(),
        }
    }
}

/// The end user that headers name, for bodies that do not.
pub(crate) fn user_of_headers(headers: &HeaderMap) -> Option<&str> {
    let mut users = session::USERS.into_iter();
    users.find_map(|name| session::said(headers, name))
}

/// What stands between commas.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

impl Facts for Told<'_> {
    fn key(&self) -> Option<&str> {
        Some(self.caller.name()).filter(|name| !name.is_empty())
    }

    fn tenant(&self) -> Option<&str> {
        match self.caller {
            Caller::Named(principal) => Some(&principal.organization.name),
            Caller::Open(_) | Caller::Passthrough(..) => None,
        }
    }

    fn tags(&self) -> Vec<Cow<'_, str>> {
        let key = self.caller.principal().key.as_ref();
        let of_key = key.map_or(&[][..], |key| key.tags.as_slice());
        let sent = self.headers.get_all(TAGS).iter();
        let sent = sent.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
        let labels = self.found.tags.get_or_init(|| self.labels());
        let of_key = of_key.iter().map(String::as_str);
        let labels = labels.iter().map(String::as_str);
        let own = sent.flat_map(words).chain(labels).take(MOST_TAGS);
        of_key.chain(own).map(Cow::Borrowed).collect()
    }

    fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.headers.get(name)?.as_bytes()).ok()
    }

    fn tokens(&self) -> u64 {
        *self.found.tokens.get_or_init(|| {
            let weights = lingate_catalog::builtin().weights(self.model);
            self.request()
                .map_or(0, |request| estimate::tokens(request, &weights))
        })
    }

    fn max_output(&self) -> Option<u64> {
        self.request()?.max_output
    }

    fn tools(&self) -> Vec<Cow<'_, str>> {
        let tools = self.request().map_or(&[][..], |request| &request.tools);
        let name = |tool: &'_ hub::Tool| match &tool.body {
            ToolBody::Function { name, .. } | ToolBody::Custom { name, .. } => name.clone(),
            ToolBody::WebSearch(_) => "web_search".to_owned(),
            ToolBody::WebFetch => "web_fetch".to_owned(),
            ToolBody::CodeExecution => "code_execution".to_owned(),
            ToolBody::Opaque(opaque) => opaque.kind.clone(),
        };
        let looked_at = tools.iter().take(MOST_TOOLS);
        looked_at.map(|tool| Cow::Owned(name(tool))).collect()
    }

    fn thinking(&self) -> bool {
        self.request()
            .is_some_and(|request| thinks(&request.reasoning))
    }

    fn images(&self) -> bool {
        *self.found.images.get_or_init(|| {
            let turns = self.request().map_or(&[][..], |request| &request.turns);
            turns.iter().flat_map(|turn| &turn.parts).any(shows)
        })
    }

    fn last_text(&self) -> Cow<'_, str> {
        let text = self
            .found
            .last_text
            .get_or_init(|| self.request().map(last_text).unwrap_or_default());
        Cow::Borrowed(text)
    }

    fn user(&self) -> Option<Cow<'_, str>> {
        let named = || user_of_headers(self.headers).map(Cow::Borrowed);
        let request = self.request();
        let user = request.and_then(|request| request.user.as_deref());
        user.and_then(end_user).or_else(named)
    }

    fn session(&self) -> Option<Cow<'_, str>> {
        let named = session::SESSIONS
            .into_iter()
            .find_map(|name| session::said(self.headers, name));
        if let Some(named) = named {
            return Some(Cow::Borrowed(named));
        }
        let found = self
            .found
            .session
            .get_or_init(|| session::of(self.request()?));
        found.as_deref().map(Cow::Borrowed)
    }

    fn prefix(&self) -> u64 {
        *self
            .found
            .prefix
            .get_or_init(|| self.request().map_or(0, prefix))
    }

    fn clock(&self, zone: &str) -> Option<Clock> {
        let zone = TimeZone::get(zone).ok()?;
        read_off(zone.to_datetime(Timestamp::from_second(self.now).ok()?))
    }
}

/// What a clock on the wall shows then.
pub(crate) fn read_off(time: DateTime) -> Option<Clock> {
    let [weekday, hour, minute] = [
        time.weekday().to_monday_zero_offset(),
        time.hour(),
        time.minute(),
    ];
    Some(Clock {
        weekday: u8::try_from(weekday).ok()?,
        minute: u16::try_from(hour).ok()? * 60 + u16::try_from(minute).ok()?,
    })
}

/// Whether reasoning is asked for. Who says nothing may still get some, from a model that always thinks.
fn thinks(reasoning: &hub::Reasoning) -> bool {
    let hub::Reasoning {
        enabled,
        effort,
        budget,
        show,
    } = reasoning;
    let off = *enabled == Some(false) || *effort == Some(Effort::None) || *budget == Some(0);
    let asked =
        *enabled == Some(true) || effort.is_some() || budget.is_some() || *show == Some(true);
    asked && !off
}

/// Whether a picture is in the part, which may be one of a tool's result.
fn shows(part: &Part) -> bool {
    match &part.body {
        PartBody::Media(media) => pictures(media),
        PartBody::ToolResult(result) => result.parts.iter().any(shows),
        PartBody::Text(_)
        | PartBody::Reasoning(_)
        | PartBody::ToolCall(_)
        | PartBody::Refusal(_)
        | PartBody::Opaque(_) => false,
    }
}

fn pictures(media: &Media) -> bool {
    match &media.source {
        Source::Parts(parts) => parts.iter().any(pictures),
        Source::Base64(_) | Source::Url(_) | Source::File(_) | Source::Text(_) => {
            media.kind == MediaKind::Image
        }
    }
}

/// The text of the last turn in which the user said something: the results of tools that came in between are not their words.
fn last_text(request: &hub::Request) -> String {
    let turns = request.turns.iter().rev();
    let of_user = turns.filter(|turn| turn.role == Role::User);
    let mut spoken = of_user.map(texts).filter(|texts| !texts.is_empty());
    let mut text = String::new();
    for part in spoken.next().unwrap_or_default() {
        if !text.is_empty() {
            text.push('\n');
        }
        let room = LONGEST_TEXT.saturating_sub(text.len());
        text.push_str(
            part.get(..part.floor_char_boundary(room))
                .unwrap_or_default(),
        );
        if part.len() >= room {
            break;
        }
    }
    text
}

/// What a turn says, part by part.
fn texts(turn: &hub::Turn) -> Vec<&str> {
    let parts = turn.parts.iter().filter_map(|part| match &part.body {
        PartBody::Text(text) => Some(text.text.as_str()),
        PartBody::Media(_)
        | PartBody::Reasoning(_)
        | PartBody::ToolCall(_)
        | PartBody::ToolResult(_)
        | PartBody::Refusal(_)
        | PartBody::Opaque(_) => None,
    });
    parts.filter(|text| !text.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests;
