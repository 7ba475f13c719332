//! Figures, printed beside the peer's or the physical limit of the same run.
