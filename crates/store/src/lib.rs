//! The database: SQLite or PostgreSQL, from one SQL text. The only place that knows SQL.
//!
//! [`Store::open`] brings the schema up to date or says why it cannot serve. Organizations, projects, users and keys are created,
//! read, listed, changed and deleted by one set of operations ([`Entity`]). Whoever changes one of them holds the store's revision
//! while he does, so that changes are seen in their order, on every replica ([`Watch`]).
//!
//! [`Writer`] takes usage records from journals into it, with their sums; reports read sums only.

mod account;
mod attempt;
mod audit;
mod batch;
mod change;
mod code;
mod database;
mod document;
mod entity;
mod error;
mod guess;
mod idempotency;
mod identity;
mod invitation;
mod invoice;
mod job;
mod key;
mod list;
mod membership;
mod migrate;
mod payment;
mod pending_sign_in;
mod provider_key;
mod report;
mod retention;
mod rollup;
mod rows;
mod sealed;
mod second_factor;
mod session;
mod sign_in_provider;
mod store;
mod token;
mod url;
mod wallet;
mod watch;
mod writer;

pub use account::{
    Account, AccountChange, AccountFilter, AccountPage, Credentials, NewAccount, folded, is_address,
};
pub use attempt::{Attempt, BackOff};
pub use audit::{
    Act, ActorKind, AuditEvent, AuditFilter, AuditNote, AuditOutcome, AuditPage, Broken, Chain,
    Deed,
};
pub use batch::Batch;
pub use change::{Changes, Deleted, Replica};
pub use code::{Code, CodeBatch, CodeState, MOST_CODES, MOST_DAYS, NewCodeBatch, Redeemed, Worth};
pub use document::{Document, Documents};
pub use entity::{Entity, Kind, Revision, Stored, new_id};
pub use error::{StoreError, Unfit};
pub use guess::Guesses;
pub use idempotency::{Claim, KEPT};
pub use identity::Identity;
pub use invitation::{
    Acceptance, Invitation, InvitationFilter, InvitationPage, Inviter, NewInvitation, Standing,
};
pub use invoice::{
    BadMonth, Document as InvoiceDocument, Invoice, InvoiceFilter, InvoiceKind, InvoiceLine,
    InvoiceState, Month, NewInvoice, Party, Shown as ShownCurrency, Sums, Tax,
};
pub use job::{Job, JobState};
pub use key::mint;
pub use list::{Called, Filter, Order, Page, Position, Reach};
pub use membership::{Member, MemberPage, Membership, MembershipFilter, NewMembership, Place};
pub use payment::{Payment, PaymentEffect, PaymentEvent, PaymentOutcome, TakenEvent};
pub use pending_sign_in::PendingSignIn;
pub use provider_key::{KeptSecret, NewProviderKey, ProviderKey, ProviderKeyChange};
pub use report::{RecordsPage, Report, ReportRow, UsageFilter, UsageQuery, Used};
pub use retention::{Ages, Expired};
pub use rollup::{Dimension, Grain, LATENCIES, Measure};
pub use sealed::{Resealed, SEALED, SealedColumn};
pub use session::{NewSession, Proved, Session, SignedIn};
pub use sign_in_provider::SignInProvider;
pub use store::{Absence, Looked, Store};
pub use token::{NewToken, Token, TokenShown};
pub use url::{BadUrl, DatabaseUrl};
pub use wallet::{
    Booked, Entry, EntryFilter, EntryKind, LONGEST_STATEMENT, MOST_MONEY, NewEntry, Statement,
    UsageDay, Wallet,
};
pub use watch::Watch;
pub use writer::{Writer, WriterHealth, Wrote};
