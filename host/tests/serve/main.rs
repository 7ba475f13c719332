//! `corewarden serve` and the commands that ask it, as processes, against a device in this one.

mod commands;
mod hostile;
mod inside;
mod support;
mod terminals;
