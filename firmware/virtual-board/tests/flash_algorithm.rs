//! The machine code kept in the repository is what its source assembles to.

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use bitrack_virtual_board::TARGET_YAML;
use probe_rs::Target;
use probe_rs::config::Registry;

/// Assembles `source`: the code and its symbols. `None`, said aloud, without the assembler.
fn assemble(source: &str) -> Option<(Vec<u8>, HashMap<String, u64>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let (object, binary) = (folder.path().join("a.o"), folder.path().join("a.bin"));
    if Command::new("arm-none-eabi-as").arg("--version").output().is_err() {
        println!("SKIPPED: no arm-none-eabi-as (Debian: binutils-arm-none-eabi) to check {source:?} with");
        return None;
    }
    run("arm-none-eabi-as", &["-o".into(), object.clone(), source]);
    let text = ["-O", "binary", "-j", ".text"].map(PathBuf::from);
    run("arm-none-eabi-objcopy", &[&text[..], &[object.clone(), binary.clone()]].concat());
    let symbols = run("arm-none-eabi-nm", &[object]);
    Some((std::fs::read(binary).expect("the code"), symbols.lines().filter_map(symbol).collect()))
}

fn run(program: &str, arguments: &[PathBuf]) -> String {
    let output = Command::new(program).args(arguments).output().expect(program);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A line of `nm`: value in hexadecimal, type, name.
fn symbol(line: &str) -> Option<(String, u64)> {
    let mut words = line.split_whitespace();
    let value = u64::from_str_radix(words.next()?, 16).ok()?;
    Some((words.nth(1)?.to_owned(), value))
}

fn target(name: &str) -> Target {
    let mut registry = Registry::new();
    registry.add_target_family_from_yaml(TARGET_YAML).expect("a valid description");
    registry.get_target_by_name(name).expect("a known chip")
}

#[test]
fn both_chips_have_the_one_algorithm() {
    for name in ["mps2-an386", "mps2-an500"] {
        let algorithms = target(name).flash_algorithms;
        assert_eq!(algorithms.len(), 1, "{name}");
        assert_eq!(algorithms[0].name, "mps2-flash");
    }
}

#[test]
fn flash_algorithm_is_what_its_source_assembles_to() {
    let Some((code, symbols)) = assemble("flash-algorithm/mps2.s") else { return };
    let algorithm = target("mps2-an386").flash_algorithms.remove(0);
    assert_eq!(algorithm.instructions, code, "regenerate the base64 in mps2.yaml");
    assert_eq!(algorithm.pc_init, Some(symbols["Init"]));
    assert_eq!(algorithm.pc_uninit, Some(symbols["UnInit"]));
    assert_eq!(algorithm.pc_erase_sector, symbols["EraseSector"]);
    assert_eq!(algorithm.pc_erase_all, Some(symbols["EraseAll"]));
    assert_eq!(algorithm.pc_program_page, symbols["ProgramPage"]);
}

#[test]
fn test_program_is_what_its_source_assembles_to() {
    let Some((code, _)) = assemble("tests/support/program.s") else { return };
    assert_eq!(support::program(), code, "regenerate the halfwords in program.rs");
}
