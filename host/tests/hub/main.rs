//! Hubs of both roles over one window, in threads and in processes of their own.

mod endpoints;
mod life;
mod services;
mod support;
mod waiting;
