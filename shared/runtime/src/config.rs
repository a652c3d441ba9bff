//! The environment, read here and nowhere else. `template.yaml` gives each function the variables that it uses.

use app::{Application, Settings};
use cloud::media::Location;

/// The settings of this function. A variable that it was not given is empty; provider addresses have defaults.
pub fn settings() -> Settings {
    Settings {
        database_secret: variable("DATABASE_SECRET"),
        system_database_secret: variable("SYSTEM_DATABASE_SECRET"),
        master_key_secret: variable("MASTER_KEY_SECRET"),
        token_key_secret: variable("TOKEN_KEY_SECRET"),
        openai_key_secret: variable("OPENAI_KEY_SECRET"),
        inbound_queue_url: variable("INBOUND_QUEUE_URL"),
        outbound_queue_url: variable("OUTBOUND_QUEUE_URL"),
        turns_queue_url: variable("TURNS_QUEUE_URL"),
        ai_reply_queue_url: variable("AI_REPLY_QUEUE_URL"),
        mail_queue_url: variable("MAIL_QUEUE_URL"),
        media_queue_url: variable("MEDIA_QUEUE_URL"),
        erasures_queue_url: variable("ERASURES_QUEUE_URL"),
        imports_queue_url: variable("IMPORTS_QUEUE_URL"),
        connections_queue_url: variable("CONNECTIONS_QUEUE_URL"),
        dead_letter_queue_url: variable("DEAD_LETTER_QUEUE_URL"),
        event_bus: variable("EVENT_BUS"),
        webhook_routes_table: variable("WEBHOOK_ROUTES_TABLE"),
        sockets_table: variable("SOCKETS_TABLE"),
        rate_limits_table: variable("RATE_LIMITS_TABLE"),
        overflow_bucket: variable("OVERFLOW_BUCKET"),
        media: Location {
            bucket: variable("MEDIA_BUCKET"),
            endpoint: variable("MEDIA_ENDPOINT"),
            region: variable("MEDIA_REGION"),
            credentials_secret: variable("MEDIA_CREDENTIALS_SECRET"),
        },
        websocket_endpoint: variable("WEBSOCKET_ENDPOINT"),
        graph_base_url: variable_or("GRAPH_BASE_URL", "https://graph.facebook.com"),
        twilio_base_url: variable_or("TWILIO_BASE_URL", "https://api.twilio.com"),
        meta_webhook_url: variable("META_WEBHOOK_URL"),
        twilio_webhook_url: variable("TWILIO_WEBHOOK_URL"),
        gateway_webhook_url: variable("GATEWAY_WEBHOOK_URL"),
        openai_base_url: variable_or("OPENAI_BASE_URL", "https://api.openai.com/v1"),
        google: Application {
            client_id: variable("GOOGLE_CLIENT_ID"),
            client_secret: variable("GOOGLE_CLIENT_SECRET"),
            base_url: variable("GOOGLE_BASE_URL"),
        },
        facebook: Application {
            client_id: variable("FACEBOOK_APP_ID"),
            client_secret: variable("FACEBOOK_APP_SECRET"),
            base_url: variable_or("FACEBOOK_BASE_URL", "https://www.facebook.com"),
        },
        facebook_graph_base_url: variable_or("FACEBOOK_GRAPH_BASE_URL", "https://graph.facebook.com"),
        meta_app_id: variable("META_APP_ID"),
        meta_app_secret: variable("META_APP_SECRET"),
        environment: variable_or("ENVIRONMENT", "local"),
        public_url: variable("PUBLIC_URL"),
        allowed_origins: list("ALLOWED_ORIGINS"),
        mail_from: variable("MAIL_FROM"),
    }
}

/// The log filter, as `tracing-subscriber` words it.
pub(crate) fn log_filter() -> String {
    variable_or("RUST_LOG", "info")
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// What stands between commas.
fn list(name: &str) -> Vec<String> {
    variable(name).split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn variable_or(name: &str, default: &str) -> String {
    let value = variable(name);
    if value.is_empty() { default.to_owned() } else { value }
}
