//! `weir cert dev`: certificates to try things with.
//!
//! It must not know a server. Invariant: no file is written over, and no key can be read by others.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::Failure;

/// Names and addresses that the server's certificate is good for beside those that are given.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// How long they are good: long enough to try things, too short to be forgotten about.
const DAYS: u64 = 90;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make an authority, a certificate for a server and one for each client, all new, for 90 days.
    ///
    /// The authority's key is not kept, so nobody can make another certificate that it vouches for. A client's
    /// certificate stands for the token of the same name: make that with `weir token create`. Where the name was given
    /// before, its certificate is of NAME:2 and so on, as `weir token list` shows.
    #[command(after_help = "Example:
  weir cert dev certs --client lond --client head-end

Then:
  WEIR_TLS_CERTIFICATE=certs/server.pem WEIR_TLS_KEY=certs/server.key WEIR_TLS_CLIENT_CA=certs/ca.pem \\
    weir serve --authenticate
  weir rule list --server https://127.0.0.1:7700 --ca certs/ca.pem --certificate certs/lond.pem --key certs/lond.key")]
    Dev {
        /// Folder to write them to: ca.pem, server.pem, server.key, and NAME.pem and NAME.key of each client,
        /// NAME-2.pem of NAME:2.
        folder: PathBuf,
        /// Name of a client, with the number of the token where it is not the first of that name.
        #[arg(long, value_name = "NAME[:NUMBER]")]
        client: Vec<String>,
        /// Another name or address that the server is reached by.
        #[arg(long, value_name = "NAME|ADDR")]
        host: Vec<String>,
    },
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let Command::Dev { folder, client, host } = command;
    fs::create_dir_all(&folder).map_err(|error| Failure::of_folder(&folder, &error))?;
    let authority = authority().map_err(|error| refused(&error))?;
    put(&folder.join("ca.pem"), &authority.pem(), 0o644)?;
    let hosts = HOSTS.iter().copied().chain(host.iter().map(String::as_str));
    let names = hosts.map(server_name).collect::<Result<Vec<_>, _>>()?;
    issue(&folder, "server", names, ExtendedKeyUsagePurpose::ServerAuth, &authority)?;
    for holder in &client {
        let (name, number) = holder.split_once(':').unwrap_or((holder, "1"));
        if !number.parse::<u32>().is_ok_and(|read| read > 0 && read.to_string() == number) {
            return Err(Failure::usage(format!("--client: {holder:?}: {number:?} is no number of a token; 2 is")));
        }
        let shaped = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if name.is_empty() || !shaped || ["server", "ca"].contains(&name) {
            return Err(Failure::usage(format!(
                "--client: {name:?} is not lower-case letters, digits and hyphens, or is taken (server, ca)"
            )));
        }
        let uri = if number == "1" { format!("weir:{name}") } else { format!("weir:{name}:{number}") };
        let uri = uri.try_into().map_err(|error| refused(&error))?;
        issue(
            &folder,
            &holder.replace(':', "-"),
            vec![SanType::URI(uri)],
            ExtendedKeyUsagePurpose::ClientAuth,
            &authority,
        )?;
    }
    println!("{} certificates in {}, good for {DAYS} days", client.len() + 2, folder.display());
    Ok(())
}

fn refused(error: &rcgen::Error) -> Failure {
    Failure::internal(format!("certificates: {error}"))
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = params("Weir development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = std::time::SystemTime::now();
    let day = std::time::Duration::from_secs(86_400);
    // A clock that is a little behind takes them all the same.
    params.not_before = (now - day).into();
    params.not_after = (now + day * u32::try_from(DAYS).unwrap_or(1)).into();
    params
}

fn server_name(text: &str) -> Result<SanType, Failure> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let name = text.to_owned().try_into();
    name.map(SanType::DnsName).map_err(|_| Failure::usage(format!("--host: {text:?} is neither a name nor an address")))
}

fn issue(
    folder: &Path,
    name: &str,
    names: Vec<SanType>,
    usage: ExtendedKeyUsagePurpose,
    authority: &CertifiedIssuer<'_, KeyPair>,
) -> Result<(), Failure> {
    let key = KeyPair::generate().map_err(|error| refused(&error))?;
    let mut params = params(name);
    params.subject_alt_names = names;
    params.extended_key_usages = vec![usage];
    let certificate = params.signed_by(&key, authority).map_err(|error| refused(&error))?;
    put(&folder.join(name).with_extension("pem"), &certificate.pem(), 0o644)?;
    put(&folder.join(name).with_extension("key"), &key.serialize_pem(), 0o600)
}

fn put(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let failure = Failure::usage(format!("{}: {error}", path.display()));
        match error.kind() {
            io::ErrorKind::AlreadyExists => failure.with_hint("name another folder: nothing is written over"),
            _ => failure,
        }
    })
}
