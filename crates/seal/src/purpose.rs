//! What a key is derived for. Keys of different purposes have nothing to do with each other.

/// What is sealed, or signed, with a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Credentials at providers.
    ProviderKeys,
    /// Fingerprints of credentials at providers: equal ones are found without opening any.
    ProviderFingerprints,
    /// Answers that are kept for whoever asks again with the same `Idempotency-Key`.
    Answers,
    /// Secrets of second factors.
    Totp,
    /// Secrets of clients at OIDC issuers, and what a sign-in under way remembers.
    Oidc,
    /// Tokens against requests that another site makes.
    Csrf,
    /// Secrets of webhooks.
    Webhooks,
}

impl Purpose {
    pub(crate) const ALL: [Self; 7] = [
        Self::ProviderKeys,
        Self::ProviderFingerprints,
        Self::Answers,
        Self::Totp,
        Self::Oidc,
        Self::Csrf,
        Self::Webhooks,
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// It is part of what keys are derived from: it stays the same for ever.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ProviderKeys => "provider_keys",
            Self::ProviderFingerprints => "provider_fingerprints",
            Self::Answers => "answers",
            Self::Totp => "totp",
            Self::Oidc => "oidc",
            Self::Csrf => "csrf",
            Self::Webhooks => "webhooks",
        }
    }
}
