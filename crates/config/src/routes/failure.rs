//! What a route does when targets fail.

use lingate_routing::{FallbacksOn, LastResort, Retry};

use crate::read::{Reader, Value};

/// What is tried after any failure that has no models of its own.
pub(super) fn fallbacks(route: &Value) -> Vec<String> {
    let any = route.get("fallbacks_on").and_then(|on| on.get("any"));
    let mut models = Value::texts(route.get("fallbacks"));
    models.extend(Value::texts(any));
    models
}

/// `None` for a cause that is not mentioned; an empty list is something else.
pub(super) fn fallbacks_on(said: Option<&Value>) -> FallbacksOn {
    let models = |cause: &str| {
        let said = said.and_then(|said| said.get(cause))?;
        Some(Value::texts(Some(said)))
    };
    FallbacksOn {
        context_length: models("context_length"),
        refusal: models("refusal"),
        timeout: models("timeout"),
    }
}

impl Reader<'_> {
    pub(super) fn retry(&mut self, said: Option<&Value>) -> Retry {
        let Some(said) = said else {
            return Retry::default();
        };
        let duration = |name: &str| said.get(name).and_then(Value::duration);
        let retry = Retry {
            attempts: said
                .get("attempts")
                .and_then(Value::number)
                .and_then(|number| u32::try_from(number).ok()),
            deadline: duration("deadline"),
            only_within: duration("only_within"),
        };
        if let (Some(deadline), Some(within)) = (retry.deadline, retry.only_within)
            && within > deadline
            && let Some(within) = said.get("only_within")
        {
            self.note(
                &within.place,
                &within.path,
                "has no effect: it is longer than the `deadline`",
            );
        }
        retry
    }

    pub(super) fn last_resort(&mut self, said: Option<&Value>) -> LastResort {
        let Some(said) = said else {
            return LastResort::default();
        };
        if let Some(word) = said.text() {
            return match word {
                "least_bad" => LastResort::LeastBad,
                _ => LastResort::Refuse,
            };
        }
        let queue = said.get("queue").and_then(Value::duration);
        let fallback = said.get("fallback").and_then(Value::text);
        match (queue, fallback) {
            (Some(queue), None) => LastResort::Queue(queue),
            (None, Some(model)) => LastResort::Fallback(model.to_owned()),
            (None, None) | (Some(_), Some(_)) => {
                if !self.told(&said.path) {
                    self.problem(
                        &said.place,
                        &said.path,
                        "expected one of refuse, least_bad, `{queue: 10s}`, `{fallback: model}`",
                    );
                }
                LastResort::default()
            }
        }
    }
}
