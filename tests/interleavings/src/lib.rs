//! Nothing: all there is are the tests beside it, which alone need loom.
