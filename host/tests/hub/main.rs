//! Hubs of both roles over one window, in threads and in processes of their own.

mod endpoints;
mod features;
mod life;
mod pool;
mod quiet;
mod services;
mod support;
mod waiting;
