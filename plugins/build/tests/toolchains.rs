//! Both ways of compiling guests end in components that the host can take.

use std::fs;

use weir_build::{STOCK, Toolchain, Way, build_with, imported_interfaces};

/// Builds the stock plugins and checks the components; they were validated when they were wrapped.
fn check(toolchain: &Toolchain) {
    let folder = tempfile::tempdir().unwrap();
    let guests = build_with(toolchain, &STOCK, folder.path()).unwrap();
    let names: Vec<_> = guests.iter().map(|guest| guest.name.as_str()).collect();
    assert_eq!(names, ["threshold", "storm", "match"]);
    for guest in guests {
        let component = fs::read(&guest.path).unwrap();
        assert_eq!(imported_interfaces(&component).unwrap(), ["weir:rule/types@0.1.0"], "types only, no function");
        assert!(component.len() < 200_000, "{} has grown to {} bytes", guest.name, component.len());
    }
}

#[test]
fn the_toolchain_found_first_makes_components() {
    check(&Toolchain::find(Way::from_environment().unwrap()).unwrap());
}

/// The Debian way compiles a standard library, minutes at first. So it is tested where that has been done:
/// `WEIR_GUEST_TOOLCHAIN=debian cargo xtask plugins` does it.
#[test]
fn debians_toolchain_makes_components() {
    match Toolchain::debian_if_installed() {
        Some(debian) if debian.target_dir().exists() => check(&debian),
        Some(_) => println!("skipped: WEIR_GUEST_TOOLCHAIN=debian cargo xtask plugins has not been run here yet"),
        None => println!("skipped: Debian's Rust is not installed"),
    }
}
