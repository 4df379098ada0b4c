//! A Probot app that does nothing with what it hears: what most GitHub Apps are made of.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use patchwright::rehearsal::WORTHLESS_PRIVATE_KEY;

use super::SECRET;

const VERSION: &str = "14.3.2";

/// It says where it listens, and ends with its standard input.
const PROGRAM: &str = r#"
import { createServer } from "node:http";
import { createNodeMiddleware, createProbot } from "probot";

const probot = createProbot({ env: { APP_ID: "1", PRIVATE_KEY: process.env.KEY, WEBHOOK_SECRET: process.env.SECRET, LOG_LEVEL: "fatal" } });
const app = (app) => app.onAny(() => {});
const middleware = await createNodeMiddleware(app, { probot, webhooksPath: "/webhooks/github" });
const server = createServer(async (request, response) => {
  if (!(await middleware(request, response))) response.writeHead(404).end();
});
server.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit(0)).resume();
"#;

/// Has npm install it, and says where.
pub(crate) fn install(inside: &Path) -> anyhow::Result<PathBuf> {
    let folder = inside.join("probot");
    std::fs::create_dir_all(&folder).context("making a folder for Probot")?;
    let package = serde_json::json!({ "private": true, "type": "module", "dependencies": { "probot": VERSION } });
    std::fs::write(folder.join("package.json"), package.to_string())?;
    std::fs::write(folder.join("server.js"), PROGRAM)?;
    let installed = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"])
        .current_dir(&folder)
        .status();
    ensure!(installed.context("running npm")?.success(), "npm does not install probot {VERSION}");
    Ok(folder)
}

pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg("server.js").current_dir(folder).env("KEY", WORTHLESS_PRIVATE_KEY).env("SECRET", SECRET);
    command.env("NODE_ENV", "production");
    command
}
