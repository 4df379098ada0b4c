//! From a name to addresses, as a port: the one place that asks DNS for a setup.

use std::io;
use std::net::IpAddr;

use async_trait::async_trait;

/// How many addresses of one name are tried.
pub const ADDRESSES_MAX: usize = 16;

/// Finds the addresses of names that are on the list; it is asked for no other.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// The addresses of a name, at most [`ADDRESSES_MAX`].
    ///
    /// # Errors
    /// What the system says.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        let mut addresses = Vec::new();
        for address in found.map(|address| address.ip()) {
            if !addresses.contains(&address) && addresses.len() < ADDRESSES_MAX {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }
}
