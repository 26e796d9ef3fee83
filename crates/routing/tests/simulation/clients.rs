//! Who asks for what, and when.

use lingate_dialect::DialectId;
use lingate_routing::{Ask, Stated};

use crate::dice::Dice;
use crate::upstream::{MINUTE, Span};

/// What one client wants.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) model: &'static str,
    pub(crate) session: u64,
    pub(crate) tokens: u64,
    pub(crate) stream: bool,
    /// No upstream would take it.
    pub(crate) faulty: bool,
    /// Prudish upstreams refuse it.
    pub(crate) touchy: bool,
    /// Told no parameter of this is understood, and asked again without.
    pub(crate) odd: bool,
    /// The client hangs up after so many milliseconds.
    pub(crate) patience: Option<u64>,
}

impl Request {
    pub(crate) fn to(model: &'static str, session: u64) -> Self {
        Self {
            model,
            session,
            tokens: 500,
            stream: true,
            faulty: false,
            touchy: false,
            odd: false,
            patience: None,
        }
    }

    pub(crate) fn facts(&self) -> Stated {
        Stated {
            session: Some(format!("session-{}", self.session)),
            tokens: self.tokens,
            ..Stated::default()
        }
    }

    pub(crate) fn ask<'a>(&'a self, facts: &'a Stated) -> Ask<'a> {
        Ask {
            model: self.model,
            dialect: DialectId::Chat,
            stream: self.stream,
            facts,
        }
    }
}

/// How often somebody asks, and what.
pub(crate) struct Clients {
    /// Requests in a minute, on average.
    pub(crate) rate: f64,
    /// Hours of rush, in which there are so many.
    pub(crate) rushes: Vec<(Span, f64)>,
    pub(crate) draw: fn(&mut Dice) -> Request,
}

impl Clients {
    pub(crate) fn steady(rate: f64, draw: fn(&mut Dice) -> Request) -> Self {
        Self {
            rate,
            rushes: Vec::new(),
            draw,
        }
    }

    /// When the next one comes. Poisson, by what is usual at this time of the day.
    pub(crate) fn next(&self, now: u64, dice: &mut Dice) -> u64 {
        let rush = self.rushes.iter().find(|(span, _)| span.contains(&now));
        let rate = rush.map_or(self.rate, |(_, rate)| *rate);
        #[expect(clippy::cast_precision_loss, reason = "a minute is few milliseconds")]
        let mean = MINUTE as f64 / rate;
        let next = now + dice.wait(mean).max(1);
        // A long wait must not sleep through the beginning of a rush.
        let begins = self.rushes.iter().map(|(span, _)| span.start);
        begins
            .filter(|begin| *begin > now && *begin < next)
            .min()
            .unwrap_or(next)
    }
}
