//! Somebody as an issuer describes them, and whether that lets them in.

use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::sign_in_providers::Settings;

/// Google signs anybody in who has an account with it, also under an address of another's domain; whose people they are says `hd`.
/// <https://developers.google.com/identity/openid-connect/openid-connect#id_token-hd>
const GOOGLE: &str = "https://accounts.google.com";

/// Groups of one person that are looked at.
const MOST: usize = 10_000;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Person {
    /// As the issuer knows them for good.
    pub(super) subject: String,
    /// Verified; an address that the issuer has not verified is none.
    pub(super) email: Option<String>,
    pub(super) name: Option<String>,
    pub(super) username: Option<String>,
    /// `None`: the issuer says nothing of groups.
    pub(super) groups: Option<Vec<String>>,
    hosted_domain: Option<String>,
}

type Claims = Map<String, Value>;

/// Whether the ID token leaves something to be asked for.
pub(super) fn lacks(claims: &Claims, settings: &Settings) -> bool {
    let no_groups = settings
        .groups_claim
        .as_deref()
        .is_some_and(|claim| groups(claims, claim).is_none());
    no_groups || !claims.contains_key("email")
}

impl Person {
    /// `told`: the ID token, and what else the issuer says; earlier ones count more.
    pub(super) fn of(subject: String, told: &[&Claims], settings: &Settings) -> Self {
        let text = |name: &str| {
            let mut found = told.iter().filter_map(|claims| claims.get(name)?.as_str());
            found.find_map(|text| {
                let text: String = text.chars().filter(|c| !c.is_control()).collect();
                let text: String = text.trim().chars().take(200).collect();
                Some(text.trim().to_owned()).filter(|text| !text.is_empty())
            })
        };
        let claim = settings.groups_claim.as_deref();
        Self {
            subject,
            email: told.iter().find_map(|claims| verified_email(claims)),
            name: text("name"),
            username: text("preferred_username"),
            groups: claim.and_then(|claim| told.iter().find_map(|claims| groups(claims, claim))),
            hosted_domain: text("hd"),
        }
    }

    /// Whether the settings let them in.
    pub(super) fn let_in(&self, settings: &Settings, issuer: &str) -> Result<(), Refusal> {
        let domains = &settings.email_domains;
        if !domains.is_empty() {
            let email = self.email.as_deref();
            let domain = if issuer == GOOGLE {
                self.hosted_domain.as_deref()
            } else {
                email.and_then(|email| email.rsplit('@').next())
            };
            let domain = domain.unwrap_or_default().to_ascii_lowercase();
            if email.is_none() || !domains.contains(&domain) {
                return Err(Refusal::not_let_in(
                    "has no verified e-mail address of the domains that are let in",
                ));
            }
        }
        let allowed = &settings.allowed_groups;
        let groups = self.groups.as_deref().unwrap_or_default();
        if !allowed.is_empty() && !groups.iter().any(|group| allowed.contains(group)) {
            return Err(Refusal::not_let_in(
                "is in none of the groups that are let in",
            ));
        }
        Ok(())
    }
}

/// An address counts with the word that it is verified beside it.
fn verified_email(claims: &Claims) -> Option<String> {
    let is_true = |value: &Value| {
        // Some issuers write it as a text (Amazon Cognito), or as a number.
        value.as_bool() == Some(true) || value == "true" || value == 1 || value == "1"
    };
    let said = match claims.get("email_verified") {
        Some(said) => is_true(said),
        // Entra's word for it: that the owner of the domain has verified it.
        None => claims.get("xms_edov").is_some_and(is_true),
    };
    let email = claims.get("email").and_then(Value::as_str)?;
    (said && lingate_store::is_address(email)).then(|| email.to_owned())
}

/// A claim of this name, or a path into one. `None`: it is not there, or is no list of names.
fn groups(claims: &Claims, claim: &str) -> Option<Vec<String>> {
    let mut found = claims.get(claim);
    if found.is_none() {
        let mut steps = claim.split('.');
        found = claims.get(steps.next()?);
        for step in steps {
            found = found?.get(step);
        }
    }
    match found? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(all) => {
            let names = all.iter().filter_map(Value::as_str).map(str::to_owned);
            Some(names.take(MOST).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(more: &Value) -> Settings {
        let mut all = json!({"scopes": [], "email_domains": [], "mappings": [], "create_accounts": true, "link_by_email": false});
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    fn claims(said: &Value) -> Claims {
        said.as_object().unwrap().clone()
    }

    #[test]
    fn an_address_counts_when_the_issuer_has_verified_it() {
        let check = |said: Value, expect: Option<&str>| {
            let found = verified_email(&claims(&said));
            assert_eq!(found.as_deref(), expect, "{said}");
        };
        let address = "ada@example.com";
        check(
            json!({"email": address, "email_verified": true}),
            Some(address),
        );
        check(
            json!({"email": address, "email_verified": "true"}),
            Some(address),
        );
        check(json!({"email": address, "xms_edov": 1}), Some(address));
        check(json!({"email": address}), None);
        check(json!({"email": address, "email_verified": false}), None);
        check(json!({"email": address, "email_verified": "false"}), None);
        check(
            json!({"email": address, "email_verified": false, "xms_edov": true}),
            None,
        );
        check(json!({"email": "no address", "email_verified": true}), None);
        check(json!({"email_verified": true}), None);
        // The word that another address is verified is not about this one.
        let (first, second) = (
            claims(&json!({"email": "eve@example.com"})),
            claims(&json!({"email": address, "email_verified": true})),
        );
        let person = Person::of("s".to_owned(), &[&first, &second], &settings(&json!({})));
        assert_eq!(person.email.as_deref(), Some(address));
    }

    #[test]
    fn groups_are_found_where_issuers_write_them() {
        let check = |said: Value, claim: &str, expect: Option<&[&str]>| {
            let found = groups(&claims(&said), claim);
            let found: Option<Vec<&str>> = found
                .as_ref()
                .map(|all| all.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), expect, "{said} {claim}");
        };
        check(
            json!({"groups": ["a", "b", 7]}),
            "groups",
            Some(&["a", "b"]),
        );
        check(json!({"groups": "a"}), "groups", Some(&["a"]));
        check(
            json!({"realm_access": {"roles": ["a"]}}),
            "realm_access.roles",
            Some(&["a"]),
        );
        check(
            json!({"https://example.com/groups": ["a"]}),
            "https://example.com/groups",
            Some(&["a"]),
        );
        check(json!({"groups": {"a": 1}}), "groups", None);
        check(json!({}), "groups", None);
        check(json!({"groups": []}), "groups", Some(&[]));
    }

    #[test]
    fn domains_and_groups_let_in() {
        let check = |issuer: &str, said: Value, more: Value, expect: bool| {
            let settings = settings(&more);
            let person = Person::of("s".to_owned(), &[&claims(&said)], &settings);
            let found = person.let_in(&settings, issuer);
            assert_eq!(found.is_ok(), expect, "{said} {more}");
        };
        let other = "https://id.test";
        let ours = json!({"email_domains": ["example.com"]});
        let verified = |email: &str| json!({"email": email, "email_verified": true});
        check(other, json!({}), json!({}), true);
        check(other, verified("ada@example.com"), ours.clone(), true);
        check(other, verified("ada@Example.COM"), ours.clone(), true);
        check(other, verified("ada@evil.example.com"), ours.clone(), false);
        check(
            other,
            verified("ada@example.com.evil.test"),
            ours.clone(),
            false,
        );
        check(
            other,
            json!({"email": "ada@example.com"}),
            ours.clone(),
            false,
        );
        check(other, json!({"hd": "example.com"}), ours.clone(), false);
        check(GOOGLE, verified("ada@example.com"), ours.clone(), false);
        let mut hosted = verified("ada@example.com");
        hosted["hd"] = json!("example.com");
        check(GOOGLE, hosted, ours, true);
        let staff = json!({"groups_claim": "groups", "allowed_groups": ["staff"]});
        check(
            other,
            json!({"groups": ["staff", "x"]}),
            staff.clone(),
            true,
        );
        check(other, json!({"groups": ["Staff"]}), staff.clone(), false);
        check(other, json!({}), staff, false);
    }
}
