//! Puts libtorch's folder into the run path of `hil-agent`, so that it starts without `LD_LIBRARY_PATH`.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        return; // a statically linked libtorch needs no run path
    };
    let lib = std::fs::canonicalize(&lib).unwrap_or_else(|_| lib.into());
    // DT_RPATH rather than DT_RUNPATH: libtorch's own libraries must find their neighbours through it as well.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{}", lib.display());
}
