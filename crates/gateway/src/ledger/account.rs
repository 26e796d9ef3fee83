//! One request's account: what it holds of the counters, what is written down of it while it goes on, and what it took in the end.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lingate_catalog::Circumstances;
use lingate_dialect::estimate;
use lingate_dialect::hub::Usage;
use lingate_dialect::stream::Summary;
use lingate_journal::{Entry, GATEWAY_LOST};
use lingate_metering::limit::{Charges, Demand};
use lingate_metering::pricing::Priced;
use lingate_metering::record::{Provenance, UsageRecord};
use lingate_metering::tenant::Principal;
use lingate_metering::{Id, Millis, Money};

use super::usage::Used;
use super::{Governance, Permit, now};
use crate::exchange::Exchange;

/// How often at most it is written down how far a stream has come.
const PROGRESS: Duration = Duration::from_secs(1);

/// What a request took, or is about to, from its admission to its record.
#[derive(Debug)]
pub(crate) struct Account {
    governance: Arc<Governance>,
    principal: Arc<Principal>,
    /// That of the request; of a copy one of its own.
    id: Id,
    began: Millis,
    started: Instant,
    exchange: Arc<Exchange>,
    end_user: Option<String>,
    payer: Payer,
    /// What was taken of the counters, for the request and for the provider that is asked.
    holds: Vec<Hold>,
    /// What answers cost that nobody got: empty ones, and refusals that somebody else did better on.
    thrown: Money,
    /// Of the prices that this is reckoned with.
    thrown_version: Option<Arc<str>>,
    /// Some attempt may have been billed, and nobody told.
    doubtful: bool,
    drafted: Option<Drafted>,
    first_token: Option<Duration>,
}

/// Who pays for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payer {
    Tenant,
    /// Copies for a mirror: whoever runs the gateway wanted them.
    Operator,
}

/// What was taken of the counters, and why.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) permit: Permit,
    pub(crate) charges: Charges,
    /// What was used of each counter then.
    pub(crate) used: Vec<u64>,
    /// It was taken for an attempt at this provider.
    pub(crate) provider: Option<String>,
}

#[derive(Debug)]
struct Drafted {
    at: Instant,
    provider: String,
    upstream_model: String,
}

/// What the record of a request says beside what it took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) dialect: &'static str,
    pub(crate) model: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) upstream_model: &'a str,
    pub(crate) stream: bool,
    pub(crate) attempts: u32,
    pub(crate) outcome: &'a str,
    pub(crate) status: u16,
    pub(crate) error: Option<&'a str>,
}

impl About<'_> {
    /// Of a request that is under way, if the gateway ends now.
    pub(crate) const AWAITED: Self = Self {
        dialect: "",
        model: "",
        provider: "",
        upstream_model: "",
        stream: false,
        attempts: 0,
        outcome: GATEWAY_LOST,
        status: 200,
        error: None,
    };
}

/// What is known of the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answered<'a> {
    /// An upstream has been asked, and has said nothing yet.
    Awaited,
    /// As far as it came.
    So(&'a Summary),
    /// There is none, and no upstream told of what it took.
    None,
    /// Whoever waited for it left before it began.
    Abandoned,
}

impl Answered<'_> {
    /// Pictures in the answer.
    fn images(&self) -> u64 {
        match self {
            Self::So(summary) => u64::from(summary.produced.images()),
            Self::Awaited | Self::None | Self::Abandoned => 0,
        }
    }

    /// Where and how fast the upstream says it made its answer.
    fn served(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::So(summary) => {
                let served = &summary.served;
                (served.region.as_deref(), served.speed.as_deref())
            }
            Self::Awaited | Self::None | Self::Abandoned => (None, None),
        }
    }

    /// The service tier that the upstream says it answered with.
    fn tier(&self) -> Option<&str> {
        match self {
            Self::So(summary) => summary.tier.as_deref(),
            Self::Awaited | Self::None | Self::Abandoned => None,
        }
    }
}

/// What a request took, for the log and for the caller.
#[derive(Debug, Clone, Default)]
pub(crate) struct Took {
    pub(crate) usage: Option<Usage>,
    pub(crate) provenance: Option<Provenance>,
    pub(crate) cost: Option<Money>,
    pub(crate) price: Option<Money>,
    /// Of the prices.
    version: Option<Arc<str>>,
}

impl Took {
    /// Of a request without an account.
    pub(crate) fn of(answered: Answered<'_>) -> Self {
        let usage = match answered {
            Answered::So(summary) => summary.usage,
            Answered::Awaited | Answered::None | Answered::Abandoned => None,
        };
        Self {
            usage,
            ..Self::default()
        }
    }
}

impl Account {
    pub(crate) fn new(
        governance: &Arc<Governance>,
        principal: &Arc<Principal>,
        exchange: &Arc<Exchange>,
        id: Id,
        payer: Payer,
    ) -> Self {
        Self {
            governance: Arc::clone(governance),
            principal: Arc::clone(principal),
            id,
            began: now(),
            started: Instant::now(),
            end_user: exchange.said.end_user.clone(),
            exchange: Arc::clone(exchange),
            payer,
            holds: Vec::new(),
            thrown: Money::ZERO,
            thrown_version: None,
            doubtful: false,
            drafted: None,
            first_token: None,
        }
    }

    pub(crate) fn holds(&mut self, hold: Hold) {
        self.holds.push(hold);
    }

    pub(crate) fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    pub(crate) fn payer(&self) -> Payer {
        self.payer
    }

    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// Whether something is held for attempts at this provider; what is held for others is given back.
    pub(crate) fn holds_for(&mut self, provider: &str) -> bool {
        let is_other = |hold: &mut Hold| {
            let of = hold.provider.as_deref();
            of.is_some_and(|of| of != provider)
        };
        let others: Vec<Hold> = self.holds.extract_if(.., is_other).collect();
        let doubtful = self.doubtful;
        for hold in others {
            // What another provider may have billed counts there.
            let truth = if doubtful {
                Demand::default()
            } else {
                Demand::NOTHING
            };
            hold.settle(&truth);
        }
        let of = |hold: &Hold| hold.provider.as_deref() == Some(provider);
        self.holds.iter().any(of)
    }

    /// An attempt ended without an answer, and may have been billed all the same.
    pub(crate) fn doubts(&mut self) {
        self.doubtful = true;
    }

    /// The answer has begun.
    pub(crate) fn begins(&mut self) {
        self.first_token
            .get_or_insert_with(|| self.started.elapsed());
    }

    /// An answer was not given to the caller. It is paid for all the same, but not by the tenant.
    pub(crate) fn throws_away(&mut self, summary: &Summary, about: &About<'_>) {
        let took = self.took(Answered::So(summary), about);
        if let Some(cost) = took.cost {
            self.thrown = self.thrown.plus(cost);
            self.thrown_version = took.version;
        }
    }

    /// The answer is given after all.
    pub(crate) fn takes_back(&mut self, summary: &Summary, about: &About<'_>) {
        if let Some(cost) = self.took(Answered::So(summary), about).cost {
            self.thrown = self.thrown.minus(cost);
        }
    }

    /// Writes down what the record is if the gateway ends now, before an upstream is asked. `Err`: it cannot be, so the upstream must
    /// not be asked.
    pub(crate) fn asks(&mut self, about: &About<'_>) -> io::Result<()> {
        let is_same = |drafted: &Drafted| {
            drafted.provider == about.provider && drafted.upstream_model == about.upstream_model
        };
        if self.drafted.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        let is_first = self.drafted.is_none();
        match self.draft(Answered::Awaited, about) {
            Err(error) if is_first => Err(error),
            // The first draft stands, and the journal keeps room for the end of what it has admitted.
            Ok(()) | Err(_) => {
                self.drafted = Some(Drafted {
                    at: Instant::now(),
                    provider: about.provider.to_owned(),
                    upstream_model: about.upstream_model.to_owned(),
                });
                Ok(())
            }
        }
    }

    /// Whether it is time to write down how far the answer has come.
    pub(crate) fn is_due(&self) -> bool {
        let drafted = self.drafted.as_ref();
        drafted.is_some_and(|drafted| drafted.at.elapsed() >= PROGRESS)
    }

    /// Writes down how far the answer has come. What cannot be written is told by the journal; the answer goes on.
    pub(crate) fn goes_on(&mut self, summary: &Summary, about: &About<'_>) {
        if let Some(drafted) = &mut self.drafted {
            drafted.at = Instant::now();
            // Told by the journal once, and the draft before this one stands.
            let _ = self.draft(Answered::So(summary), about);
        }
    }

    fn draft(&self, answered: Answered<'_>, about: &About<'_>) -> io::Result<()> {
        let Some(journal) = self.governance.journal() else {
            return Ok(());
        };
        let took = self.in_all(self.took(answered, about));
        journal.append(&Entry::Draft(self.record(&took, answered, about)))
    }

    /// The request is over: writes its record, if an upstream was asked, and tells the counters the truth.
    pub(crate) fn close(mut self, answered: Answered<'_>, about: &About<'_>) -> Took {
        let took = match self.drafted {
            Some(_) => self.in_all(self.took(answered, about)),
            None => Took {
                usage: Some(Used::NOTHING.usage),
                ..Took::default()
            },
        };
        if self.drafted.is_some()
            && let Some(journal) = self.governance.journal()
        {
            let record = self.record(&took, answered, about);
            if let Err(error) = journal.append(&Entry::Final(record)) {
                tracing::error!(request_id = %self.id, %error, "a usage record could not be written");
            }
        }
        let truth = match took.usage {
            Some(usage) if took.provenance != Some(Provenance::Unknown) => {
                Demand::of(&usage, answered.images(), took.price)
            }
            Some(_) | None => Demand::default(),
        };
        if let (Some(usage), Some(Provenance::Reported)) = (took.usage, took.provenance) {
            self.governance
                .typical
                .learn(about.upstream_model, usage.output);
        }
        let nothing = self.drafted.is_none();
        for hold in std::mem::take(&mut self.holds) {
            let truth = if nothing { &Demand::NOTHING } else { &truth };
            let events = hold.charges.thresholds(&hold.used, truth, now());
            self.governance.tell(events);
            hold.settle(truth);
        }
        took
    }

    /// With what answers cost that nobody got. Where nobody knows what the last one took, that much is known to be spent.
    fn in_all(&self, took: Took) -> Took {
        let is_unknown = took.provenance == Some(Provenance::Unknown);
        match took.cost {
            Some(cost) => Took {
                cost: Some(cost.plus(self.thrown)),
                ..took
            },
            None if is_unknown && self.thrown > Money::ZERO => Took {
                cost: Some(self.thrown),
                version: self.thrown_version.clone(),
                ..took
            },
            // Without a price for the answer that was given, no sum is the whole of it.
            None => took,
        }
    }

    fn took(&self, answered: Answered<'_>, about: &About<'_>) -> Took {
        let weights = || lingate_catalog::builtin().weights(about.upstream_model);
        let used = match answered {
            Answered::Awaited => {
                let output = self.governance.output(&self.exchange, about.upstream_model);
                let input = self.exchange.rough().tokens(&weights());
                Some(Used {
                    usage: Usage {
                        input,
                        output,
                        ..Usage::default()
                    },
                    provenance: Provenance::Estimated,
                })
            }
            Answered::So(summary) => {
                let prompt = || match self.exchange.decoded() {
                    Ok(request) => estimate::tokens(request, &weights()),
                    Err(_) => self.exchange.rough().tokens(&weights()),
                };
                Used::of(summary, prompt, weights)
            }
            Answered::None if !self.doubtful => Some(Used::NOTHING),
            Answered::None | Answered::Abandoned => None,
        };
        let nothing = matches!(answered, Answered::None) && !self.doubtful;
        let Some(Used { usage, provenance }) = used else {
            return Took {
                provenance: Some(Provenance::Unknown),
                ..Took::default()
            };
        };
        Took {
            usage: Some(usage),
            provenance: Some(provenance),
            ..self.priced(&usage, answered, nothing, about)
        }
    }

    /// What it costs; `nothing` does, whatever a request costs alone.
    fn priced(
        &self,
        usage: &Usage,
        answered: Answered<'_>,
        nothing: bool,
        about: &About<'_>,
    ) -> Took {
        let provider = self.exchange.snapshot.provider(about.provider);
        let of = Priced {
            provider: about.provider,
            catalog_id: provider.and_then(|provider| provider.catalog_id.as_deref()),
            upstream_model: about.upstream_model,
            requested_model: self.exchange.routed_model(),
            plan: self.principal.plan(),
        };
        let (region, speed) = answered.served();
        let circumstances = Circumstances {
            service_tier: answered.tier(),
            region,
            speed,
            moment: self.began,
            images_made: answered.images(),
            ..Circumstances::default()
        };
        let prices = self.governance.prices.load();
        let charged = prices.charge(&of, usage, &circumstances);
        let known =
            |amount: Option<Money>| amount.map(|amount| if nothing { Money::ZERO } else { amount });
        Took {
            cost: known(charged.cost),
            price: match self.payer {
                Payer::Tenant => known(charged.price),
                Payer::Operator => Some(Money::ZERO),
            },
            version: charged.cost.or(charged.price).map(|_| charged.version),
            ..Took::default()
        }
    }

    fn record(&self, took: &Took, answered: Answered<'_>, about: &About<'_>) -> UsageRecord {
        let milliseconds = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let key = self.principal.key.as_ref();
        let mut tags = key.map_or_else(Vec::new, |key| key.tags.clone());
        if self.payer == Payer::Operator {
            tags.push("mirror".to_owned());
        }
        UsageRecord {
            id: self.id,
            started_at: self.began,
            duration: milliseconds(self.started.elapsed()),
            first_token: self.first_token.map(milliseconds),
            organization: self.principal.organization.id,
            project: self.principal.project.id,
            key: key.map(|key| key.id),
            user: self.principal.user.as_ref().map(|user| user.id),
            end_user: self.end_user.clone(),
            tags,
            dialect: about.dialect.to_owned(),
            model: about.model.to_owned(),
            provider: about.provider.to_owned(),
            upstream_model: about.upstream_model.to_owned(),
            stream: about.stream,
            attempts: u16::try_from(about.attempts).unwrap_or(u16::MAX),
            outcome: about.outcome.to_owned(),
            status: about.status,
            error: about.error.map(str::to_owned),
            usage: took.usage,
            provenance: took.provenance.unwrap_or(Provenance::Unknown),
            service_tier: answered.tier().map(str::to_owned),
            price_version: took.version.as_deref().map(str::to_owned),
            cost: took.cost,
            price: took.price,
        }
    }
}

impl Hold {
    /// Gives back what was not used.
    pub(crate) fn settle(self, truth: &Demand) {
        let charges = self.charges.settle(truth);
        self.permit.settle(charges, now());
    }
}
