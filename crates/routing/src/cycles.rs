//! Routes that lead back to themselves.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::{LastResort, Providers, Route, Routes, When};

/// Routes whose arms, fallbacks or last resort lead back to them, through other routes or at once: each circle once, by the first
/// of its routes, with the names on the way (`fast`, `slow`, `fast`). Nothing loops because of one; but what is tried again after
/// it failed is not what anybody meant, and an arm that leads to its own split is no model.
///
/// Conditions are not judged, but routes whose conditions exclude each other (other tenants, other keys, a stream or none) do not
/// lead to each other. A pattern whose targets are asked for whatever the caller named may fall back to a name of its own:
/// `claude-*` to `claude-haiku-4-5`.
pub fn cycles(routes: &Routes, providers: &Providers) -> Vec<(usize, Vec<String>)> {
    let mut named: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
    for way in routes.iter().flat_map(ways) {
        named.entry(way.name).or_insert_with(|| {
            // A name written out with its provider goes there, whatever the routes say.
            let apart = way.name.split_once('/');
            if apart.is_some_and(|(provider, _)| providers.position(provider).is_some()) {
                return Vec::new();
            }
            let mut found = Vec::new();
            for index in routes.named(way.name) {
                found.push(index);
                if routes.get(index).is_some_and(|route| route.when.is_empty()) {
                    break;
                }
            }
            found
        });
    }

    // Most routes lead nowhere, or to routes that lead nowhere: what is left when those are taken away, again and again, is little.
    let mut leads = vec![true; routes.len()];
    loop {
        let mut changed = false;
        for (index, route) in routes.iter().enumerate().rev() {
            let on = |to: &usize| leads.get(*to) == Some(&true);
            let leading = leads.get(index) == Some(&true)
                && ways(route).any(|way| named.get(way.name).into_iter().flatten().any(on));
            if let Some(known) = leads.get_mut(index)
                && *known != leading
            {
                *known = leading;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }

    let mut found: Vec<(usize, Vec<String>)> = Vec::new();
    let mut told = vec![false; routes.len()];
    for (start, route) in routes.iter().enumerate() {
        if leads.get(start) != Some(&true) || told.get(start) == Some(&true) {
            continue;
        }
        if let Some(way) = circle(routes, &named, start) {
            let mut circled = vec![route.model.to_string()];
            for (index, name) in way {
                circled.push(name.to_owned());
                if let Some(told) = told.get_mut(index) {
                    *told = true;
                }
            }
            found.push((start, circled));
        }
    }
    found
}

/// The shortest way from a route back to it: each name, and the route that it leads to.
fn circle<'r>(
    routes: &'r Routes,
    named: &FxHashMap<&str, Vec<usize>>,
    start: usize,
) -> Option<Vec<(usize, &'r str)>> {
    let first = routes.get(start)?;
    // By route: the one before it, and the name that led here.
    let mut before: FxHashMap<usize, (usize, &str)> = FxHashMap::default();
    let mut open = VecDeque::from([start]);
    while let Some(from) = open.pop_front() {
        let route = routes.get(from)?;
        for way in ways(route) {
            for to in named.get(way.name).into_iter().flatten().copied() {
                let target = routes.get(to)?;
                if to == from {
                    // This route has claimed the request already, and would do so again.
                    if to == start && !(way.may_return && keeps_names(route)) {
                        before.insert(start, (from, way.name));
                        open.clear();
                    }
                    break;
                }
                if exclude(&route.when, &target.when) || exclude(&first.when, &target.when) {
                    continue;
                }
                before.entry(to).or_insert_with(|| {
                    open.push_back(to);
                    (from, way.name)
                });
                if covers(&target.when, &route.when) || covers(&target.when, &first.when) {
                    break;
                }
            }
        }
        if before.contains_key(&start) {
            break;
        }
    }
    let mut circle = Vec::new();
    let mut at = start;
    loop {
        let (from, name) = *before.get(&at)?;
        circle.push((at, name));
        if from == start {
            circle.reverse();
            return Some(circle);
        }
        at = from;
    }
}

/// A name that a route leads to.
struct Way<'r> {
    name: &'r str,
    /// It is tried after the route, not in its place.
    may_return: bool,
}

fn ways(route: &Route) -> impl Iterator<Item = Way<'_>> {
    let arms = route.split.iter().flat_map(|split| &split.arms);
    let on = &route.fallbacks_on;
    let fallbacks = [
        Some(&route.fallbacks),
        on.context_length.as_ref(),
        on.refusal.as_ref(),
        on.timeout.as_ref(),
    ];
    let last = match &route.last_resort {
        LastResort::Fallback(name) => Some(name),
        LastResort::Usual | LastResort::Refuse | LastResort::Queue(_) | LastResort::LeastBad => {
            None
        }
    };
    let instead = arms.map(|arm| Way {
        name: arm.model.as_str(),
        may_return: false,
    });
    let after = fallbacks.into_iter().flatten().flatten().chain(last);
    instead.chain(after.map(|name| Way {
        name,
        may_return: true,
    }))
}

/// Another name that the route is for is another model.
fn keeps_names(route: &Route) -> bool {
    route.model.exact().is_none() && route.targets.iter().any(|target| target.model.is_none())
}

/// Whether no request fits both. Not all that exclude each other are known.
fn exclude(one: &When, other: &When) -> bool {
    let others = |one: &[String], other: &[String]| {
        !one.is_empty() && !other.is_empty() && !one.iter().any(|name| other.contains(name))
    };
    let opposite = |one: Option<bool>, other: Option<bool>| matches!((one, other), (Some(one), Some(other)) if one != other);
    let apart = |one: Option<(u64, u64)>, other: Option<(u64, u64)>| matches!((one, other), (Some(one), Some(other)) if one.0 > other.1 || other.0 > one.1);
    let speaks = |dialect| other.dialects.contains(dialect);
    others(&one.keys, &other.keys)
        || others(&one.tenants, &other.tenants)
        || !one.dialects.is_empty()
            && !other.dialects.is_empty()
            && !one.dialects.iter().any(speaks)
        || opposite(one.stream, other.stream)
        || opposite(one.thinking, other.thinking)
        || opposite(one.images, other.images)
        || apart(one.tokens, other.tokens)
        || apart(one.max_output, other.max_output)
}

/// Whether every request that fits `one` fits `all`, as far as the callers tell.
fn covers(all: &When, one: &When) -> bool {
    let among = |all: &[String], one: &[String]| {
        all.is_empty() || !one.is_empty() && one.iter().all(|name| all.contains(name))
    };
    let callers_alone = When {
        keys: Vec::new(),
        tenants: Vec::new(),
        ..all.clone()
    };
    callers_alone.is_empty() && among(&all.keys, &one.keys) && among(&all.tenants, &one.tenants)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lingate_dialect::DialectId;
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;
    use crate::{Arm, Ask, Asked, FallbacksOn, Pattern, Provider, RouteTarget, Split, Stated};

    fn route(model: &str, fallbacks: &[&str]) -> Route {
        Route {
            fallbacks: fallbacks.iter().map(|name| (*name).to_owned()).collect(),
            ..Route::to(
                Pattern::parse(model).unwrap(),
                vec![RouteTarget::at(0, None)],
            )
        }
    }

    fn split(model: &str, arms: &[&str]) -> Route {
        let arm = |model: &&str| Arm {
            weight: 1,
            model: (*model).to_owned(),
        };
        Route {
            split: Some(Split {
                name: "test".to_owned(),
                sticky: None,
                arms: arms.iter().map(arm).collect(),
            }),
            targets: Vec::new(),
            ..route(model, &[])
        }
    }

    fn of_tenant(tenant: &str, route: Route) -> Route {
        let when = When {
            tenants: vec![tenant.to_owned()],
            ..When::default()
        };
        Route { when, ..route }
    }

    /// Each circle as `index: name > name`.
    fn check(routes: Vec<Route>, expect: &[&str]) {
        let providers = Providers::from(vec![Arc::new(Provider {
            name: "openai".to_owned(),
            ..Provider::default()
        })]);
        let found: Vec<String> = cycles(&routes.into(), &providers)
            .into_iter()
            .map(|(index, names)| format!("{index}: {}", names.join(" > ")))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn circles_are_found_once() {
        check(vec![], &[]);
        check(
            vec![
                route("a", &["b", "c"]),
                route("b", &["c"]),
                route("c", &["openai/a", "gpt-4o"]),
            ],
            &[],
        );
        check(vec![route("a", &["x", "a"])], &["0: a > a"]);
        check(
            vec![route("fast", &["slow"]), route("slow", &["fast"])],
            &["0: fast > slow > fast"],
        );
        check(
            vec![
                route("x", &["b"]),
                route("a", &["b"]),
                route("b", &["d", "c"]),
                route("c", &["a"]),
                route("d", &[]),
            ],
            &["1: a > b > c > a"],
        );
        check(
            vec![
                route("a", &["b"]),
                route("b", &["a"]),
                route("c", &["d"]),
                route("d", &["c", "a"]),
            ],
            &["0: a > b > a", "2: c > d > c"],
        );
    }

    #[test]
    fn every_way_counts() {
        let mut on = route("a", &[]);
        on.fallbacks_on = FallbacksOn {
            timeout: Some(vec!["b".to_owned()]),
            ..FallbacksOn::default()
        };
        let mut last = route("b", &[]);
        last.last_resort = LastResort::Fallback("a".to_owned());
        check(vec![on, last], &["0: a > b > a"]);
        check(
            vec![
                split("test", &["a", "b"]),
                route("a", &[]),
                split("b", &["test"]),
            ],
            &["0: test > b > test"],
        );
        check(vec![split("test", &["test", "b"])], &["0: test > test"]);
        check(
            vec![split("test", &["a", "b"]), route("a", &["test"])],
            &["0: test > a > test"],
        );
    }

    #[test]
    fn patterns_are_for_many_names() {
        check(vec![route("claude-*", &["claude-haiku-4-5"])], &[]);
        check(
            vec![
                route("/^claude/", &["openai/claude", "gpt-4o"]),
                route("*", &[]),
            ],
            &[],
        );
        check(
            vec![split("claude-*", &["claude-opus-5"])],
            &["0: claude-* > claude-opus-5"],
        );
        let mut fixed = route("claude-*", &["claude-haiku-4-5"]);
        fixed.targets[0].model = Some("claude-opus-5".to_owned());
        check(vec![fixed.clone()], &["0: claude-* > claude-haiku-4-5"]);
        check(vec![route("claude-haiku-4-5", &[]), fixed], &[]);
        check(
            vec![
                route("claude-*", &["gpt-5"]),
                route("gpt-*", &["claude-haiku-4-5"]),
            ],
            &["0: claude-* > gpt-5 > claude-haiku-4-5"],
        );
    }

    #[test]
    fn routes_that_exclude_each_other_make_no_circle() {
        let routes = |one, other| {
            vec![
                of_tenant(one, route("a", &["b"])),
                of_tenant(other, route("b", &["a"])),
            ]
        };
        check(routes("acme", "acme"), &["0: a > b > a"]);
        check(routes("acme", "beta"), &[]);
        // Behind a route for one tenant is that for the others.
        check(
            vec![
                of_tenant("acme", route("b", &[])),
                route("a", &["b"]),
                route("b", &["a"]),
            ],
            &["1: a > b > a"],
        );
        check(
            vec![
                of_tenant("acme", route("a", &["b"])),
                of_tenant("acme", route("b", &[])),
                route("b", &["a"]),
                route("a", &[]),
            ],
            &[],
        );
        let mut long = route("a", &["a"]);
        long.when.tokens = Some((60_000, u64::MAX));
        check(vec![long, route("a", &[])], &["0: a > a"]);
    }

    fn words(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
        subsequence(of, 0..=of.len())
            .prop_map(|words| words.into_iter().map(str::to_owned).collect())
    }

    fn condition() -> impl Strategy<Value = When> {
        (
            words(&["t1", "t2"]),
            words(&["k1", "k2"]),
            prop::option::of(any::<bool>()),
            prop::option::of((0u64..4, 0u64..4)),
        )
            .prop_map(|(tenants, keys, stream, tokens)| When {
                tenants,
                keys,
                stream,
                tokens,
                ..When::default()
            })
    }

    fn facts() -> impl Strategy<Value = Stated> {
        let name = |names: [&'static str; 3]| prop::option::of(select(names.to_vec()));
        (name(["t1", "t2", "t3"]), name(["k1", "k2", "k3"]), 0u64..4).prop_map(
            |(tenant, key, tokens)| Stated {
                tenant: tenant.map(str::to_owned),
                key: key.map(str::to_owned),
                tokens,
                ..Stated::default()
            },
        )
    }

    fn ask(facts: &Stated, stream: bool) -> Ask<'_> {
        Ask {
            model: "",
            dialect: DialectId::Chat,
            stream,
            facts,
        }
    }

    /// Whether a request that a route has claimed comes back to a route on its way.
    fn returns(routes: &Routes, asked: &Asked<'_>, way: &mut Vec<usize>) -> bool {
        let names = &routes[*way.last().unwrap()].fallbacks;
        names.iter().any(|name| {
            let Some(next) = routes.find(name, asked) else {
                return false;
            };
            if way.contains(&next) {
                return true;
            }
            way.push(next);
            let found = returns(routes, asked, way);
            way.pop();
            found
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn what_is_said_of_conditions_is_so(
            (one, other, facts, stream) in (condition(), condition(), facts(), any::<bool>())
        ) {
            let ask = ask(&facts, stream);
            prop_assert!(!(exclude(&one, &other) && one.holds(&ask) && other.holds(&ask)));
            prop_assert!(!covers(&one, &other) || !other.holds(&ask) || one.holds(&ask));
        }

        /// No circle stays hidden; and where there are no conditions, what is told is one.
        #[test]
        fn every_circle_is_told(
            written in prop::collection::vec(
                (select(vec!["a", "b", "c", "d"]), words(&["a", "b", "c", "d"]), prop::option::of(condition())),
                1..8,
            ),
            facts in facts(),
            stream in any::<bool>(),
        ) {
            let list: Vec<Route> = written
                .into_iter()
                .map(|(model, fallbacks, when)| Route {
                    fallbacks,
                    when: when.unwrap_or_default(),
                    ..route(model, &[])
                })
                .collect();
            let routes = Routes::from(list);
            let told = !cycles(&routes, &Providers::default()).is_empty();
            let ask = ask(&facts, stream);
            let asked = Asked::new(&ask);
            let happens = ["a", "b", "c", "d"].into_iter().any(|name| {
                let first = routes.find(name, &asked);
                first.is_some_and(|first| returns(&routes, &asked, &mut vec![first]))
            });
            prop_assert!(told || !happens);
            if routes.iter().all(|route| route.when.is_empty()) {
                prop_assert_eq!(told, happens);
            }
        }
    }
}
