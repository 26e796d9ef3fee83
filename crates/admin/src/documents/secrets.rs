//! What does not stand in a document: secrets in clear, and addresses that nobody means.

use std::net::IpAddr;

use lingate_config::DocumentKind;
use serde_json::Value;

use crate::problem::FieldError;

const KEY: &str = "a key does not stand in the configuration: add it to the provider's pool (POST /api/v1/provider-keys), or write a reference: ${NAME} or file:PATH";
const LOCAL: &str = "is an address of the machine's own cloud, which gives secrets away: only lingate.yml may name it";

/// What a document may not say although the configuration file may.
pub(crate) fn check(kind: DocumentKind, value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if kind != DocumentKind::Provider {
        return errors;
    }
    let mut wrong = |field: String, detail: &str| {
        errors.push(FieldError {
            field: format!("/definition{field}"),
            detail: detail.to_owned(),
        });
    };
    match value.get("keys") {
        Some(Value::String(text)) if !is_reference(text) => wrong("/keys".to_owned(), KEY),
        Some(Value::Array(keys)) => {
            for (place, key) in keys.iter().enumerate() {
                match (key, key.get("key")) {
                    (Value::String(text), _) if !is_reference(text) => {
                        wrong(format!("/keys/{place}"), KEY);
                    }
                    (_, Some(Value::String(text))) if !is_reference(text) => {
                        wrong(format!("/keys/{place}/key"), KEY);
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
    for (name, header) in value
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let text = header.as_str().unwrap_or_default();
        if is_secret_header(name) && !is_reference(text) {
            let place = name.replace('~', "~0").replace('/', "~1");
            wrong(
                format!("/headers/{place}"),
                "this header holds a secret, which does not stand in the configuration: write a reference, ${NAME} or file:PATH",
            );
        }
    }
    if let Some(Value::String(proxy)) = value.get("proxy")
        && proxy.contains('@')
        && !is_reference(proxy)
    {
        wrong(
            "/proxy".to_owned(),
            "a password does not stand in the configuration: write a reference, ${NAME} or file:PATH",
        );
    }
    let mut url = |pointer: String, value: Option<&Value>| {
        if value.and_then(Value::as_str).is_some_and(is_metadata) {
            wrong(pointer, LOCAL);
        }
    };
    url("/base_url".to_owned(), value.get("base_url"));
    for (dialect, place) in value
        .get("endpoints")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        url(format!("/endpoints/{dialect}"), Some(place));
        url(format!("/endpoints/{dialect}/url"), place.get("url"));
    }
    errors
}

/// Nothing but references: `${NAME}`, `file:PATH`, or that there is no key.
fn is_reference(text: &str) -> bool {
    text.split([',', '\n'])
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
        .all(|piece| {
            let variable = piece
                .strip_prefix("${")
                .and_then(|rest| rest.strip_suffix('}'))
                .is_some_and(|name| {
                    let name = name.strip_suffix(":-").unwrap_or(name);
                    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                });
            variable || piece.starts_with("file:") || piece.eq_ignore_ascii_case("none")
        })
}

fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "authorization",
        "cookie",
        "key",
        "token",
        "secret",
        "password",
        "credential",
        "signature",
    ]
    .iter()
    .any(|word| name.contains(word))
}

/// Where clouds tell machines their credentials.
pub(crate) fn is_metadata(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let bare = bare.trim_end_matches('.').to_ascii_lowercase();
    match bare.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_link_local() || ip.octets() == [100, 100, 100, 200],
        Ok(IpAddr::V6(ip)) => {
            let v4 = ip.to_ipv4_mapped();
            (ip.segments()[0] & 0xffc0) == 0xfe80
                || ip.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
                || v4.is_some_and(|ip| ip.is_link_local())
        }
        Err(_) => {
            // `http://2852039166/`, `http://0xa9fea9fe/`: some resolvers take a number for an address.
            let number = bare.strip_prefix("0x").map_or_else(
                || bare.parse().ok(),
                |digits| u32::from_str_radix(digits, 16).ok(),
            );
            number.is_some_and(|number: u32| number >> 16 == 0xa9fe)
                || ["metadata.google.internal", "metadata", "instance-data"].contains(&&*bare)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_fields(value: &Value, expect: &[&str]) {
        let found = check(DocumentKind::Provider, value);
        let found: Vec<&str> = found.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(found, expect, "{value}");
    }

    #[test]
    fn secrets_are_references() {
        check_fields(
            &json!({"keys": ["${A_KEY}", "file:/run/k", "none", {"key": "${B}"}]}),
            &[],
        );
        check_fields(&json!({"keys": "${A},${B}"}), &[]);
        check_fields(
            &json!({"keys": ["sk-1", "${A}-x", "${A:-sk-2}", {"key": "sk-3"}, "${A},sk-4"]}),
            &[
                "/definition/keys/0",
                "/definition/keys/1",
                "/definition/keys/2",
                "/definition/keys/3/key",
                "/definition/keys/4",
            ],
        );
        check_fields(&json!({"keys": "sk-1"}), &["/definition/keys"]);
        check_fields(
            &json!({"headers": {"x-title": "us", "Authorization": "Bearer x", "x-api-key": "${A}"}}),
            &["/definition/headers/Authorization"],
        );
        check_fields(&json!({"proxy": "http://u:p@h:1"}), &["/definition/proxy"]);
        check_fields(&json!({"proxy": "http://h:1"}), &[]);
    }

    #[test]
    fn metadata_is_not_asked() {
        for url in [
            "http://169.254.169.254/latest",
            "http://[fe80::1]:80/",
            "http://[::ffff:169.254.169.254]/",
            "http://user@169.254.169.254:80",
            "http://2852039166/",
            "http://0xA9FEA9FE/",
            "http://metadata.google.internal./x",
            "http://100.100.100.200",
        ] {
            check_fields(&json!({"base_url": url}), &["/definition/base_url"]);
        }
        for url in [
            "https://api.openai.com/v1",
            "http://127.0.0.1:9",
            "http://10.0.0.1",
        ] {
            check_fields(&json!({"base_url": url}), &[]);
        }
        check_fields(
            &json!({"endpoints": {"chat": {"url": "http://169.254.1.1"}}}),
            &["/definition/endpoints/chat/url"],
        );
    }
}
