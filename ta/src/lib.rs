//! The Trusted Application: entry points, GlobalPlatform API and PTA calls.
