use std::collections::BTreeMap;

use lingate_dialect::hub::Usage;

use super::*;
use crate::{Circumstances, Column, builtin};

const TEXT: &str = include_str!("../../data/prices.txt");

/// Provider, name and cells of each row, as they stand in the file.
fn lines() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut provider = "";
    let mut out = Vec::new();
    for line in TEXT.lines().filter(|line| !line.starts_with('#')).skip(1) {
        if let Some(id) = line.strip_prefix('[') {
            provider = id.trim_end_matches(']');
        } else if line.starts_with("end ") {
            break;
        } else if let Some((name, cells)) = line.split_once(' ') {
            out.push((provider, name, cells));
        }
    }
    out
}

#[test]
fn every_row_is_read() {
    let book = PriceBook::parse(TEXT).unwrap();
    let lines = lines();
    assert!(lines.len() > 2000, "{}", lines.len());
    assert_eq!(book.len(), lines.len());
    assert_eq!(book.date().len(), "2026-11-30".len());
    for (provider, name, cells) in &lines {
        assert!(builtin().provider(provider).is_some(), "{provider}");
        let row = book.row(provider, name).unwrap();
        assert_eq!(row.cells().trim_start(), *cells, "{provider} {name}");
        assert_ne!(*row, Row::default(), "{provider} {name}");
        // A price per thousand tokens that was taken for one per token stands out.
        let dear = row.price.as_ref().is_some_and(|price| {
            let above = |column, dollars: u64| {
                let rate = price.rates.get(column);
                rate.is_some_and(|rate| rate > dollars * 1_000_000_000)
            };
            above(Column::Input, 200)
                || above(Column::Output, 1000)
                || above(Column::Request, 1)
                || above(Column::SearchHigh, 1)
        });
        assert!(!dear, "{provider} {name} costs more than any model");
    }
    assert!(
        lines.is_sorted_by_key(|(provider, name, _)| (*provider, *name)),
        "rows are sorted"
    );
}

/// As the vendors' own pages say in November 2026: dollars per million tokens.
#[test]
fn well_known_models_cost_what_their_vendors_say() {
    let check = |provider: &str, model: &str, dollars: [&str; 5]| {
        let price = builtin().price(provider, model).unwrap();
        let rates = price.rates;
        let optional = |rate: Option<u64>| rate.map(crate::dollars).unwrap_or_default();
        let found = [
            optional(rates.get(Column::Input)),
            optional(rates.get(Column::Output)),
            optional(rates.get(Column::CacheRead)),
            optional(rates.get(Column::CacheWrite)),
            optional(rates.get(Column::CacheWriteLong)),
        ];
        assert_eq!(found, dollars, "{model}");
    };
    check("openai", "gpt-4o", ["2.5", "10", "1.25", "", ""]);
    check("openai", "gpt-5.4", ["2.5", "15", "0.25", "", ""]);
    check("openai", "gpt-6.1-sol", ["2", "10", "0.1", "2.5", "5"]);
    check("anthropic", "claude-opus-5-5", ["4", "20", "0.2", "5", "8"]);
    check(
        "anthropic",
        "claude-sonnet-4-5",
        ["3", "15", "0.3", "3.75", "6"],
    );
    check("gemini", "gemini-2.5-pro", ["1.25", "10", "0.125", "", ""]);
    check(
        "gemini",
        "gemini-3.8-flash",
        ["0.75", "3.75", "0.075", "", ""],
    );
    check("gemini", "gemini-4-carbon", ["4", "20", "0.2", "", ""]);
    check(
        "gemini",
        "gemini-4-hydrogen",
        ["1.5", "7.5", "0.075", "", ""],
    );
    check(
        "deepseek",
        "deepseek-v4-pro",
        ["1.32", "3.96", "0.044", "", ""],
    );
    check(
        "mistral",
        "mistral-large-latest",
        ["0.5", "1.5", "0.05", "", ""],
    );
    check(
        "groq",
        "openai/gpt-oss-120b",
        ["0.15", "0.6", "0.075", "", ""],
    );
    check(
        "zhipu",
        "glm-5.3",
        ["1.142857143", "4", "0.285714286", "", ""],
    );

    let price = builtin().price("gemini", "gemini-2.5-pro").unwrap();
    // 200,000 × $1.25 and 300,000 × $2.5 per million, and 1,000 × $10 or $15.
    assert_eq!(price.cost(200_000, 1_000).nano(), 260_000_000);
    assert_eq!(price.cost(300_000, 1_000).nano(), 765_000_000);
    let price = builtin().price("dashscope", "qwen3-max").unwrap();
    let lengths: Vec<u64> = price.tiers.iter().map(|tier| tier.above).collect();
    assert_eq!(lengths, [32_000, 128_000]);
}

#[test]
fn names_are_found_in_their_variants() {
    let book = PriceBook::parse(
        "prices 2 2026-11-30\n\
         [openai]\n\
         ft:gpt-4o-2024-08-06 input=1 output=1\n\
         gpt-4o input=2 output=2\n\
         gpt-4o-2024-05-13 input=3 output=3\n\
         gpt-5-2025-08-07 input=4 output=4\n\
         gpt-5-2025-10-01 input=5 output=5\n\
         grok-latest input=6 output=6\n\
         [cloud]\n\
         anthropic.claude input=7 output=7\n\
         eu.anthropic.claude input=8 output=8\n\
         deepseek-v3 input=9 output=9\n\
         deepseek input=10 output=10\n\
         qwen/qwen3 input=11 output=11\n\
         glm input=12 output=12\n\
         end 12\n",
    )
    .unwrap();
    let check = |provider: &str, model: &str, input: Option<u64>| {
        let row = book.row(provider, model);
        let found = row.and_then(|row| row.price.as_ref());
        let expect = input.map(|dollars| dollars * 1_000_000_000);
        assert_eq!(
            found.and_then(|price| price.rates.get(Column::Input)),
            expect,
            "{model}"
        );
    };
    check("openai", "gpt-4o", Some(2));
    check("openai", "GPT-4o", Some(2));
    check("openai", "gpt-4o-2024-05-13", Some(3));
    check("openai", "gpt-4o-2024-11-20", Some(2));
    check("openai", "gpt-4o-20241120", Some(2));
    check("openai", "gpt-4o@20241120", Some(2));
    check("openai", "gpt-4o-latest", Some(2));
    check("openai", "openai/gpt-4o-latest", Some(2));
    check("openai", "models/gpt-4o", Some(2));
    check("openai", "models/openai/gpt-4o", Some(2));
    check("openai", "gpt-5", Some(5));
    check("openai", "gpt-5-latest", Some(5));
    check("openai", "grok", Some(6));
    check("openai", "ft:gpt-4o-2024-08-06:org::id", Some(1));
    check("openai", "ft:gpt-4o-2024-08-06:org:name:id", Some(1));
    check("openai", "ft:gpt-4o", Some(1));
    check("openai", "gpt-4o-mini", None);
    check("openai", "gpt-4o-0513", None);
    check("openai", "gpt-4o-2024", None);
    check("openai", "gpt-4", None);
    check("openai", "gpt-4o:free", None);
    check("openai", "", None);
    check("openai", "/", None);
    check("openai", "-latest", None);
    check("openai", "-20250101", None);
    check("openai", "ft::", None);
    check("openai", "日本-20250101", None);
    check("nobody", "gpt-4o", None);
    check("cloud", "us.anthropic.claude", Some(7));
    check("cloud", "eu.anthropic.claude", Some(8));
    check("cloud", "us.anthropic.claude-20250929-v1:0", Some(7));
    check("cloud", "anthropic.claude-20250929-v1", Some(7));
    check("cloud", "anthropic.claude-v1:0", Some(7));
    check("cloud", "deepseek-v3", Some(9));
    check("cloud", "deepseek-v4", None);
    check("cloud", "Qwen/Qwen3", Some(11));
    check("cloud", "other/qwen3", None);
    check("cloud", "accounts/somebody/models/glm", Some(12));
    check("cloud", &format!("{}glm", "a/".repeat(100_000)), None);
}

#[test]
fn limits_come_from_lists_then_prices_then_families() {
    let check = |provider: Option<&str>, model: &str, expect: (Option<u64>, Option<u64>)| {
        let catalog = builtin();
        let found = (
            catalog.context_window(provider, model),
            catalog.max_output(provider, model),
        );
        assert_eq!(found, expect, "{provider:?} {model}");
    };
    check(
        Some("openai"),
        "gpt-6.1-sol",
        (Some(922_000), Some(128_000)),
    );
    check(
        Some("groq"),
        "openai/gpt-oss-120b",
        (Some(131_072), Some(65_536)),
    );
    check(
        Some("azure-foundry-claude"),
        "claude-opus-4-5",
        (Some(200_000), Some(64_000)),
    );
    check(None, "claude-opus-5-5", (Some(1_000_000), Some(128_000)));
    check(
        Some("unheard-of"),
        "claude-opus-5-5",
        (Some(1_000_000), Some(128_000)),
    );
    check(Some("openai"), "somebody/private", (None, None));
}

#[test]
fn a_limit_is_said_once() {
    for (provider, name, _) in lines() {
        let row = prices().row(provider, name).unwrap();
        let models = builtin().models_of(provider);
        if let Some(own) = models.iter().find(|own| own.id.to_lowercase() == name) {
            assert!(
                row.context.is_none() || own.context.is_none(),
                "{provider} {name}"
            );
            let both = row.max_output.is_some() && own.max_output.is_some();
            assert!(!both, "{provider} {name}");
        }
    }
}

#[test]
fn what_is_broken_is_refused_with_its_line() {
    let check = |text: &str, expect: &str| {
        let error = PriceBook::parse(text).unwrap_err();
        assert_eq!(error.to_string(), expect, "{text}");
    };
    check("", "prices: the text is empty");
    check("# nothing\n", "prices: the text is empty");
    let head = "expected `prices 2` and a day";
    check("[openai]\n", &format!("prices, line 1: {head}"));
    check(
        "\nprices 1 2026-11-30\n",
        &format!("prices, line 2: {head}"),
    );
    check("prices 2\n", "prices, line 1: no day");
    check("prices 2 today\n", "prices, line 1: no day");
    let row = |cells: &str, expect: &str| {
        check(
            &format!("prices 2 2026-11-30\n[a]\nm {cells}\nend 1\n"),
            &format!("prices, line 3: {expect}"),
        );
    };
    let whole = "a price has `input` and `output`, or a `formula`";
    row("input=1", whole);
    row("cache_read=1", whole);
    row(">9 input=1 output=1", whole);
    row("searches=once", whole);
    row(
        "input=-1 output=1",
        "`input=-1`: a price cannot be negative",
    );
    row(
        "input=1 output=1 request=-0.001",
        "`request=-0.001`: a price cannot be negative",
    );
    row("input= output=1", "`input=`: expected dollars such as 0.25");
    row("input=1 output=1 input=2", "`input` is there twice");
    row("context=5 context=5", "`context` is there twice");
    row("inp", "`inp` is no cell");
    row("inputs=1", "there is no column `inputs`");
    row("context=0", "`context=0` is no length");
    row("context=-1", "`context=-1` is no length");
    row("input=1 output=1 >0 input=2", "`>0` is no length");
    row(
        "input=1 output=1 >9 input=2 >9 input=3",
        "`>9` is there twice",
    );
    row("input=1 output=1 >9", "`>9` says nothing");
    row("input=1 output=1 >x", "`>x` is no length");
    row("input=1 output=1 @ input=1", "`@` has no name");
    row(
        "input=1 output=1 @off_peak input=1",
        "`@off_peak` without its hours",
    );
    row(
        "input=1 output=1 off_peak=UTC",
        "`off_peak=UTC`: no hours: expected a zone and hours, `UTC;mon-fri,16:30-00:30`",
    );
    row(
        "input=1 output=1 times.us=-1",
        "`times.us=-1`: a price cannot be negative",
    );
    row(
        "input=1 output=1 times.us=1 times.us=2",
        "`times.us=2`: is there twice, or has no name",
    );
    row(
        "input=1 output=1 @flex times.us=2",
        "`times.us=2`: only rates stand in a tier",
    );
    row(
        "input=1 output=1 search=1 search_low=1",
        "`search_low` is there twice",
    );
    row(
        "input=1 formula=input * $1/M",
        "a formula stands alone: it is the whole price",
    );
    row(
        "formula=input * 2",
        "a formula is an amount such as `input * $3/M`, not a number",
    );
    check(
        "prices 2 2026-11-30\nm input=1 output=1\n",
        "prices, line 2: no provider yet",
    );
    check(
        "prices 2 2026-11-30\n[a\n",
        "prices, line 2: expected `[id]`",
    );
    check(
        "prices 2 2026-11-30\n[a]\nM input=1 output=1\n",
        "prices, line 3: names are in lower case",
    );
    check(
        "prices 2 2026-11-30\n[a]\nm input=1 output=1\nm input=1 output=1\nend 2\n",
        "prices: a: `m` is there twice",
    );
    check(
        "prices 2 2026-11-30\n[a]\nm input=1 output=1\nend 1\nn input=1 output=1\n",
        "prices, line 5: there is more behind the end",
    );
    check(
        "prices 2 2026-11-30\nend x\n",
        "prices, line 2: expected `end` and the number of rows",
    );
}

#[test]
fn a_text_that_is_cut_is_refused_wherever_it_is_cut() {
    let text =
        "prices 2 2026-11-30\n[a]\nm input=1 output=1\nn input=1 output=1 @flex input=0.5\nend 2\n";
    assert!(PriceBook::parse(text).is_ok());
    // The last line's end may be missing.
    for length in 0..text.len() - 1 {
        let found = PriceBook::parse(&text[..length]);
        assert!(found.is_err(), "{}", &text[..length]);
    }
    for part in [1, 10, 100, 1000, 2000] {
        let lines: Vec<&str> = TEXT.lines().collect();
        let half = lines[..lines.len() * part / 2100].join("\n");
        let error = PriceBook::parse(&half).unwrap_err().to_string();
        assert!(
            error.contains("a part of it is missing") || error.contains("empty"),
            "{error}"
        );
    }
}

#[test]
fn every_text_has_a_version_of_its_own() {
    let version = |row: &str| {
        let text = format!("prices 2 2026-11-30\n[a]\nm {row}\nend 1\n");
        PriceBook::parse(&text).unwrap().version().to_owned()
    };
    let one = version("input=1 output=1");
    assert_eq!(one, version("input=1 output=1"));
    assert_ne!(one, version("input=1 output=2"));
    assert!(one.starts_with("2026-11-30-"), "{one}");
    assert_eq!(one.len(), "2026-11-30-12345678".len());
}

/// Reckons as on paper, with digits, from the text of the file; shares nothing with what it checks.
mod paper {
    /// `12.5` times `3`, without a point: digits and how many of them are behind the point.
    pub(super) fn times(dollars: &str, tokens: u64) -> (Vec<u8>, usize) {
        let behind = dollars.split_once('.').map_or(0, |(_, part)| part.len());
        let digits = |text: &str| -> Vec<u8> {
            let digits = text.bytes().rev().filter(u8::is_ascii_digit);
            digits.map(|digit| digit - b'0').collect()
        };
        let (left, right) = (digits(dollars), digits(&tokens.to_string()));
        let mut product = vec![0u8; left.len() + right.len() + 1];
        for (place, one) in left.iter().enumerate() {
            let mut carry = 0;
            for (offset, other) in right.iter().enumerate() {
                let sum = product[place + offset] + one * other + carry;
                product[place + offset] = sum % 10;
                carry = sum / 10;
            }
            product[place + right.len()] += carry;
        }
        (product, behind)
    }

    /// The sum of dollars for a million, as nano-dollars for one, half up.
    pub(super) fn nano(amounts: &[(Vec<u8>, usize)]) -> u64 {
        // 9 digits behind the point of dollars, and 6 more for the million.
        let mut sum = [0u8; 60];
        for (digits, behind) in amounts {
            let mut carry = 0;
            for place in 0..sum.len() - (15 - behind) {
                let at = place + 15 - behind;
                let digit = sum[at] + digits.get(place).copied().unwrap_or(0) + carry;
                sum[at] = digit % 10;
                carry = digit / 10;
            }
        }
        // Dollars of a million tokens, shifted by 15 places, are nano-dollars with 12 places too many: 6 + 6.
        let whole: Vec<u8> = sum[12..].iter().rev().map(|digit| digit + b'0').collect();
        let whole: u64 = String::from_utf8(whole).unwrap().parse().unwrap();
        whole + u64::from(sum[11] >= 5)
    }
}

#[test]
fn costs_are_those_on_paper() {
    let lines: Vec<_> = lines()
        .into_iter()
        .filter(|(_, _, cells)| cells.contains("input=") && !cells.contains("request="))
        .collect();
    // xorshift64: every run asks the same.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut tiered = 0;
    for round in 0..400 {
        // Every other row is one with rates by length.
        let wanted = |cells: &str| round % 2 == 0 || cells.contains('>');
        let (provider, name, cells) = loop {
            let at = usize::try_from(random(lines.len() as u64)).unwrap();
            if wanted(lines[at].2) {
                break lines[at];
            }
        };
        let mut part = || random(10).min(1) * random(300_000);
        let usage = Usage {
            input: part(),
            output: part(),
            cache_read: part(),
            cache_write_5m: part(),
            cache_write_1h: part(),
            ..Usage::default()
        };
        let prompt = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h;
        let mut dollars: BTreeMap<&str, &str> = BTreeMap::new();
        for cell in cells.split(' ') {
            if cell.starts_with('@') {
                break;
            }
            if let Some(above) = cell.strip_prefix('>') {
                if prompt <= above.parse().unwrap() {
                    break;
                }
                tiered += 1;
            } else if let Some((column, value)) = cell.split_once('=') {
                dollars.insert(column, value);
            }
        }
        let input = dollars["input"];
        let write = dollars.get("cache_write").copied().unwrap_or(input);
        let amounts = [
            paper::times(input, usage.input),
            paper::times(dollars["output"], usage.output),
            paper::times(
                dollars.get("cache_read").copied().unwrap_or(input),
                usage.cache_read,
            ),
            paper::times(write, usage.cache_write_5m),
            paper::times(
                dollars.get("cache_write_1h").copied().unwrap_or(write),
                usage.cache_write_1h,
            ),
        ];
        let price = builtin().price(provider, name).unwrap();
        let dear = Circumstances {
            moment: i64::MAX,
            ..Circumstances::default()
        };
        assert_eq!(
            u64::try_from(price.cost_of(&usage, &dear).nano()),
            Ok(paper::nano(&amounts)),
            "{provider} {name} {cells} {usage:?}"
        );
    }
    assert!(tiered > 50, "{tiered}");
}
