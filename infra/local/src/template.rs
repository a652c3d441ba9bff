//! What the launcher needs to know of `template.yaml`, and the one thing it changes in it.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use serde_yaml_ng::Value;

const CODE: &str = "CodeUri: target/lambda/";

/// The template's text, and the same parsed.
#[derive(Debug)]
pub struct Template {
    text: String,
    root: Value,
}

/// A table whose items expire, which the emulator's CloudFormation leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The table's logical id.
    pub table: String,
    /// Its attribute with the time, in seconds since 1970.
    pub attribute: String,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is no YAML.
    pub fn parse(text: String) -> anyhow::Result<Self> {
        let root = serde_yaml_ng::from_str(&text).context("template.yaml is not YAML")?;
        Ok(Self { text, root })
    }

    /// The binaries of its functions, in their order.
    ///
    /// # Errors
    /// When a function's code is not where the build puts it.
    pub fn binaries(&self) -> anyhow::Result<Vec<String>> {
        let mut binaries = Vec::new();
        for line in self.text.lines().map(str::trim) {
            if let Some(binary) = binary_of(line) {
                binaries.push(binary.to_owned());
            } else if line.starts_with("CodeUri:") {
                bail!("`{line}` is not of the form `{CODE}<binary>/`");
            }
        }
        ensure!(!binaries.is_empty(), "template.yaml has no function");
        Ok(binaries)
    }

    /// The template with each function's code replaced by its place in a bucket.
    ///
    /// # Errors
    /// When a binary has none.
    pub fn with_code(&self, places: &BTreeMap<String, String>) -> anyhow::Result<String> {
        let mut text = String::with_capacity(self.text.len());
        for line in self.text.lines() {
            if let Some(binary) = binary_of(line.trim()) {
                let place = places.get(binary).with_context(|| format!("{binary} was not uploaded"))?;
                let indent = &line[..line.len() - line.trim_start().len()];
                text.push_str(&format!("{indent}CodeUri: {place}"));
            } else {
                text.push_str(line);
            }
            text.push('\n');
        }
        Ok(text)
    }

    /// Whether it has this parameter.
    pub fn has_parameter(&self, name: &str) -> bool {
        self.root.get("Parameters").and_then(|parameters| parameters.get(name)).is_some()
    }

    /// The id that a resource has on the emulator, by its tag `ms-custom-id`.
    ///
    /// # Errors
    /// When it has none.
    pub fn pinned_id(&self, resource: &str) -> anyhow::Result<&str> {
        let tags = self.properties(resource).and_then(|properties| properties.get("Tags"));
        let id = tags.and_then(|tags| tags.get("ms-custom-id")).and_then(Value::as_str);
        id.with_context(|| format!("{resource} has no tag ms-custom-id in template.yaml"))
    }

    /// The stage of an API.
    ///
    /// # Errors
    /// When it has none.
    pub fn stage_of(&self, api: &str) -> anyhow::Result<&str> {
        for (_, resource) in self.resources() {
            let properties = resource.get("Properties");
            let of = properties.and_then(|properties| properties.get("ApiId"));
            if type_of(resource) == "AWS::ApiGatewayV2::Stage" && of.is_some_and(|of| refers_to(of, api)) {
                let name =
                    properties.and_then(|properties| properties.get("StageName")).and_then(Value::as_str);
                return name.with_context(|| format!("the stage of {api} has no name"));
            }
        }
        bail!("{api} has no stage in template.yaml")
    }

    /// The tables whose items expire.
    pub fn expiries(&self) -> Vec<Expiry> {
        let tables = self.resources().filter(|(_, resource)| type_of(resource) == "AWS::DynamoDB::Table");
        tables
            .filter_map(|(name, resource)| {
                let expiry = resource.get("Properties")?.get("TimeToLiveSpecification")?;
                let attribute = expiry.get("AttributeName")?.as_str()?.to_owned();
                Some(Expiry { table: name.to_owned(), attribute })
            })
            .collect()
    }

    fn resources(&self) -> impl Iterator<Item = (&str, &Value)> {
        let resources = self.root.get("Resources").and_then(Value::as_mapping);
        resources.into_iter().flatten().filter_map(|(name, resource)| Some((name.as_str()?, resource)))
    }

    fn properties(&self, resource: &str) -> Option<&Value> {
        self.root.get("Resources")?.get(resource)?.get("Properties")
    }
}

fn binary_of(line: &str) -> Option<&str> {
    let binary = line.strip_prefix(CODE)?.trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!binary.is_empty() && binary.bytes().all(plain)).then_some(binary)
}

fn type_of(resource: &Value) -> &str {
    resource.get("Type").and_then(Value::as_str).unwrap_or_default()
}

/// `!Ref name`, as this parser gives it, or its long form.
fn refers_to(value: &Value, name: &str) -> bool {
    match value {
        Value::Tagged(tagged) => tagged.tag == "Ref" && tagged.value.as_str() == Some(name),
        other => other.get("Ref").and_then(Value::as_str) == Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Parameters:
  PublicUrl: {Type: String}
Resources:
  FirstFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/api-auth/
      Environment: {Variables: {A: !Sub 'x${B}'}}
  SecondFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/realtime/
  Sockets:
    Type: AWS::DynamoDB::Table
    Properties:
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: true}
  WebSocketApi:
    Type: AWS::ApiGatewayV2::Api
    Properties:
      Tags: {ms-custom-id: live}
  WebSocketStage:
    Type: AWS::ApiGatewayV2::Stage
    Properties:
      ApiId: !Ref WebSocketApi
      StageName: prod
";

    #[test]
    fn only_the_code_is_rewritten() {
        let template = Template::parse(TEXT.to_owned()).expect("YAML");
        assert_eq!(template.binaries().expect("valid"), ["api-auth", "realtime"]);
        let places = [("api-auth", "s3://b/1.zip"), ("realtime", "s3://b/2.zip")];
        let places = places.map(|(name, place)| (name.to_owned(), place.to_owned())).into();
        let text = template.with_code(&places).expect("all there");
        let expected = TEXT
            .replace("target/lambda/api-auth/", "s3://b/1.zip")
            .replace("target/lambda/realtime/", "s3://b/2.zip");
        assert_eq!(text, expected);
        assert!(template.with_code(&BTreeMap::new()).is_err());
    }

    #[test]
    fn other_places_for_code_are_refused() {
        let template = Template::parse(TEXT.replace("lambda/realtime/", "../x")).expect("YAML");
        assert!(template.binaries().expect_err("strange").to_string().contains("../x"));
    }

    #[test]
    fn facts_are_found() {
        let template = Template::parse(TEXT.to_owned()).expect("YAML");
        assert!(template.has_parameter("PublicUrl") && !template.has_parameter("Other"));
        assert_eq!(template.pinned_id("WebSocketApi").expect("pinned"), "live");
        assert_eq!(template.stage_of("WebSocketApi").expect("there"), "prod");
        let expiry = Expiry { table: "Sockets".to_owned(), attribute: "expires_at".to_owned() };
        assert_eq!(template.expiries(), [expiry]);
        assert!(template.pinned_id("Sockets").is_err());
    }
}
