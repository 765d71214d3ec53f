//! What argv means.

use clap::CommandFactory;

use super::*;

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn global_options_may_stand_anywhere() {
    for argv in ["orchestrator -o json status", "orchestrator status -o json"] {
        let cli = parse(argv);
        assert_eq!(cli.global.output, Some(Format::Json), "{argv}");
    }
    assert_eq!(parse("orchestrator status -vv").verbosity(), Verbosity(2));
    assert_eq!(parse("orchestrator serve").verbosity(), Verbosity(1));
}

fn parse(argv: &str) -> Cli {
    Cli::try_parse_from(argv.split(' ')).expect(argv)
}
