//! A sign-in provider as a request describes it, read field by field.

use lingate_metering::Id;
use lingate_seal::Purpose;
use lingate_store::{Place, SignInProvider};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::settings::{Given, Mapping, Settings};
use super::settings_of;
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Fields;
use crate::oidc::{is_safe, is_web};
use crate::people::place::{self, WantedScope};
use crate::problem::{FieldError, Problem};

/// `id`: of the provider, new or not. `before`: as it is now.
pub(super) async fn read(
    admin: &Admin,
    allowed: &Allowed,
    id: Id,
    body: Value,
    before: Option<&SignInProvider>,
) -> Result<SignInProvider, Problem> {
    let keeps = body.get("client_secret").is_none();
    let mut fields = Fields::of(body)?;
    let name = fields.needed("name");
    let is_name = !name.is_empty()
        && name.len() <= 50
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_name || name == "public" {
        fields.wrong(
            "name",
            "expected up to 50 letters a-z, digits and dashes; not `public`",
        );
    }
    let issuer = fields.needed("issuer");
    if !is_safe(&issuer) || issuer.contains(['?', '#']) {
        fields.wrong(
            "issuer",
            "expected the address of an issuer, such as https://id.example.com, as it says it itself; http only on this machine",
        );
    }
    let client_id = fields.needed("client_id");
    if client_id.is_empty() || client_id.len() > 500 || client_id.chars().any(char::is_control) {
        fields.wrong(
            "client_id",
            "expected the id under which the issuer knows this gateway",
        );
    }
    let secret = fields.text("client_secret");
    if let Some(problem) = secret.as_deref().and_then(bad_secret) {
        fields.wrong("client_secret", problem);
    }
    let enabled = fields.flag("enabled").unwrap_or(true);
    let label = fields.word("label");
    let mut scopes = fields.words("scopes");
    if scopes.is_empty() {
        scopes = ["email", "profile"].map(str::to_owned).to_vec();
    }
    if scopes.len() > 50 {
        fields.wrong("scopes", "expected at most 50");
    }
    if scopes.iter().any(|scope| scope.contains([' ', '"', '\\'])) {
        fields.wrong("scopes", "a scope has no spaces and no quotes");
    }
    let domains = fields.words("email_domains");
    let email_domains: Vec<String> = domains.iter().map(|it| it.to_ascii_lowercase()).collect();
    for (at, domain) in email_domains.iter().enumerate() {
        if domain.contains(['@', '*', '/', ' ']) || !domain.contains('.') {
            fields.wrong(
                &format!("email_domains/{at}"),
                "expected a domain such as example.com; each counts without those below it",
            );
        }
    }
    let groups_claim = fields.word("groups_claim");
    let mappings: Vec<Mapping> = typed(&mut fields, "mappings").unwrap_or_default();
    if mappings.len() > 1000 {
        fields.wrong("mappings", "expected at most 1000");
    }
    if groups_claim.is_none() && !mappings.is_empty() {
        fields.wrong(
            "groups_claim",
            "is missing: without it nobody is in a group",
        );
    }
    let default_role: Option<Given> = typed(&mut fields, "default_role");
    let create_accounts = fields.flag("create_accounts").unwrap_or(false);
    let link_by_email = fields.flag("link_by_email").unwrap_or(false);
    let allowed_groups = fields.words("allowed_groups");
    if groups_claim.is_none() && !allowed_groups.is_empty() {
        fields.wrong(
            "groups_claim",
            "is missing: without it nobody is in a group",
        );
    }
    let trust_second_factor = fields.flag("trust_second_factor").unwrap_or(false);
    let redirect_uri = fields.word("redirect_uri");
    if let Some(uri) = &redirect_uri {
        let ends = format!("/api/v1/oidc/{name}/callback");
        if !is_web(uri) || !uri.ends_with(&ends) {
            fields.wrong(
                "redirect_uri",
                format!("expected an address such as https://gateway.example.com{ends}"),
            );
        }
    }
    fields.done()?;

    // What was there before stays as it is, whatever has become of the places that it names.
    let known = before.and_then(|before| settings_of(before).ok());
    let mut resolved = Vec::with_capacity(mappings.len());
    for (at, mapping) in mappings.into_iter().enumerate() {
        if known
            .as_ref()
            .is_some_and(|known| known.mappings.contains(&mapping))
        {
            resolved.push(mapping);
            continue;
        }
        let given = resolve(admin, allowed, mapping.given(), &format!("/mappings/{at}")).await?;
        resolved.push(Mapping::of(mapping.group, given));
    }
    let default_role = match default_role {
        same if known.is_some_and(|known| known.default_role == same) => same,
        Some(given) => Some(resolve(admin, allowed, given, "/default_role").await?),
        None => None,
    };
    let client_secret = match secret {
        Some(secret) if secret.starts_with("${") => Some(secret),
        Some(secret) => {
            let sealed = admin
                .seal()
                .seal(Purpose::Oidc, &id.to_string(), secret.as_bytes());
            Some(sealed.map_err(|error| {
                Problem::new(
                    http::StatusCode::SERVICE_UNAVAILABLE,
                    "cannot_seal",
                    error.to_string(),
                )
            })?)
        }
        None if keeps => before.and_then(|before| before.client_secret.clone()),
        None => None,
    };
    let settings = Settings {
        label,
        scopes,
        email_domains,
        groups_claim,
        mappings: resolved,
        default_role,
        create_accounts,
        link_by_email,
        allowed_groups,
        trust_second_factor,
        redirect_uri,
    };
    Ok(SignInProvider {
        id,
        name,
        issuer,
        client_id,
        client_secret,
        enabled,
        spec: serde_json::to_value(settings).unwrap_or_default(),
    })
}

/// What is wrong with it, without it.
fn bad_secret(secret: &str) -> Option<&'static str> {
    if secret.is_empty() || secret.len() > 4096 || secret.chars().any(char::is_control) {
        return Some("expected the secret that the issuer gave, or `${NAME}`");
    }
    let reference = secret.strip_prefix("${")?;
    let name = reference.strip_suffix('}').unwrap_or_default();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        return Some("expected `${NAME}`, with the name of a variable and nothing else");
    }
    if name.starts_with("LINGATE_") {
        return Some("variables of the gateway itself are nothing for an issuer");
    }
    None
}

fn typed<T: DeserializeOwned>(fields: &mut Fields, name: &'static str) -> Option<T> {
    let value = fields.value(name)?;
    match serde_json::from_value(value) {
        Ok(value) => Some(value),
        Err(error) => {
            fields.wrong(name, error.to_string());
            None
        }
    }
}

/// The ids of what is named, once it is there and has such a role.
async fn resolve(
    admin: &Admin,
    allowed: &Allowed,
    given: Given,
    at: &str,
) -> Result<Given, Problem> {
    let below = |problem: Problem| {
        let errors = problem.errors.into_iter().map(|error| FieldError {
            field: format!("{at}{}", error.field),
            detail: error.detail,
        });
        Problem::invalid_fields(errors.collect())
    };
    let scope = match &*given.scope {
        "platform" => WantedScope::Platform,
        "organization" => WantedScope::Organization,
        "project" => WantedScope::Project,
        _ => {
            return Err(Problem::invalid(
                format!("{at}/scope"),
                "expected platform, organization or project",
            ));
        }
    };
    let organization = given.organization.as_deref();
    let place = place::read(
        admin,
        allowed,
        scope,
        organization,
        given.project.as_deref(),
    )
    .await
    .map_err(below)?;
    let role = place::role(place, &given.role).map_err(below)?;
    Ok(Given {
        scope: place.name().to_owned(),
        organization: place.organization().map(|id| id.to_string()),
        project: match place {
            Place::Project { project, .. } => Some(project.to_string()),
            Place::Platform | Place::Organization(_) => None,
        },
        role: role.name().to_owned(),
    })
}
