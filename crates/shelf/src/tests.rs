//! Tests of the shelf as its users see it: bounds, expiry, what is wrong on disk, several at once, and a death in mid-write.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_800_000_000;

/// A folder below the target folder that goes when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("lingate-shelf-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn shelf(&self, limits: Limits) -> Shelf {
        Shelf::new(Some(self.0.join("data/values")), limits)
    }

    /// All files below it.
    fn files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, files);
                } else {
                    files.push(path);
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.0, &mut files);
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn limits(total_blocks: u64, scope_blocks: u64) -> Limits {
    Limits {
        ttl: Duration::from_secs(100),
        total: total_blocks * 4096,
        per_scope: scope_blocks * 4096,
        memory: 1 << 20,
    }
}

async fn there(shelf: &Shelf, scope: &str, keys: &[&str], now: i64) -> String {
    let mut found = Vec::new();
    for key in keys {
        if shelf.get(scope, key, now).await.is_some() {
            found.push(*key);
        }
    }
    found.join(" ")
}

#[tokio::test]
async fn a_value_outlives_the_shelf_and_belongs_to_its_scope() {
    let folder = Folder::new("outlives");
    let shelf = folder.shelf(Limits::default());
    assert_eq!(
        folder.files(),
        Vec::<PathBuf>::new(),
        "nothing is made before it is needed"
    );
    assert_eq!(shelf.get("alice", "one", NOW).await, None);
    assert_eq!(
        shelf.put("alice", "one", "a".into(), NOW).await,
        Kept::OnDisk
    );
    assert_eq!(
        shelf.put("alice", "one", "b".into(), NOW).await,
        Kept::OnDisk
    );
    for shelf in [shelf, folder.shelf(Limits::default())] {
        assert_eq!(shelf.get("alice", "one", NOW).await, Some("b".into()));
        assert_eq!(shelf.get("bob", "one", NOW).await, None);
        assert_eq!(shelf.get("alice", "two", NOW).await, None);
        assert_eq!(shelf.remove("bob", "one", NOW).await, Ok(false));
        assert_eq!(shelf.trouble(), None);
    }
    let files = folder.files();
    assert_eq!(files.len(), 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&files[0]), 0o600);
    for above in files[0].ancestors().skip(1).take(3) {
        assert_eq!(mode(above), 0o700, "{}", above.display());
    }
    let path = files[0].to_string_lossy().into_owned();
    assert!(!path.contains("alice") && !path.contains("one"), "{path}");

    let (here, other) = (
        folder.shelf(Limits::default()),
        folder.shelf(Limits::default()),
    );
    assert!(here.get("alice", "one", NOW).await.is_some());
    assert_eq!(other.remove("alice", "one", NOW).await, Ok(true));
    assert_eq!(other.remove("alice", "one", NOW).await, Ok(false));
    assert_eq!(other.get("alice", "one", NOW).await, None);
    assert_eq!(
        here.get("alice", "one", NOW + Shelf::FRESH).await,
        None,
        "seen by the other"
    );
}

#[tokio::test]
async fn a_value_is_over_at_its_time() {
    for folder in [Some(Folder::new("over")), None] {
        let shelf = match &folder {
            Some(folder) => folder.shelf(limits(100, 100)),
            None => Shelf::new(None, limits(100, 100)),
        };
        shelf.put("s", "k", "v".into(), NOW).await;
        assert!(shelf.get("s", "k", NOW + 99).await.is_some());
        assert_eq!(shelf.get("s", "k", NOW + 100).await, None);
        assert_eq!(shelf.remove("s", "k", NOW + 100).await, Ok(false));
        shelf.put("s", "k", "v".into(), NOW).await;
        shelf.limit(Limits {
            ttl: Duration::from_secs(10),
            ..limits(100, 100)
        });
        assert_eq!(
            shelf.get("s", "k", NOW + 10).await,
            None,
            "a shorter time counts at once"
        );
    }
    let folder = Folder::new("swept");
    let shelf = folder.shelf(limits(1000, 1000));
    shelf.put("s", "old", "v".into(), NOW).await;
    shelf.put("s", "new", "v".into(), NOW + 3600).await;
    assert_eq!(
        folder.files().len(),
        1,
        "what is over is removed from the disk"
    );
}

#[tokio::test]
async fn the_oldest_go_first() {
    let folder = Folder::new("oldest");
    let shelf = folder.shelf(limits(8, 4));
    let keys = ["1", "2", "3", "4", "5", "6", "7"];
    for (age, key) in (0..).zip(keys) {
        shelf.put("a", key, "v".into(), NOW + age).await;
    }
    let cold = folder.shelf(limits(8, 4));
    let left = there(&cold, "a", &keys, NOW + 9).await;
    assert!(left.ends_with("6 7") && !left.contains('1'), "{left}");
    assert!(folder.files().len() <= 4);
    for (age, key) in (10..).zip(keys) {
        shelf.put("b", key, "v".into(), NOW + age).await;
        shelf.put("c", key, "v".into(), NOW + age).await;
    }
    assert!(folder.files().len() <= 8, "{}", folder.files().len());
    assert_eq!(there(&cold, "a", &["1", "2", "3"], NOW + 20).await, "");
    assert!(there(&cold, "c", &keys, NOW + 20).await.ends_with('7'));
    // All within one second.
    let burst = Folder::new("burst");
    let shelf = burst.shelf(limits(8, 4));
    for number in 0..50 {
        shelf.put("a", &number.to_string(), "v".into(), NOW).await;
        let cold = burst.shelf(limits(8, 4));
        let found = cold.get("a", &number.to_string(), NOW).await;
        assert!(found.is_some(), "{number}: the newest is there");
    }
    let shelf = folder.shelf(limits(8, 4));
    let large = Bytes::from(vec![0; 4 * 4096]);
    assert_eq!(
        shelf.put("a", "large", large, NOW + 20).await,
        Kept::TooLarge
    );
    assert_eq!(shelf.get("a", "large", NOW + 20).await, None);
}

#[tokio::test]
async fn memory_has_its_bounds_too() {
    let tight = Limits {
        memory: 16 * 1024,
        ..limits(100, 100)
    };
    let shelf = Shelf::new(None, tight);
    let value = Bytes::from(vec![7; 1024]);
    for key in 0..100 {
        let kept = shelf
            .put("loud", &key.to_string(), value.clone(), NOW)
            .await;
        assert_eq!(kept, Kept::InMemory);
        if key == 0 {
            shelf.put("quiet", "k", value.clone(), NOW).await;
        }
    }
    assert!(
        shelf.get("quiet", "k", NOW).await.is_some(),
        "one scope does not push out another"
    );
    assert!(shelf.get("loud", "99", NOW).await.is_some());
    assert_eq!(shelf.get("loud", "50", NOW).await, None);
    assert_eq!(
        shelf.put("s", "k", Bytes::from(vec![0; 9000]), NOW).await,
        Kept::TooLarge
    );
    assert_eq!(shelf.remove("loud", "99", NOW).await, Ok(true));
}

#[tokio::test]
async fn what_is_torn_or_foreign_is_not_read() {
    let folder = Folder::new("torn");
    let shelf = folder.shelf(Limits::default());
    shelf.put("s", "k", "value".into(), NOW).await;
    shelf.put("s", "other", "other".into(), NOW).await;
    let files = folder.files();
    let whole = fs::read(&files[0]).unwrap();
    let (mine, other) = {
        let value = folder.shelf(Limits::default()).get("s", "k", NOW).await;
        assert_eq!(value, Some("value".into()));
        if whole.ends_with(b"value") {
            (&files[0], &files[1])
        } else {
            (&files[1], &files[0])
        }
    };
    let whole = fs::read(mine).unwrap();
    let reads = |content: Vec<u8>| {
        fs::write(mine, content).unwrap();
        let cold = folder.shelf(Limits::default());
        async move { cold.get("s", "k", NOW).await }
    };
    for cut in 0..whole.len() {
        assert_eq!(reads(whole[..cut].to_vec()).await, None, "cut at {cut}");
        let mut turned = whole.clone();
        turned[cut] ^= 1;
        assert_eq!(reads(turned).await, None, "byte {cut}");
    }
    let longer = [whole.as_slice(), b"x"].concat();
    assert_eq!(reads(longer).await, None);
    assert_eq!(
        reads(fs::read(other).unwrap()).await,
        None,
        "another value's file"
    );
    fs::write(mine.with_file_name("notes.txt"), "somebody's").unwrap();
    fs::write(folder.0.join("data/values/notes.txt"), "somebody's").unwrap();
    fs::write(mine.with_file_name("1-1.part"), "half").unwrap();
    assert_eq!(shelf.put("s", "k", "again".into(), NOW).await, Kept::OnDisk);
    let far = NOW + 100 * 24 * 3600;
    assert_eq!(shelf.put("s", "k", "again".into(), far).await, Kept::OnDisk);
    let left: Vec<String> = folder
        .files()
        .iter()
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .collect();
    assert_eq!(
        left.iter().filter(|name| *name == "notes.txt").count(),
        2,
        "{left:?}"
    );
    assert_eq!(
        left.len(),
        3,
        "the half file is gone, the new value is there: {left:?}"
    );
}

#[tokio::test]
async fn without_a_usable_disk_it_goes_on_in_memory() {
    let folder = Folder::new("unusable");
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("data"), "a file in the way").unwrap();
    let shelf = folder.shelf(Limits::default());
    assert_eq!(shelf.put("s", "k", "v".into(), NOW).await, Kept::InMemory);
    assert_eq!(shelf.get("s", "k", NOW + 60).await, Some("v".into()));
    assert!(
        shelf
            .trouble()
            .is_some_and(|trouble| trouble.contains("values"))
    );
    assert_eq!(shelf.remove("s", "k", NOW).await, Ok(true));
    assert_eq!(shelf.remove("s", "k", NOW).await, Err(NotRemoved));
    fs::remove_file(folder.0.join("data")).unwrap();
    assert_eq!(shelf.put("s", "k", "v".into(), NOW).await, Kept::OnDisk);
    assert_eq!(shelf.trouble(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_may_use_one_folder() {
    let folder = Folder::new("several");
    let tight = limits(40, 20);
    let shelves: Vec<Arc<Shelf>> = (0..2).map(|_| Arc::new(folder.shelf(tight))).collect();
    let value = |writer: usize, round: usize| Bytes::from(format!("{writer} {round} ").repeat(500));
    let mut tasks = Vec::new();
    for writer in 0..4 {
        let shelf = Arc::clone(&shelves[writer % 2]);
        tasks.push(tokio::spawn(async move {
            for round in 0..150 {
                let scope = (round % 3).to_string();
                let key = (round % 7).to_string();
                let now = NOW + i64::try_from(round).unwrap();
                assert_eq!(
                    shelf.put(&scope, &key, value(writer, round), now).await,
                    Kept::OnDisk
                );
                if round % 5 == 0 {
                    shelf.remove(&scope, &key, now).await.unwrap();
                }
                if let Some(read) = shelf.get(&scope, &key, now + 20).await {
                    let text = std::str::from_utf8(&read).unwrap();
                    let mut words = text.split(' ');
                    let (writer, round) = (words.next().unwrap(), words.next().unwrap());
                    assert_eq!(read, value(writer.parse().unwrap(), round.parse().unwrap()));
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for shelf in shelves {
        assert_eq!(shelf.trouble(), None);
    }
    assert!(
        folder.files().iter().all(|path| path.extension().is_none()),
        "nothing half written stays"
    );
}

/// The child of the next test: writes until it is killed, and says after each value that it is stored.
#[tokio::test]
async fn child_that_writes() {
    let Ok(folder) = std::env::var("LINGATE_SHELF_CHILD") else {
        return;
    };
    let shelf = Shelf::new(Some(folder.into()), Limits::default());
    for number in 0.. {
        let value = Bytes::from(number.to_string().repeat(10_000));
        assert_eq!(
            shelf.put("s", &number.to_string(), value, NOW).await,
            Kept::OnDisk
        );
        writeln!(std::io::stdout(), "stored {number}").unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_leaves_whole_values() {
    let folder = Folder::new("killed");
    let path = folder.0.join("values");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::child_that_writes", "--nocapture"])
        .env("LINGATE_SHELF_CHILD", &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stored = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if line.unwrap().contains("stored ") {
            stored += 1;
        }
        if stored == 100 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(stored >= 100, "the child died by itself");
    let shelf = Shelf::new(Some(path), Limits::default());
    for number in 0..=stored {
        let value = shelf.get("s", &number.to_string(), NOW).await;
        match value {
            Some(value) => assert_eq!(value, number.to_string().repeat(10_000)),
            None => assert_eq!(number, stored, "what was told to be stored is there"),
        }
    }
    assert_eq!(shelf.put("s", "k", "v".into(), NOW).await, Kept::OnDisk);
}

#[derive(Debug, Clone)]
enum Step {
    Put { scope: u8, key: u8, size: usize },
    Get { scope: u8, key: u8 },
    Remove { scope: u8, key: u8 },
    Wait(i64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3u8, 0..6u8, 0..20_000usize).prop_map(|(scope, key, size)| Step::Put { scope, key, size }),
        4 => (0..3u8, 0..6u8).prop_map(|(scope, key)| Step::Get { scope, key }),
        1 => (0..3u8, 0..6u8).prop_map(|(scope, key)| Step::Remove { scope, key }),
        1 => (0..60i64).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Against a map: what is read is what was last put and neither removed nor over, and the disk is never fuller than allowed.
    #[test]
    fn it_is_a_map_that_forgets(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let folder = Folder::new("map");
        let limits = limits(16, 8);
        runtime.block_on(async {
            let mut shelf = folder.shelf(limits);
            let mut model: HashMap<(u8, u8), (Bytes, i64)> = HashMap::new();
            let mut now = NOW;
            for (number, step) in steps.into_iter().enumerate() {
                let name = |part: u8| part.to_string();
                match step {
                    Step::Put { scope, key, size } => {
                        let value = Bytes::from(vec![u8::try_from(number).unwrap(); size]);
                        let kept = shelf.put(&name(scope), &name(key), value.clone(), now).await;
                        assert_eq!(kept, Kept::OnDisk);
                        model.insert((scope, key), (value.clone(), now));
                        assert_eq!(shelf.get(&name(scope), &name(key), now).await, Some(value), "just put");
                    }
                    Step::Get { scope, key } => {
                        let read = shelf.get(&name(scope), &name(key), now).await;
                        match model.get(&(scope, key)) {
                            Some((value, put)) if now < put + 100 => {
                                assert!(read.is_none_or(|read| read == value), "another value");
                            }
                            _ => assert_eq!(read, None, "gone"),
                        }
                    }
                    Step::Remove { scope, key } => {
                        let removed = shelf.remove(&name(scope), &name(key), now).await.unwrap();
                        let known = model.remove(&(scope, key)).is_some_and(|(_, put)| now < put + 100);
                        assert!(known || !removed);
                    }
                    Step::Wait(seconds) => now += seconds,
                    Step::Restart => shelf = folder.shelf(limits),
                }
                let blocks: u64 = folder.files().iter().map(|path| fs::metadata(path).unwrap().len().div_ceil(4096)).sum();
                assert!(blocks <= 16, "{blocks} blocks");
            }
        });
    }
}
