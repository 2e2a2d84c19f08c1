//! The configuration as people write it: what is taken, what is named as a mistake, and what is warned of.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
};

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::from_environment(variables, Flags::default(), Accounts::NotNeeded)
}

/// The one mistake in a variable's value.
fn mistake(name: &str, value: &str) -> String {
    let mistakes = read(&[(name, value)]).expect_err(value).mistakes;
    assert_eq!(mistakes.len(), 1, "{value:?}: {mistakes:?}");
    mistakes.into_iter().next().expect("one")
}

fn warnings(variables: &[(&str, &str)]) -> Vec<String> {
    read(variables).expect("a good configuration").warnings
}

#[test]
fn webhooks_need_an_application_a_place_and_somebody_whom_they_tell_of() {
    let url = ("OURA_WEBHOOK_URL", "https://oura.example/webhook");
    assert!(mistake(url.0, url.1).starts_with("OURA_WEBHOOK_URL: needs OURA_CLIENT_ID and OURA_CLIENT_SECRET"));
    let application =
        [url, ("OURA_CLIENT_ID", "id"), ("OURA_CLIENT_SECRET", "secret"), ("OURA_STATE_DIR", "/tmp/oura")];
    assert_eq!(warnings(&application), [""; 0]);
    for shard in ["0/2", "2/3", "999/1000"] {
        let said = read(&[&application[..], &[("OURA_SHARD", shard)]].concat()).expect_err(shard).mistakes;
        assert_eq!(said.len(), 1, "{said:?}");
        for words in ["OURA_WEBHOOK_URL, OURA_SHARD: ", "to one address", "unset OURA_SHARD"] {
            assert!(said[0].contains(words), "{shard}: {said:?}");
        }
    }
    assert_eq!(warnings(&[&application[..], &[("OURA_SHARD", "0/1")]].concat()), [""; 0], "it has all accounts");
    let unknown = [&application[..], &[("OURA_ACCESS_TOKEN", "token"), ("OURA_COLLECTIONS", "sleep")]].concat();
    assert!(warnings(&unknown)[0].contains("add it to OURA_COLLECTIONS"), "{:?}", warnings(&unknown));
}

#[cfg(feature = "postgres")]
#[test]
fn of_a_database_that_is_named_wrongly_nothing_else_is_said() {
    let given = |url| {
        let application = [("OURA_CLIENT_ID", "id"), ("OURA_CLIENT_SECRET", "secret"), ("OURA_STATE_DIR", "/tmp/oura")];
        let variables = [&application[..], &[("OURA_TOKEN_STORE", url)]].concat();
        [Accounts::Needed, Accounts::MayCome].map(|accounts| {
            let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
            let wrong = Config::from_environment(variables, Flags::default(), accounts).expect_err(url).mistakes;
            assert_eq!(wrong.len(), 1, "{url}: {wrong:?}");
            wrong.into_iter().next().expect("one")
        })
    };
    for (url, cause) in [
        ("postgres://h", "names no "),
        ("mysql://oura:hush@h/d", "postgres://"),
        ("host=db.example user=oura", "not the URL of a database"),
        ("postgres://oura:hush@h/d?sslmode=prefer", "sslmode"),
    ] {
        for wrong in given(url) {
            assert!(wrong.starts_with("OURA_TOKEN_STORE: ") && wrong.contains(cause), "{url}: {wrong}");
            assert!(!wrong.contains("hush"), "{wrong}");
        }
    }
}

#[test]
fn blanks_around_a_value_do_not_count() {
    let config = read(&[
        ("OURA_STATE_DIR", " /var/lib/oura\r"),
        ("OURA_POLL_INTERVAL", "\t10m "),
        ("OURA_REDIRECT_URI", " http://localhost:10058/callback/ \n"),
        ("OURA_API_URL", " http://localhost:1 "),
        ("OURA_JOB", "ring\r\n"),
        ("OURA_ACCESS_TOKEN", "  t0k3n\r"),
        ("OURA_SCOPES", "   "),
        ("OURA_CLIENT_ID", " id "),
        ("OURA_CLIENT_SECRET", " secret\n"),
    ]);
    let config = config.expect("a good configuration");
    assert_eq!(config.sign_in.store.expect("a store").directory().to_str(), Some("/var/lib/oura"));
    assert_eq!(config.poll_interval, Duration::from_secs(600));
    let application = config.sign_in.application.expect("an application");
    assert_eq!(application.redirect_uri, "http://localhost:10058/callback/", "byte for byte");
    assert!(application.scopes.is_empty());
    assert_eq!((config.api_url.as_str(), config.samples.target.job.as_str()), ("http://localhost:1/", "ring"));
    assert_eq!(config.accounts.len(), 1);
}

#[test]
fn a_value_in_quotation_marks_is_named_and_not_repeated() {
    let secret = "s3cret";
    for value in
        [format!("\"{secret}\""), format!("'{secret}'"), format!("“{secret}”"), format!("\"{secret}"), "\"\"".into()]
    {
        for name in ["OURA_ACCESS_TOKEN", "OURA_STATE_DIR", "OURA_POLL_INTERVAL", "OURA_REMOTE_WRITE_URL"] {
            let said = mistake(name, &value);
            assert!(said.starts_with(&format!("{name}: the value is in quotation marks")), "{said}");
            assert!(said.ends_with("write it without them") && !said.contains(secret), "{said}");
        }
    }
    let variables = [("OURA_REMOTE_WRITE_USERNAME", "anna"), ("OURA_REMOTE_WRITE_PASSWORD", "\"begins-so")];
    assert!(read(&variables).is_ok(), "a password may");
}

#[test]
fn a_request_budget_is_a_number_that_somebody_can_mean() {
    for (text, words) in [
        ("0", "is less than one account needs, which is 10; write 4000"),
        ("9", "is less than one account needs"),
        ("-4000", "is not a number of requests in digits; write 4000"),
        ("4,000", "is not a number of requests in digits"),
        ("4000/5m", "is not a number of requests in digits"),
        ("lots", "is not a number of requests in digits"),
        ("4e3", "is not a number of requests in digits"),
        ("1000001", "is more than 1000000; write 4000"),
        ("18446744073709551615", "is more than 1000000"),
        ("18446744073709551616", "is not a number of requests in digits"),
    ] {
        let said = mistake("OURA_REQUEST_BUDGET", text);
        assert!(said.starts_with(&format!("OURA_REQUEST_BUDGET: \"{text}\" {words}")), "{said}");
    }
    let good = |text: &str| read(&[("OURA_REQUEST_BUDGET", text)]).expect("a good budget").request_budget;
    assert_eq!([good(""), good(" 10 "), good("5000"), good("1000000")], [4000, 10, 5000, 1_000_000]);
    let of_shard = |shard: &str, more: &[(&str, &str)]| {
        read(&[&[("OURA_SHARD", shard)], more].concat()).expect("a good configuration").request_budget
    };
    let shards = ["0/1", "2/3", "0/7", "399/400", "999/1000"].map(|shard| of_shard(shard, &[]));
    assert_eq!(shards, [4000, 1333, 571, 10, 10], "together no more than one alone, as long as an account can be read");
    let explicit = ["0/3", "2/3"].map(|shard| of_shard(shard, &[("OURA_REQUEST_BUDGET", "1500")]));
    assert_eq!(explicit, [1500; 2], "what somebody says holds as it is");
    assert_eq!(warnings(&[("OURA_REQUEST_BUDGET", "5000")]), [""; 0]);
    let said = warnings(&[("OURA_REQUEST_BUDGET", "5001")]);
    assert!(said.len() == 1 && said[0].starts_with("OURA_REQUEST_BUDGET: above 5000, which is all"), "{said:?}");
}

#[test]
fn a_byte_order_mark_is_named_wherever_an_editor_puts_it() {
    for name in ["OURA_CLIENT_ID", "OURA_STATE_DIR", "OURA_LOG"] {
        let said = mistake(name, "\u{feff}value");
        assert!(said.starts_with(&format!("{name}: the value begins with a byte order mark")), "{said}");
    }
    let said = warnings(&[("\u{feff}OURA_STATE_DIR", "/var/lib/oura")]);
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("OURA_STATE_DIR: the name begins with a byte order mark"), "{said:?}");
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    for (text, words) in
        [("\u{feff}t0k3n\n", "byte order mark"), ("\"t0k3n\"\n", "quotation marks"), ("t0 k3n", "not a token")]
    {
        fs::write(&file, text).expect("it is written");
        let said = mistake("OURA_ACCESS_TOKEN_FILE", path);
        assert!(said.starts_with("OURA_ACCESS_TOKEN_FILE: ") && said.contains(words), "{said}");
        assert!(!said.contains("k3n"), "{said}");
    }
}

#[test]
fn what_only_a_shell_understands_is_named() {
    for value in ["~/oura", "~", "~anna/oura", "$HOME/oura", "${HOME}/oura"] {
        for name in ["OURA_STATE_DIR", "OURA_CLIENT_ID_FILE", "OURA_REMOTE_WRITE_PASSWORD_FILE"] {
            let mistakes = read(&[(name, value)]).expect_err(value).mistakes;
            assert!(
                mistakes[0].starts_with(&format!("{name}: \"{value}\" begins with something that only a shell")),
                "{mistakes:?}"
            );
        }
    }
    for value in ["oura", "./oura", "../state/oura"] {
        let said = mistake("OURA_STATE_DIR", value);
        assert!(said.contains("is a relative path") && said.ends_with("write /var/lib/oura-exporter"), "{said}");
    }
    assert!(mistake("OURA_JOB", "two\nlines").contains("line break"));
}

#[test]
fn a_shard_that_is_none_is_named_with_what_to_write() {
    for (value, words) in [
        ("16/16", "\"16/16\" names a shard that is not there: they count from 0, so the last of 16 is 15/16"),
        ("oura-exporter-2/3", "is not a shard and their number; write 0/3 for the first of three, 2/3 for the last"),
        ("1/0", "write 0/3 for the first of three"),
    ] {
        let said = mistake("OURA_SHARD", value);
        assert!(said.starts_with(&format!("OURA_SHARD: \"{value}\" ")) && said.contains(words), "{said}");
    }
}

#[test]
fn urls_hold_what_is_of_use_there() {
    for (name, value, words) in [
        ("OURA_API_URL", "https://proxy.example/?key=1", "has a query"),
        ("OURA_API_URL", "https://proxy.example/#top", "has a fragment"),
        ("OURA_API_URL", "api.ouraring.com", "does not begin with https://"),
        ("OURA_TOKEN_URL", "https://proxy.example/token#x", "has a fragment"),
        ("OURA_REMOTE_WRITE_URL", "http://localhost:8428/api/v1/write#x", "has a fragment"),
        ("OURA_REDIRECT_URI", "localhost:10058/callback", "write http://localhost:10058/callback"),
        ("OURA_REDIRECT_URI", "http://localhost:10058/callback#x", "has a fragment"),
        ("OURA_REDIRECT_URI", "http://anna:s3cret@localhost/callback", "with a user or password in it"),
        ("OURA_REDIRECT_URI", "yes", "does not begin with https://"),
    ] {
        let said = mistake(name, value);
        assert!(said.starts_with(&format!("{name}: ")) && said.contains(words) && !said.contains("s3cret"), "{said}");
    }
    let config = read(&[("OURA_REMOTE_WRITE_URL", "http://localhost:8428/api/v1/write?extra_label=a=b")]);
    let url = config.expect("receivers take options in the query").samples.remote_write_url;
    assert_eq!(url.as_deref(), Some("http://localhost:8428/api/v1/write?extra_label=a=b"));
}

#[test]
fn scopes_are_those_that_oura_knows() {
    let scopes = |text: &str| {
        let variables = [("OURA_CLIENT_ID", "id"), ("OURA_CLIENT_SECRET", "secret"), ("OURA_SCOPES", text)];
        read(&variables).map(|config| config.sign_in.application.expect("an application").scopes)
    };
    assert_eq!(scopes("daily, heartrate  daily,spo2").expect("good scopes"), ["daily", "heartrate", "spo2"]);
    for (text, words) in [
        ("daily heart_rate", r#"OURA_SCOPES: "heart_rate" is not a scope; did you mean heartrate?"#),
        ("Daily", "did you mean daily?"),
        ("spo2Daily", r#""spo2Daily" is not a scope; choose from"#),
        (",", "names no scope; leave it unset for all"),
    ] {
        let mistakes = scopes(text).expect_err(text).mistakes;
        assert!(mistakes.len() == 1 && mistakes[0].contains(words), "{mistakes:?}");
    }
}

#[test]
fn a_variable_that_does_not_exist_is_named_once() {
    for (name, words) in [
        ("OURA_STATE_DIRECTORY", "OURA_STATE_DIRECTORY: there is no such variable; "),
        ("OURA_COLECTIONS", "did you mean OURA_COLLECTIONS?"),
        ("oura_client_id", "oura_client_id: there is no such variable; did you mean OURA_CLIENT_ID?"),
        ("OURA_TOKEN", "OURA_TOKEN: there is no such variable; oura-exporter --help lists them all"),
    ] {
        let said = warnings(&[(name, "x")]);
        assert!(said.len() == 1 && said[0].contains(words), "{said:?}");
    }
    let of_a_cluster = [
        ("OURA_EXPORTER_SERVICE_HOST", "10.0.0.1"),
        ("OURA_EXPORTER_SERVICE_PORT_METRICS", "10058"),
        ("OURA_EXPORTER_PORT", "tcp://10.0.0.1:10058"),
        ("OURA_PORT_10058_TCP_ADDR", "10.0.0.1"),
        ("FLOURA_X", "not ours"),
    ];
    assert_eq!(warnings(&of_a_cluster), Vec::<String>::new());
}

#[test]
fn every_url_that_carries_a_secret_in_the_open_is_warned_of() {
    for name in
        ["OURA_API_URL", "OURA_TOKEN_URL", "OURA_FALLBACK_TOKEN_URL", "OURA_AUTHORIZE_URL", "OURA_REMOTE_WRITE_URL"]
    {
        let said = warnings(&[(name, "http://proxy.example/oura")]);
        assert!(
            said.len() == 1 && said[0].starts_with(&format!("{name}: ")) && said[0].contains("unencrypted"),
            "{said:?}"
        );
        assert_eq!(warnings(&[(name, "https://proxy.example/oura")]), Vec::<String>::new());
        assert_eq!(warnings(&[(name, "http://127.0.0.1:8080/oura")]), Vec::<String>::new());
    }
    let said = warnings(&[
        ("OURA_REMOTE_WRITE_URL", "http://203.0.113.9/write"),
        ("OURA_REMOTE_WRITE_BEARER_TOKEN", "s3cret"),
    ]);
    assert!(said[0].contains("the password or token") && !said[0].contains("s3cret"), "{said:?}");
}

#[test]
fn addresses_of_every_kind_are_taken_and_what_is_none_is_named() {
    let address = |text: &str| read(&[("OURA_LISTEN_ADDRESS", text)]).map(|config| config.listen_address);
    for (text, taken) in [
        (":::10058", "[::]:10058"),
        ("[::]:10058", "[::]:10058"),
        ("::1:10058", "[::1]:10058"),
        ("[::1]:10058", "[::1]:10058"),
        (":10058", "0.0.0.0:10058"),
        ("0.0.0.0:10058", "0.0.0.0:10058"),
        ("localhost:10058", "localhost:10058"),
    ] {
        assert_eq!(address(text).as_deref(), Ok(taken), "{text}");
    }
    for text in
        ["10058", "::1", "[::1]", "*:10058", "http://localhost:10058", "::10058", "localhost:99999", "[::1:10058"]
    {
        assert!(mistake("OURA_LISTEN_ADDRESS", text).ends_with("write 127.0.0.1:10058"), "{text}");
    }
}

#[test]
fn allowed_hosts_are_names_alone() {
    let hosts =
        read(&[("OURA_ALLOWED_HOSTS", "Oura.lan, ring.example. 192.168.1.2,::2")]).expect("names").allowed_hosts;
    assert_eq!(hosts, ["oura.lan", "ring.example", "192.168.1.2", "::2"]);
    for text in ["http://oura.lan", "oura.lan:10058", "*", "*.lan", "oura..lan", "oura.lan/metrics"] {
        assert!(mistake("OURA_ALLOWED_HOSTS", text).contains("names alone"), "{text}");
    }
}

/// What the settings of `given` and the flags come to, each by itself.
fn drafted(given: &[(&str, &str)], flags: &[(&'static str, &str)]) -> String {
    let mut reader = Reader::default();
    let given: BTreeMap<_, _> = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let draft = Draft::read(given, &flags, &mut reader);
    assert_eq!(reader.mistakes, Vec::<String>::new());
    format!("{draft:?}")
}

/// A value of the setting that is not its default; the same one for all of its kind, so that one row that does what another
/// does is seen.
fn another_value(name: &str) -> &'static str {
    match name {
        "OURA_STATE_DIR" => "/srv/oura",
        "OURA_SCOPES" | "OURA_COLLECTIONS" => "workout",
        "OURA_LISTEN_ADDRESS" | "OURA_WEBHOOK_LISTEN" => "localhost:1",
        "OURA_POLL_INTERVAL" | "OURA_STALE_AFTER" => "7m",
        "OURA_REQUEST_BUDGET" => "1234",
        "OURA_SANDBOX" => "true",
        "OURA_SAMPLES" | "OURA_WEB_SIGN_IN" => "false",
        "OURA_SHARD" => "1/3",
        "OURA_LOG" => "trace",
        "OURA_LOG_FORMAT" => "json",
        name if name.ends_with("_FILE") => "/some/where",
        name if name.ends_with("_URL") || name.ends_with("_URI") => "https://proxy.example/x",
        _ => "x",
    }
}

#[test]
fn every_setting_has_an_effect_of_its_own_and_its_default_is_what_the_table_says() {
    let unset = drafted(&[], &[]);
    let mut seen = BTreeSet::from([unset.clone()]);
    for variable in VARIABLES {
        // A file with one word: what holds a secret is read, and any other is only named.
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(&file, "x").expect("it is written");
        let path = file.path().to_str().expect("UTF-8").to_owned();
        let value = if variable.name.ends_with("_FILE") { &path } else { another_value(variable.name) };
        let drafted_so = drafted(&[(variable.name, value)], &[]);
        assert!(seen.insert(drafted_so), "{} changes nothing, or what another one changes", variable.name);
        if let Unset::Value(default) = variable.unset {
            assert_eq!(drafted(&[(variable.name, default)], &[]), unset, "{}", variable.name);
        }
    }
}

#[test]
fn every_flag_wins_over_its_variable() {
    let flags: Vec<_> = VARIABLES.iter().filter_map(|variable| Some((variable, variable.flag?))).collect();
    let names: Vec<_> = flags.iter().map(|(_, flag)| flag.name).collect();
    let web = ["--web.listen-address", "--web.config.file", "--web.external-url"];
    assert_eq!(names, [&web[..], &["--log.level", "--log.format"]].concat());
    for (variable, flag) in flags {
        let value = another_value(variable.name);
        let by_variable = drafted(&[(variable.name, value)], &[]).replace(variable.name, flag.name);
        assert_eq!(drafted(&[], &[(flag.name, value)]), by_variable, "{}", flag.name);
        let other = match variable.unset {
            Unset::Value(default) => default,
            _ => "/elsewhere",
        };
        assert_eq!(drafted(&[(variable.name, other)], &[(flag.name, value)]), by_variable, "{} wins", flag.name);
    }
}

#[test]
fn the_documents_have_a_row_for_every_setting() {
    let (help, markdown) = (help(), markdown());
    for Variable { name, flag, unset, help: words, .. } in VARIABLES {
        let row =
            markdown.lines().find(|line| line.starts_with(&format!("| `{name}`"))).unwrap_or_else(|| panic!("{name}"));
        assert!(row.replace('`', "").contains(words), "{row}");
        assert!(flag.is_none_or(|flag| row.contains(&format!("`{}`", flag.name))), "{row}");
        let (_, section) = help.split_once(&format!("\n  {name}\n")).unwrap_or_else(|| panic!("{name} in {help}"));
        let section = section.split("\n  O").next().unwrap_or_default();
        let section = section.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(section.starts_with(words), "{section}");
        if let Unset::Value(default) | Unset::Words(default) = unset {
            assert!(row.contains(default) && section.contains(&format!("[default: {default}]")), "{row} {section}");
        }
    }
}
