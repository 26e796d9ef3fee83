//! Conditions as tables: what a route wants, what a request tells, whether it fits and why not.

use std::borrow::Cow;
use std::cell::Cell;

use super::*;
use crate::{Facts, Stated};

/// A request with something of everything, on Saturday at 01:30.
fn stated() -> Stated {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Stated {
        key: Some("ci".to_owned()),
        tenant: Some("acme".to_owned()),
        tags: owned(&["team-a", "batch"]),
        headers: vec![("x-tier".to_owned(), "gold-1".to_owned())],
        tokens: 60_000,
        max_output: Some(512),
        tools: owned(&["web_search", "Bash"]),
        thinking: true,
        images: false,
        last_text: "请把 README 翻译成英文".to_owned(),
        user: Some("user-7".to_owned()),
        clock: Some(Clock {
            weekday: 5,
            minute: 90,
        }),
        ..Stated::default()
    }
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn span(from: u16, to: u16, days: &[usize]) -> TimeSpan {
    let mut span = TimeSpan {
        from,
        to,
        days: [false; 7],
        zone: "UTC".to_owned(),
    };
    for day in days {
        span.days[*day] = true;
    }
    span
}

fn why_not(when: &When, facts: &dyn Facts) -> Option<String> {
    let ask = Ask {
        model: "m",
        dialect: DialectId::Messages,
        stream: true,
        facts,
    };
    let why = when.why_not(&ask);
    assert_eq!(when.holds(&ask), why.is_none());
    why
}

#[test]
fn each_condition_holds_or_says_why_not() {
    let none = When::default;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let keyword = |word: &str| vec![Keyword::parse(word).unwrap()];
    for (when, expect) in [
        (none(), None),
        (
            When {
                keys: words(&["dev", "ci"]),
                ..none()
            },
            None,
        ),
        (
            When {
                keys: words(&["dev"]),
                ..none()
            },
            Some("the caller's key is `ci`"),
        ),
        (
            When {
                tenants: words(&["acme"]),
                ..none()
            },
            None,
        ),
        (
            When {
                tenants: words(&["beta", "Acme"]),
                ..none()
            },
            Some("the tenant is `acme`"),
        ),
        (
            When {
                tags: words(&["batch", "team-a"]),
                ..none()
            },
            None,
        ),
        (
            When {
                tags: words(&["batch", "team-b"]),
                ..none()
            },
            Some("the tag `team-b` is missing"),
        ),
        (
            When {
                headers: vec![("x-tier".to_owned(), pattern("gold*"))],
                ..none()
            },
            None,
        ),
        (
            When {
                headers: vec![("x-tier".to_owned(), pattern("/^silver/"))],
                ..none()
            },
            Some("the header `x-tier` is not `/^silver/`"),
        ),
        (
            When {
                headers: vec![("x-other".to_owned(), pattern("*"))],
                ..none()
            },
            Some("there is no header `x-other`"),
        ),
        (
            When {
                dialects: vec![DialectId::Chat, DialectId::Messages],
                ..none()
            },
            None,
        ),
        (
            When {
                dialects: vec![DialectId::Chat],
                ..none()
            },
            Some("the caller speaks the dialect messages"),
        ),
        (
            When {
                stream: Some(true),
                ..none()
            },
            None,
        ),
        (
            When {
                stream: Some(false),
                ..none()
            },
            Some("a stream is asked for"),
        ),
        (
            When {
                times: vec![span(0, 60, &[5]), span(1380, 120, &[4])],
                ..none()
            },
            None,
        ),
        (
            When {
                times: vec![span(1380, 120, &[5])],
                ..none()
            },
            Some("it is not the time for it"),
        ),
        (
            When {
                users: vec![pattern("user-*")],
                ..none()
            },
            None,
        ),
        (
            When {
                users: vec![pattern("user")],
                ..none()
            },
            Some("it is for other end users"),
        ),
        (
            When {
                max_output: Some((0, 512)),
                ..none()
            },
            None,
        ),
        (
            When {
                max_output: Some((513, u64::MAX)),
                ..none()
            },
            Some("the caller allows 512 tokens of answer"),
        ),
        (
            When {
                thinking: Some(true),
                images: Some(false),
                ..none()
            },
            None,
        ),
        (
            When {
                thinking: Some(false),
                ..none()
            },
            Some("reasoning is asked for"),
        ),
        (
            When {
                images: Some(true),
                ..none()
            },
            Some("there is no picture"),
        ),
        (
            When {
                tools: vec![pattern("web_search*")],
                ..none()
            },
            None,
        ),
        (
            When {
                tools: vec![pattern("WebFetch"), pattern("/^mcp__/")],
                ..none()
            },
            Some("no tool is offered that is `WebFetch` or `/^mcp__/`"),
        ),
        (
            When {
                tokens: Some((60_000, 60_000)),
                ..none()
            },
            None,
        ),
        (
            When {
                tokens: Some((60_001, u64::MAX)),
                ..none()
            },
            Some("the prompt has some 60000 tokens, fewer than 60001"),
        ),
        (
            When {
                tokens: Some((0, 59_999)),
                ..none()
            },
            Some("the prompt has some 60000 tokens, more than 59999"),
        ),
        (
            When {
                keywords: keyword("翻译"),
                ..none()
            },
            None,
        ),
        (
            When {
                keywords: keyword("readme"),
                ..none()
            },
            None,
        ),
        (
            When {
                keywords: keyword("read"),
                ..none()
            },
            Some("the last message does not say `read`"),
        ),
        (
            When {
                languages: vec![Language::Korean, Language::Chinese],
                ..none()
            },
            None,
        ),
        (
            When {
                languages: vec![Language::Korean, Language::Latin],
                ..none()
            },
            Some("the last message is not written in `Korean` or `Latin`"),
        ),
        // all of them must hold, and the cheapest says so
        (
            When {
                tokens: Some((0, 1)),
                tenants: words(&["beta"]),
                ..none()
            },
            Some("the tenant is `acme`"),
        ),
    ] {
        assert_eq!(why_not(&when, &stated()).as_deref(), expect, "{when:?}");
    }
}

#[test]
fn who_says_nothing_fits_no_condition_on_it() {
    let nobody = Stated::default();
    for (when, expect) in [
        (
            When {
                keys: vec!["a".to_owned()],
                ..When::default()
            },
            "the caller has no key",
        ),
        (
            When {
                tenants: vec!["a".to_owned()],
                ..When::default()
            },
            "the caller has no tenant",
        ),
        (
            When {
                users: vec![pattern("*")],
                ..When::default()
            },
            "it is for other end users",
        ),
        (
            When {
                times: vec![span(0, 0, &[0, 1, 2, 3, 4, 5, 6])],
                ..When::default()
            },
            "it is not the time for it",
        ),
        (
            When {
                max_output: Some((0, 512)),
                ..When::default()
            },
            "the caller sets no limit to the answer",
        ),
        (
            When {
                thinking: Some(true),
                ..When::default()
            },
            "no reasoning is asked for",
        ),
        (
            When {
                languages: vec![Language::Latin],
                ..When::default()
            },
            "the last message is not written in `Latin`",
        ),
    ] {
        assert_eq!(why_not(&when, &nobody).as_deref(), Some(expect));
    }
    let more = When {
        max_output: Some((513, u64::MAX)),
        ..When::default()
    };
    assert_eq!(why_not(&more, &nobody), None);
}

#[test]
fn times_over_midnight_count_for_the_day_on_which_they_began() {
    let (friday, saturday, sunday, monday) = (4, 5, 6, 0);
    for (span, weekday, minute, expect) in [
        (span(540, 1080, &[friday]), friday, 540, true),
        (span(540, 1080, &[friday]), friday, 1079, true),
        (span(540, 1080, &[friday]), friday, 1080, false),
        (span(540, 1080, &[friday]), saturday, 600, false),
        (span(1320, 360, &[friday]), friday, 1320, true),
        (span(1320, 360, &[friday]), saturday, 359, true),
        (span(1320, 360, &[friday]), saturday, 360, false),
        (span(1320, 360, &[friday]), friday, 0, false),
        (span(1320, 360, &[friday]), saturday, 1330, false),
        (span(1320, 360, &[sunday]), monday, 10, true),
        (span(0, 0, &[friday]), friday, 0, true),
        (span(0, 0, &[friday]), friday, 1439, true),
        (span(0, 0, &[friday]), saturday, 0, false),
        (span(60, 60, &[friday]), saturday, 59, true),
        (span(0, 1, &[]), friday, 0, false),
    ] {
        let clock = Clock {
            weekday: u8::try_from(weekday).unwrap(),
            minute,
        };
        assert_eq!(span.contains(clock), expect, "{span:?} {clock:?}");
    }
}

/// Facts that count how often they are asked for.
#[derive(Default)]
struct Counting {
    stated: Stated,
    asked: Cell<usize>,
}

impl Counting {
    fn told(&self) -> &Stated {
        self.asked.set(self.asked.get() + 1);
        &self.stated
    }
}

impl Facts for Counting {
    fn key(&self) -> Option<&str> {
        self.told().key()
    }
    fn tenant(&self) -> Option<&str> {
        self.told().tenant()
    }
    fn tags(&self) -> Vec<Cow<'_, str>> {
        self.told().tags()
    }
    fn header(&self, name: &str) -> Option<&str> {
        self.told().header(name)
    }
    fn tokens(&self) -> u64 {
        self.told().tokens()
    }
    fn max_output(&self) -> Option<u64> {
        self.told().max_output()
    }
    fn tools(&self) -> Vec<Cow<'_, str>> {
        self.told().tools()
    }
    fn thinking(&self) -> bool {
        self.told().thinking()
    }
    fn images(&self) -> bool {
        self.told().images()
    }
    fn last_text(&self) -> Cow<'_, str> {
        self.told().last_text()
    }
    fn user(&self) -> Option<Cow<'_, str>> {
        self.told().user()
    }
    fn session(&self) -> Option<Cow<'_, str>> {
        self.told().session()
    }
    fn prefix(&self) -> u64 {
        self.told().prefix()
    }
    fn clock(&self, zone: &str) -> Option<Clock> {
        self.told().clock(zone)
    }
}

#[test]
fn each_fact_is_asked_for_once() {
    let facts = Counting {
        stated: stated(),
        ..Counting::default()
    };
    let asked = Asked::new(&Ask {
        model: "m",
        dialect: DialectId::Chat,
        stream: false,
        facts: &facts,
    });
    let all = When {
        tenants: vec!["acme".to_owned()],
        keys: vec!["ci".to_owned()],
        tags: vec!["batch".to_owned()],
        headers: vec![("x-tier".to_owned(), pattern("*"))],
        dialects: vec![DialectId::Chat],
        stream: Some(false),
        times: vec![span(0, 0, &[5])],
        users: vec![pattern("*")],
        max_output: Some((0, 512)),
        thinking: Some(true),
        images: Some(false),
        tools: vec![pattern("*")],
        tokens: Some((0, 60_000)),
        keywords: vec![Keyword::parse("翻译").unwrap()],
        languages: vec![Language::Chinese],
    };
    assert!(!all.is_empty());
    for _ in 0..3 {
        assert!(all.hold(&asked));
        assert_eq!(facts.asked.get(), 12, "the text serves two conditions");
    }
    assert!(
        !When {
            tokens: Some((0, 1)),
            stream: Some(true),
            ..When::default()
        }
        .hold(&asked)
    );
}

#[test]
fn what_nobody_asks_for_is_not_read() {
    let facts = Counting::default();
    let ask = Ask {
        model: "m",
        dialect: DialectId::Chat,
        stream: false,
        facts: &facts,
    };
    assert!(When::default().holds(&ask));
    assert_eq!(facts.asked.get(), 0);
    let dear = When {
        tenants: vec!["acme".to_owned()],
        keywords: vec![Keyword::parse("a").unwrap()],
        ..When::default()
    };
    assert!(!dear.holds(&ask));
    assert_eq!(facts.asked.get(), 1, "the tenant settles it");
}
