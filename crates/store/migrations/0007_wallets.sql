-- What organizations have paid in advance. Money is in nano-dollars.

-- `credits` is the sum of all entries, `spent` the price of all usage that began at `opened_at` or later: what is left is the difference.
-- There is no reference to `organizations`: what was paid outlives whom it belongs to.
CREATE TABLE wallets (
    organization_id TEXT COLLATE "BINARY" PRIMARY KEY,
    opened_at BIGINT NOT NULL,
    credits BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    overdraft BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX wallets_revision ON wallets (revision);

-- Only ever added to. `number` is from 1 on without a gap; `balance` is what was left afterwards.
CREATE TABLE wallet_entries (
    organization_id TEXT COLLATE "BINARY" NOT NULL REFERENCES wallets (organization_id),
    number BIGINT NOT NULL,
    id TEXT COLLATE "BINARY" NOT NULL UNIQUE,
    at BIGINT NOT NULL,
    kind TEXT COLLATE "BINARY" NOT NULL,
    amount BIGINT NOT NULL,
    balance BIGINT NOT NULL,
    reference TEXT COLLATE "BINARY" NOT NULL,
    of_entry TEXT COLLATE "BINARY",
    note TEXT,
    actor_kind TEXT COLLATE "BINARY" NOT NULL,
    actor_id TEXT COLLATE "BINARY" NOT NULL,
    actor_name TEXT NOT NULL,
    PRIMARY KEY (organization_id, number),
    UNIQUE (organization_id, kind, reference)
);
CREATE INDEX wallet_entries_of ON wallet_entries (of_entry);

-- The parts of `spent`, by the day in UTC (from 1970 on) that a request began in.
CREATE TABLE wallet_days (
    organization_id TEXT COLLATE "BINARY" NOT NULL,
    day BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    PRIMARY KEY (organization_id, day)
);

-- Plans for some time, one after the other, as JSON: `[{"plan": …, "begins": …, "ends": …}]`.
CREATE TABLE plan_terms (
    organization_id TEXT COLLATE "BINARY" PRIMARY KEY,
    terms TEXT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX plan_terms_revision ON plan_terms (revision);

-- Codes that can be redeemed once, for `amount` or for `days` of `plan`.
CREATE TABLE code_batches (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    prefix TEXT COLLATE "BINARY" NOT NULL,
    note TEXT,
    count BIGINT NOT NULL,
    amount BIGINT,
    plan TEXT COLLATE "BINARY",
    days BIGINT,
    per_organization BIGINT,
    expires_at BIGINT,
    revoked_at BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL
);

-- `sha256` is of the code in capitals without dashes; `hint` is its last four characters.
CREATE TABLE codes (
    sha256 TEXT COLLATE "BINARY" PRIMARY KEY,
    batch_id TEXT COLLATE "BINARY" NOT NULL REFERENCES code_batches (id),
    place BIGINT NOT NULL,
    hint TEXT COLLATE "BINARY" NOT NULL,
    revoked_at BIGINT,
    redeemed_at BIGINT,
    organization_id TEXT COLLATE "BINARY",
    redeemed_by TEXT,
    UNIQUE (batch_id, place)
);
CREATE INDEX codes_of_organization ON codes (organization_id, batch_id);

-- What payment services have told, without what would tell of cards.
CREATE TABLE payment_events (
    provider TEXT COLLATE "BINARY" NOT NULL,
    id TEXT COLLATE "BINARY" NOT NULL,
    kind TEXT COLLATE "BINARY" NOT NULL,
    created_at BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    outcome TEXT COLLATE "BINARY" NOT NULL,
    payment TEXT COLLATE "BINARY",
    organization_id TEXT COLLATE "BINARY",
    detail TEXT,
    event TEXT NOT NULL,
    PRIMARY KEY (provider, id)
);
CREATE INDEX payment_events_received ON payment_events (received_at);

-- Payments that were credited. `minor` and `refunded_minor` are in the smallest unit of the currency.
CREATE TABLE payments (
    provider TEXT COLLATE "BINARY" NOT NULL,
    id TEXT COLLATE "BINARY" NOT NULL,
    organization_id TEXT COLLATE "BINARY" NOT NULL,
    entry_id TEXT COLLATE "BINARY" NOT NULL,
    currency TEXT COLLATE "BINARY" NOT NULL,
    minor BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    refunded BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (provider, id)
);
