//! Conditions of a route.

use http::HeaderName;
use lingate_dialect::DialectId;
use lingate_routing::{Keyword, Language, Pattern, When};

use crate::place::did_you_mean;
use crate::read::{Reader, Value};
use crate::tenants::Names;

impl Reader<'_> {
    pub(super) fn when(&mut self, said: Option<&Value>, names: &Names) -> When {
        let Some(said) = said else {
            return When::default();
        };
        let flag = |name: &str| said.get(name).and_then(Value::flag);
        self.known_callers(
            said.get("key"),
            &names.keys,
            "is the name of no key in `api_keys`",
        );
        self.known_callers(
            said.get("tenant"),
            &names.organizations,
            "is the tenant of no key in `api_keys`, and none of `organizations`",
        );
        When {
            tenants: Value::texts(said.get("tenant")),
            keys: Value::texts(said.get("key")),
            headers: self.header_conditions(said),
            tags: Value::texts(said.get("tag")),
            dialects: said
                .get("dialect")
                .map(Value::items)
                .unwrap_or_default()
                .iter()
                .filter_map(|dialect| DialectId::from_name(dialect.text()?))
                .collect(),
            users: self.patterns(said.get("user")),
            tokens: said.get("tokens").and_then(|tokens| self.tokens(tokens)),
            max_output: said
                .get("max_output")
                .and_then(|tokens| self.tokens(tokens)),
            tools: self.tools(said.get("tools")),
            thinking: flag("thinking"),
            images: flag("images"),
            stream: flag("stream"),
            keywords: self.keywords(said.get("keyword")),
            languages: said
                .get("language")
                .map(Value::items)
                .unwrap_or_default()
                .iter()
                .filter_map(|language| self::language(language.text()?))
                .collect(),
            times: self.times(said.get("time")),
        }
    }

    /// A name that nobody has makes a route that nobody takes: worth a word, but the key may come tomorrow.
    fn known_callers(&mut self, said: Option<&Value>, known: &[String], why: &str) {
        for value in said.map(Value::items).unwrap_or_default() {
            let name = value.text().unwrap_or_default();
            if !known.iter().any(|known| known == name) {
                let meant = did_you_mean(name, known.iter().map(String::as_str));
                self.note(&value.place, &value.path, format!("`{name}` {why}{meant}"));
            }
        }
    }

    fn header_conditions(&mut self, said: &Value) -> Vec<(String, Pattern)> {
        let mut headers = Vec::new();
        for (key, value) in said.entries() {
            let Some(name) = key.strip_prefix("header.") else {
                continue;
            };
            if HeaderName::try_from(name).is_err() {
                self.problem(&value.place, &value.path, "not the name of a header");
                continue;
            }
            if let Some(pattern) = self.any_of(value) {
                headers.push((name.to_lowercase(), pattern));
            }
        }
        headers
    }

    /// One pattern for what matches any of those in a list.
    fn any_of(&mut self, said: &Value) -> Option<Pattern> {
        let [first, rest @ ..] = said.each() else {
            return None;
        };
        let first = self.pattern(first)?;
        if rest.is_empty() {
            return Some(first);
        }
        let mut expressions = vec![expression(&first)];
        for value in rest {
            expressions.push(expression(&self.pattern(value)?));
        }
        match Pattern::parse(&format!("/{}/", expressions.join("|"))) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.problem(&said.place, &said.path, format!("together: {error}"));
                None
            }
        }
    }

    fn patterns(&mut self, said: Option<&Value>) -> Vec<Pattern> {
        let values = said.map(Value::each).unwrap_or_default();
        values
            .iter()
            .filter_map(|value| self.pattern(value))
            .collect()
    }

    fn keywords(&mut self, said: Option<&Value>) -> Vec<Keyword> {
        let mut keywords = Vec::new();
        for value in said.map(Value::items).unwrap_or_default() {
            match Keyword::parse(value.text().unwrap_or_default()) {
                Ok(keyword) => keywords.push(keyword),
                Err(error) => self.problem(&value.place, &value.path, error.to_string()),
            }
        }
        keywords
    }

    fn tools(&mut self, said: Option<&Value>) -> Vec<Pattern> {
        let mut tools = Vec::new();
        for value in said.map(Value::each).unwrap_or_default() {
            match value.text() {
                Some("true") => tools.push(Pattern::Glob("*".to_owned())),
                Some("false") => self.problem(
                    &value.place,
                    &value.path,
                    "expected names of tools, or `true`; requests without tools take the next route",
                ),
                Some(_) | None => tools.extend(self.pattern(value)),
            }
        }
        tools
    }

    fn tokens(&mut self, said: &Value) -> Option<(u64, u64)> {
        match tokens(said.text().unwrap_or_default()) {
            Ok(range) => Some(range),
            Err(message) => {
                self.problem(&said.place, &said.path, message);
                None
            }
        }
    }
}

fn language(word: &str) -> Option<Language> {
    Some(match word {
        "chinese" => Language::Chinese,
        "japanese" => Language::Japanese,
        "korean" => Language::Korean,
        "russian" => Language::Russian,
        "arabic" => Language::Arabic,
        "latin" => Language::Latin,
        _ => return None,
    })
}

/// A regular expression for the same texts.
fn expression(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(text) => format!("^{}$", regex::escape(text)),
        Pattern::Glob(text) => {
            let pieces: Vec<String> = text.split('*').map(regex::escape).collect();
            format!("(?s:^{}$)", pieces.join(".*"))
        }
        Pattern::Regex(expression) => format!("(?:{expression})"),
    }
}

/// `>60000`, `>=8k`, `<1_000`, `1000..60000` with both ends; several with commas or spaces must all hold.
fn tokens(text: &str) -> Result<(u64, u64), &'static str> {
    const FORM: &str = "expected numbers of tokens such as \">60000\", \"<=8k\" or 1000..60000";
    const NONE: &str = "contradicts itself: no number is all of this";
    let (mut least, mut most) = (0, u64::MAX);
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(FORM);
    }
    while !rest.is_empty() {
        let operator = [">=", "<=", ">", "<"]
            .into_iter()
            .find(|operator| rest.starts_with(operator));
        let after = rest
            .strip_prefix(operator.unwrap_or_default())
            .unwrap_or(rest)
            .trim_start();
        let end = after.find([',', ' ', '&', '>', '<']).unwrap_or(after.len());
        let (word, after) = after.split_at(end);
        if let Some(operator) = operator {
            let number = count(word).ok_or(FORM)?;
            match operator {
                ">=" => least = least.max(number),
                ">" => least = least.max(number.checked_add(1).ok_or(NONE)?),
                "<=" => most = most.min(number),
                _ => most = most.min(number.checked_sub(1).ok_or(NONE)?),
            }
        } else {
            let (from, to) = word.split_once("..").ok_or(FORM)?;
            if from.is_empty() && to.is_empty() {
                return Err(FORM);
            }
            if !from.is_empty() {
                least = least.max(count(from).ok_or(FORM)?);
            }
            if !to.is_empty() {
                most = most.min(count(to).ok_or(FORM)?);
            }
        }
        rest = after.trim_start_matches([',', ' ', '&']);
    }
    if least > most {
        return Err(NONE);
    }
    Ok((least, most))
}

/// Tokens as the configuration writes them, for whoever names a number elsewhere.
pub fn token_count(word: &str) -> Result<u64, String> {
    count(word).ok_or_else(|| "expected a number of tokens: 60000, 60k".to_owned())
}

/// `60000`, `60_000`, `60k`, `1m`.
fn count(word: &str) -> Option<u64> {
    let word = word.replace('_', "").to_lowercase();
    let (digits, unit) = if let Some(digits) = word.strip_suffix('k') {
        (digits, 1_000)
    } else if let Some(digits) = word.strip_suffix('m') {
        (digits, 1_000_000)
    } else {
        (word.as_str(), 1)
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use lingate_routing::Pattern;

    use super::{expression, tokens};

    #[test]
    fn ranges_of_tokens() {
        for (text, expect) in [
            (">60000", Some((60_001, u64::MAX))),
            (">= 60_000", Some((60_000, u64::MAX))),
            ("<8k", Some((0, 7_999))),
            ("<=1m", Some((0, 1_000_000))),
            ("1000..60000", Some((1_000, 60_000))),
            ("..60000", Some((0, 60_000))),
            ("60k..", Some((60_000, u64::MAX))),
            (">1k, <=2k", Some((1_001, 2_000))),
            (">1k <=2k", Some((1_001, 2_000))),
            (">1k&<=2k", Some((1_001, 2_000))),
            ("60000", None),
            ("", None),
            ("..", None),
            (">", None),
            (">-1", None),
            (">+1", None),
            (">1x", None),
            ("1..2..3", None),
            ("<0", None),
            (">5 <6", None),
            ("60000..1000", None),
            (">18446744073709551615", None),
            (">99999999999999999999", None),
        ] {
            assert_eq!(tokens(text).ok(), expect, "{text}");
        }
    }

    #[test]
    fn a_list_of_patterns_is_one_expression() {
        let patterns = ["gold", "v1.*", "/^x-[0-9]+$/"].map(|text| {
            let pattern = Pattern::parse(text).unwrap();
            expression(&pattern)
        });
        let any = Pattern::parse(&format!("/{}/", patterns.join("|"))).unwrap();
        for (value, expect) in [
            ("gold", true),
            ("golden", false),
            ("v1.2", true),
            ("v12", false),
            ("my v1.2", false),
            ("x-17", true),
            ("x-a", false),
        ] {
            assert_eq!(any.matches(value), expect, "{value}");
        }
    }
}
