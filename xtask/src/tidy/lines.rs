//! Rules over single lines, as a table.
//!
//! A line may be exempted where it stands, or from the line above, by a comment with a reason:
//! `tidy: allow(rule): because ...`. Needles are written in pieces here, so that this file does not break its rules.

use super::Defect;
use super::source::Source;

/// Which lines a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Rust code that ships.
    Production,
    /// Rust code of tests.
    Tests,
    /// All Rust code.
    Rust,
    /// Every text file.
    Text,
}

struct Rule {
    name: &'static str,
    scope: Scope,
    /// Whether the line breaks it.
    broken_by: fn(&str) -> bool,
    message: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        name: "unwrap",
        scope: Scope::Production,
        broken_by: |line| is_code(line) && line.contains(concat!(".unwr", "ap()")),
        message: "return the error, or expect(\"why it cannot fail\")",
    },
    Rule {
        name: "unfinished",
        scope: Scope::Rust,
        broken_by: |line| {
            [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!(")]
                .iter()
                .any(|call| line.contains(call))
        },
        message: "finish it or leave it out",
    },
    Rule {
        name: "note-to-self",
        scope: Scope::Text,
        broken_by: |line| [concat!("TO", "DO"), concat!("FIX", "ME")].iter().any(|word| has_word(line, word)),
        message: "do it, or write it down where work is planned",
    },
    Rule {
        name: "ignored-test",
        scope: Scope::Rust,
        broken_by: |line| line.trim_start().starts_with(concat!("#[ign", "ore")),
        message: "filter hardware tests by profile; an ignored test is forgotten",
    },
    Rule {
        name: "sleep",
        scope: Scope::Tests,
        broken_by: |line| is_code(line) && line.contains(concat!("sle", "ep(")),
        message: "wait for the event instead",
    },
    Rule {
        name: "machine-path",
        scope: Scope::Text,
        broken_by: |line| {
            [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")]
                .iter()
                .any(|path| has_path(line, path))
        },
        message: "a path of one machine: say it relative to the repository or to a variable",
    },
    Rule {
        name: "link",
        scope: Scope::Text,
        broken_by: |line| hosts(line).any(|host| !is_known(host)),
        message: "a host not in tidy's list of known ones: add it there if readers should follow the link",
    },
];

/// Where links may lead: loopback, names reserved for examples, sources, papers, and the projects we build on.
const KNOWN_HOSTS: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "[::1]",
    "0.0.0.0",
    "example.com",
    "example.org",
    "github.com",
    "arxiv.org",
    "doi.org",
    "docs.rs",
    "doc.rust-lang.org",
    "rustup.rs",
    "rust-lang.org",
    "opensource.org",
    "www.apache.org",
    "www.w3.org",
    "spdx.org",
    "semver.org",
    "keepachangelog.com",
    "json-schema.org",
    "toml.io",
    "sqlite.org",
    "www.sqlite.org",
    "probe.rs",
    "nexte.st",
    "www.qemu.org",
    "qemu.org",
    "pytorch.org",
    "mlcommons.org",
    "onnx.ai",
    "ai.google.dev",
    "www.tensorflow.org",
    "tensorflow.org",
    "developer.arm.com",
    "www.st.com",
    "black-magic.org",
    "embassy.dev",
    "grafana.com",
    "nats.io",
    "docs.nats.io",
    "developer.mozilla.org",
    "html.spec.whatwg.org",
    "www.debian.org",
];

/// Files written by package managers name registries on every line.
const GENERATED: &[&str] = &["Cargo.lock", "package-lock.json"];

/// The defects of one file.
pub fn check(source: &Source) -> Vec<Defect> {
    if source.path.file_name().is_some_and(|name| GENERATED.iter().any(|generated| name == *generated)) {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let tests = source.test_lines();
    let broken = (0..lines.len()).flat_map(|at| RULES.iter().map(move |rule| (at, rule)));
    broken
        .filter(|(at, rule)| applies(rule.scope, source.is_rust(), tests[*at]))
        .filter(|(at, rule)| (rule.broken_by)(lines[*at]) && !is_exempt(&lines, *at, rule.name))
        .map(|(at, rule)| Defect {
            path: source.path.clone(),
            line: at + 1,
            rule: rule.name,
            message: rule.message.into(),
        })
        .collect()
}

fn applies(scope: Scope, is_rust: bool, is_test: bool) -> bool {
    match scope {
        Scope::Text => true,
        Scope::Rust => is_rust,
        Scope::Production => is_rust && !is_test,
        Scope::Tests => is_rust && is_test,
    }
}

fn is_exempt(lines: &[&str], at: usize, rule: &str) -> bool {
    let above = at.checked_sub(1).map_or("", |above| lines[above]);
    [lines[at], above].iter().any(|line| has_reason(line, rule))
}

/// `tidy: allow(rule): ` and a reason of some length.
fn has_reason(line: &str, rule: &str) -> bool {
    line.split_once(&format!("tidy: allow({rule}): ")).is_some_and(|(_, reason)| reason.trim().len() > 10)
}

fn is_code(line: &str) -> bool {
    !line.trim_start().starts_with("//")
}

fn has_word(line: &str, word: &str) -> bool {
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    line.match_indices(word)
        .any(|(at, _)| is_edge(line[..at].chars().next_back()) && is_edge(line[at + word.len()..].chars().next()))
}

/// Whether an absolute path begins with `path`: not as a part of a longer one.
fn has_path(line: &str, path: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || "._-~*{}$".contains(c);
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(continues))
}

/// The hosts of the links on a line, without port.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.split("://").skip(1).filter_map(host)
}

fn host(rest: &str) -> Option<&str> {
    if rest.starts_with('[') {
        return rest.split_inclusive(']').next();
    }
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !".-".contains(c)).unwrap_or(rest.len());
    let host = rest[..end].trim_end_matches('.');
    // `http://{address}` and `scheme://` in prose name no host.
    (!host.is_empty()).then_some(host)
}

fn is_known(host: &str) -> bool {
    KNOWN_HOSTS.contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let source = Source::new(path.into(), text.into());
        check(&source).iter().map(|defect| defect.rule).collect()
    }

    #[test]
    fn each_planted_line_is_caught() {
        let planted = [
            ("src/a.rs", concat!("let x = y.unwr", "ap();"), "unwrap"),
            ("src/a.rs", concat!("    todo", "!()"), "unfinished"),
            ("src/a.rs", concat!("    unimplemented", "!(\"later\")"), "unfinished"),
            ("tests/a.rs", concat!("    dbg", "!(x);"), "unfinished"),
            ("README.md", concat!("- TO", "DO: pictures"), "note-to-self"),
            ("src/a.rs", concat!("// FIX", "ME"), "note-to-self"),
            ("tests/a.rs", concat!("    #[ign", "ore = \"slow\"]"), "ignored-test"),
            ("tests/a.rs", concat!("    thread::sle", "ep(second);"), "sleep"),
            ("tests/a.rs", concat!("    tokio::time::sle", "ep(second).await;"), "sleep"),
            ("docs/a.md", concat!("see `/wo", "rk/shared`"), "machine-path"),
            ("hil.toml", concat!("db = \"/ho", "me/me/hil.db\""), "machine-path"),
            ("docs/a.md", concat!("get it from https:/", "/unknown.invalid/x"), "link"),
        ];
        for (path, text, rule) in planted {
            assert_eq!(rules(path, text), [rule], "{path}: {text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_defect_passes() {
        let fine = [
            ("tests/a.rs", concat!("let x = y.unwr", "ap();")),
            ("src/a.rs", concat!("// like .unwr", "ap() but polite")),
            ("src/a.rs", concat!("thread::sle", "ep(poll_interval);")),
            ("src/a.rs", concat!("const MAS", "TODON: u8 = 1; // TO", "DOS")),
            ("a.md", concat!("frame", "/wo", "rk/", "flow")),
            ("a.md", "[HAQ](https://arxiv.org/abs/2008.05124), http://127.0.0.1:7878/, http://{address}/, tcp://"),
            ("Cargo.lock", concat!("source = \"registry+https:/", "/unknown.invalid/index\"")),
        ];
        for (path, text) in fine {
            assert!(rules(path, text).is_empty(), "{path}: {text}");
        }
    }

    #[test]
    fn an_exemption_needs_a_reason_and_the_right_name() {
        let line = concat!("thread::sle", "ep(tick);");
        assert!(rules("tests/a.rs", &format!("// tidy: allow(sleep): the probe has no event\n{line}")).is_empty());
        assert_eq!(rules("tests/a.rs", &format!("// tidy: allow(sleep): \n{line}")), ["sleep"]);
        assert_eq!(rules("tests/a.rs", &format!("// tidy: allow(link): the probe has no event\n{line}")), ["sleep"]);
    }

    #[test]
    fn a_defect_says_where() {
        let source = Source::new("src/a.rs".into(), concat!("fn a() {\n    todo", "!()\n}\n").into());
        let text = check(&source)[0].to_string();
        assert!(text.starts_with("src/a.rs:2: unfinished: "), "{text}");
    }
}
