use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use providers::whatsapp_cloud::signature::{HEADER, sign, verify, verify_challenge};
use secrecy::SecretString;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(&crate::fixture("whatsapp_cloud/signatures.json")).unwrap()
}

#[test]
fn every_signature_vector_holds() {
    for vector in vectors()["vectors"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        assert_eq!(vector["header"].as_str().unwrap().to_lowercase(), HEADER);
        let body = match vector["body"].as_str() {
            Some(body) => body.as_bytes().to_vec(),
            None => STANDARD.decode(vector["body_base64"].as_str().unwrap()).unwrap(),
        };
        let secret = SecretString::from(vector["app_secret"].as_str().unwrap());
        let signature = vector["signature"].as_str();
        assert_eq!(verify(&secret, &body, signature).is_ok(), vector["expected_valid"] == true, "{name}");
        // Every other signature over the same body is wrong.
        let right = sign(&secret, &body);
        assert!(verify(&secret, &body, Some(&right)).is_ok(), "{name}");
        assert!(verify(&secret, &body, Some(&right[..right.len() - 2])).is_err(), "{name}");
        assert!(verify(&secret, &body, None).is_err(), "{name}");
        assert!(verify(&secret, &[&body[..], b" "].concat(), Some(&right)).is_err(), "{name}");
    }
}

#[test]
fn every_handshake_vector_holds() {
    for vector in vectors()["get_verification"].as_array().unwrap() {
        let token = SecretString::from(vector["verify_token"].as_str().unwrap());
        let query = vector["query"].as_str().unwrap();
        let expected = vector["expect"]["body"].as_str();
        assert_eq!(verify_challenge(query, &token).ok().as_deref(), expected, "{query}");
    }
}

#[test]
fn a_handshake_echoes_no_markup() {
    let token = SecretString::from("t");
    let query = |challenge: &str| format!("hub.mode=subscribe&hub.verify_token=t&hub.challenge={challenge}");
    assert!(verify_challenge(&query("%3Cscript%3E"), &token).is_err());
    assert!(verify_challenge(&query(""), &token).is_err());
    assert!(verify_challenge(&query(&"1".repeat(257)), &token).is_err());
    assert_eq!(verify_challenge(&query("1158201444"), &token).unwrap(), "1158201444");
}
