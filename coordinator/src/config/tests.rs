use super::*;

fn home(name: &str) -> Option<String> {
    (name == "HOME").then(|| "/home/eve".to_owned())
}

fn file(text: &str) -> File {
    File::parse(Path::new("config.toml"), text).expect("a valid file")
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let defaults = Settings::resolve(Given::default(), &File::default(), &home).expect("defaults");
    assert_eq!(defaults.data_dir, Path::new("/home/eve/.local/share/orchestrator"));
    let database = "/home/eve/.local/share/orchestrator/orchestrator.db";
    assert_eq!(defaults.store, StoreUrl::Sqlite(database.into()));
    assert!(!defaults.store_is_explicit);

    let file = file("data-dir = '/srv/fleet'\nstore = 'etcd://a:2379,b:2379'");
    let from_file = Settings::resolve(Given::default(), &file, &home).expect("from the file");
    assert_eq!(from_file.data_dir, Path::new("/srv/fleet"));
    assert_eq!(from_file.store.to_string(), "etcd://a:2379,b:2379");

    let given = Given { store: Some("sqlite:/tmp/x.db".into()), ..Given::default() };
    let from_flag = Settings::resolve(given, &file, &home).expect("from the flag");
    assert_eq!(from_flag.store, StoreUrl::Sqlite("/tmp/x.db".into()));
    assert_eq!(from_flag.socket(), Path::new("/srv/fleet/orchestrator.sock"));
}

#[test]
fn the_users_data_home_counts_and_a_relative_one_does_not() {
    let env = |data: &'static str| {
        move |name: &str| match name {
            "XDG_DATA_HOME" => Some(data.to_owned()),
            other => home(other),
        }
    };
    let resolve = |env: &dyn Fn(&str) -> Option<String>| {
        Settings::resolve(Given::default(), &File::default(), env).map(|settings| settings.data_dir)
    };
    assert_eq!(resolve(&env("/data")).expect("settings"), Path::new("/data/orchestrator"));
    assert_eq!(resolve(&env("data")).expect("settings"), Path::new("/home/eve/.local/share/orchestrator"));
    assert!(matches!(resolve(&|_: &str| None), Err(ConfigError::Homeless)));
}

#[test]
fn addresses_are_checked_where_they_are_given() {
    let given = |store: &str| Given { store: Some(store.into()), ..Given::default() };
    let error =
        Settings::resolve(given("postgres://a:1"), &File::default(), &home).expect_err("no store of ours");
    assert!(error.hint().is_some_and(|hint| hint.contains("sqlite:PATH")), "{error}");
    for (text, good) in [("http://a:1", true), ("unix:/a", true), ("https://", false), ("a:1", false)] {
        assert_eq!(check_coordinator(text).is_ok(), good, "{text}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    let error = File::parse(Path::new("config.toml"), "stor = 'sqlite:x'").expect_err("a typo");
    let said = error.to_string();
    assert!(
        said.starts_with("config.toml:1: ") && said.contains("`stor`") && said.contains("`store`"),
        "{said}"
    );
    let error = File::parse(Path::new("config.toml"), "output = 'json'\n\n= 1").expect_err("no TOML");
    let said = error.to_string();
    assert!(said.starts_with("config.toml:3: ") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_key_in_the_file_shows_in_no_error() {
    for line in [
        "key = 'sk-ant-topsecret'",
        "api_key = 'sk-ant-topsecret'",
        "key = ['sk-ant-topsecret']",
        "key = sk-ant-topsecret",
    ] {
        let text = format!("[[llm.high]]\nprovider = 'anthropic'\nurl = 'https://x'\nmodel = 'm'\n{line}\n");
        let error = File::parse(Path::new("config.toml"), &text).expect_err("a key has no place there");
        let told = format!("{error} {error:?}");
        assert!(told.contains("line") && !told.contains("topsecret"), "{told}");
    }
}

#[test]
fn the_history_of_etcd_is_kept_for_an_hour_or_as_it_is_said() {
    let kept = |text: &str| {
        Settings::resolve(Given::default(), &file(text), &home).map(|settings| settings.keeps_history)
    };
    assert_eq!(kept("").expect("settings"), Some(Duration::from_secs(3600)));
    assert_eq!(kept("[etcd]\nkeep-history = '2m'").expect("settings"), Some(Duration::from_secs(120)));
    assert_eq!(kept("[etcd]\nkeep-history = 'off'").expect("settings"), None);
    for bad in ["1s", "never", "-1h", ""] {
        let error = kept(&format!("[etcd]\nkeep-history = '{bad}'")).expect_err("no good duration");
        assert!(error.hint().is_some_and(|hint| hint.contains("off")), "{bad}: {error}");
    }
}
