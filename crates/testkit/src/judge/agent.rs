//! The scenario of an agent: ten turns with thoughts, text and parallel calls, each checked against all that came before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::scenario::{Answer, Ask, Call, Cause, End, Fate, Outcome, Outcomes, Part, Refusal};

/// Turns with calls; the one after them ends the conversation.
const TURNS: u64 = 10;

/// What was said in a turn, in what arrives of it.
#[derive(Debug, Default)]
struct Earlier<'a> {
    text: String,
    calls: Vec<&'a Call>,
    results: Vec<&'a Outcomes>,
    proofs: Vec<&'a str>,
}

/// The next turn of the conversation, or what is wrong with those before it.
pub(super) fn play(ask: &Ask) -> Outcome {
    let earlier = earlier(ask);
    let mut proven = 0;
    let mut sum = 0;
    for (turn, came) in (0_u64..).zip(&earlier) {
        let said = say(ask.dialect, turn);
        if let Err(fault) = check((ask.dialect, turn), &said, came) {
            let message = format!("turn {turn}: {fault}");
            return Outcome::Refuse(Refusal::new(Cause::Request, message));
        }
        proven += u64::from(!came.proofs.is_empty());
        sum += said
            .iter()
            .map(|call| answer_to(call)["sum"].as_u64().unwrap_or_default())
            .sum::<u64>();
    }
    let turn = u64::try_from(earlier.len()).unwrap_or(u64::MAX);
    let (mut parts, end) = (
        vec![Part::Thought(thought(turn))],
        if turn < TURNS { End::Calls } else { End::Stop },
    );
    if turn < TURNS {
        parts.push(Part::Text(step(turn)));
        parts.extend(say(ask.dialect, turn).into_iter().map(Part::Call));
    } else {
        let told = json!({ "sum": sum, "turns": turn, "proven": proven });
        parts.push(Part::Text(told.to_string()));
    }
    Outcome::Answer(Answer {
        parts,
        end,
        fate: Fate::Whole,
    })
}

/// What only the model's vendor could have written about this thought.
pub(super) fn proof(dialect: &str, thought: &str) -> String {
    STANDARD.encode(format!("the judge of {dialect} thought: {thought}"))
}

fn thought(turn: u64) -> String {
    format!("Thinking of turn {turn} — ✓.")
}

fn step(turn: u64) -> String {
    format!("Step {turn}.")
}

/// The calls of a turn; in each second one the same tool is called twice.
fn say(dialect: &str, turn: u64) -> Vec<Call> {
    let mut calls = vec![
        ("add", json!({ "a": turn + 1, "b": 10 * turn })),
        ("lookup", json!({ "key": format!("key {turn} \"✓\"") })),
    ];
    if turn.is_multiple_of(2) {
        calls.push(("add", json!({ "a": turn, "b": 2 })));
    }
    let call = |(number, (name, arguments)): (u64, (&str, Value))| Call {
        id: format!("judge{dialect}{:010}", turn * 10 + number),
        name: name.to_owned(),
        arguments,
    };
    (0..).zip(calls).map(call).collect()
}

/// What the tools of the suites give back.
fn answer_to(call: &Call) -> Value {
    match call.name.as_str() {
        "add" => {
            let number = |key: &str| call.arguments[key].as_u64().unwrap_or_default();
            json!({ "sum": number("a") + number("b") })
        }
        _ => {
            json!({ "value": format!("value of {}", call.arguments["key"].as_str().unwrap_or_default()) })
        }
    }
}

/// The turns of the model. Neighbours of one role may come in one message or in several.
fn earlier(ask: &Ask) -> Vec<Earlier<'_>> {
    let mut all: Vec<Earlier<'_>> = Vec::new();
    let mut speaking = false;
    for turn in &ask.turns {
        if turn.role == "assistant" {
            if !speaking {
                all.push(Earlier::default());
            }
            if let Some(last) = all.last_mut() {
                last.text.push_str(&turn.text);
                last.calls.extend(&turn.calls);
                last.proofs.extend(turn.proofs.iter().map(String::as_str));
            }
        } else if let Some(last) = all.last_mut() {
            last.results.extend(&turn.results);
        }
        speaking = turn.role == "assistant";
    }
    all
}

fn check((dialect, turn): (&str, u64), said: &[Call], came: &Earlier<'_>) -> Result<(), String> {
    if came.text != step(turn) {
        return Err(format!("the text is {:?}", came.text));
    }
    let calls: Vec<_> = came
        .calls
        .iter()
        .map(|call| (&call.name, &call.arguments))
        .collect();
    let expect: Vec<_> = said
        .iter()
        .map(|call| (&call.name, &call.arguments))
        .collect();
    if calls != expect {
        return Err(format!("the calls are {calls:?}"));
    }
    if came.results.len() != said.len() {
        return Err(format!(
            "{} results for {} calls",
            came.results.len(),
            said.len()
        ));
    }
    for ((call, said), result) in came.calls.iter().zip(said).zip(&came.results) {
        let told: Value = serde_json::from_str(&result.content).unwrap_or_default();
        // The Vercel AI SDK wraps what a tool gave Gemini.
        let told = told.get("content").unwrap_or(&told);
        if result.name != call.name || *told != answer_to(said) {
            return Err(format!(
                "{} {} was answered by {}: {}",
                call.name, call.arguments, result.name, result.content
            ));
        }
        if !result.id.is_empty() && !call.id.is_empty() && result.id != call.id {
            return Err(format!(
                "the call {} was answered as {}",
                call.id, result.id
            ));
        }
    }
    let proof = proof(dialect, &thought(turn));
    match came.proofs.iter().find(|came| **came != proof) {
        Some(other) => Err(format!("a proof that is not of this turn: {other}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Turn;
    use super::*;

    /// The conversation up to a turn, as it should come; `spoil` changes it.
    fn next(turns: u64, spoil: impl Fn(&mut Vec<Turn>)) -> Result<Vec<Part>, String> {
        let mut ask = Ask::default();
        ask.turns.push(Turn {
            role: "user",
            ..Turn::default()
        });
        for turn in 0..turns {
            let calls = say("", turn);
            let results = calls.iter().map(|call| Outcomes {
                id: call.id.clone(),
                name: call.name.clone(),
                content: answer_to(call).to_string(),
                failed: false,
            });
            let results = results.collect();
            let proofs = vec![proof("", &thought(turn))];
            ask.turns.push(Turn {
                role: "assistant",
                text: step(turn),
                calls,
                proofs,
                ..Turn::default()
            });
            ask.turns.push(Turn {
                role: "user",
                results,
                ..Turn::default()
            });
        }
        spoil(&mut ask.turns);
        match play(&ask) {
            Outcome::Answer(answer) => Ok(answer.parts),
            Outcome::Refuse(refusal) => Err(refusal.message),
        }
    }

    #[test]
    fn a_good_conversation_goes_on_to_its_end() {
        let parts = next(3, |_| {}).unwrap();
        assert!(matches!(
            parts.as_slice(),
            [
                Part::Thought(_),
                Part::Text(_),
                Part::Call(_),
                Part::Call(_)
            ]
        ));
        let parts = next(TURNS, |_| {}).unwrap();
        let Some(Part::Text(text)) = parts.last() else {
            panic!("{parts:?}")
        };
        assert_eq!(text, r#"{"sum":535,"turns":10,"proven":10}"#);
    }

    #[test]
    fn what_was_changed_on_the_way_is_found() {
        let check = |spoil: fn(&mut Vec<Turn>), expect: &str| {
            let fault = next(4, spoil).unwrap_err();
            assert!(fault.contains(expect), "{fault}");
        };
        check(|turns| turns[1].text.clear(), "turn 0: the text");
        check(|turns| turns[3].calls.truncate(1), "turn 1: the calls");
        check(|turns| turns[2].results.swap(0, 2), "turn 0: add");
        check(|turns| turns[2].results[0].id.push('x'), "was answered as");
        check(
            |turns| turns[2].results.truncate(1),
            "1 results for 3 calls",
        );
        check(
            |turns| turns[5].proofs = vec!["forged".into()],
            "turn 2: a proof",
        );
    }
}
