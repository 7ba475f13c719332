//! Tests of the resource table from outside.

mod fuzz;
mod properties;
mod rules;
mod sample;
mod shared;
