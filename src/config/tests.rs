use super::{Config, ConfigError};
use toml::{Table, Value};

fn refusal(text: &str) -> ConfigError {
    Config::from_toml(text).unwrap_err()
}

#[test]
fn nothing_at_all_is_a_configuration() {
    assert_eq!(Config::from_toml("").unwrap(), Config::default());
    assert_eq!(Config::default().check(), Ok(()));
}

#[test]
fn the_commented_file_names_every_setting_with_its_default() {
    let text = include_str!("../../deploy/anteroom.toml");
    let file: Table = text.parse().unwrap();
    let defaults = Config::defaults().unwrap();
    for (section, settings) in &defaults {
        let Some(Value::Table(written)) = file.get(section) else { panic!("[{section}] is missing") };
        for (key, value) in settings.as_table().unwrap() {
            assert_eq!(written.get(key), Some(value), "{key} in [{section}]");
        }
    }
    assert_eq!(file, defaults, "the file has something that the code has not");
    assert_eq!(Config::from_toml(text).unwrap(), Config::default());
}

#[test]
fn every_setting_of_the_commented_file_has_a_comment_above_it() {
    let text = include_str!("../../deploy/anteroom.toml");
    let mut above = "";
    for line in text.lines() {
        let is_setting = line.chars().next().is_some_and(|first| first.is_ascii_lowercase() || first == '[');
        assert!(!is_setting || above.starts_with('#'), "no comment above: {line}");
        above = line;
    }
}

#[test]
fn a_slip_is_named_with_its_line_and_what_was_meant() {
    let slip = refusal("[listen]\n\nprot = 80\n");
    assert_eq!(slip.line, Some(3));
    assert_eq!(slip.message, "unknown setting `prot` in [listen]; did you mean `port`?");

    let section = refusal("# mine\n[lisen]\nport = 80\n");
    assert_eq!(
        (section.line, &*section.message),
        (Some(2), "unknown section [lisen]; did you mean [listen]?")
    );
}

#[test]
fn a_setting_in_the_wrong_section_is_sent_to_the_right_one() {
    let moved = refusal("[http]\nworkers = 2\n");
    assert_eq!(moved.line, Some(2));
    assert!(moved.message.ends_with("`workers` is a setting of [node]"), "{moved}");
    let bare = refusal("workers = 2\n");
    assert!(bare.message.ends_with("`workers` is a setting of [node]"), "{bare}");
}

#[test]
fn wrong_types_and_wrong_toml_are_placed() {
    let high = refusal("[listen]\nport = \"high\"\n");
    assert_eq!(high.line, Some(2));
    assert!(high.message.starts_with("`port` in [listen]: "), "{}", high.message);
    assert_eq!(refusal("[listen]\nport = 70000\n").line, Some(2));
    assert_eq!(refusal("[listen]\nport = = 1\n").line, Some(2));
    assert_eq!(refusal("listen = 3\n").line, Some(1));
    assert_eq!(refusal("[listen]\nhttp = [\n \"127.0.0.1\",\n \"localhost\"]\n").line, Some(4));
}

#[test]
fn values_that_cannot_be_had_are_placed() {
    for (text, line, says) in [
        ("[node]\nworkers = 257\n", 2, "`workers` in [node]"),
        ("[tokens]\nsecret = \"short\"\n", 2, "at least 32"),
        ("[tokens]\nleeway_seconds = 61\n", 2, "above 60"),
        ("[admin]\nkey = \"short\"\n", 2, "at least 16"),
        ("[http]\nallowed_origins = [\"meet.example\"]\n", 2, "no origin"),
        ("[listen]\nhttp = []\n", 2, "at least one address"),
        ("[listen]\nadvertised = [\"192.0.2.1\", \"0.0.0.0\"]\n", 2, "no address"),
        ("[listen]\nmedia = [\"0.0.0.0\", \"::1\", \"127.0.0.1\"]\n", 2, "127.0.0.1 too"),
        ("[listen]\nport = 9464\n", 1, "port of the HTTP door"),
        ("[listen]\nhttp = [\"::\"]\nport = 90\nmetrics = \"127.0.0.1:90\"\n", 4, "port of the HTTP"),
        ("[listen]\nmedia_port = 65535\n\n[node]\nworkers = 2\n", 2, "65535"),
        ("[rooms]\nmode = \"group\"\nmax_active_talkers = 17\n", 3, "1 to 16"),
        ("[rooms]\nmax_participants = 0\n", 2, "`max_participants`"),
        ("[media]\nin_flight_ms = 501\n", 2, "above 500"),
        ("[media]\nhold_ms = 21\n", 2, "above 20"),
        ("[media]\npublisher_kbps = 499\n", 2, "not within 500"),
        ("[log]\nfilter = \"\"\n", 2, "empty"),
        ("[store]\npath = \"\"\n", 2, "name a folder"),
        ("[store]\npath = \"a\\u0000b\"\n", 2, "name a folder"),
    ] {
        let error = refusal(text);
        assert_eq!(error.line, Some(line), "{text}");
        assert!(error.message.contains(says), "{error}");
    }
}

#[test]
fn a_server_without_a_secret_stays_on_loopback() {
    let exposed = refusal("[listen]\nhttp = [\"0.0.0.0\"]\n");
    assert_eq!(exposed.line, Some(2));
    assert!(exposed.message.contains("`secret` in [tokens]"), "{exposed}");
    let secret = "0123456789abcdef0123456789abcdef";
    let closed = format!("[listen]\nhttp = [\"0.0.0.0\"]\n[tokens]\nsecret = \"{secret}\"\n");
    let config = Config::from_toml(&closed).unwrap();
    assert!(!format!("{config:?}").contains(secret));
}
