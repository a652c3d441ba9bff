//! What is deployed: `template.yaml`, held against the code and against what is easy to get wrong in it.

mod emulator;
mod events;
mod functions;
mod operations;
mod queues;
mod routes;

use std::collections::BTreeMap;

use serde_yaml_ng::Value;
use testkit::stack::checkout;

pub(crate) use routes::documented as documented_routes;

/// The template, with CloudFormation's short forms (`!Ref`, `!GetAtt` …) as YAML tags.
struct Template {
    text: String,
    document: Value,
}

impl Template {
    fn load() -> Self {
        let text = std::fs::read_to_string(checkout().join("template.yaml")).unwrap();
        let document = serde_yaml_ng::from_str(&text).unwrap();
        Self { text, document }
    }

    /// Resources of one type, by logical id.
    fn resources(&self, kind: &str) -> BTreeMap<&str, &Value> {
        let all = self.document["Resources"].as_mapping().unwrap();
        all.iter()
            .filter(|(_, resource)| resource["Type"] == kind)
            .map(|(id, resource)| (id.as_str().unwrap(), &resource["Properties"]))
            .collect()
    }

    fn resource(&self, id: &str) -> &Value {
        let resource = &self.document["Resources"][id];
        assert!(!resource.is_null(), "no resource {id}");
        &resource["Properties"]
    }
}

/// The logical id that `!Ref`, `!GetAtt` or `!Sub` points at.
fn target(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) => {
            let text = match &tagged.value {
                Value::String(text) => text.as_str(),
                Value::Sequence(parts) => parts[0].as_str().unwrap(),
                other => panic!("nothing to point at: {other:?}"),
            };
            if tagged.tag == "Sub" {
                let (_, rest) = text.split_once("${").unwrap_or_else(|| panic!("{text} points at nothing"));
                return rest.split(['.', '}']).next().unwrap().to_owned();
            }
            text.split('.').next().unwrap().to_owned()
        }
        Value::String(text) => text.clone(),
        other => panic!("no reference: {other:?}"),
    }
}
