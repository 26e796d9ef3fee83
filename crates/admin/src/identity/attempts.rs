//! How often somebody may be wrong: per account and per address, with a wait that doubles.

use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use lingate_metering::Millis;
use lingate_store::{Attempt, AuditNote, AuditOutcome, BackOff, Credentials, Deed, Kind, Store};

use crate::problem::Problem;

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;

/// Long enough that guessing is hopeless (some hundred guesses a day), short enough that whoever is locked out by another's guesses
/// gets in again.
pub(crate) const OF_ACCOUNTS: BackOff = BackOff {
    free: 5,
    first: 30 * SECOND,
    longest: 15 * MINUTE,
    memory: 24 * HOUR,
};

/// Many people can be behind one address.
pub(crate) const OF_ADDRESSES: BackOff = BackOff {
    free: 30,
    first: 30 * SECOND,
    longest: HOUR,
    memory: 6 * HOUR,
};

/// Where an attempt comes from, as it is counted: whoever has one address of IPv6 has 2^64 of them.
pub(crate) fn subject(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Counts an attempt before it is looked at; refused while it has to wait. What it says is the same whether there is such an account.
pub(crate) async fn count(
    store: &Store,
    login: &str,
    found: Option<&Credentials>,
    address: Option<&str>,
    now: Millis,
) -> Result<Millis, Problem> {
    let account = found.map(|found| found.account.value.id);
    let address = address.map(|address| (address, OF_ADDRESSES));
    match store
        .attempt((login, account), OF_ACCOUNTS, address, now)
        .await?
    {
        Attempt::May { locks } => Ok(locks),
        Attempt::Locked { until } => {
            let wait = Duration::from_millis((until - now).unsigned_abs());
            let seconds = wait.as_secs() + 1;
            Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_attempts",
                format!("too many attempts failed: try again in {seconds} seconds"),
            )
            .retry_after(seconds))
        }
    }
}

/// Writes down that somebody did not prove who they are, and that they have to wait.
pub(crate) async fn failed(
    store: &Store,
    login: &str,
    found: Option<&Credentials>,
    what: &str,
    locks: Millis,
) -> Result<(), Problem> {
    let id = found.map(|found| found.account.value.id.to_string());
    // What is typed as a name may be a password, typed in the wrong place.
    let name = found.map_or("", |found| found.account.value.known_as());
    let detail = match (found, login.contains('@')) {
        (Some(_), _) => what.to_owned(),
        (None, true) => format!("{what}: nobody has this e-mail address"),
        (None, false) => format!("{what}: nobody has this login"),
    };
    let id = id.unwrap_or_default();
    let refused = AuditNote {
        outcome: AuditOutcome::Refused,
        detail: Some(detail),
        ..AuditNote::of(Deed::SignIn, Kind::Session, &id, name)
    };
    let locked = (locks > 0 && found.is_some()).then(|| AuditNote {
        detail: Some(format!("for {} seconds", locks / SECOND)),
        ..AuditNote::of(Deed::Lock, Kind::Account, &id, name)
    });
    // In one transaction: a second one would take longer where there is such an account.
    let notes = [Some(refused), locked].into_iter().flatten();
    Ok(store.audit_all(notes).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_with_its_neighbours() {
        let check = |address: &str, expect: &str| {
            assert_eq!(subject(address.parse().unwrap()), expect);
        };
        check("192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
        check("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64");
    }
}
