-- Usage. What is counted by is a small number that stands for a name (`usage_names`); 0 is nobody.

-- How far the database has read each journal.
CREATE TABLE usage_journals (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    position BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What the numbers stand for.
CREATE TABLE usage_names (
    id BIGINT PRIMARY KEY,
    name TEXT COLLATE "BINARY" NOT NULL UNIQUE
);

-- `record` is the whole of it, as JSON; the other columns are what is looked for. Most requests name no user.
CREATE TABLE usage_records (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    started_at BIGINT NOT NULL,
    organization_id BIGINT NOT NULL,
    project_id BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    key_id BIGINT NOT NULL,
    model_id BIGINT NOT NULL,
    provider_id BIGINT NOT NULL,
    outcome TEXT COLLATE "BINARY" NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX usage_records_page ON usage_records (started_at);
CREATE INDEX usage_records_project ON usage_records (project_id, started_at);
CREATE INDEX usage_records_key ON usage_records (key_id, started_at);
CREATE INDEX usage_records_user ON usage_records (user_id, started_at) WHERE user_id <> 0;

-- Sums over records, by the minute, the hour, the day and five days (from days since 1970 that are multiples of five): each table tells
-- apart what it is named after, and those without a name everything. `bucket` is when the time begins, in minutes since 1970. Money is
-- in nano-dollars, times are in milliseconds, `t_…` count answers that took no longer. A row is where its key says, without a number
-- of its own. What is asked for most comes first in it.

CREATE TABLE usage_minute_by_model (
    bucket BIGINT NOT NULL, model_id BIGINT NOT NULL, provider_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, model_id, provider_id)
) /* WITHOUT ROWID */;

CREATE TABLE usage_minute (
    bucket BIGINT NOT NULL, organization_id BIGINT NOT NULL, project_id BIGINT NOT NULL, user_id BIGINT NOT NULL, key_id BIGINT NOT NULL, model_id BIGINT NOT NULL, provider_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, organization_id, project_id, user_id, key_id, model_id, provider_id)
) /* WITHOUT ROWID */;
CREATE INDEX usage_minute_of_key ON usage_minute (key_id, bucket);

CREATE TABLE usage_hour_by_model (
    bucket BIGINT NOT NULL, model_id BIGINT NOT NULL, provider_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, model_id, provider_id)
) /* WITHOUT ROWID */;

CREATE TABLE usage_hour_by_organization_and_model (
    bucket BIGINT NOT NULL, organization_id BIGINT NOT NULL, model_id BIGINT NOT NULL, provider_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, organization_id, model_id, provider_id)
) /* WITHOUT ROWID */;
CREATE INDEX usage_hour_by_organization_and_model_of_organization ON usage_hour_by_organization_and_model (organization_id, bucket);

CREATE TABLE usage_hour (
    bucket BIGINT NOT NULL, organization_id BIGINT NOT NULL, project_id BIGINT NOT NULL, user_id BIGINT NOT NULL, key_id BIGINT NOT NULL, model_id BIGINT NOT NULL, provider_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, organization_id, project_id, user_id, key_id, model_id, provider_id)
) /* WITHOUT ROWID */;
CREATE INDEX usage_hour_of_key ON usage_hour (key_id, bucket);
CREATE INDEX usage_hour_of_user ON usage_hour (user_id, bucket);
CREATE INDEX usage_hour_of_project ON usage_hour (project_id, bucket);

CREATE TABLE usage_day_by_model (
    bucket BIGINT NOT NULL, model_id BIGINT NOT NULL, provider_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, model_id, provider_id)
) /* WITHOUT ROWID */;

CREATE TABLE usage_day_by_key (
    bucket BIGINT NOT NULL, organization_id BIGINT NOT NULL, project_id BIGINT NOT NULL, user_id BIGINT NOT NULL, key_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, organization_id, project_id, user_id, key_id)
) /* WITHOUT ROWID */;
CREATE INDEX usage_day_by_key_of_key ON usage_day_by_key (key_id, bucket);
CREATE INDEX usage_day_by_key_of_user ON usage_day_by_key (user_id, bucket);
CREATE INDEX usage_day_by_key_of_project ON usage_day_by_key (project_id, bucket);

CREATE TABLE usage_day_by_project_and_model (
    bucket BIGINT NOT NULL, organization_id BIGINT NOT NULL, project_id BIGINT NOT NULL, model_id BIGINT NOT NULL, provider_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, organization_id, project_id, model_id, provider_id)
) /* WITHOUT ROWID */;
CREATE INDEX usage_day_by_project_and_model_of_project ON usage_day_by_project_and_model (project_id, bucket);
CREATE INDEX usage_day_by_project_and_model_of_organization ON usage_day_by_project_and_model (organization_id, bucket);

CREATE TABLE usage_day (
    bucket BIGINT NOT NULL, organization_id BIGINT NOT NULL, project_id BIGINT NOT NULL, user_id BIGINT NOT NULL, key_id BIGINT NOT NULL, model_id BIGINT NOT NULL, provider_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, organization_id, project_id, user_id, key_id, model_id, provider_id)
) /* WITHOUT ROWID */;
CREATE INDEX usage_day_of_key ON usage_day (key_id, bucket);
CREATE INDEX usage_day_of_user ON usage_day (user_id, bucket);
CREATE INDEX usage_day_of_project ON usage_day (project_id, bucket);

CREATE TABLE usage_days_by_key (
    bucket BIGINT NOT NULL, organization_id BIGINT NOT NULL, project_id BIGINT NOT NULL, user_id BIGINT NOT NULL, key_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, organization_id, project_id, user_id, key_id)
) /* WITHOUT ROWID */;
CREATE INDEX usage_days_by_key_of_key ON usage_days_by_key (key_id, bucket);
CREATE INDEX usage_days_by_key_of_user ON usage_days_by_key (user_id, bucket);
CREATE INDEX usage_days_by_key_of_project ON usage_days_by_key (project_id, bucket);

CREATE TABLE usage_days_by_project_and_model (
    bucket BIGINT NOT NULL, organization_id BIGINT NOT NULL, project_id BIGINT NOT NULL, model_id BIGINT NOT NULL, provider_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, organization_id, project_id, model_id, provider_id)
) /* WITHOUT ROWID */;
CREATE INDEX usage_days_by_project_and_model_of_project ON usage_days_by_project_and_model (project_id, bucket);

CREATE TABLE usage_days (
    bucket BIGINT NOT NULL, organization_id BIGINT NOT NULL, project_id BIGINT NOT NULL, user_id BIGINT NOT NULL, key_id BIGINT NOT NULL, model_id BIGINT NOT NULL, provider_id BIGINT NOT NULL,
    requests BIGINT NOT NULL, cost BIGINT NOT NULL, price BIGINT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
    failed BIGINT NOT NULL, client_gone BIGINT NOT NULL, gateway_lost BIGINT NOT NULL, unknown_usage BIGINT NOT NULL,
    estimated_usage BIGINT NOT NULL, unpriced BIGINT NOT NULL, cache_read BIGINT NOT NULL, cache_write BIGINT NOT NULL,
    reasoning BIGINT NOT NULL, images BIGINT NOT NULL, searches BIGINT NOT NULL, duration BIGINT NOT NULL, first_token BIGINT NOT NULL,
    first_tokens BIGINT NOT NULL, t_250ms BIGINT NOT NULL, t_500ms BIGINT NOT NULL, t_1s BIGINT NOT NULL, t_2s BIGINT NOT NULL,
    t_5s BIGINT NOT NULL, t_10s BIGINT NOT NULL, t_30s BIGINT NOT NULL, t_120s BIGINT NOT NULL,
    PRIMARY KEY (bucket, organization_id, project_id, user_id, key_id, model_id, provider_id)
) /* WITHOUT ROWID */;
CREATE INDEX usage_days_of_key ON usage_days (key_id, bucket);
CREATE INDEX usage_days_of_project ON usage_days (project_id, bucket);
