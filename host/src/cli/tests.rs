//! The command line as it is typed.

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    // Enough of a shell for the examples: what stands between single quotes is one word.
    let words = line.split('\'').enumerate().flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().collect::<Vec<_>>(),
        _ => vec![part],
    });
    Cli::try_parse_from(words)
}

/// The examples of a command and of all below it.
fn examples(command: &clap::Command) -> Vec<String> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let own = text.lines().filter_map(|line| {
        let start = line.find("weir ").filter(|_| line.starts_with("  "))?;
        Some(line[start..].to_owned())
    });
    own.chain(command.get_subcommands().flat_map(examples)).collect()
}

#[test]
fn the_commands_are_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_example_can_be_typed() {
    let examples = examples(&Cli::command());
    assert!(examples.len() >= 15, "{examples:?}");
    for example in examples {
        // Where the output goes is the shell's affair.
        let example = [" > ", " | "].iter().fold(example.as_str(), |text, to| text.split(to).next().unwrap_or(text));
        assert!(parse(example).is_ok(), "{example}: {}", parse(example).unwrap_err());
    }
}

#[test]
fn every_client_command_has_an_example() {
    fn check(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        let verbs: Vec<_> = command.get_subcommands().collect();
        assert!(command.get_about().is_some(), "{path} does not say what it does");
        if verbs.is_empty() && command.get_name() != "serve" && !command.is_hide_set() {
            assert!(command.get_after_help().is_some(), "{path} has no example");
        }
        verbs.into_iter().for_each(|verb| check(verb, &path));
    }
    check(&Cli::command(), "");
}

#[test]
fn options_of_every_command_may_stand_anywhere() {
    let cli = parse("weir rule list --server http://10.0.0.1:7700 --json").unwrap();
    assert_eq!((cli.session.server.as_str(), cli.session.json), ("http://10.0.0.1:7700", true));
    assert_eq!(parse("weir --json count").unwrap().session.server, "http://127.0.0.1:7700");
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    for (line, part) in [
        ("weir alert list --code 8F4", "an alert code"),
        ("weir alert list --limit 0", "--limit"),
        ("weir alert list --since tomorrow", "a time like"),
        ("weir alert send a.csv --batch 0", "--batch"),
        ("weir device show 00-00", "an EUI-64"),
        ("weir count --by colour", "possible values"),
        ("weir count --by colour", "label:KEY"),
        ("weir count --by code,label:Sub", "did you mean \"sub\"?"),
        ("weir device load a.csv --label Sub", "did you mean \"sub\"?"),
        ("weir device list --label sub", "expected KEY=VALUE"),
        ("weir count --operator 7", "a distributor id"),
        ("weir rule set a --plugin b --position 0", "--position"),
        ("weir rule set a", "--plugin"),
        ("weir rule set a --plugin b --mode asleep", "--mode"),
    ] {
        let error = parse(line).expect_err(line);
        assert!(error.use_stderr() && error.to_string().contains(part), "{line}: {error}");
    }
    for line in ["weir --help", "weir --version", "weir alert send --help"] {
        assert!(!parse(line).expect_err(line).use_stderr(), "{line}");
    }
}

#[test]
fn a_server_that_cannot_be_spoken_to_is_refused_before_anything_is_sent() {
    let run = |server: &str| run(parse(&format!("weir count --server {server}")).unwrap()).unwrap_err();
    assert_eq!(run("https://127.0.0.1:1").exit, Failure::USAGE, "without --ca");
    assert_eq!(run("ftp://127.0.0.1:1").exit, Failure::USAGE);
    assert_eq!(run("http://").exit, Failure::USAGE);
}

#[test]
fn a_server_that_is_not_there_is_unavailable() {
    // Bound and closed again: nobody listens on this port now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let failure = run(parse(&format!("weir count --server http://127.0.0.1:{port}")).unwrap()).unwrap_err();
    assert_eq!(failure.exit, Failure::UNAVAILABLE);
    assert!(failure.hint.is_some_and(|hint| hint.contains("weir serve")), "{}", failure.message);
}
