//! Lambda `schedule-connections`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    schedules::connections::run(runtime::bootstrap("schedule-connections")).await
}
