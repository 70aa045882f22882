//! Both ways of compiling guests end in a component that the host can take.

use std::fs;

use weir_build::{Toolchain, Way, build_with, imported_interfaces};

/// Builds a rule and checks the component; it was validated when it was wrapped.
fn check(toolchain: &Toolchain) {
    let folder = tempfile::tempdir().unwrap();
    let guests = build_with(toolchain, &["weir-rule-threshold"], folder.path()).unwrap();
    assert_eq!(guests.len(), 1);
    assert_eq!(guests[0].name, "threshold");
    let component = fs::read(&guests[0].path).unwrap();
    assert_eq!(imported_interfaces(&component).unwrap(), ["weir:rule/types@0.1.0"], "types only, no function");
    assert!(component.len() < 200_000, "{} bytes: a guest has grown", component.len());
}

#[test]
fn the_toolchain_in_use_makes_a_component() {
    check(&Toolchain::find(Way::from_environment().unwrap()).unwrap());
}

/// The Debian way compiles a standard library, minutes at first. So it is tested where that has been done:
/// `WEIR_GUEST_TOOLCHAIN=debian cargo xtask plugins` does it.
#[test]
fn debians_toolchain_makes_a_component() {
    match Toolchain::debian_if_installed() {
        Some(debian) if debian.target_dir().exists() => check(&debian),
        Some(_) => println!("skipped: WEIR_GUEST_TOOLCHAIN=debian cargo xtask plugins has not been run here yet"),
        None => println!("skipped: Debian's Rust is not installed"),
    }
}
