//! Lambda `schedule-outbox`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    schedules::outbox::run(runtime::bootstrap("schedule-outbox")).await
}
