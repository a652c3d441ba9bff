//! What is written as it is for the local emulator's sake. Each of these would deploy to AWS in a shorter form, and fail
//! on the emulator; whoever removes one should know why it is there.

use super::Template;

#[test]
fn routes_are_resources_of_their_own() {
    // Routes from SAM's HttpApi events are answered with 404.
    let template = Template::load();
    assert!(!template.resources("AWS::ApiGatewayV2::Route").is_empty());
    assert!(!template.resources("AWS::ApiGatewayV2::Integration").is_empty());
    assert!(template.resources("AWS::Serverless::HttpApi").is_empty());
}

#[test]
fn stages_deploy_themselves() {
    // ApiGatewayV2::Deployment and ::RouteResponse abort the stack.
    let template = Template::load();
    assert!(template.resources("AWS::ApiGatewayV2::Deployment").is_empty());
    assert!(template.resources("AWS::ApiGatewayV2::RouteResponse").is_empty());
    for (id, stage) in template.resources("AWS::ApiGatewayV2::Stage") {
        assert_eq!(stage["AutoDeploy"].as_bool(), Some(true), "{id}");
    }
}

#[test]
fn apis_have_ids_that_the_launcher_knows() {
    let template = Template::load();
    let id = |api: &str| template.resource(api)["Tags"]["ms-custom-id"].as_str().map(str::to_owned);
    assert_eq!(id("HttpApi").as_deref(), Some("masteriahttp"));
    assert_eq!(id("WebSocketApi").as_deref(), Some("masteriaws"));
}

#[test]
fn secrets_are_handed_on_by_an_attribute_that_is_an_arn() {
    // !Ref of a secret gives its name there.
    let template = Template::load();
    for secret in template.resources("AWS::SecretsManager::Secret").keys() {
        assert!(!template.text.contains(&format!("!Ref {secret}\n")), "!Ref {secret}");
        assert!(template.text.contains(&format!("!GetAtt {secret}.Id")), "{secret} is not handed on");
    }
}

#[test]
fn nothing_is_used_that_the_emulator_lacks() {
    let template = Template::load();
    let lacks = [
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::SecretsManager::RotationSchedule",
        "AWS::Events::Archive",
    ];
    for kind in lacks {
        assert!(template.resources(kind).is_empty(), "{kind}");
    }
}
