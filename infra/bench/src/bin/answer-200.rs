//! A webhook that reads the body and answers 200: the most that any webhook on this runtime can do.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    lambda_http::run(Router::new().route("/{slug}", post(async |_: Bytes| StatusCode::OK))).await
}
