//! In which language a problem is told: as the request's `Accept-Language` asks (RFC 9110, 12.5.4), else in English.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use super::Problem;
use super::portuguese::TEXTS;

/// What stands for a part of a text that is not always the same.
const HOLE: &str = "{}";

/// Whether Portuguese is asked for before English.
pub(super) fn asks_for_portuguese(headers: &HeaderMap) -> bool {
    let asked =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut first = ("en", 0.0);
    for range in asked.split(',') {
        let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
        let language = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        let weight = weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or_default();
        for spoken in ["en", "pt"] {
            if language == spoken && weight > first.1 {
                first = (spoken, weight);
            }
        }
    }
    first.0 == "pt"
}

/// A text of ours in the language that a request asks for; in English when there is none in Portuguese.
pub fn said_to(headers: &HeaderMap, text: &str) -> String {
    let told = if asks_for_portuguese(headers) { portuguese(text) } else { None };
    told.unwrap_or_else(|| text.to_owned())
}

/// The response as it is to be told; one that is no problem stays as it is.
pub(super) fn tell(mut response: Response, in_portuguese: bool) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let (language, mut told) = if in_portuguese {
        let (parts, _) = response.into_parts();
        let body = Json(translated(problem)).into_response().into_body();
        ("pt-BR", Response::from_parts(parts, body))
    } else {
        ("en", response)
    };
    let headers = told.headers_mut();
    // It is of another length.
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language));
    headers.append(header::VARY, HeaderValue::from_name(HeaderName::from_static("accept-language")));
    told
}

fn translated(mut problem: Problem) -> Problem {
    // The detail of a wrong field names it before the message.
    let message = problem.errors.first().map(|error| (error.field.clone(), portuguese(&error.message)));
    problem.detail = match message {
        Some((field, Some(message))) => format!("{field}: {message}"),
        _ => portuguese(&problem.detail).unwrap_or(problem.detail),
    };
    for error in &mut problem.errors {
        if let Some(message) = portuguese(&error.message) {
            error.message = message;
        }
    }
    if let Some(title) = portuguese(&problem.title) {
        problem.title = title;
    }
    problem
}

/// The Portuguese of an English text of ours; `None` for one that the catalogue does not have.
pub fn portuguese(text: &str) -> Option<String> {
    static WHOLE: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| TEXTS.iter().copied().collect());
    if let Some(known) = WHOLE.get(text) {
        return Some((*known).to_owned());
    }
    TEXTS.iter().find_map(|(english, portuguese)| filled(english, portuguese, text))
}

/// The Portuguese text with what stands in the holes of the English one; parts that are texts themselves in Portuguese.
fn filled(english: &str, portuguese_text: &str, text: &str) -> Option<String> {
    let (first, between) = english.split_once(HOLE)?;
    let mut rest = text.strip_prefix(first)?;
    let mut parts = Vec::new();
    let mut after = between.split(HOLE).peekable();
    while let Some(literal) = after.next() {
        // The last literal ends the text.
        let end = if after.peek().is_none() {
            rest.len().checked_sub(literal.len()).filter(|end| rest.get(*end..) == Some(literal))?
        } else {
            rest.find(literal)?
        };
        let part = &rest[..end];
        parts.push(portuguese(part).unwrap_or_else(|| part.to_owned()));
        rest = &rest[end + literal.len()..];
    }
    let mut told = portuguese_text.split(HOLE);
    let mut whole = told.next().unwrap_or_default().to_owned();
    for (part, literal) in parts.into_iter().zip(told) {
        whole.push_str(&part);
        whole.push_str(literal);
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(value: &'static str) -> bool {
        asks_for_portuguese(&HeaderMap::from_iter([(
            header::ACCEPT_LANGUAGE,
            HeaderValue::from_static(value),
        )]))
    }

    #[test]
    fn the_language_that_is_asked_for_most_is_spoken() {
        for header in
            ["pt", "pt-BR", "pt-br,en;q=0.9", "pt-PT", "fr, pt;q=0.5, en;q=0.4", "en;q=0.1, pt;q=0.2"]
        {
            assert!(asks(header), "{header}");
        }
        for header in [
            "",
            "*",
            "en",
            "en-US,pt;q=0.5",
            "fr",
            "pt;q=0.1, en",
            "pt;q=NaN",
            "pt;q=0",
            "pt;q=9",
            ";;;",
            "de, en;q=0.9, pt;q=0.8",
        ] {
            assert!(!asks(header), "{header}");
        }
        assert!(!asks_for_portuguese(&HeaderMap::new()));
    }

    #[test]
    fn holes_are_filled() {
        assert_eq!(portuguese("1 to 200 characters").as_deref(), Some("de 1 a 200 caracteres"));
        assert_eq!(
            portuguese("not allowed to read the inbox").as_deref(),
            Some("sem permissão para ler conversas")
        );
        assert_eq!(portuguese("must be one of a, b").as_deref(), Some("deve ser um destes: a, b"));
        assert_eq!(portuguese("must be a list").as_deref(), Some("deve ser uma lista"));
        assert_eq!(
            portuguese("at most 3 items, but there are 4").as_deref(),
            Some("no máximo 3 itens, mas há 4")
        );
        assert_eq!(portuguese("nobody ever said this"), None);
    }

    #[test]
    fn each_text_stands_there_once_and_keeps_its_holes() {
        let mut seen = std::collections::HashSet::new();
        for (english, portuguese) in TEXTS {
            assert!(seen.insert(english), "twice: {english}");
            assert_eq!(english.matches(HOLE).count(), portuguese.matches(HOLE).count(), "{english}");
        }
    }
}
