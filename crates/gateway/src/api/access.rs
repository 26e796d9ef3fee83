//! Who may see how the gateway works beyond whether it is well; at the endpoints of the control plane, that one decides.
//!
//! `auth: keys`: whose key is of the kind `management`, or `read_only` for seeing; where no key says its kind, every key. Keys count
//! wherever they are from: the first that says its kind, be it in the file or stored, takes this right from those that say none. A
//! key that is blocked, over, or used from elsewhere than it may be, has no rights here either. `auth: open` and `auth: passthrough` know
//! nobody by a key: whoever sits at this machine, which a page in a browser does not.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderName, header};
use lingate_metering::tenant::KeyKind;
use lingate_routing::Auth;

use crate::caller::Gate;

/// Where a request came from; the listener tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Headers of proxies: who sends one speaks for somebody else, who need not be on this machine.
const FORWARDED: [&str; 5] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
];

/// What browsers say of the page that asks, and of what for.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Whether whoever asks may see how the gateway works.
pub(crate) fn may_look(gate: &Gate<'_>, parts: &Parts) -> bool {
    if gate.snapshot.auth != Auth::Keys {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
        return sits_here(parts, peer).is_ok();
    }
    let Ok(caller) = gate.identify(parts) else {
        return false;
    };
    let principal = caller.principal();
    let good = principal
        .is_good(gate.now)
        .and_then(|()| principal.comes_from_there(Some(gate.address)));
    let is_for_it = match principal.key.as_ref().and_then(|key| key.kind) {
        Some(KeyKind::Management | KeyKind::ReadOnly) => true,
        None => !gate.directory.knows_kinds(),
        Some(KeyKind::Inference) => false,
    };
    good.is_ok() && is_for_it
}

/// Whether the request comes from this machine, and from no page of somewhere else; else why it is not taken for such.
pub(crate) fn sits_here(parts: &Parts, peer: Option<IpAddr>) -> Result<(), &'static str> {
    let refuse = Err;
    if !peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
        return refuse("the request comes from elsewhere");
    }
    if FORWARDED
        .iter()
        .any(|name| parts.headers.contains_key(*name))
    {
        return refuse("a proxy has forwarded the request");
    }
    let text = |name| {
        let value = parts.headers.get(name);
        value.and_then(|value| value.to_str().ok())
    };
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = text(header::HOST).or(authority).unwrap_or("");
    // A name that somebody points here makes pages of that name look like ours.
    let hosts = parts.headers.get_all(header::HOST).iter().count();
    if hosts > 1 || !is_ours(host) {
        return refuse("ask for it by the address 127.0.0.1 or as localhost");
    }
    let origin = text(header::ORIGIN).map(|origin| {
        let rest = origin.split_once("://").map(|(_, rest)| rest);
        rest.unwrap_or(origin)
    });
    // What a page embeds comes without an `Origin`; links that are followed are no page's doing.
    let site = text(SITE).unwrap_or("none");
    let follows = parts.method.is_safe() && text(MODE) == Some("navigate");
    let embeds = !matches!(site, "same-origin" | "none") && !follows;
    if embeds || parts.headers.contains_key(header::ORIGIN) && origin != Some(host) {
        return refuse("a page of another origin asks");
    }
    Ok(())
}

fn is_ours(host: &str) -> bool {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let name = without_port.trim_matches(['[', ']']);
    let name = name.strip_suffix('.').unwrap_or(name);
    name.is_empty()
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use http::Request;
    use lingate_metering::tenant::{
        ApiKey, DEFAULT, Declared, Directory, KeySecret, Organization, Project, Source,
    };
    use lingate_routing::Snapshot;

    use super::*;

    fn parts(peer: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::new(());
        for (name, value) in headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        request.into_parts().0
    }

    #[test]
    fn without_keys_only_this_machine() {
        let check = |peer: &str, headers: &[(&str, &str)], expect: bool| {
            for auth in [Auth::Open, Auth::Passthrough] {
                let snapshot = Snapshot {
                    auth,
                    ..Snapshot::default()
                };
                let gate = Gate {
                    may_lack_keys: false,
                    snapshot: &snapshot,
                    directory: &Directory::default(),
                    now: 0,
                    address: peer.parse().unwrap(),
                };
                let allowed = may_look(&gate, &parts(peer, headers));
                assert_eq!(allowed, expect, "{peer} {headers:?}");
            }
        };
        check("127.0.0.1", &[], true);
        check("::1", &[("host", "[::1]:8080")], true);
        check("::ffff:127.0.0.1", &[("host", "127.0.0.1:8080")], true);
        check("127.0.0.1", &[("host", "localhost:8080")], true);
        check("127.0.0.1", &[("host", "lingate.localhost")], true);
        check("10.0.0.7", &[("host", "127.0.0.1:8080")], false);
        check("127.0.0.1", &[("x-forwarded-for", "127.0.0.1")], false);
        check("127.0.0.1", &[("forwarded", "for=127.0.0.1")], false);
        // A name that somebody else owns, pointed at this machine.
        check("127.0.0.1", &[("host", "rebound.example:8080")], false);
        check(
            "127.0.0.1",
            &[
                ("host", "127.0.0.1:8080"),
                ("origin", "http://127.0.0.1:8080"),
            ],
            true,
        );
        for origin in ["https://evil.example", "http://127.0.0.1:9999", "null"] {
            check(
                "127.0.0.1",
                &[("host", "127.0.0.1:8080"), ("origin", origin)],
                false,
            );
        }
        for (site, mode, expect) in [
            ("none", "navigate", true),
            ("same-origin", "cors", true),
            ("cross-site", "navigate", true),
            ("cross-site", "no-cors", false),
            ("same-site", "no-cors", false),
            ("same-site", "", false),
        ] {
            let said = [("sec-fetch-site", site), ("sec-fetch-mode", mode)];
            check("127.0.0.1", &said, expect);
        }
    }

    #[test]
    fn kinds_count_as_soon_as_a_key_has_one() {
        let organization = Organization::named(DEFAULT);
        let project = Project::named(&organization, DEFAULT).id;
        let key = |name: &str, kind| ApiKey {
            id: ApiKey::id_of(DEFAULT, DEFAULT, name),
            project,
            name: name.to_owned(),
            secrets: vec![KeySecret::of(name, None)],
            kind,
            ..ApiKey::default()
        };
        let check = |keys: &[ApiKey], shown: &str, expect: bool| {
            let snapshot = Snapshot {
                auth: Auth::Keys,
                ..Snapshot::default()
            };
            let declared = Declared {
                keys: keys.to_vec(),
                ..Declared::default()
            };
            let (directory, _) = Directory::build(vec![(Source::Configuration, declared)]);
            let gate = Gate {
                may_lack_keys: false,
                snapshot: &snapshot,
                directory: &directory,
                now: 1000,
                address: "10.0.0.7".parse().unwrap(),
            };
            let shown = [("x-api-key", shown)];
            let asked = parts("10.0.0.7", if shown[0].1.is_empty() { &[] } else { &shown });
            assert_eq!(may_look(&gate, &asked), expect, "{shown:?}");
        };
        let household = [key("one", None), key("two", None)];
        check(&household, "one", true);
        check(&household, "other", false);
        check(&household, "", false);
        let kinds = [
            key("plain", None),
            key("asks", Some(KeyKind::Inference)),
            key("looks", Some(KeyKind::ReadOnly)),
            key("rules", Some(KeyKind::Management)),
        ];
        for (shown, expect) in [
            ("plain", false),
            ("asks", false),
            ("looks", true),
            ("rules", true),
        ] {
            check(&kinds, shown, expect);
        }
        let changed = |change: fn(&mut ApiKey)| {
            let mut rules = key("rules", Some(KeyKind::Management));
            change(&mut rules);
            [rules]
        };
        let blocked = changed(|key| key.rules.blocked = true);
        check(&blocked, "rules", false);
        let over = changed(|key| key.expires_at = Some(1000));
        check(&over, "rules", false);
        let near = changed(|key| key.addresses = vec!["10.0.0.0/24".parse().unwrap()]);
        check(&near, "rules", true);
        let far = changed(|key| key.addresses = vec!["10.0.1.0/24".parse().unwrap()]);
        check(&far, "rules", false);
    }
}
