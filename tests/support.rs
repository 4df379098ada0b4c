//! What several tests share.

pub(crate) mod github;
pub(crate) mod openapi;
