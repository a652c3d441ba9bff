//! How a number stands: what Meta says of it and of its token, and what its refusals mean.

use chrono::{DateTime, TimeDelta, Utc};
use domain::health::{Finding, NumberFacts, Obstacle};

use super::channel::Number;
use super::client::NumberInfo;
use super::token::{SENDING, TokenInfo};
use crate::channel::error::SendError;
use crate::channel::{Condition, Inquiry, ReportCondition};

/// A token is noticed to end so long before.
const NOTICED_BEFORE: TimeDelta = TimeDelta::days(7);

impl ReportCondition for Number {
    async fn condition(&self, inquiry: &Inquiry) -> Result<Condition, SendError> {
        let token = &self.credentials.access_token;
        // Without its app's token it may ask about itself, unless it is over.
        let by = inquiry.app_token.as_ref().unwrap_or(token);
        let inspected = match self.client.inspect_token(token, by, inquiry.now).await {
            Ok(inspected) => Some(inspected),
            Err(error) if error.may_pass() => return Err(error),
            // Whoever asks may not be let to ask; the number tells whether the token works.
            Err(_) => None,
        };
        let number = self.client.number_info(&self.credentials).await;
        if let Err(error) = &number
            && error.may_pass()
        {
            return Err(error.clone());
        }
        Ok(conclude(inspected.as_ref(), number, inquiry.now))
    }

    fn obstacle(&self, error: &SendError) -> Option<Obstacle> {
        obstacle(error)
    }
}

/// What stands in the way of a number for which Meta refuses a call so; `None` when it is about the one call.
pub fn obstacle(error: &SendError) -> Option<Obstacle> {
    match error {
        SendError::Reauthorise(fault) => Some(match fault.code.as_str() {
            "190" | "0" => Obstacle::TokenInvalid,
            _ => Obstacle::PermissionMissing,
        }),
        SendError::SenderBlocked(fault) => match fault.code.as_str() {
            "131042" => Some(Obstacle::Unpaid),
            "133010" | "131045" => Some(Obstacle::NumberUnregistered),
            "131031" | "131048" | "368" => Some(Obstacle::SenderBlocked),
            // About this recipient, or a name or country: the number itself is well.
            _ => None,
        },
        _ => None,
    }
}

/// What follows from what Meta says of token and number.
fn conclude(
    token: Option<&TokenInfo>,
    number: Result<NumberInfo, SendError>,
    now: DateTime<Utc>,
) -> Condition {
    let mut found = Vec::new();
    if let Some(token) = token {
        let detail = token.error.as_ref().map(|fault| fault.title.clone());
        if token.is_expired {
            found.push(Finding { obstacle: Obstacle::TokenExpired, detail });
        } else if !token.is_valid {
            found.push(Finding { obstacle: Obstacle::TokenInvalid, detail });
        } else if !token.scopes.is_empty() && !token.scopes.iter().any(|scope| scope == SENDING) {
            found.push(Finding::told(Obstacle::PermissionMissing, SENDING));
        } else if token.expires_at.is_some_and(|at| at <= now + NOTICED_BEFORE) {
            found.push(Finding::bare(Obstacle::TokenExpiring));
        }
    }
    let number = match number {
        Ok(number) => {
            if number.quality_rating.as_deref() == Some("RED") {
                found.push(Finding::bare(Obstacle::QualityLow));
            }
            NumberFacts {
                verified_name: number.verified_name,
                display_phone_number: number.display_phone_number,
                quality: number.quality_rating,
                messaging_limit: number.messaging_limit,
                throughput: number.throughput,
                name_status: number.name_status,
                // Its webhook tells of it.
                username: None,
            }
        }
        Err(error) => {
            // Of a token that ended the number says nothing new. Whatever else Meta refuses here it refuses of this number.
            if !found.iter().any(|finding| finding.obstacle.forbids_calls()) {
                let obstacle = obstacle(&error).unwrap_or(Obstacle::NumberGone);
                found.push(Finding::told(obstacle, error.fault().title.clone()));
            }
            NumberFacts::default()
        }
    };
    Condition { found, number, token_ends: token.map(|token| token.expires_at) }
}
