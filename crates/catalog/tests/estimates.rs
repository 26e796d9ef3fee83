//! Estimates against what vendors counted for recorded requests, where the recordings lie beside the checkout.
//!
//! With `LINGATE_PIECES=FILE` it writes what each request is made of, for `tests/corpus/fit_tokens.py`.

#![expect(clippy::unwrap_used, reason = "tests may fail")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use lingate_dialect::framing::Framing;
use lingate_dialect::stream::{Collector, End, Shown, Tap};
use lingate_dialect::{DialectId, Mint, Reply, estimate, hub};
use serde_json::Value;

const FILES: [(&str, DialectId); 6] = [
    ("openai_chat", DialectId::Chat),
    ("openai_responses", DialectId::Responses),
    ("anthropic_messages", DialectId::Messages),
    ("anthropic_count_tokens", DialectId::Messages),
    ("gemini_generate", DialectId::Gemini),
    ("gemini_count_tokens", DialectId::Gemini),
];

/// A recorded request and what the vendor counted.
struct Counted {
    id: String,
    model: String,
    request: hub::Request,
    body: Vec<u8>,
    tokens: u64,
    /// The count can be known from the request: nothing of it is stored elsewhere, fetched, or was replaced in the recording.
    told: bool,
    /// Requests with the same words are in the same half.
    half: bool,
}

fn folder() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = option_env!("LINGATE_CORPUS").map(PathBuf::from).into_iter();
    let beside =
        ["../../../shared/corpus", "../../../../shared/corpus"].map(|path| here.join(path));
    named.chain(beside).find(|folder| folder.exists())
}

fn recorded(folder: &Path, file: &str, dialect: DialectId) -> Vec<Counted> {
    let text = std::fs::read_to_string(folder.join(format!("{file}.jsonl"))).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter_map(|recording: Value| counted(&recording, dialect))
        .collect()
}

fn counted(recording: &Value, dialect: DialectId) -> Option<Counted> {
    let body = recording["request"]["body"].as_object()?;
    let tokens = tokens_told(recording, dialect).filter(|tokens| *tokens > 0)?;
    let mut body = body.clone();
    if dialect == DialectId::Messages {
        body.entry("max_tokens").or_insert(Value::from(1));
    }
    let text = serde_json::to_vec(&body).unwrap();
    let request = dialect.dialect().decode_request(&text).ok()?;
    let model = recording["model"].as_str().unwrap_or_default();
    let elsewhere = [
        "previous_response_id",
        "conversation",
        "prompt",
        "cachedContent",
    ];
    let told = recording["meta"]["request_media_shrunk"].is_null()
        && !elsewhere.iter().any(|key| body.contains_key(*key))
        && !request.tools.iter().any(|tool| {
            !matches!(
                tool.body,
                hub::ToolBody::Function { .. } | hub::ToolBody::Custom { .. }
            )
        })
        && request.turns.iter().flat_map(|turn| &turn.parts).all(known);
    let words = body
        .get("messages")
        .or_else(|| body.get("contents"))
        .or_else(|| body.get("input"))
        .map(Value::to_string)
        .unwrap_or_default();
    let hash = words.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Some(Counted {
        id: recording["id"].as_str().unwrap().to_owned(),
        model: model.to_owned(),
        request,
        body: text,
        tokens,
        told,
        half: (hash >> 32) % 2 == 0,
    })
}

fn known(part: &hub::Part) -> bool {
    match &part.body {
        hub::PartBody::Media(media) => {
            !matches!(media.source, hub::Source::Url(_) | hub::Source::File(_))
        }
        hub::PartBody::ToolResult(result) => result.parts.iter().all(known),
        hub::PartBody::Opaque(_) => false,
        hub::PartBody::Text(_)
        | hub::PartBody::Refusal(_)
        | hub::PartBody::Reasoning(_)
        | hub::PartBody::ToolCall(_) => true,
    }
}

/// All tokens of the prompt, cached ones too, as the answer says; the last that is said holds.
fn tokens_told(recording: &Value, dialect: DialectId) -> Option<u64> {
    if recording["response"]["status"] != 200 {
        return None;
    }
    let text = recording["response"]["body_text"].as_str()?;
    let whole: Option<Value> = serde_json::from_str(text).ok();
    let answers: Vec<Value> = match whole {
        Some(Value::Array(chunks)) => chunks,
        Some(answer) => vec![answer],
        None => text
            .lines()
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
            .collect(),
    };
    let mut told = None;
    for answer in &answers {
        let number = |usage: &Value, key: &str| usage[key].as_u64();
        for usage in [
            &answer["usage"],
            &answer["message"]["usage"],
            &answer["response"]["usage"],
            &answer["x_groq"]["usage"],
            &answer["usageMetadata"],
            answer,
        ] {
            let mut prompt = number(usage, "prompt_tokens")
                .or_else(|| number(usage, "promptTokenCount"))
                .or_else(|| number(usage, "totalTokens"));
            if let Some(input) = number(usage, "input_tokens") {
                let cached = ["cache_read_input_tokens", "cache_creation_input_tokens"]
                    .map(|key| number(usage, key).unwrap_or(0));
                let cached = if dialect == DialectId::Messages {
                    cached
                } else {
                    [0, 0]
                };
                prompt = Some((input + cached[0] + cached[1]).max(told.unwrap_or(0)));
            }
            told = prompt.or(told);
        }
    }
    told
}

#[expect(
    clippy::disallowed_methods,
    reason = "the core does no I/O; its tests may"
)]
fn hand_out(rows: &str) {
    if let Ok(path) = std::env::var("LINGATE_PIECES") {
        std::fs::write(path, rows).unwrap();
    }
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "counts of tokens are small")]
fn estimates_are_near_what_vendors_counted() {
    let Some(folder) = folder() else {
        println!("no recordings found: LINGATE_CORPUS names their folder");
        return;
    };
    let catalog = lingate_catalog::builtin();
    let mut rows = String::new();
    for (file, dialect) in FILES {
        let (mut all, mut told, mut other_half) = (Vec::new(), Vec::new(), Vec::new());
        for counted in recorded(&folder, file, dialect) {
            let weights = catalog.weights(&counted.model);
            let guess = estimate::tokens(&counted.request, &weights);
            let error = (guess as f64 - counted.tokens as f64) / counted.tokens as f64;
            all.push(error.abs());
            if counted.told {
                told.push(error.abs());
                if !counted.half {
                    other_half.push(error.abs());
                }
            }
            let terms: BTreeMap<_, _> = estimate::pieces(&counted.request, &weights.image)
                .named()
                .into_iter()
                .filter(|(_, count)| *count != 0.0)
                .collect();
            let row = serde_json::json!({"file": file, "id": counted.id, "model": counted.model, "tokens": counted.tokens, "guess": guess, "told": counted.told, "half": counted.half, "terms": terms});
            writeln!(rows, "{row}").unwrap();
        }
        let show = |errors: &mut Vec<f64>| {
            errors.sort_by(f64::total_cmp);
            let at = |share: usize| {
                100.0
                    * errors
                        .get(errors.len() * share / 100)
                        .copied()
                        .unwrap_or(0.0)
            };
            (errors.len(), at(50), at(90))
        };
        for (what, errors) in [
            ("all", &mut all),
            ("told", &mut told),
            ("other half", &mut other_half),
        ] {
            let (count, median, ninth) = show(errors);
            println!("{file} {what}: {count} requests, median {median:.1} %, p90 {ninth:.1} %");
            assert!(median < 10.0 || count < 10, "{file} {what}: {median} %");
        }
    }
    hand_out(&rows);
}

/// How near a guess is: the ratios of guesses to the truth, from the lowest.
struct Ratios(Vec<f64>);

impl Ratios {
    /// From here on [`Self::at`] may be asked.
    fn shown(&mut self, what: &str) -> String {
        self.0.sort_by(f64::total_cmp);
        let count = self.0.len();
        let [low, middle, high] = [10, 50, 90].map(|share| self.at(share));
        format!("{what}: {count}, p10 {low:.2}, median {middle:.2}, p90 {high:.2}")
    }

    fn at(&self, share: usize) -> f64 {
        let at = self.0.get(self.0.len() * share / 100);
        at.copied().unwrap_or(1.0)
    }
}

/// What admission guesses from the bytes alone.
#[test]
#[expect(clippy::cast_precision_loss, reason = "counts of tokens are small")]
fn rough_estimates_are_of_the_right_order() {
    let Some(folder) = folder() else {
        println!("no recordings found: LINGATE_CORPUS names their folder");
        return;
    };
    let catalog = lingate_catalog::builtin();
    let mut ratios = Ratios(Vec::new());
    for (file, dialect) in FILES {
        let requests = recorded(&folder, file, dialect).into_iter();
        let known = requests.filter(|counted| counted.told && counted.tokens >= 50);
        ratios.0.extend(known.map(|counted| {
            let guess = estimate::Rough::of(&counted.body).tokens(&catalog.weights(&counted.model));
            guess as f64 / counted.tokens as f64
        }));
    }
    println!("{}", ratios.shown("rough"));
    let [low, middle, high] = [10, 50, 90].map(|share| ratios.at(share));
    assert!(low > 0.5 && (0.9..1.2).contains(&middle) && high < 1.8);
}

/// What is counted of a stream that goes by, whichever way it is read, against what the vendor says at its end.
#[test]
#[expect(clippy::cast_precision_loss, reason = "counts of tokens are small")]
fn answers_are_counted_about_as_vendors_count_them() {
    let Some(folder) = folder() else {
        println!("no recordings found: LINGATE_CORPUS names their folder");
        return;
    };
    let catalog = lingate_catalog::builtin();
    let reply = Reply {
        model: String::new(),
        mint: Mint { now: 0, id: 0 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
        responses: None,
    };
    let [mut tapped, mut decoded, mut apart] = [const { Ratios(Vec::new()) }; 3];
    for (file, dialect) in FILES {
        let text = std::fs::read_to_string(folder.join(format!("{file}.jsonl"))).unwrap();
        for line in text.lines() {
            let recording: Value = serde_json::from_str(line).unwrap();
            if recording["meta"]["framing"] != "sse" || recording["response"]["status"] != 200 {
                continue;
            }
            let stream = recording["response"]["body_text"].as_str().unwrap();
            let weights = catalog.weights(recording["model"].as_str().unwrap_or_default());
            let mut tap = Tap::new(dialect.dialect(), Framing::Sse);
            tap.push(stream.as_bytes());
            let summary = tap.end(End::Eof, &reply, Shown::All, &mut Vec::new());
            let mut collector = Collector::new(dialect.dialect(), Framing::Sse);
            // What cannot be read is told by the summary.
            let _ = collector.push(stream.as_bytes());
            let (_, collected) = collector.end(End::Eof);
            let [by_tap, by_events] =
                [&summary, &collected].map(|summary| summary.produced.tokens(&weights) as f64);
            if by_events > 20.0 && collected.error.is_none() {
                apart.0.push(by_tap / by_events);
            }
            // Of reasoning that is not shown nobody can count anything.
            let told = summary.usage.filter(|usage| {
                usage.output >= 20 && usage.reasoning.unwrap_or(0) == 0 && summary.error.is_none()
            });
            if let Some(usage) = told {
                tapped.0.push(by_tap / usage.output as f64);
                decoded.0.push(by_events / usage.output as f64);
            }
        }
    }
    println!("{}", tapped.shown("tapped"));
    println!("{}", decoded.shown("decoded"));
    println!("{}", apart.shown("tapped to decoded"));
    for ratios in [&tapped, &decoded] {
        assert!((0.8..1.1).contains(&ratios.at(50)) && ratios.at(90) < 1.3);
    }
    assert!(apart.at(10) > 0.95 && apart.at(90) < 1.1);
}
