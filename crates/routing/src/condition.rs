//! Conditions of a route on the request.

use std::fmt;

use lingate_dialect::DialectId;

use crate::{Ask, Asked, Clock, Keyword, Language, Pattern};

/// Conditions; all that are given must hold. The default holds for every request.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// One of these tenants.
    pub tenants: Vec<String>,
    /// One of these callers' keys, by name.
    pub keys: Vec<String>,
    /// All of these tags.
    pub tags: Vec<String>,
    /// Headers by name, in lower case, and what their value must match; all of them.
    pub headers: Vec<(String, Pattern)>,
    /// The caller speaks one of these.
    pub dialects: Vec<DialectId>,
    pub stream: Option<bool>,
    /// One of these times.
    pub times: Vec<TimeSpan>,
    /// One of these end users, as the request names them.
    pub users: Vec<Pattern>,
    /// Tokens of the answer that the caller allows, both ends included; a caller who sets no limit allows any number.
    pub max_output: Option<(u64, u64)>,
    pub thinking: Option<bool>,
    pub images: Option<bool>,
    /// One of these tools is offered.
    pub tools: Vec<Pattern>,
    /// Estimated tokens of the prompt, both ends included.
    pub tokens: Option<(u64, u64)>,
    /// One of these words is in the last message.
    pub keywords: Vec<Keyword>,
    /// At least a third of the letters of the last message are of one of these.
    pub languages: Vec<Language>,
}

/// Times of the day, on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSpan {
    /// Minutes of the day, 0 to 1439. `to` is not included. `from` after `to` goes over midnight; where both are the same it is a
    /// whole day.
    pub from: u16,
    pub to: u16,
    /// Monday first. Over midnight, the day on which it began counts.
    pub days: [bool; 7],
    /// `Asia/Shanghai`, `UTC`.
    pub zone: String,
}

impl When {
    /// Whether it holds for every request.
    pub fn is_empty(&self) -> bool {
        let Self {
            tenants,
            keys,
            tags,
            headers,
            dialects,
            stream,
            times,
            users,
            max_output,
            thinking,
            images,
            tools,
            tokens,
            keywords,
            languages,
        } = self;
        tenants.is_empty()
            && keys.is_empty()
            && tags.is_empty()
            && headers.is_empty()
            && dialects.is_empty()
            && stream.is_none()
            && times.is_empty()
            && users.is_empty()
            && max_output.is_none()
            && thinking.is_none()
            && images.is_none()
            && tools.is_empty()
            && tokens.is_none()
            && keywords.is_empty()
            && languages.is_empty()
    }

    /// Whether all conditions hold.
    pub fn holds(&self, ask: &Ask<'_>) -> bool {
        self.hold(&Asked::new(ask))
    }

    /// As [`Self::holds`], for a request that many routes are tried on.
    pub fn hold(&self, asked: &Asked<'_>) -> bool {
        self.unmet(asked).is_none()
    }

    /// Why they do not hold, of the first that does not: `the tenant is `beta``. What the caller wrote is not in it.
    pub fn why_not(&self, ask: &Ask<'_>) -> Option<String> {
        let asked = Asked::new(ask);
        self.unmet(&asked).map(|unmet| unmet.to_string())
    }

    /// The conditions in short, one by one, for tables.
    pub fn told(&self) -> Vec<String> {
        let Self {
            tenants,
            keys,
            tags,
            headers,
            dialects,
            stream,
            times,
            users,
            max_output,
            thinking,
            images,
            tools,
            tokens,
            keywords,
            languages,
        } = self;
        let mut told = Vec::new();
        let mut any = |name: &str, among: String| {
            if !among.is_empty() {
                told.push(format!("{name} {among}"));
            }
        };
        any("tenant", joined(tenants));
        any("key", joined(keys));
        any("tag", joined(tags));
        for (name, pattern) in headers {
            any("header", format!("{name} {pattern}"));
        }
        any("dialect", joined(dialects));
        any("user", joined(users));
        any("tool", joined(tools));
        any("keyword", joined(keywords));
        any("language", joined(languages));
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        for span in times {
            let (from, to) = (clock(span.from), clock(span.to));
            let days = if span.days.contains(&false) {
                ", on some days"
            } else {
                ""
            };
            any("time", format!("{from}–{to} {}{days}", span.zone));
        }
        for (name, range) in [("tokens", tokens), ("max_output", max_output)] {
            any(
                name,
                range.map_or_else(String::new, |(least, most)| match (least, most) {
                    (least, u64::MAX) => format!("at least {least}"),
                    (0, most) => format!("at most {most}"),
                    (least, most) => format!("{least} to {most}"),
                }),
            );
        }
        for (name, wanted) in [
            ("stream", stream),
            ("thinking", thinking),
            ("image", images),
        ] {
            any(name, wanted.map_or_else(String::new, |it| it.to_string()));
        }
        told
    }

    /// The first condition that does not hold. Those that cost least are looked at first: what is known of the caller and the
    /// headers, the clock, what is in the body, what must be counted, and the text.
    fn unmet<'w>(&'w self, asked: &'w Asked<'_>) -> Option<Unmet<'w>> {
        let one_of = |names: &[String], name: Option<&str>| {
            names.is_empty() || name.is_some_and(|name| names.iter().any(|known| known == name))
        };
        if !self.keys.is_empty() && !one_of(&self.keys, asked.key()) {
            return Some(Unmet::Key(asked.key()));
        }
        if !self.tenants.is_empty() && !one_of(&self.tenants, asked.tenant()) {
            return Some(Unmet::Tenant(asked.tenant()));
        }
        let missing = |tag: &&String| !asked.tags().iter().any(|known| known == *tag);
        if let Some(tag) = self.tags.iter().find(missing) {
            return Some(Unmet::Tag(tag));
        }
        for (name, pattern) in &self.headers {
            match asked.header(name) {
                None => return Some(Unmet::NoHeader(name)),
                Some(value) if !pattern.matches(value) => {
                    return Some(Unmet::Header(name, pattern));
                }
                Some(_) => {}
            }
        }
        if !self.dialects.is_empty() && !self.dialects.contains(&asked.ask.dialect) {
            return Some(Unmet::Dialect(asked.ask.dialect));
        }
        if self.stream.is_some_and(|stream| stream != asked.ask.stream) {
            return Some(Unmet::Stream(asked.ask.stream));
        }

        let now = |span: &TimeSpan| {
            asked
                .clock(&span.zone)
                .is_some_and(|clock| span.contains(clock))
        };
        if !self.times.is_empty() && !self.times.iter().any(now) {
            return Some(Unmet::Time);
        }

        let user = |pattern: &Pattern| asked.user().is_some_and(|user| pattern.matches(user));
        if !self.users.is_empty() && !self.users.iter().any(user) {
            return Some(Unmet::User);
        }
        if let Some((least, most)) = self.max_output {
            let allowed = asked.max_output();
            if !(least..=most).contains(&allowed.unwrap_or(u64::MAX)) {
                return Some(Unmet::MaxOutput(allowed));
            }
        }
        if self.thinking.is_some_and(|it| it != asked.thinking()) {
            return Some(Unmet::Thinking(asked.thinking()));
        }
        if self.images.is_some_and(|it| it != asked.images()) {
            return Some(Unmet::Images(asked.images()));
        }
        let offered = |pattern: &Pattern| asked.tools().iter().any(|tool| pattern.matches(tool));
        if !self.tools.is_empty() && !self.tools.iter().any(offered) {
            return Some(Unmet::Tools(&self.tools));
        }

        if let Some((least, most)) = self.tokens
            && !(least..=most).contains(&asked.tokens())
        {
            return Some(Unmet::Tokens(asked.tokens(), least, most));
        }

        let said = |keyword: &Keyword| keyword.is_in(asked.lowercase());
        if !self.keywords.is_empty() && !self.keywords.iter().any(said) {
            return Some(Unmet::Keywords(&self.keywords));
        }
        let written = |language: &Language| asked.scripts().are(*language);
        if !self.languages.is_empty() && !self.languages.iter().any(written) {
            return Some(Unmet::Languages(&self.languages));
        }
        None
    }
}

impl TimeSpan {
    pub fn contains(&self, clock: Clock) -> bool {
        let Self {
            from,
            to,
            days,
            zone: _,
        } = self;
        let on = |weekday: u8| days.get(usize::from(weekday)).copied().unwrap_or(false);
        let (today, yesterday) = (on(clock.weekday), on((clock.weekday + 6) % 7));
        if from < to {
            return today && (*from..*to).contains(&clock.minute);
        }
        (today && clock.minute >= *from) || (yesterday && clock.minute < *to)
    }
}

/// A condition that does not hold, with what is so instead. Values of headers, the user's name and the text are the caller's, and
/// stay out of it.
#[derive(Debug)]
enum Unmet<'w> {
    Key(Option<&'w str>),
    Tenant(Option<&'w str>),
    Tag(&'w str),
    NoHeader(&'w str),
    Header(&'w str, &'w Pattern),
    Dialect(DialectId),
    Stream(bool),
    Time,
    User,
    MaxOutput(Option<u64>),
    Thinking(bool),
    Images(bool),
    Tools(&'w [Pattern]),
    Tokens(u64, u64, u64),
    Keywords(&'w [Keyword]),
    Languages(&'w [Language]),
}

impl fmt::Display for Unmet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(None) => f.write_str("the caller has no key"),
            Self::Key(Some(name)) => write!(f, "the caller's key is `{name}`"),
            Self::Tenant(None) => f.write_str("the caller has no tenant"),
            Self::Tenant(Some(name)) => write!(f, "the tenant is `{name}`"),
            Self::Tag(tag) => write!(f, "the tag `{tag}` is missing"),
            Self::NoHeader(name) => write!(f, "there is no header `{name}`"),
            Self::Header(name, pattern) => write!(f, "the header `{name}` is not `{pattern}`"),
            Self::Dialect(dialect) => write!(f, "the caller speaks the dialect {dialect}"),
            Self::Stream(true) => f.write_str("a stream is asked for"),
            Self::Stream(false) => f.write_str("no stream is asked for"),
            Self::Time => f.write_str("it is not the time for it"),
            Self::User => f.write_str("it is for other end users"),
            Self::MaxOutput(None) => f.write_str("the caller sets no limit to the answer"),
            Self::MaxOutput(Some(tokens)) => {
                write!(f, "the caller allows {tokens} tokens of answer")
            }
            Self::Thinking(true) => f.write_str("reasoning is asked for"),
            Self::Thinking(false) => f.write_str("no reasoning is asked for"),
            Self::Images(true) => f.write_str("there is a picture"),
            Self::Images(false) => f.write_str("there is no picture"),
            Self::Tools(patterns) => write!(f, "no tool is offered that is {}", Either(patterns)),
            Self::Tokens(tokens, least, _) if tokens < least => {
                write!(f, "the prompt has some {tokens} tokens, fewer than {least}")
            }
            Self::Tokens(tokens, _, most) => {
                write!(f, "the prompt has some {tokens} tokens, more than {most}")
            }
            Self::Keywords(words) => {
                write!(f, "the last message does not say {}", Either(words))
            }
            Self::Languages(languages) => {
                write!(
                    f,
                    "the last message is not written in {}",
                    Either(languages)
                )
            }
        }
    }
}

fn joined<T: fmt::Display>(list: &[T]) -> String {
    let names: Vec<String> = list.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// `a` or `b` or `c`.
struct Either<'w, T>(&'w [T]);

impl<T: fmt::Display> fmt::Display for Either<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, one) in self.0.iter().enumerate() {
            let before = if place == 0 { "" } else { " or " };
            write!(f, "{before}`{one}`")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
