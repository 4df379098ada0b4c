//! What every implementation of a port must do, and every case of a format.

mod apply_patch;
mod forge;
mod model;
mod rehearsal;
mod sandbox;
mod search;
mod store;
mod subject;
mod workspace;
