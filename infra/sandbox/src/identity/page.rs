//! The page of a provider that asks who logs in. Links, no scripts: a browser, a person and a test follow them alike.

use super::*;

const STYLE: &str = include_str!("assets/page.css");

/// Nothing is loaded, nothing is framed.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

struct Words {
    language: &'static str,
    title: &'static str,
    hint: &'static str,
    go_on_as: &'static str,
    no_address: &'static str,
    cancel: &'static str,
}

const PORTUGUESE: Words = Words {
    language: "pt-BR",
    title: "Entrar com o",
    hint: "Contas de mentira, do sandbox. Quem vai entrar em",
    go_on_as: "Continuar como",
    no_address: "sem e-mail",
    cancel: "Cancelar",
};

const ENGLISH: Words = Words {
    language: "en",
    title: "Sign in with",
    hint: "Made-up accounts, of the sandbox. Who signs in to",
    go_on_as: "Continue as",
    no_address: "no e-mail address",
    cancel: "Cancel",
};

/// One link an account: the same request again, with that account for its `login_hint`.
pub(super) fn ask(
    provider: Provider,
    accounts: &[Account],
    asked: &HashMap<String, String>,
    headers: &HeaderMap,
    cancelled: &Url,
) -> Response {
    let words = if prefers_english(headers) { ENGLISH } else { PORTUGUESE };
    let name = match provider {
        Provider::Google => "Google",
        Provider::Facebook => "Facebook",
    };
    let mut links = String::new();
    for account in accounts.iter().filter(|account| account.provider == provider) {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(asked.iter().filter(|(name, _)| *name != "login_hint"))
            .append_pair("login_hint", &account.subject)
            .finish();
        links.push_str(&format!(
            "<a class=\"account\" data-testid=\"continue-{}\" href=\"?{}\"><strong>{} {}</strong><span>{}</span></a>\n",
            escape(&account.subject),
            escape(&query),
            words.go_on_as,
            escape(&account.name),
            escape(account.email.as_deref().unwrap_or(words.no_address)),
        ));
    }
    let body = format!(
        "<h1>{} {name}</h1>\n<p>{} <b>{}</b>?</p>\n{links}<a data-testid=\"cancel\" href=\"{}\">{}</a>",
        words.title,
        words.hint,
        escape(cancelled.host_str().unwrap_or_default()),
        escape(cancelled.as_str()),
        words.cancel,
    );
    let title = format!("{} {name}", words.title);
    (StatusCode::OK, document(words.language, &title, &body)).into_response()
}

/// What is wrong with the request, for the author of the client.
pub(super) fn error(sentence: &str) -> Response {
    let body = format!("<h1>400</h1>\n<p data-testid=\"error\">{}</p>", escape(sentence));
    (StatusCode::BAD_REQUEST, document("en", "400", &body)).into_response()
}

fn document(language: &str, title: &str, body: &str) -> impl IntoResponse + use<> {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    let text = format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body><main>\n{body}\n</main></body>\n</html>\n"
    );
    (headers, text)
}

/// Portuguese unless the browser's first language is another.
fn prefers_english(headers: &HeaderMap) -> bool {
    let first = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("pt");
    !first.trim_start().to_ascii_lowercase().starts_with("pt")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}
