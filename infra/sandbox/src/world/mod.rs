//! Everything the sandbox remembers. In memory, bounded, gone with the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use serde_json::Value;
use tokio::sync::{Semaphore, broadcast};

use crate::accounts::Accounts;
use crate::identity::keys::Keys;
use crate::openai::scripted::Replies;
use crate::script::Script;
use crate::webhooks::Outbound;
use crate::{Config, Line};

pub(crate) mod chats;
pub(crate) mod conditions;
pub(crate) mod customers;
pub(crate) mod identity;
pub(crate) mod log;
pub(crate) mod media;
pub(crate) mod messages;
pub(crate) mod settings;
pub(crate) mod signups;
pub(crate) mod templates;

use chats::Chats;
use conditions::Conditions;
use customers::Customers;
use identity::Identities;
use log::Log;
use media::MediaStore;
use messages::Messages;
use settings::Settings;
use signups::Signups;
use templates::Templates;

/// How many webhooks are on their way at once.
const CONCURRENT_DELIVERIES: usize = 64;

/// What every handler shares.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// As started; [`World::lines`] is what holds now.
    pub(crate) config: Config,
    /// How others reach this process, without a trailing slash.
    pub(crate) origin: String,
    /// For webhooks and for media given by link.
    pub(crate) http: reqwest::Client,
    /// What happens, for the phone page.
    pub(crate) events: broadcast::Sender<Arc<Value>>,
    /// One permit a webhook in flight.
    pub(crate) deliveries: Semaphore,
    /// Of Google.
    pub(crate) keys: Keys,
    world: Mutex<World>,
}

/// The state proper, behind one lock that is never held across an await.
#[derive(Debug)]
pub(crate) struct World {
    /// Grows with every reset; work started under an older one stops.
    pub(crate) generation: u64,
    /// The line of requests that name none.
    pub(crate) default_line: String,
    /// By phone number id.
    pub(crate) lines: BTreeMap<String, Line>,
    /// People with a phone.
    pub(crate) customers: Customers,
    /// People with a Google or Facebook account.
    pub(crate) identities: Identities,
    /// One a line and customer.
    pub(crate) chats: Chats,
    /// Both directions, by wamid.
    pub(crate) messages: Messages,
    /// Uploaded by the business or sent by a customer.
    pub(crate) media: MediaStore,
    /// What people chose in Meta's window.
    pub(crate) signups: Signups,
    /// Of Twilio and the gateways.
    pub(crate) accounts: Accounts,
    /// Of numbers and tokens.
    pub(crate) conditions: Conditions,
    /// Made by businesses.
    pub(crate) templates: Templates,
    /// What was received, accepted and delivered.
    pub(crate) log: Log,
    /// Faults ordered.
    pub(crate) script: Script,
    /// Chat answers ordered.
    pub(crate) replies: Replies,
    /// Delays and habits.
    pub(crate) settings: Settings,
    /// Webhooks that wait.
    pub(crate) outbound: Outbound,
}

impl World {
    fn new(line: Line, generation: u64) -> Self {
        Self {
            generation,
            default_line: line.phone_number_id.clone(),
            lines: BTreeMap::from([(line.phone_number_id.clone(), line)]),
            customers: Customers::default(),
            identities: Identities::default(),
            chats: Chats::default(),
            messages: Messages::default(),
            media: MediaStore::default(),
            signups: Signups::default(),
            accounts: Accounts::default(),
            conditions: Conditions::default(),
            templates: Templates::default(),
            log: Log::default(),
            script: Script::default(),
            replies: Replies::default(),
            settings: Settings::default(),
            outbound: Outbound::default(),
        }
    }

    /// The line named, or the default one when none is named.
    pub(crate) fn line(&self, phone_number_id: Option<&str>) -> Option<&Line> {
        self.lines.get(phone_number_id.unwrap_or(&self.default_line))
    }
}

impl Sandbox {
    pub(crate) fn new(config: Config, origin: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(std::time::Duration::from_secs(20))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("facebookexternalua")
            .build()
            .context("build the HTTP client")?;
        Ok(Self {
            http,
            origin,
            events: broadcast::Sender::new(1024),
            deliveries: Semaphore::new(CONCURRENT_DELIVERIES),
            keys: Keys::default(),
            world: Mutex::new(World::new(config.line.clone(), 0)),
            config,
        })
    }

    /// The state, locked. A panic elsewhere does not take the sandbox down with it.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything but the lines, the accounts and the keys.
    pub(crate) fn reset(&self) {
        let mut world = self.world();
        let lines = std::mem::take(&mut world.lines);
        let accounts = std::mem::take(&mut world.accounts).without_messages();
        *world = World::new(self.config.line.clone(), world.generation + 1);
        world.lines = lines;
        world.accounts = accounts;
        drop(world);
        self.tell(serde_json::json!({ "kind": "reset" }));
    }

    /// Tells the pages that are open; with none open nobody is told.
    pub(crate) fn tell(&self, event: Value) {
        if self.events.receiver_count() > 0 && self.events.send(Arc::new(event)).is_err() {
            tracing::debug!("the last page closed meanwhile");
        }
    }
}
