//! `lingate prices`: what models cost, and what a request would; offline.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use lingate_catalog::{Circumstances, Line, Price, SearchContext, dollars, glob, prices};
use lingate_dialect::DialectId;
use lingate_dialect::framing::Framing;
use lingate_dialect::hub::{Served, Usage};
use lingate_dialect::stream::{End, Shown, Tap};
use lingate_dialect::{Mint, Reply};
use lingate_metering::currency::Currency;
use lingate_metering::pricing::{Charged, Priced, Prices};
use serde_json::{Value, json};

use crate::local::in_force;
use crate::table::Table;
use crate::{ConfigFile, Failed};

const EXAMPLES: &str = "\
Examples:
  lingate prices list --provider openai --model 'gpt-6*'
  lingate prices show openai/gpt-4o
  lingate prices cost openai/gpt-4o --input 1200 --output 300 --cache-read 1000
  lingate prices cost anthropic/claude-opus-5-5 --answer answer.json --plan reseller --currency CNY
  lingate prices cost deepseek/deepseek-v4-pro --input 5000 --output 800 --at 2026-11-30T22:00:00Z --json

A model is named as PROVIDER/MODEL: a provider of the configuration, or an id of the catalogue, and the provider's own name of the model.
Prices are those of the configuration, else those that this version was built with. Amounts are dollars.

Exit codes: 0 done · 1 failed, or the price is not known · 2 wrong usage";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Command {
    /// All prices that are known, in dollars per million tokens.
    List(List),
    /// What is known of one model's price.
    Show(Show),
    /// What a request costs, line by line: its usage given here, or read from the provider's answer.
    Cost(Box<Cost>),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct List {
    #[command(flatten)]
    config: ConfigFile,
    /// Of these providers; `*` stands for any characters.
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    provider: String,
    /// Of these models; `*` stands for any characters.
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    model: String,
    /// A JSON object for each price, a line each.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Show {
    #[command(flatten)]
    config: ConfigFile,
    /// PROVIDER/MODEL.
    model: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Cost {
    #[command(flatten)]
    config: ConfigFile,
    /// PROVIDER/MODEL.
    #[arg(required_unless_present = "batch")]
    model: Option<String>,
    /// The model as the caller named it, where that is another one.
    #[arg(long, value_name = "MODEL")]
    requested: Option<String>,
    /// The provider's answer in a file, or `-` for standard input: JSON, or the events of a stream.
    #[arg(long, value_name = "FILE", conflicts_with = "batch")]
    answer: Option<PathBuf>,
    /// The dialect of the answer: chat, responses, messages, gemini.
    #[arg(long, value_name = "DIALECT", value_parser = dialect, default_value = "chat")]
    dialect: DialectId,
    /// Answers in a file, or `-` for standard input, a JSON object a line: `id`, `model` (PROVIDER/MODEL), `dialect`, `answer`.
    #[arg(long, value_name = "FILE")]
    batch: Option<PathBuf>,
    /// Tokens of the prompt that no cache held or took in.
    #[arg(long, value_name = "N", default_value_t = 0)]
    input: u64,
    /// Tokens of the answer, reasoning included.
    #[arg(long, value_name = "N", default_value_t = 0)]
    output: u64,
    /// Tokens of the prompt that a cache held.
    #[arg(long, value_name = "N", default_value_t = 0)]
    cache_read: u64,
    /// Tokens of the prompt that went into a cache.
    #[arg(long, value_name = "N", default_value_t = 0)]
    cache_write: u64,
    /// Tokens of the prompt that went into a cache, to be kept for longer.
    #[arg(long, value_name = "N", default_value_t = 0)]
    cache_write_1h: u64,
    /// Of the tokens of the answer, those that are reasoning.
    #[arg(long, value_name = "N")]
    reasoning: Option<u64>,
    /// Of the tokens of the prompt, those that are sound.
    #[arg(long, value_name = "N", default_value_t = 0)]
    audio_in: u64,
    /// Of the tokens of the answer, those that are sound.
    #[arg(long, value_name = "N", default_value_t = 0)]
    audio_out: u64,
    /// Of the tokens of the prompt, those that are pictures.
    #[arg(long, value_name = "N", default_value_t = 0)]
    image_in: u64,
    /// Of the tokens of the answer, those that are pictures.
    #[arg(long, value_name = "N", default_value_t = 0)]
    image_out: u64,
    /// Searches of the web that the provider ran.
    #[arg(long, value_name = "N", default_value_t = 0)]
    searches: u64,
    /// How much of the web a search reads.
    #[arg(long, value_enum, default_value_t = Context::Medium)]
    search_context: Context,
    /// Pictures of the answer, where they are paid for by the piece.
    #[arg(long, value_name = "N", default_value_t = 0)]
    images: u64,
    /// How the provider says that it served the request: batch, flex, priority.
    #[arg(long, value_name = "TIER")]
    service_tier: Option<String>,
    /// Where it was served: us, eu.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// How fast: fast.
    #[arg(long, value_name = "SPEED")]
    speed: Option<String>,
    /// When it began: 2026-11-30T22:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
    /// The tenant's plan.
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,
    /// Show the sums in this currency, too; the configuration has the rate.
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Context {
    Low,
    Medium,
    High,
}

fn dialect(name: &str) -> Result<DialectId, String> {
    DialectId::from_name(name).ok_or_else(|| {
        format!(
            "unknown dialect; there are {}",
            DialectId::ALL.map(DialectId::name).join(", ")
        )
    })
}

pub(crate) fn run(command: &Command) -> Result<u8, Failed> {
    match command {
        Command::List(options) => list(options),
        Command::Show(options) => show(options),
        Command::Cost(options) => cost(options),
    }
}

/// What is known of providers and their prices.
struct Known {
    prices: Prices,
    /// Names of the configuration, and the rows of the catalogue that they follow.
    providers: Vec<(String, Option<String>)>,
}

impl Known {
    fn load(config: &ConfigFile) -> Result<Self, Failed> {
        let loaded = in_force(config)?.loaded;
        let row = |provider: &std::sync::Arc<lingate_routing::Provider>| {
            (provider.name.clone(), provider.catalog_id.clone())
        };
        Ok(Self {
            providers: loaded.snapshot.providers.iter().map(row).collect(),
            prices: loaded.prices,
        })
    }

    /// The provider, the row that it follows, and its name of the model.
    fn named<'a>(&'a self, text: &'a str) -> Result<Priced<'a>, Failed> {
        let Some((provider, model)) = text.split_once('/').filter(|(_, model)| !model.is_empty())
        else {
            return Err(Failed::new(format!(
                "`{text}`: expected PROVIDER/MODEL, such as openai/gpt-4o"
            )));
        };
        let of = |provider, catalog_id| Priced {
            provider,
            catalog_id,
            upstream_model: model,
            requested_model: model,
            plan: None,
        };
        let configured = self.providers.iter().find(|(name, _)| name == provider);
        if let Some((name, row)) = configured {
            return Ok(of(name, row.as_deref()));
        }
        match lingate_catalog::builtin().named(provider) {
            Some(row) => Ok(of(&row.id, Some(&row.id))),
            None => Err(Failed::new(format!(
                "neither the configuration nor the catalogue has a provider `{provider}`"
            ))),
        }
    }
}

fn list(options: &List) -> Result<u8, Failed> {
    let known = Known::load(&options.config)?;
    let mut rows: Vec<(&str, &str, &str, &Price)> = Vec::new();
    for one in known.prices.general() {
        let provider = one.provider.as_deref().unwrap_or("*");
        rows.push(("configuration", provider, &one.model, &one.price));
    }
    for (provider, _) in &known.providers {
        for (model, price) in known.prices.own(provider) {
            rows.push(("configuration", provider, model, price));
        }
    }
    for (provider, model, row) in prices().rows() {
        if let Some(price) = &row.price {
            rows.push(("catalogue", provider, model, price));
        }
    }
    rows.retain(|(_, provider, model, _)| {
        glob::matches(&options.provider, provider)
            && glob::matches(&options.model.to_lowercase(), &model.to_lowercase())
    });
    let mut stdout = io::stdout().lock();
    if options.json {
        for (from, provider, model, price) in rows {
            let mut row = described(price);
            row["provider"] = json!(provider);
            row["model"] = json!(model);
            row["from"] = json!(from);
            writeln!(stdout, "{row}")?;
        }
        return Ok(0);
    }
    let mut table = Table::default();
    table.row(["PROVIDER", "MODEL", "PRICE"]);
    for (from, provider, model, price) in rows {
        let mut text = price.to_string().trim_start().to_owned();
        if from == "configuration" {
            text.push_str("  (configuration)");
        }
        table.row([provider, model, &text]);
    }
    for line in table.lines("") {
        writeln!(stdout, "{line}")?;
    }
    writeln!(stdout, "prices {}", known.prices.version())?;
    Ok(0)
}

fn show(options: &Show) -> Result<u8, Failed> {
    let known = Known::load(&options.config)?;
    let of = known.named(&options.model)?;
    let price = known.prices.cost_price(&of);
    let mut stdout = io::stdout().lock();
    let Some(price) = price else {
        return Err(Failed::new(format!(
            "no price is known for {}/{}",
            of.provider, of.upstream_model
        )));
    };
    if options.json {
        let mut out = described(price);
        out["provider"] = json!(of.provider);
        out["model"] = json!(of.upstream_model);
        out["version"] = json!(&**known.prices.version());
        writeln!(stdout, "{out:#}")?;
        return Ok(0);
    }
    writeln!(stdout, "{}/{}", of.provider, of.upstream_model)?;
    let mut table = Table::default();
    let mut section = |name: &str, rates: &lingate_catalog::Rates| {
        table.row([name]);
        for (column, rate) in rates.iter() {
            let per = if column.is_tokens() {
                "per million tokens"
            } else {
                "each"
            };
            table.row(["", column.name(), &format!("${}", dollars(rate)), per]);
        }
    };
    section("", &price.rates);
    for tier in &price.tiers {
        section(&tier.name(), &tier.rates);
    }
    for line in table.lines("  ").iter().filter(|line| !line.is_empty()) {
        writeln!(stdout, "{line}")?;
    }
    if let Some(hours) = &price.off_peak {
        writeln!(stdout, "  @off_peak: {hours}")?;
    }
    for (name, factor) in &price.factors {
        writeln!(stdout, "  {name}: tokens cost {factor} times as much")?;
    }
    if price.search_once {
        writeln!(stdout, "  a request pays for one search at most")?;
    }
    if let Some(formula) = &price.formula {
        writeln!(stdout, "  {formula}")?;
    }
    writeln!(stdout, "prices {}", known.prices.version())?;
    Ok(0)
}

fn described(price: &Price) -> Value {
    let rates = |rates: &lingate_catalog::Rates| {
        let pairs = rates.iter();
        let pairs = pairs.map(|(column, rate)| (column.name().to_owned(), json!(dollars(rate))));
        Value::Object(pairs.collect())
    };
    let mut out = json!({"rates": rates(&price.rates)});
    if !price.tiers.is_empty() {
        let tiers: Vec<Value> = price
            .tiers
            .iter()
            .map(|tier| json!({"when": tier.name(), "rates": rates(&tier.rates)}))
            .collect();
        out["tiers"] = tiers.into();
    }
    if let Some(hours) = &price.off_peak {
        out["off_peak"] = json!(hours.to_string());
    }
    for (name, factor) in &price.factors {
        out["times"][&**name] = json!(factor.to_string());
    }
    if price.search_once {
        out["search_once"] = json!(true);
    }
    if let Some(formula) = &price.formula {
        out["formula"] = json!(formula.text());
    }
    out
}

fn cost(options: &Cost) -> Result<u8, Failed> {
    let known = Known::load(&options.config)?;
    if let Some(plan) = &options.plan
        && known.prices.plan(plan).is_none()
    {
        return Err(Failed::new(format!(
            "the configuration has no plan `{plan}`"
        )));
    }
    let currency = match &options.currency {
        None => None,
        Some(code) => {
            let currency = Currency::from_code(code);
            let rate = currency.filter(|code| known.prices.currencies().rate(*code).is_some());
            let none = || Failed::new(format!("`currencies` has no rate for `{code}`"));
            Some(rate.ok_or_else(none)?)
        }
    };
    if let Some(batch) = &options.batch {
        return many(options, &known, batch);
    }
    let model = options.model.as_deref().unwrap_or_default();
    let (mut usage, mut answer) = (given(options), Told::default());
    if let Some(file) = &options.answer {
        let mut body = Vec::new();
        open(file)?.read_to_end(&mut body)?;
        let told = told(options.dialect, &body);
        let none = || Failed::new("the answer tells no usage, so what it costs is not known");
        usage = told.usage.ok_or_else(none)?;
        answer = told;
    }
    let (of, charged) = priced(options, &known, model, &usage, &answer)?;
    let mut stdout = io::stdout().lock();
    if options.json {
        let mut out = as_json(&charged, &usage);
        if let Some(currency) = currency {
            let show = |amount| known.prices.currencies().show(amount, currency);
            out["currency"] = json!({
                "code": currency.to_string(),
                "cost": charged.cost.and_then(show),
                "price": charged.price.and_then(show),
            });
        }
        writeln!(stdout, "{out:#}")?;
    } else {
        let mut table = Table::default();
        for line in &charged.cost_lines {
            table.row(shown(line));
        }
        for line in table.lines("") {
            writeln!(stdout, "{line}")?;
        }
        if let Some(cost) = charged.cost {
            writeln!(stdout, "cost ${cost}")?;
        }
        let mut table = Table::default();
        for line in &charged.price_lines {
            table.row(shown(line));
        }
        for line in table.lines("") {
            writeln!(stdout, "{line}")?;
        }
        if let (Some(plan), Some(price)) = (&options.plan, charged.price) {
            let times = if charged.price_lines.is_empty() {
                format!(", {} times the cost", charged.multiplier)
            } else {
                String::new()
            };
            writeln!(stdout, "price ${price} (plan {plan}{times})")?;
        }
        if let Some(currency) = currency {
            let show = |amount| known.prices.currencies().show(amount, currency);
            if let Some(text) = charged.price.or(charged.cost).and_then(show) {
                writeln!(stdout, "that is {text} {currency}")?;
            }
        }
        writeln!(stdout, "prices {}", charged.version)?;
    }
    if charged.cost.is_none() {
        return Err(Failed::new(format!(
            "no price is known for {}/{}",
            of.provider, of.upstream_model
        )));
    }
    Ok(0)
}

fn priced<'a>(
    options: &'a Cost,
    known: &'a Known,
    model: &'a str,
    usage: &Usage,
    answer: &Told,
) -> Result<(Priced<'a>, Charged), Failed> {
    let named = known.named(model)?;
    let of = Priced {
        plan: options.plan.as_deref(),
        requested_model: options.requested.as_deref().unwrap_or(named.upstream_model),
        ..named
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
    let circumstances = Circumstances {
        service_tier: options.service_tier.as_deref().or(answer.tier.as_deref()),
        region: options
            .region
            .as_deref()
            .or(answer.served.region.as_deref()),
        speed: options.speed.as_deref().or(answer.served.speed.as_deref()),
        moment: options.at.map_or(now, jiff::Timestamp::as_millisecond),
        images_given: 0,
        images_made: options.images,
        search_context: match options.search_context {
            Context::Low => SearchContext::Low,
            Context::Medium => SearchContext::Medium,
            Context::High => SearchContext::High,
        },
    };
    Ok((of, known.prices.charge(&of, usage, &circumstances)))
}

fn many(options: &Cost, known: &Known, file: &PathBuf) -> Result<u8, Failed> {
    let mut stdout = io::stdout().lock();
    for (number, line) in (1..).zip(BufReader::new(open(file)?).lines()) {
        let line = line?;
        let bad = |what: &str| Failed::new(format!("line {number}: {what}"));
        let asked: Value = serde_json::from_str(&line).map_err(|error| bad(&error.to_string()))?;
        let text = |name: &str| asked.get(name).and_then(Value::as_str);
        let model = text("model").ok_or_else(|| bad("no `model`"))?;
        let answer = text("answer").ok_or_else(|| bad("no `answer`"))?;
        let spoken = text("dialect").map_or(Some(options.dialect), DialectId::from_name);
        let spoken = spoken.ok_or_else(|| bad("an unknown dialect"))?;
        let told = told(spoken, answer.as_bytes());
        let mut out = match told.usage {
            Some(usage) => {
                let (_, charged) = priced(options, known, model, &usage, &told)?;
                as_json(&charged, &usage)
            }
            None => json!({"usage": null}),
        };
        out["id"] = asked.get("id").cloned().unwrap_or_default();
        writeln!(stdout, "{out}")?;
    }
    Ok(0)
}

fn open(file: &PathBuf) -> Result<Box<dyn Read>, Failed> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let opened = File::open(file);
    let opened = opened.map_err(|error| Failed::new(format!("{}: {error}", file.display())))?;
    Ok(Box::new(opened))
}

const fn given(options: &Cost) -> Usage {
    Usage {
        input: options.input,
        output: options.output,
        cache_read: options.cache_read,
        cache_write_5m: options.cache_write,
        cache_write_1h: options.cache_write_1h,
        reasoning: options.reasoning,
        audio_in: options.audio_in,
        audio_out: options.audio_out,
        image_in: options.image_in,
        image_out: options.image_out,
        searches: options.searches,
    }
}

/// What an answer tells of its usage and of how it was served.
#[derive(Default)]
struct Told {
    usage: Option<Usage>,
    tier: Option<String>,
    served: Served,
}

/// `body`: whole, or in events.
fn told(dialect: DialectId, body: &[u8]) -> Told {
    let text = body.trim_ascii_start();
    let whole = text.first() == Some(&b'{') && serde_json::from_slice::<Value>(text).is_ok();
    let summary = if whole {
        lingate_dialect::meter::read(dialect.dialect(), text)
    } else {
        let framing = if text.first() == Some(&b'[') {
            Framing::JsonArray
        } else {
            Framing::Sse
        };
        let mut out = Vec::new();
        let mut tap = Tap::new(dialect.dialect(), framing);
        tap.push(text);
        tap.end(End::Eof, &reply(), Shown::All, &mut out)
    };
    Told {
        usage: summary.usage,
        tier: summary.tier,
        served: summary.served,
    }
}

fn reply() -> Reply {
    Reply {
        responses: None,
        model: String::new(),
        mint: Mint { now: 0, id: 0 },
        include_usage: true,
        show_reasoning: true,
        legacy_function_call: false,
        enum_output: false,
    }
}

fn shown(line: &Line) -> [String; 4] {
    let per = match line.item {
        lingate_catalog::Item::Column(column) if column.is_tokens() => "/M",
        lingate_catalog::Item::Column(_) | lingate_catalog::Item::Formula => "",
    };
    let mut rate = line
        .rate
        .map_or_else(String::new, |rate| format!("× ${}{per}", dollars(rate)));
    for factor in line.factors {
        if factor != lingate_catalog::Factor::ONE {
            rate.extend([" × ", &factor.to_string()]);
        }
    }
    [
        line.item.to_string(),
        line.quantity.to_string(),
        rate,
        format!("${}", line.amount),
    ]
}

fn as_json(charged: &Charged, usage: &Usage) -> Value {
    let lines = |lines: &[Line]| {
        let line = |line: &Line| {
            let mut out = json!({
                "item": line.item.to_string(),
                "quantity": line.quantity,
                "rate": line.rate.map(dollars),
                "amount": line.amount.to_string(),
            });
            for factor in line.factors {
                if factor != lingate_catalog::Factor::ONE {
                    out["times"] = json!(factor.to_string());
                }
            }
            out
        };
        lines.iter().map(line).collect::<Vec<Value>>()
    };
    json!({
        "version": &*charged.version,
        "cost": charged.cost.map(|cost| cost.to_string()),
        "price": charged.price.map(|price| price.to_string()),
        "multiplier": charged.multiplier.to_string(),
        "lines": lines(&charged.cost_lines),
        "price_lines": lines(&charged.price_lines),
        "usage": usage,
    })
}
