//! All integration tests, as modules of one program: separate programs would each be linked anew. The test data lies
//! beside this directory.

mod support;

mod architecture;
mod audit;
mod changes;
mod chat;
mod ci;
mod clean;
mod containers;
mod daily;
mod evidence;
mod gate;
mod history;
mod hooks;
mod hostile;
mod judge;
mod library;
mod mail;
mod mutations;
mod packs;
mod page;
mod pdf;
mod plan;
mod policy;
mod reports;
mod rules;
mod shapes;
mod verify;
mod walk;
mod whose;
