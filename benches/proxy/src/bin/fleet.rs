//! How long does a policy take to be in force on all replicas that share an etcd? `--help` says what can be chosen.
//!
//! Three replicas, each under load, in front of one store. A policy is put through one after the other; meanwhile a
//! connection to each asks without a pause for what the new policy allows and the old one did not.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use portcullis_proxy_bench::contender::{OTHER_CORE, PROXY_CORE, identities};
use portcullis_proxy_bench::load::{Load, for_duration};
use portcullis_proxy_bench::process::{Server, free_address};
use portcullis_proxy_bench::request::{ALICE, Body, Request};
use portcullis_proxy_bench::storage::Storage;
use portcullis_proxy_bench::tools::{Tools, debian};
use portcullis_proxy_bench::world::{ACCOUNT, BUCKET, FOLDER, REGION, SMALL, target};

const HELP: &str = "\
Measures how long a policy takes to be in force on three replicas that share an etcd.

  --portcullis FILE   the program, built with `--features etcd`; needed
  --changes N         policies put, one after the other (300)
  --connections N     that load each replica (16)
";

const REPLICAS: usize = 3;

struct Arguments {
    portcullis: PathBuf,
    changes: usize,
    connections: usize,
}

fn main() -> ExitCode {
    let arguments = match parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprint!("{wrong}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let (mut portcullis, mut changes, mut connections) = (None, 300, 16);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match &*word {
            "--portcullis" => portcullis = Some(value()?.into()),
            "--changes" => changes = value()?.parse().map_err(|e| format!("--changes: {e}"))?,
            "--connections" => connections = value()?.parse().map_err(|e| format!("--connections: {e}"))?,
            _ => return Err(format!("{word}?")),
        }
    }
    Ok(Arguments { portcullis: portcullis.ok_or("--portcullis is needed")?, changes, connections })
}

fn measure(arguments: &Arguments) -> io::Result<()> {
    let tools = Tools::find(Some(arguments.portcullis.clone()))?;
    // On a disk: what is acknowledged was flushed to one.
    let directory = tempfile::Builder::new().prefix("portcullis-bench-").tempdir()?;
    let directory = directory.path();
    let storage = Storage::start(&tools, directory)?;
    let etcd = etcd(directory)?;
    let replicas: Vec<_> = (0..REPLICAS)
        .map(|n| replica(&tools, storage.address(), etcd.address, &directory.join(format!("replica-{n}"))))
        .collect::<io::Result<_>>()?;

    let mut writers = Vec::new();
    let mut watchers = Vec::new();
    for replica in &replicas {
        writers.push(TcpStream::connect(replica.address)?);
        watchers.push(watcher(replica.address)?);
    }
    // Nothing may be asked for before it is allowed on all of them.
    change(&mut writers, &watchers, 0)?;
    let load: Vec<_> = replicas.iter().map(|replica| load(replica.address, arguments.connections)).collect();

    let (mut since_sent, mut since_acknowledged) = (Vec::new(), Vec::new());
    let started = Instant::now();
    for n in 1..=arguments.changes {
        let (sent, acknowledged) = change(&mut writers, &watchers, n)?;
        since_sent.push(sent);
        since_acknowledged.push(acknowledged);
    }
    let elapsed = started.elapsed();
    for (_, stop) in &load {
        // Where it has ended, its result tells why.
        let _ = stop.send(());
    }
    let mut requests = 0;
    for (loading, _) in load {
        requests += loading.join().map_err(|_| io::Error::other("the load broke off"))??;
    }
    println!(
        "{} policies, {REPLICAS} replicas, {} connections each, {:.0} requests a second in all",
        arguments.changes,
        arguments.connections,
        requests as f64 / elapsed.as_secs_f64()
    );
    report("in force on all, since it was sent", since_sent);
    report("in force on all, since it was acknowledged", since_acknowledged);
    Ok(())
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| {
        let index = ((times.len() as f64 * part).ceil() as usize).clamp(1, times.len().max(1)) - 1;
        times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    println!(
        "{what}: median {:.1} ms, 95% {:.1} ms, 99% {:.1} ms, most {:.1} ms",
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
}

fn etcd(directory: &Path) -> io::Result<Server> {
    let (address, peer) = (free_address()?, free_address()?);
    let (client, peer) = (format!("http://{address}"), format!("http://{peer}"));
    let cluster = format!("one={peer}");
    let data = directory.join("etcd");
    let arguments = [
        ["--name", "one"],
        ["--data-dir", &data.to_string_lossy()],
        ["--listen-client-urls", &client],
        ["--advertise-client-urls", &client],
        ["--listen-peer-urls", &peer],
        ["--initial-advertise-peer-urls", &peer],
        ["--initial-cluster", &cluster],
    ];
    let program = debian("etcd", "etcd-server")?;
    Server::start(&program, arguments.as_flattened(), OTHER_CORE, address, &directory.join("etcd.log"))
}

fn replica(tools: &Tools, store: SocketAddr, etcd: SocketAddr, home: &Path) -> io::Result<Server> {
    fs::create_dir_all(home)?;
    let address = free_address()?;
    fs::write(home.join("identities.toml"), identities(ALICE))?;
    let config = home.join("proxy.toml");
    let text = format!(
        "[listen]\naddress = \"{address}\"\ndomains = [\"s3.localhost\"]\n[admin]\naddress = \"\"\n\
         [upstream]\nendpoint = \"http://{store}\"\nregion = \"{REGION}\"\n\
         [store]\nurl = \"etcd://{etcd}/fleet\"\n\
         [ownership]\nsources = [\"default\"]\ndefault_account = \"{ACCOUNT}\"\n[log]\nlevel = \"warn\"\n"
    );
    fs::write(&config, text)?;
    let arguments = ["serve", "--config", &*config.to_string_lossy()];
    Server::start(&tools.portcullis, &arguments, PROXY_CORE, address, &home.join("log"))
}

/// A policy that lets Alice read what the load reads, and one of two objects besides.
fn policy(n: usize) -> String {
    let resources = ["small", probe(n)].map(|name| format!("arn:aws:s3:::{BUCKET}/{FOLDER}/{name}"));
    let statement = serde_json::json!({
        "Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:user/alice")},
        "Action": "s3:GetObject",
        "Resource": resources,
    });
    serde_json::json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn probe(n: usize) -> &'static str {
    if n.is_multiple_of(2) { "large" } else { "huge" }
}

/// Puts policy `n`, and waits until it is in force everywhere: how long after it was sent, and after it was acknowledged.
fn change(writers: &mut [TcpStream], watchers: &[Watcher], n: usize) -> io::Result<(Duration, Duration)> {
    let request = Request::put_policy(BUCKET, &policy(n))?;
    let Body::Whole(body) = &request.body else {
        return Err(io::Error::other("a policy is whole"));
    };
    for watcher in watchers {
        watcher.ask.send(n).map_err(io::Error::other)?;
    }
    let count = writers.len();
    let writer = writers.get_mut(n % count).ok_or_else(|| io::Error::other("no replica"))?;
    let sent = Instant::now();
    let status = exchange(writer, &[&*request.head, body].concat())?;
    let acknowledged = Instant::now();
    // One that was refused has a body, which ends the run all the same.
    if status != 204 {
        return Err(io::Error::other(format!("a policy was answered with {status}")));
    }
    let mut last = sent;
    for watcher in watchers {
        last = last.max(watcher.seen.recv().map_err(io::Error::other)??);
    }
    Ok((last - sent, last.saturating_duration_since(acknowledged)))
}

/// Asks one replica for what a new policy allows, again and again.
struct Watcher {
    ask: mpsc::Sender<usize>,
    seen: mpsc::Receiver<io::Result<Instant>>,
}

fn watcher(address: SocketAddr) -> io::Result<Watcher> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (ask, asked) = mpsc::channel::<usize>();
    let (tell, seen) = mpsc::channel();
    thread::spawn(move || {
        for n in asked {
            let result = in_force(&mut stream, n);
            if tell.send(result).is_err() {
                break;
            }
        }
    });
    Ok(Watcher { ask, seen })
}

/// When the answer came that told of policy `n`. It is asked for the head alone.
fn in_force(stream: &mut TcpStream, n: usize) -> io::Result<Instant> {
    let request = Request::signed("HEAD", &target(probe(n)), ALICE, Body::Whole(Vec::new()), 0)?;
    loop {
        match exchange(stream, &request.head)? {
            403 => {}
            200 => return Ok(Instant::now()),
            status => return Err(io::Error::other(format!("a replica answers {status}"))),
        }
    }
}

/// Sends a request whose answer has no body, and reads its status.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<u16> {
    stream.write_all(request)?;
    let mut head = Vec::new();
    let mut piece = [0; 4 << 10];
    while !head.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend(piece.iter().take(read));
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other(format!("not an answer: {head}")))
}

type Loading = thread::JoinHandle<io::Result<u64>>;

/// Keeps connections busy until it is told to stop; answers how many requests there were, each answered as it must be.
fn load(address: SocketAddr, connections: usize) -> (Loading, mpsc::Sender<()>) {
    let (stop, stopped) = mpsc::channel();
    let loading = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut load = Load::connect(address, connections).await?;
            let mut requests = 0;
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                let request = Rc::new(Request::get(&target("small"), SMALL)?);
                requests += load.run(for_duration(request, Duration::from_millis(500))).await?.requests;
            }
            Ok(requests)
        })
    });
    (loading, stop)
}
