//! Whether what is to be sent fits into a template: Meta's own refusals (132000, 132012) come when the message is on its way,
//! and name no field.

use serde_json::Value;

use super::{Fault, ParameterFormat, Problem, component, fill, is, list, variables};

/// What a message by a template shows its customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rendered {
    /// The header's text.
    pub header: Option<String>,
    /// The body's.
    pub body: Option<String>,
    /// The footer's.
    pub footer: Option<String>,
    /// What stands on the buttons.
    pub buttons: Vec<String>,
}

/// Checks the components of a message against those of its template.
///
/// # Errors
/// The first [`Fault`]; its field is a path below the message's `components`.
pub fn check(template: &Value, format: ParameterFormat, given: &Value) -> Result<(), Fault> {
    if !given.is_null() && !given.is_array() {
        return Err(Fault::new("components", Problem::Items(0, 10)));
    }
    let known_buttons = component(template, "BUTTONS").map_or(&[][..], |buttons| list(&buttons["buttons"]));
    let mut seen: Vec<(String, Option<usize>)> = Vec::new();
    for (index, part) in list(given).iter().enumerate() {
        let field = format!("components[{index}]");
        let kind = part["type"].as_str().unwrap_or_default().to_lowercase();
        let place = match kind.as_str() {
            "header" => check_header(component(template, "HEADER"), format, part, &field).map(|()| None),
            "body" => {
                let text =
                    component(template, "BODY").and_then(|body| body["text"].as_str()).unwrap_or_default();
                check_texts(text, format, part, &field).map(|()| None)
            }
            "button" => check_button(known_buttons, part, &field).map(Some),
            // Carousels, limited-time offers, and what is to come.
            "carousel" | "limited_time_offer" | "order_status" => Ok(None),
            _ => Err(Fault::new(format!("{field}.type"), Problem::OneOf("header, body, button"))),
        }?;
        if seen.contains(&(kind.clone(), place)) {
            return Err(Fault::new(field, Problem::Twice));
        }
        seen.push((kind, place));
    }
    let has = |kind: &str, place| seen.iter().any(|(known, at)| known == kind && *at == place);
    nothing_is_missing(template, known_buttons, has)
}

/// Whatever of the template needs a parameter has its component in the message.
fn nothing_is_missing(
    template: &Value,
    buttons: &[Value],
    has: impl Fn(&str, Option<usize>) -> bool,
) -> Result<(), Fault> {
    let missing = |what: &str| Err(Fault::new("components", Problem::Missing(what.to_owned())));
    if let Some(header) = component(template, "HEADER").filter(|header| header_needs(header))
        && !has("header", None)
    {
        return missing(&format!("header ({})", header["format"].as_str().unwrap_or("TEXT").to_lowercase()));
    }
    let body = component(template, "BODY").and_then(|body| body["text"].as_str()).unwrap_or_default();
    if let Some(first) = variables(body).first()
        && !has("body", None)
    {
        return missing(&format!("body ({first})"));
    }
    let needs = |button: &&(usize, &Value)| button_needs(button.1).is_some();
    match buttons.iter().enumerate().find(|button| needs(&button) && !has("button", Some(button.0))) {
        Some((index, _)) => missing(&format!("button ({index})")),
        None => Ok(()),
    }
}

fn header_needs(header: &Value) -> bool {
    match header["format"].as_str().map(str::to_uppercase).as_deref() {
        None | Some("TEXT") => !variables(header["text"].as_str().unwrap_or_default()).is_empty(),
        Some(_) => true,
    }
}

/// The type of parameter that a button asks for.
fn button_needs(button: &Value) -> Option<&'static str> {
    let url = button["url"].as_str().unwrap_or_default();
    match button["type"].as_str().map(str::to_uppercase).as_deref() {
        Some("URL") if !variables(url).is_empty() => Some("text"),
        Some("COPY_CODE") => Some("coupon_code"),
        Some("OTP") => Some("text"),
        _ => None,
    }
}

fn check_header(
    header: Option<&Value>,
    format: ParameterFormat,
    part: &Value,
    field: &str,
) -> Result<(), Fault> {
    let header = header.ok_or_else(|| Fault::new(field, Problem::Unexpected))?;
    let kind = header["format"].as_str().unwrap_or("TEXT").to_lowercase();
    let parameters = list(&part["parameters"]);
    match kind.as_str() {
        "text" => check_texts(header["text"].as_str().unwrap_or_default(), format, part, field),
        "image" | "video" | "document" => {
            let parameter = one(parameters, field)?;
            let at = format!("{field}.parameters[0]");
            of_type(parameter, &kind, &at)?;
            let file = &parameter[&kind];
            let is_there = |name: &str| file[name].as_str().is_some_and(|text| !text.is_empty());
            if is_there("id") || is_there("link") {
                return Ok(());
            }
            Err(Fault::new(format!("{at}.{kind}.id"), Problem::Needed))
        }
        "location" => {
            let parameter = one(parameters, field)?;
            let at = format!("{field}.parameters[0]");
            of_type(parameter, "location", &at)?;
            for name in ["latitude", "longitude"] {
                if parameter["location"][name].is_null() {
                    return Err(Fault::new(format!("{at}.location.{name}"), Problem::Needed));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// As many parameters as the text has variables, by name where they have names.
fn check_texts(text: &str, format: ParameterFormat, part: &Value, field: &str) -> Result<(), Fault> {
    let names = variables(text);
    let parameters = list(&part["parameters"]);
    for (index, parameter) in parameters.iter().enumerate() {
        let at = format!("{field}.parameters[{index}]");
        has_text(parameter, &at)?;
        if format == ParameterFormat::Named {
            let name = parameter["parameter_name"].as_str();
            let name = name.ok_or_else(|| Fault::new(format!("{at}.parameter_name"), Problem::Needed))?;
            if !names.contains(&name) {
                let problem = Problem::NoSuchVariable(name.to_owned());
                return Err(Fault::new(format!("{at}.parameter_name"), problem));
            }
        }
    }
    if format == ParameterFormat::Named {
        let given = |name: &str| parameters.iter().any(|parameter| parameter["parameter_name"] == name);
        if let Some(name) = names.iter().find(|name| !given(name)) {
            return Err(Fault::new(format!("{field}.parameters"), Problem::Missing((*name).to_owned())));
        }
    }
    counted(parameters.len(), names.len(), field)
}

/// A parameter of text: amounts and times have a fallback instead.
fn has_text(parameter: &Value, at: &str) -> Result<(), Fault> {
    let kind = parameter["type"].as_str().unwrap_or_default();
    match kind {
        "text" => {
            let text = parameter["text"].as_str().unwrap_or_default();
            if text.trim().is_empty() {
                Err(Fault::new(format!("{at}.text"), Problem::Needed))
            } else {
                Ok(())
            }
        }
        "currency" | "date_time" => {
            let fallback = parameter[kind]["fallback_value"].as_str().unwrap_or_default();
            if fallback.is_empty() {
                return Err(Fault::new(format!("{at}.{kind}.fallback_value"), Problem::Needed));
            }
            Ok(())
        }
        _ => Err(Fault::new(format!("{at}.type"), Problem::OneOf("text, currency, date_time"))),
    }
}

/// The index of the button that a component is for.
fn check_button(buttons: &[Value], part: &Value, field: &str) -> Result<usize, Fault> {
    let index = &part["index"];
    let at = format!("{field}.index");
    let index = index.as_u64().or_else(|| index.as_str()?.parse().ok());
    let index = index
        .and_then(|index| usize::try_from(index).ok())
        .ok_or_else(|| Fault::new(at.as_str(), Problem::Needed))?;
    let button = buttons.get(index).ok_or_else(|| Fault::new(at, Problem::Unexpected))?;
    let kind = button["type"].as_str().unwrap_or_default().to_lowercase();
    // A code is copied by a button that Meta calls by an address.
    let expected = if kind == "otp" { "url" } else { kind.as_str() };
    let sub_type = part["sub_type"].as_str().unwrap_or_default();
    if !sub_type.eq_ignore_ascii_case(expected) {
        let problem = Problem::NoSuchVariable(sub_type.to_owned());
        return Err(Fault::new(format!("{field}.sub_type"), problem));
    }
    let parameters = list(&part["parameters"]);
    if let Some(needed) = button_needs(button) {
        let parameter = one(parameters, field)?;
        let at = format!("{field}.parameters[0]");
        of_type(parameter, needed, &at)?;
        let value = parameter[needed].as_str().unwrap_or_default();
        if value.trim().is_empty() {
            return Err(Fault::new(format!("{at}.{needed}"), Problem::Needed));
        }
    } else if kind == "url" || kind == "phone_number" {
        counted(parameters.len(), 0, field)?;
    }
    Ok(index)
}

fn one<'a>(parameters: &'a [Value], field: &str) -> Result<&'a Value, Fault> {
    counted(parameters.len(), 1, field)?;
    Ok(&parameters[0])
}

fn counted(given: usize, expected: usize, field: &str) -> Result<(), Fault> {
    if given == expected {
        return Ok(());
    }
    Err(Fault::new(format!("{field}.parameters"), Problem::Parameters { expected, given }))
}

fn of_type(parameter: &Value, kind: &str, at: &str) -> Result<(), Fault> {
    if is(&parameter["type"], kind) {
        return Ok(());
    }
    let words = match kind {
        "image" => "image",
        "video" => "video",
        "document" => "document",
        "location" => "location",
        "coupon_code" => "coupon_code",
        _ => "text",
    };
    Err(Fault::new(format!("{at}.type"), Problem::OneOf(words)))
}

/// What a customer will see, with the parameters of a message in their places. What does not fit stays as the template has
/// it.
pub fn render(template: &Value, given: &Value) -> Rendered {
    let filled = |kind: &str| {
        let text = component(template, kind)?["text"].as_str()?;
        let part = component(given, kind);
        let parameters = part.map_or(&[][..], |part| list(&part["parameters"]));
        Some(fill(text, |name| {
            let named = parameters.iter().find(|parameter| parameter["parameter_name"] == name);
            let placed = || parameters.get(name.parse::<usize>().ok()?.checked_sub(1)?);
            shown(named.or_else(placed)?)
        }))
    };
    let buttons = component(template, "BUTTONS").map_or(&[][..], |buttons| list(&buttons["buttons"]));
    Rendered {
        header: filled("HEADER"),
        body: filled("BODY"),
        footer: component(template, "FOOTER").and_then(|footer| footer["text"].as_str()).map(str::to_owned),
        buttons: buttons.iter().filter_map(|button| button["text"].as_str()).map(str::to_owned).collect(),
    }
}

fn shown(parameter: &Value) -> Option<&str> {
    let kind = parameter["type"].as_str().unwrap_or("text");
    parameter["text"].as_str().or_else(|| parameter[kind]["fallback_value"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template() -> Value {
        json!([
            { "type": "HEADER", "format": "IMAGE" },
            { "type": "BODY", "text": "Oi {{1}}, chega {{2}}." },
            { "type": "FOOTER", "text": "Loja" },
            { "type": "BUTTONS", "buttons": [
                { "type": "QUICK_REPLY", "text": "Ok" },
                { "type": "URL", "text": "Ver", "url": "https://x.example/{{1}}" },
                { "type": "COPY_CODE", "text": "Copiar" },
            ] },
        ])
    }

    fn message() -> Value {
        json!([
            { "type": "header", "parameters": [{ "type": "image", "image": { "id": "1" } }] },
            { "type": "body", "parameters": [{ "type": "text", "text": "Ana" }, { "type": "text", "text": "hoje" }] },
            { "type": "button", "sub_type": "url", "index": "1", "parameters": [{ "type": "text", "text": "123" }] },
            { "type": "button", "sub_type": "copy_code", "index": 2,
              "parameters": [{ "type": "coupon_code", "coupon_code": "PROMO" }] },
        ])
    }

    #[test]
    fn what_fits_is_good_and_shown() {
        assert_eq!(check(&template(), ParameterFormat::Positional, &message()), Ok(()));
        let rendered = render(&template(), &message());
        assert_eq!(rendered.body.as_deref(), Some("Oi Ana, chega hoje."));
        assert_eq!((rendered.footer.as_deref(), rendered.buttons.len()), (Some("Loja"), 3));
        let plain = json!([{ "type": "BODY", "text": "Oi" }]);
        assert_eq!(check(&plain, ParameterFormat::Positional, &Value::Null), Ok(()));
    }

    #[test]
    fn names_are_looked_at_where_there_are_names() {
        let template = json!([{ "type": "BODY", "text": "{{nome}} e {{dia}}" }]);
        let body = |names: &[&str]| {
            let all: Vec<_> =
                names.iter().map(|it| json!({ "type": "text", "parameter_name": it, "text": "x" })).collect();
            json!([{ "type": "body", "parameters": all }])
        };
        let named = |given: &Value| check(&template, ParameterFormat::Named, given).err();
        assert_eq!(named(&body(&["dia", "nome"])), None);
        let fault = named(&body(&["nome"])).expect("a fault");
        assert_eq!(
            (fault.field.as_str(), fault.problem),
            ("components[0].parameters", Problem::Missing("dia".to_owned()))
        );
        let fault = named(&body(&["nome", "mes"])).expect("a fault");
        assert_eq!(fault.field, "components[0].parameters[1].parameter_name");
        assert_eq!(render(&template, &body(&["dia", "nome"])).body.as_deref(), Some("x e x"));
    }

    #[test]
    fn the_part_that_does_not_fit_is_named() {
        let changed = |pointer: &str, to: Value| {
            let mut message = message();
            *message.pointer_mut(pointer).expect("a part") = to;
            let fault = check(&template(), ParameterFormat::Positional, &message).expect_err("a fault");
            (fault.field, fault.problem)
        };
        let text = json!([{ "type": "text", "text": "Ana" }]);
        for (pointer, to, field, problem) in [
            (
                "/1/parameters",
                text.clone(),
                "components[1].parameters",
                Problem::Parameters { expected: 2, given: 1 },
            ),
            ("/1/parameters/0/text", json!(" "), "components[1].parameters[0].text", Problem::Needed),
            (
                "/0/parameters/0/type",
                json!("video"),
                "components[0].parameters[0].type",
                Problem::OneOf("image"),
            ),
            ("/0/parameters/0/image", json!({}), "components[0].parameters[0].image.id", Problem::Needed),
            ("/2/index", json!("7"), "components[2].index", Problem::Unexpected),
            ("/2/parameters/0/text", json!(""), "components[2].parameters[0].text", Problem::Needed),
            (
                "/3/parameters/0/coupon_code",
                json!(""),
                "components[3].parameters[0].coupon_code",
                Problem::Needed,
            ),
            ("/2", json!({ "type": "carousel" }), "components", Problem::Missing("button (1)".to_owned())),
            (
                "/0",
                json!({ "type": "carousel" }),
                "components",
                Problem::Missing("header (image)".to_owned()),
            ),
            ("/1", json!({ "type": "carousel" }), "components", Problem::Missing("body (1)".to_owned())),
            ("/0", json!({ "type": "footer" }), "components[0].type", Problem::OneOf("header, body, button")),
            (
                "/3/index",
                json!("1"),
                "components[3].sub_type",
                Problem::NoSuchVariable("copy_code".to_owned()),
            ),
        ] {
            assert_eq!(changed(pointer, to), (field.to_owned(), problem), "{pointer}");
        }
    }
}
