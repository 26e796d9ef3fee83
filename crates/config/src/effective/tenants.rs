//! Organizations and API keys, as they are in force. No secret is shown.

use jiff::Timestamp;
use lingate_metering::Millis;
use lingate_metering::tenant::{
    ApiKey, DEFAULT, Declared, Organization, PlanRules, Project, Rules, User, UserKind,
};
use serde_json::{Map, Value, json};

use super::limits::limit;

pub(super) fn tell(declared: &Declared, root: &mut Value) {
    if !declared.keys.is_empty() {
        root["api_keys"] = declared
            .keys
            .iter()
            .map(|key| shown(key, declared))
            .collect();
    }
    if !declared.organizations.is_empty() {
        let organizations = declared.organizations.iter();
        let organizations =
            organizations.map(|row| (row.name.clone(), organization(row, declared)));
        root["organizations"] = Value::Object(organizations.collect());
    }
}

/// What plans say beside prices, which are told before.
pub(super) fn tell_plans(declared: &Declared, root: &mut Value) {
    for PlanRules { plan, rules } in &declared.plans {
        let mut out = Map::new();
        tell_rules(rules, &mut out);
        if let Some(plan) = root["plans"].get_mut(plan).and_then(Value::as_object_mut) {
            plan.extend(out);
        }
    }
}

fn organization(organization: &Organization, declared: &Declared) -> Value {
    let Organization { id, name: _, rules } = organization;
    let mut out = Map::new();
    tell_rules(rules, &mut out);
    let projects = declared.projects.iter();
    let projects = projects.filter(|project| project.organization == *id);
    let projects: Map<String, Value> = projects
        .map(|project| {
            let Project {
                id: _,
                organization: _,
                name,
                rules,
            } = project;
            let mut out = Map::new();
            tell_rules(rules, &mut out);
            (name.clone(), Value::Object(out))
        })
        .collect();
    if !projects.is_empty() {
        out.insert("projects".to_owned(), Value::Object(projects));
    }
    let users = declared.users.iter();
    let users = users.filter(|user| user.organization == *id);
    let users: Map<String, Value> = users
        .map(|user| {
            let User {
                id: _,
                organization: _,
                name,
                kind,
                rules,
            } = user;
            let mut out = Map::new();
            if *kind == UserKind::ServiceAccount {
                out.insert("kind".to_owned(), json!("service_account"));
            }
            tell_rules(rules, &mut out);
            (name.clone(), Value::Object(out))
        })
        .collect();
    if !users.is_empty() {
        out.insert("users".to_owned(), Value::Object(users));
    }
    Value::Object(out)
}

fn tell_rules(rules: &Rules, out: &mut Map<String, Value>) {
    let Rules {
        blocked,
        allow_models,
        deny_models,
        limits,
        plan,
    } = rules;
    if *blocked {
        out.insert("blocked".to_owned(), json!(true));
    }
    for (name, list) in [("models", allow_models), ("deny_models", deny_models)] {
        if !list.is_empty() {
            out.insert(name.to_owned(), json!(list));
        }
    }
    if !limits.is_empty() {
        let limits: Vec<Value> = limits.iter().map(limit).collect();
        out.insert("limits".to_owned(), limits.into());
    }
    if let Some(plan) = plan {
        out.insert("plan".to_owned(), json!(plan));
    }
}

fn shown(key: &ApiKey, declared: &Declared) -> Value {
    let ApiKey {
        id: _,
        project,
        name,
        user,
        secrets,
        expires_at,
        tags,
        kind,
        doors,
        addresses,
        model_map,
        hides_headers,
        rules,
    } = key;
    let mut out = Map::new();
    let mut tell = |name: &str, value: Value| out.insert(name.to_owned(), value);
    tell("name", json!(name));
    tell("key", json!("…"));
    if let Some(old) = secrets.get(1) {
        tell("old_key", json!("…"));
        if let Some(at) = old.expires_at {
            tell("old_key_until", json!(moment(at)));
        }
    }
    match path(project, declared) {
        Some((DEFAULT, DEFAULT)) | None => {}
        Some((organization, DEFAULT)) => {
            tell("tenant", json!(organization));
        }
        Some((organization, project)) => {
            tell("project", json!(format!("{organization}/{project}")));
        }
    }
    let users = declared.users.iter().chain(&declared.mentioned.users);
    let mut users = users.filter(|known| Some(known.id) == *user);
    if let Some(user) = users.next() {
        tell("user", json!(user.name));
    }
    if !tags.is_empty() {
        tell("tags", json!(tags));
    }
    if let Some(kind) = kind {
        tell("kind", json!(kind.name()));
    }
    if let Some(at) = expires_at {
        tell("expires", json!(moment(*at)));
    }
    if !doors.is_empty() {
        tell("doors", json!(doors));
    }
    if !addresses.is_empty() {
        tell(
            "addresses",
            addresses.iter().map(ToString::to_string).collect(),
        );
    }
    if !model_map.is_empty() {
        let map = model_map.iter();
        let map: Map<String, Value> = map.map(|(from, to)| (from.clone(), json!(to))).collect();
        tell("model_map", Value::Object(map));
    }
    if *hides_headers {
        tell("lingate_headers", json!(false));
    }
    tell_rules(rules, &mut out);
    Value::Object(out)
}

/// The names of a project and of its organization.
fn path<'d>(id: &lingate_metering::Id, declared: &'d Declared) -> Option<(&'d str, &'d str)> {
    let mentioned = &declared.mentioned;
    let mut projects = declared.projects.iter().chain(&mentioned.projects);
    let project = projects.find(|project| project.id == *id)?;
    let mut organizations = declared
        .organizations
        .iter()
        .chain(&mentioned.organizations);
    let organization = organizations.find(|known| known.id == project.organization)?;
    Some((&organization.name, &project.name))
}

pub(super) fn moment(at: Millis) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |moment| moment.to_string())
}
