//! The code that the browser brings, for tokens: asked for from the issuer itself, with what only this gateway knows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use lingate_seal::Purpose;
use lingate_store::SignInProvider;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::fetch::{self, Asking};
use super::issuer::Metadata;
use super::refusal::Refusal;
use crate::Admin;

/// What the issuer gives for a code.
pub(super) struct Tokens {
    pub(super) id_token: String,
    access_token: Option<SecretString>,
}

/// What belongs to a code.
pub(super) struct Code<'a> {
    pub(super) given: &'a str,
    pub(super) verifier: &'a str,
    pub(super) redirect_uri: &'a str,
}

/// <https://openid.net/specs/openid-connect-core-1_0.html#TokenRequest>
pub(super) async fn tokens(
    admin: &Admin,
    provider: &SignInProvider,
    metadata: &Metadata,
    code: &Code<'_>,
) -> Result<Tokens, Refusal> {
    let secret = secret(admin, provider)?;
    let (authorization, form) = request(provider, metadata, code, secret.as_ref())?;
    let asking = Asking {
        what: "the tokens of a sign-in",
        url: &metadata.token_endpoint,
        authorization,
        form: Some(form),
    };
    let client = admin.issuers().client().map_err(Refusal::issuer)?;
    let (status, said) = fetch::json(&client, asking)
        .await
        .map_err(Refusal::issuer)?;
    if !status.is_success() {
        let error = word(&said, "error");
        let why = format!("the issuer gives no tokens: {status} {error}");
        // The code is not good: used before, over, or of another sign-in. All else is wrong between issuer and gateway.
        return Err(if error == "invalid_grant" {
            Refusal::unproved(why)
        } else {
            Refusal::issuer(why)
        });
    }
    let text = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
    let id_token =
        text("id_token").ok_or_else(|| Refusal::issuer("the issuer gives no ID token"))?;
    Ok(Tokens {
        id_token,
        access_token: text("access_token").map(SecretString::from),
    })
}

/// The header and the form that ask for tokens.
fn request(
    provider: &SignInProvider,
    metadata: &Metadata,
    code: &Code<'_>,
    secret: Option<&SecretString>,
) -> Result<(Option<HeaderValue>, String), Refusal> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code.given)
        .append_pair("redirect_uri", code.redirect_uri)
        .append_pair("code_verifier", code.verifier);
    let authorization = match secret {
        Some(secret) if metadata.takes_basic => {
            // Each is encoded as in a form before they are put together (RFC 6749 §2.3.1).
            let encoded = |text: &str| -> String {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            };
            let pair = format!(
                "{}:{}",
                encoded(&provider.client_id),
                encoded(secret.expose_secret())
            );
            let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)));
            Some(value.map_err(|_| Refusal::issuer("the client's secret fits in no header"))?)
        }
        Some(secret) => {
            form.append_pair("client_id", &provider.client_id)
                .append_pair("client_secret", secret.expose_secret());
            None
        }
        None => {
            form.append_pair("client_id", &provider.client_id);
            None
        }
    };
    Ok((authorization, form.finish()))
}

/// What the issuer says of whom the tokens are about, besides; `subject`: who it must be.
///
/// <https://openid.net/specs/openid-connect-core-1_0.html#UserInfo>
pub(super) async fn user_info(
    admin: &Admin,
    metadata: &Metadata,
    tokens: &Tokens,
    subject: &str,
) -> Result<Option<Map<String, Value>>, Refusal> {
    let (Some(url), Some(token)) = (&metadata.userinfo_endpoint, &tokens.access_token) else {
        return Ok(None);
    };
    let authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
    let authorization =
        authorization.map_err(|_| Refusal::issuer("the access token fits in no header"))?;
    let asking = Asking {
        what: "what the issuer says of a person",
        url,
        authorization: Some(authorization),
        form: None,
    };
    let client = admin.issuers().client().map_err(Refusal::issuer)?;
    let (status, said) = fetch::json(&client, asking)
        .await
        .map_err(Refusal::issuer)?;
    if !status.is_success() {
        let why = format!("the issuer says nothing of the person: {status}");
        return Err(Refusal::issuer(why));
    }
    match said {
        Value::Object(said) if said.get("sub").and_then(Value::as_str) == Some(subject) => {
            Ok(Some(said))
        }
        _ => Err(Refusal::unproved(
            "what the issuer says of a person is about another one",
        )),
    }
}

/// The client's secret; `None`: the client has none.
pub(super) fn secret(
    admin: &Admin,
    provider: &SignInProvider,
) -> Result<Option<SecretString>, Refusal> {
    let Some(kept) = &provider.client_secret else {
        return Ok(None);
    };
    let variable = kept
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = variable {
        let configured = admin.configured();
        let value = configured.environment.get(name).ok_or_else(|| {
            Refusal::issuer(format!(
                "the variable {name} is not set, which is to hold the client's secret"
            ))
        })?;
        return Ok(Some(value.into()));
    }
    let opened = admin
        .seal()
        .open_text(Purpose::Oidc, &provider.id.to_string(), kept);
    opened
        .map(Some)
        .map_err(|error| Refusal::issuer(format!("the client's secret cannot be opened: {error}")))
}

/// A word of the protocol; nothing else is repeated.
pub(super) fn word(said: &Value, name: &str) -> String {
    let word = said.get(name).and_then(Value::as_str).unwrap_or_default();
    known(word).to_owned()
}

/// As it is, if it can be a word of the protocol.
pub(super) fn known(word: &str) -> &str {
    let is_word = word.len() <= 50 && word.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    if is_word {
        word
    } else {
        "(no word of the protocol)"
    }
}
