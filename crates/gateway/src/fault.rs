//! Why an attempt failed, in the terms of routing: an upstream's error code first, then its words, then the status.

use std::time::Duration;

use lingate_dialect::error::{LimitScope, Subject, account};
use lingate_dialect::{ApiError, ErrorKind};
use lingate_routing::{Class, Fault, Scope};
use lingate_upstream::SendError;

use crate::relay::BROKEN;

const MINUTE: Duration = Duration::from_mins(1);

/// Of an error answer, or of an error that came in place of an answer under a status of success. `headers` are the answer's.
pub(crate) fn of_answer(
    error: &ApiError,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Fault {
    let named = error.limit().and_then(|limit| limit.account.clone());
    let page = is_page(headers, body);
    let (class, scope) = if page {
        (of_page(status), Scope::Key)
    } else {
        of_words(error, status)
    };
    let code = if page { Some("html") } else { error.word() };
    // Beside a quota of the day, vendors tell the wait of the limit of the minute.
    let vain = |wait: &Duration| class == Class::Exhausted && *wait < MINUTE;
    Fault {
        class,
        status,
        code: code.unwrap_or_default().to_owned(),
        retry_after: error.retry_after.filter(|wait| !vain(wait)),
        scope,
        // Answers of success have the same headers, whereas sentences may name the same account otherwise.
        account: account::named(headers).or(named),
        asked_for: false,
    }
}

/// Of an error that was told inside of an answer, or that was made up here of what was read.
pub(crate) fn told(error: &ApiError) -> Fault {
    let status = error.upstream_status.unwrap_or(0);
    if error.code.as_deref() == Some(BROKEN) {
        return of_broken();
    }
    of_answer(error, status, &[], b"")
}

/// Of an answer that broke off.
pub(crate) fn of_broken() -> Fault {
    Fault {
        code: "connection broken".to_owned(),
        ..Fault::new(Class::Network)
    }
}

/// Of a request that could not be made. What the encoder of one dialect refuses, another may be able to say.
pub(crate) fn of_request(error: &ApiError) -> Fault {
    let class = match error.kind {
        ErrorKind::Unsupported | ErrorKind::NotImplemented | ErrorKind::Internal => Class::Unfit,
        ErrorKind::Timeout => Class::Timeout,
        ErrorKind::BadRequest
        | ErrorKind::ContextTooLong
        | ErrorKind::BodyTooLarge
        | ErrorKind::Authentication
        | ErrorKind::Billing
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::Conflict
        | ErrorKind::RateLimited
        | ErrorKind::ContentPolicy
        | ErrorKind::Upstream
        | ErrorKind::UpstreamMalformed
        | ErrorKind::Overloaded => Class::Client,
    };
    Fault {
        code: error.word().unwrap_or_default().to_owned(),
        ..Fault::new(class)
    }
}

/// Of a request that had no answer.
pub(crate) fn unsent(error: &SendError) -> Fault {
    let (class, code) = match error {
        SendError::Connect(_) => (Class::Network, "no connection"),
        SendError::FirstByteTimeout(_) => (Class::Timeout, "no answer in time"),
        SendError::Broken(_) => (Class::Network, "connection broken"),
    };
    Fault {
        code: code.to_owned(),
        ..Fault::new(class)
    }
}

/// A page for people: what answers is no API, but something in between.
pub(crate) fn is_page(headers: &[(&str, &str)], body: &[u8]) -> bool {
    let html = headers.iter().any(|(name, value)| {
        let kind = value.trim_start().to_ascii_lowercase();
        name.eq_ignore_ascii_case("content-type") && kind.starts_with("text/html")
    });
    let start = body.trim_ascii_start();
    let begins = |tag: &[u8]| {
        start
            .get(..tag.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(tag))
    };
    // The same in short, for clients that ask for no page: `error code: 1015`.
    let short = body.len() < 64 && begins(b"error code: ");
    // Some say that their JSON is a page.
    let json = matches!(start.first(), Some(b'{' | b'['));
    !json && (html || short || begins(b"<!doctype html") || begins(b"<html") || begins(b"<head"))
}

fn of_page(status: u16) -> Class {
    match status {
        401 => Class::KeyDead,
        // Proxies limit addresses, not keys.
        429 => Class::Overloaded,
        // Their limits differ from one to the next.
        400 | 413 | 414 | 431 | 501 => Class::Unfit,
        _ => of_status(status).unwrap_or(Class::BadAnswer),
    }
}

/// What a status tells by itself, where no words are needed. Those from 520 to 530 are of a well-known proxy that could not reach what is
/// behind it.
fn of_status(status: u16) -> Option<Class> {
    match status {
        // A redirect: whatever is there, it is no API.
        300..=399 => Some(Class::BadAnswer),
        408 | 504 | 522 | 524 => Some(Class::Timeout),
        407 | 520 | 521 | 523 | 525..=527 | 530 => Some(Class::Network),
        503 | 529 => Some(Class::Overloaded),
        500..=599 => Some(Class::Upstream),
        _ => None,
    }
}

fn of_words(error: &ApiError, status: u16) -> (Class, Scope) {
    let subject = error.subject();
    let scope = match error.limit().map(|limit| limit.scope) {
        Some(LimitScope::Model) => Scope::Model,
        Some(LimitScope::Account) => Scope::Account,
        Some(LimitScope::Key) | None => Scope::Key,
    };
    let class = match subject {
        // Another key at the same address, or for the same capacity, would be refused as well.
        Some(Subject::Address | Subject::Capacity) => Class::Overloaded,
        // Another key may have what this one has not.
        Some(Subject::Model) if error.kind == ErrorKind::Permission || status == 403 => {
            return (Class::KeyDead, Scope::Model);
        }
        Some(Subject::Model | Subject::Place | Subject::Stored) => Class::Unfit,
        None => match error.kind {
            ErrorKind::Authentication | ErrorKind::Permission => Class::KeyDead,
            ErrorKind::Billing => return (Class::Exhausted, of_money(error, scope)),
            ErrorKind::RateLimited => return (of_limit(error), scope),
            ErrorKind::ContextTooLong => Class::ContextLength,
            ErrorKind::ContentPolicy => Class::Refused,
            ErrorKind::BadRequest | ErrorKind::Conflict => {
                of_status(status).unwrap_or(Class::Client)
            }
            ErrorKind::Unsupported
            | ErrorKind::BodyTooLarge
            | ErrorKind::NotFound
            | ErrorKind::MethodNotAllowed
            | ErrorKind::NotImplemented
            | ErrorKind::Internal => Class::Unfit,
            ErrorKind::Overloaded => Class::Overloaded,
            ErrorKind::Timeout => Class::Timeout,
            ErrorKind::Upstream => of_status(status).unwrap_or(Class::Upstream),
            ErrorKind::UpstreamMalformed => of_status(status).unwrap_or(Class::BadAnswer),
        },
    };
    (class, Scope::Key)
}

/// Money is the account's, whatever model it is spent on; a quota of the day is the model's.
fn of_money(error: &ApiError, scope: Scope) -> Scope {
    match error.limit() {
        Some(limit) if limit.daily && limit.counted.is_some() => scope,
        _ => Scope::Key,
    }
}

fn of_limit(error: &ApiError) -> Class {
    match error.limit() {
        Some(limit) if limit.never_fits => Class::Unfit,
        // The day's share is used up, and nobody says for how long.
        Some(limit) if limit.daily && error.retry_after.is_none() => Class::Exhausted,
        _ => Class::RateLimited,
    }
}

#[cfg(test)]
mod tests {
    use lingate_dialect::{BadAnswer, DialectId};

    use super::*;

    /// What is said of an answer.
    fn said(head: &str, body: &str) -> String {
        let (status, headers) = head.split_once(' ').unwrap_or((head, ""));
        let status: u16 = status.parse().unwrap();
        let headers: Vec<(&str, &str)> = headers
            .split("; ")
            .filter_map(|header| header.split_once(": "))
            .collect();
        let fault = if status == 200 {
            let chat = DialectId::Chat.dialect();
            match chat.decode_response(body.as_bytes()) {
                Err(BadAnswer::Error(error)) => told(&error),
                other => panic!("no error in {body}: {other:?}"),
            }
        } else {
            let error = ApiError::decode(status, body.as_bytes()).with_headers(&headers, 0);
            let fault = of_answer(&error, status, &headers, body.as_bytes());
            assert_eq!(fault.status, status, "{body}");
            fault
        };
        let mut said = fault.class.name().to_owned();
        said.push_str(match fault.scope {
            Scope::Key => "",
            Scope::Model => " model",
            Scope::Account => " account",
        });
        if let Some(account) = &fault.account {
            said = format!("{said} {account}");
        }
        if let Some(wait) = fault.retry_after {
            said = format!("{said} {}s", wait.as_secs_f64());
        }
        format!("{said} ({})", fault.code)
    }

    #[test]
    fn what_got_no_answer_is_told_apart_too() {
        let reason = || "because".to_owned();
        for (fault, expect) in [
            (unsent(&SendError::Connect(reason())), Class::Network),
            (unsent(&SendError::Broken(reason())), Class::Network),
            (unsent(&SendError::FirstByteTimeout(MINUTE)), Class::Timeout),
            (told(&crate::relay::broken()), Class::Network),
            (told(&crate::relay::overdue()), Class::Timeout),
            (of_request(&crate::relay::overdue()), Class::Timeout),
            (
                told(&ApiError::new(ErrorKind::UpstreamMalformed, "a page")),
                Class::BadAnswer,
            ),
            (
                of_request(&ApiError::new(ErrorKind::Unsupported, "no audio")),
                Class::Unfit,
            ),
            (
                of_request(&ApiError::new(ErrorKind::BadRequest, "no messages")),
                Class::Client,
            ),
        ] {
            assert_eq!((fault.class, fault.status), (expect, 0), "{fault:?}");
        }
    }

    #[test]
    fn what_upstreams_answer_is_told_in_routings_terms() {
        let table = include_str!("fault/cases.txt");
        let mut lines = table.lines().filter(|line| !line.starts_with('#'));
        let mut cases = 0;
        let mut wrong = Vec::new();
        while let Some(head) = lines.by_ref().find(|line| !line.is_empty()) {
            let (body, expect) = (lines.next().unwrap(), lines.next().unwrap());
            let expect = expect.strip_prefix("= ").expect(body);
            let said = said(head, body);
            cases += 1;
            if said != expect {
                wrong.push(format!("{head} {body}\n  {said}, not {expect}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(cases > 120, "{cases}");
    }
}
