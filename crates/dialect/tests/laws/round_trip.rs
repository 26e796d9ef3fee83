//! Law 5: what is encoded without loss is decoded to the same again.

use lingate_dialect::{DialectId, Encoded, Losses, Malformed, Quirks, Refusal, Target, hub};
use serde_json::Value;

use crate::breaches::Breaches;
use crate::fixtures::{DIALECTS, Kind, pairs, samples};

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

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[test]
fn every_request_can_be_read_again_where_it_was_sent() {
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
            let Ok(encoded) = encode(&request, target, &mut Losses::default()) else {
                continue;
            };
            let twice = decode(&encoded.body, target)
                .map_err(|fault| fault.to_string())
                .and_then(|again| {
                    let twice = encode(&again, target, &mut Losses::default());
                    twice.map_err(|refusal| refusal.message)
                });
            let what = format!("to {target}");
            match twice {
                Ok(twice) => {
                    let (left, right) = (json(&twice.body), json(&encoded.body));
                    breaches.same(&left, &right, &sample.name, &what);
                }
                Err(fault) => breaches.push(&sample.name, &format!("{what}: {fault}")),
            }
        }
    }
    breaches.settle();
}

#[test]
fn a_request_that_lost_nothing_comes_back_the_same() {
    let mut breaches = Breaches::default();
    for (source, target) in pairs().filter(|(source, target)| source != target) {
        for sample in samples(Kind::Request).filter(|sample| sample.dialect == source) {
            let Ok(request) = decode(&sample.body, source) else {
                continue;
            };
            let (mut there, mut back) = (Losses::default(), Losses::default());
            let direct = encode(&request, source, &mut Losses::default());
            let encoded = encode(&request, target, &mut there);
            let (Ok(direct), Ok(encoded)) = (direct, encoded) else {
                continue;
            };
            let around = decode(&encoded.body, target)
                .map_err(|fault| fault.to_string())
                .and_then(|returned| {
                    let around = encode(&returned, source, &mut back);
                    around.map_err(|refusal| refusal.message)
                });
            if !there.is_empty() || !back.is_empty() {
                continue;
            }
            match around {
                Ok(around) => {
                    let (left, right) = (json(&around.body), json(&direct.body));
                    let what = format!("by {target}: {}", String::from_utf8_lossy(&encoded.body));
                    breaches.same(&left, &right, &sample.name, &what);
                }
                Err(fault) => breaches.push(&sample.name, &format!("by {target}: {fault}")),
            }
        }
    }
    breaches.settle();
}
