use proptest::prelude::*;

use super::*;

fn price(cells: &str) -> Price {
    let price =
        Price::parse(cells, |_, _| Ok(false)).unwrap_or_else(|error| panic!("{cells}: {error}"));
    let price = price.unwrap_or_else(|| panic!("{cells}: no price"));
    let again = Price::parse(&price.cells(), |_, _| Ok(false))
        .unwrap()
        .unwrap();
    assert_eq!(again, price, "{cells} and what is written of it");
    price
}

fn moment(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// A moment in no cheap hours: Monday afternoon in Shanghai.
const DAY: &str = "2026-11-30T08:00:00Z";

const TIERED: &str = "input=1 output=10 cache_read=0.1 times.us=1.1 times.fast=2 off_peak=Asia/Shanghai;mon-fri,23:00-07:00 \
    >1000 input=2 @flex input=0.5 output=5 @flex>1000 input=0.75 @off_peak input=0.25 @off_peak>1000 output=4";

#[test]
fn tiers_services_hours_and_factors() {
    let tiered = price(TIERED);
    let check = |(input, cache_read, output): (u64, u64, u64), said: &str, at: &str, nano: i64| {
        let usage = Usage {
            input,
            cache_read,
            output,
            ..Usage::default()
        };
        let word = |name: &str| {
            let mut words = said.split(' ').filter_map(|word| word.split_once('='));
            words.find(|(key, _)| *key == name).map(|(_, word)| word)
        };
        let circumstances = Circumstances {
            service_tier: word("tier"),
            region: word("region"),
            speed: word("speed"),
            moment: moment(at),
            ..Circumstances::default()
        };
        let found = tiered.cost_of(&usage, &circumstances);
        assert_eq!(found.nano(), nano, "{usage:?} {said} {at}");
    };
    // The edge of a length belongs to what is below it; cached tokens are a part of the prompt.
    check((1000, 0, 10), "", DAY, 1_100_000);
    check((1001, 0, 10), "", DAY, 2_102_000);
    check((1, 1000, 0), "", DAY, 102_000);
    check((0, 1000, 0), "", DAY, 100_000);
    // A service has its own rates, and of what it does not say the usual ones.
    check((1000, 0, 10), "tier=flex", DAY, 550_000);
    check((1000, 0, 10), "tier=FLEX", DAY, 550_000);
    check((1001, 0, 10), "tier=flex", DAY, 800_750);
    check((0, 1000, 0), "tier=flex", DAY, 100_000);
    for usual in ["default", "standard", "auto", "priority", "unheard-of"] {
        check((1000, 0, 10), &format!("tier={usual}"), DAY, 1_100_000);
    }
    // From eleven at night to seven in the morning of the next day, in Shanghai.
    check((1000, 0, 10), "", "2026-11-30T14:59:59Z", 1_100_000);
    check((1000, 0, 10), "", "2026-11-30T15:00:00Z", 350_000);
    check((1000, 0, 10), "", "2026-11-30T22:59:59Z", 350_000);
    check((1000, 0, 10), "", "2026-11-30T23:00:00Z", 1_100_000);
    // The night of Friday ends on Saturday; that of Sunday is none, though it ends on Monday.
    check((1000, 0, 10), "", "2026-11-27T19:00:00Z", 350_000);
    check((1000, 0, 10), "", "2026-11-29T19:00:00Z", 1_100_000);
    // The longest length decides first, then the service, then the hours.
    check((1001, 0, 10), "", "2026-11-30T15:00:00Z", 2_042_000);
    check((1000, 0, 10), "tier=flex", "2026-11-30T15:00:00Z", 550_000);
    // Factors multiply; one that has no name here is one.
    check((1000, 0, 10), "region=us", DAY, 1_210_000);
    check((1000, 0, 10), "region=us speed=fast", DAY, 2_420_000);
    check(
        (1000, 0, 10),
        "region=global speed=standard",
        DAY,
        1_100_000,
    );
    check((1001, 0, 10), "region=us tier=flex", DAY, 880_825);
}

#[test]
fn parts_are_paid_once() {
    let check = |cells: &str, usage: Usage, expect: &[(&str, u64)]| {
        let bill = price(cells).bill(&usage, &Circumstances::default());
        let lines = bill.lines.iter();
        let found: Vec<(String, u64)> = lines
            .map(|line| (line.item.to_string(), line.quantity))
            .collect();
        let expect: Vec<(String, u64)> = expect
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        assert_eq!(found, expect, "{cells} {usage:?}");
    };
    let all = Usage {
        input: 100,
        output: 50,
        cache_read: 40,
        cache_write_5m: 20,
        cache_write_1h: 10,
        reasoning: Some(30),
        audio_in: 110,
        audio_out: 5,
        image_in: 10,
        image_out: 5,
        searches: 3,
    };
    // What has no price of its own is a part of what it belongs to.
    check("input=1 output=2", all, &[("input", 170), ("output", 50)]);
    check(
        "input=1 output=2 cache_read=0.1 cache_write=1.25",
        all,
        &[
            ("input", 100),
            ("output", 50),
            ("cache_read", 40),
            ("cache_write", 30),
        ],
    );
    check(
        "input=1 output=2 cache_write_1h=2 reasoning=3 audio_in=4 audio_out=5 search=0.01",
        all,
        &[
            ("input", 60),
            ("output", 15),
            ("cache_write_1h", 10),
            ("reasoning", 30),
            ("audio_in", 100),
            ("audio_out", 5),
            ("search_medium", 3),
        ],
    );
    // More of the sound than was fresh is what the cache held.
    check(
        "input=1 output=2 cache_read=0.1 audio_in=4 audio_cache_read=0.4 searches=once search=0.01",
        all,
        &[
            ("input", 30),
            ("output", 50),
            ("cache_read", 30),
            ("audio_in", 100),
            ("audio_cache_read", 10),
            ("search_medium", 1),
        ],
    );
    // Parts that are more than the whole take what there is.
    let odd = Usage {
        output: 10,
        reasoning: Some(8),
        audio_out: 8,
        ..Usage::default()
    };
    check(
        "input=1 output=2 reasoning=3 audio_out=4",
        odd,
        &[("reasoning", 8), ("audio_out", 2)],
    );
    check(
        "input=1 output=2 request=0.001",
        Usage::default(),
        &[("request", 1)],
    );
}

#[test]
fn searches_are_paid_by_how_much_they_read() {
    let searched = price("input=1 output=2 search_low=0.01 search_medium=0.02 search_high=0.04");
    for (search_context, expect) in [
        (SearchContext::Low, 20_000_000),
        (SearchContext::Medium, 40_000_000),
        (SearchContext::High, 80_000_000),
    ] {
        let usage = Usage {
            searches: 2,
            ..Usage::default()
        };
        let circumstances = Circumstances {
            search_context,
            ..Circumstances::default()
        };
        assert_eq!(searched.cost_of(&usage, &circumstances).nano(), expect);
    }
}

#[test]
fn the_bill_is_rounded_once_half_up() {
    let check = |cells: &str, input: u64, output: u64, nano: i64| {
        assert_eq!(price(cells).cost(input, output).nano(), nano, "{cells}");
    };
    check("input=0.0005 output=0.0005", 1, 0, 1);
    check("input=0.0005 output=0.0005", 1, 1, 1);
    check("input=0.000499999 output=0", 1, 0, 0);
    check("input=0.0015 output=0", 1, 0, 2);
    check("input=0.0025 output=0.000499999", 1, 1, 3);
}

#[test]
fn amounts_stop_at_the_end() {
    let most = "18446744073.709551615";
    let dear = price(&format!(
        "input={most} output={most} request={most} search={most} times.us=18446744073.7"
    ));
    let usage = Usage {
        input: u64::MAX,
        output: u64::MAX,
        cache_read: u64::MAX,
        searches: u64::MAX,
        ..Usage::default()
    };
    let circumstances = Circumstances {
        region: Some("us"),
        images_made: u64::MAX,
        ..Circumstances::default()
    };
    assert_eq!(dear.cost_of(&usage, &circumstances), Money::MAX);
    let formula = price("formula=prompt * prompt * prompt * $999999999 + answer * $1");
    assert_eq!(formula.cost_of(&usage, &circumstances), Money::MAX);
}

#[test]
fn what_is_no_price_is_refused() {
    for (cells, expect) in [
        ("input=1", "a price has `input` and `output`"),
        (
            "input=-1 output=1",
            "`input=-1`: a price cannot be negative",
        ),
        ("input=1 input=2 output=1", "`input` is there twice"),
        ("input=1 output=1 >0 input=2", "`>0` is no length"),
        ("input=1 output=1 >5", "`>5` says nothing"),
        (
            "input=1 output=1 >5 input=1 >5 output=1",
            "`>5` is there twice",
        ),
        ("input=1 output=1 @ input=1", "`@` has no name"),
        (
            "input=1 output=1 @off_peak input=1",
            "`@off_peak` without its hours",
        ),
        ("input=1 output=1 formula=$1", "a formula stands alone"),
        ("input=1 output", "`output` is no cell"),
    ] {
        let found = Price::parse(cells, |_, _| Ok(false)).unwrap_err();
        assert!(found.starts_with(expect), "{cells}: {found}");
    }
}

#[test]
fn formulas_are_exact() {
    let usage = Usage {
        input: 1000,
        output: 10,
        cache_read: 500,
        reasoning: Some(4),
        searches: 2,
        ..Usage::default()
    };
    let circumstances = Circumstances {
        service_tier: Some("flex"),
        region: Some("us"),
        moment: moment("2026-11-30T15:00:00Z"),
        images_made: 3,
        ..Circumstances::default()
    };
    let check = |formula: &str, nano: i64| {
        let price = price(&format!("formula={formula}"));
        assert_eq!(
            price.cost_of(&usage, &circumstances).nano(),
            nano,
            "{formula}"
        );
    };
    check("input * $3/M", 4_500_000);
    check("input * $3/M + cache_read * $0.3/M", 3_150_000);
    check("prompt * $1/M + answer * $1/k", 11_500_000);
    check("output * $1/M + reasoning * $2/M", 14_000);
    check("$0.0000000005", 1);
    check("$0.00000000049", 0);
    check("$0.0000000003 + $0.0000000002", 1);
    check("searches * $0.01 + images * $0.04", 140_000_000);
    check("blocks(prompt, 1k) * $1", 2_000_000_000);
    check("blocks(1500, 1.5k) * $1", 1_000_000_000);
    // Nothing is divided by zero: there are no blocks without a size.
    check("blocks(prompt, 0) * $1", 0);
    check("blocks(prompt, answer - 10) * $1", 0);
    check("$1 - $2", 0);
    check("min($1, $2) + max($0.5, $0.25)", 1_500_000_000);
    check(
        "if tier = \"flex\" and not region != \"us\" then $1 else $2",
        1_000_000_000,
    );
    check(
        "if speed = \"fast\" or prompt <= 1k then $1 else $2",
        2_000_000_000,
    );
    check(
        "if hour(\"Asia/Shanghai\") = 23 and weekday = 1 then $1 else $2",
        1_000_000_000,
    );
    check(
        "if within(\"Asia/Shanghai;mon-fri,23:00-07:00\") then $1 else $2",
        1_000_000_000,
    );
    check("(1 + 2 * 3) * $1", 7_000_000_000);
    check("1.50 * $0.10 * 2", 300_000_000);
}

#[test]
fn a_formula_that_is_none_says_where() {
    let check = |formula: &str, expect: &str| {
        let found = Formula::compile(formula).unwrap_err();
        assert!(found.starts_with(expect), "{formula}: {found}");
    };
    check("", "at 1: expected a value");
    check("input *", "at 8: expected a value");
    check("inptu * $3/M", "at 1: `inptu` is not known");
    check("$1 + é", "at 6: `é` means nothing here");
    check("input * $3/M / 2", "at 14: `/` means nothing here");
    check("input * $3/X", "at 9: expected `/M` or `/k`");
    check("$1.2.3", "at 1: expected a number");
    check("(input * $3/M", "at 14: expected `)`");
    check("if input > 3 then $1", "at 21: expected `else`");
    check("$1 $2", "at 4: expected an operator or the end");
    check(
        "input",
        "a formula is an amount such as `input * $3/M`, not a number",
    );
    check(
        "input > 3",
        "a formula is an amount such as `input * $3/M`, not a test",
    );
    check("$3 * $3", "at 8: an amount times an amount is none");
    check(
        "input + $1",
        "at 11: expected a number before this, found an amount",
    );
    check(
        "if input then $1 else $2",
        "at 10: expected a test before this, found a number",
    );
    check("if tier = flex then $1 else $2", "at 11: ");
    check(
        "if within(\"Mars;mon\") then $1 else $2",
        "at 21: there is no time zone `Mars`",
    );
    check(
        "$0.000000001 * 0.000000001 * 0.000000001",
        "at 41: more than 24 digits",
    );
    check("\"", "at 1: a quote that is not closed");
    check(
        &format!("$1{}", " + $1".repeat(500)),
        "a formula has at most 2000 characters",
    );
    check(
        &format!("$1{}", " + $1".repeat(300)),
        "a formula has at most 256 operations",
    );
    check(
        &format!("{}$1{}", "(".repeat(30), ")".repeat(30)),
        "at 25: more than 24 levels",
    );
}

prop_compose! {
    fn usages()(
        counts in prop::array::uniform5(0..2_000_000u64),
        parts in prop::array::uniform5(0..2_500_000u64),
        searches in 0..20u64,
        reasoned in any::<bool>(),
    ) -> Usage {
        let [input, output, cache_read, cache_write_5m, cache_write_1h] = counts;
        let [reasoning, audio_in, audio_out, image_in, image_out] = parts;
        Usage {
            input, output, cache_read, cache_write_5m, cache_write_1h,
            reasoning: reasoned.then_some(reasoning),
            audio_in, audio_out, image_in, image_out, searches,
        }
    }
}

/// Rates of some columns, always of the prompt and of the answer.
fn rates() -> impl Strategy<Value = Rates> {
    prop::collection::vec(prop::option::of(0..100_000_000_000u64), Column::ALL.len()).prop_map(
        |said| {
            let mut rates = Rates::default();
            for (column, rate) in Column::ALL.into_iter().zip(said) {
                let needed = matches!(column, Column::Input | Column::Output);
                rates.set(column, rate.or(needed.then_some(1)));
            }
            rates
        },
    )
}

proptest! {
    #[test]
    fn no_token_is_paid_twice_and_none_is_lost(usage in usages(), rates in rates(), above in rates_of_tier()) {
        let price = Price { rates, tiers: above, ..Price::default() };
        let bill = price.bill(&usage, &Circumstances::default());
        let tokens: u64 = bill.lines.iter().filter(|line| matches!(line.item, Item::Column(column) if column.is_tokens())).map(|line| line.quantity).sum();
        let prompt = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h;
        prop_assert_eq!(tokens, prompt + usage.output);
        // The total is that of the lines, each by itself, and rounded once.
        let mut millionths = 0_u128;
        for line in &bill.lines {
            let Item::Column(column) = line.item else { panic!("a formula") };
            let one = if column.is_tokens() { 1 } else { 1_000_000 };
            millionths += u128::from(line.quantity) * u128::from(line.rate.unwrap()) * one;
        }
        let nano = (millionths + 500_000) / 1_000_000;
        prop_assert_eq!(u128::try_from(bill.total().rounded().nano()).unwrap(), nano);
    }

    #[test]
    fn more_never_costs_less(usage in usages(), rates in rates(), more in 1..1000u64) {
        let price = Price { rates, ..Price::default() };
        let usage = Usage { audio_in: 0, image_in: 0, ..usage };
        let usual = Circumstances::default();
        let cost = price.cost_of(&usage, &usual);
        prop_assert!(cost >= Money::ZERO);
        for greater in [
            Usage { input: usage.input + more, ..usage },
            Usage { output: usage.output + more, ..usage },
            Usage { cache_read: usage.cache_read + more, ..usage },
            Usage { cache_write_5m: usage.cache_write_5m + more, ..usage },
            Usage { cache_write_1h: usage.cache_write_1h + more, ..usage },
            Usage { searches: usage.searches + more, ..usage },
        ] {
            prop_assert!(price.cost_of(&greater, &usual) >= cost, "{:?}", greater);
        }
        let pictures = Circumstances { images_made: more, images_given: more, ..usual };
        prop_assert!(price.cost_of(&usage, &pictures) >= cost);
    }

    #[test]
    fn a_tier_begins_above_its_length(input in 0..5000u64, cached in 0..5000u64, above in 1..10_000u64) {
        let price = Price {
            tiers: vec![Tier { when: When::Always, above, rates: Rates::flat(7_000_000, 7_000_000) }],
            ..Price::flat(1_000_000, 1_000_000)
        };
        let usage = Usage { input, cache_read: cached, ..Usage::default() };
        let rate = if input + cached > above { 7 } else { 1 };
        let found = price.cost_of(&usage, &Circumstances::default()).nano();
        prop_assert_eq!(u64::try_from(found).unwrap(), (input + cached) * rate);
    }

    #[test]
    fn texts_of_formulas_never_panic(text in "[a-z$ 0-9.()+*<=\"/Mk-]{0,60}") {
        if let Ok(formula) = Formula::compile(&text) {
            let price = Price { formula: Some(formula), ..Price::default() };
            let usage = Usage { input: u64::MAX, output: u64::MAX, ..Usage::default() };
            prop_assert!(price.cost_of(&usage, &Circumstances::default()) >= Money::ZERO);
        }
    }
}

/// At most one tier, of long prompts.
fn rates_of_tier() -> impl Strategy<Value = Vec<Tier>> {
    prop::option::of((1..3_000_000u64, rates())).prop_map(|tier| {
        let tier = tier.map(|(above, rates)| Tier {
            when: When::Always,
            above,
            rates,
        });
        tier.into_iter().collect()
    })
}
