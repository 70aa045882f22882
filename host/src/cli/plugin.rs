//! `weir plugin`: write, build and try plugins without a server; upload them and look at them.
//!
//! It must not know what is in a component: the host's own checks do.

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use weir_proto::v1::{self, plugin_service_client::PluginServiceClient};

use super::{
    Failure, Session, input,
    session::{Connection, MESSAGE_BYTES_MAX},
    view::plugin,
};

mod build;
mod new;
mod template;
mod test;

/// Bytes of a file that are worth sending; the server's own limit is lower or the same.
pub(super) const FILE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of one piece.
pub(super) const CHUNK_BYTES: usize = 256 << 10;
/// Bytes of a signature that are worth sending; the server says what is wrong with one of another size.
pub(super) const SIGNATURE_BYTES_MAX: u64 = 4 << 10;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a package to write a rule in: a small rule that works, its unit tests, a sample, and the SDK.
    ///
    /// It needs no server. The package depends on crates.io and on nothing else; its README.md says how to go on.
    #[command(after_help = "Example:\n  weir plugin new my-rule")]
    New(new::Args),
    /// Build a rule's package into a component, NAME.wasm in its folder.
    ///
    /// It needs no server, but cargo and a Rust that can compile for wasm32-unknown-unknown: the one in use, to which
    /// rustup is asked to add the target, or Debian's (packages rustc-web, cargo-web, rust-web-src and lld).
    /// WEIR_GUEST_TOOLCHAIN=rustup or =debian forces either; only debian lets apt install anything.
    #[command(after_help = "Examples:\n  weir plugin build\n  weir plugin build my-rule")]
    Build(build::Args),
    /// Try a component on a sample of alerts: verdicts, reasons, fuel, memory and state.
    ///
    /// It needs no server: the component is checked and compiled as an upload is, then judges the sample in the
    /// sandbox, as the only rule of a host that has seen nothing. It must judge the same when the alerts come one by
    /// one. Exit code 64 where it fails or does not, or where an alert cannot be read.
    #[command(after_help = test::HELP)]
    Test(test::Args),
    /// Upload a component. It is checked and compiled before it is kept; the same bytes again change nothing.
    #[command(after_help = "Examples:
  weir plugin push threshold.wasm
  weir plugin push threshold.wasm --signature threshold.sig

A signature is made of the file itself, as by: openssl pkeyutl -sign -rawin -inkey key.pem -in FILE -out FILE.sig")]
    Push {
        /// The component.
        file: PathBuf,
        /// File of its ed25519 signature, 64 bytes: for a host that takes signed plugins only.
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
    },
    /// List the plugins, newest first.
    #[command(after_help = "Example:\n  weir plugin list --json")]
    List,
    /// Show one plugin: parameters, state, reasons, and the rules that use it.
    #[command(after_help = "Examples:\n  weir plugin show threshold\n  weir plugin show 3f9a1c77")]
    Show {
        /// Its digest, the first 8 digits of it or more, or its name (the newest upload of that name).
        #[arg(value_name = "DIGEST|NAME")]
        plugin: String,
    },
    /// Remove a plugin that no rule ever used: its bytes and its compiled code go.
    ///
    /// An operator gives it up, and others who uploaded the same bytes keep it; an administrator removes it for everybody.
    /// It is refused while a kept revision of a rule names it, since the log says what was judged by it.
    #[command(after_help = "Example:\n  weir plugin remove 3f9a1c77")]
    Remove {
        /// Its digest, the first 8 digits of it or more, or its name (the newest upload of that name).
        #[arg(value_name = "DIGEST|NAME")]
        plugin: String,
    },
    /// Revoke a plugin, or a key that plugins are signed with, for good, while the host works.
    ///
    /// No rule runs it from then on: rules that use it are turned off by a revision that says why, and none can be set to
    /// use it. With a key go the plugins that are signed with no other. For administrators.
    #[command(after_help = "Examples:
  weir plugin revoke 3f9a1c77 --why 'holds back outages'
  weir plugin revoke --signing-key 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c --why 'the key leaked'")]
    Revoke {
        /// Its digest, the first 8 digits of it or more, or its name (the newest upload of that name).
        #[arg(value_name = "DIGEST|NAME", required_unless_present = "signing_key", conflicts_with = "signing_key")]
        plugin: Option<String>,
        /// An ed25519 public key, 64 hex digits, as in the setting signing_keys.
        #[arg(long, value_name = "HEX")]
        signing_key: Option<String>,
        /// Why, for the history.
        #[arg(long, value_name = "TEXT", default_value = "")]
        why: String,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::New(args) => new::run(session, args),
        Command::Build(args) => build::run(session, args),
        Command::Test(args) => test::run(session, args),
        Command::Push { file, signature } => push(session, &file, signature.as_deref()).await,
        Command::List => list(session).await,
        Command::Show { plugin } => show(session, plugin).await,
        Command::Remove { plugin } => remove(session, plugin).await,
        Command::Revoke { plugin, signing_key, why } => {
            let (plugin, signing_key) = (plugin.unwrap_or_default(), signing_key.unwrap_or_default());
            revoke(session, v1::RevokePluginRequest { plugin, signing_key, why }).await
        }
    }
}

async fn push(session: &Session, path: &Path, signature: Option<&Path>) -> Result<(), Failure> {
    let bytes = input::read_whole(path, FILE_BYTES_MAX)?;
    let signature = signature.map(|path| input::read_whole(path, SIGNATURE_BYTES_MAX)).transpose()?.unwrap_or_default();
    let mut client = client(session).await?;
    let progress = ProgressBar::new(bytes.len() as u64);
    let chunks: Vec<Vec<u8>> = bytes.chunks(CHUNK_BYTES).map(<[u8]>::to_vec).collect();
    let following = progress.clone();
    let requests = tokio_stream::iter(chunks.into_iter().map(move |chunk| {
        following.inc(chunk.len() as u64);
        v1::UploadPluginRequest { chunk, signature: signature.clone() }
    }));
    let answer = client.upload_plugin(requests).await;
    progress.finish_and_clear();
    let v1::UploadPluginResponse { plugin, compile_us, report } =
        answer.map_err(|status| session.failed(&status))?.into_inner();
    let plugin = plugin::Shown { plugin: present(plugin)?, report: report.map(plugin::Report::from) };
    session.show(&plugin::Upload { plugin, compile_us }, plugin::upload_facts)
}

async fn list(session: &Session) -> Result<(), Failure> {
    let mut client = client(session).await?;
    let (mut rows, mut page_token): (Vec<plugin::Plugin>, String) = (Vec::new(), String::new());
    loop {
        let answer = client.list_plugins(v1::ListPluginsRequest { page_size: 0, page_token }).await;
        let page = answer.map_err(|status| session.failed(&status))?.into_inner();
        rows.extend(page.plugins.into_iter().map(plugin::Plugin::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return session.list(&rows, plugin::table);
        }
    }
}

async fn show(session: &Session, plugin: String) -> Result<(), Failure> {
    let answer = client(session).await?.get_plugin(v1::GetPluginRequest { plugin }).await;
    let v1::GetPluginResponse { plugin, report } = answer.map_err(|status| session.failed(&status))?.into_inner();
    let shown = plugin::Shown { plugin: present(plugin)?, report: report.map(plugin::Report::from) };
    session.show(&shown, plugin::facts)?;
    match &shown.report {
        // In JSON they are part of what was shown.
        Some(report) if !session.json => session.list(&report.limits, plugin::limits),
        _ => Ok(()),
    }
}

async fn remove(session: &Session, plugin: String) -> Result<(), Failure> {
    let answer = client(session).await?.remove_plugin(v1::RemovePluginRequest { plugin }).await;
    let v1::RemovePluginResponse { plugin, gone } = answer.map_err(|status| session.failed(&status))?.into_inner();
    session.show(&plugin::Removed { plugin: present(plugin)?, gone }, plugin::removed_facts)
}

async fn revoke(session: &Session, request: v1::RevokePluginRequest) -> Result<(), Failure> {
    let answer = client(session).await?.revoke_plugin(request).await;
    let v1::RevokePluginResponse { plugins, rules } = answer.map_err(|status| session.failed(&status))?.into_inner();
    let plugins = plugins.into_iter().map(plugin::Plugin::from).collect();
    session.show(&plugin::Revoked { plugins, rules }, plugin::revoked_facts)
}

fn present(plugin: Option<v1::Plugin>) -> Result<plugin::Plugin, Failure> {
    plugin.map(plugin::Plugin::from).ok_or_else(|| Failure::internal("plugin: missing in the server's answer"))
}

async fn client(session: &Session) -> Result<PluginServiceClient<Connection>, Failure> {
    Ok(PluginServiceClient::new(session.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX))
}
