//! The whole bundle on one machine: what `make run` starts.
//!
//! Rooms: [`arguments`] the command line · [`up`] the order of things · [`tools`] what is fetched once ·
//! [`postgres`], [`database`] the server and what is inside it · [`emulator`] the AWS side · [`template`],
//! [`package`], [`deploy`] from `template.yaml` to running functions · [`seed`] the demo company ·
//! [`front_door`] the one origin before everything · [`supervisor`], [`process`], [`record`] processes and what is
//! remembered of them · [`stack`] what others read · [`layout`], [`ports`], [`credentials`], [`progress`].
//!
//! Never in here: rules of the product. What runs is the template and the binaries that are deployed; this package
//! only gives them a place to run.

pub mod arguments;
pub mod compile;
pub mod credentials;
pub mod database;
pub mod deploy;
pub mod down;
pub mod emulator;
pub mod environment;
pub mod front_door;
pub mod layout;
pub mod package;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod progress;
pub mod record;
pub mod sandbox;
pub mod seed;
pub mod stack;
pub mod supervisor;
pub mod template;
pub mod tools;
pub mod up;
