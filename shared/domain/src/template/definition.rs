//! Whether Meta would take a template, found before it is asked: a refusal of Meta's costs a creation of its hourly hundred,
//! and words of its own. Types of components that we do not know pass: Meta adds some every year.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::{Category, Fault, ParameterFormat, Problem, is, list, variables};

/// Characters of a name.
const NAME: usize = 512;
/// Characters of a header and of a footer.
const HEADER: usize = 60;
/// Characters of a body.
const BODY: usize = 1024;
/// Buttons.
const BUTTONS: usize = 10;
/// Characters on a button.
const BUTTON_TEXT: usize = 25;
/// Characters of a button's address.
const URL: usize = 2000;
/// Characters of a button's phone number.
const PHONE: usize = 20;

/// What a new template is called and holds.
#[derive(Clone, Copy, Debug)]
pub struct Definition<'a> {
    /// Lower-case letters, digits and `_`.
    pub name: &'a str,
    /// As `pt_BR` or `en`.
    pub language: &'a str,
    /// What it is for.
    pub category: Category,
    /// How its variables are called.
    pub parameter_format: ParameterFormat,
    /// Its components in the Cloud API's words.
    pub components: &'a Value,
}

/// Checks a name and a language.
///
/// # Errors
/// [`Fault`] of `name` or `language`.
pub fn check_name(name: &str, language: &str) -> Result<(), Fault> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !(1..=NAME).contains(&name.chars().count()) {
        return Err(Fault::new("name", Problem::Characters(1, NAME)));
    }
    if !name.chars().all(is_name) {
        return Err(Fault::new("name", Problem::VariableName));
    }
    let (tongue, country) = language.split_once('_').map_or((language, None), |(a, b)| (a, Some(b)));
    let is_tongue = (2..=3).contains(&tongue.len()) && tongue.bytes().all(|c| c.is_ascii_lowercase());
    // `zh_CN`, and `es_419`-like regions do not exist at Meta.
    let is_country = country.is_none_or(|it| it.len() == 2 && it.bytes().all(|c| c.is_ascii_uppercase()));
    if is_tongue && is_country {
        Ok(())
    } else {
        Err(Fault::new("language", Problem::OneOf("pt_BR, en_US, es, …")))
    }
}

/// Checks a whole definition.
///
/// # Errors
/// The first [`Fault`].
pub fn check(definition: &Definition<'_>) -> Result<(), Fault> {
    check_name(definition.name, definition.language)?;
    check_components(definition.category, definition.parameter_format, definition.components)
}

/// Checks components.
///
/// # Errors
/// The first [`Fault`].
pub fn check_components(
    category: Category,
    format: ParameterFormat,
    components: &Value,
) -> Result<(), Fault> {
    let all = components.as_array().ok_or_else(|| Fault::new("components", Problem::Items(1, 10)))?;
    within("components", all.len(), 1..=10)?;
    let mut seen: Vec<String> = Vec::new();
    for (index, component) in all.iter().enumerate() {
        let field = format!("components[{index}]");
        let kind = component["type"].as_str().unwrap_or_default().to_uppercase();
        if kind.is_empty() {
            return Err(Fault::new(format!("{field}.type"), Problem::OneOf("HEADER, BODY, FOOTER, BUTTONS")));
        }
        if seen.contains(&kind) {
            return Err(Fault::new(format!("{field}.type"), Problem::Twice));
        }
        match kind.as_str() {
            "HEADER" => check_header(format, component, &field)?,
            // Meta writes the text of codes itself.
            "BODY" if category == Category::Authentication => {}
            "BODY" => {
                let text = text(component, "text", &field, 1..=BODY)?;
                check_variables(format, text, &component["example"], "body_text", &field)?;
            }
            "FOOTER" if category == Category::Authentication => {}
            "FOOTER" => {
                let text = text(component, "text", &field, 1..=HEADER)?;
                no_variables(text, &format!("{field}.text"))?;
            }
            "BUTTONS" => check_buttons(component, &field)?,
            _ => {}
        }
        seen.push(kind);
    }
    if seen.iter().any(|kind| kind == "BODY") {
        Ok(())
    } else {
        Err(Fault::new("components.BODY", Problem::Needed))
    }
}

fn check_header(format: ParameterFormat, header: &Value, field: &str) -> Result<(), Fault> {
    let kind = header["format"].as_str().unwrap_or("TEXT").to_uppercase();
    match kind.as_str() {
        "TEXT" => {
            let text = text(header, "text", field, 1..=HEADER)?;
            if variables(text).len() > 1 {
                return Err(Fault::new(format!("{field}.text"), Problem::Items(0, 1)));
            }
            check_variables(format, text, &header["example"], "header_text", field)
        }
        "LOCATION" => Ok(()),
        // The handle of a file that was uploaded to Meta as an example.
        "IMAGE" | "VIDEO" | "DOCUMENT" => {
            let handles = list(&header["example"]["header_handle"]);
            let is_handle = |handle: &Value| handle.as_str().is_some_and(|handle| !handle.is_empty());
            if handles.len() == 1 && handles.iter().all(is_handle) {
                return Ok(());
            }
            Err(Fault::new(format!("{field}.example.header_handle"), Problem::Examples(1)))
        }
        _ => Err(Fault::new(
            format!("{field}.format"),
            Problem::OneOf("TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION"),
        )),
    }
}

/// The variables of a text are well named, and each has an example.
fn check_variables(
    format: ParameterFormat,
    text: &str,
    example: &Value,
    examples: &str,
    field: &str,
) -> Result<(), Fault> {
    let names = variables(text);
    let in_text = || format!("{field}.text");
    match format {
        ParameterFormat::Positional => {
            let mut places: Vec<usize> = Vec::new();
            for name in &names {
                places.push(name.parse().map_err(|_| Fault::new(in_text(), Problem::Gap))?);
            }
            places.sort_unstable();
            if !places.iter().copied().eq(1..=names.len()) {
                return Err(Fault::new(in_text(), Problem::Gap));
            }
            // A body's examples stand in a list of lists, a header's in a list.
            let given = &example[examples];
            let given = if given[0].is_array() { list(&given[0]) } else { list(given) };
            enough(&names, given, |example| example.as_str(), &format!("{field}.example.{examples}"))
        }
        ParameterFormat::Named => {
            for name in &names {
                if !is_variable_name(name) {
                    return Err(Fault::new(in_text(), Problem::VariableName));
                }
            }
            let examples = format!("{examples}_named_params");
            let field = format!("{field}.example.{examples}");
            let given = list(&example[&examples]);
            enough(&names, given, |example| example["example"].as_str(), &field)?;
            let known = |name: &&str| given.iter().any(|example| is(&example["param_name"], name));
            match names.iter().find(|name| !known(name)) {
                Some(name) => Err(Fault::new(field, Problem::Missing((*name).to_owned()))),
                None => Ok(()),
            }
        }
    }
}

fn enough(
    names: &[&str],
    given: &[Value],
    example: impl Fn(&Value) -> Option<&str>,
    field: &str,
) -> Result<(), Fault> {
    let good =
        given.iter().filter(|given| example(given).is_some_and(|text| !text.trim().is_empty())).count();
    if good == names.len() && given.len() == good {
        return Ok(());
    }
    Err(Fault::new(field, Problem::Examples(names.len())))
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn check_buttons(component: &Value, field: &str) -> Result<(), Fault> {
    let buttons = list(&component["buttons"]);
    within(&format!("{field}.buttons"), buttons.len(), 1..=BUTTONS)?;
    for (index, button) in buttons.iter().enumerate() {
        let field = format!("{field}.buttons[{index}]");
        let kind = button["type"].as_str().unwrap_or_default().to_uppercase();
        match kind.as_str() {
            "QUICK_REPLY" | "FLOW" | "CATALOG" | "MPM" => {
                label(button, &field)?;
            }
            "URL" => {
                label(button, &field)?;
                let url = text(button, "url", &field, 1..=URL)?;
                check_url(url, button, &field)?;
            }
            "PHONE_NUMBER" => {
                label(button, &field)?;
                text(button, "phone_number", &field, 1..=PHONE)?;
            }
            "COPY_CODE" => {
                let example = &button["example"];
                let given = example.as_str().or(example[0].as_str());
                if given.is_none_or(str::is_empty) {
                    return Err(Fault::new(format!("{field}.example"), Problem::Examples(1)));
                }
            }
            "" => return Err(Fault::new(format!("{field}.type"), Problem::OneOf(BUTTON_TYPES))),
            // One-time codes, calls, contact requests, and what is to come.
            _ => {}
        }
    }
    Ok(())
}

const BUTTON_TYPES: &str = "QUICK_REPLY, URL, PHONE_NUMBER, COPY_CODE, FLOW, OTP";

/// An address has at most one variable, as its end, and with one an example of the whole.
fn check_url(url: &str, button: &Value, field: &str) -> Result<(), Fault> {
    let names = variables(url);
    if names.len() > 1 || (!names.is_empty() && !url.trim_end().ends_with("}}")) {
        return Err(Fault::new(format!("{field}.url"), Problem::OneVariableAtEnd));
    }
    let example = list(&button["example"]).first().and_then(Value::as_str).or(button["example"].as_str());
    if !names.is_empty() && example.is_none_or(str::is_empty) {
        return Err(Fault::new(format!("{field}.example"), Problem::Examples(1)));
    }
    Ok(())
}

fn label(button: &Value, field: &str) -> Result<(), Fault> {
    let label = text(button, "text", field, 1..=BUTTON_TEXT)?;
    no_variables(label, &format!("{field}.text"))
}

fn no_variables(text: &str, field: &str) -> Result<(), Fault> {
    if variables(text).is_empty() { Ok(()) } else { Err(Fault::new(field, Problem::NoVariables)) }
}

fn text<'a>(
    of: &'a Value,
    name: &str,
    field: &str,
    characters: RangeInclusive<usize>,
) -> Result<&'a str, Fault> {
    let field = format!("{field}.{name}");
    let text = of[name].as_str().ok_or_else(|| Fault::new(field.as_str(), Problem::Needed))?;
    let (least, most) = characters.into_inner();
    if (least..=most).contains(&text.trim().chars().count()) && text.chars().count() <= most {
        return Ok(text);
    }
    Err(Fault::new(field, Problem::Characters(least, most)))
}

fn within(field: &str, count: usize, items: RangeInclusive<usize>) -> Result<(), Fault> {
    if items.contains(&count) {
        return Ok(());
    }
    let (least, most) = items.into_inner();
    Err(Fault::new(field, Problem::Items(least, most)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(format: ParameterFormat, components: Value) -> Option<(String, Problem)> {
        let checked = check_components(Category::Utility, format, &components);
        checked.err().map(|fault| (fault.field, fault.problem))
    }

    #[test]
    fn what_meta_takes_is_good() {
        let positional = json!([
            { "type": "HEADER", "format": "TEXT", "text": "Pedido {{1}}", "example": { "header_text": ["123"] } },
            { "type": "BODY", "text": "Oi {{1}}, chega {{2}}.", "example": { "body_text": [["Ana", "amanhã"]] } },
            { "type": "FOOTER", "text": "Loja Exemplo" },
            { "type": "BUTTONS", "buttons": [
                { "type": "QUICK_REPLY", "text": "Sair" },
                { "type": "URL", "text": "Ver", "url": "https://loja.example.com/{{1}}",
                  "example": ["https://loja.example.com/123"] },
                { "type": "COPY_CODE", "example": "PROMO10" },
                { "type": "PHONE_NUMBER", "text": "Ligar", "phone_number": "+5562988880001" },
            ] },
        ]);
        assert_eq!(faults(ParameterFormat::Positional, positional), None);
        let named = json!([
            { "type": "HEADER", "format": "IMAGE", "example": { "header_handle": ["4::aW"] } },
            { "type": "body", "text": "Olá {{nome}}", "example": {
                "body_text_named_params": [{ "param_name": "nome", "example": "Ana" }] } },
        ]);
        assert_eq!(faults(ParameterFormat::Named, named), None);
        let code = json!([
            { "type": "BODY", "add_security_recommendation": true },
            { "type": "BUTTONS", "buttons": [{ "type": "OTP", "otp_type": "COPY_CODE" }] },
        ]);
        assert_eq!(check_components(Category::Authentication, ParameterFormat::Positional, &code), Ok(()));
    }

    #[test]
    fn what_meta_refuses_is_named() {
        let body = |text: &str| json!([{ "type": "BODY", "text": text }]);
        let with = |part: Value| json!([{ "type": "BODY", "text": "Oi" }, part]);
        for (components, field, problem) in [
            (json!({}), "components", Problem::Items(1, 10)),
            (json!([{ "type": "FOOTER", "text": "x" }]), "components.BODY", Problem::Needed),
            (body(""), "components[0].text", Problem::Characters(1, BODY)),
            (body(&"é".repeat(BODY + 1)), "components[0].text", Problem::Characters(1, BODY)),
            (body("Oi {{2}}"), "components[0].text", Problem::Gap),
            (body("Oi {{nome}}"), "components[0].text", Problem::Gap),
            (body("Oi {{1}}"), "components[0].example.body_text", Problem::Examples(1)),
            (with(json!({ "type": "body", "text": "x" })), "components[1].type", Problem::Twice),
            (with(json!({ "type": "FOOTER", "text": "{{1}}" })), "components[1].text", Problem::NoVariables),
            (
                with(json!({ "type": "HEADER", "format": "IMAGE" })),
                "components[1].example.header_handle",
                Problem::Examples(1),
            ),
            (
                with(json!({ "type": "BUTTONS", "buttons": [] })),
                "components[1].buttons",
                Problem::Items(1, BUTTONS),
            ),
            (
                with(json!({ "type": "BUTTONS", "buttons": [
                    { "type": "URL", "text": "Ver", "url": "https://x/{{1}}/y" }] })),
                "components[1].buttons[0].url",
                Problem::OneVariableAtEnd,
            ),
        ] {
            assert_eq!(faults(ParameterFormat::Positional, components), Some((field.to_owned(), problem)));
        }
        let named = faults(ParameterFormat::Named, body("Oi {{Nome}}"));
        assert_eq!(named, Some(("components[0].text".to_owned(), Problem::VariableName)));
    }

    #[test]
    fn names_and_languages_are_those_of_meta() {
        for (name, language) in [("pedido_1", "pt_BR"), ("a", "en"), ("x", "fil")] {
            assert_eq!(check_name(name, language), Ok(()));
        }
        for (name, language, field) in
            [("", "en", "name"), ("Pedido", "en", "name"), ("a", "pt-BR", "language"), ("a", "", "language")]
        {
            assert_eq!(check_name(name, language).expect_err("refused").field, field);
        }
    }
}
