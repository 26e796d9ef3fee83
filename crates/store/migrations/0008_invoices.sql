-- Invoices and credit notes. Money is in nano-dollars. A row is written when it is issued, and says the same ever after, but for
-- `state` and `settled_at`.
CREATE TABLE invoices (
    id TEXT COLLATE "BINARY" PRIMARY KEY,
    -- `invoice` or `credit_note`.
    kind TEXT COLLATE "BINARY" NOT NULL,
    -- `INV-2027-000001`: without a gap in a year.
    number TEXT COLLATE "BINARY" NOT NULL UNIQUE,
    organization_id TEXT COLLATE "BINARY" NOT NULL,
    -- Months since January 1970, in UTC.
    month BIGINT NOT NULL,
    -- `issued`, `paid` or `void`.
    state TEXT COLLATE "BINARY" NOT NULL,
    -- What a credit note takes from.
    invoice_id TEXT COLLATE "BINARY" REFERENCES invoices (id),
    payable BIGINT NOT NULL,
    issued_at BIGINT NOT NULL,
    due_at BIGINT,
    settled_at BIGINT,
    document TEXT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX invoices_organization ON invoices (organization_id, month);
CREATE INDEX invoices_of ON invoices (invoice_id);

-- The last number that was given in a year.
CREATE TABLE invoice_numbers (
    kind TEXT COLLATE "BINARY" NOT NULL,
    year BIGINT NOT NULL,
    last BIGINT NOT NULL,
    PRIMARY KEY (kind, year)
);
