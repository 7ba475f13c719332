//! Attach to coprocessors that the secure world controls, and talk RPMsg with them.
