//! Where a request comes from: the other end of the connection, or whom a proxy names that is trusted to.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Each proxy adds whom it heard from at the end. So the list is read backwards, as long as those who wrote it are trusted. What is no
/// address is nobody's word: then it is the proxy itself that the request comes from.
pub(crate) fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| {
        let plain = address.to_canonical();
        trusted
            .iter()
            .any(|net| net.contains(&plain) || net.contains(&address))
    };
    let mut last = peer.to_canonical();
    if !is_trusted(peer) {
        return last;
    }
    let lists = headers.get_all(FORWARDED_FOR).iter();
    let lists: Vec<&str> = lists.map(|value| value.to_str().unwrap_or("?")).collect();
    for said in lists.iter().rev().flat_map(|list| list.rsplit(',')) {
        let Some(address) = read(said.trim()) else {
            return last;
        };
        last = address.to_canonical();
        if !is_trusted(address) {
            return last;
        }
    }
    last
}

/// An address, with a port or without.
fn read(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse().ok();
    address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let check = |peer: &str, trusted: &[&str], lists: &[&str], expect: &str| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(FORWARDED_FOR, HeaderValue::from_str(list).unwrap());
            }
            let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
            let address = of(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(address.to_string(), expect, "{peer} {lists:?}");
        };
        let proxies = ["10.0.0.0/8", "2001:db8::1/128"];
        check("192.0.2.1", &[], &["203.0.113.9"], "192.0.2.1");
        check("192.0.2.1", &proxies, &["203.0.113.9"], "192.0.2.1");
        check("10.0.0.1", &proxies, &["203.0.113.9"], "203.0.113.9");
        check("::ffff:10.0.0.1", &proxies, &["203.0.113.9"], "203.0.113.9");
        check(
            "2001:db8::1",
            &proxies,
            &["203.0.113.9:4711"],
            "203.0.113.9",
        );
        check("10.0.0.1", &proxies, &[], "10.0.0.1");
        // What the caller itself has written stands in front.
        check(
            "10.0.0.1",
            &proxies,
            &["127.0.0.1, 203.0.113.9"],
            "203.0.113.9",
        );
        check(
            "10.0.0.1",
            &proxies,
            &["127.0.0.1, 203.0.113.9, 10.0.0.2"],
            "203.0.113.9",
        );
        check(
            "10.0.0.1",
            &proxies,
            &["127.0.0.1", "203.0.113.9", "10.0.0.2"],
            "203.0.113.9",
        );
        check(
            "10.0.0.1",
            &proxies,
            &["127.0.0.1, unknown, 10.0.0.2"],
            "10.0.0.2",
        );
        check("10.0.0.1", &proxies, &["127.0.0.1, , 10.0.0.2"], "10.0.0.2");
        check("10.0.0.1", &proxies, &["[2001:db8::7]:443"], "2001:db8::7");
        check("10.0.0.1", &proxies, &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
    }
}
