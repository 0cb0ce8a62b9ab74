//! `policy migrate`, `policy freeze` and `policy thaw`: all that is kept, from one place to another.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use http::Method;
use portcullis::admin::wire::FreezeAnswer;
use portcullis::identity::file::IdentityFile;
use portcullis::s3::address::BucketName;
use portcullis::server::Place;
use portcullis::store::Change;
use portcullis::{config, config::Settings};
use serde::Serialize;
use tokio::runtime::Runtime;

use super::places::{Held, Page, Source, all, all_names, held, hold};
use super::{Client, Condition, Connection, print_json, read};
use crate::cli::Failure;
use crate::cli::load::{Loaded, load};
use crate::cli::serve::with_causes;
use crate::cli::terminal::{self, Escaped};

/// Of how many buckets of a kind is told.
const TOLD: usize = 20;

#[derive(Args, Debug)]
pub(crate) struct Migrate {
    /// Where the policies are: redb:PATH, s3://BUCKET/PREFIX, etcd://HOST:PORT,…/PREFIX (builds with the feature `etcd`),
    /// `config` for the configuration's own place, or a running server's admin listener, http://HOST:PORT
    #[arg(long, value_name = "PLACE")]
    from: String,
    /// Where they shall be: redb:PATH, s3://BUCKET/PREFIX, etcd://HOST:PORT,…/PREFIX or `config`
    #[arg(long, value_name = "PLACE")]
    to: String,
    /// The configuration whose other sections say how the places are reached
    #[arg(long, short, value_name = "FILE", default_value = "proxy.toml")]
    config: PathBuf,
    /// Put what is there in place of something else that is kept here, and take away what is not there
    #[arg(long)]
    replace: bool,
    /// A running server that changes what is moved; give each. They are frozen after the first copy, which is then brought
    /// up to date and compared, and stay frozen
    #[arg(long, value_name = "URL")]
    freeze: Vec<String>,
    /// The file with the token of the admin APIs [default: the configuration's]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Write the counts as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Freeze {
    #[command(flatten)]
    server: Connection,
}

pub(crate) fn freeze(arguments: &Freeze) -> Result<(), Failure> {
    let client = arguments.server.client()?;
    let id = ask_to_freeze(&client)?;
    terminal::note(format_args!("frozen ({}): every change is refused until it is thawed or restarted", Escaped(&id)));
    Ok(())
}

pub(crate) fn thaw(arguments: &Freeze) -> Result<(), Failure> {
    arguments.server.client()?.call(Method::DELETE, "/v1/freeze", Condition::Nothing)?;
    terminal::note("thawed: changes are made again");
    Ok(())
}

fn ask_to_freeze(client: &Client) -> Result<String, Failure> {
    let answer: FreezeAnswer = read(&client.call(Method::PUT, "/v1/freeze", Condition::Nothing)?)?;
    answer.frozen.ok_or_else(|| Failure::Failed("the server says that it is not frozen".to_owned()))
}

/// Copies, and where servers are to be frozen, copies once more what changed meanwhile, and compares.
pub(crate) fn migrate(arguments: &Migrate) -> Result<(), Failure> {
    if arguments.from == arguments.to {
        return Err(Failure::Usage("--from and --to are the same place".to_owned()));
    }
    let Loaded { settings, identities, .. } = load(&arguments.config)?;
    let identities = Arc::new(identities);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(with_causes(&error)))?;
    // Before anything is opened or frozen.
    let servers = arguments.freeze.iter().map(|url| Ok((url, arguments.client(url)?)));
    let servers = servers.collect::<Result<Vec<_>, Failure>>()?;
    let from = if arguments.from.starts_with("http://") || arguments.from.starts_with("https://") {
        Source::Server(arguments.client(&arguments.from)?)
    } else {
        Source::Place(open(&runtime, &settings, &arguments.from, &identities)?)
    };
    let to = open(&runtime, &settings, &arguments.to, &identities)?;

    let mover = Mover { runtime: &runtime, from: &from, to: &to };
    let mut tally = mover.pass(Pass::Copy { replace: arguments.replace })?;
    if tally.is_clean() && !servers.is_empty() {
        let frozen = Frozen::all(&servers)?;
        let last = mover.pass(Pass::Copy { replace: true })?;
        tally.add(&last);
        let compared = mover.pass(Pass::Compare)?;
        tally.different = compared.different;
        tally.unreadable = compared.unreadable;
        if tally.is_clean() {
            frozen.stay()?;
            tally.frozen = arguments.freeze.clone();
        }
    }
    tally.tell(arguments.json)
}

impl Migrate {
    /// A client of a server's admin API.
    fn client(&self, url: &str) -> Result<Client, Failure> {
        Connection {
            admin: Some(url.to_owned()),
            token_file: self.token_file.clone(),
            config: Some(self.config.clone()),
        }
        .client()
    }
}

/// Opens a place that a URL names, or `config`: the configuration's own.
fn open(
    runtime: &Runtime,
    settings: &Settings,
    text: &str,
    identities: &Arc<IdentityFile>,
) -> Result<Arc<Place>, Failure> {
    let url = match text {
        "config" => settings.store.url.clone(),
        url => config::store_url(url).map_err(|why| Failure::Usage(format!("{}: {why}", Escaped(url))))?,
    };
    let opened = runtime.block_on(Place::open(settings, url, identities));
    opened.map(Arc::new).map_err(|error| Failure::Failed(format!("{}: {}", Escaped(text), with_causes(&error))))
}

/// Servers that were frozen. Unless they are to stay so, they are thawed.
struct Frozen<'s> {
    servers: Vec<(&'s str, &'s Client, String)>,
}

impl<'s> Frozen<'s> {
    fn all(servers: &'s [(&'s String, Client)]) -> Result<Self, Failure> {
        let mut frozen = Self { servers: Vec::new() };
        for (url, client) in servers {
            let id = ask_to_freeze(client)?;
            frozen.servers.push((url, client, id));
        }
        Ok(frozen)
    }

    /// Leaves them frozen, if they have been so all the time: one that was restarted or thawed may have made changes.
    fn stay(mut self) -> Result<(), Failure> {
        for (url, client, id) in &self.servers {
            let now: FreezeAnswer = client.ask("/v1/freeze")?;
            if now.frozen.as_ref() != Some(id) {
                let what = "was restarted or thawed meanwhile, and may have made changes since: begin again";
                return Err(Failure::Failed(format!("{}: {what}", Escaped(url))));
            }
        }
        self.servers.clear();
        Ok(())
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        for (url, client, _) in &self.servers {
            match client.call(Method::DELETE, "/v1/freeze", Condition::Nothing) {
                Ok(_) => terminal::warning(format_args!("{}: thawed again", Escaped(url))),
                Err(_) => {
                    terminal::error(format_args!("{}: may still be frozen (portcullis policy thaw)", Escaped(url)))
                }
            }
        }
    }
}

/// What is done with each bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Copy { replace: bool },
    Compare,
}

/// What became of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    New,
    Replaced,
    Unchanged,
    Different,
}

struct Mover<'m> {
    runtime: &'m Runtime,
    from: &'m Source,
    to: &'m Arc<Place>,
}

impl Mover<'_> {
    /// Goes through all buckets once.
    fn pass(&self, pass: Pass) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        let mut surplus: BTreeSet<BucketName> = self.runtime.block_on(all_names(self.to))?.into_iter().collect();
        let mut after = None;
        loop {
            let Page { buckets, next } = self.from.page(self.runtime, after.as_ref())?;
            let mut readable = Vec::with_capacity(buckets.len());
            for (bucket, held) in buckets {
                surplus.remove(&bucket);
                match held {
                    Ok(held) => readable.push((bucket, held)),
                    Err(reason) => tally.unreadable.push((bucket.to_string(), reason)),
                }
            }
            let moving = readable.into_iter().map(|(bucket, held)| one(Arc::clone(self.to), bucket, held, pass));
            for (bucket, moved) in self.runtime.block_on(all(moving))? {
                tally.count(&bucket, moved);
            }
            if tally.buckets > 0 && next.is_some() {
                terminal::note(format_args!("{} buckets so far", tally.buckets));
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        for bucket in surplus {
            match pass {
                Pass::Copy { replace: true } => {
                    self.runtime.block_on(forget(self.to, &bucket))?;
                    tally.removed += 1;
                }
                Pass::Copy { replace: false } | Pass::Compare => tally.different.push(bucket.to_string()),
            }
        }
        Ok(tally)
    }
}

/// Moves one bucket, and looks whether it has arrived.
async fn one(to: Arc<Place>, bucket: BucketName, there: Held, pass: Pass) -> Result<(BucketName, Moved), Failure> {
    let failed = |what: String| Failure::Failed(format!("{bucket}: {what}"));
    // What cannot be read is something else.
    let here = held(&to, &bucket).await.ok();
    if here.as_ref() == Some(&there) {
        return Ok((bucket, Moved::Unchanged));
    }
    let is_new = here.as_ref().is_some_and(Held::is_nothing);
    match pass {
        Pass::Compare => return Ok((bucket, Moved::Different)),
        Pass::Copy { replace } if !is_new && !replace => return Ok((bucket, Moved::Different)),
        Pass::Copy { .. } => {}
    }
    let change = Change { at: SystemTime::now(), by: "admin".to_owned(), request_id: "migrate".to_owned() };
    hold(&to, &bucket, &there, here.as_ref(), change).await.map_err(failed)?;
    let arrived = held(&to, &bucket).await.map_err(|error| failed(error.to_string()))?;
    if arrived != there {
        return Err(failed("what was written is not what is read".to_owned()));
    }
    Ok((bucket, if is_new { Moved::New } else { Moved::Replaced }))
}

async fn forget(place: &Place, bucket: &BucketName) -> Result<(), Failure> {
    let failed = |error: portcullis::store::StoreError| Failure::Failed(error.to_string());
    place.policies.purge(bucket).await.map_err(failed)?;
    place.registry.remove(bucket).await.map_err(failed)?;
    Ok(())
}

/// What became of all of them.
#[derive(Debug, Default)]
struct Tally {
    buckets: u64,
    new: u64,
    replaced: u64,
    removed: u64,
    unchanged: u64,
    different: Vec<String>,
    unreadable: Vec<(String, String)>,
    frozen: Vec<String>,
}

/// The same for a program.
#[derive(Serialize)]
struct TallyDocument<'t> {
    buckets: u64,
    new: u64,
    replaced: u64,
    removed: u64,
    unchanged: u64,
    different: &'t [String],
    unreadable: Vec<&'t str>,
    frozen: &'t [String],
}

impl Tally {
    fn count(&mut self, bucket: &BucketName, moved: Moved) {
        self.buckets += 1;
        match moved {
            Moved::New => self.new += 1,
            Moved::Replaced => self.replaced += 1,
            Moved::Unchanged => self.unchanged += 1,
            Moved::Different => self.different.push(bucket.to_string()),
        }
    }

    /// Adds a later pass, which finds unchanged what an earlier one moved.
    fn add(&mut self, later: &Self) {
        self.buckets = later.buckets;
        self.new += later.new;
        self.replaced += later.replaced;
        self.removed += later.removed;
        self.unchanged = later.buckets.saturating_sub(self.new + self.replaced);
    }

    /// Whether all is there that should be, and nothing else.
    fn is_clean(&self) -> bool {
        self.different.is_empty() && self.unreadable.is_empty()
    }

    fn tell(&self, json: bool) -> Result<(), Failure> {
        for (bucket, reason) in self.unreadable.iter().take(TOLD) {
            terminal::error(format_args!(
                "{}: cannot be read, and was not moved: {}",
                Escaped(bucket),
                Escaped(reason)
            ));
        }
        for bucket in self.different.iter().take(TOLD) {
            let hint = "something else is kept of it there (--replace puts it right)";
            terminal::error(format_args!("{}: {hint}", Escaped(bucket)));
        }
        let untold = self.unreadable.len().saturating_sub(TOLD) + self.different.len().saturating_sub(TOLD);
        if untold > 0 {
            terminal::error(format_args!("and {untold} more"));
        }
        let Self { buckets, new, replaced, removed, unchanged, different, unreadable, frozen } = self;
        if json {
            print_json(&TallyDocument {
                buckets: *buckets,
                new: *new,
                replaced: *replaced,
                removed: *removed,
                unchanged: *unchanged,
                different,
                unreadable: unreadable.iter().map(|(bucket, _)| bucket.as_str()).collect(),
                frozen,
            })?;
        } else {
            terminal::print(format_args!(
                "{buckets} buckets: {new} new, {replaced} replaced, {removed} removed, {unchanged} unchanged"
            ));
            for url in frozen {
                terminal::print(format_args!("{} stays frozen: switch now", Escaped(url)));
            }
        }
        if self.is_clean() { Ok(()) } else { Err(Failure::Reported) }
    }
}
