//! A line among the instructions that Claude Code writes for its vendor's books: to others it says nothing, and since it changes
//! from turn to turn, it would spoil their caches.

use std::borrow::Cow;

use crate::Losses;
use crate::hub::{Part, PartBody, Request};

const LINE: &str = "x-anthropic-billing-header:";

/// The request without that line.
pub(crate) fn without_line<'a>(request: &'a Request, losses: &mut Losses) -> Cow<'a, Request> {
    if !request.system.iter().any(begins) {
        return Cow::Borrowed(request);
    }
    let mut request = request.clone();
    for part in request.system.iter_mut().filter(|part| begins(part)) {
        losses.push(
            part.at.clone(),
            "",
            "dropped: a line for Anthropic's billing",
        );
        if let PartBody::Text(text) = &mut part.body {
            text.text = behind_line(&text.text).to_owned();
        }
    }
    request.system.retain(|part| !is_empty(part));
    Cow::Owned(request)
}

/// A text without that line, should it begin with it.
pub(crate) fn behind_line(text: &str) -> &str {
    if !text.starts_with(LINE) {
        return text;
    }
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    rest.trim_start_matches('\n')
}

fn begins(part: &Part) -> bool {
    matches!(&part.body, PartBody::Text(text) if text.text.starts_with(LINE))
}

fn is_empty(part: &Part) -> bool {
    matches!(&part.body, PartBody::Text(text) if text.text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{At, DialectId};

    #[test]
    fn the_line_goes_and_all_else_stays() {
        let check = |system: &[&str], expect: &[&str], lost: usize| {
            let parts = (0..).zip(system);
            let request = Request {
                system: parts
                    .map(|(part, text)| Part::text(*text, At::System { part }))
                    .collect(),
                ..Request::default()
            };
            let mut losses = Losses::default();
            let found = without_line(&request, &mut losses);
            let texts: Vec<&str> = found
                .system
                .iter()
                .filter_map(|part| match &part.body {
                    PartBody::Text(text) => Some(text.text.as_str()),
                    PartBody::Media(_)
                    | PartBody::Reasoning(_)
                    | PartBody::ToolCall(_)
                    | PartBody::ToolResult(_)
                    | PartBody::Refusal(_)
                    | PartBody::Opaque(_) => None,
                })
                .collect();
            let client = DialectId::Messages.dialect();
            assert_eq!(
                (texts.as_slice(), losses.paths(client).len()),
                (expect, lost)
            );
        };
        check(&["Be brief."], &["Be brief."], 0);
        check(
            &[
                "x-anthropic-billing-header: cc_version=1; cch=2;",
                "Be brief.",
            ],
            &["Be brief."],
            1,
        );
        check(
            &["x-anthropic-billing-header: cc_version=1;\n\nBe brief.\nAnd kind."],
            &["Be brief.\nAnd kind."],
            1,
        );
        check(
            &["Say x-anthropic-billing-header: aloud."],
            &["Say x-anthropic-billing-header: aloud."],
            0,
        );
    }
}
