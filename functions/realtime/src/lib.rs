//! The WebSocket API's Lambda: `$connect` lets browsers in, `$disconnect` forgets them, `$default` hears what they say:
//! which conversations they watch, and that they are still there. Events are pushed by the consumer `push`.
//!
//! Room: [`words`] what is said on a socket.

mod words;

use app::{App, Error};
use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use http::Method;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::LambdaError;

/// Runs the function.
///
/// # Errors
/// When the Lambda runtime itself fails.
pub async fn run(app: App) -> Result<(), LambdaError> {
    lambda_runtime::run(service_fn(async |event: LambdaEvent<ApiGatewayWebsocketProxyRequest>| {
        // Boxed: the AWS SDK's futures nest deeper than the compiler lays out in one go.
        Ok::<_, LambdaError>(Box::pin(handle(&app, &event.payload)).await)
    }))
    .await
}

/// Answers one WebSocket event. A refused `$connect` is 401 or 403; what fails on our side is 500, and API Gateway
/// refuses the socket.
pub async fn handle(app: &App, request: &ApiGatewayWebsocketProxyRequest) -> ApiGatewayProxyResponse {
    let context = &request.request_context;
    let connection_id = context.connection_id.as_deref().unwrap_or_default();
    let outcome = match context.event_type.as_deref() {
        Some("CONNECT") => connect(app, connection_id, request).await,
        Some("DISCONNECT") => app::realtime::disconnect(app, connection_id).await,
        _ => words::hear(app, connection_id, request.body.as_deref().unwrap_or_default()).await,
    };
    let status_code = match outcome {
        Ok(()) => 200,
        Err(error) => {
            let status = match &error {
                Error::Unauthenticated => 401,
                Error::Forbidden(_) => 403,
                Error::NotFound(_)
                | Error::Conflict(_)
                | Error::Rule { .. }
                | Error::WindowClosed { .. }
                | Error::Invalid { .. }
                | Error::Malformed(_)
                | Error::RetryLater { .. }
                | Error::Provider { .. }
                | Error::Internal(_)
                | Error::Poison(_) => 500,
            };
            tracing::warn!(status, error = error.chain(), "socket event refused");
            status
        }
    };
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = status_code;
    response
}

/// A browser cannot set headers on a WebSocket: the token comes in the query, or by the session cookie.
/// Any page can make a browser open a socket with its cookies, and would then hear everything: with a cookie it must be
/// a page of ours.
async fn connect(
    app: &App,
    connection_id: &str,
    request: &ApiGatewayWebsocketProxyRequest,
) -> app::Result<()> {
    let shown = match request.query_string_parameters.first("token") {
        Some(token) => Some(token),
        None => runtime::http::caller::credential(app, &Method::POST, &request.headers)?,
    };
    app::realtime::connect(app, connection_id, shown).await
}
