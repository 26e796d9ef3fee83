//! What a well-formed answer of Responses looks like: the order of events that its SDKs and agents rely on.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::wire::{Ending, Event, Faults, list, object, text};

/// An item of a stream, as far as it was told.
#[derive(Debug, Default)]
struct Item {
    announced: Value,
    done: Option<Value>,
    /// Texts of its parts, of its summaries, and of its call.
    told: BTreeMap<(&'static str, u64), Told>,
}

#[derive(Debug, Default)]
struct Told {
    text: String,
    annotations: usize,
    /// The last event that a part of this kind has.
    over: bool,
}

pub(crate) fn stream(events: &[Event], faults: &mut Vec<String>) -> Ending {
    let mut faults = Faults(faults);
    let mut items: Vec<Item> = Vec::new();
    let mut id = None;
    let mut ending = Ending::None;
    for (number, (name, value)) in events.iter().enumerate() {
        let kind = text(&value["type"]);
        faults.unless(!value.is_null(), "[DONE] in a Responses stream");
        faults.unless(name == kind, "name and type of an event differ");
        faults.unless(value["sequence_number"] == number, "sequence_number");
        faults.unless(ending == Ending::None, "an event after the end");
        faults.unless(
            (number == 0) == (kind == "response.created"),
            "response.created is not the first event",
        );
        if value["response"].is_object() {
            let known = id.get_or_insert(&value["response"]["id"]);
            faults.unless(*known == &value["response"]["id"], "id changes");
        }
        match kind {
            "response.created" | "response.in_progress" => {
                answer(&value["response"], &mut faults);
                faults.unless(value["response"]["status"] == "in_progress", "status");
            }
            "response.completed" | "response.incomplete" => {
                ending = Ending::Clean;
                last(&value["response"], kind, &items, &mut faults);
            }
            "response.failed" => {
                ending = Ending::Error;
                answer(&value["response"], &mut faults);
                let error = &value["response"]["error"];
                let whole = error["code"].is_string() && error["message"].is_string();
                faults.unless(whole, "an error without its fields");
            }
            _ => piece(kind, value, &mut items, &mut faults),
        }
    }
    ending
}

/// The last event holds every item, as it was told.
fn last(response: &Value, kind: &str, items: &[Item], faults: &mut Faults<'_>) {
    answer(response, faults);
    let status = kind.strip_prefix("response.");
    faults.unless(response["status"].as_str() == status, "status and event");
    faults.unless(
        response["incomplete_details"].is_object() == (kind == "response.incomplete"),
        "incomplete_details",
    );
    usage(&response["usage"], faults);
    let done: Vec<&Value> = items.iter().filter_map(|item| item.done.as_ref()).collect();
    faults.unless(done.len() == items.len(), "an item is left open");
    let repeated: Vec<&Value> = list(&response["output"]).iter().collect();
    faults.unless(
        repeated == done,
        "output differs from the items that were told",
    );
}

fn piece(kind: &str, value: &Value, items: &mut Vec<Item>, faults: &mut Faults<'_>) {
    let Some(place) = value["output_index"]
        .as_u64()
        .and_then(|place| usize::try_from(place).ok())
    else {
        faults.unless(false, "an event without output_index");
        return;
    };
    if kind == "response.output_item.added" {
        faults.unless(place == items.len(), "output_index");
        faults.unless(
            items.iter().all(|item| item.done.is_some()),
            "two items open",
        );
        faults.unless(!text(&value["item"]["id"]).is_empty(), "an item without id");
        items.push(Item {
            announced: value["item"].clone(),
            ..Item::default()
        });
        return;
    }
    let Some(item) = items.get_mut(place).filter(|item| item.done.is_none()) else {
        faults.unless(false, "an event outside of its item");
        return;
    };
    if kind == "response.output_item.done" {
        item.finish(&value["item"], faults);
        return;
    }
    faults.unless(value["item_id"] == item.announced["id"], "item_id");
    item.grow(kind, value, faults);
}

impl Item {
    fn grow(&mut self, kind: &str, value: &Value, faults: &mut Faults<'_>) {
        let number = |key: &str| value[key].as_u64().unwrap_or(u64::MAX);
        let content = number("content_index");
        let summary = number("summary_index");
        // Of a part: what it is, its number, whether the event opens, tells or ends it, and what it says.
        let (what, number, step, said) = match kind {
            "response.content_part.added" => ("part", content, "open", ""),
            "response.output_text.delta" => {
                faults.unless(value["logprobs"].is_array(), "a delta without logprobs");
                ("part", content, "tell", text(&value["delta"]))
            }
            "response.web_search_call.in_progress"
            | "response.web_search_call.searching"
            | "response.web_search_call.completed" => {
                let search = self.announced["type"] == "web_search_call";
                faults.unless(search, "a search inside of another item");
                return;
            }
            "response.refusal.delta" => ("part", content, "tell", text(&value["delta"])),
            "response.output_text.done" => {
                faults.unless(value["logprobs"].is_array(), "a text without logprobs");
                ("part", content, "done", text(&value["text"]))
            }
            "response.refusal.done" => ("part", content, "done", text(&value["refusal"])),
            "response.output_text.annotation.added" => {
                let told = self.told.get_mut(&("part", content));
                let fits = told.is_some_and(|told| {
                    told.annotations += 1;
                    !told.over && value["annotation_index"] == told.annotations - 1
                });
                faults.unless(fits, "an annotation out of place");
                return;
            }
            "response.content_part.done" => {
                let part = &value["part"];
                let said = part["text"].as_str().or(part["refusal"].as_str());
                let told = self.told.get(&("part", content));
                let fits = told.is_some_and(|told| {
                    told.over
                        && said == Some(&told.text)
                        && (part["type"] != "output_text"
                            || list(&part["annotations"]).len() == told.annotations)
                });
                faults.unless(fits, "a part that differs from what was told of it");
                return;
            }
            "response.reasoning_summary_part.added" => ("summary", summary, "open", ""),
            "response.reasoning_summary_text.delta" => {
                ("summary", summary, "tell", text(&value["delta"]))
            }
            "response.reasoning_summary_text.done" => {
                ("summary", summary, "done", text(&value["text"]))
            }
            "response.reasoning_summary_part.done" => {
                let told = self.told.get(&("summary", summary));
                let same = told.is_some_and(|told| {
                    told.over && value["part"]["text"].as_str() == Some(&told.text)
                });
                faults.unless(same, "a summary that differs from what was told of it");
                return;
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                ("call", 0, "tell", text(&value["delta"]))
            }
            "response.function_call_arguments.done" => {
                ("call", 0, "done", text(&value["arguments"]))
            }
            "response.custom_tool_call_input.done" => ("call", 0, "done", text(&value["input"])),
            _ => {
                faults.unless(false, "an unknown event");
                return;
            }
        };
        let fits = match what {
            "part" => self.announced["type"] == "message",
            "summary" => self.announced["type"] == "reasoning",
            _ => text(&self.announced["type"]).ends_with("_call"),
        };
        faults.unless(fits, "an event that does not fit its item");
        if step == "open" {
            let before = self.told.keys().filter(|(kind, _)| *kind == what).count();
            faults.unless(u64::try_from(before) == Ok(number), "number of a part");
            let over = self.told.values().all(|told| told.over);
            faults.unless(over, "two parts open");
            self.told.insert((what, number), Told::default());
            return;
        }
        if what == "call" {
            self.told.entry((what, number)).or_default();
        }
        let Some(told) = self.told.get_mut(&(what, number)).filter(|told| !told.over) else {
            faults.unless(false, "a part told that is not open");
            return;
        };
        if step == "tell" {
            told.text.push_str(said);
        } else {
            told.over = true;
            faults.unless(
                told.text == said,
                "the end of a part differs from its pieces",
            );
        }
    }

    fn finish(&mut self, item: &Value, faults: &mut Faults<'_>) {
        faults.unless(item["id"] == self.announced["id"], "id of an item changes");
        faults.unless(
            item["type"] == self.announced["type"],
            "type of an item changes",
        );
        faults.unless(
            item["call_id"] == self.announced["call_id"],
            "call_id of an item changes",
        );
        faults.unless(
            self.told.values().all(|told| told.over),
            "a part is left open",
        );
        let parts: Vec<&Told> = self.told.values().collect();
        match text(&item["type"]) {
            "message" => {
                let said = list(&item["content"]).iter().map(|part| {
                    let text = part["text"].as_str().or(part["refusal"].as_str());
                    text.unwrap_or_default()
                });
                let same = said.eq(parts.iter().map(|told| told.text.as_str()));
                faults.unless(same, "a message differs from its parts");
            }
            "function_call" => {
                let same = parts.len() == 1 && item["arguments"].as_str() == Some(&parts[0].text);
                faults.unless(same, "arguments differ from what was told of them");
            }
            "custom_tool_call" => {
                let same = parts.is_empty() && item["input"] == ""
                    || parts.len() == 1 && item["input"].as_str() == Some(&parts[0].text);
                faults.unless(same, "an input differs from what was told of it");
            }
            _ => {}
        }
        self.done = Some(item.clone());
    }
}

pub(crate) fn whole(response: &Value, faults: &mut Vec<String>) {
    let mut faults = Faults(faults);
    answer(response, &mut faults);
    let incomplete = response["status"] == "incomplete";
    faults.unless(
        response["incomplete_details"].is_object() == incomplete,
        "incomplete_details",
    );
    if response["status"] != "failed" {
        usage(&response["usage"], &mut faults);
    }
}

/// The fields that the official SDKs' types demand.
fn answer(response: &Value, faults: &mut Faults<'_>) {
    faults.unless(response["object"] == "response", "object");
    faults.unless(text(&response["id"]).starts_with("resp_"), "id");
    faults.unless(!text(&response["model"]).is_empty(), "no model");
    faults.unless(response["created_at"].is_i64(), "created_at");
    for key in [
        "error",
        "incomplete_details",
        "instructions",
        "metadata",
        "temperature",
        "top_p",
    ] {
        faults.unless(response.get(key).is_some(), &format!("no {key}"));
    }
    faults.unless(
        response["parallel_tool_calls"].is_boolean(),
        "parallel_tool_calls",
    );
    faults.unless(!response["tool_choice"].is_null(), "no tool_choice");
    faults.unless(response["tools"].is_array(), "no tools");
    faults.unless(response["output"].is_array(), "no output");
    for item in list(&response["output"]) {
        faults.unless(!text(&item["id"]).is_empty(), "an item without id");
        match text(&item["type"]) {
            "message" => {
                faults.unless(item["role"] == "assistant", "role");
                faults.unless(item["status"].is_string(), "a message without status");
                for part in list(&item["content"]) {
                    let fits = match text(&part["type"]) {
                        "output_text" => part["text"].is_string() && part["annotations"].is_array(),
                        "refusal" => part["refusal"].is_string(),
                        _ => false,
                    };
                    faults.unless(fits, "a part without its fields");
                }
            }
            "reasoning" => faults.unless(item["summary"].is_array(), "no summary"),
            "function_call" => {
                let named = !text(&item["call_id"]).is_empty() && !text(&item["name"]).is_empty();
                faults.unless(named, "a call without call_id or name");
                let whole = object(text(&item["arguments"]))
                    || item["status"] == "incomplete"
                    || response["status"] != "completed";
                faults.unless(whole, "arguments that are no object");
            }
            "custom_tool_call" => {
                let named = !text(&item["call_id"]).is_empty() && !text(&item["name"]).is_empty();
                faults.unless(
                    named && item["input"].is_string(),
                    "a call without its fields",
                );
            }
            _ => {}
        }
    }
}

/// Half of its fields make agents drop the whole answer.
fn usage(usage: &Value, faults: &mut Faults<'_>) {
    let count = |key: &str| usage[key].as_u64();
    let sum = count("input_tokens").zip(count("output_tokens"));
    faults.unless(
        sum.is_some_and(|(input, output)| count("total_tokens") == Some(input + output)),
        "usage does not add up",
    );
    let details = usage["input_tokens_details"]["cached_tokens"].is_u64()
        && usage["input_tokens_details"]["cache_write_tokens"].is_u64()
        && usage["output_tokens_details"]["reasoning_tokens"].is_u64();
    faults.unless(details, "usage without its details");
}
