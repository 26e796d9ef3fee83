//! Why something cannot be sealed or opened.

/// None of these tells anything of what is sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The fault of whoever runs the gateway: nothing can be sealed that a restart would open.
    #[error("the master key cannot be read or kept, so no secret can be sealed: {0}")]
    NoMasterKey(String),
    /// Another gateway sealed it, or this one before its master key was exchanged.
    #[error(
        "it is sealed with the master key {needed}, and this gateway has {have}: give it that one as LINGATE_MASTER_KEY_PREVIOUS, or in \
         master.key.previous below its data folder"
    )]
    OtherKey { needed: String, have: String },
    /// Somebody has changed it, or put it where it does not belong.
    #[error("it was changed, or belongs to another row")]
    Tampered,
    #[error("it is no envelope")]
    NoEnvelope,
    /// The operating system gives no random numbers, or the text is longer than any secret.
    #[error("it cannot be sealed")]
    Unsealable,
    /// A master key that comes from the environment is exchanged there.
    #[error(
        "the master key comes from LINGATE_MASTER_KEY: start the gateway with the new one there and the present one in \
         LINGATE_MASTER_KEY_PREVIOUS, and ask again"
    )]
    FromEnvironment,
}
