//! Wallets from outside: an empty one refuses in every dialect, what is put in lets requests through and no more than it pays for, and
//! what is left is what the ledger says, also after a restart.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lingate_metering::Money;
use lingate_metering::tenant::Organization;
use lingate_store::{
    Code, EntryKind, NewCodeBatch, NewEntry, Redeemed, Store, Wallet, Worth, new_id,
};
use lingate_testkit::Postgres;

use crate::governance::{becomes, status};
use crate::wire::Dialect;
use crate::world::{CALLER, PATIENCE, World, good_answer, program, providers};

const DOLLAR: i64 = 1_000_000_000;

/// A dollar a request. The one organization has a wallet, the other a plan that denies the model.
const SETTINGS: &str =
    "prices: [{provider: \"up-*\", model: \"m*\", input: 0, output: 0, request: 1}]
plans: {basic: {deny_models: [m]}, pro: {models: [m, up-chat/m]}}
organizations: {acme: {projects: {web: {}}}, beta: {plan: basic, projects: {web: {}}}}
";

const OTHER: &str = "sk-canary-other-0123456789abcdef";

struct Bed {
    world: World,
    store: Store,
    folder: PathBuf,
}

impl Bed {
    async fn new(postgres: bool) -> Self {
        let folder = std::env::temp_dir().join(format!("lingate-wallets-{}", new_id()));
        std::fs::create_dir_all(&folder).unwrap();
        let database = if postgres {
            Postgres::shared().database()
        } else {
            format!("sqlite:{}", folder.join("shared.db").display())
        };
        let configuration = |upstream: &_| {
            let providers = providers(upstream);
            format!(
                "database: \"{database}\"\n{SETTINGS}api_keys: [{{name: laptop, key: {CALLER}, project: acme/web}}, {{name: other, key: {OTHER}, project: beta/web}}]\n{providers}"
            )
        };
        let world = World::configured(configuration, good_answer).await;
        let store = Store::open(&database.parse().unwrap(), &folder)
            .await
            .unwrap();
        Self {
            world,
            store,
            folder,
        }
    }

    async fn wallet(&self) -> Wallet {
        let acme = Organization::named("acme").id;
        self.store.wallet(acme).await.unwrap().unwrap()
    }

    /// Waits until so many dollars are spent.
    async fn spent(&self, dollars: i64) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.wallet().await.spent.nano() == dollars * DOLLAR {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never {dollars}: {:?}", self.wallet().await);
    }

    async fn codes(&self, count: u32, worth: Worth) -> Vec<Code> {
        let batch = NewCodeBatch {
            count,
            worth,
            prefix: String::new(),
            note: None,
            per_organization: None,
            expires_at: None,
        };
        self.store.make_codes(batch).await.unwrap().1
    }

    async fn done(self) {
        self.store.close().await;
        drop(self.world);
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

async fn an_empty_wallet_refuses_until_something_is_put_in(postgres: bool) {
    let mut bed = Bed::new(postgres).await;
    let acme = Organization::named("acme").id;
    becomes(&bed.world, CALLER, 200).await;
    let (wallet, _) = bed
        .store
        .open_wallet(acme, "acme", Money::ZERO)
        .await
        .unwrap();
    assert_eq!(wallet.balance(), Money::ZERO);
    let reason = would_be_refused(&bed.world).await;
    assert!(
        reason.starts_with("the wallet of organization acme is empty"),
        "{reason}"
    );
    for dialect in Dialect::ALL {
        for stream in [true, false] {
            let answer = bed.world.ask(dialect, "up-chat/m", stream).await;
            // Gemini's own word for a quota that is used up has a status of its own.
            assert!(
                answer.status == 402 || dialect == Dialect::Gemini,
                "{dialect:?}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(answer.status >= 400);
            let message = dialect.refusal(&answer);
            assert!(
                message.contains("the wallet of organization acme"),
                "{dialect:?}: {message}"
            );
            assert_eq!(answer.header("x-should-retry"), "false", "{dialect:?}");
        }
    }
    let chat = bed.world.ask(Dialect::Chat, "up-chat/m", false).await;
    assert_eq!(chat.json()["error"]["code"], "insufficient_quota");
    // Requests before the wallet was opened are nobody's debt; they may still be on their way to the database.
    let codes = bed
        .codes(1, Worth::Money(Money::from_nano(3 * DOLLAR)))
        .await;
    let redeemed = bed.store.redeem(&codes[0], acme, "acme").await.unwrap();
    assert!(
        matches!(&redeemed, Redeemed::Money(booked) if booked.is_new),
        "{redeemed:?}"
    );
    becomes(&bed.world, CALLER, 200).await;
    let mut passed = 1;
    while status(&bed.world, CALLER).await == 200 {
        passed += 1;
        assert!(passed <= 3, "the wallet holds three dollars");
    }
    assert_eq!(passed, 3);
    bed.spent(3).await;
    assert_eq!(bed.wallet().await.balance(), Money::ZERO);

    bed.world.gateway.kill_and_start(program()).await.unwrap();
    would_be_refused(&bed.world).await;
    assert_eq!(status(&bed.world, CALLER).await, 402);
    let top_up = NewEntry {
        kind: EntryKind::TopUp,
        amount: Money::from_nano(2 * DOLLAR),
        reference: None,
        of: None,
        note: None,
        forced: false,
    };
    bed.store.book(acme, "acme", top_up).await.unwrap();
    becomes(&bed.world, CALLER, 200).await;
    assert_eq!(status(&bed.world, CALLER).await, 200);
    assert_eq!(status(&bed.world, CALLER).await, 402);
    bed.spent(5).await;
    let today = wallet.opened_at / (24 * 60 * 60 * 1000);
    let statement = bed
        .store
        .statement(acme, today - 1, today + 3)
        .await
        .unwrap();
    assert_eq!(statement.closing, Money::ZERO);
    let used: u64 = statement.usage.iter().map(|day| day.requests).sum();
    assert_eq!(used, 5);
    bed.done().await;
}

/// Waits until a check says that a request would be refused, and by what. Nothing is asked meanwhile that would count.
async fn would_be_refused(world: &World) -> String {
    let bearer = format!("Bearer {CALLER}");
    let path = "/api/v1/limits/check?key=laptop&model=up-chat%2Fm&input_tokens=1&max_tokens=10";
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let headers = [("authorization", bearer.as_str())];
        let told = world.send("GET", path, &headers, b"").await.json();
        if told["passes"] == false {
            return told["reason"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never refused; log: {}", world.gateway.log());
}

async fn time_of_a_plan_holds_within_moments(postgres: bool) {
    let bed = Bed::new(postgres).await;
    let beta = Organization::named("beta").id;
    let denied = status(&bed.world, OTHER).await;
    assert!((400..500).contains(&denied), "{denied}");
    let worth = Worth::Plan {
        plan: "pro".into(),
        days: 30,
    };
    let codes = bed.codes(1, worth).await;
    // Who pays afterwards can have a plan, and no money.
    let redeemed = bed.store.redeem(&codes[0], beta, "beta").await.unwrap();
    assert!(
        matches!(redeemed, Redeemed::Plan { is_new: true, .. }),
        "{redeemed:?}"
    );
    becomes(&bed.world, OTHER, 200).await;
    bed.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_wallet_refuses_with_sqlite() {
    an_empty_wallet_refuses_until_something_is_put_in(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_wallet_refuses_with_postgres() {
    an_empty_wallet_refuses_until_something_is_put_in(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_of_a_plan_holds_with_sqlite() {
    time_of_a_plan_holds_within_moments(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_of_a_plan_holds_with_postgres() {
    time_of_a_plan_holds_within_moments(true).await;
}
