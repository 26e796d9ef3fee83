//! `/api/v1/plans`

super::endpoint::five!(
    Plan,
    "plans",
    "/api/v1/plans",
    "/api/v1/plans/{name}",
    "list_plans",
    "create_plan",
    "get_plan",
    "update_plan",
    "delete_plan"
);
