//! What becomes of an accepted message: sent, delivered, read, or failed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::media;
use crate::clock;
use crate::webhooks::{self, payload};
use crate::world::messages::{Message, Stage, Writer};
use crate::world::{Sandbox, World};

/// Follows a message in the background until it is read or failed.
pub(crate) fn follow(sandbox: Arc<Sandbox>, message: Message) {
    let generation = sandbox.world().generation;
    tokio::spawn(async move {
        let (sent_ms, delivered_ms) = {
            let world = sandbox.world();
            (world.settings.sent_ms, world.settings.delivered_ms)
        };
        let reason = obstacle(&sandbox.world(), &message);
        wait(sent_ms).await;
        if let Some(code) = reason {
            return fail(&sandbox, generation, &message.id, code);
        }
        if let Err(code) = media::attach(&sandbox, &message).await {
            return fail(&sandbox, generation, &message.id, code);
        }
        reach(&sandbox, generation, &message.id, Stage::Sent);
        if message.kind == "reaction" {
            return react(&sandbox, &message);
        }
        wait(delivered_ms.saturating_sub(sent_ms)).await;
        reach(&sandbox, generation, &message.id, Stage::Delivered);
        let (auto_read, read_ms) = {
            let world = sandbox.world();
            (world.settings.auto_read, world.settings.read_ms)
        };
        if auto_read {
            wait(read_ms).await;
            reach(&sandbox, generation, &message.id, Stage::Read);
        }
    });
}

async fn wait(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Why a message that was accepted will not arrive: scripted, nobody there, or window closed.
fn obstacle(world: &World, message: &Message) -> Option<u32> {
    if message.error_code.is_some() {
        return message.error_code;
    }
    if message.wa_id.is_empty() {
        return Some(131_026);
    }
    let open = world.chats.window_is_open(&message.line, &message.wa_id, clock::now_ms());
    let closed = world.settings.enforce_window && message.kind != "template" && !open;
    closed.then_some(131_047)
}

fn fail(sandbox: &Arc<Sandbox>, generation: u64, id: &str, code: u32) {
    if let Some(message) = sandbox.world().messages.get_mut(id) {
        message.error_code = Some(code);
    }
    reach(sandbox, generation, id, Stage::Failed);
}

/// Moves a message of the business up to a stage, tells the page, and enqueues the status.
/// A stage already reached, or a reset since, makes it do nothing.
fn reach(sandbox: &Arc<Sandbox>, generation: u64, id: &str, stage: Stage) {
    let mut guard = sandbox.world();
    let world = &mut *guard;
    if world.generation != generation {
        return;
    }
    let Some(message) = world.messages.get_mut(id) else {
        return;
    };
    if message.stage >= stage {
        return;
    }
    message.stage = stage;
    if stage == Stage::Delivered {
        message.visible = true;
        message.at_ms = clock::now_ms();
    }
    let message = message.clone();
    if stage == Stage::Delivered {
        world.chats.entry(&message.line, &message.wa_id).typing_until_ms = 0;
    }
    let in_window = world.chats.window_is_open(&message.line, &message.wa_id, clock::now_ms());
    drop(guard);
    let update = payload::Update {
        line: message.line.clone(),
        wa_id: message.wa_id.clone(),
        message_id: message.id.clone(),
        part: payload::status(&message, stage, in_window),
    };
    webhooks::enqueue(sandbox, update);
    if message.visible {
        sandbox.tell(json!({ "kind": "message", "message": message }));
    }
}

/// Puts the business's emoji on the customer's bubble; an empty one takes it away.
fn react(sandbox: &Sandbox, reaction: &Message) {
    let target = reaction.content["message_id"].as_str().unwrap_or_default();
    let emoji = reaction.content["emoji"].as_str().unwrap_or_default();
    let mut world = sandbox.world();
    let Some(message) = world.messages.get_mut(target) else {
        return;
    };
    message.reaction_of_business = (!emoji.is_empty()).then(|| emoji.to_owned());
    let message = message.clone();
    drop(world);
    sandbox.tell(json!({ "kind": "message", "message": message }));
}

/// The customer looks at the chat: everything delivered becomes read. Says how many did.
pub(crate) fn read_chat(sandbox: &Arc<Sandbox>, line: &str, wa_id: &str) -> usize {
    let (generation, delivered) = {
        let world = sandbox.world();
        let delivered: Vec<String> = world
            .chats
            .get(line, wa_id)
            .into_iter()
            .flat_map(|chat| &chat.messages)
            .filter_map(|id| world.messages.get(id))
            .filter(|m| m.writer == Writer::Business && m.stage == Stage::Delivered)
            .map(|message| message.id.clone())
            .collect();
        (world.generation, delivered)
    };
    for id in &delivered {
        reach(sandbox, generation, id, Stage::Read);
    }
    delivered.len()
}
