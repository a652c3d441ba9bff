//! Trace contexts: AWS X-Ray's header becomes a W3C `traceparent`, which queue messages and events carry on.

/// The `traceparent` of an X-Ray header, `Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=1`. A front door that does not
/// trace sends the root alone: the trace is that one, and its first span is named by its end.
pub fn from_xray(header: &str) -> Option<String> {
    let mut root = None;
    let mut parent = None;
    let mut flags = "00";
    for part in header.split(';') {
        match part.trim().split_once('=')? {
            ("Root", value) => root = value.strip_prefix("1-").map(|id| id.replace('-', "")),
            ("Parent", value) => parent = Some(value),
            ("Sampled", "1") => flags = "01",
            _ => {}
        }
    }
    let is_hex =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let root = root.filter(|root| is_hex(root, 32))?;
    let parent = parent.unwrap_or(&root[16..]);
    is_hex(parent, 16).then(|| format!("00-{root}-{parent}-{flags}"))
}

/// A context for work that came without one; `id` is fresh.
pub fn fresh(id: uuid::Uuid) -> String {
    let hex = id.simple().to_string();
    format!("00-{hex}-{}-00", &hex[16..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xray_becomes_w3c() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let expected = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
        assert_eq!(from_xray(header).as_deref(), Some(expected));
        let alone = "00-5759e988bd862e3fe1be46a994272793-e1be46a994272793-00";
        assert_eq!(from_xray("Root=1-5759e988-bd862e3fe1be46a994272793").as_deref(), Some(alone));
        assert_eq!(from_xray("Root=1-5759e988;Sampled=0"), None);
        assert_eq!(from_xray("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=5"), None);
        assert_eq!(from_xray(""), None);
    }
}
