//! Wallets, codes and invoices.

use super::verb;
use crate::resource::naming::Naming;
use crate::resource::{Does, Resource};

pub(super) static RESOURCES: &[Resource] = &[
    Resource {
        command: "wallets",
        noun: "wallet",
        about: "Wallets: what organizations have paid in advance, and what is left of it",
        after_help: "\
Examples:
  lingate wallets open acme
  lingate wallets top-up acme --amount 100 --note 'bank transfer 4711'
  lingate wallets show acme
  lingate wallets statement acme --from 2026-12-01 --csv
  lingate wallets entries acme

An organization without a wallet pays afterwards: lingate invoices. With one, its requests are refused once nothing is left.",
        naming: Naming::Organization,
        columns: &["organization_name", "balance", "credits", "spent", "overdraft", "available", "updated_at"],
        verbs: &[
            verb("list", "All wallets", "GET", "/api/v1/wallets", Does::List),
            verb("show", "The wallet of an organization", "GET", "/api/v1/wallets/{organization}", Does::Show),
            verb("open", "Open the wallet of an organization, which pays in advance from then on", "POST", "/api/v1/wallets", Does::Create),
            verb("update", "Say how far below nothing it may go", "PATCH", "/api/v1/wallets/{organization}", Does::Update),
            verb("top-up", "Put money into it", "POST", "/api/v1/wallets/{organization}/top-ups", Does::Act),
            verb("refund", "Give a payment back", "POST", "/api/v1/wallets/{organization}/refunds", Does::Destroy {
                warning: "This takes money out of the wallet of {}",
                belongs: &[],
            }),
            verb("adjust", "Correct it, up or down", "POST", "/api/v1/wallets/{organization}/adjustments", Does::Act),
            verb("entries", "What was put into it and taken out by hand", "GET", "/api/v1/wallets/{organization}/entries", Does::Columns(&["number", "at", "kind", "amount", "balance", "reference", "note", "by", "id"])),
            verb("statement", "What happened to it, adding up to the nano-dollar", "GET", "/api/v1/wallets/{organization}/statement", Does::Show),
        ],
    },
    Resource {
        command: "codes",
        noun: "code",
        about: "Codes that are good once for money or for a plan",
        after_help: "\
Examples:
  lingate codes create --count 100 --value 10 --expires 90d --out codes.csv
  lingate codes create --count 5 --plan gold --days 30
  lingate codes list
  lingate codes redeem --organization acme
  lingate codes revoke 019b76da-a800-7000-8000-000000000000 --yes

Codes are shown once, when a batch is made; only their hashes are kept. `redeem` asks for the code without echo, or reads it as a line of
standard input.",
        naming: Naming::Plain("ID"),
        columns: &["id", "count", "redeemed", "value", "plan", "days", "expires_at", "revoked_at", "note"],
        verbs: &[
            verb("list", "All batches of codes", "GET", "/api/v1/code-batches", Does::List),
            verb("show", "One batch", "GET", "/api/v1/code-batches/{batch}", Does::Show),
            verb("of", "The codes of a batch, without what they are", "GET", "/api/v1/code-batches/{batch}/codes", Does::Columns(&["place", "hint", "redeemed_at", "redeemed_by", "revoked_at"])),
            verb("create", "Make a batch of codes, which are shown once", "POST", "/api/v1/code-batches", Does::Create),
            verb("redeem", "Redeem a code for an organization", "POST", "/api/v1/codes/redeem", Does::Act),
            verb("revoke", "Make the codes of a batch worthless that nobody has redeemed", "DELETE", "/api/v1/code-batches/{batch}", Does::Destroy {
                warning: "This makes all codes of the batch {} worthless that nobody has redeemed yet",
                belongs: &[],
            }),
        ],
    },
    Resource {
        command: "invoices",
        noun: "invoice",
        about: "Invoices: what organizations used in a month, and what they owe for it",
        after_help: "\
Examples:
  lingate invoices draft --organization acme --month 2026-11
  lingate invoices issue --organization acme --month 2026-11 --due 30d
  lingate invoices list --organization acme
  lingate invoices show 019b76da-a800-7000-8000-000000000000 --html --out invoice.html
  lingate invoices credit 019b76da-a800-7000-8000-000000000000 --amount 5 --note 'an outage'",
        naming: Naming::Plain("INVOICE"),
        columns: &["number", "kind", "state", "organization", "month", "used", "prepaid", "payable", "due_at", "id"],
        verbs: &[
            verb("list", "All invoices and credit notes", "GET", "/api/v1/invoices", Does::List),
            verb("draft", "What an invoice would say, without issuing it", "GET", "/api/v1/invoices/draft", Does::Show),
            verb("issue", "Issue the invoice of a month that is over", "POST", "/api/v1/invoices", Does::Create),
            verb("show", "One invoice or credit note", "GET", "/api/v1/invoices/{id}", Does::Show),
            verb("pay", "Say that it is paid", "POST", "/api/v1/invoices/{id}/pay", Does::Act),
            verb("credit", "Take back some or all of it with a credit note", "POST", "/api/v1/invoices/{id}/credit-notes", Does::Act),
            verb("void", "Declare it void", "POST", "/api/v1/invoices/{id}/void", Does::Destroy {
                warning: "This declares the invoice {} void; its number is not used again",
                belongs: &[],
            }),
        ],
    },
];
