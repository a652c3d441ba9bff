//! Every room against the emulator of AWS, that of the running stack, which `STACK_FILE` names (`testkit::stack`, which
//! depends on this crate, has the same for others). Each test makes its own queues, tables and buckets, under names
//! nobody else has.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use chrono::{DateTime, Utc};
use cloud::bus::{Bus, BusError, BusEvent};
use cloud::media::{Location, MediaError, MediaStore, Served};
use cloud::overflow::{Overflow, OverflowError};
use cloud::push::{Delivery, Push};
use cloud::queue::{MAX_MESSAGE_BYTES, QueueError, QueueMessage, Queues};
use cloud::routes::{CachedRoutes, WebhookRoute, WebhookRoutes};
use cloud::seal::MasterKey;
use cloud::secrets::{Secrets, SecretsError};
use cloud::sockets::{Listener, Socket, Sockets};
use cloud::{Aws, TableError};
use domain::{ApiKeyId, CompanyId, ConnectionId, LoginSessionId, UserId};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

/// The emulator; never anything that is not on this machine.
async fn emulator() -> Aws {
    let endpoint = endpoint();
    assert!(
        endpoint.starts_with("http://127.0.0.1:") || endpoint.starts_with("http://localhost:"),
        "{endpoint}"
    );
    // Its root, known to everybody.
    let root = Credentials::new("test", "test", None, None, "emulator");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(root)
        .load()
        .await;
    Aws::with_config(config)
}

#[expect(clippy::disallowed_methods, reason = "a test finds its stack by the environment")]
fn endpoint() -> String {
    let named = std::env::var_os("STACK_FILE").map(PathBuf::from);
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = checkout.join(named.unwrap_or_else(|| ".local/test/stack.json".into()));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("no running stack: {} cannot be read ({error}); infra/test.sh starts one", file.display())
    });
    let stack: serde_json::Value = serde_json::from_str(&text).unwrap();
    stack["aws_endpoint_url"].as_str().unwrap().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "names only have to differ between runs")]
fn unique(name: &str) -> String {
    format!("{name}-{}", Uuid::new_v4().simple())
}

fn noon() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-03-01T12:00:00.123Z").unwrap().to_utc()
}

async fn queue(aws: &Aws, fifo: bool) -> (aws_sdk_sqs::Client, String) {
    let client = aws_sdk_sqs::Client::new(aws.config().await);
    let mut request = client.create_queue().queue_name(unique("q") + if fifo { ".fifo" } else { "" });
    if fifo {
        request = request.attributes(QueueAttributeName::FifoQueue, "true");
    }
    let url = request.send().await.unwrap().queue_url.unwrap();
    (client, url)
}

/// Receives and deletes everything on the queue.
async fn drain(client: &aws_sdk_sqs::Client, url: &str) -> Vec<Message> {
    let mut all = Vec::new();
    loop {
        let request = client.receive_message().queue_url(url).max_number_of_messages(10).wait_time_seconds(0);
        let request = request.message_attribute_names("All");
        let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
        let messages = request.send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            return all;
        }
        for message in messages {
            let handle = message.receipt_handle().unwrap();
            client.delete_message().queue_url(url).receipt_handle(handle).send().await.unwrap();
            all.push(message);
        }
    }
}

fn attribute<'a>(message: &'a Message, name: &str) -> &'a str {
    message.message_attributes().unwrap()[name].string_value().unwrap()
}

#[tokio::test]
async fn messages_of_a_group_arrive_in_order() {
    let aws = emulator().await;
    let (client, url) = queue(&aws, true).await;
    let messages = (0..47).map(|number| {
        let group = format!("contato {}", number % 3);
        QueueMessage::new(number.to_string())
            .group(group)
            .deduplication(format!("id-{number}"))
            .attribute("n", "v")
    });
    let messages: Vec<_> = messages.collect();
    let queues = Queues::new(aws);
    queues.send_batch(&url, messages.clone()).await.unwrap();
    queues.send_batch(&url, messages).await.unwrap();

    let received = drain(&client, &url).await;
    assert_eq!(received.len(), 47, "the second time was recognised");
    for group in 0..3 {
        let numbers: Vec<u32> = received.iter().map(|m| m.body().unwrap().parse().unwrap()).collect();
        let numbers: Vec<u32> = numbers.into_iter().filter(|number| number % 3 == group).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
    assert_eq!(attribute(&received[0], "n"), "v");
}

#[tokio::test]
async fn a_batch_is_cut_by_weight_too_and_a_bad_message_holds_nobody() {
    let aws = emulator().await;
    let (client, url) = queue(&aws, false).await;
    let queues = Queues::new(aws);
    let mut messages = vec![QueueMessage::new("x".repeat(100 * 1024)); 5];
    messages.push(QueueMessage::new("x".repeat(MAX_MESSAGE_BYTES)));
    messages.insert(2, QueueMessage::new("x".repeat(MAX_MESSAGE_BYTES + 1)));
    messages.push(QueueMessage::new(serde_json::to_string("\u{ffff}").unwrap()));
    let outcomes = queues.send_each(&url, messages.clone()).await.unwrap();
    for (position, outcome) in outcomes.iter().enumerate() {
        assert_eq!(
            matches!(outcome, Err(QueueError::TooLarge { .. })),
            position == 2,
            "{position}: {outcome:?}"
        );
        assert_eq!(outcome.is_err(), position == 2);
    }
    assert_eq!(drain(&client, &url).await.len(), 7);

    let error = queues.send_batch(&url, messages).await.unwrap_err();
    assert!(
        matches!(error, QueueError::Incomplete { failed: 1, total: 8, retryable: false, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_delay_is_kept() {
    let aws = emulator().await;
    let (client, url) = queue(&aws, false).await;
    let queues = Queues::new(aws);
    let message = QueueMessage::new("{}").delay(Duration::from_millis(1500));
    queues.send_batch(&url, vec![message]).await.unwrap();
    assert_eq!(queues.attributes(&url).await.unwrap().delayed, 1);
    assert!(drain(&client, &url).await.is_empty());
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(drain(&client, &url).await.len(), 1);
}

#[tokio::test]
async fn a_parked_message_tells_why() {
    let aws = emulator().await;
    let (client, url) = queue(&aws, true).await;
    let queues = Queues::new(aws);
    let body = "x".repeat(MAX_MESSAGE_BYTES - 200);
    let reason = "não é um evento: ".repeat(200);
    for _ in 0..2 {
        queues.park(&url, &body, Some("g"), "malformed", &reason, noon()).await.unwrap();
    }
    queues.park(&url, "{}", None, "unknown_version", "", noon()).await.unwrap();

    let received = drain(&client, &url).await;
    assert_eq!(received.len(), 2);
    let large = received.iter().find(|message| message.body() == Some(&body)).unwrap();
    assert_eq!(attribute(large, "reason_code"), "malformed");
    assert_eq!(attribute(large, "parked_at"), "2026-03-01T12:00:00.123Z");
    assert!(reason.starts_with(attribute(large, "reason")));
}

#[tokio::test]
async fn a_message_can_be_given_back() {
    let aws = emulator().await;
    let (client, url) = queue(&aws, false).await;
    let queues = Queues::new(aws);
    queues.send_batch(&url, vec![QueueMessage::new("{}")]).await.unwrap();
    let received = client.receive_message().queue_url(&url).send().await.unwrap().messages.unwrap();
    assert_eq!(queues.attributes(&url).await.unwrap().in_flight, 1);
    let handle = received[0].receipt_handle().unwrap();
    queues.change_visibility(&url, handle, Duration::ZERO).await.unwrap();
    let attributes = queues.attributes(&url).await.unwrap();
    assert_eq!((attributes.waiting, attributes.in_flight), (1, 0));
    assert_eq!(drain(&client, &url).await.len(), 1);
}

#[tokio::test]
async fn a_missing_queue_is_one_error_and_not_for_retrying() {
    let aws = emulator().await;
    let (_, url) = queue(&aws, false).await;
    let queues = Queues::new(aws);
    let messages = vec![QueueMessage::new("{}"); 25];
    let error = queues.send_each(&(url + "-missing"), messages).await.unwrap_err();
    assert!(matches!(error, QueueError::Aws(_)) && !error.retryable(), "{error:?}");
}

#[tokio::test]
async fn events_reach_a_rule() {
    let aws = emulator().await;
    let (queue_client, url) = queue(&aws, false).await;
    let attributes =
        queue_client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::QueueArn);
    let arn = attributes.send().await.unwrap().attributes.unwrap()[&QueueAttributeName::QueueArn].clone();
    let client = aws_sdk_eventbridge::Client::new(aws.config().await);
    let name = unique("bus");
    client.create_event_bus().name(&name).send().await.unwrap();
    let rule =
        client.put_rule().name("all").event_bus_name(&name).event_pattern(r#"{"source": ["master-ia"]}"#);
    rule.send().await.unwrap();
    let target = aws_sdk_eventbridge::types::Target::builder().id("queue").arn(arn).build().unwrap();
    client.put_targets().rule("all").event_bus_name(&name).targets(target).send().await.unwrap();

    let company_id = CompanyId(Uuid::from_u128(7));
    let event = |detail: String| BusEvent { detail_type: "message.created".to_owned(), detail, company_id };
    let mut events: Vec<_> = (0..23).map(|number| event(format!(r#"{{"v":1,"number":{number}}}"#))).collect();
    events.insert(5, event("x".repeat(MAX_MESSAGE_BYTES)));
    let outcomes = Bus::new(aws).publish(&name, events).await.unwrap();
    assert_eq!(outcomes.len(), 24);
    assert!(matches!(outcomes[5], Err(BusError::TooLarge { .. })));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 23);

    let mut received = Vec::new();
    for _ in 0..50 {
        received.extend(drain(&queue_client, &url).await);
        if received.len() >= 23 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(received.len(), 23);
    let first: serde_json::Value = serde_json::from_str(received[0].body().unwrap()).unwrap();
    assert_eq!(first["source"], "master-ia");
    assert_eq!(first["detail-type"], "message.created");
    assert_eq!(first["detail"]["v"], 1);
    assert_eq!(first["resources"][0], format!("company/{company_id}"));
}

async fn table(aws: &Aws, key: &str, index: Option<(&str, &str)>) -> String {
    let client = aws_sdk_dynamodb::Client::new(aws.config().await);
    let name = unique("table");
    let hash = |name: &str| {
        KeySchemaElement::builder().attribute_name(name).key_type(KeyType::Hash).build().unwrap()
    };
    let text = |name: &str| {
        let definition = AttributeDefinition::builder().attribute_name(name);
        definition.attribute_type(ScalarAttributeType::S).build().unwrap()
    };
    let mut request = client.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    request = request.attribute_definitions(text(key)).key_schema(hash(key));
    if let Some((index, key)) = index {
        let all = Projection::builder().projection_type(ProjectionType::All).build();
        let index = GlobalSecondaryIndex::builder().index_name(index).key_schema(hash(key)).projection(all);
        request = request.attribute_definitions(text(key)).global_secondary_indexes(index.build().unwrap());
    }
    request.send().await.unwrap();
    name
}

#[tokio::test]
async fn routes_are_written_found_remembered_and_removed() {
    let aws = emulator().await;
    let table = table(&aws, "route_key", None).await;
    let key = MasterKey::derive(&SecretString::from("k".repeat(64))).unwrap();
    let secret = |text: &str| key.seal(&SecretString::from(text), &["c", "webhook-routes", text]).unwrap();
    let mut route = WebhookRoute {
        route_key: "meta#padaria".to_owned(),
        company_id: CompanyId(Uuid::from_u128(1)),
        connection_id: ConnectionId(Uuid::from_u128(2)),
        provider_account: Some("1234567890".to_owned()),
        app_secret: secret("app_secret"),
        verify_token: secret("verify_token"),
        updated_at: noon(),
    };
    let routes = WebhookRoutes::new(aws.clone());
    let cached = CachedRoutes::new(routes.clone(), table.as_str());
    assert_eq!(cached.find("meta#outra").await.unwrap(), None);
    routes.put(&table, &route).await.unwrap();
    assert_eq!(routes.find(&table, "meta#padaria").await.unwrap().as_ref(), Some(&route));
    assert_eq!(cached.find("meta#padaria").await.unwrap().as_deref(), Some(&route));

    let before = route.clone();
    route.provider_account = None;
    routes.put(&table, &route).await.unwrap();
    assert_eq!(routes.find(&table, "meta#padaria").await.unwrap().as_ref(), Some(&route));
    assert_eq!(cached.clone().find("meta#padaria").await.unwrap().as_deref(), Some(&before));
    cached.forget("meta#padaria");
    assert_eq!(cached.find("meta#padaria").await.unwrap().as_deref(), Some(&route));

    routes.delete(&table, "meta#padaria").await.unwrap();
    routes.delete(&table, "meta#padaria").await.unwrap();
    assert_eq!(routes.find(&table, "meta#padaria").await.unwrap(), None);
    let error = routes.find("no-such-table", "meta#padaria").await.unwrap_err();
    assert!(matches!(error, TableError::Aws(_)) && !error.retryable(), "{error:?}");
}

#[tokio::test]
async fn sockets_are_listed_by_company() {
    let aws = emulator().await;
    let table = table(&aws, "connection_id", Some(("by-company", "company_id"))).await;
    let sockets = Sockets::new(aws, table.as_str());
    let (ours, theirs) = (CompanyId(Uuid::from_u128(1)), CompanyId(Uuid::from_u128(2)));
    let (user_id, session_id) = (UserId(Uuid::from_u128(3)), LoginSessionId(Uuid::from_u128(4)));
    let person = Listener::Person(user_id, Some(session_id));
    let key = Listener::Key(Some(ApiKeyId(Uuid::from_u128(5))));
    // Without what the release before did not note.
    let old = [Listener::Person(user_id, None), Listener::Key(None)];
    for (id, company, listener) in
        [("a=", ours, person), ("b=", theirs, key), ("c=", ours, old[0]), ("d=", theirs, old[1])]
    {
        sockets.put(&Socket::opened(id, company, listener, noon(), None)).await.unwrap();
        assert_eq!(sockets.find(id).await.unwrap().unwrap().listener, listener);
    }
    let mut listed = sockets.list_for_company(ours).await.unwrap();
    listed.sort_by(|a, b| a.connection_id.cmp(&b.connection_id));
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].connection_id, "a=");
    assert_eq!(listed[0].connected_at, noon());
    assert_eq!(listed[0].expires_at.timestamp(), noon().timestamp() + 7200);
    assert_eq!(sockets.find("b=").await.unwrap().unwrap().company_id, theirs);
    sockets.delete("a=").await.unwrap();
    assert_eq!(sockets.find("a=").await.unwrap(), None);
    assert_eq!(sockets.list_for_company(ours).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_large_body_comes_back_whole() {
    let aws = emulator().await;
    let client = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::config::Builder::from(aws.config().await).force_path_style(true).build(),
    );
    let bucket = unique("bucket");
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    let overflow = Overflow::new(aws);
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    overflow.put(&bucket, "meta/2026/a b#ç", body.clone()).await.unwrap();
    assert_eq!(overflow.get(&bucket, "meta/2026/a b#ç").await.unwrap(), body);
    let error = overflow.get(&bucket, "meta/none").await.unwrap_err();
    assert!(matches!(error, OverflowError::NotFound), "{error:?}");
}

#[tokio::test]
async fn a_secret_is_read_once_and_again_after_it_is_forgotten() {
    let aws = emulator().await;
    let client = aws_sdk_secretsmanager::Client::new(aws.config().await);
    let name = unique("secret");
    let made = client
        .create_secret()
        .name(&name)
        .secret_string(r#"{"url": "postgres://first"}"#)
        .send()
        .await
        .unwrap();
    let secrets = Secrets::new(aws);
    assert_eq!(secrets.get_field(&name, "url").await.unwrap().expose_secret(), "postgres://first");
    let change = client.put_secret_value().secret_id(&name).secret_string("second");
    change.send().await.unwrap();
    assert_eq!(secrets.get_field(&name, "url").await.unwrap().expose_secret(), "postgres://first");
    secrets.clone().forget(&name);
    assert_eq!(secrets.get(&name).await.unwrap().expose_secret(), "second");
    assert_eq!(secrets.get(made.arn().unwrap()).await.unwrap().expose_secret(), "second");
    assert!(matches!(secrets.get_field(&name, "url").await.unwrap_err(), SecretsError::NoField(_)));
    let error = secrets.get("no-such-secret").await.unwrap_err();
    assert!(matches!(error, SecretsError::Aws(_)) && !error.retryable(), "{error:?}");
}

#[tokio::test]
async fn a_browser_that_left_is_gone() {
    let aws = emulator().await;
    let origin = aws.config().await.endpoint_url().unwrap().to_owned();
    let endpoint = format!("{origin}/_aws/execute-api/abcdef1234/live");
    let delivery = Push::new(aws).send(&endpoint, "bm9ib2R5=", "{}").await.unwrap();
    assert_eq!(delivery, Delivery::Gone);
}

/// A bucket of the test's own, reached as another store would be: by an address, a region and keys of its own.
async fn media_store() -> MediaStore {
    let aws = emulator().await;
    let bucket = unique("files");
    let config = aws_sdk_s3::config::Builder::from(aws.config().await).force_path_style(true).build();
    let client = aws_sdk_s3::Client::from_conf(config);
    client.create_bucket().bucket(&bucket).send().await.unwrap();
    let secret = unique("store");
    let keys = r#"{"access_key_id": "test", "secret_access_key": "test"}"#;
    let secrets = aws_sdk_secretsmanager::Client::new(aws.config().await);
    secrets.create_secret().name(&secret).secret_string(keys).send().await.unwrap();
    let location =
        Location { bucket, endpoint: endpoint(), region: "us-east-1".to_owned(), credentials_secret: secret };
    // Without an address of its own, and without rights: what it needs comes from the location.
    let nothing = aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .sleep_impl(aws.config().await.sleep_impl().unwrap())
        .build();
    MediaStore::new(Aws::with_config(nothing), Secrets::new(aws), location)
}

#[tokio::test]
async fn files_are_written_in_parts_and_read_in_ranges() {
    let store = media_store().await;
    let body: Vec<u8> = (0..20_000_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let key = "export/a/1";
    let upload = store.begin_upload(key, "text/csv").await.unwrap();
    let mut names = Vec::new();
    for (number, part) in (1..).zip(body.chunks(8 << 20)) {
        // A part that is stored twice takes its own place.
        let _first = store.put_part(key, &upload, number, vec![b'?'; 5 << 20].into()).await.unwrap();
        names.push(store.put_part(key, &upload, number, part.to_vec().into()).await.unwrap());
    }
    assert_eq!(store.head(key).await.unwrap(), None, "nothing is there before it is finished");
    store.finish_upload(key, &upload, &names).await.unwrap();
    let head = store.head("export/a/1").await.unwrap().unwrap();
    assert_eq!((head.size, head.content_type.as_deref()), (20_000_000, Some("text/csv")));
    assert_eq!(store.read("export/a/1", body.len()).await.unwrap(), body);
    let error = store.read("export/a/1", body.len() - 1).await.unwrap_err();
    assert!(matches!(error, MediaError::TooLarge), "{error:?}");

    let mut part = store.get_range("export/a/1", 8_388_600..8_388_620).await.unwrap();
    let mut read = Vec::new();
    while let Some(bytes) = part.next().await.unwrap() {
        read.extend_from_slice(&bytes);
    }
    assert_eq!((read.as_slice(), part.size), (&body[8_388_600..8_388_620], 20));
    let mut reader = store.get_range("export/a/1", 19_999_990..30_000_000).await.unwrap().into_reader();
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut rest).await.unwrap();
    assert_eq!(rest, body[19_999_990..]);

    // Whether a store remembers the upload by then is its own affair.
    match store.finish_upload(key, &upload, &names).await {
        Ok(()) | Err(MediaError::NotFound) => {}
        Err(error) => panic!("{error:?}"),
    }
    let error = store.put_part(key, &upload, 1, "late".into()).await.unwrap_err();
    assert!(matches!(error, MediaError::NotFound), "{error:?}");
    assert_eq!(store.head(key).await.unwrap().unwrap().size, 20_000_000);
}

#[tokio::test]
async fn a_file_is_copied_if_it_is_the_same_and_deleted_twice() {
    let store = media_store().await;
    store.put("upload/a", "image/png", "first".into()).await.unwrap();
    let looked_at = store.head("upload/a").await.unwrap().unwrap().etag;
    assert!(looked_at.is_some());
    store.put("upload/a", "image/png", "second".into()).await.unwrap();
    let error = store.copy("upload/a", "message/a", looked_at.as_deref()).await.unwrap_err();
    assert!(matches!(error, MediaError::Changed), "{error:?}");
    assert_eq!(store.head("message/a").await.unwrap(), None);
    let looked_at = store.head("upload/a").await.unwrap().unwrap().etag;
    store.copy("upload/a", "message/a", looked_at.as_deref()).await.unwrap();
    assert_eq!(store.read("message/a", 10).await.unwrap(), "second");
    let error = store.copy("upload/none", "message/b", None).await.unwrap_err();
    assert!(matches!(error, MediaError::NotFound), "{error:?}");
    for _ in 0..2 {
        store.delete("upload/a").await.unwrap();
    }
    let error = store.get("upload/a").await.unwrap_err();
    assert!(matches!(error, MediaError::NotFound) && !error.retryable(), "{error:?}");
}

#[tokio::test]
async fn links_are_signed_for_one_object_one_type_and_so_many_bytes() {
    let store = media_store().await;
    let life = Duration::from_secs(600);
    let put = store.sign_put("upload/a", "image/png", 5, life).await.unwrap();
    assert_eq!(put.method, "PUT");
    assert!(put.url.contains("/upload/a?") && put.url.contains("X-Amz-Expires=600"), "{}", put.url);
    assert!(put.url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost"), "{}", put.url);
    let mut headers = put.headers;
    headers.sort();
    let expected = [("content-length", "5"), ("content-type", "image/png")];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let served = Served { content_type: "image/png", inline: true, file_name: "a.png" };
    let get = store.sign_get("message/a", served, life).await.unwrap();
    assert_eq!((get.method.as_str(), get.headers.len()), ("GET", 0));
    assert!(get.url.contains("response-content-disposition=inline"), "{}", get.url);
}
