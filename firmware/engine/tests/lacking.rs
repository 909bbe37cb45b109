//! An engine without kernels: `cargo test -p bitrack-engine --no-default-features --test lacking`. With all of them this file is empty.
#![cfg(not(feature = "all-kernels"))]

mod support;

use bitrack_engine::{Engine, LoadError};
use support::{fixed_recipe, network};

#[test]
fn what_is_not_built_is_refused_by_name_before_anything_runs() {
    let image = network(&fixed_recipe()).image();
    let Err(LoadError::Op { index, what }) = Engine::load(&image, 1 << 16) else { panic!("nothing is built") };
    assert_eq!(index, 0);
    assert!(what.text().starts_with("the runner is built without conv2d-w"), "{what}");
}
