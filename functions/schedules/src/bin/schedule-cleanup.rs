//! Lambda `schedule-cleanup`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    schedules::cleanup::run(runtime::bootstrap("schedule-cleanup")).await
}
