//! Cells of the company's own fields, as people and programs write them.

use chrono::NaiveDate;
use serde_json::Value;

use crate::contact::{FieldRule, FieldType};

/// A field of the company's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomField {
    /// Its name in [`Field::Custom`](super::Field::Custom).
    pub key: String,
    /// What people call it.
    pub label: String,
    /// What it holds.
    pub field_type: FieldType,
    /// What may be chosen.
    pub options: Vec<String>,
}

/// What a cell says of a field of this type.
///
/// # Errors
/// Why it says nothing, for people.
pub(super) fn read(field_type: FieldType, options: &[String], cell: &str) -> Result<Value, &'static str> {
    match field_type {
        FieldType::Text => {
            let text = Value::from(cell);
            match (FieldRule { field_type, options }).check(&text) {
                Ok(()) => Ok(text),
                Err(_) => Err("too long for a field"),
            }
        }
        FieldType::Number => number(cell).ok_or("not a number"),
        FieldType::Date => {
            date(cell).map(|date| date.to_string().into()).ok_or("not a date, as 2026-11-21 or 21/11/2026")
        }
        FieldType::Boolean => boolean(cell).map(Value::Bool).ok_or("neither yes nor no"),
        FieldType::Choice => {
            let lower = cell.to_lowercase();
            let option = options.iter().find(|option| option.to_lowercase() == lower);
            option.map(|option| option.as_str().into()).ok_or("not one of the field's options")
        }
    }
}

/// `1234`, `1234.5`, `1234,5`, `1.234,50`, `1,234.50`. A single separator is that of decimals.
fn number(cell: &str) -> Option<Value> {
    let decimal = cell.rfind(['.', ',']);
    let whole = &cell[..decimal.unwrap_or(cell.len())];
    let separator = decimal.map(|at| cell.as_bytes()[at]);
    let thousands = if separator == Some(b',') { '.' } else { ',' };
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    let mut groups = digits.split(thousands);
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let grouped = rest.is_empty() || (first.len() <= 3 && rest.iter().all(|group| group.len() == 3));
    let fraction = decimal.map(|at| &cell[at + 1..]);
    if !are_digits(first) || !rest.iter().all(|group| are_digits(group)) || !grouped {
        return None;
    }
    let sign = if cell.starts_with('-') { "-" } else { "" };
    let whole = format!("{sign}{first}{}", rest.concat());
    match fraction {
        Some(fraction) if !are_digits(fraction) => None,
        Some(fraction) => {
            let number: f64 = format!("{whole}.{fraction}").parse().ok()?;
            serde_json::Number::from_f64(number).map(Value::Number)
        }
        None => match whole.parse::<i64>() {
            Ok(number) => Some(number.into()),
            Err(_) => serde_json::Number::from_f64(whole.parse().ok()?).map(Value::Number),
        },
    }
}

/// As ISO 8601 has it, or with the day first.
fn date(cell: &str) -> Option<NaiveDate> {
    // Spreadsheet programs add a time of midnight.
    let day = cell.split([' ', 'T']).next().unwrap_or_default();
    ["%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y"].iter().find_map(|form| {
        let date = NaiveDate::parse_from_str(day, form).ok()?;
        (1..=9999).contains(&chrono::Datelike::year(&date)).then_some(date)
    })
}

fn boolean(cell: &str) -> Option<bool> {
    match cell.to_lowercase().as_str() {
        "sim" | "s" | "verdadeiro" | "true" | "t" | "yes" | "y" | "1" | "x" => Some(true),
        "não" | "nao" | "n" | "falso" | "false" | "f" | "no" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_read_as_people_write_them() {
        let options = ["Ouro".to_owned(), "Prata".to_owned()];
        for (field_type, cell, expected) in [
            (FieldType::Text, "  x ", json!("  x ")),
            (FieldType::Number, "12", json!(12)),
            (FieldType::Number, "-12", json!(-12)),
            (FieldType::Number, "12,5", json!(12.5)),
            (FieldType::Number, "1.234,50", json!(1234.5)),
            (FieldType::Number, "1,234,567.25", json!(1234567.25)),
            (FieldType::Number, "1234567.25", json!(1234567.25)),
            (FieldType::Date, "2026-11-21", json!("2026-11-21")),
            (FieldType::Date, "21/11/2026", json!("2026-11-21")),
            (FieldType::Date, "21/11/2026 00:00", json!("2026-11-21")),
            (FieldType::Boolean, "Sim", json!(true)),
            (FieldType::Boolean, "NÃO", json!(false)),
            (FieldType::Choice, "ouro", json!("Ouro")),
        ] {
            assert_eq!(read(field_type, &options, cell), Ok(expected), "{field_type:?} {cell}");
        }
        for (field_type, cell) in [
            (FieldType::Text, "a".repeat(4_097).as_str()),
            (FieldType::Number, "doze"),
            (FieldType::Number, "1,2,3.5"),
            (FieldType::Number, "1."),
            (FieldType::Number, "-"),
            (FieldType::Number, "1e5"),
            (FieldType::Date, "31/02/2026"),
            (FieldType::Date, "ontem"),
            (FieldType::Boolean, "talvez"),
            (FieldType::Choice, "Bronze"),
        ] {
            assert!(read(field_type, &options, cell).is_err(), "{field_type:?} {cell}");
        }
    }
}
