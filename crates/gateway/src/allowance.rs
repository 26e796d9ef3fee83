//! What the headers of an answer tell of the key that it was asked with: whose it is, and what is left of its limits.

use http::HeaderMap;
use lingate_dialect::error::account;
use lingate_dialect::error::quota::{self, Quota};
use lingate_routing::{Key, KeyPool, Moment};

/// What an answer tells of its key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Allowance {
    pub(crate) account: Option<String>,
    pub(crate) quota: Option<Quota>,
}

impl Allowance {
    /// `now` in seconds since 1970.
    pub(crate) fn read(headers: &HeaderMap, now: i64) -> Self {
        let told: Vec<(&str, &str)> = headers
            .iter()
            .filter(|(name, _)| account::tells(name.as_str()) || quota::tells(name.as_str()))
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        if told.is_empty() {
            return Self::default();
        }
        Self {
            account: account::named(&told),
            quota: quota::quota(&told, now),
        }
    }

    /// Tells the pool of the key.
    pub(crate) fn tell(&self, pool: &KeyPool, key: &Key, now: Moment) {
        if let Some(account) = &self.account {
            pool.learn_account(key, account);
        }
        if let Some(quota) = self.quota {
            let left = f32::from(quota.remaining_share) / 1000.0;
            let reset_at = now.after(quota.reset_in);
            pool.quota(key, lingate_routing::Quota { left, reset_at });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_tell_whose_the_key_is_and_what_is_left() {
        let mut headers = HeaderMap::new();
        assert_eq!(Allowance::read(&headers, 0), Allowance::default());
        for (name, value) in [
            ("openai-organization", "acme-labs"),
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "125"),
            ("x-ratelimit-reset-requests", "120ms"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let allowance = Allowance {
            account: Some("acme-labs".to_owned()),
            quota: Some(Quota {
                remaining_share: 250,
                reset_in: Duration::from_millis(120),
            }),
        };
        assert_eq!(Allowance::read(&headers, 0), allowance);
    }
}
