//! Which conversation a request belongs to, and whose it is, in the words of the clients that say so.

use std::borrow::Cow;

use http::HeaderMap;
use lingate_dialect::hub;
use lingate_dialect::json::Node;

/// Headers that name the conversation, ours first: those of coding agents, of chat programs and of other gateways.
/// Codex wrote its own with an underscore before it took to hyphens.
pub(super) const SESSIONS: [&str; 10] = [
    "x-lingate-session",
    "x-claude-code-session-id",
    "session_id",
    "session-id",
    "conversation_id",
    "x-session-id",
    "x-session-affinity",
    "x-openwebui-chat-id",
    "helicone-session-id",
    "x-bf-session-id",
];

/// Headers that name the end user, for bodies that do not.
pub(super) const USERS: [&str; 2] = ["x-openwebui-user-id", "helicone-user-id"];

/// Fields of a body that name the conversation, or stand for it.
const FIELDS: [&str; 2] = ["conversation", "prompt_cache_key"];

/// Labels of a body that name the conversation.
const LABELS: [&str; 4] = ["session_id", "sessionId", "conversation_id", "thread_id"];

/// The text of a header, if it has one.
pub(super) fn said<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = std::str::from_utf8(headers.get(name)?.as_bytes()).ok()?;
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// The conversation that the body names.
pub(super) fn of(request: &hub::Request) -> Option<String> {
    if let Some(session) = request
        .user
        .as_deref()
        .and_then(|user| Named::read(user).session)
    {
        return Some(session.into_owned());
    }
    for name in FIELDS {
        let field = request.extra.fields.iter().find(|field| field.key == name);
        if let Some(found) = field.and_then(|field| identifier(Node::from(&*field.json))) {
            return Some(found);
        }
    }
    let label = |name: &&str| request.metadata.iter().find(|(key, _)| key == name);
    let label = LABELS.iter().find_map(label);
    label
        .map(|(_, value)| value.clone())
        .filter(|value| !value.is_empty())
}

/// The user, without the session that Claude Code names along with them.
pub(crate) fn end_user(said: &str) -> Option<Cow<'_, str>> {
    Named::read(said).user.filter(|user| !user.is_empty())
}

/// A text, or the `id` of an object.
fn identifier(node: Node<'_>) -> Option<String> {
    let text = match node.text() {
        Some(text) => text,
        None => node.fields().ok()?.get("id")?.text()?,
    };
    Some(text.into_owned()).filter(|text| !text.is_empty())
}

/// What Claude Code writes into `metadata.user_id`: `user_…_account_…_session_…`, and in later versions a JSON object with
/// `device_id`, `account_uuid` and `session_id`.
struct Named<'a> {
    user: Option<Cow<'a, str>>,
    session: Option<Cow<'a, str>>,
}

impl<'a> Named<'a> {
    fn read(said: &'a str) -> Self {
        if said.starts_with('{')
            && let Ok(fields) = Node::parse(said.as_bytes()).and_then(Node::fields)
        {
            let get = |name: &str| {
                let text = fields.get(name)?.text()?;
                Some(text).filter(|text| !text.is_empty())
            };
            return Self {
                user: get("account_uuid").or_else(|| get("device_id")),
                session: get("session_id"),
            };
        }
        match said.rsplit_once("_session_") {
            Some((user, session)) if !session.is_empty() => Self {
                user: Some(Cow::Borrowed(user)),
                session: Some(Cow::Borrowed(session)),
            },
            Some(_) | None => Self {
                user: Some(Cow::Borrowed(said)),
                session: None,
            },
        }
    }
}
