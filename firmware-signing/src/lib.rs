//! Sign firmware for coprocessors: library and the CLI corewarden-sign.
