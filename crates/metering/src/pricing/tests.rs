use lingate_catalog::Rates;
use proptest::prelude::*;

use super::*;

fn at(provider: Option<&str>, model: &str, input: u64) -> Override {
    Override {
        provider: provider.map(str::to_owned),
        model: model.to_owned(),
        price: Price::flat(input, 0),
    }
}

fn factor(text: &str) -> Factor {
    Factor::parse(text).unwrap()
}

fn of<'a>(provider: &'a str, upstream: &'a str, plan: Option<&'a str>) -> Priced<'a> {
    Priced {
        provider,
        catalog_id: None,
        upstream_model: upstream,
        requested_model: "asked",
        plan,
    }
}

fn prompt(input: u64) -> Usage {
    Usage {
        input,
        ..Usage::default()
    }
}

/// Rates are nano-dollars for a million tokens, so that a prompt of a million costs the rate.
fn prices() -> Prices {
    let own = |rows: &[(&str, u64)]| {
        let rows = rows.iter();
        OwnPrices::new(rows.map(|(model, rate)| ((*model).to_owned(), Price::flat(*rate, 0))))
    };
    let providers = [
        (
            "east".to_owned(),
            own(&[("gpt-4o*", 1), ("gpt-4o-mini", 2)]),
        ),
        ("west".to_owned(), own(&[])),
    ];
    let general = vec![
        at(None, "*", 10),
        at(None, "gpt-*", 20),
        at(None, "gpt-4o", 30),
        at(Some("w*"), "gpt-*", 40),
        at(Some("west"), "gpt-5*", 50),
        at(Some("west"), "gpt-5-mini", 60),
        at(Some("we*"), "gpt-5-mini", 65),
    ];
    let plans = [
        (
            "reseller".to_owned(),
            Plan {
                multiplier: factor("1.5"),
                prices: vec![
                    at(None, "gpt-*", 7),
                    at(Some("west"), "gpt-4o", 8),
                    at(None, "asked", 9),
                ],
            },
        ),
        (
            "half".to_owned(),
            Plan {
                multiplier: factor("0.5"),
                prices: Vec::new(),
            },
        ),
    ];
    Prices::new(providers, general, plans, Currencies::default())
}

#[test]
fn the_most_precise_price_holds() {
    let prices = prices();
    let check = |provider: &str, upstream: &str, nano: i64| {
        let of = of(provider, upstream, None);
        // Found first by patterns, then as it was found before.
        for _ in 0..2 {
            let charged = prices.charge(&of, &prompt(1_000_000), &Circumstances::default());
            assert_eq!(
                charged.cost,
                Some(Money::from_nano(nano)),
                "{provider} {upstream}"
            );
            assert_eq!(charged.price, charged.cost);
        }
    };
    // A provider's own come first, in the order in which they stand.
    check("east", "gpt-4o", 1);
    check("east", "gpt-4o-mini", 1);
    check("east", "GPT-4o", 1);
    check("east", "openai/gpt-4o", 1);
    check("east", "gpt-5", 20);
    check("east", "claude", 10);
    // Of those for all: who names the provider most precisely, then the model.
    check("west", "gpt-5-mini", 60);
    check("west", "gpt-5", 50);
    check("west", "gpt-4o", 40);
    check("west", "claude", 10);
    check("elsewhere", "gpt-4o", 30);
    check("elsewhere", "gpt-4o-mini", 20);
    check("world", "gpt-5-mini", 40);
}

#[test]
fn the_upstream_s_name_comes_before_the_caller_s() {
    let general = vec![at(None, "asked", 5), at(None, "served", 6)];
    let prices = Prices::new(
        [("east".to_owned(), OwnPrices::default())],
        general,
        [],
        Currencies::default(),
    );
    let cost = |provider, upstream| {
        let of = of(provider, upstream, None);
        let charged = prices.charge(&of, &prompt(1_000_000), &Circumstances::default());
        charged.cost.map(Money::nano)
    };
    for provider in ["east", "unnamed"] {
        assert_eq!(cost(provider, "served"), Some(6));
        assert_eq!(cost(provider, "other"), Some(5));
    }
}

#[test]
fn plans_say_what_a_tenant_is_charged() {
    let prices = prices();
    let check = |plan: &str, (provider, upstream): (&str, &str), input, cost: i64, price: i64| {
        let of = of(provider, upstream, Some(plan));
        let charged = prices.charge(&of, &prompt(input), &Circumstances::default());
        assert_eq!(
            charged.cost.map(Money::nano),
            Some(cost),
            "{plan} {upstream}"
        );
        assert_eq!(
            charged.price.map(Money::nano),
            Some(price),
            "{plan} {upstream}"
        );
    };
    // Prices of a plan are not multiplied.
    check("reseller", ("east", "gpt-4o"), 1_000_000, 1, 7);
    check("reseller", ("west", "gpt-4o"), 1_000_000, 40, 8);
    check("reseller", ("east", "claude"), 1_000_000, 10, 9);
    // What is charged is reckoned from the cost as it was before it was rounded.
    check("half", ("east", "claude"), 1_000_000, 10, 5);
    check("half", ("east", "claude"), 100_000, 1, 1);
    check("half", ("east", "claude"), 99_999, 1, 0);
    check("half", ("east", "claude"), 50_000, 1, 0);
    check("half", ("east", "claude"), 290_000, 3, 1);
    check("half", ("east", "claude"), 300_000, 3, 2);
}

#[test]
fn what_nobody_knows_is_not_nothing() {
    let prices = Prices::new(
        [],
        Vec::new(),
        [(
            "own".to_owned(),
            Plan {
                prices: vec![at(None, "m", 3)],
                ..Plan::default()
            },
        )],
        Currencies::default(),
    );
    let check = |upstream, plan, cost: Option<i64>, price: Option<i64>| {
        let of = of("nobody", upstream, plan);
        let charged = prices.charge(&of, &prompt(1_000_000), &Circumstances::default());
        assert_eq!(charged.cost.map(Money::nano), cost);
        assert_eq!(charged.price.map(Money::nano), price);
        assert!(charged.cost.is_some() || charged.cost_lines.is_empty());
        let estimate = prices.estimate(&of, 1_000_000, 10, &Circumstances::default());
        assert_eq!(estimate.cost.map(Money::nano), cost);
        assert_eq!(estimate.price.map(Money::nano), price);
    };
    check("m", None, None, None);
    check("other", Some("own"), None, None);
    // A plan may know what a tenant is charged for what nobody knows the cost of.
    check("m", Some("own"), None, Some(3));
    check("m", Some("gone"), None, None);
    let known = Priced {
        catalog_id: Some("openai"),
        ..of("openai", "gpt-4o", Some("gone"))
    };
    let charged = prices.charge(&known, &prompt(1_000_000), &Circumstances::default());
    assert!(charged.cost.is_some());
    assert_eq!(charged.price, None);
}

#[test]
fn versions_tell_prices_apart() {
    let with = |general: Vec<Override>| {
        let prices = Prices::new([], general, [], Currencies::default());
        prices.version().to_string()
    };
    let (one, two) = (at(None, "a", 1), at(None, "b", 2));
    let plain = Prices::default().version().to_string();
    assert_eq!(plain, lingate_catalog::prices().version());
    assert!(with(vec![one.clone()]).starts_with(&format!("{plain}+")));
    assert_ne!(with(vec![one.clone()]), with(vec![two.clone()]));
    assert_ne!(with(vec![at(None, "a", 1)]), with(vec![at(None, "a", 2)]));
    assert_eq!(
        with(vec![one.clone(), at(None, "long*", 3)]),
        with(vec![at(None, "long*", 3), one])
    );
}

#[test]
fn an_estimate_is_the_dearest_way() {
    let rates = Rates::flat(1_000_000, 2_000_000)
        .with(Column::CacheWrite, 3_000_000)
        .with(Column::CacheWriteLong, 2_500_000)
        .with(Column::Reasoning, 5_000_000);
    let price = Price {
        rates,
        ..Price::default()
    };
    let general = vec![Override {
        provider: None,
        model: "*".to_owned(),
        price,
    }];
    let half = Plan {
        multiplier: factor("0.5"),
        prices: Vec::new(),
    };
    let plans = [("half".to_owned(), half)];
    let prices = Prices::new([], general, plans, Currencies::default());
    let of = of("p", "m", Some("half"));
    let estimate = prices.estimate(&of, 10, 4, &Circumstances::default());
    assert_eq!(estimate.cost, Some(Money::from_nano(50)));
    assert_eq!(estimate.price, Some(Money::from_nano(25)));
}

proptest! {
    #[test]
    fn no_split_of_a_prompt_costs_more_than_the_estimate(
        rates in prop::collection::vec(prop::option::of(0..50_000_000_000u64), 6),
        multiplier in 0..3_000_000u64,
        splits in prop::array::uniform4(0..10_000u64),
        output in 0..10_000u64,
        reasoning in 0..10_000u64,
    ) {
        let columns = [Column::Input, Column::Output, Column::CacheRead, Column::CacheWrite, Column::CacheWriteLong, Column::Reasoning];
        let mut price = Price::flat(1_000_000, 1_000_000);
        for (column, rate) in columns.into_iter().zip(rates) {
            // No vendor takes more for what a cache held than for what it did not.
            let rate = if column == Column::CacheRead { None } else { rate };
            if rate.is_some() {
                price.rates.set(column, rate);
            }
        }
        let plan = Plan {
            multiplier: factor(&format!("{}.{:06}", multiplier / 1_000_000, multiplier % 1_000_000)),
            prices: Vec::new(),
        };
        let general = vec![Override { provider: None, model: "*".to_owned(), price }];
        let prices = Prices::new([], general, [("p".to_owned(), plan)], Currencies::default());
        let [input, cache_read, cache_write_5m, cache_write_1h] = splits;
        let usage = Usage { input, output, cache_read, cache_write_5m, cache_write_1h, reasoning: Some(reasoning), ..Usage::default() };
        let of = of("x", "m", Some("p"));
        let usual = Circumstances::default();
        let prompt = input + cache_read + cache_write_5m + cache_write_1h;
        let most = prices.estimate(&of, prompt, output, &usual);
        let charged = prices.charge(&of, &usage, &usual);
        prop_assert!(charged.cost <= most.cost, "{:?} {:?}", charged, most);
        prop_assert!(charged.price <= most.price, "{:?} {:?}", charged, most);
    }

    #[test]
    fn what_was_found_before_is_what_is_found(asked in prop::collection::vec((0..4usize, 0..2000u32, 0..3usize), 1..400)) {
        let providers = ["east", "west", "elsewhere", "world"];
        let plans = [None, Some("reseller"), Some("gone")];
        let shared = prices();
        for (provider, model, plan) in asked {
            let model = format!("gpt-{model}");
            let of = of(providers[provider], &model, plans[plan]);
            let usual = Circumstances::default();
            let found = shared.charge(&of, &prompt(1_000_000), &usual);
            let cost = shared.cost_price(&of).map(|price| price.cost_of(&prompt(1_000_000), &usual));
            prop_assert_eq!(found.cost, cost);
            let price = match plans[plan] {
                None => cost,
                Some("reseller") => Some(Money::from_nano(7)),
                Some(_) => None,
            };
            prop_assert_eq!(found.price, price);
        }
    }
}
