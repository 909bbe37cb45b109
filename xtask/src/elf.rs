//! Sizes of a firmware file, from its section headers.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, elf};

/// Bytes of each kind, as `size` counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Code and constants: stays in flash.
    pub text: u64,
    /// Initialised variables: in flash, and copied to RAM at reset.
    pub data: u64,
    /// Zeroed or uninitialised variables: RAM only.
    pub bss: u64,
}

impl Sizes {
    /// Bytes of flash.
    pub fn flash(self) -> u64 {
        self.text + self.data
    }

    /// Bytes of RAM. Stack and arena are not in it: the runner's memory maps keep them in regions without sections.
    pub fn ram(self) -> u64 {
        self.data + self.bss
    }
}

/// Reads the sizes of an ELF file.
///
/// # Errors
/// When the file cannot be read or is no ELF file; the error names it.
pub fn sizes(path: &Path) -> Result<Sizes> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = object::File::parse(&*bytes).with_context(|| format!("{} is no ELF file", path.display()))?;
    Ok(file.sections().fold(Sizes::default(), |sizes, section| sizes.plus(&section)))
}

/// Bytes of code that belongs to the kernels: every function and assembly label that carries their name, up to the next
/// symbol, since labels have no sizes. What the compiler merged into callers is not in it; the operators' entries are kept
/// out of line.
///
/// # Errors
/// As [`sizes`].
pub fn kernel_text(path: &Path) -> Result<u64> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = object::File::parse(&*bytes).with_context(|| format!("{} is no ELF file", path.display()))?;
    let mut total = 0;
    for section in file.sections().filter(|section| section.kind() == SectionKind::Text) {
        let end = section.address() + section.size();
        let named = file.symbols().filter(|symbol| symbol.section_index() == Some(section.index()));
        // Thumb code's addresses are odd; `$t` and its like mark what a disassembler needs.
        let mut symbols: Vec<_> = named.filter_map(|s| Some((s.address() & !1, s.name().ok()?))).collect();
        symbols.retain(|(_, name)| !name.starts_with('$') && !name.is_empty());
        symbols.sort_unstable();
        let ends = symbols.iter().skip(1).map(|next| next.0).chain([end]);
        let sized = symbols.iter().zip(ends).filter(|((_, name), _)| is_kernel(name));
        total += sized.map(|((start, _), end)| end - start).sum::<u64>();
    }
    Ok(total)
}

/// Assembly is named `bitrack_...`, Rust by its crate.
fn is_kernel(symbol: &str) -> bool {
    symbol.starts_with("bitrack_") || symbol.contains("bitrack_kernels")
}

impl Sizes {
    fn plus<'a>(mut self, section: &impl ObjectSection<'a>) -> Self {
        let SectionFlags::Elf { sh_flags } = section.flags() else {
            return self;
        };
        let has = |flag: u32| sh_flags & u64::from(flag) != 0;
        if !has(elf::SHF_ALLOC) {
            return self;
        }
        // cortex-m-rt's `.uninit` takes RAM without being zeroed: it has no bits in the file, hence it counts as bss.
        let kind = match section.kind() {
            SectionKind::UninitializedData => &mut self.bss,
            _ if has(elf::SHF_WRITE) => &mut self.data,
            _ => &mut self.text,
        };
        *kind += section.size();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell;

    #[test]
    fn sizes_agree_with_what_was_compiled() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("sizes.c");
        fs::write(&source, "const char code[1000] = {1}; char data[300] = {1}; char bss[5000];").unwrap();
        let object = dir.path().join("sizes.o");
        shell::quietly(shell::command("cc", ["-fdata-sections", "-c", "-o"]).arg(&object).arg(&source)).unwrap();
        let sizes = sizes(&object).unwrap();
        assert!((1000..1200).contains(&sizes.text), "{sizes:?}");
        assert_eq!((sizes.data, sizes.bss), (300, 5000));
        assert_eq!((sizes.flash(), sizes.ram()), (sizes.text + 300, 5300));
    }

    #[test]
    fn kernels_are_told_from_other_code_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("kernels.s");
        let code = ".text\nother: .skip 64\nbitrack_a: .skip 100\nbitrack_label: .skip 28\nrest: .skip 64\n\
                    _ZN15bitrack_kernels3add3runE: .skip 40\n";
        fs::write(&source, code).unwrap();
        let object = dir.path().join("kernels.o");
        shell::quietly(shell::command("cc", ["-c", "-o"]).arg(&object).arg(&source)).unwrap();
        assert_eq!(kernel_text(&object).unwrap(), 100 + 28 + 40);
    }

    #[test]
    fn a_file_that_is_no_elf_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        fs::write(&path, "hello").unwrap();
        assert!(format!("{:#}", sizes(&path).unwrap_err()).contains("notes.txt"));
    }
}
