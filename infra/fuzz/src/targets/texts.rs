//! Texts with variables, and addresses of servers that customers give.

use std::net::IpAddr;

use domain::sms::{self, Encoding};
use domain::user::{has_link, is_email};
use domain::variables;
use providers::guard::Guard;
use url::{Host, Url};

use crate::seeds::Seed;

/// A text, as everything that a text is read as.
pub(super) fn text(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let units = text.encode_utf16().count();
    let counted = sms::segments(&text);
    let least = match counted.encoding {
        Encoding::Gsm7 => units.div_ceil(160),
        Encoding::Ucs2 => units.div_ceil(70),
    };
    assert!((least.max(1)..=units.max(1)).contains(&counted.segments), "{counted:?} of {units} units");
    let filled = variables::render(&text, |_| Some("x".to_owned()));
    assert!(filled.len() <= text.len(), "a variable is longer than what it is filled with");
    if variables::check(&text).is_ok() && !text.contains("{{") {
        assert_eq!(filled, text, "a text without variables");
    }
    if is_email(&text) {
        assert!(text.is_ascii() && text.len() <= 254 && text.matches('@').count() == 1, "{text}");
    }
    assert!(!has_link(&text) || text.contains(['/', '.']), "{text}");
    address(&text);
}

/// What may be called is public, and nobody's secret goes there.
fn address(text: &str) {
    let Ok(url) = Url::parse(text) else { return };
    if Guard::default().allowing_http().check(&url).is_err() {
        return;
    }
    assert!(["http", "https"].contains(&url.scheme()) && url.username().is_empty(), "{url}");
    let address: IpAddr = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.to_canonical(),
        Some(Host::Domain(name)) => {
            assert!(name.trim_end_matches('.').contains('.'), "{name} is of this network");
            assert!(name.parse::<IpAddr>().is_err(), "{name} is an address");
            return;
        }
        None => panic!("{url} names no host"),
    };
    let is_of_networks = match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_broadcast() || v4.is_documentation(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    let is_nobody = address.is_loopback() || address.is_unspecified() || address.is_multicast();
    assert!(!is_of_networks && !is_nobody, "{url} is not public");
}

pub(super) fn seeds() -> Vec<Seed> {
    let texts = [
        "Olá, {{contact.first_name|cliente}}! Seu pedido {{contact.custom.pedido}} saiu. {{agent.name}}",
        "{{contact.name}} {{contact.phone}} {{contact.email}} {{company.name}} {{nada}} {{",
        "Promoção 🐛 só hoje: https://loja.example.com/x?y=1",
        "@£$¥ èéùìò ^{}\\[~]|€",
        "ana.souza+loja@example.com.br",
        "https://8.8.8.8/a",
        "http://[2001:4860:4860::8888]:8080/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://0x7f000001/",
        "https://metadata.google.internal./",
        "https://user@example.com/",
    ];
    texts
        .iter()
        .enumerate()
        .map(|(number, text)| (format!("text_{number}"), text.as_bytes().to_vec()))
        .collect()
}
