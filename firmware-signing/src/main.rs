//! The command corewarden-sign.

fn main() {}
