//! Real OP-TEE, real Linux and a real Cortex-M in QEMU, under one supervisor.
