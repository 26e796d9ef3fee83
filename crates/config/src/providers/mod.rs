//! From the section `providers`, the catalogue and the environment to the providers that requests are sent to.

mod health;
mod keys;

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Uri};
use lingate_catalog::{self as catalog, Overrides, Patch};
use lingate_dialect::DialectId;
use lingate_dialect::hub::Effort;
use lingate_routing::{AuthScheme, Endpoint, KeyPool, Kind, Provider, ProviderHealth};
use secrecy::ExposeSecret;

use crate::base_url;
use crate::place::{Place, did_you_mean};
use crate::read::{Reader, Typed, Value, join};

/// What decides about providers besides their own section.
pub(crate) struct Surroundings<'a> {
    /// Callers bring their own keys.
    pub(crate) passthrough: bool,
    /// Where the gateway itself listens.
    pub(crate) listen: &'a [SocketAddr],
    /// The file has no providers: those are taken whose variables are set.
    pub(crate) from_environment: bool,
}

/// A problem is noted already.
struct Told;

impl Reader<'_> {
    /// All providers, those of the configuration first. If none has a key there is the demo.
    pub(crate) fn providers(
        &mut self,
        section: Option<&Value>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Provider>> {
        let mut providers = Vec::new();
        for (name, value) in section.map(Value::entries).unwrap_or_default() {
            if let Some(provider) = self.provider(name, value, around) {
                providers.push(Arc::new(provider));
            }
        }
        if around.from_environment {
            for row in catalog::builtin().providers() {
                let known = providers.iter().any(|provider| {
                    provider.catalog_id.as_deref() == Some(row.id.as_str())
                        || provider.name == row.id
                });
                if !known && let Some(provider) = self.found(row, around) {
                    providers.push(Arc::new(provider));
                }
            }
        }
        // Callers' own keys reach every provider of the catalogue, if the configuration names none.
        if around.passthrough && providers.is_empty() {
            for row in catalog::builtin().providers() {
                let ready = |endpoint: &catalog::Endpoint| endpoint.placeholders().next().is_none();
                if row.kind == catalog::Kind::Http
                    && !row.keyless
                    && row.endpoints.iter().all(ready)
                {
                    let endpoints = row
                        .endpoints
                        .iter()
                        .map(|endpoint| usual(endpoint, endpoint.base_url.clone()));
                    providers.push(Arc::new(plain(
                        row,
                        endpoints.collect(),
                        KeyPool::default(),
                    )));
                }
            }
        }
        let usable = around.passthrough && !providers.is_empty();
        if !usable && providers.iter().all(|provider| provider.keys.is_empty()) {
            providers.push(Arc::new(demo("demo")));
        }
        providers
    }

    /// A provider of the catalogue whose key, or for a server without keys whose URL, is in the environment.
    fn found(&mut self, row: &catalog::Provider, around: &Surroundings<'_>) -> Option<Provider> {
        let key = self.environment.first(&row.env);
        let url = self.environment.first(&row.base_url_env);
        let place = match (key, url) {
            (Some((variable, _)), _) => Place::variable(variable),
            (None, Some((variable, _))) if row.keyless => Place::variable(variable),
            (None, _) => return None,
        };
        let (moved, place) = self.moved_by_environment(row, around, place);
        let mut endpoints = Vec::with_capacity(row.endpoints.len());
        for endpoint in &row.endpoints {
            let base_url = match &moved {
                Some(url) => {
                    self.base(url, endpoint.dialect, Some(&endpoint.base_url), &place, "")?
                }
                None => match self.filled(&endpoint.base_url) {
                    Ok(url) => url,
                    Err(variable) => {
                        self.note(
                            &place,
                            "",
                            format!("{} is not used: it also needs {variable}", row.title),
                        );
                        return None;
                    }
                },
            };
            endpoints.push(usual(endpoint, base_url));
        }
        let keys = match key {
            Some((variable, keys)) => {
                let keys = self.split_keys(variable, keys);
                KeyPool::new(self.with_stored(&row.id, keys))
            }
            None => KeyPool::keyless(),
        };
        Some(plain(row, endpoints, keys))
    }

    fn provider(
        &mut self,
        name: &str,
        value: &Value,
        around: &Surroundings<'_>,
    ) -> Option<Provider> {
        let path = &value.path;
        if name.is_empty()
            || name.contains(['/', '{', '}'])
            || name.chars().any(char::is_whitespace)
        {
            self.problem(
                &value.place,
                path,
                "a provider's name has no slashes, braces or spaces: it stands in front of models",
            );
            return None;
        }
        let row = self.row(name, value).ok()?;
        if let Some(row) = row
            && row.kind == catalog::Kind::Demo
        {
            for (key, value) in value.entries() {
                self.problem(
                    &value.place,
                    &join(path, key),
                    "the demo answers by itself and takes no settings",
                );
            }
            return Some(demo(name));
        }
        let endpoints = self.endpoints(value, row, around);
        let keys = self.keys(name, value, row, around);
        let breaker = self.breaker(value.get("breaker"));
        let health_check = self.health_check(value.get("health_check"));
        let proxy = self.proxy(value);
        Some(Provider {
            name: name.to_owned(),
            catalog_id: row.map(|row| row.id.clone()),
            kind: Kind::Http,
            endpoints: endpoints?,
            proxy,
            keys,
            health: ProviderHealth::new(breaker),
            health_check,
            models: Value::texts(value.get("models")),
            quirks: self.quirks(value),
            prices: Arc::new(self.own_prices(value)),
            repair_streams: value
                .get("repair_streams")
                .and_then(Value::flag)
                .unwrap_or(false),
        })
    }

    /// What is laid over the catalogue.
    fn quirks(&mut self, value: &Value) -> Overrides {
        let all = value.get("quirks").map(|said| self.patch(said));
        let models = value.get("model_quirks").map_or(&[][..], Value::entries);
        let models = models
            .iter()
            .map(|(pattern, said)| (pattern.to_lowercase(), self.patch(said)));
        Overrides {
            models: models.collect(),
            all: all.unwrap_or_default(),
        }
    }

    fn patch(&mut self, said: &Value) -> Patch {
        for name in ["efforts", "default_effort", "effort_when_off"] {
            let Some(said) = said.get(name) else { continue };
            let words = said
                .text()
                .into_iter()
                .chain(said.items().iter().filter_map(Value::text));
            for word in words.filter(|word| Effort::from_name(word).is_none()) {
                let names = Effort::ALL.map(Effort::name);
                let message = format!("'{word}' is no effort; they are {}", names.join(", "));
                self.problem(&said.place, &said.path, message);
            }
        }
        let read = serde_json::from_value(plainly(said));
        read.unwrap_or_else(|error| {
            self.problem(&said.place, &said.path, error.to_string());
            Patch::default()
        })
    }

    /// The row of the catalogue that a provider follows, if it follows one.
    fn row(
        &mut self,
        name: &str,
        value: &Value,
    ) -> Result<Option<&'static catalog::Provider>, Told> {
        let ids = || {
            catalog::builtin()
                .providers()
                .iter()
                .map(|row| row.id.as_str())
        };
        if let Some(catalog) = value.get("catalog") {
            let id = catalog.text().unwrap_or_default();
            let row = catalog::builtin().named(id);
            if row.is_none() {
                let message = format!("the catalogue has no `{id}`{}", did_you_mean(id, ids()));
                self.problem(&catalog.place, &catalog.path, message);
                return Err(Told);
            }
            return Ok(row);
        }
        let row = catalog::builtin().named(name);
        let placed = value.get("base_url").or(value.get("endpoints")).is_some();
        if row.is_some() || placed {
            return Ok(row);
        }
        if !self.told(&value.path) {
            let meant = did_you_mean(name, ids());
            let message = format!("`{name}` is not in the catalogue: give it a `base_url`{meant}");
            self.problem(&value.place, &value.path, message);
        }
        Err(Told)
    }

    fn endpoints(
        &mut self,
        value: &Value,
        row: Option<&'static catalog::Provider>,
        around: &Surroundings<'_>,
    ) -> Option<Vec<Endpoint>> {
        let usual_places = self.usual_places(value, row)?;
        let own = value.get("endpoints");
        let dialects = dialects(value, own, usual_places);
        let base_url = value.get("base_url");
        let (moved, place) = match (base_url, row) {
            (Some(url), _) => (url.text().map(str::to_owned), url.place.clone()),
            (None, Some(row)) => self.moved_by_environment(row, around, value.place.clone()),
            (None, None) => (None, value.place.clone()),
        };
        let moved_path = base_url.map_or(&value.path, |url| &url.path);

        let mut endpoints = Vec::with_capacity(dialects.len());
        let mut unset = Vec::new();
        let mut sound = true;
        for dialect in dialects {
            let usual_place = usual_places
                .iter()
                .find(|endpoint| endpoint.dialect == dialect);
            let defaults = catalog::builtin().endpoint_defaults(dialect);
            let mut auth = scheme(usual_place.map_or(defaults.0, |place| &place.auth));
            let mut headers = usual_place
                .map_or(defaults.1, |place| &place.headers)
                .to_vec();
            let own = own.and_then(|own| own.get(dialect.name()));
            let own_url = own.and_then(|own| {
                if own.text().is_some() {
                    Some(own)
                } else {
                    own.get("url")
                }
            });

            let usual_url = usual_place.map(|place| place.base_url.as_str());
            let base_url = if let Some(url) = own_url {
                self.base(
                    url.text().unwrap_or_default(),
                    dialect,
                    usual_url,
                    &url.place,
                    &url.path,
                )
            } else if let Some(url) = &moved {
                self.base(url, dialect, usual_url, &place, moved_path)
            } else if let Some(url) = usual_url {
                match self.filled(url) {
                    Ok(url) => Some(url),
                    Err(variable) => {
                        // The dialects of a provider often lie at one place.
                        if !unset.contains(&variable) {
                            let message = format!(
                                "set the environment variable {variable}, or give a `base_url`"
                            );
                            self.problem(&value.place, &value.path, message);
                            unset.push(variable);
                        }
                        None
                    }
                }
            } else {
                let message = format!(
                    "no place is known where it speaks {dialect}: give `base_url` or `endpoints.{dialect}`"
                );
                self.problem(&value.place, &value.path, message);
                None
            };
            for said in [value.get("auth"), own.and_then(|own| own.get("auth"))]
                .into_iter()
                .flatten()
            {
                sound &= self.authentication(said, &mut auth);
            }
            sound &= self.headers(value.get("headers"), &mut headers);
            match base_url {
                Some(base_url) if self.points_elsewhere(&base_url, around, &place, moved_path) => {
                    endpoints.push(Endpoint {
                        dialect,
                        base_url,
                        auth,
                        headers,
                    });
                }
                Some(_) | None => sound = false,
            }
        }
        sound.then_some(endpoints)
    }

    /// Where the catalogue has the provider, in the region that is asked for.
    fn usual_places(
        &mut self,
        value: &Value,
        row: Option<&'static catalog::Provider>,
    ) -> Option<&'static [catalog::Endpoint]> {
        let region = value.get("region");
        let Some(row) = row else {
            if let Some(region) = region {
                self.problem(
                    &region.place,
                    &region.path,
                    "only providers of the catalogue have regions",
                );
                return None;
            }
            return Some(&[]);
        };
        let Some(region) = region else {
            return Some(&row.endpoints);
        };
        let name = region.text().unwrap_or_default();
        let found = row.regions.iter().find(|(known, _)| known == name);
        if let Some((_, endpoints)) = found {
            return Some(endpoints);
        }
        let known: Vec<&str> = row.regions.iter().map(|(name, _)| name.as_str()).collect();
        let message = if known.is_empty() {
            format!(
                "{} has no regions in the catalogue: leave it out",
                row.title
            )
        } else {
            format!("{} has these regions: {}", row.title, known.join(", "))
        };
        self.problem(&region.place, &region.path, message);
        None
    }

    /// A URL variable of the provider, unless it leads back to this gateway: the same variables point clients at it.
    fn moved_by_environment(
        &mut self,
        row: &catalog::Provider,
        around: &Surroundings<'_>,
        place: Place,
    ) -> (Option<String>, Place) {
        let Some((variable, url)) = self.environment.first(&row.base_url_env) else {
            return (None, place);
        };
        let url_place = Place::variable(variable);
        if is_here(url, around.listen) {
            self.note(
                &url_place,
                "",
                "points at this gateway, so it is left to its clients",
            );
            return (None, place);
        }
        (Some(url.to_owned()), url_place)
    }

    fn points_elsewhere(
        &mut self,
        url: &str,
        around: &Surroundings<'_>,
        place: &Place,
        path: &str,
    ) -> bool {
        let here = is_here(url, around.listen);
        if here {
            self.problem(place, path, "points at this gateway itself");
        }
        !here
    }

    fn base(
        &mut self,
        url: &str,
        dialect: DialectId,
        usual: Option<&str>,
        place: &Place,
        path: &str,
    ) -> Option<String> {
        match base_url::base(url, dialect, usual) {
            Ok(base) => Some(base),
            Err(message) => {
                // One wrong URL for several dialects is one problem.
                let known = self
                    .problems
                    .iter()
                    .any(|problem| problem.path == path && problem.place == *place);
                if !known {
                    self.problem(place, path, message);
                }
                None
            }
        }
    }

    /// Fills `{NAME}` from the environment; an error is the variable that is missing.
    fn filled(&self, url: &str) -> Result<String, String> {
        let mut out = String::with_capacity(url.len());
        let mut rest = url;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            let value = self.environment.get(name).ok_or_else(|| name.to_owned())?;
            out.push_str(before);
            out.push_str(value.trim());
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn authentication(&mut self, said: &Value, auth: &mut AuthScheme) -> bool {
        let mut sound = true;
        if let Some(header) = said.get("header") {
            let name = header.text().unwrap_or_default();
            if HeaderName::try_from(name).is_err() {
                self.problem(&header.place, &header.path, "not the name of a header");
                sound = false;
            }
            if !name.eq_ignore_ascii_case(&auth.header) {
                // The usual format belongs to the usual header.
                "{key}".clone_into(&mut auth.format);
            }
            name.clone_into(&mut auth.header);
        }
        if let Some(format) = said.get("format") {
            let text = format.text().unwrap_or_default();
            if !text.contains("{key}") || HeaderValue::try_from(text).is_err() {
                self.problem(
                    &format.place,
                    &format.path,
                    "expected the value of a header with `{key}` in the key's place",
                );
                sound = false;
            }
            text.clone_into(&mut auth.format);
        }
        sound
    }

    fn headers(&mut self, said: Option<&Value>, headers: &mut Vec<(String, String)>) -> bool {
        let mut sound = true;
        for (name, value) in said.map(Value::entries).unwrap_or_default() {
            let text = value
                .secret()
                .map(ExposeSecret::expose_secret)
                .unwrap_or_default();
            if HeaderName::try_from(name.as_str()).is_err() || HeaderValue::try_from(text).is_err()
            {
                if !self.told(&value.path) {
                    self.problem(&value.place, &value.path, "not a header");
                }
                sound = false;
                continue;
            }
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.clone(), text.to_owned()));
        }
        sound
    }

    fn proxy(&mut self, value: &Value) -> Option<String> {
        let proxy = value.get("proxy")?;
        let url = proxy.secret()?.expose_secret();
        let known = ["http://", "https://", "socks5://", "socks5h://"];
        let parsed: Result<Uri, _> = url.parse();
        let host = parsed.ok().and_then(|uri| uri.host().map(str::to_owned));
        if !known.iter().any(|scheme| url.starts_with(scheme))
            || host.is_none_or(|host| host.is_empty())
        {
            let message =
                "expected a URL that begins with http://, https://, socks5:// or socks5h://";
            self.problem(&proxy.place, &proxy.path, message);
            return None;
        }
        Some(url.to_owned())
    }
}

/// The dialects of a provider, preferred first: as listed, else those of `endpoints`, added to those of the catalogue, else
/// chat.
fn dialects(value: &Value, own: Option<&Value>, usual: &[catalog::Endpoint]) -> Vec<DialectId> {
    let mut dialects: Vec<DialectId> = Vec::new();
    let mut add = |dialect: DialectId| {
        if !dialects.contains(&dialect) {
            dialects.push(dialect);
        }
    };
    if let Some(listed) = value.get("dialects") {
        listed
            .items()
            .iter()
            .filter_map(Value::text)
            .filter_map(DialectId::from_name)
            .for_each(&mut add);
    } else {
        usual
            .iter()
            .map(|endpoint| endpoint.dialect)
            .for_each(&mut add);
        let own = own.map(Value::entries).unwrap_or_default();
        own.iter()
            .filter_map(|(name, _)| DialectId::from_name(name))
            .for_each(&mut add);
    }
    if dialects.is_empty() {
        dialects.push(DialectId::Chat);
    }
    dialects
}

/// Values as data; secrets, times and money are none of quirks.
fn plainly(value: &Value) -> serde_json::Value {
    match &value.typed {
        Typed::Text(text) => text.as_str().into(),
        Typed::Choice(word) => (*word).into(),
        Typed::Number(number) | Typed::Size(number) => (*number).into(),
        Typed::Decimal(number) => (*number).into(),
        Typed::Flag(flag) => (*flag).into(),
        Typed::List(items) => items.iter().map(plainly).collect(),
        Typed::Map(entries) | Typed::Record(entries) => entries
            .iter()
            .map(|(name, value)| (name.clone(), plainly(value)))
            .collect(),
        Typed::Secret(_)
        | Typed::Secrets(_)
        | Typed::Duration(_)
        | Typed::Age(_)
        | Typed::Dollars(_)
        | Typed::Factor(_) => serde_json::Value::Null,
    }
}

fn scheme(auth: &catalog::Auth) -> AuthScheme {
    AuthScheme {
        header: auth.header.clone(),
        format: auth.format.clone(),
    }
}

fn usual(endpoint: &catalog::Endpoint, base_url: String) -> Endpoint {
    Endpoint {
        dialect: endpoint.dialect,
        base_url,
        auth: scheme(&endpoint.auth),
        headers: endpoint.headers.clone(),
    }
}

fn plain(row: &catalog::Provider, endpoints: Vec<Endpoint>, keys: KeyPool) -> Provider {
    Provider {
        name: row.id.clone(),
        catalog_id: Some(row.id.clone()),
        endpoints,
        keys,
        ..Provider::default()
    }
}

/// Speaks Chat, and that not over a network; every other dialect is converted.
fn demo(name: &str) -> Provider {
    let endpoint = Endpoint {
        dialect: DialectId::Chat,
        base_url: String::new(),
        auth: scheme(catalog::builtin().endpoint_defaults(DialectId::Chat).0),
        headers: Vec::new(),
    };
    Provider {
        name: name.to_owned(),
        catalog_id: Some("demo".to_owned()),
        kind: Kind::Demo,
        endpoints: vec![endpoint],
        keys: KeyPool::keyless(),
        models: vec!["demo".to_owned()],
        ..Provider::default()
    }
}

fn is_here(url: &str, listen: &[SocketAddr]) -> bool {
    let Some((host, port)) = base_url::authority(url) else {
        return false;
    };
    let local = host == "localhost"
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback() || ip.is_unspecified());
    listen.iter().any(|address| {
        let same_host = host.parse() == Ok(address.ip());
        let all_hosts = address.ip().is_unspecified() || address.ip().is_loopback();
        address.port() == port && (same_host || (local && all_hosts))
    })
}
