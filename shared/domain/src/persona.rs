//! Personas: who the AI is when it answers for a company.

use crate::PersonaId;

/// A persona as an answer needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Persona {
    /// Its id.
    pub id: PersonaId,
    /// What people call it.
    pub name: String,
    /// The model's name at the provider.
    pub model: String,
    /// The system instructions.
    pub instructions: String,
    /// Sampling temperature; `None` leaves the provider's default (some models refuse the parameter).
    pub temperature: Option<f32>,
    /// The longest answer, in tokens.
    pub max_completion_tokens: Option<i32>,
}
