//! `POST /embeddings`: vectors that depend on the words alone, so that equal texts meet and
//! texts that share words come close.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::error::OpenAiError;
use super::words::{count_tokens, stem, subjects, words};

/// Answers a request or says what is wrong with it.
pub(crate) fn answer(body: &[u8]) -> Result<Value, OpenAiError> {
    let request: Value = serde_json::from_slice(body)
        .map_err(|_| OpenAiError::invalid("We could not parse the JSON body of your request.", None))?;
    let model = request["model"]
        .as_str()
        .ok_or_else(|| OpenAiError::invalid("you must provide a model parameter", None))?;
    let native = match model {
        "text-embedding-3-small" | "text-embedding-ada-002" => 1536,
        "text-embedding-3-large" => 3072,
        other => return Err(OpenAiError::no_model(other)),
    };
    let dimensions = dimensions(&request, model, native)?;
    let texts = texts(&request["input"])?;
    let tokens: usize = texts.iter().map(|text| count_tokens(text)).sum();
    if tokens > 300_000 {
        return Err(OpenAiError::invalid(
            "Requested too many tokens: the maximum is 300000 per request.",
            Some("input"),
        )
        .with_code("max_tokens_per_request"));
    }
    let as_base64 = request["encoding_format"] == "base64";
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector(text, native, dimensions);
            let embedding = if as_base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                json!(STANDARD.encode(bytes))
            } else {
                json!(vector)
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    Ok(json!({
        "object": "list", "data": data, "model": model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    }))
}

fn dimensions(request: &Value, model: &str, native: usize) -> Result<usize, OpenAiError> {
    let Some(asked) = request.get("dimensions").filter(|value| !value.is_null()) else {
        return Ok(native);
    };
    let asked = asked.as_u64().and_then(|value| usize::try_from(value).ok());
    match asked {
        Some(dimensions) if model.contains("-3-") && (1..=native).contains(&dimensions) => Ok(dimensions),
        _ => Err(OpenAiError::invalid(
            format!("Invalid value for 'dimensions' = {}.", request["dimensions"]),
            Some("dimensions"),
        )),
    }
}

/// A text, texts, tokens, or lists of tokens; tokens count as words of their own.
fn texts(input: &Value) -> Result<Vec<String>, OpenAiError> {
    let wrong = |why: &str| OpenAiError::invalid(why.to_owned(), Some("input"));
    let texts: Vec<String> = match input {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) if items.iter().any(Value::is_number) => vec![tokens(items)],
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.clone()),
                Value::Array(items) => Ok(tokens(items)),
                _ => Err(wrong("'$.input' is invalid.")),
            })
            .collect::<Result<_, _>>()?,
        _ => return Err(wrong("'$.input' is invalid.")),
    };
    if texts.is_empty() || texts.len() > 2048 || texts.iter().any(String::is_empty) {
        return Err(wrong("'$.input' is invalid: 1 to 2048 items, none of them empty."));
    }
    if let Some(text) = texts.iter().find(|text| count_tokens(text) > 8192) {
        return Err(wrong(&format!(
            "This model's maximum context length is 8192 tokens, however you requested {} \
             tokens. Please reduce your prompt.",
            count_tokens(text)
        )));
    }
    Ok(texts)
}

fn tokens(items: &[Value]) -> String {
    let tokens: Vec<String> = items.iter().map(Value::to_string).collect();
    tokens.join(" ")
}

/// A unit vector: each word, its stem and its letters in threes pull in directions of their own.
fn vector(text: &str, native: usize, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; native];
    for word in words(text) {
        pull(&mut vector, &format!("w {word}"), 0.15);
    }
    for word in subjects(text) {
        pull(&mut vector, &format!("w {word}"), 1.0);
        pull(&mut vector, &format!("s {}", stem(&word)), 1.0);
        let letters: Vec<char> = word.chars().collect();
        for three in letters.windows(3) {
            pull(&mut vector, &format!("t {}", three.iter().collect::<String>()), 0.25);
        }
    }
    if vector.iter().all(|x| *x == 0.0) {
        pull(&mut vector, text, 1.0);
    }
    vector.truncate(dimensions);
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length == 0.0 {
        vector[0] = 1.0;
    } else {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

/// Adds the feature's own direction: 16 places and signs that its hash picks.
fn pull(vector: &mut [f32], feature: &str, weight: f32) {
    // FNV-1a, then SplitMix64: fixed by definition, unlike the standard library's hasher.
    let mut state = feature.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    for _ in 0..16 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let place = usize::try_from(mixed >> 1).unwrap_or_default() % vector.len();
        vector[place] += if mixed & 1 == 0 { weight } else { -weight };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &str, b: &str) -> f32 {
        let (a, b) = (vector(a, 1536, 1536), vector(b, 1536, 1536));
        a.iter().zip(&b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn equal_texts_meet_and_shared_words_bring_texts_close() {
        let question = "Vocês entregam em Goiânia?";
        assert!((cosine(question, question) - 1.0).abs() < 1e-5);
        let near = cosine(question, "A loja faz entregas em Goiânia e região.");
        let far = cosine(question, "O pagamento pode ser parcelado no cartão.");
        assert!(near > 0.3, "{near}");
        assert!(near > far + 0.2, "{near} {far}");
    }

    #[test]
    fn the_large_model_has_its_own_size_and_dimensions_shorten() {
        let body = br#"{"model":"text-embedding-3-large","input":"oi","dimensions":256}"#;
        let answer = answer(body).expect("valid");
        let vector = answer["data"][0]["embedding"].as_array().expect("floats").clone();
        assert_eq!(vector.len(), 256);
    }
}
