//! Fixtures: each `.yml` with the environment in its comments, beside it what comes out. `LINGATE_BLESS=1` writes them anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lingate_dialect::DialectId;
use lingate_metering::tenant::{Directory, KeySecret, Source as Part};
use lingate_routing::{Ask, Defaults, Kind, Stated, plan};
use secrecy::ExposeSecret;

use super::*;

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    assert!(files.len() > 3);
    files
}

/// The lines `# env: NAME=value`.
fn environment(text: &str) -> Environment {
    text.lines()
        .filter_map(|line| line.strip_prefix("# env: ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn load_text(text: &str) -> Result<Loaded, Problems> {
    read(text, "lingate.yml", Path::new("."), &environment(text))
}

fn check(expected: &Path, found: &str) {
    if std::env::var_os("LINGATE_BLESS").is_some() {
        std::fs::write(expected, found).unwrap();
    }
    let expect = std::fs::read_to_string(expected).unwrap_or_default();
    let different = found
        .lines()
        .zip(expect.lines())
        .find(|(found, expect)| found != expect);
    assert!(
        found == expect,
        "{}: first different line: {different:?}",
        expected.display()
    );
}

#[test]
fn good_files_have_this_effect() {
    for path in fixtures("good") {
        let text = std::fs::read_to_string(&path).unwrap();
        let directory = path.parent().unwrap();
        let loaded = read(&text, "lingate.yml", directory, &environment(&text))
            .unwrap_or_else(|problems| panic!("{}:\n{problems}", path.display()));
        let mut found = effective(&loaded);
        for note in &loaded.notes {
            writeln!(found, "# {note}").unwrap();
        }
        check(&path.with_extension("out"), &found);
        for provider in &loaded.snapshot.providers {
            for key in provider.keys.keys().filter(|key| !key.is_none()) {
                assert!(
                    !found.contains(key.secret().expose_secret()),
                    "{}",
                    path.display()
                );
            }
        }
        for secret in ["secret-password", "blue-team-secret", "caller-key"] {
            assert!(!found.contains(secret), "{} shows {secret}", path.display());
        }
        // What is shown is YAML, and but for masked secrets a configuration.
        tree::parse(&found, &Source::file("effective")).unwrap();
    }
}

/// Who there is, what limits them and what is charged, read again from what is shown of it.
#[test]
fn what_is_shown_reads_the_same() {
    for name in ["limits", "tenants", "prices"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/good/{name}.yml"));
        let text = std::fs::read_to_string(&path).unwrap();
        let directory = path.parent().unwrap();
        let first = read(&text, "lingate.yml", directory, &environment(&text)).unwrap();
        let shown = effective(&first);
        let mut pieces = shown.split("\"…\"");
        let mut unmasked = pieces.next().unwrap_or_default().to_owned();
        for (place, piece) in pieces.enumerate() {
            write!(unmasked, "caller-key-shown-{place:04}{piece}").unwrap();
        }
        let unmasked = unmasked.replace('…', "x");
        let second = load_text(&unmasked).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        let sections = |loaded: &Loaded| {
            let tree = effective::tree(loaded);
            ["organizations", "api_keys", "prices", "plans", "currencies"]
                .map(|section| tree.get(section).cloned())
        };
        assert_eq!(sections(&first), sections(&second), "{name}");
        let limits = |loaded: &Loaded| {
            let declared = &loaded.declared;
            let keys = declared.keys.iter().map(|key| &key.rules);
            let users = declared.users.iter().map(|user| &user.rules);
            let projects = declared.projects.iter().map(|project| &project.rules);
            let organizations = declared.organizations.iter().map(|one| &one.rules);
            let all = keys.chain(users).chain(projects).chain(organizations);
            all.flat_map(|rules| rules.limits.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(limits(&first), limits(&second), "{name}");
        assert_eq!(limits(&first).is_empty(), name == "prices");
    }
}

#[test]
fn bad_files_have_these_problems() {
    for path in fixtures("bad") {
        let text = std::fs::read_to_string(&path).unwrap();
        let directory = path.parent().unwrap();
        let problems = read(&text, "lingate.yml", directory, &environment(&text)).unwrap_err();
        let found = format!("{problems}\n");
        assert!(!found.contains("secret@"), "{found}");
        check(&path.with_extension("out"), &found);
    }
}

#[test]
fn one_mistake_one_problem() {
    for (text, expect) in [
        (
            "providers:\n  openai:\n    keyz: [a]\n",
            "lingate.yml:3:5: providers.openai.keyz: unknown key; did you mean `keys`?",
        ),
        (
            "provders: {}\n",
            "lingate.yml:1:1: provders: unknown key; did you mean `providers`?",
        ),
        ("zzz: 1\n", "lingate.yml:1:1: zzz: unknown key"),
        (
            "mode:\n  - direct\n",
            "lingate.yml:2:3: mode: expected one of transform, direct",
        ),
        (
            "providers: openai\n",
            "lingate.yml:1:12: providers: expected keys and values",
        ),
        (
            "listen: '::1'\nauth: open\nproviders: {a: {base_url: 'http://[::1]:8080', keys: [k]}}\n",
            "lingate.yml:3:27: providers.a.base_url: points at this gateway itself",
        ),
        (
            "providers: {openai: {keys: ['${NOPE}']}}\n",
            "lingate.yml:1:29: providers.openai.keys.0: the environment variable NOPE is not set; write `${NOPE:-}` if it may be missing",
        ),
        (
            "api_keys: ['file:/nonexistent']\n",
            "lingate.yml:1:12: api_keys.0: the secret's file /nonexistent cannot be read: No such file or directory (os error 2)",
        ),
        ("a: 1\n\ta: 2\n", "lingate.yml:1:4: not YAML: "),
    ] {
        let found = load_text(text).unwrap_err().to_string();
        assert!(
            found == expect || (expect.ends_with(": ") && found.starts_with(expect)),
            "{text}\n{found}"
        );
    }
}

#[test]
fn values_are_substituted() {
    for (text, expect) in [
        ("# env: N=5\ndefaults: {max_tokens: '${N}'}\n", 5),
        ("# env: N=5\ndefaults: {max_tokens: '1${N}2'}\n", 152),
        ("defaults: {max_tokens: '${N:-7}'}\n", 7),
        ("# env: N=\ndefaults: {max_tokens: '${N:-7}'}\n", 7),
        ("defaults: {max_tokens: '${N:-}'}\n", 8192),
        ("defaults: {max_tokens: 16_384}\n", 16_384),
        ("defaults: {max_tokens: }\n", 8192),
        ("defaults:\n", 8192),
    ] {
        assert_eq!(
            load_text(text).unwrap().snapshot.defaults.max_tokens,
            expect,
            "{text}"
        );
    }
    let escaped =
        load_text("providers: {a: {base_url: 'http://h', keys: ['$${N}-literal']}}\n").unwrap();
    let key = escaped.snapshot.providers[0].keys.keys().next().unwrap();
    assert_eq!(key.secret().expose_secret(), "${N}-literal");
}

#[test]
fn addresses() {
    for (text, expect) in [
        ("127.0.0.1:9", Some("127.0.0.1:9")),
        ("localhost:9", Some("127.0.0.1:9")),
        ("9", Some("127.0.0.1:9")),
        (":9", Some("0.0.0.0:9")),
        ("*:9", Some("0.0.0.0:9")),
        ("10.0.0.1", Some("10.0.0.1:8080")),
        ("[::1]:9", Some("[::1]:9")),
        ("::1", Some("[::1]:8080")),
        ("[::]", Some("[::]:8080")),
        ("example.com:9", None),
        ("127.0.0.1:99999", None),
        ("", None),
    ] {
        let expect = expect.map(|text| text.parse().unwrap());
        assert_eq!(address(text), expect, "{text}");
    }
}

#[test]
fn the_demo_answers_when_nobody_else_can() {
    for (text, expect) in [
        ("", true),
        ("# env: OPENAI_API_KEY=sk-1\n", false),
        ("providers: {openai: {}}\n", true),
        ("providers: {ollama: {}}\n", false),
        ("auth: passthrough\n", false),
        ("auth: passthrough\nproviders: {openai: {}}\n", false),
        ("# env: OPENAI_API_KEY=sk-1\nproviders: {demo: {}}\n", true),
    ] {
        let snapshot = load_text(text).unwrap().snapshot;
        let demo = snapshot
            .providers
            .iter()
            .any(|provider| provider.kind == Kind::Demo);
        assert_eq!(demo, expect, "{text}");
        let ask = Ask {
            model: "claude-opus-5-5",
            dialect: DialectId::Chat,
            stream: true,
            facts: &lingate_routing::Stated::default(),
        };
        let found = plan(&snapshot, &ask, &mut || 0);
        assert!(found.is_ok(), "{text}: {found:?}");
    }
}

/// As it is listed, so it can be asked for, also beside others.
#[test]
fn the_demo_is_served_by_its_name() {
    let text = "providers: {demo: {}, local: {base_url: http://127.0.0.1:1, keys: [none]}}\n";
    let snapshot = load_text(text).unwrap().snapshot;
    let ask = Ask {
        model: "demo",
        dialect: DialectId::Chat,
        stream: false,
        facts: &lingate_routing::Stated::default(),
    };
    let plan = plan(&snapshot, &ask, &mut || 0).unwrap();
    assert_eq!(plan.targets().next().unwrap().provider.kind, Kind::Demo);
}

#[test]
fn passthrough_without_providers_reaches_the_catalogue() {
    let snapshot = load_text("auth: passthrough\nlisten: 0.0.0.0:1\n")
        .unwrap()
        .snapshot;
    for (model, expect) in [
        ("gpt-4o", "openai"),
        ("claude-opus-5", "anthropic"),
        ("groq/x", "groq"),
        ("gemini-4-carbon", "gemini"),
    ] {
        let ask = Ask {
            model,
            dialect: DialectId::Gemini,
            stream: false,
            facts: &lingate_routing::Stated::default(),
        };
        assert_eq!(
            plan(&snapshot, &ask, &mut || 0)
                .unwrap()
                .targets()
                .next()
                .unwrap()
                .provider
                .name,
            expect
        );
    }
}

#[test]
fn callers_keys_are_kept_as_hashes() {
    let loaded = load_text("# env: K=key-of-the-environment\nlisten: 0.0.0.0:1\napi_keys: ['${K}', {name: alice, key: key-of-alice}]\n").unwrap();
    assert_eq!(loaded.snapshot.auth, Auth::Keys);
    let shown = format!("{loaded:?}");
    let parts = vec![(Part::Configuration, loaded.declared)];
    let (directory, conflicts) = Directory::build(parts);
    assert_eq!(conflicts, []);
    for (secret, expect) in [
        ("key-of-alice", Some("alice")),
        ("key-of-the-environment", Some("key-1")),
        ("alice", None),
    ] {
        let found = directory.showing(&KeySecret::of(secret, None).sha256);
        let found = found.map(|shown| shown.principal.name());
        assert_eq!(found, expect, "{secret}");
    }
    assert!(!shown.contains("key-of-"), "{shown}");
}

#[test]
fn the_template_is_valid_and_true() {
    let loaded = load_text(template()).unwrap();
    assert_eq!(loaded.notes, []);
    assert_eq!(loaded.snapshot.defaults, Defaults::default());
    assert_eq!(loaded.settings, Settings::default());

    // With every commented key switched on it is still valid.
    let is_key = |rest: &str| {
        let key = rest.split(':').next().unwrap_or_default();
        rest.starts_with("  ") || (rest.contains(':') && !key.is_empty() && !key.contains(' '))
    };
    let lines: Vec<&str> = template()
        .lines()
        .map(|line| {
            line.strip_prefix("# ")
                .filter(|rest| is_key(rest))
                .unwrap_or(line)
        })
        .collect();
    let on = lines
        .join("\n")
        .replace("file:/run/secrets/alice", "key-of-alice");
    let environment: Environment = [
        ("LINGATE_API_KEY", "k-1"),
        ("OPENAI_API_KEY", "k-2"),
        ("WORK_KEY", "k-3"),
        ("MOONSHOT_API_KEY", "k-4"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let loaded = read(&on, "lingate.yml", Path::new("."), &environment)
        .unwrap_or_else(|problems| panic!("{problems}\n{on}"));
    assert_eq!(
        (
            loaded.snapshot.providers.len(),
            loaded.snapshot.routes.len()
        ),
        (6, 2),
        "{on}"
    );
    assert_eq!(loaded.notes, [], "{on}");
}

/// Every key that the schema names, as a document that holds just this key.
fn keys(schema: &serde_json::Value, above: &str, indent: usize, out: &mut Vec<(String, String)>) {
    let pad = "  ".repeat(indent);
    for alternative in schema["anyOf"].as_array().into_iter().flatten() {
        keys(alternative, above, indent, out);
    }
    if let Some(items) = schema.get("items") {
        keys(items, &format!("{above}{pad}-\n"), indent + 1, out);
    }
    if let Some(inner) = schema
        .get("additionalProperties")
        .filter(|inner| inner.is_object())
    {
        keys(inner, &format!("{above}{pad}anything:\n"), indent + 1, out);
    }
    let named = schema["properties"].as_object().into_iter().flatten();
    for (key, inner) in named {
        let document = format!("{above}{pad}{key}:\n");
        out.push((key.clone(), document.clone()));
        keys(inner, &document, indent + 1, out);
    }
}

#[test]
fn the_schema_names_the_keys_that_are_read() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let mut named = Vec::new();
    keys(&schema, "", 0, &mut named);
    assert!(named.len() > 60, "{}", named.len());
    for (key, document) in named {
        let found =
            load_text(&document).map_or_else(|problems| problems.to_string(), |_| String::new());
        assert!(
            !found.contains("unknown key") && !found.contains("not YAML"),
            "{document}{found}"
        );
        let misspelt = document.replace(&format!("{key}:\n"), &format!("{key}x:\n"));
        let found = load_text(&misspelt).unwrap_err().to_string();
        assert!(found.contains("unknown key"), "{misspelt}{found}");
    }
}

#[test]
fn a_missing_file_is_a_problem() {
    let found = load(
        Some(Path::new("/nonexistent/lingate.yml")),
        &Environment::default(),
    )
    .unwrap_err();
    assert!(
        found
            .to_string()
            .starts_with("/nonexistent/lingate.yml: cannot be read: "),
        "{found}"
    );
}

#[test]
fn changes_are_noticed() {
    let folder = std::env::temp_dir().join(format!("lingate-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("lingate.yml");
    let secret = folder.join("key");
    std::fs::write(&file, "defaults: {max_tokens: 1}\n").unwrap();
    let environment = Environment::default();
    let loaded = load(Some(&file), &environment).unwrap();
    let mut watcher = Watcher::new(&loaded, environment, Arc::default());
    let mut look = || match watcher.poll() {
        Change::None => "none".to_owned(),
        Change::New(loaded) => {
            let keys = loaded.snapshot.providers[0].keys.keys();
            let labels: Vec<String> = keys.map(|key| key.label().to_owned()).collect();
            format!(
                "{} {}",
                loaded.snapshot.defaults.max_tokens,
                labels.join(" ")
            )
        }
        Change::Broken(problems) => problems.to_string().rsplit(": ").next().unwrap().to_owned(),
    };

    assert_eq!([look(), look()], ["none", "none"]);
    // Rewritten with the same content: nothing has changed.
    std::fs::write(&file, "defaults: {max_tokens: 1}\n").unwrap();
    assert_eq!([look(), look()], ["none", "none"]);
    // A change counts once it holds still.
    std::fs::write(&file, "defaults: {max_to").unwrap();
    assert_eq!(look(), "none");
    std::fs::write(&file, "defaults: {max_tokens: 2}\n").unwrap();
    assert_eq!([look(), look(), look()], ["none", "2 none", "none"]);
    // A broken file is told once.
    std::fs::write(&file, "defaults: {max_tokenz: 2}\n").unwrap();
    assert_eq!(
        [look(), look(), look()],
        ["none", "unknown key; did you mean `max_tokens`?", "none"]
    );
    // So is a missing one, which may come back.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(look(), "none");
    assert!(look().contains("No such file"));
    // The files of secrets count, too.
    std::fs::write(&secret, "secret-1111").unwrap();
    std::fs::write(&file, "providers: {openai: {keys: ['file:key']}}\n").unwrap();
    assert_eq!([look(), look(), look()], ["none", "8192 …1111", "none"]);
    std::fs::write(&secret, "secret-2222").unwrap();
    assert_eq!([look(), look(), look()], ["none", "8192 …2222", "none"]);
    // A file that is named before it is there is found when it comes.
    std::fs::write(&file, "providers: {openai: {keys: ['file:other']}}\n").unwrap();
    assert_eq!(look(), "none");
    assert!(look().contains("No such file"));
    assert_eq!(look(), "none");
    std::fs::write(folder.join("other"), "secret-3333").unwrap();
    assert_eq!([look(), look()], ["8192 …3333", "none"]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn timeouts_are_durations() {
    let loaded =
        load_text("defaults: {connect_timeout: 250ms, request_timeout: 1h30m, idle_timeout: 5}\n")
            .unwrap();
    let defaults = loaded.snapshot.defaults;
    assert_eq!(defaults.connect_timeout, Duration::from_millis(250));
    assert_eq!(defaults.request_timeout, Duration::from_mins(90));
    assert_eq!(defaults.idle_timeout, Duration::from_secs(5));
}

/// The YAML blocks of a guide, each as it is loaded; there is something to say about none.
fn examples(guide: &str) -> Vec<(String, Loaded)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(guide);
    let text = std::fs::read_to_string(file).unwrap();
    let environment: Environment = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ALICE_KEY"]
        .into_iter()
        .map(|name| (name.to_owned(), format!("{name}-0001")))
        .collect();
    let blocks = text.split("```yaml\n").skip(1);
    blocks
        .map(|rest| {
            let (block, _) = rest.split_once("```").unwrap();
            let loaded = read(block, guide, Path::new("."), &environment)
                .unwrap_or_else(|problems| panic!("{block}\n{problems}"));
            let notes: Vec<String> = loaded.notes.iter().map(ToString::to_string).collect();
            assert!(notes.is_empty(), "{block}\n{notes:?}");
            (block.to_owned(), loaded)
        })
        .collect()
}

#[test]
fn the_guides_show_configurations_and_the_same_in_both_languages() {
    for (guide, least) in [("routing", 6), ("governance", 5)] {
        let english = examples(&format!("{guide}.md"));
        let chinese = examples(&format!("{guide}.zh-CN.md"));
        assert!(english.len() >= least, "{guide}");
        assert_eq!(english.len(), chinese.len(), "{guide}");
        for ((_, english), (block, chinese)) in english.iter().zip(&chinese) {
            assert_eq!(effective(english), effective(chinese), "{block}");
        }
    }
}

#[test]
fn the_slots_of_coding_agents_are_routes() {
    let examples = examples("routing.md");
    let (_, loaded) = examples
        .iter()
        .find(|(block, _)| block.starts_with("# slots"))
        .unwrap();
    let stated = Stated::default;
    let tools = |name: &str| vec![name.to_owned()];
    for (model, facts, expect) in [
        ("claude-opus-4-5", stated(), "claude-sonnet-4-5"),
        ("claude-haiku-4-5", stated(), "gpt-4o-mini"),
        ("subagent", stated(), "claude-sonnet-4-5"),
        (
            "claude-opus-4-5",
            Stated {
                thinking: true,
                ..stated()
            },
            "claude-opus-4-5",
        ),
        (
            "claude-opus-4-5",
            Stated {
                tokens: 60_001,
                thinking: true,
                ..stated()
            },
            "gpt-4.1",
        ),
        (
            "claude-opus-4-5",
            Stated {
                tokens: 60_000,
                ..stated()
            },
            "claude-sonnet-4-5",
        ),
        (
            "claude-haiku-4-5",
            Stated {
                tools: tools("web_search"),
                ..stated()
            },
            "gpt-4o-mini",
        ),
        (
            "claude-opus-4-5",
            Stated {
                tools: tools("web_search"),
                thinking: true,
                ..stated()
            },
            "claude-sonnet-4-5",
        ),
        (
            "claude-opus-4-5",
            Stated {
                tools: tools("Bash"),
                images: true,
                ..stated()
            },
            "gpt-4o",
        ),
    ] {
        let ask = Ask {
            model,
            dialect: DialectId::Messages,
            stream: true,
            facts: &facts,
        };
        let route = loaded
            .snapshot
            .routes
            .iter()
            .find(|route| route.model.matches(model) && route.when.holds(&ask))
            .unwrap();
        let target = route.targets[0].model.as_deref();
        assert_eq!(target, Some(expect), "{facts:?}");
    }
}

/// What the size of a pool and of a table costs; run it by name to see the figures.
#[test]
fn large_configurations_are_read() {
    let folder = std::env::temp_dir().join(format!("lingate-large-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut keys = String::new();
    for number in 0..10_000 {
        writeln!(keys, "sk-proj-0123456789abcdef0123456789abcdef-{number:06}").unwrap();
    }
    std::fs::write(folder.join("keys.txt"), keys).unwrap();
    let mut text =
        "providers:\n  openai: {keys: [{file: keys.txt, tags: [pool]}]}\nroutes:\n".to_owned();
    for number in 0..10_000 {
        let next = number + 1;
        writeln!(
            text,
            "  - {{model: model-{number}, when: {{tenant: t{number}}}, targets: [{{provider: openai, keys: [pool]}}], fallbacks: [model-{next}]}}"
        )
        .unwrap();
    }
    text.push_str("  - {model: \"model-*\", targets: [openai]}\n");
    let began = std::time::Instant::now();
    let loaded = read(&text, "lingate.yml", &folder, &Environment::default()).unwrap();
    eprintln!("10,000 keys and 10,000 routes: {:?}", began.elapsed());
    assert_eq!(loaded.snapshot.providers[0].keys.len(), 10_000);
    assert_eq!(loaded.snapshot.routes.len(), 10_001);
    std::fs::remove_dir_all(folder).unwrap();
}
