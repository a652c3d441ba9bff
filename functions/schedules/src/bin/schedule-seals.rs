//! Lambda `schedule-seals`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    schedules::seals::run(runtime::bootstrap("schedule-seals")).await
}
