//! `GET /v1/responses/{id}/input_items`: what an answer was made from, page by page.

use http::{Method, Response, StatusCode};
use lingate_dialect::ApiError;
use lingate_dialect::json::Object;

use super::chain::Place;
use super::items::{self, Item};
use super::{Call, forward, query};
use crate::answer::{self, Body};

const USUAL: u64 = 20;
const MOST: u64 = 100;

pub(crate) async fn answer(call: &Call<'_>) -> Result<Response<Body>, ApiError> {
    let record = &call.record;
    if record.content.is_none() {
        return forward::send(call, &Method::GET, "/input_items").await;
    }
    let limit = query::number(&call.query, "limit", 1, MOST)?.unwrap_or(USUAL);
    let newest_first = match query::value(&call.query, "order").as_deref() {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(other) => {
            let what = format!("'{other}'; expected asc or desc");
            return Err(query::invalid("order", &what));
        }
    };
    let mut listed = Vec::new();
    if let Some(previous) = &record.previous {
        let place = Place {
            shelf: &call.gateway.responses,
            scope: &call.scope,
            now: call.visit.mint.now,
            most: call.visit.snapshot.defaults.body_limit,
        };
        // What is gone of the beginning is not listed.
        if let Some(chain) = place.chain(previous).await? {
            for record in &chain.records {
                items::of_input(record, &mut listed);
                items::of_output(record, &mut listed);
            }
        }
    }
    items::of_input(record, &mut listed);
    if newest_first {
        listed.reverse();
    }
    let start = match query::value(&call.query, "after") {
        None => 0,
        Some(after) => {
            let at = listed.iter().position(|item| item.id == after);
            let unknown = || query::invalid("after", &format!("no item has the id '{after}'"));
            at.ok_or_else(unknown)? + 1
        }
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let rest = listed.get(start..).unwrap_or_default();
    let page = rest.get(..limit).unwrap_or(rest);
    Ok(answer::json(StatusCode::OK, list(page, rest.len() > limit)))
}

fn list(page: &[Item], more: bool) -> Vec<u8> {
    let mut out = Vec::new();
    {
        let mut list = Object::new(&mut out);
        list.string("object", "list");
        let mut data = list.array("data");
        for item in page {
            data.value().extend_from_slice(&item.json);
        }
        drop(data);
        for (key, item) in [("first_id", page.first()), ("last_id", page.last())] {
            match item {
                Some(item) => list.string(key, &item.id),
                None => list.null(key),
            }
        }
        list.bool("has_more", more);
    }
    out
}
