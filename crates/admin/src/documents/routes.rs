//! `/api/v1/routes`

super::endpoint::five!(
    Route,
    "routes",
    "/api/v1/routes",
    "/api/v1/routes/{name}",
    "list_routes",
    "create_route",
    "get_route",
    "update_route",
    "delete_route"
);
