//! `/api/v1/providers`

super::endpoint::five!(
    Provider,
    "providers",
    "/api/v1/providers",
    "/api/v1/providers/{name}",
    "list_providers",
    "create_provider",
    "get_provider",
    "update_provider",
    "delete_provider"
);
