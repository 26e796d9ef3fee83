//! How much of everything a request takes: guessed before it is answered, known afterwards.

use lingate_catalog::Money;
use lingate_dialect::hub::Usage;

use super::Measure;

/// What one request takes. `None`: nobody knows, which is not nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// All of the prompt, cached or not.
    pub input_tokens: Option<u64>,
    /// All that is produced, reasoning included.
    pub output_tokens: Option<u64>,
    pub images: Option<u64>,
    /// What the tenant is charged; `None` where no price is known.
    pub cost: Option<Money>,
}

/// What an answer is taken to be long, in tokens, where the request sets no limit and nobody has seen answers of the model.
pub const USUAL_OUTPUT: u64 = 1_000;

impl Demand {
    /// What was used, as it was reported or counted.
    pub fn of(usage: &Usage, images: u64, cost: Option<Money>) -> Self {
        Self {
            input_tokens: Some(usage.prompt()),
            output_tokens: Some(usage.output),
            images: Some(images),
            cost,
        }
    }

    /// Of a request that nobody answered, and that nobody takes money for.
    pub const NOTHING: Self = Self {
        input_tokens: Some(0),
        output_tokens: Some(0),
        images: Some(0),
        cost: Some(Money::ZERO),
    };

    /// In the unit of the measure. What a provider pays back is not given back here.
    pub fn of_measure(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Requests | Measure::Concurrency => Some(1),
            Measure::InputTokens => self.input_tokens,
            Measure::OutputTokens => self.output_tokens,
            Measure::Tokens => Some(self.input_tokens?.saturating_add(self.output_tokens?)),
            Measure::Images => self.images,
            Measure::Cost => self
                .cost
                .map(|cost| u64::try_from(cost.nano()).unwrap_or(0)),
        }
    }
}
