//! The five endpoints that every kind of documents has.

/// Declares them, for a kind and its paths.
macro_rules! five {
    (
        $kind:ident, $tag:literal, $all:literal, $each:literal,
        $list:literal, $create:literal, $get:literal, $update:literal, $delete:literal
    ) => {
        use axum::Json;
        use axum::extract::{Path, Query, State};
        use http::StatusCode;
        use lingate_config::DocumentKind;
        use utoipa_axum::router::OpenApiRouter;
        use utoipa_axum::routes;

        use super::body::{New, Patch};
        use super::list::{self, Listed, Which};
        use super::shown::Shown;
        use super::{Resource, write};
        use crate::Admin;
        use crate::access::Allowed;
        use crate::frame::{Body, Found, IfMatch};
        use crate::problem::Problem;

        const RESOURCE: Resource = Resource(DocumentKind::$kind);

        pub(super) fn endpoints() -> OpenApiRouter<Admin> {
            OpenApiRouter::new()
                .routes(routes!(all, create))
                .routes(routes!(one, update, delete))
        }

        /// What is configured, wherever it is defined
        #[utoipa::path(
            get, path = $all, tag = $tag, operation_id = $list, params(Which),
            responses(
                (status = 200, description = "A page of them", body = Listed),
                (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        async fn all(
            State(admin): State<Admin>,
            allowed: Allowed,
            Query(which): Query<Which>,
        ) -> Result<Json<Listed>, Problem> {
            Ok(Json(list::listed(&admin, &allowed, RESOURCE, &which).await?))
        }

        /// Store one more
        #[utoipa::path(
            post, path = $all, tag = $tag, operation_id = $create, request_body = New,
            responses(
                (status = 201, description = "It is stored, and in force within a second", body = Shown),
                (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        async fn create(
            State(admin): State<Admin>,
            allowed: Allowed,
            Body(new): Body<New>,
        ) -> Result<Found<Shown>, Problem> {
            write::create(&admin, &allowed, RESOURCE, new).await
        }

        /// One of them
        #[utoipa::path(
            get, path = $each, tag = $tag, operation_id = $get,
            params(("name" = String, Path, description = "What it is called")),
            responses(
                (status = 200, description = "It", body = Shown),
                (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        async fn one(
            State(admin): State<Admin>,
            allowed: Allowed,
            Path(name): Path<String>,
        ) -> Result<Found<Shown>, Problem> {
            let value = list::one(&admin, &allowed, RESOURCE, &name).await?;
            Ok(Found {
                status: StatusCode::OK,
                revision: value.revision,
                value,
            })
        }

        /// Change what is stored
        #[utoipa::path(
            patch, path = $each, tag = $tag, operation_id = $update, request_body = Patch,
            params(
                ("name" = String, Path, description = "What it is called"),
                ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
            ),
            responses(
                (status = 200, description = "As it is now; in force within a second", body = Shown),
                (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        async fn update(
            State(admin): State<Admin>,
            allowed: Allowed,
            Path(name): Path<String>,
            expected: IfMatch,
            Body(patch): Body<Patch>,
        ) -> Result<Found<Shown>, Problem> {
            write::update(&admin, &allowed, RESOURCE, &name, expected, patch).await
        }

        /// Delete what is stored
        #[utoipa::path(
            delete, path = $each, tag = $tag, operation_id = $delete,
            params(
                ("name" = String, Path, description = "What it is called"),
                ("If-Match" = Option<String>, Header, description = "The ETag of the state that you have seen; another one is not changed"),
            ),
            responses(
                (status = 204, description = "It is gone"),
                (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
            ),
        )]
        async fn delete(
            State(admin): State<Admin>,
            allowed: Allowed,
            Path(name): Path<String>,
            expected: IfMatch,
        ) -> Result<StatusCode, Problem> {
            write::delete(&admin, &allowed, RESOURCE, &name, expected).await
        }
    };
}
pub(super) use five;
