//! How much of Meta's allowance is used, from the headers on its answers.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::lenient::list;

/// How near the limits of the app and of the business account are. Above 80 % one should slow down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The highest of all percentages; may pass 100.
    pub percent: u32,
    /// How long calls are refused; zero while they are not.
    pub regain_access: Duration,
}

impl Usage {
    /// Reads `X-Business-Use-Case-Usage` and `X-App-Usage`; what is missing or malformed counts as unused.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let mut usage = Self::default();
        if let Some(business) = json(headers, "x-business-use-case-usage") {
            for name in business.as_object().into_iter().flat_map(|accounts| accounts.keys()) {
                for part in list(&business, name) {
                    usage.add(part);
                }
            }
        }
        if let Some(app) = json(headers, "x-app-usage") {
            usage.add(&app);
        }
        usage
    }

    fn add(&mut self, part: &Value) {
        for name in ["call_count", "total_cputime", "total_time"] {
            self.percent = self.percent.max(whole(&part[name]) as u32);
        }
        let minutes = whole(&part["estimated_time_to_regain_access"]);
        self.regain_access = self.regain_access.max(Duration::from_secs(minutes * 60));
    }
}

fn json(headers: &HeaderMap, name: &str) -> Option<Value> {
    serde_json::from_str(headers.get(name)?.to_str().ok()?).ok()
}

/// A figure rounded down; at most a million, so that no header makes us wait for ever.
fn whole(value: &Value) -> u64 {
    value.as_f64().unwrap_or(0.0).clamp(0.0, 1_000_000.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn the_worst_figure_counts() {
        let fixture: Value = serde_json::from_str(include_str!(
            "../../../../tests/fixtures/whatsapp_cloud/api_usage_headers.json"
        ))
        .expect("JSON");
        let mut headers = HeaderMap::new();
        for (name, value) in fixture["headers"].as_object().expect("headers") {
            let name: HeaderName = name.parse().expect("a name");
            headers.insert(name, HeaderValue::from_str(value.as_str().expect("text")).expect("a value"));
        }
        let usage = Usage::from_headers(&headers);
        assert_eq!(u64::from(usage.percent), fixture["expected"]["utilisation_percent"]);
        assert_eq!(usage.regain_access.as_secs(), fixture["expected"]["regain_access_seconds"]);
    }

    #[test]
    fn nonsense_counts_as_unused() {
        let mut headers = HeaderMap::new();
        headers.insert("x-app-usage", HeaderValue::from_static("[1"));
        headers.insert("x-business-use-case-usage", HeaderValue::from_static("{\"1\":7}"));
        assert_eq!(Usage::from_headers(&headers), Usage::default());
    }
}
