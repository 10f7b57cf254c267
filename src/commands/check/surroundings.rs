//! The env file, the port and the doors that the settings open.

use std::{io::ErrorKind, net::TcpListener, path::Path};

use super::{Finding, Verdict};
use crate::{
    commands::health,
    config::{Config, env_file::Variables, unknown_names},
    listener::ServerCertificate,
    model::now_ms,
};

pub(super) fn env_file(variables: &Variables) -> Vec<Finding> {
    let Some(path) = variables.path() else {
        let message = "none: settings come from flags and the environment";
        return vec![Finding::new("env file", Verdict::Ok, message)];
    };
    let shown = path.display();
    let mut findings = Vec::new();
    if let Some(warning) = variables.exposure() {
        findings.push(Finding::new("env file", Verdict::Warning, warning));
    }
    let unknown = unknown_names(variables);
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        findings.push(Finding::new(
            "env file",
            Verdict::Warning,
            format!("{shown} sets what is no setting of llmproxy: {names}"),
        ));
    }
    if findings.is_empty() {
        let settings = variables.names().count();
        let message = format!("{shown} is private and sets {settings} settings");
        findings.push(Finding::new("env file", Verdict::Ok, message));
    }
    findings
}

/// Returns the mode of a file that its group or everybody may read.
#[cfg(unix)]
pub(super) fn readable_by_others(path: &Path) -> Option<u32> {
    crate::config::env_file::readable_by_others(path)
}

pub(super) fn doors(config: &Config) -> Vec<Finding> {
    let mut findings = vec![port(config)];
    if let Some((certificate, key)) = &config.tls_files {
        findings.push(match ServerCertificate::read(certificate, key) {
            Ok(read) => match (read.warning(), read.end_ms()) {
                (Some(warning), Some(end_ms)) if end_ms <= now_ms() => {
                    Finding::new("certificate", Verdict::Failed, warning)
                }
                (Some(warning), _) => Finding::new("certificate", Verdict::Warning, warning),
                (None, _) => {
                    let message = format!("{} and its key can be used", read.path().display());
                    Finding::new("certificate", Verdict::Ok, message)
                }
            },
            Err(error) => Finding::new("certificate", Verdict::Failed, error.to_string()),
        });
    }
    let warnings = config.open_doors();
    if warnings.is_empty() {
        let message = match &config.admin_token {
            Some(_) => "the admin API is open to those who have ADMIN_TOKEN",
            None => "the admin API is open to this machine only",
        };
        findings.push(Finding::new("doors", Verdict::Ok, message));
    }
    let warned = warnings.into_iter();
    findings.extend(warned.map(|text| Finding::new("doors", Verdict::Warning, text)));
    findings
}

/// Can the port be taken, or does a server of ours have it already?
fn port(config: &Config) -> Finding {
    let (host, port) = (config.host.as_str(), config.port);
    match TcpListener::bind((host, port)) {
        Ok(_) => Finding::new("port", Verdict::Ok, format!("{host}:{port} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if health::ask(host, port, config.tls_files.is_some()).is_ok() {
                return Finding::new(
                    "port",
                    Verdict::Ok,
                    format!("a server of llmproxy has {host}:{port}"),
                );
            }
            if config.tls_files.is_some() {
                let message = format!("something has {host}:{port}, perhaps this server");
                return Finding::new("port", Verdict::Ok, message);
            }
            let message = format!("another program has {host}:{port}: stop it, or set PORT");
            Finding::new("port", Verdict::Failed, message)
        }
        Err(error) => {
            let message = format!("cannot listen on {host}:{port}: {error}");
            Finding::new("port", Verdict::Failed, message)
        }
    }
}
