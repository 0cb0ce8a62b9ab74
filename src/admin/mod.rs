//! What operators and their machines ask, on a listener of its own: probes and metrics (`health`), and the admin API
//! (`api`), whose answers are `wire` and whose archives are `archive`.

pub mod api;
pub mod archive;
pub mod health;
pub mod wire;
