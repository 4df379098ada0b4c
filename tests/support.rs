//! What several tests share.

pub(crate) mod cluster;
pub(crate) mod github;
pub(crate) mod mounts;
pub(crate) mod onlooker;
pub(crate) mod openapi;
pub(crate) mod pipeline;
pub(crate) mod podman;
pub(crate) mod postgres;
pub(crate) mod site;
pub(crate) mod uml;
