//! Both roles over one window that fails the test at the first access which is not allowed.

mod coherence;
mod features;
mod habits;
mod hostile_device;
mod hostile_driver;
mod hostile_packed;
mod indices;
mod layout;
mod lifecycle;
mod link;
mod lying_peer;
mod model;
mod ordering;
mod packed;
mod rules;
mod session;
mod support;
mod surface;
mod symmetric;
mod threads;
