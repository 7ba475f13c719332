//! The project's commands: demo, check, e2e, ta, testbed, bench, lock.

fn main() {}
