//! An estimate of how many tokens a request has, without any vendor's tokenizer: what it is made of is counted, and each kind of
//! piece has a weight that was fitted to what vendors counted.

mod image;
mod rough;
mod tally;
mod terms;
mod text;

use crate::hub::{
    Media, MediaKind, Opaque, Output, Part, PartBody, Request, Source, Tool, ToolBody, ToolChoice,
};
use crate::json::Node;

pub use image::{ImageRule, dimensions};
pub use rough::Rough;
pub use tally::Tally;
pub use terms::Terms;

/// How one model's prompts are counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Tokens of each piece.
    pub terms: Terms,
    pub image: ImageRule,
}

/// An estimate of the prompt's tokens: instructions, turns, tools and media. Takes time in proportion to the text.
pub fn tokens(request: &Request, weights: &Weights) -> u64 {
    whole(pieces(request, &weights.image).dot(&weights.terms)).max(1)
}

/// A sum of products of counts and small weights, as a number of tokens.
fn whole(sum: f64) -> u64 {
    // The bounds of the cast: never negative.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "floats that do not fit become the nearest whole number that does"
    )]
    let tokens = sum.round() as u64;
    tokens
}

/// What the request is made of. Images are counted by the rule, in tokens.
pub fn pieces(request: &Request, image: &ImageRule) -> Terms {
    let mut counted = Count {
        terms: Terms {
            request: 1.0,
            ..Terms::default()
        },
        image,
    };
    if !request.system.is_empty() {
        counted.terms.system = 1.0;
    }
    for part in &request.system {
        counted.part(part);
    }
    for turn in &request.turns {
        counted.terms.message += 1.0;
        for part in &turn.parts {
            counted.part(part);
        }
    }
    for tool in &request.tools {
        counted.tool(tool);
    }
    match &request.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { .. }) => {
            counted.terms.forced = 1.0;
        }
        Some(ToolChoice::Auto | ToolChoice::None) | None => {}
    }
    match &request.output {
        Output::Text => {}
        Output::Json => counted.terms.output = 1.0,
        Output::Schema {
            name,
            description,
            schema,
            strict: _,
        } => {
            counted.terms.output = 1.0;
            for said in [name, description].into_iter().flatten() {
                text::count_output(said, &mut counted.terms);
            }
            text::count_output(schema.get(), &mut counted.terms);
        }
        Output::Enum { schema } => text::count_output(schema.get(), &mut counted.terms),
    }
    if request.reasoning.enabled == Some(true) || request.reasoning.budget.is_some() {
        counted.terms.thinking = 1.0;
    }
    counted.terms
}

struct Count<'a> {
    terms: Terms,
    image: &'a ImageRule,
}

impl Count<'_> {
    fn tool(&mut self, tool: &Tool) {
        let terms = &mut self.terms;
        let (name, description, schema) = match &tool.body {
            ToolBody::Function {
                name,
                description,
                parameters,
                strict: _,
            } => (name.as_str(), description, parameters.as_deref()),
            ToolBody::Custom {
                name,
                description,
                format,
            } => (
                name.as_str(),
                description,
                format.as_ref().map(|format| &*format.0),
            ),
            ToolBody::WebSearch(_) | ToolBody::WebFetch | ToolBody::CodeExecution => {
                terms.server_tool += 1.0;
                return;
            }
            ToolBody::Opaque(opaque) => ("", &None, Some(&*opaque.json)),
        };
        terms.tools = 1.0;
        terms.tool += 1.0;
        text::count_schema(name, terms);
        if let Some(description) = description {
            text::count_described(description, terms);
        }
        if let Some(schema) = schema {
            text::count_node(Node::from(schema), terms);
        }
    }

    fn part(&mut self, part: &Part) {
        let terms = &mut self.terms;
        match &part.body {
            PartBody::Text(said) => text::count(&said.text, terms),
            PartBody::Refusal(said) => text::count(said, terms),
            PartBody::Media(shown) => self.media(shown),
            PartBody::Reasoning(thought) => {
                text::count_reasoning(&thought.text, terms);
                terms.proof += proof(thought.proof.as_ref());
            }
            PartBody::ToolCall(call) => {
                terms.call += 1.0;
                terms.proof += proof(call.proof.as_ref());
                text::count(&call.name, terms);
                text::count(&call.arguments, terms);
            }
            PartBody::ToolResult(result) => {
                terms.result += 1.0;
                for part in &result.parts {
                    self.part(part);
                }
            }
            PartBody::Opaque(opaque) => text::count(opaque.json.get(), terms),
        }
    }

    fn media(&mut self, media: &Media) {
        let terms = &mut self.terms;
        match (&media.source, media.kind) {
            (Source::Text(said), _) => text::count(said, terms),
            (Source::Parts(parts), _) => {
                for part in parts {
                    self.media(part);
                }
            }
            (source, MediaKind::Image) => {
                let size = match source {
                    Source::Base64(data) => dimensions(data),
                    Source::Url(_) | Source::File(_) | Source::Text(_) | Source::Parts(_) => None,
                };
                terms.image += self.image.tokens(size, media.detail);
            }
            (Source::Base64(data), MediaKind::Document) => terms.page += image::pages(data),
            // About 32 tokens a second, at 16 kB a second of compressed sound.
            (Source::Base64(data), MediaKind::Audio) => terms.sound += kilobytes(data),
            (Source::Base64(data), MediaKind::Video) => terms.film += kilobytes(data),
            (Source::Url(_) | Source::File(_), MediaKind::Document) => terms.page += 3.0,
            (Source::Url(_) | Source::File(_), MediaKind::Audio) => terms.sound += 500.0,
            (Source::Url(_) | Source::File(_), MediaKind::Video) => terms.film += 2_000.0,
        }
    }
}

/// Hundreds of bytes.
#[expect(
    clippy::cast_precision_loss,
    reason = "bodies are shorter than the whole numbers of a float"
)]
fn proof(proof: Option<&Opaque>) -> f64 {
    proof.map_or(0.0, |proof| proof.json.get().len() as f64 / 100.0)
}

/// Of what the base64 stands for.
#[expect(
    clippy::cast_precision_loss,
    reason = "bodies are shorter than the whole numbers of a float"
)]
fn kilobytes(data: &str) -> f64 {
    data.len() as f64 * 0.75 / 1000.0
}
