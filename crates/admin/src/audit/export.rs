//! `GET /api/v1/audit-events/export`

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header;
use lingate_store::{AuditFilter, AuditNote, Deed, Kind, Store, StoreError};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{Object, ObjectBuilder};

use super::asked::Asked;
use super::shown::{COLUMNS, Shown};
use crate::Admin;
use crate::access::Allowed;
use crate::frame::Sheet;
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// `jsonl`, one JSON object on each line, or `csv`.
    #[param(schema_with = forms)]
    format: Option<String>,
}

fn forms() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["jsonl", "csv"]))
        .default(Some("jsonl".into()))
        .build()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Csv,
}

/// What was done, as a file, the newest first
///
/// Of any length: it is read from the database page by page, while it is sent. An answer that cannot be brought to its end is cut, and
/// never ends as if it were whole. The export itself is an event.
#[utoipa::path(
    get,
    path = "/api/v1/audit-events/export",
    operation_id = "export_audit_events",
    tag = "audit",
    params(Wanted, Asked),
    responses(
        (status = 200, description = "The events that you may see", content((String = "application/jsonl"), (String = "text/csv"))),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn export(
    State(admin): State<Admin>,
    allowed: Allowed,
    Query(wanted): Query<Wanted>,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let form = match wanted.format.as_deref() {
        None | Some("jsonl") => Form::Lines,
        Some("csv") => Form::Csv,
        Some(_) => return Err(Problem::invalid("format", "expected jsonl or csv")),
    };
    let mut filter = asked.filter(&allowed)?;
    filter.limit = AT_ONCE;
    let store = allowed.store(&admin)?;
    // Whose log it is that leaves, where it is that of one organization.
    let organization = match (filter.organization, filter.organizations.as_deref()) {
        (Some(organization), None) => Some(organization),
        (Some(organization), Some(among)) => Some(organization).filter(|id| among.contains(id)),
        (None, Some([only])) => Some(*only),
        (None, _) => None,
    };
    store
        .audit(AuditNote {
            organization,
            ..AuditNote::of(Deed::Export, Kind::AuditEvent, &"", "audit log")
        })
        .await?;
    let (kind, disposition) = match form {
        Form::Lines => ("application/jsonl", "attachment; filename=\"audit.jsonl\""),
        Form::Csv => (
            "text/csv; charset=utf-8",
            "attachment; filename=\"audit.csv\"",
        ),
    };
    let body = Body::from_stream(stream::try_unfold(
        Some(Progress {
            store,
            filter,
            form,
            begun: false,
        }),
        |progress| async {
            match progress {
                Some(progress) => progress.piece().await.map(Some),
                None => Ok::<_, StoreError>(None),
            }
        },
    ));
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, body).into_response())
}

/// Events that are read, written down and sent in one piece.
const AT_ONCE: u32 = 500;

struct Progress {
    store: Store,
    filter: AuditFilter,
    form: Form,
    begun: bool,
}

impl Progress {
    /// A page of events as text, and what is left to do, if there is more.
    async fn piece(mut self) -> Result<(String, Option<Self>), StoreError> {
        let page = self.store.audit_log(&self.filter).await?;
        let events = page.items.into_iter().map(Shown::of);
        let text = match self.form {
            Form::Lines => {
                let mut text = String::new();
                for event in events {
                    let line = serde_json::to_string(&event)
                        .map_err(|error| StoreError::Other(error.to_string()))?;
                    text.push_str(&line);
                    text.push('\n');
                }
                text
            }
            Form::Csv => {
                let mut sheet = Sheet::default();
                if !self.begun {
                    sheet.row(&COLUMNS);
                }
                for event in events {
                    let cells = event.cells();
                    let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
                    sheet.row(&cells);
                }
                sheet.text()
            }
        };
        self.begun = true;
        self.filter.before = page.next;
        let more = page.next.is_some();
        Ok((text, Some(self).filter(|_| more)))
    }
}
