//! End-to-end tests and the tests of the workspace itself.
