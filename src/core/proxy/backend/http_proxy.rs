//! `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, as curl and the SDKs read them.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;
use percent_encoding::percent_decode_str;

use super::BackendUrl;

/// The HTTP proxy on the way to the backend.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpProxy {
    pub host: String,
    pub port: u16,
    /// Value of `Proxy-Authorization`.
    pub authorization: Option<String>,
}

impl HttpProxy {
    /// Returns the proxy that the environment names for this backend, if any.
    ///
    /// # Errors
    /// The name of the variable, and what is wrong with it. The value is not repeated.
    pub fn for_backend(
        backend: &BackendUrl,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, (&'static str, String)> {
        let names = if backend.tls {
            ["https_proxy", "HTTPS_PROXY"]
        } else {
            ["http_proxy", "HTTP_PROXY"]
        };
        let set = |name: &&'static str| {
            let value = variable(name).filter(|value| !value.trim().is_empty())?;
            Some((*name, value))
        };
        let Some((name, value)) = names.iter().find_map(set) else {
            return Ok(None);
        };
        let no_proxy = ["no_proxy", "NO_PROXY"].iter().find_map(set);
        if no_proxy.is_some_and(|(_, list)| is_exempt(backend, &list)) {
            return Ok(None);
        }
        Self::parse(value.trim())
            .map(Some)
            .map_err(|problem| (name, problem))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let accepted = "accepted is http://[user:password@]host:port";
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = url::Url::parse(&with_scheme).map_err(|_| accepted.to_owned())?;
        if url.scheme() != "http" {
            return Err(format!("only plain HTTP proxies are supported; {accepted}"));
        }
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(accepted)?;
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let credentials = format!(
                "{}:{}",
                decode(url.username()),
                decode(url.password().unwrap_or_default())
            );
            format!("Basic {}", base64(credentials.as_bytes()))
        });
        Ok(Self {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: url.port_or_known_default().ok_or(accepted)?,
            authorization,
        })
    }
}

/// Shows the proxy without its password.
impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpProxy({}:{})", self.host, self.port)
    }
}

/// Returns whether `NO_PROXY` names the backend: `*`, a host with all hosts below it, an address,
/// or a network, each with an optional port.
fn is_exempt(backend: &BackendUrl, list: &str) -> bool {
    let address = backend.host.parse::<IpAddr>().ok();
    list.split([',', ' '])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            if entry == "*" {
                return true;
            }
            if let (Some(address), Ok(network)) = (address, entry.parse::<IpNet>()) {
                return network.contains(&address);
            }
            let (host, port) = match entry.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                    (host, port.parse::<u16>().ok())
                }
                _ => (entry, None),
            };
            if port.is_some_and(|port| port != backend.port) {
                return false;
            }
            let host = host.trim_start_matches('[').trim_end_matches(']');
            if let (Some(address), Ok(exempt)) = (address, host.parse::<IpAddr>()) {
                return address == exempt;
            }
            let domain = host
                .trim_start_matches("*.")
                .trim_start_matches('.')
                .to_ascii_lowercase();
            let name = backend.host.to_ascii_lowercase();
            name == domain
                || name
                    .strip_suffix(&domain)
                    .is_some_and(|below| below.ends_with('.'))
        })
}

/// RFC 4648 section 4, for the one header that needs it.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for position in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * position) & 63).unwrap_or(0);
            text.push(if position <= group.len() {
                char::from(ALPHABET[index])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(
        url: &str,
        variables: &[(&str, &str)],
    ) -> Result<Option<HttpProxy>, (&'static str, String)> {
        HttpProxy::for_backend(&url.parse().unwrap(), |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_scheme_of_the_backend_picks_the_variable() {
        let both = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2")];
        assert_eq!(proxy("https://h", &both).unwrap().unwrap().host, "s");
        let plain = proxy("http://h", &both).unwrap().unwrap();
        assert_eq!((plain.host.as_str(), plain.port), ("p", 2));
        assert_eq!(proxy("https://h", &[]).unwrap(), None);
    }

    #[test]
    fn no_proxy_exempts_hosts_domains_networks_and_ports() {
        for (url, list, exempt) in [
            ("http://api.corp.example", "corp.example", true),
            ("http://api.corp.example", ".corp.example", true),
            ("http://api.corp.example", "*.corp.example", true),
            ("http://notcorp.example", "corp.example", false),
            ("http://10.1.2.3", "10.0.0.0/8", true),
            ("http://11.1.2.3", "10.0.0.0/8", false),
            ("http://[::1]:8080", "localhost,::1", true),
            ("http://h:8080", "h:8081", false),
            ("http://h:8080", "h:8080", true),
            ("http://h", "*", true),
        ] {
            let found = proxy(url, &[("HTTP_PROXY", "p:1"), ("NO_PROXY", list)]).unwrap();
            assert_eq!(found.is_none(), exempt, "{url} {list}");
        }
    }

    #[test]
    fn credentials_are_decoded_encoded_and_never_shown() {
        let found = proxy("http://h", &[("HTTP_PROXY", "http://us%20er:pa55@p:1")])
            .unwrap()
            .unwrap();
        assert_eq!(
            found.authorization.as_deref(),
            Some("Basic dXMgZXI6cGE1NQ==")
        );
        assert!(!format!("{found:?}").contains("pa55"));
        let (name, problem) =
            proxy("http://h", &[("HTTP_PROXY", "socks5://u:pa55@p:1")]).unwrap_err();
        assert!(name == "HTTP_PROXY" && !problem.contains("pa55"));
    }
}
