//! ID tokens: signed by one of the issuer's keys with an algorithm of a short list, and about this sign-in.
//!
//! <https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation>, RFC 7515, RFC 7517, RFC 7518, RFC 8037.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

/// Why a token is not taken. Nothing of the token is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("the ID token is no signed token")]
    Malformed,
    /// `none`, the algorithms of shared secrets, and whatever is not known.
    #[error(
        "the ID token is signed by an algorithm that is not taken; taken are RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA"
    )]
    Algorithm,
    #[error("the ID token is signed with a key that the issuer does not publish")]
    UnknownKey,
    #[error("the signature of the ID token is wrong")]
    Signature,
    #[error("{0}")]
    Claim(&'static str),
}

/// How far clocks may differ, in seconds.
const SKEW: i64 = 60;
/// How old a token may be that was made for a sign-in of this moment, in seconds.
const OLDEST: i64 = 10 * 60;

/// A key that an issuer publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    id: Option<String>,
    /// The one algorithm that it is for; `None`: any of its kind.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// As uncompressed points.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Those of a key set that can have signed an ID token; what is not understood is none of them.
pub(super) fn keys(set: &Value) -> Vec<Key> {
    /// No issuer has more.
    const MOST: usize = 100;
    let listed = set.get("keys").and_then(Value::as_array);
    let listed = listed.map(Vec::as_slice).unwrap_or_default();
    listed.iter().filter_map(key).take(MOST).collect()
}

fn key(value: &Value) -> Option<Key> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let point = |size: usize| {
        let (x, y) = (bytes("x")?, bytes("y")?);
        let fits = x.len() == size && y.len() == size;
        fits.then(|| [&[4], &*x, &*y].concat())
    };
    let material = match (text("kty")?, text("crv")) {
        ("RSA", _) => Material::Rsa {
            n: unpadded(&bytes("n")?),
            e: unpadded(&bytes("e")?),
        },
        ("EC", Some("P-256")) => Material::P256(point(32)?),
        ("EC", Some("P-384")) => Material::P384(point(48)?),
        ("OKP", Some("Ed25519")) => Material::Ed25519(bytes("x")?),
        _ => return None,
    };
    Some(Key {
        id: text("kid").map(str::to_owned),
        algorithm: text("alg").map(str::to_owned),
        material,
    })
}

/// Some issuers write a number with zeros in front.
fn unpadded(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default().to_vec()
}

/// What a token says, once one of the keys has signed it.
pub(super) fn claims(token: &str, keys: &[Key]) -> Result<Map<String, Value>, Wrong> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(mac), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Wrong::Malformed);
    };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Wrong::Malformed);
    let object = |part: &str| {
        let value: Value = serde_json::from_slice(&decoded(part)?).map_err(|_| Wrong::Malformed)?;
        match value {
            Value::Object(object) => Ok(object),
            _ => Err(Wrong::Malformed),
        }
    };
    let head = object(header)?;
    let algorithm = head.get("alg").and_then(Value::as_str);
    let algorithm = algorithm.ok_or(Wrong::Malformed)?;
    if !ALGORITHMS.contains(&algorithm) {
        return Err(Wrong::Algorithm);
    }
    // What must be understood and is not (RFC 7515 §4.1.11).
    if head.contains_key("crit") {
        return Err(Wrong::Malformed);
    }
    let id = head.get("kid").and_then(Value::as_str);
    let signature = decoded(mac)?;
    let signed = token.len() - mac.len() - 1;
    let signed = token.as_bytes().get(..signed).unwrap_or_default();
    let mut candidates = keys
        .iter()
        .filter(|key| id.is_none_or(|id| key.id.as_deref().is_none_or(|its| its == id)))
        .filter(|key| key.algorithm.as_deref().is_none_or(|its| its == algorithm))
        .filter_map(|key| Some((key, how(algorithm, &key.material)?)))
        .peekable();
    if candidates.peek().is_none() {
        return Err(Wrong::UnknownKey);
    }
    if candidates.any(|(key, how)| has_signed(&key.material, how, signed, &signature)) {
        return object(payload);
    }
    Err(Wrong::Signature)
}

const ALGORITHMS: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

enum How {
    Rsa(&'static RsaParameters),
    Other(&'static dyn VerificationAlgorithm),
}

/// The algorithm with a key of the kind that it takes: the kind of the key is never chosen by the token.
fn how(algorithm: &str, material: &Material) -> Option<How> {
    Some(match (algorithm, material) {
        ("RS256", Material::Rsa { .. }) => How::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
        ("RS384", Material::Rsa { .. }) => How::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
        ("RS512", Material::Rsa { .. }) => How::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
        ("PS256", Material::Rsa { .. }) => How::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
        ("PS384", Material::Rsa { .. }) => How::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
        ("PS512", Material::Rsa { .. }) => How::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
        ("ES256", Material::P256(_)) => How::Other(&ECDSA_P256_SHA256_FIXED),
        ("ES384", Material::P384(_)) => How::Other(&ECDSA_P384_SHA384_FIXED),
        ("EdDSA", Material::Ed25519(_)) => How::Other(&ED25519),
        _ => return None,
    })
}

fn has_signed(material: &Material, how: How, signed: &[u8], signature: &[u8]) -> bool {
    match (material, how) {
        (Material::Rsa { n, e }, How::Rsa(how)) => RsaPublicKeyComponents { n, e }
            .verify(how, signed, signature)
            .is_ok(),
        (
            Material::P256(public) | Material::P384(public) | Material::Ed25519(public),
            How::Other(how),
        ) => UnparsedPublicKey::new(how, public)
            .verify(signed, signature)
            .is_ok(),
        _ => false,
    }
}

/// What a token must say to be of this sign-in.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    /// In seconds since 1970.
    pub(super) now: i64,
}

/// Whether it does; who it is about, as the issuer knows them for good.
pub(super) fn check(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<String, Wrong> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(Wrong::Claim("the ID token is of another issuer"));
    }
    let for_us = match claims.get("aud") {
        Some(Value::String(audience)) => audience == expected.client_id,
        Some(Value::Array(audiences)) => {
            // Of several audiences, this must be the one that asked.
            audiences
                .iter()
                .any(|audience| audience.as_str() == Some(expected.client_id))
                && (audiences.len() == 1 || claims.contains_key("azp"))
        }
        _ => false,
    };
    if !for_us || claims.contains_key("azp") && text("azp") != Some(expected.client_id) {
        return Err(Wrong::Claim("the ID token is for another client"));
    }
    let nonce = text("nonce").unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(Wrong::Claim("the ID token is of another sign-in"));
    }
    let second = |name: &str| -> Option<i64> {
        let value = claims.get(name)?;
        value.as_i64().or_else(|| {
            let second = value.as_f64()?;
            let is_one = (0.0..1e12).contains(&second);
            #[expect(clippy::cast_possible_truncation, reason = "it is within the range")]
            is_one.then_some(second as i64)
        })
    };
    let (Some(until), Some(since)) = (second("exp"), second("iat")) else {
        return Err(Wrong::Claim("the ID token does not say when it is good"));
    };
    if until.saturating_add(SKEW) <= expected.now {
        return Err(Wrong::Claim("the ID token has expired"));
    }
    if since.saturating_sub(SKEW) > expected.now
        || second("nbf").is_some_and(|since| since.saturating_sub(SKEW) > expected.now)
    {
        return Err(Wrong::Claim(
            "the ID token is of a moment that is still to come: compare the clocks",
        ));
    }
    if since.saturating_add(OLDEST) < expected.now {
        return Err(Wrong::Claim(
            "the ID token was made too long ago: compare the clocks",
        ));
    }
    let subject = text("sub").unwrap_or_default();
    let is_one =
        !subject.is_empty() && subject.len() <= 255 && !subject.chars().any(char::is_control);
    if !is_one {
        return Err(Wrong::Claim("the ID token does not say who signs in"));
    }
    Ok(subject.to_owned())
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    };
    use serde_json::json;

    use super::*;

    fn encoded(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    #[test]
    fn a_token_is_taken_when_a_published_key_has_signed_it_and_it_is_as_it_was() {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random)
                .unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (
            URL_SAFE_NO_PAD.encode(&point[1..33]),
            URL_SAFE_NO_PAD.encode(&point[33..]),
        );
        let published = |more: Value| {
            let mut one = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "a"});
            for (name, value) in more.as_object().unwrap() {
                one[name] = value.clone();
            }
            keys(&json!({ "keys": [{"kty": "oct", "k": "c2VjcmV0"}, one] }))
        };
        let sign = |head: &Value, body: &Value| {
            let signed = format!("{}.{}", encoded(head), encoded(body));
            let signature = pair.sign(&random, signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        let body = json!({"sub": "ada"});
        let good = sign(&json!({"alg": "ES256", "kid": "a"}), &body);
        let plain = published(json!({}));
        let check = |token: &str, keys: &[Key], expect: Result<(), Wrong>| {
            assert_eq!(claims(token, keys).map(drop), expect, "{token}");
        };
        check(&good, &plain, Ok(()));
        check(&sign(&json!({"alg": "ES256"}), &body), &plain, Ok(()));
        check(
            &good,
            &published(json!({"use": "sig", "alg": "ES256"})),
            Ok(()),
        );
        for (more, expect) in [
            (json!({"kid": "b"}), Wrong::UnknownKey),
            (json!({"use": "enc"}), Wrong::UnknownKey),
            (json!({"alg": "ES384"}), Wrong::UnknownKey),
            (json!({"crv": "P-384"}), Wrong::UnknownKey),
            (json!({"x": y, "y": x}), Wrong::Signature),
        ] {
            check(&good, &published(more), Err(expect));
        }
        for algorithm in ["none", "None", "HS256", "HS512", "ES512", "es256", ""] {
            let token = sign(&json!({"alg": algorithm, "kid": "a"}), &body);
            check(&token, &plain, Err(Wrong::Algorithm));
        }
        // An RSA algorithm over a key of another kind.
        let token = sign(&json!({"alg": "RS256", "kid": "a"}), &body);
        check(&token, &plain, Err(Wrong::UnknownKey));
        let critical = sign(&json!({"alg": "ES256", "crit": ["b64"]}), &body);
        check(&critical, &plain, Err(Wrong::Malformed));
        let (head, rest) = good.split_once('.').unwrap();
        let (_, mac) = rest.split_once('.').unwrap();
        let other = encoded(&json!({"sub": "eve"}));
        check(
            &format!("{head}.{other}.{mac}"),
            &plain,
            Err(Wrong::Signature),
        );
        check(&format!("{head}.{other}."), &plain, Err(Wrong::Signature));
        for broken in [
            "",
            "a",
            "a.b",
            "a.b.c",
            "....",
            &format!("{good}.x"),
            &format!("{good}="),
        ] {
            check(broken, &plain, Err(Wrong::Malformed));
        }
    }

    #[test]
    fn ed25519_is_one_of_the_algorithms() {
        let random = SystemRandom::new();
        let made = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let published = keys(&json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]}));
        let signed = format!(
            "{}.{}",
            encoded(&json!({"alg": "EdDSA"})),
            encoded(&json!({}))
        );
        let mac = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
        assert!(claims(&format!("{signed}.{mac}"), &published).is_ok());
        let mac = URL_SAFE_NO_PAD.encode(pair.sign(b"another"));
        let wrong = claims(&format!("{signed}.{mac}"), &published);
        assert_eq!(wrong, Err(Wrong::Signature));
    }

    #[test]
    fn a_token_is_of_one_sign_in_at_one_client_at_one_time() {
        const NOW: i64 = 1_800_000_000;
        let good = json!({"iss": "https://id.test", "aud": "lingate", "nonce": "n", "sub": "ada", "exp": NOW + 300, "iat": NOW});
        let check = |changes: Value, expect: Result<&str, &str>| {
            let mut said = good.as_object().unwrap().clone();
            for (name, value) in changes.as_object().unwrap() {
                if value.is_null() {
                    said.shift_remove(name);
                } else {
                    said.insert(name.clone(), value.clone());
                }
            }
            let found = check(
                &said,
                &Expected {
                    issuer: "https://id.test",
                    client_id: "lingate",
                    nonce: "n",
                    now: NOW,
                },
            );
            let found = found.map_err(|wrong| wrong.to_string());
            match expect {
                Ok(subject) => assert_eq!(found.as_deref(), Ok(subject), "{changes}"),
                Err(why) => {
                    let told = found.unwrap_err();
                    assert!(told.contains(why), "{changes}: {told}");
                }
            }
        };
        for changes in [
            json!({}),
            json!({"aud": ["lingate"]}),
            json!({"aud": ["lingate", "other"], "azp": "lingate"}),
            json!({"exp": NOW - 30}),
            json!({"exp": 1_800_000_300.5}),
            json!({"iat": NOW + 30}),
        ] {
            check(changes, Ok("ada"));
        }
        for (changes, why) in [
            (json!({"iss": "https://id.test/"}), "another issuer"),
            (json!({"iss": null}), "another issuer"),
            (json!({"aud": "other"}), "another client"),
            (json!({"aud": null}), "another client"),
            (json!({"aud": []}), "another client"),
            (json!({"aud": ["lingate", "other"]}), "another client"),
            (json!({"azp": "other"}), "another client"),
            (json!({"azp": 1}), "another client"),
            (json!({"nonce": "m"}), "another sign-in"),
            (json!({"nonce": null}), "another sign-in"),
            (json!({"exp": NOW - 60}), "expired"),
            (json!({"exp": null}), "when it is good"),
            (json!({"iat": null}), "when it is good"),
            (json!({"exp": "2100-01-01"}), "when it is good"),
            (json!({"iat": NOW + 61}), "still to come"),
            (json!({"nbf": NOW + 61}), "still to come"),
            (json!({"iat": NOW - 601}), "too long ago"),
            (json!({"sub": ""}), "who signs in"),
            (json!({"sub": null}), "who signs in"),
            (json!({"sub": "a\u{0}b"}), "who signs in"),
            (json!({"sub": "x".repeat(256)}), "who signs in"),
        ] {
            check(changes, Err(why));
        }
    }
}
