//! What is measured. Rounds are interleaved: each takes every proxy once, so that what else the machine does weighs on all
//! of them alike, and a ratio is the median of the rounds' own.

use std::fs;
use std::future::Future;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::at;
use crate::contender::{Contender, Upstream};
use crate::load::{Load, each, for_duration, times};
use crate::process::{Server, run};
use crate::request::{Key, OWNER, Request};
use crate::tools::Tools;
use crate::world::{BUCKET, HUGE, LARGE, SMALL, policy, target};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: usize,
    /// The length of a round with small objects, for each proxy.
    pub small: Duration,
    /// Requests of a round with large objects, for each proxy.
    pub large: u64,
    /// Connections with small objects.
    pub connections: usize,
    /// Connections that are idle.
    pub idle: usize,
    /// Policies in the file that is started with.
    pub policies: usize,
}

impl Effort {
    /// As section 8 of the design has it.
    pub const FULL: Self =
        Self { rounds: 7, small: Duration::from_secs(2), large: 24, connections: 64, idle: 1_000, policies: 10_000 };
}

/// What one proxy did in one round.
#[derive(Clone, Debug)]
pub struct Round {
    /// The proxy's processor time for a request; nothing where there is none.
    pub cpu: Duration,
    /// Requests a second.
    pub rate: f64,
    pub p50: Duration,
    pub p99: Duration,
    /// The proxy's resident memory at the round's end, in bytes.
    pub resident: u64,
}

/// One proxy's rounds.
#[derive(Clone, Debug)]
pub struct Series {
    pub contender: Contender,
    pub rounds: Vec<Round>,
}

/// Resident memory of one proxy, in bytes.
#[derive(Clone, Debug)]
pub struct Memory {
    pub contender: Contender,
    /// Nobody has asked it for anything yet.
    pub fresh: u64,
    /// With idle connections, each of which has asked for one small object.
    pub idle: u64,
    /// The most while the largest object came.
    pub put: u64,
    /// The most while the largest object was sent.
    pub get: u64,
}

/// `PUT ?policy`, one after another.
#[derive(Clone, Copy, Debug)]
pub struct Writes {
    /// The disk's own: four kibibytes written and flushed.
    pub flush: Duration,
    /// One `PUT ?policy` after another.
    pub one: Duration,
    /// With sixteen under way at once, a second.
    pub rate: f64,
    /// Flushes that the system was asked for by one; none where that could not be counted.
    pub flushes: Option<f64>,
}

/// From the start of the process to the first answer to a signed request for an object, one entry for each start.
#[derive(Clone, Debug)]
pub struct Starts {
    pub policies: usize,
    pub took: Vec<Duration>,
}

/// The proxies in front of a store, ready to be asked.
#[derive(Debug)]
pub struct Field {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    contender: Contender,
    /// None where the store itself is asked.
    proxy: Option<Server>,
    address: SocketAddr,
    /// Who signs what is asked here.
    key: Key,
}

impl Field {
    /// # Errors
    /// Where one does not start, or does not take the policy.
    pub fn start(contenders: &[Contender], tools: &Tools, store: &Upstream, directory: &Path) -> io::Result<Self> {
        let mut entries = Vec::new();
        for &contender in contenders {
            let proxy = match contender {
                Contender::Direct => None,
                _ => Some(contender.start(tools, store, directory)?),
            };
            if let Some(server) = proxy.as_ref().filter(|_| Contender::OWN.contains(&contender)) {
                put_policy(server, store)?;
            }
            let address = proxy.as_ref().map_or(store.address, |server| server.address);
            entries.push(Entry { contender, proxy, address, key: contender.client(store) });
        }
        Ok(Self { entries })
    }

    /// Where they listen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.entries.iter().map(|entry| entry.address).collect()
    }

    /// Small objects, over and over.
    ///
    /// # Errors
    /// Where an answer is not what it should be.
    pub fn small(&self, effort: Effort) -> io::Result<Vec<Series>> {
        let ask = |key| Request::get_as(key, &target("small"), SMALL);
        let warm = effort.small / 4;
        self.rounds(effort, effort.connections, ask, |request, time| {
            let length = if time == Time::Warm { warm } else { effort.small };
            Box::new(for_duration(request, length))
        })
    }

    /// Large objects, a few at a time: those that are asked for, or sent.
    ///
    /// # Errors
    /// Where an answer is not what it should be.
    pub fn large(&self, effort: Effort, put: bool) -> io::Result<Vec<Series>> {
        let target = target("large");
        let ask = |key| if put { Request::put_as(key, &target, LARGE) } else { Request::get_as(key, &target, LARGE) };
        self.rounds(effort, 4, ask, |request, time| {
            let count = if time == Time::Warm { effort.large.div_ceil(4) } else { effort.large };
            Box::new(times(request, count))
        })
    }

    fn rounds(
        &self,
        effort: Effort,
        connections: usize,
        ask: impl Fn(Key) -> io::Result<Request>,
        source: impl Fn(Rc<Request>, Time) -> Box<dyn FnMut() -> Option<Rc<Request>>>,
    ) -> io::Result<Vec<Series>> {
        let series = |entry: &Entry| Series { contender: entry.contender, rounds: Vec::new() };
        let mut all: Vec<_> = self.entries.iter().map(series).collect();
        for round in 0..effort.rounds {
            for turn in 0..self.entries.len() {
                // Nobody always comes after the same one.
                let index = (turn + round) % self.entries.len();
                let Entry { contender, proxy, address, key } = &self.entries[index];
                // A signature is good for a quarter of an hour.
                let request = Rc::new(ask(*key)?);
                let cpu = || proxy.as_ref().map_or(Ok(Duration::ZERO), Server::cpu);
                let measured = block_on(async {
                    let mut load = Load::connect(*address, connections).await?;
                    load.run(source(Rc::clone(&request), Time::Warm)).await?;
                    let before = cpu()?;
                    let done = load.run(source(request, Time::Measured)).await?;
                    let used = cpu()?.saturating_sub(before);
                    Ok(Round {
                        cpu: used.div_f64(done.requests.max(1) as f64),
                        rate: done.rate(),
                        p50: done.quantile(0.5),
                        p99: done.quantile(0.99),
                        resident: proxy.as_ref().map_or(Ok(0), Server::resident)?,
                    })
                });
                let measured = measured.map_err(|error: io::Error| {
                    io::Error::new(error.kind(), format!("{}: {error}", contender.name()))
                })?;
                all[index].rounds.push(measured);
            }
        }
        Ok(all)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    Warm,
    Measured,
}

/// What one proxy keeps in memory. `store` gives objects, `sink` takes them.
///
/// # Errors
/// Where an answer is not what it should be.
pub fn memory(
    contender: Contender,
    tools: &Tools,
    (store, sink): (&Upstream, &Upstream),
    directory: &Path,
    effort: Effort,
) -> io::Result<Memory> {
    let start = |upstream: &Upstream| {
        let server = contender.start(tools, upstream, directory)?;
        if Contender::OWN.contains(&contender) {
            put_policy(&server, upstream)?;
        }
        Ok::<_, io::Error>(server)
    };
    let server = start(store)?;
    let fresh = server.resident()?;
    let small = Request::get(&target("small"), SMALL)?;
    let idle = block_on(async {
        let mut load = Load::connect(server.address, effort.idle).await?;
        load.run(each(vec![small; effort.idle])).await?;
        server.resident()
    })?;
    // A new one: what the last has kept for itself is none of the object's.
    drop(server);
    let largest = |upstream: &Upstream, request: Request| {
        let server = start(upstream)?;
        server.forget_peak()?;
        block_on(async {
            Load::connect(server.address, 1).await?.run(each(vec![request])).await?;
            server.peak()
        })
    };
    let put = largest(sink, Request::put(&target("huge"), HUGE)?)?;
    let get = largest(store, Request::get(&target("huge"), HUGE)?)?;
    Ok(Memory { contender, fresh, idle, put, get })
}

/// What storing a policy takes, and starting with many.
///
/// # Errors
/// Where an answer is not what it should be.
pub fn policies(tools: &Tools, store: &Upstream, directory: &Path, effort: Effort) -> io::Result<(Writes, Starts)> {
    let flush = flush(directory)?;
    let server = Contender::Preserve.start(tools, store, directory)?;
    let few = effort.policies.min(200);
    let document = |bucket: &str| policy().replace(&format!(":::{BUCKET}/"), &format!(":::{bucket}/"));
    let put = |index: usize| {
        let bucket = format!("bucket-{index:05}");
        Request::put_policy(&bucket, &document(&bucket))
    };
    let some = |from, to| (from..to).map(put).collect::<io::Result<Vec<_>>>();
    let flushes = counted_flushes(tools, &server, some(0, 20)?)?;
    let one = block_on(async { Load::connect(server.address, 1).await?.run(each(some(0, few)?)).await })?;
    let many = block_on(async { Load::connect(server.address, 16).await?.run(each(some(0, effort.policies)?)).await })?;
    put_policy(&server, store)?;
    let writes = Writes { flush, one: one.elapsed.div_f64(one.requests.max(1) as f64), rate: many.rate(), flushes };

    // The same files, at the same address.
    let home = directory.join(server.address.port().to_string());
    let (config, log, address) = (home.join("proxy.toml"), home.join("log"), server.address);
    drop(server);
    let mut took = Vec::new();
    for _ in 0..effort.rounds {
        let started = Instant::now();
        let arguments = ["serve", "--config", &config.to_string_lossy()];
        let server = Server::start(&tools.portcullis, &arguments, crate::contender::PROXY_CORE, address, &log)?;
        let small = Request::get(&target("small"), SMALL)?;
        block_on(async { Load::connect(server.address, 1).await?.run(each(vec![small])).await })?;
        took.push(started.elapsed());
    }
    Ok((writes, Starts { policies: effort.policies, took }))
}

/// How long the disk takes to have something for good: the median of some times.
fn flush(directory: &Path) -> io::Result<Duration> {
    let path = directory.join("flush");
    let mut file = fs::File::create(&path).map_err(at(&path))?;
    let mut all = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        all.push(started.elapsed());
    }
    Ok(median(all.into_iter(), |a, b| a.cmp(b)).unwrap_or_default())
}

/// How many flushes one of these requests asks the system for; none where processes may not be looked into.
fn counted_flushes(tools: &Tools, server: &Server, requests: Vec<Request>) -> io::Result<Option<f64>> {
    let count = requests.len();
    let mut strace = Command::new(&tools.strace)
        .args(["-f", "-e", "trace=fsync,fdatasync,sync_file_range,msync,syncfs", "-p", &server.id().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(strace.stderr.take().ok_or_else(|| io::Error::other("strace says nothing"))?);
    let mut line = String::new();
    // It says so when it has them all; its calls are on lines of their own after that.
    said.read_line(&mut line)?;
    if !line.contains("attached") {
        strace.wait()?;
        return Ok(None);
    }
    block_on(async { Load::connect(server.address, 1).await?.run(each(requests)).await })?;
    // It lets go of the process on SIGINT, and not when it is killed.
    run(Command::new("kill").args(["-INT", &strace.id().to_string()]))?;
    let mut calls = 0_u32;
    for line in said.lines() {
        let line = line?;
        let call = ["fsync(", "fdatasync(", "sync_file_range(", "msync(", "syncfs("];
        calls += u32::from(call.iter().any(|call| line.contains(call)));
    }
    strace.wait()?;
    Ok(Some(f64::from(calls) / count as f64))
}

fn put_policy(server: &Server, store: &Upstream) -> io::Result<()> {
    let owner = Key { region: store.key.region, ..OWNER };
    let request = Request::put_policy_as(owner, BUCKET, &policy())?;
    block_on(async { Load::connect(server.address, 1).await?.run(each(vec![request])).await }).map(drop)
}

/// Runs a load on this thread.
///
/// # Errors
/// As what is run.
pub fn block_on<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// The one in the middle; of an even number the lower one.
pub fn median<T>(all: impl Iterator<Item = T>, compare: impl Fn(&T, &T) -> std::cmp::Ordering) -> Option<T> {
    let mut all: Vec<T> = all.collect();
    all.sort_by(compare);
    let middle = all.len().saturating_sub(1) / 2;
    all.into_iter().nth(middle)
}

impl Series {
    /// The median of something in each round.
    pub fn median<T: PartialOrd>(&self, of: impl Fn(&Round) -> T) -> Option<T> {
        median(self.rounds.iter().map(of), |a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
    }

    /// How many times the processor time of `other`: the median of the rounds' own ratios.
    pub fn ratio(&self, other: &Self) -> Option<f64> {
        self.ratio_of(other, |round| round.cpu.as_secs_f64())
    }

    /// How many times as much of something as `other`: the median of the rounds' own ratios.
    pub fn ratio_of(&self, other: &Self, of: impl Fn(&Round) -> f64) -> Option<f64> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.map(|(own, its)| of(own) / of(its)), f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_own() {
        let series = |contender, micros: [u64; 3]| {
            let round = |cpu| Round {
                cpu: Duration::from_micros(cpu),
                rate: 1.0,
                p50: Duration::ZERO,
                p99: Duration::ZERO,
                resident: 0,
            };
            Series { contender, rounds: micros.map(round).to_vec() }
        };
        // The last round was a bad one for both.
        let own = series(Contender::PassThrough, [20, 30, 80]);
        let its = series(Contender::Nginx, [40, 40, 100]);
        assert_eq!(own.ratio(&its), Some(0.75));
        assert_eq!(own.median(|round| round.cpu), Some(Duration::from_micros(30)));
        assert_eq!(series(Contender::Envoy, [1, 2, 3]).ratio(&Series { rounds: Vec::new(), ..own }), None);
    }
}
