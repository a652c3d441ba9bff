//! Lambda `schedule-sessions`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    schedules::sessions::run(runtime::bootstrap("schedule-sessions")).await
}
