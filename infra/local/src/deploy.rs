//! `template.yaml` onto the emulator, by its CloudFormation API.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as Keys;
use aws_sdk_cloudformation::types::{Capability, Parameter};
use aws_sdk_dynamodb::types::TimeToLiveSpecification;
use aws_sdk_s3::primitives::ByteStream;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::compile;
use crate::credentials::Credentials;
use crate::database::DatabaseUrls;
use crate::emulator::{self, REGION, ROOT_KEY};
use crate::layout::Layout;
use crate::package::package;
use crate::ports::Ports;
use crate::sandbox;
use crate::template::Template;

const STACK: &str = "master-ia";
const BUCKET: &str = "deployment";
/// Who writes the mails here; SES sends for who is verified only.
const MAIL_ADDRESS: &str = "no-reply@master-ia.example";
/// Packages in memory at a time.
const UPLOADS: usize = 4;
const LIMIT: Duration = Duration::from_secs(120);

/// What came of it, and what else a later command needs to talk to this stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployment {
    /// The template's outputs.
    pub outputs: BTreeMap<String, String>,
    /// The secret with the application role's database URL.
    pub database_secret: String,
    /// The database.
    pub database: DatabaseUrls,
    /// The emulator.
    pub aws_endpoint_url: String,
}

impl Deployment {
    /// One output of the template.
    ///
    /// # Errors
    /// When it has none of that name.
    pub fn output(&self, name: &str) -> anyhow::Result<&str> {
        let value = self.outputs.get(name).map(String::as_str);
        value.with_context(|| format!("template.yaml has no output {name}"))
    }

    /// The function URLs of webhooks by provider: output `WebhookMetaUrl` is that of `meta`.
    pub fn webhooks(&self) -> BTreeMap<String, String> {
        let provider = |name: &str| Some(name.strip_prefix("Webhook")?.strip_suffix("Url")?.to_lowercase());
        let path = |url: &str| {
            let id = url.strip_prefix("https://")?.split('.').next()?;
            Some(format!("{}/_aws/lambda-url/{id}", self.aws_endpoint_url))
        };
        self.outputs.iter().filter_map(|(name, url)| Some((provider(name)?, path(url)?))).collect()
    }
}

/// A configuration of the SDK that reaches the emulator as the account's root.
pub async fn configuration(endpoint_url: &str) -> SdkConfig {
    let (key, secret) = ROOT_KEY;
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .credentials_provider(Keys::new(key, secret, None, None, "local"))
        .endpoint_url(endpoint_url)
        .load()
        .await
}

/// Reads the checkout's template.
///
/// # Errors
/// When there is none, or it is no YAML.
pub fn read_template(layout: &Layout) -> anyhow::Result<Template> {
    let path = layout.checkout.join("template.yaml");
    Template::parse(fs::read_to_string(&path).with_context(|| path.display().to_string())?)
}

/// Deploys everything onto an empty emulator: code, stack, secrets, and what its CloudFormation leaves out.
///
/// # Errors
/// When a binary is missing or the stack fails; with the reasons that CloudFormation gives.
pub async fn deploy(
    layout: &Layout,
    template: &Template,
    ports: Ports,
    credentials: &Credentials,
    database: &DatabaseUrls,
) -> anyhow::Result<Deployment> {
    let endpoint = emulator::url(ports.emulator);
    let configuration = configuration(&endpoint).await;
    let s3 = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::config::Builder::from(&configuration).force_path_style(true).build(),
    );
    s3.create_bucket().bucket(BUCKET).send().await.context("cannot make the bucket of the code")?;
    let text = template.with_code(&upload_code(layout, template, &s3).await?)?;
    upload(&s3, "template.yaml", text.into_bytes()).await?;
    let ses = aws_sdk_sesv2::Client::new(&configuration);
    let verify = ses.create_email_identity().email_identity(MAIL_ADDRESS);
    verify.send().await.context("cannot verify the address that mails come from")?;
    let secrets = Secrets(aws_sdk_secretsmanager::Client::new(&configuration));
    let database_secret = secrets.create("database", &database_json(&database.application)).await?;
    let app_secret = secrets.create("facebook", sandbox::FACEBOOK_APP_SECRET).await?;
    let mut parameters = vec![
        ("DatabaseSecretArn", database_secret.clone()),
        (
            "SystemDatabaseSecretArn",
            secrets.create("system-database", &database_json(&database.system)).await?,
        ),
        ("OpenAiKeySecretArn", secrets.create("openai-key", sandbox::OPENAI_KEY).await?),
        ("EnvironmentName", "local".to_owned()),
        ("PublicUrl", format!("http://127.0.0.1:{}", ports.front_door)),
        ("MailFrom", format!("Master IA <{MAIL_ADDRESS}>")),
        ("MailIdentityArn", format!("arn:aws:ses:{REGION}:000000000000:identity/{MAIL_ADDRESS}")),
        ("GoogleClientId", sandbox::GOOGLE_CLIENT_ID.to_owned()),
        ("GoogleClientSecretArn", secrets.create("google", sandbox::GOOGLE_CLIENT_SECRET).await?),
        ("GoogleBaseUrl", sandbox::google_url(ports)),
        ("FacebookAppId", sandbox::FACEBOOK_APP_ID.to_owned()),
        ("FacebookAppSecretArn", app_secret.clone()),
        // One application for both.
        ("MetaAppId", sandbox::FACEBOOK_APP_ID.to_owned()),
        ("MetaAppSecretArn", app_secret),
        ("FacebookBaseUrl", sandbox::facebook_url(ports)),
        ("FacebookGraphBaseUrl", sandbox::facebook_url(ports)),
        ("GraphBaseUrl", sandbox::graph_url(ports)),
        ("TwilioBaseUrl", sandbox::twilio_url(ports)),
        ("WebhooksUrl", format!("http://127.0.0.1:{}/webhooks", ports.front_door)),
        ("OpenAiBaseUrl", sandbox::openai_url(ports)),
        ("WebSocketEndpoint", websocket_url(template, &endpoint)?),
    ];
    parameters.retain(|(name, _)| template.has_parameter(name));
    let cloudformation = aws_sdk_cloudformation::Client::new(&configuration);
    let outputs =
        create_stack(&cloudformation, &format!("{endpoint}/{BUCKET}/template.yaml"), parameters).await?;
    let deployment =
        Deployment { outputs, database_secret, database: database.clone(), aws_endpoint_url: endpoint };
    secrets.put(deployment.output("MasterKeySecretArn")?, &credentials.master_key).await?;
    secrets.put(deployment.output("TokenKeySecretArn")?, &credentials.token_key).await?;
    expire_items(&configuration, &cloudformation, template).await?;
    Ok(deployment)
}

/// Where the WebSocket API is on the emulator, and its `/@connections`.
///
/// # Errors
/// When the template does not pin its id.
pub fn websocket_url(template: &Template, endpoint: &str) -> anyhow::Result<String> {
    let (id, stage) = (template.pinned_id("WebSocketApi")?, template.stage_of("WebSocketApi")?);
    Ok(format!("{endpoint}/_aws/execute-api/{id}/{stage}"))
}

/// Where the HTTP API is on the emulator.
///
/// # Errors
/// When the template does not pin its id.
pub fn http_api_url(template: &Template, endpoint: &str) -> anyhow::Result<String> {
    let (id, stage) = (template.pinned_id("HttpApi")?, template.stage_of("HttpApi")?);
    Ok(format!("{endpoint}/_aws/execute-api/{id}/{stage}"))
}

fn database_json(url: &str) -> String {
    serde_json::json!({ "url": url }).to_string()
}

/// Uploads each binary and returns their places.
async fn upload_code(
    layout: &Layout,
    template: &Template,
    s3: &aws_sdk_s3::Client,
) -> anyhow::Result<BTreeMap<String, String>> {
    let folder = compile::folder(layout);
    let uploads = template.binaries()?.into_iter().map(|binary| {
        let path = folder.join(&binary);
        async move {
            let package = tokio::task::spawn_blocking(move || package(&path)).await??;
            let key = format!("{binary}/{}.zip", package.digest);
            upload(s3, &key, package.bytes).await?;
            anyhow::Ok((binary, format!("s3://{BUCKET}/{key}")))
        }
    });
    futures::stream::iter(uploads).buffer_unordered(UPLOADS).try_collect().await
}

async fn upload(s3: &aws_sdk_s3::Client, key: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
    let put = s3.put_object().bucket(BUCKET).key(key).body(ByteStream::from(bytes));
    put.send().await.with_context(|| format!("cannot upload {key}"))?;
    Ok(())
}

async fn create_stack(
    cloudformation: &aws_sdk_cloudformation::Client,
    template_url: &str,
    parameters: Vec<(&str, String)>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let parameter = |(name, value): (&str, String)| {
        Parameter::builder().parameter_key(name).parameter_value(value).build()
    };
    cloudformation
        .create_stack()
        .stack_name(STACK)
        .template_url(template_url)
        .set_parameters(Some(parameters.into_iter().map(parameter).collect()))
        .capabilities(Capability::CapabilityIam)
        .capabilities(Capability::CapabilityNamedIam)
        .capabilities(Capability::CapabilityAutoExpand)
        .send()
        .await
        .context("CloudFormation refused the template")?;
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let answer = cloudformation.describe_stacks().stack_name(STACK).send().await?;
        let stack = answer.stacks().first().context("the stack is gone")?;
        let status = stack.stack_status().map(|status| status.as_str().to_owned()).unwrap_or_default();
        if status == "CREATE_COMPLETE" {
            let outputs = stack.outputs().iter();
            return Ok(outputs
                .filter_map(|output| {
                    Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
                })
                .collect());
        }
        if !status.ends_with("IN_PROGRESS") || tokio::time::Instant::now() >= deadline {
            bail!("the stack is {status}:\n    {}", failures(cloudformation).await?.join("\n    "));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What failed, and why.
async fn failures(cloudformation: &aws_sdk_cloudformation::Client) -> anyhow::Result<Vec<String>> {
    let answer = cloudformation.describe_stack_events().stack_name(STACK).send().await?;
    let failed = answer
        .stack_events()
        .iter()
        .filter(|event| event.resource_status().is_some_and(|status| status.as_str().ends_with("FAILED")));
    Ok(failed
        .map(|event| {
            let resource = event.logical_resource_id().unwrap_or_default();
            format!("{resource}: {}", event.resource_status_reason().unwrap_or("no reason given"))
        })
        .collect())
}

/// Lets items expire, which the emulator's CloudFormation does not.
async fn expire_items(
    configuration: &SdkConfig,
    cloudformation: &aws_sdk_cloudformation::Client,
    template: &Template,
) -> anyhow::Result<()> {
    let dynamodb = aws_sdk_dynamodb::Client::new(configuration);
    for expiry in template.expiries() {
        let resource =
            cloudformation.describe_stack_resource().stack_name(STACK).logical_resource_id(&expiry.table);
        let answer = resource.send().await.with_context(|| format!("cannot find {}", expiry.table))?;
        let detail = answer.stack_resource_detail();
        let table =
            detail.and_then(|detail| detail.physical_resource_id()).context("a table without a name")?;
        let specification =
            TimeToLiveSpecification::builder().attribute_name(&expiry.attribute).enabled(true).build()?;
        let update =
            dynamodb.update_time_to_live().table_name(table).time_to_live_specification(specification);
        update.send().await.with_context(|| format!("cannot let items of {table} expire"))?;
    }
    Ok(())
}

struct Secrets(aws_sdk_secretsmanager::Client);

impl Secrets {
    /// Makes a secret that the template expects from another stack. Returns its ARN.
    async fn create(&self, name: &str, value: &str) -> anyhow::Result<String> {
        let create = self.0.create_secret().name(format!("{STACK}-local/{name}")).secret_string(value);
        let answer = create.send().await.with_context(|| format!("cannot make the secret {name}"))?;
        answer.arn().map(str::to_owned).context("a secret without an ARN")
    }

    /// Gives a secret of the template the value that this state keeps.
    async fn put(&self, id: &str, value: &str) -> anyhow::Result<()> {
        let put = self.0.put_secret_value().secret_id(id).secret_string(value);
        put.send().await.with_context(|| format!("cannot set the secret {id}"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_found_by_their_outputs() {
        let database = DatabaseUrls {
            application: String::new(),
            system: String::new(),
            owner: String::new(),
            admin: String::new(),
        };
        let outputs = [
            ("WebhookMetaUrl", "https://abc123.lambda-url.us-east-1.on.aws/"),
            ("WebhookRoutesTableName", "routes"),
            ("HttpApiUrl", "https://x.execute-api.us-east-1.amazonaws.com"),
        ];
        let deployment = Deployment {
            outputs: outputs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            database_secret: String::new(),
            database,
            aws_endpoint_url: "http://127.0.0.1:8702".to_owned(),
        };
        let expected = ("meta".to_owned(), "http://127.0.0.1:8702/_aws/lambda-url/abc123".to_owned());
        assert_eq!(deployment.webhooks(), BTreeMap::from([expected]));
        assert!(deployment.output("Nothing").is_err());
    }
}
