//! Citations both ways. Gemini counts UTF-8 bytes of the candidate's text, the hub Unicode code points of a text part.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::hub::Citation;
use crate::json::Object;
use crate::search::Page as FoundPage;

use super::chunk::Str;

/// How many citations of one answer are read; each costs a look through its text.
const MOST: usize = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Metadata<'a> {
    grounding_chunks: Option<Vec<Source<'a>>>,
    grounding_supports: Option<Vec<Support<'a>>>,
    web_search_queries: Option<Vec<Str<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Source<'a> {
    web: Option<Page<'a>>,
    maps: Option<Page<'a>>,
    retrieved_context: Option<Page<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Page<'a> {
    uri: Option<Str<'a>>,
    title: Option<Str<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Support<'a> {
    segment: Option<Segment<'a>>,
    grounding_chunk_indices: Option<Vec<usize>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Segment<'a> {
    start_index: Option<usize>,
    end_index: Option<usize>,
    text: Option<Str<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Recitations<'a> {
    #[serde(alias = "citationSources")]
    citations: Option<Vec<Recitation<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Recitation<'a> {
    start_index: Option<usize>,
    end_index: Option<usize>,
    uri: Option<Str<'a>>,
    title: Option<Str<'a>>,
}

/// How much text is kept for counting its bytes. Sources of what lies beyond are told without a place.
const MOST_TEXT: usize = 8 << 20;

/// The visible text of a candidate, and which bytes of it each text part holds.
#[derive(Debug, Default)]
pub(super) struct Visible {
    pub(super) text: String,
    pub(super) parts: Vec<Span>,
}

/// Bytes `start..end` belong to part `index`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) index: u32,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Visible {
    pub(super) fn open(&mut self, index: u32) {
        let at = self.text.len();
        self.parts.push(Span {
            index,
            start: at,
            end: at,
        });
    }

    /// Adds to the part opened last.
    pub(super) fn push(&mut self, text: &str) {
        if self.text.len().saturating_add(text.len()) > MOST_TEXT {
            return;
        }
        self.text.push_str(text);
        if let Some(last) = self.parts.last_mut() {
            last.end = self.text.len();
        }
    }

    /// The part and its code points that a stretch of bytes lies in. A stretch that does not hold `said` is looked for.
    fn locate(&self, start: usize, end: Option<usize>, said: &str) -> Option<(u32, (u64, u64))> {
        let end = end.unwrap_or(self.text.len());
        let fits = match self.text.get(start..end) {
            Some(found) => said.is_empty() || found == said,
            None => false,
        };
        let (start, end) = if fits {
            (start, end)
        } else if said.is_empty() {
            return None;
        } else {
            let start = self.text.find(said)?;
            (start, start + said.len())
        };
        let part = self
            .parts
            .iter()
            .find(|part| (part.start..part.end).contains(&start))?;
        let before = self.text.get(part.start..start)?.chars().count();
        let inside = self.text.get(start..end.min(part.end))?.chars().count();
        let from = u64::try_from(before).ok()?;
        Some((part.index, (from, from + u64::try_from(inside).ok()?)))
    }
}

/// How many searches the vendor ran, as it bills them: empty queries are none, and those that are the same are one.
pub(super) fn searches(grounding: &RawValue) -> u64 {
    let read = serde_json::from_str::<Metadata<'_>>(grounding.get());
    let queries = read.ok().and_then(|read| read.web_search_queries);
    let queries = queries.unwrap_or_default();
    let said = queries.iter().map(|Str(query)| query.trim());
    let different: std::collections::BTreeSet<&str> =
        said.filter(|query| !query.is_empty()).collect();
    u64::try_from(different.len()).unwrap_or(u64::MAX)
}

/// What was searched for and the pages that were found, each once.
pub(super) fn searched(grounding: &[Box<RawValue>]) -> (Vec<String>, Vec<FoundPage>) {
    let (mut queries, mut pages) = (Vec::new(), Vec::new());
    for piece in grounding {
        let Ok(read) = serde_json::from_str::<Metadata<'_>>(piece.get()) else {
            continue;
        };
        for Str(query) in read.web_search_queries.unwrap_or_default() {
            if queries.len() < MOST && !queries.iter().any(|known| *known == query) {
                queries.push(query.into_owned());
            }
        }
        for source in read.grounding_chunks.unwrap_or_default() {
            let Some(page) = source.web else { continue };
            let Some(Str(url)) = page.uri else { continue };
            let page = FoundPage {
                url: url.into_owned(),
                title: page.title.map(|title| title.0.into_owned()),
            };
            if pages.len() < MOST && !pages.contains(&page) {
                pages.push(page);
            }
        }
    }
    (queries, pages)
}

/// The citations of `groundingMetadata`, each with the part that it belongs to; `None`: to no part in particular.
pub(super) fn citations(grounding: &RawValue, visible: &Visible) -> Vec<(Option<u32>, Citation)> {
    let Ok(grounding) = serde_json::from_str::<Metadata<'_>>(grounding.get()) else {
        return Vec::new();
    };
    let sources = grounding.grounding_chunks.unwrap_or_default();
    let supports = grounding.grounding_supports.unwrap_or_default();
    let cite = |source: &Source<'_>| {
        let page = source
            .web
            .as_ref()
            .or(source.maps.as_ref())
            .or(source.retrieved_context.as_ref())?;
        let own = |text: &Option<Str<'_>>| text.as_ref().map(|text| text.0.clone().into_owned());
        let (url, title) = (own(&page.uri), own(&page.title));
        (url.is_some() || title.is_some()).then_some(Citation {
            url,
            title,
            cited_text: None,
            span: None,
            source: None,
        })
    };
    if supports.is_empty() {
        return sources
            .iter()
            .take(MOST)
            .filter_map(cite)
            .map(|citation| (None, citation))
            .collect();
    }
    let mut found = Vec::new();
    for support in supports {
        let segment = support.segment.unwrap_or_default();
        let said = segment.text.as_ref().map_or("", |text| &text.0);
        let place = visible.locate(segment.start_index.unwrap_or(0), segment.end_index, said);
        for index in support.grounding_chunk_indices.unwrap_or_default() {
            let Some(citation) = sources.get(index).and_then(cite) else {
                continue;
            };
            if found.len() == MOST {
                return found;
            }
            found.push((
                place.map(|(part, _)| part),
                Citation {
                    cited_text: (!said.is_empty()).then(|| said.to_owned()),
                    span: place.map(|(_, span)| span),
                    ..citation
                },
            ));
        }
    }
    found
}

/// The citations of `citationMetadata`: texts that the model repeats.
pub(super) fn recitations(metadata: &RawValue, visible: &Visible) -> Vec<(Option<u32>, Citation)> {
    let Ok(metadata) = serde_json::from_str::<Recitations<'_>>(metadata.get()) else {
        return Vec::new();
    };
    metadata
        .citations
        .unwrap_or_default()
        .into_iter()
        .take(MOST)
        .filter(|found| found.uri.is_some() || found.title.is_some())
        .map(|found| {
            let place = visible.locate(found.start_index.unwrap_or(0), found.end_index, "");
            (
                place.map(|(part, _)| part),
                Citation {
                    url: found.uri.map(|uri| uri.0.into_owned()),
                    title: found.title.map(|title| title.0.into_owned()),
                    cited_text: None,
                    span: place.map(|(_, span)| span),
                    source: None,
                },
            )
        })
        .collect()
}

/// Writes `groundingMetadata` for searches and citations, each citation with the part that it belongs to.
pub(super) fn encode(
    candidate: &mut Object<'_>,
    visible: &Visible,
    citations: &[(u32, Citation)],
    queries: &[String],
) {
    let mut sources: Vec<&Citation> = Vec::new();
    let mut supports: Vec<((usize, usize), Vec<usize>)> = Vec::new();
    for (index, citation) in citations.iter().take(MOST) {
        let Some(part) = visible.parts.iter().find(|part| part.index == *index) else {
            continue;
        };
        let same = |other: &&Citation| other.url == citation.url && other.title == citation.title;
        let source = sources.iter().position(same).unwrap_or_else(|| {
            sources.push(citation);
            sources.len() - 1
        });
        let stretch = match citation.span {
            None => (part.start, part.end),
            Some((from, to)) => (visible.byte(part, from), visible.byte(part, to)),
        };
        match supports.iter_mut().find(|(known, _)| *known == stretch) {
            Some((_, indexes)) if indexes.contains(&source) => {}
            Some((_, indexes)) => indexes.push(source),
            None => supports.push((stretch, vec![source])),
        }
    }
    if sources.is_empty() && queries.is_empty() {
        return;
    }
    let mut grounding = candidate.object("groundingMetadata");
    if !queries.is_empty() {
        let mut list = grounding.array("webSearchQueries");
        for query in queries {
            list.string(query);
        }
    }
    if sources.is_empty() {
        return;
    }
    let mut chunks = grounding.array("groundingChunks");
    for source in sources {
        let mut chunk = chunks.object();
        let key = if source.url.is_some() {
            "web"
        } else {
            "retrievedContext"
        };
        let mut page = chunk.object(key);
        page.some_string("uri", source.url.as_deref());
        page.some_string("title", source.title.as_deref());
    }
    drop(chunks);
    let mut list = grounding.array("groundingSupports");
    for ((start, end), indexes) in supports {
        let mut support = list.object();
        let mut segment = support.object("segment");
        segment.u64("startIndex", u64::try_from(start).unwrap_or(0));
        segment.u64("endIndex", u64::try_from(end).unwrap_or(0));
        segment.some_string("text", visible.text.get(start..end));
        drop(segment);
        let mut numbers = support.array("groundingChunkIndices");
        for index in indexes {
            numbers.u64(u64::try_from(index).unwrap_or(0));
        }
    }
}

impl Visible {
    /// Where code point `at` of a part lies in the text; its end, when there are not that many.
    fn byte(&self, part: &Span, at: u64) -> usize {
        let text = self.text.get(part.start..part.end).unwrap_or_default();
        let inside = usize::try_from(at)
            .ok()
            .and_then(|at| text.char_indices().nth(at))
            .map_or(text.len(), |(byte, _)| byte);
        part.start + inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(parts: &[&str]) -> Visible {
        let mut visible = Visible::default();
        for (index, text) in parts.iter().enumerate() {
            visible.open(u32::try_from(index).unwrap());
            visible.push(text);
        }
        visible
    }

    /// Citations as `part:from-to url`.
    fn check(parts: &[&str], grounding: &str, expect: &[&str]) {
        let raw = RawValue::from_string(grounding.to_owned()).unwrap();
        let shown: Vec<String> = citations(&raw, &visible(parts))
            .iter()
            .map(|(part, citation)| {
                let url = citation.url.as_deref().unwrap_or("?");
                match (part, citation.span) {
                    (Some(part), Some((from, to))) => format!("{part}:{from}-{to} {url}"),
                    _ => url.to_owned(),
                }
            })
            .collect();
        assert_eq!(shown, expect);
    }

    #[test]
    fn bytes_become_code_points() {
        check(
            &["Ärger 中文 now"],
            r#"{"groundingChunks":[{"web":{"uri":"u"}},{"web":{"uri":"v"}}],"groundingSupports":[{"segment":{"startIndex":7,"endIndex":13,"text":"中文"},"groundingChunkIndices":[0,1,7]}]}"#,
            &["0:6-8 u", "0:6-8 v"],
        );
        // Offsets that do not fit are mended by the text.
        check(
            &["ab", "中文"],
            r#"{"groundingChunks":[{"maps":{"uri":"u"}}],"groundingSupports":[{"segment":{"startIndex":3,"endIndex":900,"text":"文"},"groundingChunkIndices":[0]}]}"#,
            &["1:1-2 u"],
        );
        check(
            &["a"],
            r#"{"groundingChunks":[{"web":{"uri":"u"}}]}"#,
            &["u"],
        );
        check(&["a"], r#"{"webSearchQueries":["q"]}"#, &[]);
        check(&["a"], "[]", &[]);
    }

    #[test]
    fn what_is_written_reads_back() {
        let visible = visible(&["Ä", "中文 now"]);
        let cite = |url: &str, span| Citation {
            url: Some(url.into()),
            title: Some("t".into()),
            cited_text: None,
            span,
            source: None,
        };
        let mut out = Vec::new();
        encode(
            &mut Object::new(&mut out),
            &visible,
            &[
                (1, cite("u", Some((1, 2)))),
                (1, cite("v", Some((1, 2)))),
                (0, cite("u", None)),
            ],
            &[],
        );
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            r#"{"groundingMetadata":{"groundingChunks":[{"web":{"uri":"u","title":"t"}},{"web":{"uri":"v","title":"t"}}],"groundingSupports":[{"segment":{"startIndex":5,"endIndex":8,"text":"文"},"groundingChunkIndices":[0,1]},{"segment":{"startIndex":0,"endIndex":2,"text":"Ä"},"groundingChunkIndices":[0]}]}}"#
        );
    }
}
