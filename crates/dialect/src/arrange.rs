//! The conversation in the order that strict dialects demand: neighbours of one role merged, and after each turn of tool calls
//! all their results, once each, in call order, before anything else.
//!
//! A pure function of the turns, so that a longer conversation renders its old part the same way: caches and
//! prefix-bound reasoning depend on it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::hub::{Part, PartBody, Role, Turn};
use crate::{At, Refusal};

/// A turn of the arranged conversation; never empty.
#[derive(Debug, Clone)]
pub struct Arranged<'a> {
    /// `System` only where the target takes instructions in the middle ([`MidSystem::Keep`]).
    pub role: Role,
    pub parts: Vec<Placed<'a>>,
}

/// A part at its place.
#[derive(Debug, Clone)]
pub struct Placed<'a> {
    pub part: &'a Part,
    /// For tool calls and results: the id that pairs them, spelled as the target wants it. Empty for other parts.
    pub id: String,
    /// For tool results: the name of the tool that was called. Empty for other parts.
    pub tool: &'a str,
    /// Instructions that became part of a user turn; to be framed as such.
    pub instruction: bool,
}

/// What becomes of instructions in the middle of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MidSystem {
    /// They stay turns of their own.
    Keep,
    /// They become text of a user turn.
    User,
}

/// What the target demands.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub mid_system: MidSystem,
    /// Spells a tool-call id as the target wants it; must be a pure function.
    pub spell_id: fn(&str) -> Cow<'_, str>,
}

/// Arranges `turns`. Refuses calls without results, results without calls, and ids given twice within one turn.
pub fn arrange<'a>(turns: &'a [Turn], rules: &Rules) -> Result<Vec<Arranged<'a>>, Refusal> {
    let mut arranged: Vec<Arranged<'a>> = Vec::new();
    let mut used = Used::default();
    let mut rest = turns;
    while let Some(turn) = rest.first() {
        let length = rest
            .iter()
            .take_while(|other| (other.role == Role::Assistant) == (turn.role == Role::Assistant))
            .count();
        let (run, tail) = rest.split_at(length);
        rest = tail;
        if turn.role == Role::Assistant {
            assistant(run, &mut arranged, &mut used, rules)?;
        } else {
            others(run, &mut arranged, rules)?;
        }
    }
    if let Some((id, _, _, part)) = arranged
        .last()
        .and_then(|last| calls_of(last).into_iter().next())
    {
        return Err(unanswered(id, &part.at));
    }
    Ok(arranged)
}

fn assistant<'a>(
    run: &'a [Turn],
    arranged: &mut Vec<Arranged<'a>>,
    used: &mut Used,
    rules: &Rules,
) -> Result<(), Refusal> {
    let mut parts = Vec::new();
    let mut here: BTreeSet<&str> = BTreeSet::new();
    for part in run
        .iter()
        .flat_map(|turn| &turn.parts)
        .filter(|part| !is_void(part))
    {
        let mut placed = Placed {
            part,
            id: String::new(),
            tool: "",
            instruction: false,
        };
        match &part.body {
            PartBody::ToolCall(call) => {
                if !here.insert(&call.id) {
                    return Err(Refusal::new(
                        part.at.clone(),
                        format!(
                            "two tool calls of one message share the id '{}'; give each call its own id",
                            call.id
                        ),
                    ));
                }
                placed.id = used.unique(&(rules.spell_id)(&call.id), rules.spell_id);
            }
            PartBody::ToolResult(result) => {
                return Err(Refusal::new(
                    part.at.clone(),
                    format!(
                        "the result of tool call '{}' stands in an assistant message; results belong to the user's side",
                        result.call
                    ),
                ));
            }
            PartBody::Text(_)
            | PartBody::Media(_)
            | PartBody::Reasoning(_)
            | PartBody::Refusal(_)
            | PartBody::Opaque(_) => {}
        }
        parts.push(placed);
    }
    if !parts.is_empty() {
        arranged.push(Arranged {
            role: Role::Assistant,
            parts,
        });
    }
    Ok(())
}

/// A run of user and system turns: results first, then everything else in order.
fn others<'a>(
    run: &'a [Turn],
    arranged: &mut Vec<Arranged<'a>>,
    rules: &Rules,
) -> Result<(), Refusal> {
    // Empty assistant turns vanish, so two runs of this kind can meet: then the calls were answered by the first.
    let open = arranged.last().filter(|last| last.role == Role::Assistant);
    let calls = open.map_or_else(Vec::new, calls_of);
    let places: BTreeMap<&str, usize> = (0..).zip(&calls).map(|(at, (id, ..))| (*id, at)).collect();
    let mut results: Vec<Option<Placed<'a>>> = vec![None; calls.len()];
    let mut after: Vec<(Role, Placed<'a>)> = Vec::new();
    for turn in run {
        for part in turn.parts.iter().filter(|part| !is_void(part)) {
            let PartBody::ToolResult(result) = &part.body else {
                let instruction = turn.role == Role::System && rules.mid_system == MidSystem::User;
                let role = if instruction { Role::User } else { turn.role };
                after.push((
                    role,
                    Placed {
                        part,
                        id: String::new(),
                        tool: "",
                        instruction,
                    },
                ));
                continue;
            };
            let Some(at) = places.get(result.call.as_str()).copied() else {
                return Err(Refusal::new(
                    part.at.clone(),
                    format!(
                        "there is no tool call '{}' in the assistant message before this result",
                        result.call
                    ),
                ));
            };
            let (Some((_, id, tool, _)), Some(place)) = (calls.get(at), results.get_mut(at)) else {
                continue;
            };
            if place.is_some() {
                return Err(Refusal::new(
                    part.at.clone(),
                    format!(
                        "a second result for tool call '{}'; send one result for each call",
                        result.call
                    ),
                ));
            }
            *place = Some(Placed {
                part,
                id: id.clone(),
                tool,
                instruction: false,
            });
        }
    }
    for (result, (id, _, _, part)) in results.iter().zip(&calls) {
        if result.is_none() {
            return Err(unanswered(id, &part.at));
        }
    }
    for (role, placed) in results
        .into_iter()
        .flatten()
        .map(|placed| (Role::User, placed))
        .chain(after)
    {
        match arranged.last_mut() {
            Some(last) if last.role == role => last.parts.push(placed),
            _ => arranged.push(Arranged {
                role,
                parts: vec![placed],
            }),
        }
    }
    Ok(())
}

/// The calls of a turn: the source's id, the spelled id, the tool's name, the part.
fn calls_of<'a>(turn: &Arranged<'a>) -> Vec<(&'a str, String, &'a str, &'a Part)> {
    let call_of = |placed: &Placed<'a>| match &placed.part.body {
        PartBody::ToolCall(call) => Some((
            call.id.as_str(),
            placed.id.clone(),
            call.name.as_str(),
            placed.part,
        )),
        PartBody::Text(_)
        | PartBody::Media(_)
        | PartBody::Reasoning(_)
        | PartBody::ToolResult(_)
        | PartBody::Refusal(_)
        | PartBody::Opaque(_) => None,
    };
    turn.parts.iter().filter_map(call_of).collect()
}

fn unanswered(id: &str, at: &At) -> Refusal {
    Refusal::new(
        at.clone(),
        format!("tool call '{id}' has no result; send its result before the next message"),
    )
}

/// Empty text says nothing, and some vendors refuse it.
fn is_void(part: &Part) -> bool {
    matches!(&part.body, PartBody::Text(text) if text.text.is_empty())
}

/// The ids that the calls of a conversation have so far.
#[derive(Debug, Default)]
struct Used {
    ids: BTreeSet<String>,
    /// The number that the next call of an id in use gets.
    numbers: BTreeMap<String, u32>,
}

impl Used {
    /// The spelled id, or the first of `id_2`, `id_3`, … that no earlier call of the conversation has.
    fn unique(&mut self, id: &str, spell: fn(&str) -> Cow<'_, str>) -> String {
        let mut candidate = id.to_owned();
        while self.ids.contains(&candidate) {
            let number = self.numbers.entry(id.to_owned()).or_insert(2);
            candidate = spell(&format!("{id}_{number}")).into_owned();
            *number = number.saturating_add(1);
        }
        self.ids.insert(candidate.clone());
        candidate
    }
}

/// The place of the message that a part belongs to.
pub fn turn_of(at: &At) -> At {
    match at {
        At::Part { turn, .. } | At::ResultPart { turn, .. } | At::Turn { turn } => {
            At::Turn { turn: *turn }
        }
        At::Request | At::Setting(_) | At::Field(_) | At::System { .. } | At::Tool { .. } => {
            at.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Extra, ToolCall, ToolResult};

    fn turn(role: Role, bodies: Vec<PartBody>) -> Turn {
        let parts = bodies
            .into_iter()
            .map(|body| Part::new(body, At::Request))
            .collect();
        Turn {
            role,
            parts,
            extra: Extra::default(),
        }
    }

    fn text(text: &str) -> PartBody {
        Part::text(text, At::Request).body
    }

    fn call(id: &str) -> PartBody {
        PartBody::ToolCall(ToolCall {
            id: id.into(),
            name: format!("tool-{id}"),
            arguments: String::new(),
            custom: false,
            proof: None,
        })
    }

    fn result(call: &str) -> PartBody {
        PartBody::ToolResult(ToolResult {
            call: call.into(),
            name: None,
            parts: Vec::new(),
            is_error: false,
        })
    }

    #[test]
    fn calls_are_paired_in_any_number() {
        let rules = Rules {
            mid_system: MidSystem::User,
            spell_id: |id| Cow::Borrowed(id),
        };
        let ids: Vec<String> = (0..50_000).map(|number| number.to_string()).collect();
        let answered = |id: &str| {
            [
                turn(Role::Assistant, vec![call(id)]),
                turn(Role::User, vec![result(id)]),
            ]
        };
        // The same id over and over, and many calls answered in the other direction.
        let mut turns: Vec<Turn> = ids.iter().flat_map(|_| answered("c")).collect();
        let calls = ids.iter().map(|id| call(id)).collect();
        let results = ids.iter().rev().map(|id| result(id)).collect();
        turns.push(turn(Role::Assistant, calls));
        turns.push(turn(Role::User, results));
        let arranged = arrange(&turns, &rules).unwrap();
        let first = |turn: usize| arranged[turn].parts[0].id.as_str();
        assert_eq!([first(0), first(3), first(99_999)], ["c", "c_2", "c_50000"]);
        assert_eq!([first(100_000), first(100_001)], ["0", "0"]);
    }

    /// Turns as letters: `u`, `a`, `s`, then each part: `t` text, `c<id>` call, `r<id>` result, `i` instruction.
    fn check(turns: &[Turn], mid_system: MidSystem, expect: &str) {
        let rules = Rules {
            mid_system,
            spell_id: |id| Cow::Borrowed(id),
        };
        let shown = match arrange(turns, &rules) {
            Err(refusal) => refusal.message,
            Ok(arranged) => arranged
                .iter()
                .map(|turn| {
                    let role = match turn.role {
                        Role::User => "u",
                        Role::Assistant => "a",
                        Role::System => "s",
                    };
                    let parts = turn.parts.iter().map(|placed| match &placed.part.body {
                        PartBody::ToolCall(_) => format!("c{}", placed.id),
                        PartBody::ToolResult(_) => format!("r{}", placed.id),
                        _ if placed.instruction => "i".to_owned(),
                        _ => "t".to_owned(),
                    });
                    format!("{role}:{}", parts.collect::<Vec<_>>().join(","))
                })
                .collect::<Vec<_>>()
                .join(" "),
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn neighbours_merge_and_results_come_first_in_call_order() {
        let turns = [
            turn(Role::User, vec![text("a"), text("")]),
            turn(Role::User, vec![text("b")]),
            turn(Role::Assistant, vec![text("c"), call("1")]),
            turn(Role::Assistant, vec![call("2")]),
            turn(Role::System, vec![text("s")]),
            turn(Role::User, vec![text("d"), result("2")]),
            turn(Role::User, vec![result("1")]),
        ];
        check(&turns, MidSystem::User, "u:t,t a:t,c1,c2 u:r1,r2,i,t");
        check(&turns, MidSystem::Keep, "u:t,t a:t,c1,c2 u:r1,r2 s:t u:t");
    }

    #[test]
    fn an_id_used_again_later_is_spelled_anew() {
        let once = || {
            [
                turn(Role::Assistant, vec![call("x")]),
                turn(Role::User, vec![result("x")]),
            ]
        };
        let turns: Vec<Turn> = once().into_iter().chain(once()).collect();
        check(&turns, MidSystem::User, "a:cx u:rx a:cx_2 u:rx_2");
    }

    #[test]
    fn what_does_not_pair_is_refused() {
        let calls = turn(Role::Assistant, vec![call("1")]);
        check(
            std::slice::from_ref(&calls),
            MidSystem::User,
            "tool call '1' has no result; send its result before the next message",
        );
        check(
            &[calls.clone(), turn(Role::User, vec![text("t")])],
            MidSystem::User,
            "tool call '1' has no result; send its result before the next message",
        );
        check(
            &[calls.clone(), turn(Role::User, vec![result("2")])],
            MidSystem::User,
            "there is no tool call '2' in the assistant message before this result",
        );
        check(
            &[calls, turn(Role::User, vec![result("1"), result("1")])],
            MidSystem::User,
            "a second result for tool call '1'; send one result for each call",
        );
        let twice = turn(Role::Assistant, vec![call("1"), call("1")]);
        check(
            &[twice],
            MidSystem::User,
            "two tool calls of one message share the id '1'; give each call its own id",
        );
    }
}
