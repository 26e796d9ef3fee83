//! `/api/v1/prices`

super::endpoint::five!(
    Price,
    "prices",
    "/api/v1/prices",
    "/api/v1/prices/{name}",
    "list_prices",
    "create_price",
    "get_price",
    "update_price",
    "delete_price"
);
