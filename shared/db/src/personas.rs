//! Personas.

use domain::PersonaId;
use domain::persona::Persona;

use crate::{Result, TenantTx};

/// Makes a persona.
///
/// # Errors
/// Database errors only.
pub async fn insert(tx: &mut TenantTx, persona: &Persona) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "INSERT INTO personas (company_id, id, name, model, instructions, temperature, max_completion_tokens)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        company_id.0,
        persona.id.0,
        persona.name,
        persona.model,
        persona.instructions,
        persona.temperature,
        persona.max_completion_tokens
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Finds a persona.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: PersonaId) -> Result<Option<Persona>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Persona,
        r#"SELECT id AS "id: PersonaId", name, model, instructions, temperature, max_completion_tokens
           FROM personas WHERE company_id = $1 AND id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}
