//! Claims about the catalogue and its file.

use super::*;

fn skill(name: &str) -> Skill {
    Skill::new(name).expect("a skill")
}

#[track_caller]
fn check_refused(text: &str, expect: &str) {
    let error = Catalogue::parse("mine.toml", text).expect_err(text);
    let shown = error.to_string();
    assert!(shown.starts_with(expect), "{shown}\nshould begin with\n{expect}");
}

#[test]
fn the_built_in_catalogue_has_the_built_in_skills() {
    let names: Vec<String> = Catalogue::built_in().skills().map(ToString::to_string).collect();
    for name in ["code-review", "echo", "http", "shell"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    assert!(Catalogue::built_in().iter().all(|(_, entry)| !entry.about.is_empty()));
}

#[test]
fn an_entry_says_what_differs_from_the_defaults() {
    let text = r#"a = {}
b = { lease = "30s", timeout = "5m", max_attempts = 2, backoff = "2s..1m", costly = true, events = "full", max_bytes = "64MiB", history_share = "10%" }
"#;
    let all = Catalogue::parse("mine.toml", text).expect("well formed");
    assert_eq!(all.get(&skill("a")), Some(&SkillEntry::default()));
    let b = all.get(&skill("b")).expect("an entry");
    assert_eq!(b.policy.lease, Duration::from_secs(30));
    assert_eq!((b.policy.policy.max_attempts, b.policy.is_costly), (2, true));
    assert_eq!((b.max_bytes, b.history_share), (Some(64 << 20), Some(10)));
}

#[test]
fn a_refusal_names_file_line_key_and_what_is_allowed() {
    check_refused("a = {}\nb = { leese = \"1s\" }\n", "mine.toml:2: b.leese: unknown key; allowed are about, lease,");
    check_refused("a = { lease = 10 }", "mine.toml:1: a.lease: `10` is not a duration from \"200ms\" to \"1h\"");
    check_refused("a = { lease = \"2h\" }", "mine.toml:1: a.lease: `2h` is not a duration from");
    check_refused("a = { timeout = \"0s\" }", "mine.toml:1: a.timeout: `0s` is not a duration from \"1ms\"");
    check_refused("a = { max_attempts = 0 }", "mine.toml:1: a.max_attempts: `0` is not a whole number from 1 to 1000");
    check_refused("a = { backoff = \"5m..1s\" }", "mine.toml:1: a.backoff: `5m..1s` is not two durations");
    check_refused("a = { costly = \"yes\" }", "mine.toml:1: a.costly: `yes` is not true or false");
    check_refused("a = { events = \"all\" }", "mine.toml:1: a.events: `all` is not \"default\" or \"full\"");
    check_refused("a = { max_bytes = \"9\" }", "mine.toml:1: a.max_bytes: `9` is not a size");
    check_refused("a = { history_share = \"95%\" }", "mine.toml:1: a.history_share: `95%` is not a share");
    check_refused("a = { rate = \"fast\" }", "mine.toml:1: a.rate: `fast` is not at most so many per s, m or h");
    check_refused("a = { rate = \"100/s burst 1\" }", "mine.toml:1: a.rate: `100/s burst 1` is not");
    check_refused("a = { key_rate = \"1/s\" }", "mine.toml:1: a.key_rate: only a skill with keyed = true has it");
    check_refused("a = { about = \"x\\ny\" }", "mine.toml:1: a.about: the sentence holds");
    check_refused("Echo = {}", "mine.toml:1: skill `Echo` is not");
    check_refused("a = {}\na = {}", "mine.toml:2: duplicate key");
    check_refused("\n\na = {", "mine.toml:");
}

#[test]
fn a_rate_is_said_in_one_text() {
    let text = "a = { rate = \"100/s\" }\nb = { rate = \"20/m burst 5\", key_rate = \"5/h\", keyed = true }";
    let all = Catalogue::parse("mine.toml", text).expect("well formed");
    let policy = |name: &str| all.get(&skill(name)).expect("an entry").policy.clone();
    assert_eq!((policy("a").rate, policy("a").key_rate), ("100/s".parse().ok(), None));
    assert_eq!((policy("b").rate, policy("b").key_rate), ("20/m burst 5".parse().ok(), "5/h".parse().ok()));
}

#[test]
fn a_keyed_skill_says_how_its_keys_are_kept() {
    let text = "a = { keyed = true }\nb = { partitions = 4, keyed = true, key_concurrency = 3 }\nc = { keyed = false }";
    let all = Catalogue::parse("mine.toml", text).expect("well formed");
    let keyed = |name: &str| all.get(&skill(name)).expect("an entry").policy.keyed;
    assert_eq!(keyed("a"), Some(Keyed { partitions: 8, concurrency: 1 }));
    assert_eq!(keyed("b"), Some(Keyed { partitions: 4, concurrency: 3 }));
    assert_eq!(keyed("c"), None);
    check_refused("a = { partitions = 4 }", "mine.toml:1: a.partitions: only a skill with keyed = true has it");
    check_refused(
        "a = { keyed = true, partitions = 65 }",
        "mine.toml:1: a.partitions: `65` is not a whole number from",
    );
    check_refused("a = { keyed = 1 }", "mine.toml:1: a.keyed: `1` is not true or false");
}

#[test]
fn only_one_line_per_skill_is_accepted() {
    for text in ["[a]\nlease = \"1s\"", "a.lease = \"1s\"", "a = 1", "[skills]\na = {}", "[[a]]\nlease = \"1s\""] {
        let error = Catalogue::parse("mine.toml", text).expect_err(text);
        assert!(error.to_string().contains("write it as one line"), "{error}");
    }
}

#[test]
fn a_user_line_stands_in_place_of_a_built_in_one() {
    let mine = Catalogue::parse("mine.toml", "echo = { lease = \"1m\" }\nresize = {}").expect("well formed");
    let all = Catalogue::built_in().with(mine);
    assert_eq!(all.get(&skill("echo")).expect("echo").policy.lease, Duration::from_secs(60));
    assert!(all.get(&skill("resize")).is_some() && all.get(&skill("http")).is_some());
}

#[test]
fn adding_and_removing_keep_comments_and_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new/skills.toml");
    let before = "# mine\nb = {} # last of its kind\n# between\na = { about = \"x\" }";
    assert_eq!(SkillFile::open_or_new(&path).expect("an empty file").text(), "");
    std::fs::create_dir(folder.path().join("new")).expect("a folder");
    std::fs::write(&path, before).expect("written");
    let mut file = SkillFile::open(&path).expect("well formed");

    let mut policy = SkillPolicy { lease: Duration::from_secs(90), is_costly: true, ..SkillPolicy::default() };
    policy.policy.max_attempts = 2;
    let entry = SkillEntry { about: "says \"hi\"".into(), policy, max_bytes: Some(2 << 30), history_share: Some(5) };
    file.add(&skill("c"), &entry).expect("added");
    let added = "c = { about = 'says \"hi\"', lease = \"90s\", max_attempts = 2, costly = true, max_bytes = \"2GiB\", history_share = \"5%\" }\n";
    assert_eq!(file.text(), format!("{before}\n{added}"));
    assert_eq!(file.catalogue().get(&skill("c")), Some(&entry));
    assert!(matches!(file.add(&skill("c"), &entry), Err(SkillFileError::Exists { .. })));

    file.remove(&skill("b")).expect("removed");
    assert!(matches!(file.remove(&skill("b")), Err(SkillFileError::Missing { .. })));
    assert_eq!(file.text(), format!("# mine\n# between\na = {{ about = \"x\" }}\n{added}"));

    file.save().expect("saved");
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), file.text());
    assert_eq!(Catalogue::read(&path).expect("read back"), *file.catalogue());
    assert_eq!(std::fs::read_dir(path.parent().expect("a folder")).expect("readable").count(), 1, "no file left over");
}

#[test]
fn what_may_not_be_read_may_not_be_added() {
    let mut file = SkillFile::open_or_new("none/skills.toml").expect("empty");
    let mut entry = SkillEntry::default();
    entry.policy.lease = Duration::from_secs(7200);
    assert!(matches!(file.add(&skill("c"), &entry), Err(SkillFileError::Catalogue(_))));
    assert_eq!(file.text(), "");
}
