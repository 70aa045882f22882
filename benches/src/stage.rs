//! A host made ready for a day: started, its plugins pushed, its inventory loaded, its rules set. Says what it does.
//!
//! It must not know what the day is for. Invariant: what is handed out knows every listed device and judges by the
//! plan's rules, and nothing else was ever sent to it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{
    client::Client,
    generator::{Plan, RuleSpec},
    host::{Host, Launch},
    report::{self, say, thousands},
};

/// A host and a connection to it.
#[derive(Debug)]
pub struct Stage {
    /// The host.
    pub host: Host,
    /// The connection.
    pub client: Client,
}

impl Stage {
    /// Starts a host with its store in a new or empty folder, and prepares it for the plan.
    pub async fn set(plan: &Plan, data_dir: &Path) -> Result<Self> {
        ensure_empty(data_dir)?;
        say(&format!("Starting a host with its store in {}.", data_dir.display()));
        let host = Host::launch(Launch::new(data_dir, plan.devices.into())?).await?;
        let client = Client::connect(host.address()).await?;
        Self::prepare(host, client, plan).await
    }

    /// Prepares a host that runs for the plan, by the connection of an administrator.
    pub async fn prepare(host: Host, client: Client, plan: &Plan) -> Result<Self> {
        plan.validate()?;
        say(&format!("It listens on {}.", host.address()));

        say("Pushing the stock plugins.");
        let plugins = client.push_plugins().await?;
        for plugin in &plugins {
            let (size, compile) = (thousands(plugin.size_bytes), plugin.compile.as_millis());
            say(&format!("  {}: {size} bytes, checked and compiled in {compile} ms", plugin.name));
        }
        load_inventory(&client, plan).await?;
        say("Setting the rules, in the order they judge.");
        for RuleSpec { name, plugin, parameters } in plan.rules() {
            say(&format!("  {name}: {plugin} {parameters}"));
        }
        client.set_rules(&plan.rules(), &plugins).await?;
        Ok(Self { host, client })
    }
}

/// A folder for a store that goes with this program: under `parent`, or where temporary files are.
pub fn scratch(parent: Option<&Path>) -> Result<TempDir> {
    match parent {
        Some(parent) => {
            tempfile::tempdir_in(parent).with_context(|| format!("data: no folder in {}", parent.display()))
        }
        None => tempfile::tempdir().context("no temporary folder"),
    }
}

fn ensure_empty(data_dir: &Path) -> Result<()> {
    let mut entries = match data_dir.read_dir() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("cannot read {}", data_dir.display()))?,
    };
    ensure!(
        entries.next().is_none(),
        "{} is not empty: what a store there holds would be counted too; name a new folder",
        data_dir.display()
    );
    Ok(())
}

async fn load_inventory(client: &Client, plan: &Plan) -> Result<()> {
    let devices = u64::from(plan.devices);
    say(&format!("Loading an inventory of {} devices.", thousands(devices)));
    let bar = report::progress(devices, "devices");
    let sent = bar.clone();
    let loaded = client.load_inventory(plan.fleet().inventory(), move |devices| sent.inc(devices)).await?;
    bar.finish_and_clear();
    ensure!(loaded.added == devices, "of {devices} devices {} were added", loaded.added);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_anything_in_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ensure_empty(folder.path()).is_ok());
        assert!(ensure_empty(&folder.path().join("new")).is_ok());
        std::fs::write(folder.path().join("weir.redb"), "x").unwrap();
        let error = ensure_empty(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
    }
}
