//! Law 5: what is encoded without loss is decoded to the same again.

use lingate_dialect::{DialectId, Encoded, Losses, Malformed, Quirks, Refusal, Target, hub};
use serde_json::Value;

use crate::breaches::Breaches;
use crate::digest::request_digest;
use crate::drive::DIALECTS;
use crate::fixtures::{Kind, samples};

fn encode(
    request: &hub::Request,
    dialect: DialectId,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    let target = Target {
        model: "the-model",
        quirks: &Quirks::default(),
        max_output: None,
        default_max_tokens: 8192,
    };
    dialect.dialect().encode_request(request, &target, losses)
}

fn decode(body: &[u8], dialect: DialectId) -> Result<hub::Request, Malformed> {
    let mut request = dialect.dialect().decode_request(body)?;
    // Gemini says the model in the path.
    "the-model".clone_into(&mut request.model);
    Ok(request)
}

#[test]
fn what_was_lost_nothing_of_says_the_same_again() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Request) {
        let request = match decode(&sample.body, sample.dialect) {
            Ok(request) => request,
            Err(fault) => {
                if sample.own {
                    breaches.push(&sample.name, &fault.to_string());
                }
                continue;
            }
        };
        for target in DIALECTS {
            let mut losses = Losses::default();
            let Ok(encoded) = encode(&request, target, &mut losses) else {
                continue;
            };
            match decode(&encoded.body, target) {
                Err(fault) => breaches.push(&sample.name, &format!("to {target}: {fault}")),
                Ok(_) if !losses.is_empty() => {}
                Ok(again) => {
                    let (left, right) = (request_digest(&request), request_digest(&again));
                    let differs = left.iter().zip(&right).find(|(left, right)| left != right);
                    if left != right {
                        breaches.push(&sample.name, &format!("to {target}: {differs:#?}"));
                    }
                }
            }
        }
    }
    breaches.settle();
}

/// A request is settled once it has been read from the dialect that it is written in.
#[test]
fn a_settled_request_is_written_the_same_again() {
    let mut breaches = Breaches::default();
    for sample in samples(Kind::Request) {
        let Ok(request) = decode(&sample.body, sample.dialect) else {
            continue;
        };
        for target in DIALECTS {
            let again = |body: &[u8]| {
                let request = decode(body, target).map_err(|fault| fault.to_string())?;
                let encoded = encode(&request, target, &mut Losses::default());
                encoded
                    .map(|encoded| encoded.body)
                    .map_err(|refusal| refusal.message)
            };
            let Ok(first) = encode(&request, target, &mut Losses::default()) else {
                continue;
            };
            let settled = again(&first.body);
            let third = settled
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|body| again(body));
            match (settled, third) {
                (Ok(second), Ok(third)) if second == third => {}
                (Ok(second), Ok(third)) => {
                    let json = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
                    let found = differences(&json(&second), &json(&third));
                    breaches.push(&sample.name, &format!("to {target}: {found:?}"));
                }
                (Err(fault), _) | (_, Err(fault)) => {
                    breaches.push(&sample.name, &format!("to {target}: {fault}"));
                }
            }
        }
    }
    breaches.settle();
}

/// Where two JSON texts differ, and how.
fn differences(left: &Value, right: &Value) -> Vec<String> {
    fn walk(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
        match (left, right) {
            (Value::Object(one), Value::Object(other)) => {
                let keys = one
                    .keys()
                    .chain(other.keys().filter(|key| !one.contains_key(*key)));
                for key in keys {
                    walk(&format!("{path}.{key}"), &left[key], &right[key], found);
                }
            }
            (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
                for (at, (one, other)) in one.iter().zip(other).enumerate() {
                    walk(&format!("{path}.{at}"), one, other, found);
                }
            }
            _ if left == right => {}
            _ => {
                let brief = |value: &Value| value.to_string().chars().take(120).collect::<String>();
                found.push(format!("{path}: {} | {}", brief(left), brief(right)));
            }
        }
    }
    let mut found = Vec::new();
    walk("", left, right, &mut found);
    found
}
