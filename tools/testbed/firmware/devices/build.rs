//! Hands the linker the script of all images.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../link.ld");
    // By name alone, from the folder of the workspace: cargo remembers this line, and the clone may move.
    println!("cargo::rustc-link-arg-bins=-Tlink.ld");
    // Segments are aligned by the script; the file needs no more.
    println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
    println!("cargo::rustc-link-arg-bins=--build-id=sha1");
}
