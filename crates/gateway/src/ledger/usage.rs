//! What an answer used, and how that is known: from the upstream, by counting what went by, or by guessing.

use lingate_dialect::estimate::Weights;
use lingate_dialect::hub;
use lingate_dialect::stream::{Outcome, Summary};
use lingate_metering::record::Provenance;

/// Usage, and where it is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) usage: hub::Usage,
    pub(crate) provenance: Provenance,
}

impl Used {
    /// Of a request that no vendor takes money for.
    pub(crate) const NOTHING: Self = Self {
        usage: NONE,
        provenance: Provenance::Counted,
    };

    /// `prompt` guesses at the tokens of the prompt, `weights` are those of the model that answered; both are only asked where the
    /// upstream does not tell. `None`: nobody can say, since the answer is one that is still to come.
    pub(crate) fn of(
        summary: &Summary,
        prompt: impl FnOnce() -> u64,
        weights: impl FnOnce() -> Weights,
    ) -> Option<Self> {
        let nothing_went_by = summary.produced.is_empty();
        // Some servers have the fields and never fill them in.
        let told = summary
            .usage
            .filter(|usage| *usage != NONE || nothing_went_by);
        match told {
            // What is told before the end of an answer that breaks off is of its beginning.
            Some(usage) if summary.usage_is_whole || nothing_went_by => Some(Self {
                usage,
                provenance: Provenance::Reported,
            }),
            Some(usage) => {
                let counted = summary.produced.tokens(&weights());
                // Of an answer that came to its end it may be told in front of the last words, so only what is far off is no truth.
                let enough = if has_ended(summary.outcome) {
                    counted / 2
                } else {
                    counted
                };
                let (output, provenance) = if usage.output < enough {
                    (counted, Provenance::Counted)
                } else {
                    (usage.output, Provenance::Reported)
                };
                let usage = hub::Usage { output, ..usage };
                Some(Self { usage, provenance })
            }
            None if nothing_went_by && has_ended(summary.outcome) => None,
            None => Some(Self {
                usage: hub::Usage {
                    input: prompt(),
                    output: summary.produced.tokens(&weights()),
                    ..NONE
                },
                provenance: Provenance::Estimated,
            }),
        }
    }
}

const NONE: hub::Usage = hub::Usage {
    input: 0,
    output: 0,
    cache_read: 0,
    cache_write_5m: 0,
    cache_write_1h: 0,
    reasoning: None,
    audio_in: 0,
    audio_out: 0,
    image_in: 0,
    image_out: 0,
    searches: 0,
};

fn has_ended(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Complete
        | Outcome::Length
        | Outcome::Refusal
        | Outcome::ToolUse
        | Outcome::Repaired => true,
        Outcome::Truncated | Outcome::UpstreamError | Outcome::ClientGone => false,
    }
}

#[cfg(test)]
mod tests {
    use Provenance::{Counted, Estimated, Reported};
    use lingate_dialect::estimate::Tally;
    use lingate_dialect::hub::{Delta, Event};

    use super::*;

    fn summary(outcome: Outcome, usage: Option<(u64, u64)>, whole: bool, text: &str) -> Summary {
        let mut produced = Tally::default();
        if !text.is_empty() {
            produced.event(&Event::Delta {
                index: 0,
                delta: Delta::Text(text.to_owned()),
            });
        }
        Summary {
            outcome,
            usage: usage.map(|(input, output)| hub::Usage {
                input,
                output,
                ..NONE
            }),
            usage_is_whole: whole,
            tier: None,
            served: hub::Served::default(),
            produced,
            error: None,
            empty: false,
        }
    }

    #[test]
    fn what_nobody_tells_is_counted_and_never_nothing() {
        let words = "one two three four";
        let weights = || lingate_catalog::builtin().weights("gpt-4o");
        let check = |summary: &Summary, expect: Option<(u64, u64, Provenance)>| {
            let used = Used::of(summary, || 100, weights);
            let found = used.map(|used| (used.usage.input, used.usage.output, used.provenance));
            assert_eq!(found, expect, "{summary:?}");
        };
        let complete = |usage, whole, text| summary(Outcome::Complete, usage, whole, text);
        check(&complete(Some((9, 3)), true, words), Some((9, 3, Reported)));
        check(&complete(None, true, words), Some((100, 4, Estimated)));
        check(
            &complete(Some((0, 0)), true, words),
            Some((100, 4, Estimated)),
        );
        check(&complete(Some((0, 0)), true, ""), Some((0, 0, Reported)));
        check(&complete(None, true, ""), None);
        // Usage that came in front of the answer alone.
        check(&complete(Some((9, 1)), false, words), Some((9, 4, Counted)));
        check(
            &complete(Some((9, 3)), false, words),
            Some((9, 3, Reported)),
        );
        let cut = |usage, whole, text| summary(Outcome::Truncated, usage, whole, text);
        check(&cut(Some((9, 1)), false, words), Some((9, 4, Counted)));
        check(&cut(Some((9, 30)), false, words), Some((9, 30, Reported)));
        check(&cut(None, false, words), Some((100, 4, Estimated)));
        check(&cut(None, true, ""), Some((100, 0, Estimated)));
    }
}
