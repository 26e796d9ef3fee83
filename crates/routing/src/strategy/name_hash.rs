//! Hashes of names that are the same in every process and every version, so that what was sent somewhere is sent there
//! again after a restart. Not a secret's hash.

/// The hash of a name.
pub type NameHash = u64;

/// The hash of a text: FNV-1a, stirred so that every bit depends on every byte.
pub fn name_hash(text: &str) -> NameHash {
    stir(fnv(FNV_OFFSET, text.as_bytes()))
}

/// The hash of a provider's model. Texts cannot run into each other: neither holds a NUL.
pub fn identity(provider: &str, model: &str) -> NameHash {
    let hash = fnv(fnv(FNV_OFFSET, provider.as_bytes()), &[0]);
    stir(fnv(hash, model.as_bytes()))
}

/// One hash of two.
pub(super) fn joined(left: NameHash, right: NameHash) -> NameHash {
    stir(left ^ stir(right).rotate_left(32))
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finalizer of `SplitMix64`.
fn stir(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // The test vector of FNV's authors for "a"; SplitMix64's first output for the seed 0.
        assert_eq!(fnv(FNV_OFFSET, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(stir(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
        // Never change these: what is kept together today would be torn apart by an update.
        assert_eq!(name_hash("session-1"), NAMED);
        assert_eq!(identity("openai", "gpt-4o"), IDENTITY);
    }

    const NAMED: u64 = 0x8f9d_4a83_e238_4785;
    const IDENTITY: u64 = 0xbddb_5577_a10a_c1e4;

    #[test]
    fn texts_do_not_run_into_each_other() {
        assert_ne!(identity("a", "bc"), identity("ab", "c"));
        assert_ne!(joined(1, 2), joined(2, 1));
    }
}
