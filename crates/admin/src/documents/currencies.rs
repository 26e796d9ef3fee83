//! `/api/v1/currencies`

super::endpoint::five!(
    Currency,
    "currencies",
    "/api/v1/currencies",
    "/api/v1/currencies/{name}",
    "list_currencies",
    "create_currency",
    "get_currency",
    "update_currency",
    "delete_currency"
);
