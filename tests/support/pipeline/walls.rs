//! What the commands of a world are confined by.

use std::sync::Arc;

use patchwright::sandbox::bare::BareSandbox;
use patchwright::sandbox::landlock::LandlockSandbox;
use patchwright::sandbox::local::{LocalSandbox, LocalSettings};
use patchwright::sandbox::minimum::Minimum;
use patchwright::sandbox::{Isolation, Limits};

use super::Setup;

/// The sandbox as `serve` makes it.
pub(super) fn sandbox(setup: &Setup) -> Minimum {
    let launcher = setup.launcher.clone();
    if setup.is_bare {
        let environment = BareSandbox::tools_of_this_machine();
        return Minimum::new(Arc::new(BareSandbox::new(launcher, Limits::default(), environment)), Isolation::None);
    }
    let local = match setup.has_toolchains {
        true => LocalSettings::default(),
        false => LocalSettings { toolchain_path: None, ..LocalSettings::default() },
    };
    if setup.is_landlock {
        return Minimum::new(Arc::new(LandlockSandbox::new(launcher, local)), Isolation::Landlock);
    }
    Minimum::new(Arc::new(LocalSandbox::new(launcher, local)), Isolation::Namespaces)
}
