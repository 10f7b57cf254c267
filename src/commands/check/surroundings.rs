//! The env file, the port and the doors that the settings open.

use std::{
    io::ErrorKind,
    net::{IpAddr, TcpListener, ToSocketAddrs},
    path::Path,
};

use serde_json::Value;

use super::{Finding, Verdict};
use crate::{
    admin::Method,
    commands::http::{self, HttpRequest},
    config::{Config, env_file::Variables, unknown_names},
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
            if is_llmproxy(host, port) {
                return Finding::new(
                    "port",
                    Verdict::Ok,
                    format!("a server of llmproxy has {host}:{port}"),
                );
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

fn is_llmproxy(host: &str, port: u16) -> bool {
    let address = (host, port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next());
    let Some(address) = address else {
        return false;
    };
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let answer = http::send(HttpRequest {
        method: Method::Get,
        url: &format!("http://{host}:{port}/health"),
        bearer: None,
        members: Value::Null,
        extra_roots: None,
    });
    answer.is_ok_and(|answer| {
        let health: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        health["status"] == "ok"
    })
}
