//! Whole files, good and bad; bad ones must name the line and say why.

use super::*;

const RACK: &str = "[[board]]\nname = \"v1\"\ntype = \"mps2-an386\"\nvirtual = true\n";

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    Config::parse(text, Path::new("/lab/hil.toml")).map_err(|e| match e {
        ConfigError::Invalid { problems, .. } => problems,
        ConfigError::Read { .. } => unreachable!("nothing is read"),
    })
}

/// The only problem of `text`: its line, and that its reason contains `needle`.
#[track_caller]
fn refused(text: &str, line: usize, needle: &str) {
    let problems = parse(text).expect_err("a refusal");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].line, line, "{problems:?}");
    assert!(problems[0].reason.contains(needle), "{problems:?}");
}

fn with_campaign(lines: &str) -> String {
    format!("{RACK}[campaign.kws]\nmodel = \"m\"\ndata = \"d\"\n{lines}\n")
}

#[test]
fn the_file_at_the_root_is_a_valid_manual() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hil.toml");
    let config = Config::load(&path).expect("the demo's configuration");
    assert_eq!(config.boards.len(), 2);
    assert!(config.boards.iter().all(|b| b.link == Link::Virtual));
    assert!(config.campaign("demo").is_some());
}

#[test]
fn paths_are_relative_to_the_file() {
    let config = parse(&with_campaign("budget = 1\nboard-types = [\"mps2-an386\"]")).expect("valid");
    assert_eq!(config.campaigns[0].model, Path::new("/lab/m"));
    assert_eq!(config.daemon.database, Path::new("/lab/.bitrack/hil.sqlite"));
}

#[test]
fn data_sets_are_names_files_or_folders() {
    let data = |text: &str| {
        let file = with_campaign("budget = 1\nboard-types = [\"mps2-an386\"]")
            .replace("data = \"d\"", &format!("data = \"{text}\""));
        parse(&file).expect("valid").campaigns[0].data.clone()
    };
    assert_eq!(data("fashion-mnist"), "fashion-mnist");
    assert_eq!(data("npz:a.npz,sub/b.npz"), "npz:/lab/a.npz,/lab/sub/b.npz");
    assert_eq!(data("../kws"), "/lab/../kws");
}

#[test]
fn a_wired_board() {
    let text = "[[board]]\nname = \"l4\"\ntype = \"nucleo-l4r5zi\"\nprobe = \"0483:374b:0669FF\"\nserial = \"/dev/serial/by-id/x\"\n";
    let config = parse(text).expect("valid");
    assert!(matches!(&config.boards[0].link, Link::Wired { probe, .. } if probe.serial == "0669FF"));
}

#[test]
fn a_board_type_of_ones_own_and_an_override() {
    let text = format!(
        "{}{}",
        RACK.replace("mps2-an386", "mine"),
        "[board-type.mine]\nchip = \"x\"\nmachine = \"mps2-an386\"\nclock-hz = 1\nunit = \"cycles\"\nsector = 16\nendurance = 9\narena = 64\nslots = [{ base = 0, length = 16 }]\n"
    );
    assert_eq!(parse(&text).expect("valid").board_types[0].name, "mine");
    let text = format!("{RACK}[board-type.mps2-an386]\nendurance = 5\n");
    assert_eq!(parse(&text).expect("valid").board_types[0].endurance, 5);
}

#[test]
fn unknown_keys_and_types() {
    refused("[daemon]\nport = 5\n", 2, "unknown field `port`");
    refused(&RACK.replace("mps2-an386", "esp32"), 3, "`esp32` is not a board type; known: mps2-an386");
    refused(&with_campaign("budget = 1\nboard-types = [\"z80\"]").replace("z80", "mps2-an386\", \"z80"), 9, "z80");
    refused("[[board]\n", 1, "");
}

#[test]
fn overlapping_boards() {
    refused(&format!("{RACK}{RACK}"), 6, "name v1 already belongs to board v1");
    let board = |name: &str, probe: &str, port: &str| {
        format!(
            "[[board]]\nname = \"{name}\"\ntype = \"nucleo-l4r5zi\"\nprobe = \"0483:374b:{probe}\"\nserial = \"{port}\"\n"
        )
    };
    refused(&(board("a", "AA", "/dev/x") + &board("b", "aa", "/dev/y")), 9, "already belongs to board a");
    refused(
        &(board("a", "AA", "/dev/x") + &board("b", "BB", "/dev/x")),
        10,
        "serial port /dev/x already belongs to board a",
    );
}

#[test]
fn half_a_board() {
    refused("[[board]]\nname = \"a\"\ntype = \"nucleo-l4r5zi\"\n", 1, "needs `probe` and `serial`");
    refused("[[board]]\nname = \"a\"\ntype = \"nucleo-l4r5zi\"\nvirtual = true\n", 3, "cannot be virtual");
    refused(&format!("{RACK}probe = \"1:2:3\"\n"), 1, "the daemon chooses its probe");
    refused("", 1, "the rack is empty");
}

#[test]
fn impossible_limits() {
    let campaign =
        |limits: &str| with_campaign(&format!("budget = 1\nboard-types = [\"mps2-an386\"]\nlimits = {{ {limits} }}"));
    refused(&campaign("flash = \"0 KiB\""), 10, "no candidate can meet");
    refused(&campaign("flash = \"900 MiB\""), 10, "more than the flash slot of mps2-an386");
    refused(&campaign("latency = \"40 ms\""), 10, "counts instructions, not seconds");
    refused(&campaign("speed = \"1\""), 10, "unknown field `speed`");
}

#[test]
fn impossible_campaigns() {
    let types = "board-types = [\"mps2-an386\"]";
    refused(&with_campaign(&format!("budget = 0\n{types}")), 8, "searches nothing");
    refused(&with_campaign(&format!("budget = 1\n{types}\nrepeats = 0")), 10, "1 to 100");
    refused(&with_campaign(&format!("budget = 1\n{types}\ndays = \"mon\"")), 10, "without `window`");
    refused(&with_campaign(&format!("budget = 1\n{types}\nwindow = \"22-6\"")), 10, "not a window");
    refused(&with_campaign("budget = 1\nboard-types = []"), 9, "at least one board type");
    let mixed = "budget = 1\nboard-types = [\"mps2-an386\", \"nucleo-l4r5zi\"]";
    refused(&with_campaign(mixed), 9, "use one campaign each");
}

#[test]
fn every_problem_is_listed_with_file_and_line() {
    let error = Config::parse("[daemon]\nlisten = \"here\"\n", Path::new("/lab/hil.toml")).expect_err("two problems");
    insta::assert_snapshot!(error.to_string(), @r#"
    /lab/hil.toml:1: the rack is empty; add a [[board]], for instance one with `virtual = true`
    /lab/hil.toml:2: `here` is not ADDRESS:PORT
    "#);
}

#[test]
fn an_objective_has_a_usual_strategy_and_refuses_those_that_search_for_another() {
    let of = |lines: &str| parse(&with_campaign(&format!("budget = 1\nboard-types = [\"mps2-an386\"]\n{lines}")));
    for (lines, objective, strategy) in [
        ("", Objective::Reward, "ilp"),
        ("objective = \"reward\"\nstrategy = \"ddpg\"", Objective::Reward, "ddpg"),
        ("objective = \"front\"", Objective::Front, "evolution"),
        ("objective = \"front\"\nstrategy = \"random\"", Objective::Front, "random"),
    ] {
        let campaign = of(lines).expect("valid").campaigns.remove(0);
        assert_eq!((campaign.objective, campaign.strategy.as_str()), (objective, strategy), "{lines}");
    }
    let file = |lines: &str| with_campaign(&format!("budget = 1\nboard-types = [\"mps2-an386\"]\n{lines}"));
    refused(&file("objective = \"speed\""), 10, "known: reward, front");
    refused(&file("objective = \"front\"\nstrategy = \"ilp\""), 11, "use one of evolution, random, uniform");
}
